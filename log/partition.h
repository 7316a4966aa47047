#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "log/batch.h"
#include "log/compaction_marks.h"
#include "log/epochs.h"
#include "store/file_system.h"

namespace afdg::log {

class Segment;

struct PartitionOptions {
  /// A segment is rolled before it would grow above this many bytes (one batch may be larger).
  std::uint64_t segment_bytes_max = 64u << 20;
  /// A segment is rolled when its first record was appended longer ago than this.
  std::chrono::milliseconds segment_age_max = std::chrono::hours(24 * 7);
  /// At most one index entry for so many bytes of log.
  std::uint32_t index_interval_bytes = 4096;
  /// Writing to the disk is started each time so many bytes were appended, so that a sync finds little to do.
  std::uint64_t write_back_bytes = 1u << 20;
  /// Segments that stay open for readers, besides the active one.
  std::size_t open_segments_max = 2;
  /// Largest batch, bytes.
  std::size_t batch_bytes_max = kBatchBytesMax;
};

/// What the owner durably knows about a partition when it opens it.
struct PartitionState {
  /// Every offset below was synced: damage there is corruption, not a torn tail.
  Offset recovery_point{0};
  /// The first readable offset, as last made durable.
  Offset start{0};
  /// The time: the active segment's age is counted from its first batch's timestamp, or else from now.
  Timestamp now{};
};

/// What open() found and did. Nothing in it is an error; the lines are for the operator's log.
struct RecoveryReport {
  std::uint64_t bytes_scanned = 0;
  std::uint64_t bytes_cut = 0;
  /// Names what was cut (file, position, reason) and what was rebuilt (indexes, lineage).
  std::vector<std::string> warnings;
};

/// Whole batches in one file, ready for sendfile or read_at. The file stays open while this lives.
struct FileRange {
  std::shared_ptr<const store::File> file;
  std::uint64_t position = 0;
  std::uint64_t size = 0;  ///< 0: nothing to read below the limit
  Offset first;            ///< base of the first batch: may be below the offset asked for
  Offset next;             ///< where to go on
};

/// The first offset that can be read, and the first that is not committed.
struct PartitionEnds {
  Offset start;
  Offset end;
};

/// The first record at or after a time.
struct TimedOffset {
  Offset offset;
  Timestamp timestamp;
};

/// What must still reach the disk for everything below end() to be durable. Made by Partition::begin_sync on
/// the owner's thread; run() may be called on any one thread, beside appends, reads and truncations of the
/// partition, and after its end.
class SyncTicket {
 public:
  /// Syncs files, the directory if segments were rolled, and the lineage. Blocks. Durable below end() when
  /// ok. Errors: kIo (fatal: never retried), kDiskFull (from the lineage's file: begin_sync() later and run
  /// that).
  Status run();
  [[nodiscard]] Offset end() const noexcept { return end_; }
  /// Nothing is waiting: run() does nothing.
  [[nodiscard]] bool empty() const noexcept { return files_.empty() && !sync_directory_ && !lineage_; }

 private:
  friend class Partition;
  store::FileSystem* fs_ = nullptr;
  std::string directory_;
  std::vector<std::shared_ptr<store::File>> files_;
  bool sync_directory_ = false;
  std::optional<std::string> lineage_;
  Offset end_{0};
  std::uint64_t truncations_ = 0;
  std::uint64_t lineage_version_ = 0;
};

/// The stored batches of one topic partition: segment files, their indexes and the leader-epoch lineage, in
/// one directory.
///
///     start()             synced_end()         end()
///       | durable ............ | written ......... |      [000..000.log][000..512.log][000..900.log: active]
///
/// A segment begins where the one before it ends, so a lost or shortened file is always noticed. Offsets may
/// have gaps. Nothing is durable until a SyncTicket ran; until then a crash is repaired from the journal:
/// open() cuts at the first bad batch at or after the recovery point, then replay() adds what the journal
/// holds. Thread-safety: confined (SyncTicket::run and the files of FileRanges excepted). Ownership: the
/// FileSystem outlives it. Errors: kCorrupt is sticky (see fault()): every later call returns it and no bytes
/// are served. kDiskFull leaves everything as before the call.
/// Caller's duties: (1) advance_start only after the new start is durable elsewhere; (2) truncate_to only
/// after a recovery point at or below it is durable elsewhere; (3) a recovery point is made durable only up
/// to synced_end(); (4) what open() finds above the recovery point was written, which does not mean
/// committed: after the replay, cut what the journal does not vouch for.
class Partition {
 public:
  /// Creates the directory, its metadata file and an empty segment at `start`. Durable on return. Errors:
  /// kAlreadyExists, kDiskFull, kIo, kUnwritable.
  static Result<std::unique_ptr<Partition>> create(store::FileSystem& fs, std::string directory,
                                                   TopicId topic, const PartitionOptions& options,
                                                   Offset start = Offset(0));
  /// Opens and recovers. Damage below the recovery point does not fail this call: the partition is there and
  /// faulty, see fault(). Errors: kNotFound (no such directory), kNewerFormat, kIo, kUnwritable, kDiskFull.
  static Result<std::unique_ptr<Partition>> open(store::FileSystem& fs, std::string directory,
                                                 const PartitionOptions& options, const PartitionState& state,
                                                 RecoveryReport& report);
  ~Partition();
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  /// Appends one or more whole sealed batches, one or more in each piece; the first base offset is at or
  /// after end(), and each is at or after the one before. Written without waiting for the disk. Trusts the
  /// CRC. `now` decides the roll by age. Errors: kInvalidArgument (base below end(), not whole batches),
  /// kMessageTooLarge, kDiskFull, kIo, kCorrupt; none appends anything.
  Status append(std::span<const std::string_view> pieces, Timestamp now);
  Status append(std::string_view batches, Timestamp now) { return append({&batches, 1}, now); }
  /// As append(), for one batch from the journal: checks its CRC; skips it (false) when its last offset is
  /// below end() or start(). When it overlaps end() in part, what is stored is first cut back to its base:
  /// the journal's order is right. Errors: as append(); kCorrupt (not sticky: the partition is as before) for
  /// a bad batch, or an overlap below synced_end().
  Result<bool> replay(std::string_view batch, Timestamp now);
  /// Removes every batch that is not wholly below `to`; end() is then the end of the last batch kept, or
  /// start() when that is above it. Not durable by itself. Errors: kIo, kCorrupt.
  Status truncate_to(Offset to);
  /// Moves the start up and deletes segments wholly below it (never the active one). Errors: kOutOfRange
  /// (past end()), kIo, kCorrupt.
  Status advance_start(Offset to);
  /// Begins a new segment at end(), unless the active one is empty. Errors: kDiskFull, kIo, kCorrupt.
  Status roll(Timestamp now);
  /// Puts what a Cleaner left of the segments [base, end) in their place: one segment, whose files stand
  /// beside them and are synced. Durable on return; a crash leaves the old segments or the new one, which
  /// open() sees to. Readers of the old files keep them. Errors: kFailedPrecondition (these are no longer
  /// segments below synced_end(): nothing was done), kIo, kDiskFull (nothing was done), kCorrupt.
  Status swap_in(Offset base, Offset end);
  /// Raises what marks() says; lower ones stay. Durable on return. Errors: kDiskFull, kIo (nothing changed).
  Status raise_marks(const CompactionMarks& to);
  /// What compaction took from readers. When the file was damaged: as if everything had been compacted.
  [[nodiscard]] const CompactionMarks& marks() const noexcept { return marks_; }

  /// Whole batches of one segment from the one that holds `from` (or the first after it), at most `bytes_max`
  /// but at least one, all of them wholly below `limit`. Checks the headers it passes, not the CRCs. Errors:
  /// kOutOfRange (below start() or above end()), kCorrupt, kIo.
  Result<FileRange> read(Offset from, std::size_t bytes_max, Offset limit);
  /// As read(), but its batches were checked, CRC included: each stretch of a file once in the life of the
  /// process, what the process wrote itself never. What happens to the file later is seen by the reader's own
  /// check of the CRC.
  Result<FileRange> read_checked(Offset from, std::size_t bytes_max, Offset limit);
  /// As read(), but puts the bytes into `out` (replaced) and checks the CRC of each batch. Returns where to
  /// go on.
  Result<Offset> read_verified(Offset from, std::size_t bytes_max, Offset limit, std::string& out);
  /// The first record of `among` with a timestamp at or after `at`, if there is one. In a compressed batch:
  /// the batch's first offset, or `among.start`. Errors: kCorrupt, kIo.
  Result<std::optional<TimedOffset>> find_time(Timestamp at, PartitionEnds among);
  /// The largest timestamp of the batches that reach beyond `among.start` and end by `among.end`, and its
  /// batch's last offset; nothing when there is none. Errors: kCorrupt, kIo.
  Result<std::optional<TimedOffset>> find_max_time(PartitionEnds among);
  /// Reads and checks every batch and index entry from start() to end(). Wrong indexes are made anew. Errors:
  /// kCorrupt (sticky), kIo.
  struct VerifyReport {
    std::uint64_t batches = 0;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::uint64_t segments = 0;
    std::vector<std::string> warnings;  ///< indexes that were wrong and made anew
  };
  Result<VerifyReport> verify();

  /// Writes out index entries and takes all that is not synced. Does not block on the disk.
  [[nodiscard]] Result<SyncTicket> begin_sync();
  /// Tells that `ticket` ran and was ok: synced_end() rises to its end, unless a truncation came between.
  void end_sync(const SyncTicket& ticket);

  [[nodiscard]] Offset start() const noexcept { return start_; }
  [[nodiscard]] Offset end() const noexcept { return end_; }
  [[nodiscard]] Offset synced_end() const noexcept { return synced_end_; }
  /// For what is appended from now on.
  void set_options(const PartitionOptions& options);
  [[nodiscard]] const EpochLineage& lineage() const noexcept { return lineage_; }
  [[nodiscard]] TopicId topic() const noexcept { return topic_; }
  [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
  /// Bytes of all segments, without indexes.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  /// Bytes appended since the last begin_sync().
  [[nodiscard]] std::uint64_t bytes_unsynced() const noexcept { return bytes_unsynced_; }
  /// When the first append to the active segment was; of an earlier life, what its first batch says of that.
  [[nodiscard]] Timestamp active_since() const noexcept { return active_since_; }
  /// When the last append was; of an earlier life, when this one began.
  [[nodiscard]] Timestamp appended_at() const noexcept { return appended_at_; }
  /// Grows with each truncation that changed something.
  [[nodiscard]] std::uint64_t truncations() const noexcept { return truncations_; }
  /// Where truncate_to(to) would end. Errors: kCorrupt, kIo.
  Result<Offset> end_below(Offset to);
  /// What retention decides on; the last one is active and never deleted.
  struct SegmentInfo {
    Offset base;
    Offset end;
    std::uint64_t bytes;
    Timestamp max_timestamp;
    Timestamp first_timestamp;  ///< of the first batch; below zero when it has none
  };
  [[nodiscard]] std::vector<SegmentInfo> segments() const;
  /// ok, or the damage that was found, naming file and position.
  [[nodiscard]] const Status& fault() const noexcept { return fault_; }

 private:
  Partition(store::FileSystem& fs, std::string directory, const PartitionOptions& options);
  Status load_metadata();
  Status recover(const PartitionState& state, RecoveryReport& report);
  Status recover_sealed(std::size_t count, RecoveryReport& report);
  Status recover_tail(std::size_t first, Offset recovery_point, RecoveryReport& report);
  Status recover_lineage(Offset scanned_from, const EpochLineage& scanned, RecoveryReport& report);
  /// Removes what cleanings did not finish, and finishes what is past the point of return.
  Status finish_cleanings(std::vector<std::string>& warnings);
  /// The second half of swap_in(): "<base>.log.swap" stands for [base, end). May be repeated.
  Status finish_swap(Offset base, Offset end);
  Status load_marks(RecoveryReport& report);
  Status add_segment(Offset base);
  /// Deletes the files of segments [first, last) and forgets them.
  Status drop_segments(std::size_t first, std::size_t last);
  Status write_batches(std::span<const std::string_view> pieces, Timestamp now);
  /// The segment, open; closes the one that was not used for longest when there are too many.
  Result<Segment*> use(std::size_t index, std::vector<std::string>* warnings = nullptr);
  void forget_open(const Segment* segment);
  [[nodiscard]] std::size_t segment_of(Offset offset) const;
  [[nodiscard]] Segment& active() const { return *segments_.back(); }
  /// Makes kCorrupt sticky; hands the status on.
  Status note(Status status);

  store::FileSystem* fs_;
  std::string directory_;
  PartitionOptions options_;
  TopicId topic_;
  std::vector<std::unique_ptr<Segment>> segments_;
  std::vector<Segment*> open_;  ///< sealed, but open for readers; most recently used last
  std::vector<std::shared_ptr<store::File>> unsynced_files_;  ///< of segments rolled since begin_sync()
  CompactionMarks marks_;
  EpochLineage lineage_;
  std::uint64_t lineage_version_ = 0;
  std::uint64_t lineage_stored_ = 0;  ///< the version that the checkpoint file holds
  bool directory_dirty_ = false;
  bool active_dirty_ = false;
  Offset start_{0};
  Offset end_{0};
  Offset synced_end_{0};
  Timestamp active_since_{};  ///< time of the first append to the active segment
  Timestamp appended_at_{};   ///< time of the last one
  std::uint64_t bytes_ = 0;
  std::uint64_t bytes_unsynced_ = 0;
  std::uint64_t write_back_from_ = 0;
  std::uint64_t truncations_ = 0;
  Status fault_;
};

/// "<topic>-<partition>", the name of a partition's directory.
[[nodiscard]] std::string partition_directory_name(std::string_view topic_name, PartitionIndex partition);

}  // namespace afdg::log
