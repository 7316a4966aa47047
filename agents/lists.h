#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agents/agent_base.h"

namespace afdg {

/// When items of a list are removed by themselves: the oldest first, in the turn that adds one.
struct EntityLimits {
  /// Items a list may have; 0: no limit.
  std::uint64_t items_max = 0;
  /// How old an item may be when another is added; 0: no limit.
  std::chrono::milliseconds age_max{0};
};

namespace agents {

/// The lists of one entity as bytes: key -> items at the dense sequences [first, last]. Writes go straight to
/// the agent's state; what was read or written lately is kept, within a bound, so a live agent answers from
/// memory and a long list is never loaded whole. Thread-safety: confined. Errors: a state that cannot be
/// read, a key that is too long or an index past the end fails the turn (AgentBase::fail_turn); the list then
/// reads as empty and the write does nothing. Bounds: keys of kKeyBytesMax; kCacheBytesMax of cache; at most
/// kTrimMax items removed by limits in one append.
class Lists : public Slot {
 public:
  static constexpr std::size_t kKeyBytesMax = 1024;
  static constexpr std::size_t kCacheBytesMax = std::size_t{64} << 10;
  static constexpr std::size_t kCachedItemBytesMax = std::size_t{8} << 10;
  /// What one chunk of an iteration reads.
  static constexpr std::size_t kChunkItems = 64;
  static constexpr std::size_t kChunkBytes = std::size_t{64} << 10;
  static constexpr std::uint64_t kTrimMax = 1024;

  [[nodiscard]] std::size_t memory_bytes() const noexcept override { return bytes_; }
  void prefetch(int step) const noexcept override;

 protected:
  enum class End : std::uint8_t { kBack, kFront };

  Lists(AgentBase& agent, EntityName name, EntityLimits limits) : Slot(agent, name), limits_(limits) {}
  void flush() final {}

 public:
  [[nodiscard]] std::uint64_t size(std::string_view key) const;
  /// The item's bytes; nullopt, and the turn fails, when there is no such index.
  [[nodiscard]] std::optional<std::string> read(std::string_view key, std::uint64_t index) const;
  /// Items from `index` on, at least one when there is one, at most a chunk.
  void read_chunk(std::string_view key, std::uint64_t index, std::vector<std::string>& items) const;
  void add(std::string_view key, End end, std::string bytes);
  void replace(std::string_view key, std::uint64_t index, std::string bytes);
  /// Removes one item; those between it and the nearer end move by one.
  void remove(std::string_view key, std::uint64_t index);
  void clear(std::string_view key);
  /// Keys that begin with `prefix` and come after `after`, in byte order, at most `limit`.
  [[nodiscard]] std::vector<std::string> keys(std::string_view prefix, std::string_view after,
                                              std::size_t limit) const;
  /// Fails the turn: the stored bytes are not of the declared type.
  void fail_undecodable(std::string_view key, std::uint64_t index) const;

  static constexpr End kBack = End::kBack;
  static constexpr End kFront = End::kFront;

 private:
  struct Kept {
    std::optional<AgentState::Bounds> bounds;
    std::map<std::int64_t, std::string> items;
    [[nodiscard]] std::uint64_t size() const noexcept {
      return bounds ? static_cast<std::uint64_t>(bounds->last - bounds->first) + 1 : 0;
    }
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };

  [[nodiscard]] ItemId id(std::string_view key, std::int64_t sequence) const noexcept {
    return {.entity = name(), .key = key, .sequence = sequence};
  }
  [[nodiscard]] std::string described(std::string_view key) const;
  /// The key's list; nullptr after an error. May drop everything else that is kept.
  Kept* find(std::string_view key) const;
  /// As find, for a write.
  Kept* find_to_write(std::string_view key);
  /// The stored bytes at a sequence within bounds; nullopt after an error.
  std::optional<std::string> stored(Kept& list, std::string_view key, std::int64_t sequence) const;
  void keep(Kept& list, std::int64_t sequence, std::string_view bytes) const;
  void forget(Kept& list, std::int64_t sequence) const;
  void put(Kept& list, std::string_view key, std::int64_t sequence, std::string bytes);
  void remove_end(Kept& list, std::string_view key, End end);
  void trim(Kept& list, std::string_view key, End grown);
  /// How many items at `end` are older than the limit.
  std::uint64_t expired(Kept& list, std::string_view key, End end, std::uint64_t count_max) const;
  std::optional<Timestamp> time_at(Kept& list, std::string_view key, std::int64_t sequence) const;

  EntityLimits limits_;
  using Map = std::unordered_map<std::string, Kept, Hash, std::equal_to<>>;
  mutable Map lists_;
  mutable Map::value_type* last_ = nullptr;  // handlers use one key several times in a row
  mutable std::size_t bytes_ = 0;
};

}  // namespace agents
}  // namespace afdg
