#include <algorithm>
#include <limits>
#include <thread>

#include "log/cleaner.h"
#include "log/log_impl.h"

// Compaction of the partitions whose topics ask for it. A round cleans one partition; it reads and writes
// beside everything else, and takes a lock only to begin and for each segment that it swaps in.
namespace afdg::log {
namespace {

constexpr std::uint64_t kBytesPerSecond = 64u << 20;
constexpr std::uint64_t kBytesAtOnce = 1u << 20;
constexpr Offset kNoLimit{std::numeric_limits<std::int64_t>::max()};

/// What of a partition may be cleaned now, and how dirty that is.
struct Candidate {
  ShardRef shard;
  CleanerJob job;
  std::uint64_t truncations = 0;
  double dirty = 0;
};

}  // namespace

/// Errors: kUnavailable, a round that was told to end.
Status Log::Impl::may_clean(const Shard& shard) {
  {
    const std::lock_guard lock(cleaner_wait_mutex_);
    if (cleaner_stop_) return fail(Code::kUnavailable, "the log closes");
  }
  if (failed_) return failure();
  if (holds_back()) return fail(Code::kDiskFull, "the disk is full");
  const std::lock_guard lock(queue_mutex_);
  if (shard.deleted || !shard.options.cleanup_compact)
    return fail(Code::kUnavailable, "the topic is not to be cleaned any more");
  return {};
}

std::optional<Log::Impl::Compaction> Log::Impl::compaction_of(const Shard& shard) {
  const std::lock_guard lock(queue_mutex_);
  if (shard.deleted || !shard.options.cleanup_compact || shard.uncleanable) return std::nullopt;
  const Offset limit = shard.options.held_by_region ? shard.compaction_limit : kNoLimit;
  return Compaction{shard.options, limit};
}

bool Log::Impl::lacks_point(Shard& shard, Timestamp now) {
  const auto asked = compaction_of(shard);
  if (!asked) return false;
  const std::lock_guard io(shard.io_mutex);
  if (!shard.partition || !shard.partition->fault().ok()) return false;
  Partition& partition = *shard.partition;
  const auto longest = asked->options.max_compaction_lag;
  if (longest && partition.segments().back().bytes > 0 && now - partition.active_since() > *longest) {
    if (!partition.roll(now).ok()) return false;  // it is met again where it matters
    shard.unsynced = true;
  }
  auto segments = partition.segments();
  segments.pop_back();
  const std::lock_guard lock(shard.tail_mutex);
  return std::any_of(segments.begin(), segments.end(), [&](const Partition::SegmentInfo& segment) {
    return segment.end > shard.point_end && segment.end <= asked->limit;
  });
}

bool Log::Impl::clean_round() {
  if (failed_ || holds_back()) return false;
  std::vector<ShardRef> shards;
  {
    const std::lock_guard lock(shards_mutex_);
    for (const auto& [id, shard] : shards_) shards.push_back(shard);
  }
  const Timestamp now = clock_.now();
  bool lacking = false;
  for (const ShardRef& shard : shards) lacking = lacks_point(*shard, now) || lacking;
  if (lacking) checkpoint(false).ignore("what the last one covers is cleaned meanwhile");
  std::optional<Candidate> best;
  for (const ShardRef& shard : shards) {
    const auto asked = compaction_of(*shard);
    if (!asked) continue;
    const TopicOptions& options = asked->options;
    Candidate candidate{.shard = shard, .job = {}};
    {
      const std::lock_guard lock(queue_mutex_);
      if (shard->producers) candidate.job.keep_empty = shard->producers->last_bases();
    }
    const std::lock_guard io(shard->io_mutex);
    if (!shard->partition || !shard->partition->fault().ok()) continue;
    Partition& partition = *shard->partition;
    const auto segments = partition.segments();
    const Offset cleaned = shard->cleaned;
    Offset end = std::min(asked->limit, partition.synced_end());
    {
      const std::lock_guard lock(shard->tail_mutex);
      end = std::min(end, shard->point_end);
    }
    std::uint64_t dirty = 0;
    std::uint64_t all = 0;
    bool overdue = false;
    for (std::size_t i = 0; i + 1 < segments.size(); ++i) {
      const auto& segment = segments[i];
      if (segment.end > end) break;
      // Without a lag also what bears a time to come is cleaned, as by Kafka.
      const bool lags = options.min_compaction_lag.count() > 0;
      if (lags && now - segment.max_timestamp < options.min_compaction_lag) break;
      candidate.job.sources.push_back({segment.base, segment.end, segment.bytes});
      all += segment.bytes;
      if (segment.end <= cleaned) continue;
      dirty += segment.bytes;
      overdue = overdue || (options.max_compaction_lag && segment.first_timestamp > Timestamp{} &&
                            now - segment.first_timestamp > *options.max_compaction_lag);
    }
    if (dirty == 0) continue;
    candidate.dirty = static_cast<double>(dirty) / static_cast<double>(all);
    if (overdue) candidate.dirty = 1;
    if (!overdue && candidate.dirty < options.min_cleanable_dirty_ratio) continue;
    if (best && best->dirty >= candidate.dirty) continue;
    candidate.job.directory = path(kPartitionsDirectory) + "/" + shard->name;
    candidate.job.dirty = cleaned;
    candidate.job.now = now;
    candidate.job.delete_retention = options.delete_retention;
    candidate.job.segment_bytes = options.segment_bytes;
    candidate.truncations = partition.truncations();
    best = std::move(candidate);
  }
  if (!best) return false;
  const std::lock_guard one(cleaning_mutex_);
  const Status cleaned = clean(*best->shard, std::move(best->job), best->truncations);
  if (cleaned.code() == Code::kCorrupt) record_fault(*best->shard, cleaned.error());
  if (cleaned.code() == Code::kIo && may_clean(*best->shard).ok()) fatal(cleaned.error());
  if (cleaned.code() == Code::kMessageTooLarge) {
    // Another try would end as this one did, and others wait.
    {
      const std::lock_guard lock(queue_mutex_);
      best->shard->uncleanable = true;
    }
    if (options_.warn) options_.warn(best->shard->name + ": " + cleaned.error().text());
    return true;
  }
  return cleaned.ok();
}

Status Log::Impl::clean(Shard& shard, CleanerJob job, std::uint64_t truncations) {
  const Offset dirty = job.dirty;
  std::uint64_t since_asked = 0;
  const auto spend = [&](std::uint64_t bytes) -> Status {
    since_asked += bytes;
    if (since_asked < kBytesAtOnce) return {};
    if (options_.threads == LogThreads::kBackground)
      std::this_thread::sleep_for(std::chrono::microseconds(since_asked * 1'000'000 / kBytesPerSecond));
    since_asked = 0;
    return may_clean(shard);
  };
  AFDG_TRY(may_clean(shard));
  CleanerLimits limits;
  limits.map_bytes = options_.cleaner_map_bytes;
  limits.batch_bytes_max = options_.batch_bytes_max;
  limits.planted_skip_sync = options_.planted.skip_cleaner_sync;
  Cleaner cleaner(fs_, std::move(job), limits, cleaner_random_, spend);
  const auto account = [&] {
    counters_.cleaner_bytes_read += cleaner.bytes_read();
    counters_.cleaner_bytes_written += cleaner.bytes_written();
  };
  auto until = cleaner.survey();
  if (!until.ok()) {
    account();
    return until.status();
  }
  for (;;) {
    auto group = cleaner.next_group();
    Status swapped = group.status();
    if (swapped.ok() && *group && !(*group)->same) {
      const std::lock_guard io(shard.io_mutex);
      swapped =
          !shard.partition || shard.partition->truncations() != truncations
              ? fail(Code::kFailedPrecondition, shard.name + " changed while it was cleaned")
              : swap_group(shard, {*until, (*group)->tombstones_gone_below}, (*group)->base, (*group)->end);
    }
    if (!swapped.ok()) {
      cleaner.discard();
      account();
      return swapped;
    }
    if (!*group) break;
  }
  account();
  const std::lock_guard io(shard.io_mutex);
  if (shard.partition && shard.partition->truncations() == truncations)
    shard.cleaned = std::max(*until, dirty);
  counters_.cleaner_rounds.fetch_add(1, std::memory_order_relaxed);
  return {};
}

// Invariant 9: a reader learns what it will not find before it is gone, and a region that rebuilds its state
// (its limit is 0 then, see RegionLog::open) reads segments that do not change under it.
Status Log::Impl::swap_group(Shard& shard, const CompactionMarks& marks, Offset base, Offset end) {
  {
    const std::lock_guard lock(queue_mutex_);
    // A start will cut at the end of a batch that was chosen already.
    if (shard.truncating)
      return fail(Code::kUnavailable, shard.name + " is being truncated: it is cleaned later");
    if (shard.options.held_by_region && marks.history_start > shard.compaction_limit)
      return fail(Code::kUnavailable, shard.name + ": its region was opened anew: it is cleaned later");
  }
  if (options_.planted.marks_after_swap) AFDG_TRY(shard.partition->swap_in(base, end));
  AFDG_TRY(shard.partition->raise_marks(marks));
  {
    const std::lock_guard lock(shard.tail_mutex);
    shard.marks = shard.partition->marks();
  }
  return options_.planted.marks_after_swap ? Status() : shard.partition->swap_in(base, end);
}

void Log::Impl::cleaner_thread() {
  std::unique_lock lock(cleaner_wait_mutex_);
  while (!cleaner_wake_.wait_for(lock, options_.cleaner_interval, [this] { return cleaner_stop_; })) {
    lock.unlock();
    bool cleaned = false;
    while (clean_round()) cleaned = true;
    if (cleaned) checkpoint(false).ignore("after a crash what was done now is done again");
    lock.lock();
  }
}

}  // namespace afdg::log
