#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "log/batch.h"
#include "log/cleaner_batch.h"
#include "log/offset_map.h"
#include "log/segment.h"
#include "store/file_system.h"

namespace afdg::log {

/// What one round of cleaning works on: the segments of one partition, from its first one, as they are now.
struct CleanerJob {
  std::string directory;
  struct Source {
    Offset base;
    Offset end;
    std::uint64_t bytes = 0;
  };
  std::vector<Source> sources;  ///< sealed and synced, each begins where the one before it ends
  Offset dirty;                 ///< all below was cleaned already: each key is there once
  Timestamp now;
  std::chrono::milliseconds delete_retention{0};
  std::uint64_t segment_bytes = 64u << 20;  ///< segments are joined up to this
  std::vector<Offset> keep_empty;           ///< bases of the last batches of live producers, growing
};

struct CleanerLimits {
  std::size_t map_bytes = 16u << 20;
  std::size_t batch_bytes_max = kBatchBytesMax;
  std::uint32_t index_interval_bytes = 4096;
  bool planted_skip_sync = false;  ///< a bug for tests: what is written is not synced
};

/// One round of cleaning by Kafka's rules, as a core that reads segments and writes new ones beside them.
/// Nothing that others read is changed: the owner swaps.
///
///     [0.log][512.log][900.log] | [1700.log][2100.log] | active        dirty from 1700
///       survey():     keys of 1700.. -> last offset, until the map is full; the round ends there
///       next_group(): "0.log.cleaned" holds what stays of [0, 1700)  -> the owner swaps it in
///       next_group(): "1700.log.cleaned" ...
///
/// A record stays if it is the last of its key below the round's end, or at or above that; a tombstone until
/// its batch's delete horizon, which is set when it is first cleaned; a record without a key never. A group's
/// last batch stays, empty if need be, so that a segment goes on to end where the next begins.
/// Groups are to be swapped in their order and durably: a tombstone goes only after what it deletes.
/// Thread-safety: confined. Ownership: the file system outlives it. Bounds: the map, two batches packed and
/// unpacked, 1 MiB of output. Errors: kCorrupt (names file and position), kNotFound (a segment is gone: its
/// owner removed it), kDiskFull, kMessageTooLarge (see filter_batch), kIo (fatal), and what `spend` returns;
/// after an error call discard().
class Cleaner {
 public:
  /// Told of bytes read or written; may wait. An error of it ends the round.
  using Spend = std::function<Status(std::uint64_t bytes)>;
  Cleaner(store::FileSystem& fs, CleanerJob job, const CleanerLimits& limits, Random& random, Spend spend);
  ~Cleaner();

  /// Reads what is dirty and learns the last offset of each key. Returns the offset below which this round
  /// cleans: the sources' end, or where the map was full.
  Result<Offset> survey();

  struct Group {
    Offset base;
    Offset end;
    std::uint64_t bytes_before = 0;
    std::uint64_t bytes_after = 0;
    /// Behind the last tombstone that went because its time was over; 0: none went.
    Offset tombstones_gone_below{0};
    /// One segment of which everything stays: nothing was written, nothing is to be swapped.
    bool same = false;
  };
  /// Writes the next group; its files are synced on return, their names not. Nothing: the round is done.
  /// Precondition: survey() was ok.
  Result<std::optional<Group>> next_group();
  /// Removes what the last next_group() left unfinished. Errors are ignored: the next start removes it.
  void discard();

  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  [[nodiscard]] std::uint64_t bytes_written() const noexcept { return bytes_written_; }

 private:
  class Output;
  [[nodiscard]] std::string path_of(Offset base) const;
  Result<std::unique_ptr<store::File>> open(const CleanerJob::Source& source) const;
  Status spend(std::uint64_t bytes);
  /// False: the map is full, and `end_` is where.
  Result<bool> learn(const BatchView& batch);
  /// How many sources from next_ on become one segment.
  [[nodiscard]] std::size_t group_size() const;
  Status rewrite(const CleanerJob::Source& source, bool last, Output& output);
  Result<Filtered> filter(const BatchView& batch, bool keep_last);

  store::FileSystem& fs_;
  CleanerJob job_;
  CleanerLimits limits_;
  Spend spend_;
  OffsetMap map_;
  Offset end_{0};
  std::size_t next_ = 0;
  Offset tombstones_gone_below_{0};  ///< in the group that is written
  std::string unpacked_;
  std::string filtered_;
  std::optional<Offset> unfinished_;
  std::uint64_t bytes_read_ = 0;
  std::uint64_t bytes_written_ = 0;
};

}  // namespace afdg::log
