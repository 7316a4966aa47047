#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/thread.h"
#include "log/message_log.h"
#include "log/partition.h"
#include "log/producers.h"
#include "store/file_system.h"

namespace afdg::log {

/// Bugs that a test plants to see that the checkers find them; never configuration.
struct PlantedBugs {
  bool skip_sync = false;                  ///< the journal is written, not synced
  bool ack_before_sync = false;            ///< completions run before the commit is written
  bool reuse_before_segment_sync = false;  ///< journal space is released before segments are synced
  bool skip_cleaner_sync = false;          ///< a compacted segment takes its place before it is on the disk
  bool marks_after_swap = false;           ///< readers are told of a compaction when it is done
  bool cleaned_outlives_cut = false;       ///< what replaces truncated records is held for compacted, too
};

/// Who commits and who writes segments.
enum class LogThreads : std::uint8_t {
  kBackground,  ///< a journal thread and a thread for segments
  kNone,        ///< nobody: the owner calls pump(). One thread, deterministic
};

struct LogOptions {
  /// Where all files go. Created when absent; the caller holds its lock.
  std::string directory;
  /// Size of the journal's file when grown, bytes. Half of it is about what a restart replays at most.
  std::uint64_t journal_bytes = 128u << 20;
  /// Zero-filled before the first commit, bytes; the rest is filled in the background.
  std::uint64_t journal_initial_bytes = 8u << 20;
  /// A batch of at least so many bytes goes straight to its segment.
  std::uint64_t large_append_bytes = 256u << 10;
  /// Appends taken and not yet in segments, bytes; more is kOverloaded.
  std::uint64_t bytes_in_flight_max = 64u << 20;
  /// Kept on the disk as a file, so that the node can start when the disk is full, see release_reserve();
  /// segments leave as much free. Bytes.
  std::uint64_t reserve_bytes = 1u << 20;
  /// Largest batch, bytes.
  std::size_t batch_bytes_max = kBatchBytesMax;
  /// What a partition remembers of its idempotent producers.
  ProducersOptions producers;
  /// The same for all partitions together, about 400 bytes each; more are kOverloaded.
  std::size_t producers_node_max = 500000;
  /// A start goes over about so many bytes of a partition's batches, by their headers, to learn of producers:
  /// a checkpoint after that makes a snapshot. At an orderly stop and when a segment was begun a 64th is
  /// enough.
  std::uint64_t producer_scan_bytes = 4u << 20;
  /// Memory of one round of compaction for the keys that it goes over, bytes; when it is full the round ends.
  std::size_t cleaner_map_bytes = 16u << 20;
  /// How often is looked for partitions to compact; Kafka's log.cleaner.backoff.ms.
  std::chrono::milliseconds cleaner_interval{15'000};
  /// How long segment work rests after the disk was found full.
  std::chrono::milliseconds disk_full_retry{200};
  LogThreads threads = LogThreads::kBackground;
  /// Of the thread that commits, afdg-journal; when it is kRealtime, no other commits (Log::lead). What the
  /// kernel refuses leaves it ordinary.
  Scheduling journal_scheduling = Scheduling::kOrdinary;
  /// Called at the first failed write or sync that is not "disk full". Default: prints and aborts. A handler
  /// that returns leaves a log that refuses everything.
  std::function<void(const Error&)> fatal;
  /// Called with a sentence for a person. Default: nothing.
  std::function<void(const std::string&)> warn;
  /// Called after the completions of each commit, on the thread that called them: whoever gathers what they
  /// released lets it go.
  std::function<void()> committed;
  /// Identity of a new journal; 0: random. For tests that must repeat.
  std::uint64_t journal_id = 0;
  PlantedBugs planted;
};

/// How a topic's partitions are stored. Kept beside the log, so that a restart knows it.
struct TopicOptions {
  std::uint64_t segment_bytes = 64u << 20;
  std::chrono::milliseconds segment_age = std::chrono::hours(24 * 7);
  /// Kafka's cleanup.policy: whether what is old or too much may go, and whether what a later record of the
  /// same key replaced may go. Neither: everything is kept.
  bool cleanup_delete = true;
  bool cleanup_compact = false;
  /// With cleanup_delete. Batches older than this may go; nothing: kept for ever. Whole segments; the active
  /// one ends when all of it may go, five minutes after the last append.
  std::optional<std::chrono::milliseconds> retention_age;
  /// With cleanup_delete. Oldest segments may go while as many bytes are left without them; nothing: no
  /// limit.
  std::optional<std::uint64_t> retention_bytes;
  /// With cleanup_compact. Bytes that were never cleaned, as a part of all that could be: from there on it is
  /// done. 0 to 1.
  double min_cleanable_dirty_ratio = 0.5;
  /// With cleanup_compact. Younger records are left as they are.
  std::chrono::milliseconds min_compaction_lag{0};
  /// With cleanup_compact. A record that was not cleaned for so long is, whatever the ratio.
  std::optional<std::chrono::milliseconds> max_compaction_lag;
  /// With cleanup_compact. How long a tombstone (a key without a value) stays after it was first cleaned, for
  /// readers that are on their way.
  std::chrono::milliseconds delete_retention{std::chrono::hours(24)};
  /// Retention and compaction wait for MessageLog::set_applied. Set (and kept) by region_log() for messages
  /// and changes.
  bool held_by_region = false;
};

struct RegionStreams {
  TopicPartition messages;
  TopicPartition changes;
  TopicPartition dead;
};

/// What a start found and did.
struct LogRecovery {
  bool clean = false;  ///< the stop before was orderly
  std::size_t topics = 0;
  std::size_t partitions = 0;
  std::uint64_t commits_replayed = 0;
  std::uint64_t batches_replayed = 0;
  std::uint64_t bytes_replayed = 0;
  std::uint64_t journal_bytes_cut = 0;
  std::vector<std::string> warnings;
  struct Faulty {
    TopicPartition partition;
    std::string sentence;
  };
  std::vector<Faulty> faulty;
};

struct PartitionDescription {
  std::string topic_name;
  Offset start;
  Offset end;               ///< committed
  std::uint64_t bytes = 0;  ///< in segments
  std::size_t segments = 0;
  Epoch epoch{-1};  ///< highest writer's epoch
  CompactionMarks compaction;
  Status fault;
};

/// Counters since the start. All grow.
struct LogMetrics {
  std::uint64_t commits = 0;
  std::uint64_t appends = 0;
  std::uint64_t bytes_appended = 0;   ///< batches
  std::uint64_t bytes_journaled = 0;  ///< frames, padding included
  std::uint64_t bytes_segments = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t bytes_in_flight = 0;              ///< now
  std::uint64_t journal_bytes_used = 0;           ///< now
  bool disk_full = false;                         ///< now
  std::uint64_t duplicates = 0;                   ///< batches that were sent again, and were stored already
  std::uint64_t producers = 0;                    ///< remembered, now
  std::uint64_t partition_producers_refused = 0;  ///< batches of new ones, because of the partition's limit
  std::uint64_t node_producers_refused = 0;       ///< the same, because of the node's
  std::uint64_t cleaner_rounds = 0;               ///< compactions of a partition that were ended
  std::uint64_t cleaner_bytes_read = 0;
  std::uint64_t cleaner_bytes_written = 0;
  std::uint64_t commit_us_sum = 0;
  /// Commits whose write and sync took less than 2^i microseconds (and at least half of it).
  std::array<std::uint64_t, 24> commit_us_log2{};
};

/// Where an appended batch is, or will be once it is committed.
struct Appended {
  Offset base;
  /// The producer sent it before: nothing was appended, and `base` is where it was stored then.
  bool duplicate = false;
};

/// Who computed the CRC of a batch that is appended.
enum class CrcCheck : std::uint8_t {
  kHere,                        ///< append() does, and refuses damage
  kCallerHasVerifiedTheseBytes  ///< after the last change to them; wrong bytes would make the partition
                                ///< faulty
};

/// How a batch is handed to append().
struct AppendHow {
  CrcCheck crc = CrcCheck::kHere;
  /// Keeps the batch's first byte and all others alive: they are the log's from then on, which writes the
  /// offset and the epoch into them. Null: they are copied.
  std::shared_ptr<char> owned{};
  /// The caller calls lead() soon: nobody else needs to be woken to commit.
  bool leads = false;
};

/// Whole batches, as stored.
struct BatchBytes {
  std::string bytes;
  Offset next;  ///< where to go on
};

/// Whole batches, in memory or in their file: one of the two is empty.
struct Portion {
  std::string bytes;
  FileRange range;
  Offset next;  ///< where to go on
  [[nodiscard]] std::uint64_t size() const noexcept { return bytes.size() + range.size; }
};

/// Told of partitions that changed. Called after the completions of a commit, on the thread that called them,
/// or on a thread of the log or of the caller that found the change; never two calls at once for one log. The
/// commits of the whole log wait for it: hand over and return. A call is a hint, read to learn what changed.
/// It may arm, read and append; it may not wait for the log (drain, truncate, checkpoint, close) nor destroy
/// its watcher.
using WatchListener = std::function<void(std::span<const TopicPartition>)>;

/// All partitions of a node: one journal, many segments.
///
///     append -> [pending] -> commit: one frame, one sync -> completion -> readable -> segments (background)
///     -> journal reuse
///
/// Readers see committed batches at once: from memory until they are in their segment, from there afterwards.
/// Thread-safety: safe; a RegionLog is confined as MessageLog says. Errors: after a failed write or sync
/// everything is kIo. A faulty partition answers kCorrupt, the others go on. kDiskFull: nothing was taken;
/// reads go on, and so do appends by themselves once there is space. Bounds: bytes_in_flight_max.
class Log {
  class Impl;

 public:
  /// Recovers and starts. Errors: kCorrupt (journal, recovery point or the list of partitions damaged: the
  /// node must not start), kNewerFormat, kDiskFull, kUnwritable, kIo.
  static Result<std::unique_ptr<Log>> open(store::FileSystem& fs, Clock& clock, const LogOptions& options);
  /// As close(), errors ignored; nothing in flight is waited for after a fatal error.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  [[nodiscard]] const LogRecovery& recovery() const;
  /// Gives the reserve of a closed log back to a disk that is too full for a start; the start takes what is
  /// left of it again. Ok when there is none. Errors: kIo.
  static Status release_reserve(store::FileSystem& fs, const std::string& directory);
  /// Takes what can be had of the reserve again, once whoever shares the disk has started. Errors: kIo.
  Status take_reserve();

  /// Makes a partition, or tells an existing one its options. Durable on return. Errors: kInvalidArgument
  /// (name), kAlreadyExists (another topic of that name), kDiskFull, kIo.
  Status create_partition(TopicPartition partition, std::string_view topic_name,
                          const TopicOptions& options = {});
  /// Several at once: one durable step for all of them (a grid's regions).
  struct NewPartition {
    TopicPartition partition;
    std::string topic_name;
    TopicOptions options;
  };
  Status create_partitions(const std::vector<NewPartition>& partitions);
  /// Removes all partitions of a topic; durable on return. Ok when there are none.
  Status delete_topic(TopicId topic);

  /// The region's log over three partitions, which from now on only it writes. Errors: kNotFound, kDiskFull,
  /// kIo. A faulty partition shows in MessageLog::open(): kCorrupt. Ownership: destroy it before the Log; its
  /// completions are not called after its destruction.
  Result<std::unique_ptr<MessageLog>> region_log(const RegionStreams& streams);

  /// Appends one batch to a topic that is not a region's; `done` as in MessageLog. Returns the base offset it
  /// gets. A batch with a producer id is checked against what the partition remembers of its producer (see
  /// Producers), in the order of appends: one that was sent before appends nothing, and its `done` tells what
  /// became of the first. Errors (nothing was taken): kNotFound, kFailedPrecondition (a region's),
  /// kMessageTooLarge, kCorrupt, kDiskFull, kOverloaded, kOutOfOrderSequence, kProducerFenced,
  /// kInvalidRecord.
  Result<Appended> append(TopicPartition partition, std::string_view batch, Epoch leader_epoch,
                          AppendDone done, AppendHow how = {});
  /// Removes every batch not wholly below `to`, and what is remembered of producers with them. Nobody may
  /// append meanwhile. Durable on return. Returns the new end.
  Result<Offset> truncate(TopicPartition partition, Offset to);
  /// Moves the first readable offset up. Durable on return. Errors: kOutOfRange past the committed end.
  Status advance_start(TopicPartition partition, Offset to);

  /// Whole batches below the committed end, from the one that holds `from`; about `bytes_max`, but at least
  /// one. Empty at the end. CRCs are checked on the way from a segment. Errors: kNotFound, kOutOfRange,
  /// kCorrupt, kIo.
  Result<BatchBytes> read_batches(TopicPartition partition, Offset from, std::size_t bytes_max);
  /// As read_batches(), but leaves at least `in_file_min` bytes in their file, if there are so many in one
  /// piece, for sendfile: the file stays readable, also after its deletion. CRCs of a stretch of a file are
  /// checked once in the life of the process. A truncation meanwhile may change what was not yet sent.
  Result<Portion> read_portion(TopicPartition partition, Offset from, std::size_t bytes_max,
                               std::size_t in_file_min);
  /// Where to read from to see every record with a timestamp at or after `at`, and few before it: the time
  /// index, or the first batch that is not yet in a segment. Errors: kNotFound, kCorrupt, kIo.
  Result<Offset> find_time(TopicPartition partition, Timestamp at);
  /// The record with the largest timestamp: of a batch, its last offset. Nothing when empty. Errors: as
  /// find_time().
  Result<std::optional<TimedOffset>> find_max_time(TopicPartition partition);
  /// What can be read. Cheap: no file is looked at. Errors: kNotFound, kCorrupt (faulty).
  [[nodiscard]] Result<PartitionEnds> ends(TopicPartition partition) const;

  /// Lets one listener wait for many partitions. Who waits costs nothing until something happens:
  ///
  ///     read to the end E -> arm(p, E) -> kMoved: read again; kWaiting: the listener is told once -> read
  ///     again
  ///
  /// Thread-safety: safe. Ownership: destroy it before the Log.
  class Watcher {
   public:
    enum class Armed : std::uint8_t {
      kWaiting,  ///< the next change of the partition is told, once
      kMoved,    ///< the end is another one already; nothing will be told
    };
    /// Waits for a call of the listener that is under way; none comes afterwards.
    ~Watcher();
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    /// Asks to be told of the next commit, truncation, move of the start, deletion or fault of the partition,
    /// or of the end of the log, unless its committed end is no longer `end_seen`. Nothing falls in between.
    /// Armed again before it was told: told once. Errors: kNotFound (deleted too), kCorrupt, kUnavailable
    /// (closed), kIo; none of them arms.
    Result<Armed> arm(TopicPartition partition, Offset end_seen);

   private:
    friend class Log;
    Watcher(Impl& impl, std::size_t slot) : impl_(impl), slot_(slot) {}
    Impl& impl_;
    const std::size_t slot_;
  };
  /// A new watcher; it gets only what it armed. Bounds: kWatchersMax at a time; more is kOverloaded.
  Result<std::unique_ptr<Watcher>> watch(WatchListener listener);
  static constexpr std::size_t kWatchersMax = 8;

  [[nodiscard]] Result<PartitionDescription> describe(TopicPartition partition) const;
  /// Where the batches of the largest leader epoch not above `epoch` end (KIP-279); `epoch` itself and where
  /// the first known one begins when all that is there is of newer ones; -1 and -1 when nothing is there.
  /// Errors: kNotFound, kCorrupt.
  [[nodiscard]] Result<EpochLineage::EpochEnd> end_of_epoch(TopicPartition partition, Epoch epoch) const;
  [[nodiscard]] std::vector<TopicPartition> partitions() const;
  [[nodiscard]] LogMetrics metrics() const;
  /// Half of bytes_in_flight_max is taken: whoever can hold its sender up does so now, before appends are
  /// refused. False on a full disk, where appends are to be refused.
  [[nodiscard]] bool crowded() const noexcept;

  /// Commits what is pending, if nobody else is committing and it is at most kLeadBytesMax: for more the
  /// disk takes long enough that the journal's thread does it while the caller goes on. True when it led.
  bool lead();
  static constexpr std::uint64_t kLeadBytesMax = 384u << 10;
  /// kNone: commits, then does a round of segment work. Returns whether there was anything to do.
  bool pump();
  /// kNone: compacts the partition that needs it most. Returns whether one did.
  bool clean();
  /// Writes and syncs all segments and lets the journal start afresh. Durable on return. Errors: kDiskFull,
  /// kIo.
  Status checkpoint();
  /// Returns when every append so far is decided and its completion was called. Errors: kDiskFull, kIo.
  Status drain();
  /// Drains, syncs, and leaves the mark of an orderly stop. Errors: kDiskFull, kIo: the next start replays
  /// the journal.
  Status close();

 private:
  friend class RegionLog;
  explicit Log(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace afdg::log
