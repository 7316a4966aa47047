#include "log/region_log.h"

#include <utility>

#include "log/batch.h"

namespace afdg::log {

RegionLog::RegionLog(Log::Impl& log, std::array<ShardRef, kStreams> shards)
    : log_(log), shards_(std::move(shards)) {}

RegionLog::~RegionLog() {
  if (writer_ != 0) log_.forget_writer(writer_);
}

Error RegionLog::fenced(Epoch asked, Epoch seen) const {
  return fail(Code::kFenced, shards_[0]->name + ": epoch " + std::to_string(asked.value()) +
                                 " does not write it, epoch " + std::to_string(seen.value()) +
                                 " was seen: open it again with a higher epoch");
}

Status RegionLog::fault() const {
  for (const ShardRef& shard : shards_) {
    const std::lock_guard lock(shard->tail_mutex);
    AFDG_TRY(shard->fault);
  }
  return {};
}

Status RegionLog::open(Epoch epoch) {
  AFDG_TRY(fault());
  if (epoch.value() < 0) return fail(Code::kInvalidArgument, shards_[0]->name + ": an epoch below zero");
  rebuilt_to_ = Offset(-1);
  PartRef part = log_.pool_->take();
  {
    const std::lock_guard io(shard(Stream::kChanges).io_mutex);  // no swap is under way
    const std::lock_guard lock(log_.queue_mutex_);
    Shard& messages = shard(Stream::kMessages);
    if (epoch < messages.epoch) return fenced(epoch, messages.epoch);
    // Nothing is compacted until the region says again what its store holds: it may have to rebuild it.
    shard(Stream::kChanges).compaction_limit = Offset(0);
    // From here on the writer before is refused; what it had appended is in front of our record.
    writer_ = ++log_.writers_;
    epoch_ = epoch;
    for (std::size_t s = 0; s < kStreams; ++s) {
      shards_[s]->writer = writer_;
      shards_[s]->epoch = epoch;
      next_[s] = shards_[s]->next;
    }
  }
  part->kind = JournalKind::kEpoch;
  for (std::size_t s = 0; s < kStreams; ++s) encode_epoch(part->record, shards_[s]->id, epoch, next_[s]);
  return log_.submit_and_wait(part);
}

Offset RegionLog::next(Stream stream) const {
  if (writer_ != 0) return next_[static_cast<std::size_t>(stream)];
  const std::lock_guard lock(log_.queue_mutex_);
  return shard(stream).next;
}

Offset RegionLog::committed_end(Stream stream) const {
  const std::lock_guard lock(shard(stream).tail_mutex);
  return shard(stream).committed_end;
}

Offset RegionLog::start(Stream stream) const {
  const std::lock_guard lock(shard(stream).tail_mutex);
  return shard(stream).start;
}

Offset RegionLog::tombstone_horizon() const {
  const std::lock_guard lock(shard(Stream::kChanges).tail_mutex);
  return shard(Stream::kChanges).marks.tombstone_horizon;
}

Status RegionLog::append(Epoch epoch, const RegionAppend& turns, AppendDone done) {
  for (const ShardRef& shard : shards_)
    if (shard->faulty.load(std::memory_order_relaxed)) return log_.fault_of(*shard);
  const std::array<BatchBuilder*, kStreams> builders{turns.messages, turns.changes, turns.dead};
  PartRef part = log_.pool_->take();
  AppendEncoder encoder(part->record);
  std::uint64_t bytes = 0;
  for (std::size_t s = 0; s < kStreams; ++s) {
    if (builders[s] == nullptr || builders[s]->empty()) continue;
    const std::size_t size = builders[s]->bytes();
    if (size > log_.options_.batch_bytes_max) {
      return fail(Code::kMessageTooLarge,
                  shards_[s]->name + ": a batch of " + std::to_string(size) + " bytes, the limit is " +
                      std::to_string(log_.options_.batch_bytes_max) + ": append fewer turns at once");
    }
    Part::Entry& entry = part->entries[part->entry_count++];
    entry.shard = shards_[s];
    entry.base = next_[s];
    entry.next = next_[s] + builders[s]->records();
    const std::string_view batch = builders[s]->seal(entry.base, epoch);
    if (size >= log_.options_.large_append_bytes) {
      entry.large.assign(batch);
      encoder.add_reference(shards_[s]->id, entry.base, entry.next, static_cast<std::uint32_t>(size));
    } else {
      entry.at = encoder.add(shards_[s]->id, entry.base, entry.next, batch);
      entry.size = size;
    }
    bytes += size;
  }
  if (part->entry_count == 0) {
    return fail(Code::kInvalidArgument, shards_[0]->name + ": an append without records");
  }
  encoder.finish();
  part->writer = writer_;
  part->done = std::move(done);
  std::uint64_t counted = part->record.size();
  for (std::size_t i = 0; i < part->entry_count; ++i) counted += part->entries[i].large.size();

  std::unique_lock lock(log_.queue_mutex_);
  Shard& messages = shard(Stream::kMessages);
  if (messages.deleted) return fail(Code::kNotFound, messages.name + " was deleted");
  if (writer_ == 0 || messages.writer != writer_ || epoch != epoch_) return fenced(epoch, messages.epoch);
  AFDG_TRY(log_.admit(counted, part->large()));
  for (std::size_t s = 0; s < kStreams; ++s)
    if (builders[s] != nullptr && !builders[s]->empty()) {
      next_[s] = next_[s] + builders[s]->records();
      shards_[s]->next = next_[s];
    }
  log_.pool_->count(*part, counted);
  log_.counters_.appends.fetch_add(1, std::memory_order_relaxed);
  log_.counters_.bytes_appended.fetch_add(bytes, std::memory_order_relaxed);
  log_.push(std::move(part), lock);
  return {};
}

Result<Offset> RegionLog::read(Stream stream, Offset from, const ReadLimits& limits, const Visit& visit) {
  Shard& source = shard(stream);
  const bool rebuilds = stream == Stream::kChanges && (from == start(stream) || from == rebuilt_to_);
  if (stream == Stream::kChanges && !rebuilds) {
    if (const Offset horizon = tombstone_horizon(); from < horizon) {
      return fail(Code::kRebuild, source.name + ": offset " + std::to_string(from.value()) +
                                      " is below the tombstone horizon " + std::to_string(horizon.value()) +
                                      ": rebuild from " + std::to_string(start(stream).value()));
    }
  }
  std::size_t used = 0;
  const auto read_to = [&](Offset next) {
    if (rebuilds) rebuilt_to_ = next;
    return next;
  };
  for (bool first = true;; first = false) {
    const std::size_t left = limits.bytes_max > used ? limits.bytes_max - used : 0;
    if (!first && left == 0) return read_to(from);
    AFDG_ASSIGN(const Offset next, log_.read(source, from, left, buffer_));
    if (buffer_.empty() || (!first && buffer_.size() > left)) return read_to(from);
    std::string_view bytes = buffer_;
    RecordView record;
    while (!bytes.empty()) {
      AFDG_ASSIGN(const BatchView batch, BatchView::parse(bytes));
      RecordReader reader(batch);
      while (reader.next(record))
        if (record.offset >= from) visit(record);
      AFDG_TRY(reader.status());
      bytes.remove_prefix(batch.size());
    }
    used += buffer_.size();
    from = next;
  }
}

Status RegionLog::ready(std::size_t bytes) const {
  if (!log_.disk_full_.load(std::memory_order_relaxed)) return {};
  const std::lock_guard lock(log_.queue_mutex_);
  return log_.admit(bytes, false);
}

void RegionLog::set_applied(Offset messages_applied, Offset changes_flushed) {
  const std::lock_guard lock(log_.queue_mutex_);
  if (shard(Stream::kMessages).writer != writer_) return;  // another one took over, and says so itself
  Offset& applied = shard(Stream::kMessages).retention_limit;
  applied = std::max(applied, messages_applied);
  Offset& flushed = shard(Stream::kChanges).compaction_limit;
  flushed = std::max(flushed, changes_flushed);
}

}  // namespace afdg::log
