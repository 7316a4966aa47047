#include "log/memory_log.h"

#include <algorithm>
#include <utility>

#include "log/batch.h"

namespace afdg::log {
namespace {

std::string_view stream_name(Stream stream) {
  switch (stream) {
    case Stream::kMessages:
      return "messages";
    case Stream::kChanges:
      return "changes";
    case Stream::kDead:
      return "dead";
  }
  return "?";
}

Error corrupt() { return fail(Code::kCorrupt, "the in-memory log was told to be corrupt"); }

Error fenced(Epoch asked, Epoch seen) {
  return fail(Code::kFenced, "epoch " + std::to_string(asked.value()) + " does not write this log, epoch " +
                                 std::to_string(seen.value()) +
                                 " was seen: open it again with a higher epoch");
}

}  // namespace

MemoryLogStorage::MemoryLogStorage(const Options& options) : options_(options) {}
MemoryLogStorage::~MemoryLogStorage() = default;

void MemoryLogStorage::publish(std::array<Batch, kStreams>& batches) {
  for (std::size_t s = 0; s < kStreams; ++s) {
    if (batches[s].bytes.empty()) continue;
    partitions_[s].end = batches[s].next;
    partitions_[s].written_end = std::max(partitions_[s].written_end, batches[s].next);
    partitions_[s].batches.push_back(std::move(batches[s]));
  }
}

bool MemoryLogStorage::commit_one() {
  if (undecided_.empty()) return false;
  Append append = std::move(undecided_.front());
  undecided_.pop_front();
  undecided_bytes_ -= append.bytes;
  publish(append.batches);
  if (append.done) append.done(AppendOutcome::kCommitted);
  return true;
}

std::size_t MemoryLogStorage::commit_all() {
  std::size_t count = 0;
  while (commit_one()) ++count;
  return count;
}

void MemoryLogStorage::crash() {
  undecided_.clear();
  undecided_bytes_ = 0;
  writer_ = 0;
  for (Partition& p : partitions_) p.written_end = p.end;
}

void MemoryLogStorage::depose() {
  writer_ = 0;
  std::deque<Append> gone = std::exchange(undecided_, {});
  undecided_bytes_ = 0;
  for (Partition& p : partitions_) p.written_end = p.end;
  for (Append& append : gone)
    if (append.done) append.done(AppendOutcome::kFenced);
}

void MemoryLogStorage::fence(Epoch epoch) {
  epoch_ = std::max(epoch_, epoch);
  depose();
}

void MemoryLogStorage::answer_unknown(Unknown fate) {
  if (undecided_.empty()) {
    next_unknown_ = true;
    next_fate_ = fate;
    return;
  }
  Append append = std::move(undecided_.front());
  undecided_.pop_front();
  undecided_bytes_ -= append.bytes;
  if (fate == Unknown::kKept) publish(append.batches);
  if (append.done) append.done(AppendOutcome::kUnknown);
  depose();
}

void MemoryLogStorage::set_start(Stream stream, Offset to) {
  Partition& p = partition(stream);
  p.start = std::clamp(to, p.start, p.end);
  while (!p.batches.empty() && p.batches.front().next <= p.start) p.batches.pop_front();
}

MemoryLog::MemoryLog(std::shared_ptr<MemoryLogStorage> storage) : storage_(std::move(storage)) {}

MemoryLog::~MemoryLog() {
  if (writer_ != 0 && storage_->writer_ == writer_) storage_->crash();
}

Status MemoryLog::open(Epoch epoch) {
  if (storage_->corrupt_) return corrupt();
  if (epoch < storage_->epoch_) return fenced(epoch, storage_->epoch_);
  storage_->depose();
  storage_->epoch_ = epoch;
  storage_->writer_ = writer_ = ++storage_->writers_;
  rebuilt_to_ = Offset(-1);
  epoch_ = epoch;
  return {};
}

Offset MemoryLog::next(Stream stream) const {
  return storage_->partition(stream).written_end + storage_->options_.offset_gap;
}
Offset MemoryLog::committed_end(Stream stream) const { return storage_->partition(stream).end; }
Offset MemoryLog::start(Stream stream) const { return storage_->partition(stream).start; }
Offset MemoryLog::tombstone_horizon() const { return storage_->tombstone_horizon_; }

Status MemoryLog::append(Epoch epoch, const RegionAppend& turns, AppendDone done) {
  MemoryLogStorage& storage = *storage_;
  if (storage.corrupt_) return corrupt();
  if (writer_ == 0 || storage.writer_ != writer_ || epoch != epoch_) return fenced(epoch, storage.epoch_);
  if (storage.disk_full_) return fail(Code::kDiskFull, "the in-memory log was told that its disk is full");

  const std::array<BatchBuilder*, kStreams> builders{turns.messages, turns.changes, turns.dead};
  std::size_t bytes = 0;
  for (const BatchBuilder* builder : builders) {
    if (builder == nullptr || builder->empty()) continue;
    if (builder->bytes() > storage.options_.batch_bytes_max)
      return fail(Code::kMessageTooLarge, "a batch of " + std::to_string(builder->bytes()) +
                                              " bytes, at most " +
                                              std::to_string(storage.options_.batch_bytes_max) +
                                              " are allowed: append fewer turns at once");
    bytes += builder->bytes();
  }
  if (storage.undecided_bytes_ > 0 && storage.undecided_bytes_ + bytes > storage.options_.in_flight_bytes_max)
    return fail(Code::kOverloaded, std::to_string(storage.undecided_bytes_) +
                                       " bytes are in flight, at most " +
                                       std::to_string(storage.options_.in_flight_bytes_max) +
                                       " are allowed: wait for a completion");

  std::array<MemoryLogStorage::Batch, kStreams> batches;
  for (std::size_t s = 0; s < kStreams; ++s) {
    if (builders[s] == nullptr || builders[s]->empty()) continue;
    const Offset base = next(static_cast<Stream>(s));
    batches[s].base = base;
    batches[s].next = base + builders[s]->records();
    batches[s].bytes = builders[s]->seal(base, epoch);
    storage.partitions_[s].written_end = batches[s].next;
  }
  ++storage.appends_;
  storage.bytes_appended_ += bytes;

  if (storage.next_unknown_) {
    storage.next_unknown_ = false;
    if (storage.next_fate_ == MemoryLogStorage::Unknown::kKept) storage.publish(batches);
    storage.depose();
    if (done) done(AppendOutcome::kUnknown);
    return {};
  }
  if (storage.options_.commit == MemoryCommit::kImmediate && storage.undecided_.empty()) {
    storage.publish(batches);
    if (done) done(AppendOutcome::kCommitted);
    return {};
  }
  storage.undecided_.push_back({std::move(batches), bytes, std::move(done)});
  storage.undecided_bytes_ += bytes;
  if (storage.options_.commit == MemoryCommit::kImmediate) storage.commit_all();
  return {};
}

Result<Offset> MemoryLog::read(Stream stream, Offset from, const ReadLimits& limits, const Visit& visit) {
  if (storage_->corrupt_) return corrupt();
  const MemoryLogStorage::Partition& p = storage_->partition(stream);
  if (from < p.start || from > p.end)
    return fail(Code::kOutOfRange, std::string(stream_name(stream)) + ": offset " +
                                       std::to_string(from.value()) + " is not in [" +
                                       std::to_string(p.start.value()) + ", " +
                                       std::to_string(p.end.value()) + "]: read between them");
  const bool rebuilds = stream == Stream::kChanges && (from == p.start || from == rebuilt_to_);
  if (stream == Stream::kChanges && from < storage_->tombstone_horizon_ && !rebuilds)
    return fail(Code::kRebuild, "changes: offset " + std::to_string(from.value()) +
                                    " is below the tombstone horizon " +
                                    std::to_string(storage_->tombstone_horizon_.value()) + ": rebuild from " +
                                    std::to_string(p.start.value()));
  auto it = std::upper_bound(p.batches.begin(), p.batches.end(), from,
                             [](Offset o, const MemoryLogStorage::Batch& b) { return o < b.next; });
  std::size_t bytes = 0;
  RecordView record;
  const auto read_to = [&](Offset next) {
    if (rebuilds) rebuilt_to_ = next;
    return next;
  };
  for (bool first = true; it != p.batches.end(); ++it, first = false) {
    if (!first && bytes + it->bytes.size() > limits.bytes_max) return read_to(from);
    AFDG_ASSIGN(const BatchView batch, BatchView::parse(it->bytes, it->bytes.size()));
    RecordReader reader(batch);
    while (reader.next(record))
      if (record.offset >= from) visit(record);
    AFDG_TRY(reader.status());
    bytes += it->bytes.size();
    from = it->next;
  }
  return read_to(p.end);
}

void MemoryLog::set_applied(Offset messages_applied, Offset changes_flushed) {
  storage_->messages_applied_ = std::max(storage_->messages_applied_, messages_applied);
  storage_->changes_flushed_ = std::max(storage_->changes_flushed_, changes_flushed);
  if (storage_->options_.trim_applied) storage_->set_start(Stream::kMessages, storage_->messages_applied_);
}

}  // namespace afdg::log
