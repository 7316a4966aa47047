#pragma once

// What the .cc files of the embedded log share. For this folder only.

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "log/cleaner.h"
#include "log/gather.h"
#include "log/journal.h"
#include "log/journal_point.h"
#include "log/journal_record.h"
#include "log/log.h"
#include "log/log_list.h"
#include "log/log_plan.h"
#include "log/partition.h"

namespace afdg::log {

struct Part;
using PartRef = std::shared_ptr<Part>;

/// A committed batch that is not in its segment yet.
struct TailBatch {
  PartRef part;  ///< owns the bytes
  std::string_view bytes;
  Offset base;
  Offset next;
};

/// One partition and who may touch what of it.
struct Shard {
  TopicPartition id;
  std::string name;  ///< of its directory
  std::string topic_name;

  // Under Impl::queue_mutex_.
  TopicOptions options;
  Offset next{0};            ///< what the next append gets
  Epoch epoch{-1};           ///< highest writer's
  std::uint64_t writer = 0;  ///< token of the RegionLog that may append; 0: none yet
  bool region = false;
  bool deleted = false;
  // When held_by_region: of messages what was applied, of changes what the region's store holds.
  Offset retention_limit{0};
  Offset compaction_limit{0};
  std::unique_ptr<Producers> producers;  ///< null until a batch has a producer
  bool truncating = false;               ///< no snapshot of the producers may be made, no segment be swapped
  bool uncleanable = false;              ///< in this life: compaction met what it cannot write

  // Under tail_mutex, held for moments only.
  std::mutex tail_mutex;
  Offset start{0};
  Offset committed_end{0};
  Offset written_end{0};  ///< all below is in segments; the tail begins here
  CompactionMarks marks;
  /// A start cuts the segments here, or at a later truncation, and goes on with the journal. Compaction stays
  /// below: of what it wrote no batch may end there.
  Offset point_end{0};
  Offset point_next{0};  ///< what becomes of that when the checkpoint under way is done
  std::vector<TailBatch> tail;
  Status fault;
  std::atomic<bool> faulty{false};         ///< fault is not ok; read without a lock
  bool listed_dirty = false;               ///< in Impl::dirty_
  std::uint8_t watchers = 0;               ///< who is told of the next change, a bit each
  std::uint64_t bytes_since_snapshot = 0;  ///< committed since, of all that recovery would scan

  Offset start_asked{0};  ///< segment thread only: where retention last asked the start to be

  /// From begin_sync() to end_sync(): a ticket lacks what an earlier one still syncs, so nobody may rely on
  /// it before that one ran; and two would replace the same lineage file at once.
  std::mutex sync_mutex;

  // Under io_mutex, held over system calls; taken before tail_mutex.
  std::mutex io_mutex;
  std::unique_ptr<Partition> partition;  ///< null when its directory is lost
  std::size_t flush_bytes = 1u << 20;    ///< written at once; not above a segment's size
  bool unsynced = false;
  Offset cleaned{0};              ///< all below was compacted; kept by the recovery point
  std::vector<Offset> snapshots;  ///< of the producers, those with a file; growing
  Gather gather;                  ///< reused by flush
};
using ShardRef = std::shared_ptr<Shard>;

/// A batch from which on its bytes are kept where they are instead of copied, if their owner lets the log.
inline constexpr std::size_t kSharedBytes = 4u << 10;

/// One append or one step of administration, on its way into a commit.
struct Part {
  struct Entry {
    ShardRef shard;
    Offset base;
    Offset next;
    std::size_t at = 0;  ///< of the batch in `record`
    std::size_t size = 0;
    std::string large;  ///< the batch, when it goes straight to its segment
    bool written = false;
  };
  JournalKind kind = JournalKind::kAppend;
  std::string record;
  std::shared_ptr<char> behind;  ///< the only entry's batch, which follows the record, when it is not copied
  std::size_t behind_bytes = 0;
  std::array<Entry, kStreams> entries;
  std::size_t entry_count = 0;
  Offset offset;  ///< kTruncate, kStart
  std::uint64_t writer = 0;
  std::uint64_t counted = 0;  ///< in bytes_in_flight
  AppendDone done;
  bool repeat = false;  ///< kEpoch without a record, but with an entry: decided as an append to it would be
  bool lost =
      false;  ///< a partition of it is faulty: it is kUnknown, and not journaled unless it was already
  /// In the journal.
  [[nodiscard]] std::size_t bytes() const noexcept { return record.size() + behind_bytes; }
  [[nodiscard]] std::string_view batch(const Entry& entry) const noexcept {
    if (behind) return {behind.get(), behind_bytes};
    return std::string_view(record).substr(entry.at, entry.size);
  }
  [[nodiscard]] bool large() const noexcept {
    for (std::size_t i = 0; i < entry_count; ++i)
      if (!entries[i].large.empty()) return true;
    return false;
  }
};

/// Gives parts out and takes them back with their buffers; counts what is in flight.
/// Thread-safety: safe. Bounds: keeps at most kKept parts of at most kKeptBytes each.
class PartPool : public std::enable_shared_from_this<PartPool> {
 public:
  PartRef take();
  [[nodiscard]] std::uint64_t in_flight() const noexcept {
    return in_flight_.load(std::memory_order_relaxed);
  }
  void count(Part& part, std::uint64_t bytes) {
    part.counted = bytes;
    in_flight_.fetch_add(bytes, std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kKept = 256;
  static constexpr std::size_t kKeptBytes = 256u << 10;
  void give_back(Part* part);
  std::mutex mutex_;
  std::vector<std::unique_ptr<Part>> free_;
  std::atomic<std::uint64_t> in_flight_{0};
};

class Log::Impl {
 public:
  Impl(store::FileSystem& fs, Clock& clock, const LogOptions& options);
  ~Impl();

  // log_recovery.cc
  Status recover();
  Status start_fresh();
  Status recover_existing();
  Status open_shards(const std::vector<NewPartition>& list, const JournalSurvey& survey);
  /// Brings one record of the journal to its segments, unless they have it.
  Status replay(const JournalRecord& record, const std::function<bool(TopicPartition)>& skip);
  /// The same for one batch; on a full disk it stays in memory, behind what the segments have.
  Status replay(const ShardRef& shard, const AppendEntry& entry);
  /// Whether segments may still grow.
  bool has_room();
  void keep_in_memory(const ShardRef& shard, const AppendEntry& entry);
  void settle(const JournalSurvey& survey);
  Status remove_deleted(const std::set<TopicId>& deleted);
  /// Lets compaction go on where it ended, if the partition's directory is still the one that was compacted.
  void take_cleaned(Shard& shard, const Plan& plan);
  // log_commit.cc
  enum class Commit : std::uint8_t { kDone, kNothing, kNoRoom, kDiskFull, kFailed };
  /// One commit. Precondition: commit_mutex_ is held.
  Commit commit_once();
  /// Commits until nothing is pending or it cannot; takes the lock.
  void commit_all();
  bool lead();
  [[nodiscard]] bool worth_handing_over();
  /// Wakes the journal's thread if it sleeps and there is something to commit.
  void wake_journal();
  void journal_thread();
  Status submit_and_wait(const PartRef& part);
  Status drain();
  /// Puts a part behind the others. Precondition: queue_mutex_ is held by `lock`, and released on return.
  /// `leads`: the caller commits it, or finds somebody who is committing.
  void push(PartRef part, std::unique_lock<std::mutex>& lock, bool leads = false);
  /// Whether a part of that size may be taken now. Precondition: queue_mutex_ is held.
  Status admit(std::uint64_t bytes, bool large) const;
  [[nodiscard]] bool crowded() const noexcept;
  /// Puts a large batch into its segment and syncs it.
  Status write_large(Part::Entry& entry);
  /// Whether a part can no longer be stored whole, or follows one of its writer that was not; it is marked
  /// then.
  bool lose_if_faulty(Part& part);
  /// Marks a part as lost, and takes its large batches back that were written.
  void lose(Part& part);
  /// Makes a committed part readable; one whose partition became faulty meanwhile is lost.
  void apply(const PartRef& part);
  void forget_writer(std::uint64_t writer);
  Status failure() const;
  void fatal(const Error& error);

  // log_maintain.cc
  /// Segment work, checkpoint if due, retention, growth. Returns whether anything was done.
  bool maintain(bool idle);
  void segment_thread();
  Status flush(Shard& shard, Offset until);
  Status checkpoint(bool clean);
  Status sync_segments(Shard& shard, Offset end);
  /// Runs a ticket; one that failed for good ends the log before another can be run without what this one
  /// lacks. Precondition: sync_mutex is held. Errors: kDiskFull, kIo.
  Status run_sync(SyncTicket& ticket);
  /// What a recovery point tells of the compaction of a partition: nothing of a faulty one, it may be copied
  /// anew.
  static void tell_cleaned(Shard& shard, RecoveryPoint::Partition& out);
  Status write_point(const RecoveryPoint& point);
  void note_disk_full();
  /// Less is free than the reserve.
  [[nodiscard]] bool disk_low() const;
  /// What is left on a full disk is for a start: segments do not take it.
  [[nodiscard]] bool holds_back() const { return disk_full_ && disk_low(); }
  void try_resume();
  Status fill_reserve();
  /// For what the reserve lacks, and as much again.
  [[nodiscard]] bool has_room_for_reserve() const;
  void retain();
  /// Where retention moves the start of a partition to; begins a new segment when all of the active one may
  /// go and nothing came for five minutes. Precondition: io_mutex is held.
  Offset retain_to(Shard& shard, const TopicOptions& options, std::optional<Offset> limit, Timestamp now);
  /// Makes a checkpoint due, which deletes them, when there are segments below a start that moved.
  void look_for_drops();
  void mark_dirty(const ShardRef& shard);
  /// Tells the segment thread that there is work; `now`: it does not wait for more.
  void wake_segments(bool now);
  void record_fault(Shard& shard, const Error& error);

  // log_producers.cc
  /// Finds the snapshots of a partition, and makes its producers' state from the newest and the batches above
  /// it. For a start: nobody else uses the shard.
  Status recover_producers(Shard& shard);
  struct RebuiltProducers {
    std::unique_ptr<Producers> producers;  ///< null when the log tells of none
    std::uint64_t bytes_scanned = 0;
  };
  /// What the log below `end` tells of producers. Precondition: io_mutex is held.
  Result<RebuiltProducers> rebuild_producers(Shard& shard, Offset end, std::vector<std::string>* warnings);
  /// Removes the snapshots above `end`, durably. Precondition: io_mutex is held.
  Status drop_snapshots_above(Shard& shard, Offset end);
  /// Writes what is remembered of producers as of the committed end, if a start would have to scan much
  /// without it (little at an orderly stop), if a segment was begun since the last, or if `start` says that
  /// batches go which it is made from. Durable on return. Errors: kIo; kDiskFull, if it cannot be done
  /// without (else the next start scans more).
  Status snapshot_producers(Shard& shard, bool stopping, Offset start);
  void thin_snapshots(Shard& shard, Offset start);
  /// The time by which producers expire: grows evenly, whatever becomes of the machine's clock meanwhile.
  [[nodiscard]] Timestamp producer_time() const {
    return started_ +
           std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - started_ticks_);
  }

  // log_watch.cc
  /// A partition that changed, and whom to tell.
  struct Woken {
    TopicPartition id;
    std::uint8_t watchers;
  };
  Result<std::size_t> add_listener(WatchListener listener);
  void remove_listener(std::size_t slot);
  Result<Watcher::Armed> arm(std::size_t slot, TopicPartition id, Offset end_seen);
  /// Takes those who wait for the shard. Precondition: its tail_mutex is held.
  static void collect(Shard& shard, std::vector<Woken>& out);
  /// Tells everybody who waits, because the log ended.
  void collect_all();
  /// Calls the listeners and empties the list. Locks held by the caller: commit at most.
  void tell(std::vector<Woken>& woken);
  /// Tells of faults, and of the end of the log. No lock is held.
  void tell_faults();

  // log.cc
  Status create(const std::vector<NewPartition>& partitions);
  Status delete_topic(TopicId topic);
  /// Marks the partitions as a region's, durably.
  Status hold(const std::array<ShardRef, kStreams>& shards);
  Result<Appended> append(TopicPartition id, std::string_view batch, Epoch leader_epoch, AppendDone done,
                          AppendHow how);
  Result<Offset> truncate(TopicPartition id, Offset to);
  Result<Offset> cut_at(const ShardRef& shard, Offset to, Offset end);
  Status advance_start(TopicPartition id, Offset to);
  static Status fault_of(Shard& shard);
  /// Puts whole batches below the committed end into `out`; the next offset.
  /// Appends to `out` when `from` is in memory or the end, and gives where to go on; else nothing, and
  /// `limit` is up to where its file may be read.
  static Result<std::optional<Offset>> read_tail(Shard& shard, Offset from, std::size_t bytes_max,
                                                 std::string& out, Offset& limit);
  Result<Portion> read_portion(Shard& shard, Offset from, std::size_t bytes_max, std::size_t in_file_min);
  Result<Offset> read(Shard& shard, Offset from, std::size_t bytes_max, std::string& out);
  Result<PartitionDescription> describe(TopicPartition id) const;
  Result<EpochLineage::EpochEnd> end_of_epoch(TopicPartition id, Epoch epoch) const;
  [[nodiscard]] ShardRef find(TopicPartition id) const;
  [[nodiscard]] Result<ShardRef> need(TopicPartition id) const;
  [[nodiscard]] LogMetrics metrics() const;
  bool pump();
  Status close();
  void start_threads();
  void stop_threads();

  [[nodiscard]] std::string path(std::string_view name) const {
    return options_.directory + "/" + std::string(name);
  }
  [[nodiscard]] PartitionOptions partition_options(const TopicOptions& options) const;
  Status write_list();
  /// Compacts the partition that needs it most, if one does. Whether it did.
  bool clean_round();
  /// What a partition's topic asks of compaction.
  struct Compaction {
    TopicOptions options;
    Offset limit;  ///< its region's: all above stays as it is
  };
  /// Nothing: it is not to be cleaned.
  std::optional<Compaction> compaction_of(const Shard& shard);
  /// Begins a new segment if the active one is overdue. Whether there are segments to clean that the recovery
  /// point does not cover.
  bool lacks_point(Shard& shard, Timestamp now);
  Status clean(Shard& shard, CleanerJob job, std::uint64_t truncations);
  /// Raises the marks, then swaps. Precondition: io_mutex is held.
  Status swap_group(Shard& shard, const CompactionMarks& marks, Offset base, Offset end);
  Status may_clean(const Shard& shard);
  void cleaner_thread();

  store::FileSystem& fs_;
  Clock& clock_;
  LogOptions options_;
  std::uint64_t gather_bytes_max_ = kGatherBytesMax;  ///< a commit must fit even a small journal
  LogRecovery recovery_;
  const Timestamp started_;
  const Monotonic started_ticks_;
  ProducerBudget producer_budget_;  ///< before the shards, which give back to it
  std::shared_ptr<PartPool> pool_ = std::make_shared<PartPool>();
  std::unique_ptr<Journal> journal_;  ///< under commit_mutex_

  std::set<TopicId> deleted_;        ///< under admin_mutex_
  mutable std::mutex shards_mutex_;  ///< the map only; innermost
  std::unordered_map<TopicPartition, ShardRef> shards_;
  std::mutex admin_mutex_;  ///< one create or delete at a time; outermost

  // Order of locks: admin, cleaning, checkpoint, commit, sync, io, queue, tail, shards.
  std::mutex reserve_mutex_;
  std::mutex checkpoint_mutex_;
  std::mutex commit_mutex_;
  std::vector<PartRef> taking_;        ///< under commit_mutex_; kept when a commit must be tried again
  std::vector<JournalPiece> payload_;  ///< under commit_mutex_: of the commit under way
  /// Under commit_mutex_: regions' writers of which a part was lost, until they are forgotten.
  std::set<std::uint64_t> lost_writers_;
  mutable std::mutex queue_mutex_;
  std::vector<PartRef> pending_;
  std::size_t pending_front_ = 0;
  std::uint64_t pending_bytes_ = 0;  ///< records, under queue_mutex_
  std::uint64_t journal_free_ = 0;   ///< under queue_mutex_: what one commit may hold now
  bool journal_sleeping_ = false;
  bool commit_blocked_ = false;  ///< no room or disk full: the segment thread clears it
  bool stopping_ = false;
  std::condition_variable journal_wake_;
  std::uint64_t writers_ = 0;  ///< under queue_mutex_

  std::vector<Woken> woken_;  ///< under commit_mutex_: by the commit under way
  std::mutex watch_mutex_;    ///< over calls of listeners; nothing but commit is held when it is taken
  std::array<WatchListener, kWatchersMax> listeners_;
  std::uint8_t taken_slots_ = 0;         ///< under watch_mutex_
  std::vector<TopicPartition> telling_;  ///< under watch_mutex_
  std::mutex faulted_mutex_;             ///< innermost
  std::vector<Woken> faulted_;           ///< at most one for each partition: a faulty one is not armed
  std::atomic<bool> faulted_any_{false};
  std::atomic<bool> failure_told_{false};

  std::mutex segment_mutex_;
  std::condition_variable segment_wake_;
  std::vector<ShardRef> dirty_;
  bool segment_idle_ = false;
  bool segment_now_ = false;
  bool segment_stop_ = false;

  std::atomic<bool> disk_full_{false};
  /// The list still names topics that were deleted: the journal's records of that must stay.
  std::atomic<bool> list_outdated_{false};
  std::atomic<bool> growth_refused_{false};
  std::uint64_t room_asked_at_ = 0;  ///< recovery: disk_low() is asked when so many bytes were replayed
  std::atomic<bool> growing_{true};
  Monotonic retained_{};                    ///< segment thread only
  std::atomic<bool> starts_moved_{false};   ///< since look_for_drops()
  std::atomic<bool> drop_waits_{false};     ///< segments below a start go with the next checkpoint
  std::optional<Monotonic> drop_asked_at_;  ///< segment thread only: when that last made a checkpoint due
  std::atomic<bool> failed_{false};
  mutable std::mutex failure_mutex_;
  Status failure_;
  std::atomic<bool> closed_{false};

  std::thread journal_runner_;
  std::thread segment_runner_;

  std::mutex cleaning_mutex_;      ///< a round; after admin, before all others
  std::mutex cleaner_wait_mutex_;  ///< innermost
  std::condition_variable cleaner_wake_;
  bool cleaner_stop_ = false;    ///< under cleaner_wait_mutex_
  SystemRandom cleaner_random_;  ///< under cleaning_mutex_
  std::thread cleaner_runner_;

  struct Counters {
    std::atomic<std::uint64_t> commits{0}, appends{0}, bytes_appended{0}, bytes_journaled{0},
        bytes_segments{0}, checkpoints{0}, journal_used{0}, commit_us_sum{0}, duplicates{0},
        partition_producers_refused{0}, node_producers_refused{0}, cleaner_rounds{0}, cleaner_bytes_read{0},
        cleaner_bytes_written{0};
    std::array<std::atomic<std::uint64_t>, 24> commit_us_log2{};
  } counters_;
};

inline constexpr std::string_view kJournalFile = "journal";
inline constexpr std::string_view kPointFile = "recovery-point";
inline constexpr std::string_view kListFile = "partitions";
inline constexpr std::string_view kReserveFile = "reserve";
inline constexpr std::string_view kPartitionsDirectory = "topics";

}  // namespace afdg::log
