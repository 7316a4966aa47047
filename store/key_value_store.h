#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace afdg::store {

/// A key and its new value; no value deletes the key.
struct Change {
  std::string_view key;
  std::optional<std::string_view> value;
};

/// An ordered map from byte strings to byte strings, written behind the log in whole checkpoints.
///
/// It has no log of its own: after a crash it holds the state after some earlier apply() (all of that one,
/// none of a later one), at least the last one before a flush() that returned. Whoever writes stores, in the
/// same apply(), how far it is. Thread-safety: safe; writers wait for each other.
/// Errors: kCorrupt, kDiskFull, kIo. Bounds: keys below 64 KiB, values below 64 MiB.
class KeyValueStore {
 public:
  virtual ~KeyValueStore() = default;
  [[nodiscard]] virtual Result<std::optional<std::string>> get(std::string_view key) const = 0;
  /// One entry per key, in order.
  [[nodiscard]] virtual Result<std::vector<std::optional<std::string>>> multi_get(
      std::span<const std::string_view> keys) const = 0;
  /// Calls `visit` for keys in [from, to) in ascending byte order until it returns false; `to` empty means
  /// the end. Sees one consistent state. `visit` does not call the store.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Status scan(std::string_view from, std::string_view to, const Visit& visit) const = 0;
  /// The greatest key in [from, to); `to` empty means the end.
  [[nodiscard]] virtual Result<std::optional<std::string>> last_key(std::string_view from,
                                                                    std::string_view to) const = 0;
  /// Applies all changes at once; readers see all or none. `changes` are sorted by key, without repeats.
  /// Not durable before flush().
  virtual Status apply(std::span<const Change> changes) = 0;
  /// Deletes every key in [from, to), at once; `to` empty means the end. Not durable before flush().
  virtual Status remove_range(std::string_view from, std::string_view to) = 0;
  /// Durable on return: every earlier apply().
  virtual Status flush() = 0;
  /// Bytes of memory it uses, about.
  [[nodiscard]] virtual std::uint64_t memory_bytes() const = 0;
};

struct RocksOptions {
  std::uint64_t write_buffer_bytes = 64u << 20;        ///< one memtable
  std::uint64_t write_buffers_bytes_max = 128u << 20;  ///< all memtables; then writers wait
  std::uint64_t cache_bytes = 64u << 20;               ///< block cache
  /// apply() refuses (kDiskFull, nothing done) when less would be free after what is in memory has been
  /// written: RocksDB is not let into a full disk, for it does not come out of one reliably.
  std::uint64_t disk_reserve_bytes = 64u << 20;
  bool write_ahead_log = false;  ///< the catalog's store sets it: then every apply() is durable on return
  /// Changes no file, not even after a crash, and takes no lock: writes are refused (kFailedPrecondition).
  bool read_only = false;
  /// How many bytes of a key name the group that most scans stay inside of; 0: it has none. Such scans pass
  /// files without the group by a filter. A pure function of those bytes, the same whenever the store is
  /// opened; nullptr: no groups.
  std::size_t (*group_size)(std::string_view key) = nullptr;
};

/// RocksDB in directory `path` (created when absent). Errors: kCorrupt (the caller may destroy and rebuild),
/// kTaken, kUnwritable, kDiskFull.
Result<std::unique_ptr<KeyValueStore>> open_rocks_store(const std::string& path,
                                                        const RocksOptions& options = {});
/// Deletes a store's files; ok when absent.
Status destroy_rocks_store(const std::string& path);

/// A map in memory. flush() keeps nothing beyond the object's life; see testing/reverting_store.h for crash
/// tests.
std::unique_ptr<KeyValueStore> make_memory_store();

}  // namespace afdg::store
