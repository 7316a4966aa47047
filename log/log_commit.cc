#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/codec.h"
#include "log/batch.h"
#include "log/log_impl.h"

namespace afdg::log {

PartRef PartPool::take() {
  std::unique_ptr<Part> part;
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      part = std::move(free_.back());
      free_.pop_back();
    }
  }
  if (!part) part = std::make_unique<Part>();
  return PartRef(part.release(), [pool = shared_from_this()](Part* p) { pool->give_back(p); });
}

void PartPool::give_back(Part* raw) {
  std::unique_ptr<Part> part(raw);
  in_flight_.fetch_sub(part->counted, std::memory_order_relaxed);
  part->counted = 0;
  part->writer = 0;
  part->kind = JournalKind::kAppend;
  part->done = nullptr;
  part->lost = part->repeat = false;
  for (std::size_t i = 0; i < part->entry_count; ++i) part->entries[i] = Part::Entry{};
  part->entry_count = 0;
  part->behind.reset();
  part->behind_bytes = 0;
  part->record.clear();
  if (part->record.capacity() > kKeptBytes) return;
  const std::lock_guard lock(mutex_);
  if (free_.size() < kKept) free_.push_back(std::move(part));
}

Status Log::Impl::failure() const {
  const std::lock_guard lock(failure_mutex_);
  return failure_;
}

void Log::Impl::fatal(const Error& error) {
  {
    const std::lock_guard lock(failure_mutex_);
    if (!failure_.ok()) return;
    failure_ = fail(Code::kIo, "the log stopped after a failed file operation: " + error.text());
    // Now, not after a handler that returns: another thread that fails as well must not go on meanwhile.
    failed_.store(true);
  }
  if (options_.fatal) {
    options_.fatal(error);
  } else {
    std::fprintf(stderr, "afdg: a write or sync failed and is never retried: %s\n", error.text().c_str());
    std::abort();
  }
  {
    const std::lock_guard lock(queue_mutex_);
    commit_blocked_ = false;
    journal_wake_.notify_all();
  }
  wake_segments(true);  // whoever watches is told
}

Status Log::Impl::admit(std::uint64_t bytes, bool large) const {
  if (closed_.load(std::memory_order_relaxed) || stopping_) {
    return fail(Code::kUnavailable, options_.directory + ": the log was closed");
  }
  if (failed_.load(std::memory_order_relaxed)) return failure();
  const std::uint64_t in_flight = pool_->in_flight();
  const bool full = disk_full_.load(std::memory_order_relaxed);
  if (!full && in_flight > 0 && in_flight + bytes > options_.bytes_in_flight_max) {
    return fail(Code::kOverloaded, options_.directory + ": " + std::to_string(in_flight) +
                                       " bytes are in flight, the limit is " +
                                       std::to_string(options_.bytes_in_flight_max) +
                                       ": slow down and try again");
  }
  // While the disk is full the journal takes what it has room for; a large batch needs its segment at once.
  if (full && (large || in_flight + bytes > options_.bytes_in_flight_max ||
               frame_bytes(pending_bytes_ + bytes) > journal_free_)) {
    return fail(Code::kDiskFull,
                options_.directory +
                    ": the disk is full and the journal cannot be reused: free space; the log goes "
                    "on by itself");
  }
  return {};
}

bool Log::Impl::crowded() const noexcept {
  return pool_->in_flight() > options_.bytes_in_flight_max / 2 &&
         !disk_full_.load(std::memory_order_relaxed) && !failed_.load(std::memory_order_relaxed);
}

void Log::Impl::push(PartRef part, std::unique_lock<std::mutex>& lock, bool leads) {
  pending_bytes_ += part->bytes();
  pending_.push_back(std::move(part));
  const bool wake = journal_sleeping_ && !commit_blocked_ && !leads;
  if (wake) journal_sleeping_ = false;
  lock.unlock();
  if (wake) journal_wake_.notify_one();
}

namespace {

/// What a caller that must wait shares with the completion.
struct Waiting {
  std::mutex mutex;
  std::condition_variable wake;
  std::optional<AppendOutcome> outcome;
};

}  // namespace

Status Log::Impl::submit_and_wait(const PartRef& part) {
  auto waiting = std::make_shared<Waiting>();
  part->done = [waiting](AppendOutcome outcome) {
    const std::lock_guard lock(waiting->mutex);
    waiting->outcome = outcome;
    waiting->wake.notify_all();
  };
  {
    std::unique_lock lock(queue_mutex_);
    if (closed_ || stopping_) return fail(Code::kUnavailable, options_.directory + ": the log was closed");
    if (failed_) return failure();
    push(part, lock);
  }
  if (options_.threads == LogThreads::kNone) {
    commit_all();
    if (!waiting->outcome) {
      if (Status made = checkpoint(false); !made.ok()) return made;
      commit_all();
    }
  } else {
    std::unique_lock lock(waiting->mutex);
    waiting->wake.wait(lock, [&] { return waiting->outcome.has_value(); });
  }
  if (failed_) return failure();
  if (waiting->outcome == AppendOutcome::kCommitted) return {};
  return fail(Code::kDiskFull, options_.directory + ": the disk is full: free space and try again");
}

Log::Impl::Commit Log::Impl::commit_once() {
  // 1. What goes into this commit.
  {
    const std::lock_guard lock(queue_mutex_);
    if (failed_) {
      taking_.insert(taking_.end(), pending_.begin() + static_cast<std::ptrdiff_t>(pending_front_),
                     pending_.end());
      pending_.clear();
      pending_front_ = 0;
      pending_bytes_ = 0;
    } else if (taking_.empty()) {
      std::uint64_t bytes = 0;
      while (pending_front_ < pending_.size()) {
        PartRef& part = pending_[pending_front_];
        const bool large = part->large();
        if (!taking_.empty() && (large || bytes + part->bytes() > gather_bytes_max_)) break;
        bytes += part->bytes();
        taking_.push_back(std::move(part));
        ++pending_front_;
      }
      if (pending_front_ == pending_.size()) {
        pending_.clear();
        pending_front_ = 0;
      }
    }
  }
  if (failed_) {
    for (const PartRef& part : taking_)
      if (auto done = std::exchange(part->done, nullptr)) done(AppendOutcome::kUnknown);
    taking_.clear();
    if (options_.committed) options_.committed();
    if (!failure_told_.exchange(true)) collect_all();
    return Commit::kFailed;
  }
  if (taking_.empty()) return Commit::kNothing;

  // 2. Room in the journal, and large batches in their segments before the frame that refers to them.
  std::size_t payload = 0;
  for (const PartRef& part : taking_) payload += part->bytes();
  const auto blocked = [this](Commit why) {
    const std::lock_guard lock(queue_mutex_);
    commit_blocked_ = true;
    return why;
  };
  if (!journal_->has_room(payload)) return blocked(Commit::kNoRoom);
  for (const PartRef& part : taking_) {
    if (lose_if_faulty(*part)) continue;
    for (std::size_t i = 0; i < part->entry_count; ++i) {
      Part::Entry& entry = part->entries[i];
      if (entry.large.empty() || entry.written) continue;
      Status written = write_large(entry);
      if (written.code() == Code::kDiskFull) {
        note_disk_full();
        return blocked(Commit::kDiskFull);
      }
      if (written.code() == Code::kCorrupt) {
        record_fault(*entry.shard, written.error());
        lose(*part);
        break;
      }
      if (!written.ok()) {
        fatal(written.error());
        return commit_once();
      }
      entry.written = true;
    }
  }
  const auto complete = [this] {
    for (const PartRef& part : taking_)
      if (auto done = std::exchange(part->done, nullptr))
        done(part->lost ? AppendOutcome::kUnknown : AppendOutcome::kCommitted);
  };
  if (options_.planted.ack_before_sync) complete();

  // 3. One write, one sync.
  payload_.clear();
  std::size_t journaled = 0;
  std::uint32_t parts = 0;
  for (const PartRef& part : taking_) {
    if (part->lost) continue;
    ++parts;
    journaled += part->bytes();
    payload_.push_back({part->record});
    if (!part->behind) continue;
    // The CRC that a batch carries was right when it came, and covers all of it but its head.
    const std::string_view batch(part->behind.get(), part->behind_bytes);
    payload_.push_back({batch.substr(0, batch_layout::kAttributes)});
    payload_.push_back(
        {batch.substr(batch_layout::kAttributes), load_be32(batch.data() + batch_layout::kCrc)});
  }
  const Monotonic began = clock_.monotonic();
  Status written = journal_->commit(payload_, parts);
  if (written.code() == Code::kDiskFull) {
    note_disk_full();
    return blocked(Commit::kDiskFull);
  }
  if (!written.ok()) {
    fatal(written.error());
    return commit_once();
  }
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(clock_.monotonic() - began).count();
  const auto micros = static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0));
  counters_.commits.fetch_add(1, std::memory_order_relaxed);
  counters_.bytes_journaled.fetch_add(frame_bytes(journaled), std::memory_order_relaxed);
  counters_.commit_us_sum.fetch_add(micros, std::memory_order_relaxed);
  const std::size_t bucket =
      std::min<std::size_t>(std::bit_width(micros), counters_.commit_us_log2.size() - 1);
  counters_.commit_us_log2[bucket].fetch_add(1, std::memory_order_relaxed);

  // 4. Readable, then told.
  for (const PartRef& part : taking_)
    if (!part->lost) apply(part);
  {
    const std::lock_guard lock(queue_mutex_);
    pending_bytes_ -= payload;
    commit_blocked_ = false;
    journal_free_ = journal_->core().free_contiguous();
  }
  counters_.journal_used.store(journal_->core().used(), std::memory_order_relaxed);
  complete();
  taking_.clear();
  if (options_.committed) options_.committed();
  tell(woken_);
  wake_segments(journal_->core().used() > journal_->core().capacity() / 2);
  return Commit::kDone;
}

Status Log::Impl::write_large(Part::Entry& entry) {
  Shard& shard = *entry.shard;
  AFDG_TRY(flush(shard, entry.base));
  const std::lock_guard one(shard.sync_mutex);
  if (failed_) return failure();
  const std::lock_guard io(shard.io_mutex);
  if (!shard.partition) return fail(Code::kCorrupt, shard.name + ": its directory is missing");
  if (shard.partition->end() < entry.next) AFDG_TRY(shard.partition->append(entry.large, clock_.now()));
  counters_.bytes_segments.fetch_add(entry.large.size(), std::memory_order_relaxed);
  AFDG_ASSIGN(SyncTicket ticket, shard.partition->begin_sync());
  AFDG_TRY(run_sync(ticket));
  shard.partition->end_sync(ticket);
  const std::lock_guard lock(shard.tail_mutex);
  shard.written_end = entry.next;
  return {};
}

bool Log::Impl::lose_if_faulty(Part& part) {
  if (part.lost) return true;
  if (part.kind != JournalKind::kAppend && !part.repeat) return false;
  bool lost = part.writer != 0 && lost_writers_.contains(part.writer);
  for (std::size_t i = 0; i < part.entry_count; ++i) lost = lost || part.entries[i].shard->faulty;
  if (lost) lose(part);
  return lost;
}

void Log::Impl::lose(Part& part) {
  part.lost = true;
  if (part.writer != 0) lost_writers_.insert(part.writer);
  for (std::size_t i = 0; i < part.entry_count; ++i) {
    Part::Entry& entry = part.entries[i];
    if (!std::exchange(entry.written, false)) continue;
    Shard& shard = *entry.shard;
    const std::lock_guard io(shard.io_mutex);
    if (!shard.partition || !shard.partition->fault().ok()) continue;
    const Status cut = shard.partition->truncate_to(entry.base);
    shard.unsynced = true;
    if (cut.ok()) {
      const std::lock_guard lock(shard.tail_mutex);
      shard.written_end = std::min(shard.written_end, entry.base);
    } else if (cut.code() == Code::kCorrupt) {
      record_fault(shard, cut.error());
    } else {
      fatal(cut.error());
    }
  }
}

void Log::Impl::apply(const PartRef& part) {
  switch (part->kind) {
    case JournalKind::kAppend:
      for (std::size_t i = 0; i < part->entry_count; ++i) {
        Part::Entry& entry = part->entries[i];
        Shard& shard = *entry.shard;
        bool mark = false;
        {
          const std::lock_guard lock(shard.tail_mutex);
          shard.committed_end = entry.next;
          shard.bytes_since_snapshot += entry.large.empty() ? part->batch(entry).size() : entry.large.size();
          collect(shard, woken_);
          // The journal has it, but not for long: nothing of a faulty partition gets into its segments.
          if (!shard.fault.ok()) {
            part->lost = true;
          } else if (entry.large.empty()) {
            shard.tail.push_back({part, part->batch(entry), entry.base, entry.next});
            mark = !std::exchange(shard.listed_dirty, true);
          }
        }
        if (mark) mark_dirty(entry.shard);
      }
      if (part->lost && part->writer != 0) lost_writers_.insert(part->writer);
      break;
    case JournalKind::kTruncate: {
      Shard& shard = *part->entries[0].shard;
      const std::lock_guard io(shard.io_mutex);
      if (shard.partition && shard.partition->end() > part->offset) {
        if (Status cut = shard.partition->truncate_to(part->offset); !cut.ok()) {
          if (cut.code() == Code::kCorrupt) {
            record_fault(shard, cut.error());
          } else {
            fatal(cut.error());
          }
        }
        shard.unsynced = true;
      }
      if (!options_.planted.cleaned_outlives_cut) shard.cleaned = std::min(shard.cleaned, part->offset);
      const std::lock_guard lock(shard.tail_mutex);
      std::erase_if(shard.tail, [&](const TailBatch& batch) { return batch.next > part->offset; });
      shard.committed_end = part->offset;
      shard.written_end = std::min(shard.written_end, part->offset);
      shard.point_end = std::min(shard.point_end, part->offset);
      shard.point_next = std::min(shard.point_next, part->offset);
      collect(shard, woken_);
      break;
    }
    case JournalKind::kStart: {
      Shard& shard = *part->entries[0].shard;
      const std::lock_guard lock(shard.tail_mutex);
      shard.start = std::max(shard.start, part->offset);
      starts_moved_ = true;
      collect(shard, woken_);
      break;
    }
    case JournalKind::kDeleteTopic:
    case JournalKind::kEpoch:
      break;
  }
}

void Log::Impl::commit_all() {
  const std::lock_guard lock(commit_mutex_);
  while (commit_once() == Commit::kDone) {
  }
}

bool Log::Impl::worth_handing_over() {
  if (options_.threads == LogThreads::kNone) return false;
  // While an ordinary thread commits and waits for a processor, all that run ahead of it wait as well.
  if (options_.journal_scheduling == Scheduling::kRealtime) return true;
  const std::lock_guard lock(queue_mutex_);
  return pending_bytes_ > kLeadBytesMax;
}

void Log::Impl::wake_journal() {
  std::unique_lock lock(queue_mutex_);
  const bool wake = journal_sleeping_ && !commit_blocked_ && pending_front_ < pending_.size();
  if (wake) journal_sleeping_ = false;
  lock.unlock();
  if (wake) journal_wake_.notify_one();
}

bool Log::Impl::lead() {
  bool led = false;
  for (;;) {
    // Whoever has the lock may have it for something else, and push() woke nobody.
    if (worth_handing_over() || !commit_mutex_.try_lock()) {
      wake_journal();
      return led;
    }
    led = true;
    Commit last = Commit::kDone;
    while (last == Commit::kDone) last = commit_once();
    commit_mutex_.unlock();
    if (last == Commit::kNoRoom) wake_segments(true);  // as the journal's thread does
    if (last != Commit::kNothing) return led;
    // A part may have been left while the lock was about to be given back.
    const std::lock_guard lock(queue_mutex_);
    if (pending_front_ == pending_.size()) return led;
  }
}

void Log::Impl::journal_thread() {
  for (;;) {
    {
      std::unique_lock lock(queue_mutex_);
      // Woken for what somebody who led has committed meanwhile, it sleeps again, and push() is to know that.
      const auto ready = [this] {
        const bool go =
            stopping_ || (!commit_blocked_ && (pending_bytes_ > 0 || pending_front_ < pending_.size()));
        // Said at each look: whoever leads may have taken what this thread was woken for.
        journal_sleeping_ = !go;
        return go;
      };
      journal_wake_.wait(lock, ready);
      journal_sleeping_ = false;
      if (stopping_ && (commit_blocked_ || pending_bytes_ == 0)) return;
    }
    const std::lock_guard lock(commit_mutex_);
    Commit last = Commit::kDone;
    while (last == Commit::kDone) last = commit_once();
    if (last == Commit::kNoRoom) wake_segments(true);
  }
}

void Log::Impl::forget_writer(std::uint64_t writer) {
  const std::lock_guard commit(commit_mutex_);
  const std::lock_guard lock(queue_mutex_);
  // What it left behind stays lost.
  bool pends = false;
  for (const PartRef& part : taking_) pends = pends || part->writer == writer;
  for (std::size_t i = pending_front_; i < pending_.size(); ++i)
    pends = pends || pending_[i]->writer == writer;
  if (!pends) lost_writers_.erase(writer);
  for (const PartRef& part : taking_)
    if (part->writer == writer) part->done = nullptr;
  for (std::size_t i = pending_front_; i < pending_.size(); ++i)
    if (pending_[i]->writer == writer) pending_[i]->done = nullptr;
}

}  // namespace afdg::log
