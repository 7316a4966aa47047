#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/codec.h"
#include "base/ids.h"
#include "base/result.h"
#include "region/internal/key_map.h"
#include "region/internal/list_keys.h"
#include "store/key_value_store.h"

namespace afdg::region {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return hash64(text); }
};

/// Where the store says it is: the first offset of `changes` that it does not hold, and of `messages` not
/// applied there.
struct StoreMark {
  Offset changes{0};
  Epoch epoch{0};
};

/// The fold of a region's changes: what is in memory over what the store holds.
///
///     put/erase -> dirty (since the last freeze) -> frozen (being written) -> store
///
/// Thread-safety: confined, but for a Frozen, which may be written to the store by another thread.
/// Bounds: the owner watches dirty_bytes() and freezes.
class StateTable {
 public:
  StateTable(store::KeyValueStore& store, std::string store_prefix)
      : store_(store), prefix_(std::move(store_prefix)) {}

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const;
  /// Both return the key's hash, for prefetch().
  std::uint64_t put(std::string_view key, std::string_view value);
  std::uint64_t erase(std::string_view key);
  /// A hint that a key with this hash is put soon: its slot with step 0, later its entry with step 1.
  void prefetch(std::uint64_t hash, int step) const noexcept {
    step == 0 ? dirty_.map.prefetch_slot(hash) : dirty_.map.prefetch_entry(hash);
  }

  /// Entries with from <= key < to in byte order, merged over all layers, until visit returns false. For
  /// items of one entity of one agent: those of lists are kept in order, and `single` is the key of its only
  /// other one.
  /// `visit` does not call the table.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  Status scan_items(std::string_view from, std::string_view to, std::string_view single,
                    const Visit& visit) const;
  /// The greatest key that scan_items() would visit. Looks no further than needed: a run of erased items of
  /// one list is passed in memory.
  [[nodiscard]] Result<std::optional<std::string>> last_item(std::string_view from, std::string_view to,
                                                             std::string_view single) const;
  /// As scan_items(), for any keys. Searches the memory layers whole: not for the hot path.
  Status scan_all(std::string_view from, std::string_view to, const Visit& visit) const;

  [[nodiscard]] std::uint64_t dirty_bytes() const noexcept { return dirty_bytes_; }
  [[nodiscard]] std::uint64_t frozen_bytes() const noexcept { return frozen_bytes_; }
  [[nodiscard]] bool frozen() const noexcept { return frozen_ != nullptr; }
  [[nodiscard]] std::size_t dirty_keys() const noexcept { return dirty_.map.size(); }

  /// Everything put so far becomes the frozen layer. Precondition: !frozen().
  void freeze();
  /// Sorted, with the mark, in one apply(). May run on another thread while the table goes on.
  struct Frozen;
  [[nodiscard]] std::shared_ptr<const Frozen> frozen_layer() const noexcept { return frozen_; }
  struct Part {
    const Frozen* frozen;
    std::string_view prefix;
    StoreMark mark;
  };
  /// Several regions' layers, each with its prefix. Errors: of KeyValueStore::apply(); nothing is written
  /// then.
  static Status write(std::vector<Part> parts, store::KeyValueStore& store);
  /// The frozen layer is in the store (ok) or comes back under the dirty one (not ok).
  void thaw(bool written);

  /// What the store says of itself; nullopt when it is empty for this region. Errors: kCorrupt.
  [[nodiscard]] Result<std::optional<StoreMark>> store_mark() const;
  /// Empties the store's part of this region and the memory layers.
  Status clear();
  [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }
  [[nodiscard]] store::KeyValueStore& store() const noexcept { return store_; }

 private:
  struct Layer {
    KeyMap map;
    ListKeys lists;  ///< entries of map that are items of lists
  };

  class InMemory;
  std::uint64_t put_layer(std::string_view key, std::optional<std::string_view> value);
  Status merge(std::string_view from, std::string_view to, InMemory& memory, const Visit& visit) const;

  store::KeyValueStore& store_;
  std::string prefix_;
  Layer dirty_;
  std::shared_ptr<Frozen> frozen_;
  std::uint64_t dirty_bytes_ = 0;
  std::uint64_t frozen_bytes_ = 0;
  mutable std::string scratch_;
};

struct StateTable::Frozen {
  Layer layer;
};

/// Whether `next` is the item right behind `at` in one list: nothing can be between them.
bool follows(std::string_view next, std::string_view at) noexcept;

/// A key whose item belongs to a list, not to a single value: its entity key is not empty or its sequence not
/// 0.
bool is_list_item(std::string_view key) noexcept;

}  // namespace afdg::region
