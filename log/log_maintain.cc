#include <algorithm>
#include <utility>

#include "log/log_impl.h"

namespace afdg::log {
namespace {

/// How long the segment thread lets batches gather, so that one write carries many commits.
constexpr std::chrono::milliseconds kGather{10};
constexpr std::chrono::milliseconds kGrowPace{5};
constexpr std::chrono::seconds kRetentionPace{5};
/// Kafka's log.retention.check.interval.ms: records that are too old when they come can be read meanwhile.
constexpr std::chrono::minutes kSilent{5};
/// Between two checkpoints that are made only so that segments can go.
constexpr std::chrono::seconds kDropPace{10};

}  // namespace

void Log::Impl::mark_dirty(const ShardRef& shard) {
  const std::lock_guard lock(segment_mutex_);
  dirty_.push_back(shard);
}

void Log::Impl::wake_segments(bool now) {
  if (options_.threads == LogThreads::kNone) return;
  bool wake = false;
  {
    const std::lock_guard lock(segment_mutex_);
    wake = segment_idle_ || (now && !segment_now_);
    segment_idle_ = false;
    segment_now_ = segment_now_ || now;
  }
  if (wake) segment_wake_.notify_one();
}

void Log::Impl::record_fault(Shard& shard, const Error& error) {
  {
    const std::lock_guard lock(shard.tail_mutex);
    if (shard.fault.ok()) shard.fault = error;
    shard.faulty = true;
    shard.tail.clear();
    shard.written_end = shard.committed_end;
    if (shard.watchers == 0) return;
    const std::lock_guard faulted(faulted_mutex_);
    collect(shard, faulted_);
    faulted_any_ = true;
  }
  wake_segments(true);  // locks are held here: the segment thread tells
}

Status Log::Impl::flush(Shard& shard, Offset until) {
  const std::lock_guard io(shard.io_mutex);
  std::vector<TailBatch> batches;
  for (;;) {
    batches.clear();
    std::size_t bytes = 0;
    {
      const std::lock_guard lock(shard.tail_mutex);
      for (const TailBatch& batch : shard.tail) {
        if (batch.base >= until || (bytes > 0 && bytes + batch.bytes.size() > shard.flush_bytes)) break;
        bytes += batch.bytes.size();
        batches.push_back(batch);
      }
    }
    if (batches.empty()) return {};
    if (!shard.partition) return fail(Code::kCorrupt, shard.name + ": its directory is missing");
    // Kept by a recovery on a full disk, and reaching over the start: append() takes nothing below the end.
    const bool below = batches.front().base < shard.partition->end();
    if (below) {
      batches.erase(batches.begin() + 1, batches.end());
      bytes = batches.front().bytes.size();
    }
    shard.gather.clear();
    for (const TailBatch& batch : batches) shard.gather.add(batch.bytes);
    AFDG_TRY(below ? shard.partition->replay(batches.front().bytes, clock_.now()).status()
                   : shard.partition->append(shard.gather.pieces(), clock_.now()));
    shard.unsynced = true;
    counters_.bytes_segments.fetch_add(bytes, std::memory_order_relaxed);
    const std::lock_guard lock(shard.tail_mutex);
    if (!shard.fault.ok()) return shard.fault;  // whoever found it has cleared the tail
    shard.tail.erase(shard.tail.begin(), shard.tail.begin() + static_cast<std::ptrdiff_t>(batches.size()));
    shard.written_end = batches.back().next;
  }
}

bool Log::Impl::maintain(bool idle) {
  if (failed_) return false;
  bool worked = false;
  std::vector<ShardRef> shards;
  if (!holds_back()) {
    const std::lock_guard lock(segment_mutex_);
    shards.swap(dirty_);
  }
  for (const ShardRef& shard : shards) {
    Offset until;
    {
      const std::lock_guard lock(shard->tail_mutex);
      shard->listed_dirty = false;
      until = shard->committed_end;
    }
    worked = true;
    const Status flushed = flush(*shard, until);
    if (flushed.ok()) continue;
    if (flushed.code() == Code::kDiskFull) {
      note_disk_full();
      {
        const std::lock_guard lock(shard->tail_mutex);
        if (std::exchange(shard->listed_dirty, true)) continue;
      }
      mark_dirty(shard);
    } else if (flushed.code() == Code::kCorrupt) {
      record_fault(*shard, flushed.error());
    } else {
      fatal(flushed.error());
      return false;
    }
  }
  if (!disk_full_ && disk_low()) note_disk_full();
  if (disk_full_ || list_outdated_) try_resume();
  look_for_drops();
  bool due = false;
  bool grows = false;
  {
    const std::lock_guard lock(commit_mutex_);
    due = journal_->core().used() > journal_->core().capacity() / 2;
    grows = !journal_->full_grown() && !growth_refused_;
  }
  {
    const std::lock_guard lock(queue_mutex_);
    due = due || commit_blocked_;
  }
  if (const Monotonic at = clock_.monotonic();
      !due && drop_waits_ && !holds_back() && (!drop_asked_at_ || at - *drop_asked_at_ >= kDropPace)) {
    drop_asked_at_ = at;
    due = true;
  }
  if (due) {
    const std::uint64_t before = counters_.checkpoints.load();
    checkpoint(false).ignore("a full disk is noted, and tried again; anything else was fatal");
    worked = worked || counters_.checkpoints.load() != before;
  }
  if (grows && !disk_full_) {
    std::unique_lock lock(commit_mutex_, std::defer_lock);
    if (idle ? lock.try_lock() : (lock.lock(), true)) {
      auto grown = journal_->grow();
      if (grown.code() == Code::kDiskFull) {
        growth_refused_ = true;
      } else if (!grown.ok()) {
        fatal(grown.error());
        return false;
      }
      const std::lock_guard queue(queue_mutex_);
      journal_free_ = journal_->core().free_contiguous();
    }
  }
  const Monotonic now = clock_.monotonic();
  if (now - retained_ >= kRetentionPace) {
    retained_ = now;
    retain();
  }
  return worked;
}

void Log::Impl::segment_thread() {
  for (;;) {
    {
      std::unique_lock lock(segment_mutex_);
      const auto asked = [this] { return segment_stop_ || segment_now_; };
      if (disk_full_) {
        segment_wake_.wait_for(lock, options_.disk_full_retry, [this] { return segment_stop_; });
      } else {
        if (dirty_.empty() && !segment_now_ && !segment_stop_) {
          segment_idle_ = true;
          const bool growing = growing_.load(std::memory_order_relaxed) && !growth_refused_;
          segment_wake_.wait_for(lock, growing ? std::chrono::milliseconds(kGrowPace) : kRetentionPace,
                                 [&] { return asked() || !segment_idle_; });
          segment_idle_ = false;
        }
        if (!dirty_.empty()) segment_wake_.wait_for(lock, kGather, asked);
      }
      segment_now_ = false;
      if (segment_stop_) return;
    }
    maintain(true);
    tell_faults();
    const std::lock_guard lock(commit_mutex_);
    growing_ = !journal_->full_grown();
  }
}

void Log::Impl::note_disk_full() { disk_full_.store(true); }

bool Log::Impl::disk_low() const {
  const auto left = fs_.free_bytes(options_.directory);
  return left.ok() && *left < options_.reserve_bytes;
}

void Log::Impl::try_resume() {
  {
    const std::lock_guard lock(segment_mutex_);
    if (!dirty_.empty()) return;
  }
  if (list_outdated_) {
    // Who holds it may wait for this thread.
    const std::unique_lock admin(admin_mutex_, std::try_to_lock);
    if (!admin.owns_lock() || !write_list().ok()) return;
  }
  if (!has_room_for_reserve() || !fill_reserve().ok()) return;
  disk_full_ = false;
  growth_refused_ = false;
  const std::lock_guard lock(queue_mutex_);
  const bool wake = std::exchange(commit_blocked_, false);
  if (wake) journal_wake_.notify_one();
}

bool Log::Impl::has_room_for_reserve() const {
  const auto left = fs_.free_bytes(options_.directory);
  if (!left.ok()) return true;  // a file system that does not say
  std::uint64_t have = 0;
  if (const auto file = fs_.open(path(kReserveFile), store::OpenMode::kRead); file.ok()) {
    if (const auto size = (*file)->size(); size.ok()) have = std::min(*size, options_.reserve_bytes);
  }
  return *left >= options_.reserve_bytes - have + options_.reserve_bytes;
}

Status Log::Impl::fill_reserve() {
  const std::lock_guard lock(reserve_mutex_);
  AFDG_ASSIGN(auto file, fs_.open(path(kReserveFile), store::OpenMode::kCreate));
  AFDG_ASSIGN(std::uint64_t at, file->size());
  const std::string zeros(64u << 10, '\0');
  while (at < options_.reserve_bytes) {
    const auto piece = std::string_view(zeros).substr(0, options_.reserve_bytes - at);
    AFDG_TRY(file->write_at(at, piece));  // on a full disk what there is stays
    at += piece.size();
  }
  return {};
}

void Log::Impl::tell_cleaned(Shard& shard, RecoveryPoint::Partition& out) {
  const std::lock_guard io(shard.io_mutex);
  if (shard.faulty || !shard.partition || !shard.partition->fault().ok()) return;
  out.cleaned = std::min(shard.cleaned, out.end);
  out.history_start = shard.partition->marks().history_start;
}

Status Log::Impl::write_point(const RecoveryPoint& point) {
  return fs_.replace_file(path(kPointFile), encode_recovery_point(point));
}

Status Log::Impl::checkpoint(bool clean) {
  const std::lock_guard one(checkpoint_mutex_);
  if (failed_) return failure();
  if (holds_back()) {
    return fail(Code::kDiskFull,
                options_.directory +
                    ": the disk is full, so segments do not grow: free space; the log goes on "
                    "by itself");
  }
  if (list_outdated_) {
    return fail(Code::kDiskFull,
                path(kListFile) +
                    ": deleted topics are still listed: it is written when the deletion ends, or "
                    "once the disk has room: free space");
  }
  // 1. What is committed, as of one commit.
  RecoveryPoint point;
  std::vector<ShardRef> shards;
  {
    const std::lock_guard commit(commit_mutex_);
    point.journal_id = journal_->core().journal_id();
    point.replay_from = journal_->head();
    point.synced_number = journal_->head().number - 1;
    point.clean = clean;
    {
      const std::lock_guard lock(shards_mutex_);
      for (const auto& [id, shard] : shards_) shards.push_back(shard);
    }
    std::sort(shards.begin(), shards.end(), [](const auto& a, const auto& b) { return a->id < b->id; });
    const std::lock_guard queue(queue_mutex_);
    for (const ShardRef& shard : shards) {
      const std::lock_guard lock(shard->tail_mutex);
      shard->point_next = shard->committed_end;
      point.partitions.push_back({shard->id, shard->start, shard->committed_end, shard->epoch});
    }
  }
  const auto release = [&] {
    const std::lock_guard commit(commit_mutex_);
    journal_->release(point.replay_from);
    counters_.journal_used.store(journal_->core().used(), std::memory_order_relaxed);
    const std::lock_guard lock(queue_mutex_);
    journal_free_ = journal_->core().free_contiguous();
    if (std::exchange(commit_blocked_, false)) journal_wake_.notify_one();
  };
  if (options_.planted.reuse_before_segment_sync) {
    for (std::size_t i = 0; i < shards.size(); ++i) AFDG_TRY(flush(*shards[i], point.partitions[i].end));
    AFDG_TRY(write_point(point));
    release();
    return {};
  }
  // 2. All of it in segments, and those synced.
  for (std::size_t i = 0; i < shards.size(); ++i) {
    Shard& shard = *shards[i];
    Status synced = sync_segments(shard, point.partitions[i].end);
    if (synced.ok()) continue;
    if (synced.code() == Code::kCorrupt) {
      record_fault(shard, synced.error());
      continue;
    }
    if (synced.code() == Code::kDiskFull) {
      note_disk_full();
    } else {
      fatal(synced.error());
    }
    return synced;
  }
  // 3. What producers wrote, before batches that tell of it go.
  for (std::size_t i = 0; i < shards.size(); ++i) {
    Status made = snapshot_producers(*shards[i], clean, point.partitions[i].start);
    if (made.ok()) continue;
    if (made.code() == Code::kDiskFull) {
      note_disk_full();
    } else {
      fatal(made.error());
    }
    return made;
  }
  // 4. How far compaction came: of what is below each end, and on the disk for sure.
  for (std::size_t i = 0; i < shards.size(); ++i) tell_cleaned(*shards[i], point.partitions[i]);
  // 5. The mark; only then may the space be used again, and old segments go.
  if (Status written = write_point(point); !written.ok()) {
    if (written.code() == Code::kDiskFull) {
      note_disk_full();
    } else {
      fatal(written.error());
    }
    return written;
  }
  for (const ShardRef& shard : shards) {
    const std::lock_guard lock(shard->tail_mutex);
    shard->point_end = shard->point_next;
  }
  release();
  counters_.checkpoints.fetch_add(1, std::memory_order_relaxed);
  drop_waits_ = false;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    Shard& shard = *shards[i];
    const std::lock_guard io(shard.io_mutex);
    const Offset start = point.partitions[i].start;
    if (!shard.partition || !shard.partition->fault().ok() || shard.partition->start() >= start) continue;
    if (shard.partition->end() < start) continue;  // cut meanwhile: the next time
    if (Status moved = shard.partition->advance_start(start); !moved.ok()) {
      if (moved.code() == Code::kCorrupt) {
        record_fault(shard, moved.error());
      } else {
        fatal(moved.error());
        return moved;
      }
    }
    shard.unsynced = true;
    thin_snapshots(shard, start);
  }
  return {};
}

Status Log::Impl::sync_segments(Shard& shard, Offset end) {
  AFDG_TRY(flush(shard, end));
  const std::lock_guard one(shard.sync_mutex);
  if (failed_) return failure();
  std::optional<SyncTicket> ticket;
  {
    const std::lock_guard io(shard.io_mutex);
    if (!shard.partition || !shard.unsynced || !shard.partition->fault().ok()) return {};
    auto begun = shard.partition->begin_sync();
    if (!begun.ok()) return begun.error();
    ticket.emplace(std::move(begun).value());
    shard.unsynced = false;
  }
  if (Status run = run_sync(*ticket); !run.ok()) {
    const std::lock_guard io(shard.io_mutex);
    shard.unsynced = true;
    return run;
  }
  const std::lock_guard io(shard.io_mutex);
  shard.partition->end_sync(*ticket);
  return {};
}

Status Log::Impl::run_sync(SyncTicket& ticket) {
  Status run = ticket.run();
  if (!run.ok() && run.code() != Code::kDiskFull) fatal(run.error());
  return run;
}

void Log::Impl::look_for_drops() {
  if (!starts_moved_.exchange(false)) return;
  std::vector<ShardRef> shards;
  {
    const std::lock_guard lock(shards_mutex_);
    for (const auto& [id, shard] : shards_) shards.push_back(shard);
  }
  for (const ShardRef& shard : shards) {
    const std::lock_guard io(shard->io_mutex);
    if (!shard->partition || !shard->partition->fault().ok()) continue;
    const auto segments = shard->partition->segments();
    const std::lock_guard lock(shard->tail_mutex);
    if (segments.size() > 1 && segments[1].base <= shard->start) drop_waits_ = true;
  }
}

Offset Log::Impl::retain_to(Shard& shard, const TopicOptions& options, std::optional<Offset> limit,
                            Timestamp now) {
  Partition& partition = *shard.partition;
  const auto segments = partition.segments();
  std::uint64_t left = partition.bytes();
  Offset to{0};
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const auto& segment = segments[i];
    const bool active = i + 1 == segments.size();
    // Records without a time are as old as the append of the first.
    const Timestamp newest =
        active && segment.max_timestamp < Timestamp{} ? partition.active_since() : segment.max_timestamp;
    const bool old = options.retention_age && now - newest > *options.retention_age;
    const bool large = options.retention_bytes && left - segment.bytes >= *options.retention_bytes;
    if ((active && segment.bytes == 0) || (!old && !large)) break;
    if (limit && segment.end > *limit) break;
    if (active) {
      if (holds_back() || now - partition.appended_at() < kSilent) break;
      // A full disk is noted where it matters; anything else is met again there.
      if (!partition.roll(now).ok()) break;
      shard.unsynced = true;
    }
    left -= segment.bytes;
    to = segment.end;
  }
  return to;
}

void Log::Impl::retain() {
  std::vector<ShardRef> shards;
  {
    const std::lock_guard lock(shards_mutex_);
    for (const auto& [id, shard] : shards_) shards.push_back(shard);
  }
  const Timestamp now = clock_.now();
  for (const ShardRef& shard : shards) {
    TopicOptions options;
    std::optional<Offset> limit;
    {
      const std::lock_guard lock(queue_mutex_);
      if (shard->deleted) continue;
      options = shard->options;
      if (options.held_by_region) limit = shard->retention_limit;
      if (shard->producers) shard->producers->expire(producer_time());
    }
    if (!options.cleanup_delete || (!options.retention_age && !options.retention_bytes)) continue;
    Offset to{0};
    {
      const std::lock_guard io(shard->io_mutex);
      if (!shard->partition || !shard->partition->fault().ok()) continue;
      to = retain_to(*shard, options, limit, now);
    }
    {
      const std::lock_guard lock(shard->tail_mutex);
      if (to <= shard->start || to > shard->committed_end) continue;
    }
    if (to <= shard->start_asked) continue;  // it waits for a commit, perhaps for long
    shard->start_asked = to;
    PartRef part = pool_->take();
    part->kind = JournalKind::kStart;
    part->entries[0].shard = shard;
    part->entry_count = 1;
    part->offset = to;
    encode_start(part->record, shard->id, to);
    std::unique_lock lock(queue_mutex_);
    push(std::move(part), lock);
  }
}

}  // namespace afdg::log
