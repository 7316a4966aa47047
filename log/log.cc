#include "log/log.h"

#include <algorithm>
#include <utility>

#include "base/codec.h"
#include "log/batch.h"
#include "log/log_impl.h"
#include "log/region_log.h"

namespace afdg::log {
namespace {

std::string text(TopicPartition id) {
  return "topic id " + std::to_string(id.topic.value()) + " partition " +
         std::to_string(id.partition.value());
}

}  // namespace

Log::Impl::Impl(store::FileSystem& fs, Clock& clock, const LogOptions& options)
    : fs_(fs),
      clock_(clock),
      options_(options),
      started_(clock.now()),
      started_ticks_(clock.monotonic()),
      producer_budget_(options.producers_node_max) {
  // An append must fit a fraction of even a small journal, or nothing could ever be released behind it.
  const std::uint64_t journal = std::min(options_.journal_bytes, options_.journal_initial_bytes);
  options_.large_append_bytes =
      std::min(options_.large_append_bytes, std::max<std::uint64_t>(journal / 16, 512));
  gather_bytes_max_ = std::min<std::uint64_t>(kGatherBytesMax, journal / 4);
}

Log::Impl::~Impl() {
  close().ignore("the next start replays the journal");
  // What never reached a segment holds its shard, which holds it.
  for (const auto& [id, shard] : shards_) {
    const std::lock_guard lock(shard->tail_mutex);
    shard->tail.clear();
  }
}

ShardRef Log::Impl::find(TopicPartition id) const {
  const std::lock_guard lock(shards_mutex_);
  const auto it = shards_.find(id);
  return it == shards_.end() ? nullptr : it->second;
}

Result<ShardRef> Log::Impl::need(TopicPartition id) const {
  if (ShardRef shard = find(id)) return shard;
  return fail(Code::kNotFound, text(id) + " is not in this log: create it first");
}

Status Log::Impl::write_list() {
  std::vector<NewPartition> list;
  {
    const std::lock_guard lock(shards_mutex_);
    for (const auto& [id, shard] : shards_) list.push_back({id, shard->topic_name, shard->options});
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.partition < b.partition; });
  AFDG_TRY(fs_.replace_file(path(kListFile), encode_partition_list(list)));
  list_outdated_ = false;
  return {};
}

Status Log::Impl::create(const std::vector<NewPartition>& partitions) {
  const std::lock_guard admin(admin_mutex_);
  if (failed_) return failure();
  std::vector<ShardRef> existing;
  {
    const std::lock_guard lock(shards_mutex_);
    for (const auto& [id, shard] : shards_) existing.push_back(shard);
  }
  for (const NewPartition& p : partitions) {
    AFDG_TRY(check_topic_name(p.topic_name));
    if (p.partition.partition.value() < 0)
      return fail(Code::kInvalidArgument, text(p.partition) + ": below zero");
    if (deleted_.contains(p.partition.topic)) {
      return fail(Code::kInvalidArgument, text(p.partition) + " was deleted: topic ids are never used again");
    }
    for (const ShardRef& shard : existing) {
      const bool same_name = shard->topic_name == p.topic_name;
      if (same_name == (shard->id.topic == p.partition.topic)) continue;
      return fail(Code::kAlreadyExists,
                  "topic '" + p.topic_name + "' (id " + std::to_string(p.partition.topic.value()) + "): '" +
                      shard->topic_name + "' has id " + std::to_string(shard->id.topic.value()) +
                      ": choose another name or delete it first");
    }
  }
  std::vector<ShardRef> added;
  bool changed = false;
  for (const NewPartition& p : partitions) {
    if (const ShardRef shard = find(p.partition)) {
      {
        const std::lock_guard lock(queue_mutex_);
        const bool held = shard->options.held_by_region || p.options.held_by_region;
        shard->options = p.options;
        shard->options.held_by_region = held;
      }
      const std::lock_guard io(shard->io_mutex);
      if (shard->partition) shard->partition->set_options(partition_options(p.options));
      changed = true;
      continue;
    }
    auto shard = std::make_shared<Shard>();
    shard->id = p.partition;
    shard->topic_name = p.topic_name;
    shard->name = partition_directory_name(p.topic_name, p.partition.partition);
    shard->options = p.options;
    shard->flush_bytes = std::min<std::uint64_t>(shard->flush_bytes, p.options.segment_bytes);
    const std::string directory = path(kPartitionsDirectory) + "/" + shard->name;
    // Not listed: left behind by a process that died before it could list it, so nobody ever wrote to it.
    if (fs_.exists(directory)) AFDG_TRY(fs_.remove_all(directory));
    AFDG_ASSIGN(shard->partition,
                Partition::create(fs_, directory, p.partition.topic, partition_options(p.options)));
    added.push_back(std::move(shard));
  }
  if (added.empty() && !changed) return {};
  AFDG_TRY(fs_.sync_directory(path(kPartitionsDirectory)));
  {
    const std::lock_guard lock(shards_mutex_);
    for (const ShardRef& shard : added) shards_[shard->id] = shard;
  }
  if (Status written = write_list(); !written.ok()) {
    const std::lock_guard lock(shards_mutex_);
    for (const ShardRef& shard : added) shards_.erase(shard->id);
    return written;
  }
  return {};
}

Status Log::Impl::hold(const std::array<ShardRef, kStreams>& shards) {
  const std::lock_guard admin(admin_mutex_);
  bool changed = false;
  {
    const std::lock_guard lock(queue_mutex_);
    for (std::size_t s = 0; s < kStreams; ++s) {
      shards[s]->region = true;
      if (s == static_cast<std::size_t>(Stream::kDead)) continue;
      changed = !std::exchange(shards[s]->options.held_by_region, true) || changed;
    }
  }
  return changed ? write_list() : Status();
}

Status Log::Impl::delete_topic(TopicId topic) {
  const std::lock_guard admin(admin_mutex_);
  std::vector<ShardRef> gone;
  {
    const std::lock_guard lock(shards_mutex_);
    for (const auto& [id, shard] : shards_)
      if (id.topic == topic) gone.push_back(shard);
  }
  if (gone.empty()) return {};
  {
    const std::lock_guard lock(queue_mutex_);
    for (const ShardRef& shard : gone) {
      shard->deleted = true;
      shard->producers.reset();
    }
  }
  PartRef part = pool_->take();
  part->kind = JournalKind::kDeleteTopic;
  encode_delete_topic(part->record, topic);
  AFDG_TRY(submit_and_wait(part));
  deleted_.insert(topic);
  {
    // A checkpoint under way may still hold them; it ends first.
    const std::lock_guard one(checkpoint_mutex_);
    // No other drops the journal's record of the deletion before the list on the disk has it.
    list_outdated_ = true;
    const std::lock_guard lock(shards_mutex_);
    for (const ShardRef& shard : gone) shards_.erase(shard->id);
  }
  for (const ShardRef& shard : gone) {
    const std::lock_guard io(shard->io_mutex);
    shard->partition.reset();
    record_fault(*shard, fail(Code::kNotFound, shard->name + " was deleted"));
  }
  const std::lock_guard cleaning(cleaning_mutex_);  // it ends soon, or has ended
  for (const ShardRef& shard : gone) AFDG_TRY(fs_.remove_all(path(kPartitionsDirectory) + "/" + shard->name));
  AFDG_TRY(fs_.sync_directory(path(kPartitionsDirectory)));
  const Status written = write_list();
  if (written.code() == Code::kDiskFull) note_disk_full();  // it is written once there is room
  AFDG_TRY(written);
  return checkpoint(false);
}

Result<Appended> Log::Impl::append(TopicPartition id, std::string_view batch, Epoch leader_epoch,
                                   AppendDone done, AppendHow how) {
  AFDG_ASSIGN(const ShardRef shard, need(id));
  AFDG_ASSIGN(const BatchView view, BatchView::parse(batch, options_.batch_bytes_max));
  if (view.size() != batch.size()) {
    return fail(Code::kInvalidArgument, shard->name + ": append one batch at a time");
  }
  if (how.crc == CrcCheck::kHere) AFDG_TRY(view.verify_crc());
  const std::int64_t count = std::int64_t{view.last_offset_delta()} + 1;
  if (count < 1) return fail(Code::kCorrupt, shard->name + ": a batch whose last offset is below its first");
  PartRef part = pool_->take();
  Part::Entry& entry = part->entries[0];
  entry.shard = shard;
  part->entry_count = 1;
  part->done = std::move(done);
  const bool large = batch.size() >= options_.large_append_bytes;
  AppendEncoder encoder(part->record);
  if (large) {
    entry.large.assign(batch);
    encoder.add_reference(id, Offset(0), Offset(1), static_cast<std::uint32_t>(batch.size()));
    entry.at = part->record.size();
  } else if (how.owned && batch.size() >= kSharedBytes) {
    AFDG_ASSERT(how.owned.get() == batch.data(), "another batch's owner");
    entry.at = encoder.add_behind(id, Offset(0), Offset(1), static_cast<std::uint32_t>(batch.size()));
    part->behind = std::move(how.owned);
    part->behind_bytes = batch.size();
  } else {
    entry.at = encoder.add(id, Offset(0), Offset(1), batch);
    entry.size = batch.size();
  }
  encoder.finish();
  char* const stamped = large          ? entry.large.data()
                        : part->behind ? part->behind.get()
                                       : part->record.data() + entry.at;
  const std::uint64_t counted = part->bytes() + entry.large.size();
  std::unique_lock lock(queue_mutex_);
  AFDG_TRY(admit(counted, large));
  if (shard->deleted) return fail(Code::kNotFound, shard->name + " was deleted");
  if (shard->region) {
    return fail(Code::kFailedPrecondition, shard->name + " belongs to a region: send to the region instead");
  }
  if (shard->faulty.load(std::memory_order_relaxed)) return fault_of(*shard).error();
  const bool idempotent = view.producer_id() >= 0;
  Timestamp now;
  if (idempotent) {
    now = producer_time();
    if (!shard->producers)
      shard->producers = std::make_unique<Producers>(options_.producers, producer_budget_);
    const auto checked = shard->producers->check(view, now);
    if (checked.code() == Code::kOverloaded)
      ++(shard->producers->full() ? counters_.partition_producers_refused : counters_.node_producers_refused);
    AFDG_TRY(checked.status());
    if (const auto& stored = *checked) {
      // Nothing but its place in the order: it is decided after the first one.
      AppendDone waiting = std::exchange(part->done, nullptr);
      part = pool_->take();
      part->kind = JournalKind::kEpoch;
      part->repeat = true;
      part->entries[0].shard = shard;
      part->entry_count = 1;
      part->done = std::move(waiting);
      pool_->count(*part, sizeof(Part));
      counters_.duplicates.fetch_add(1, std::memory_order_relaxed);
      push(std::move(part), lock, how.leads);
      return Appended{*stored, true};
    }
  }
  entry.base = shard->next;
  entry.next = shard->next + count;
  shard->next = entry.next;
  shard->epoch = std::max(shard->epoch, leader_epoch);
  patch_entry(part->record.data() + entry.at, entry.base, entry.next);
  stamp_batch(stamped, entry.base, leader_epoch);
  pool_->count(*part, counted);
  counters_.appends.fetch_add(1, std::memory_order_relaxed);
  counters_.bytes_appended.fetch_add(batch.size(), std::memory_order_relaxed);
  const Offset base = entry.base;
  if (idempotent) {
    Offset committed;
    {
      const std::lock_guard tail(shard->tail_mutex);
      committed = shard->committed_end;
    }
    shard->producers->add(view, base, committed, now);
  }
  push(std::move(part), lock, how.leads);
  return Appended{base};
}

Status Log::Impl::fault_of(Shard& shard) {
  const std::lock_guard lock(shard.tail_mutex);
  return shard.fault.ok() ? Status(fail(Code::kCorrupt, shard.name)) : shard.fault;
}

Result<Offset> Log::Impl::truncate(TopicPartition id, Offset to) {
  AFDG_ASSIGN(const ShardRef shard, need(id));
  Offset end;
  {
    const std::lock_guard commit(commit_mutex_);
    Commit last = Commit::kDone;
    while (last == Commit::kDone) last = commit_once();
    if (last == Commit::kFailed) return failure().error();
    if (last != Commit::kNothing) {
      return fail(Code::kDiskFull, shard->name + ": what was appended cannot be committed yet: try again");
    }
    const std::lock_guard lock(shard->tail_mutex);
    AFDG_TRY(shard->fault);
    if (to < shard->start) {
      return fail(Code::kOutOfRange, shard->name + ": offset " + std::to_string(to.value()) +
                                         " is below its start " + std::to_string(shard->start.value()));
    }
    end = shard->committed_end;
  }
  if (to >= end) return end;
  {
    const std::lock_guard lock(queue_mutex_);
    if (std::exchange(shard->truncating, true)) {
      return fail(Code::kFailedPrecondition,
                  shard->name + ": it is being truncated already: wait for the end of that");
    }
  }
  auto cut = cut_at(shard, to, end);
  const std::lock_guard lock(queue_mutex_);
  shard->truncating = false;
  return cut;
}

Result<Offset> Log::Impl::cut_at(const ShardRef& shard, Offset to, Offset end) {
  // A batch goes whole, and offsets may have gaps: the end becomes that of the last batch wholly below `to`.
  AFDG_TRY(flush(*shard, end));
  RebuiltProducers rebuilt;
  {
    const std::lock_guard io(shard->io_mutex);
    AFDG_ASSIGN(to, shard->partition->end_below(to));
    AFDG_ASSIGN(rebuilt, rebuild_producers(*shard, to, nullptr));
    // Gone before anything can be written above `to` again: a later start would believe them.
    AFDG_TRY(drop_snapshots_above(*shard, to));
  }
  PartRef part = pool_->take();
  part->kind = JournalKind::kTruncate;
  part->entries[0].shard = shard;
  part->entry_count = 1;
  part->offset = to;
  encode_truncate(part->record, shard->id, to);
  {
    const std::lock_guard lock(queue_mutex_);
    if (shard->next != end) {
      return fail(Code::kFailedPrecondition,
                  shard->name + ": somebody appends while it is truncated: stop them first");
    }
    shard->next = to;
    shard->producers = std::move(rebuilt.producers);
  }
  AFDG_TRY(submit_and_wait(part));
  return to;
}

Status Log::Impl::advance_start(TopicPartition id, Offset to) {
  AFDG_ASSIGN(const ShardRef shard, need(id));
  {
    const std::lock_guard lock(shard->tail_mutex);
    AFDG_TRY(shard->fault);
    if (to > shard->committed_end) {
      return fail(Code::kOutOfRange, shard->name + ": offset " + std::to_string(to.value()) +
                                         " is past the committed end " +
                                         std::to_string(shard->committed_end.value()));
    }
    if (to <= shard->start) return {};
  }
  PartRef part = pool_->take();
  part->kind = JournalKind::kStart;
  part->entries[0].shard = shard;
  part->entry_count = 1;
  part->offset = to;
  encode_start(part->record, id, to);
  return submit_and_wait(part);
}

Result<PartitionDescription> Log::Impl::describe(TopicPartition id) const {
  AFDG_ASSIGN(const ShardRef shard, need(id));
  PartitionDescription out;
  out.topic_name = shard->topic_name;
  {
    const std::lock_guard io(shard->io_mutex);
    if (shard->partition) {
      out.bytes = shard->partition->bytes();
      out.segments = shard->partition->segments().size();
    }
    const std::lock_guard lock(shard->tail_mutex);
    out.start = shard->start;
    out.end = shard->committed_end;
    out.compaction = shard->marks;
    out.fault = shard->fault;
  }
  const std::lock_guard lock(queue_mutex_);
  out.epoch = shard->epoch;
  return out;
}

LogMetrics Log::Impl::metrics() const {
  LogMetrics m;
  m.commits = counters_.commits;
  m.appends = counters_.appends;
  m.bytes_appended = counters_.bytes_appended;
  m.bytes_journaled = counters_.bytes_journaled;
  m.bytes_segments = counters_.bytes_segments;
  m.checkpoints = counters_.checkpoints;
  m.cleaner_rounds = counters_.cleaner_rounds;
  m.cleaner_bytes_read = counters_.cleaner_bytes_read;
  m.cleaner_bytes_written = counters_.cleaner_bytes_written;
  m.bytes_in_flight = pool_->in_flight();
  m.journal_bytes_used = counters_.journal_used;
  m.disk_full = disk_full_;
  m.duplicates = counters_.duplicates;
  m.producers = producer_budget_.used();
  m.partition_producers_refused = counters_.partition_producers_refused;
  m.node_producers_refused = counters_.node_producers_refused;
  m.commit_us_sum = counters_.commit_us_sum;
  for (std::size_t i = 0; i < m.commit_us_log2.size(); ++i) m.commit_us_log2[i] = counters_.commit_us_log2[i];
  return m;
}

bool Log::Impl::pump() {
  const std::uint64_t before = counters_.commits;
  commit_all();
  const bool worked = maintain(false);
  commit_all();
  tell_faults();
  return worked || counters_.commits != before;
}

Status Log::Impl::drain() {
  PartRef part = pool_->take();
  part->kind = JournalKind::kEpoch;  // without a record: nothing but its place in the order
  return submit_and_wait(part);
}

void Log::Impl::start_threads() {
  if (options_.threads == LogThreads::kNone) return;
  journal_runner_ = std::thread([this] {
    begin_thread("afdg-journal", options_.journal_scheduling);
    journal_thread();
  });
  segment_runner_ = std::thread([this] {
    begin_thread("afdg-segments");
    segment_thread();
  });
  cleaner_runner_ = std::thread([this] {
    begin_thread("afdg-cleaner");
    cleaner_thread();
  });
}

void Log::Impl::stop_threads() {
  {
    const std::lock_guard lock(cleaner_wait_mutex_);
    cleaner_stop_ = true;
    cleaner_wake_.notify_all();
  }
  if (cleaner_runner_.joinable()) cleaner_runner_.join();
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
    journal_wake_.notify_all();
  }
  if (journal_runner_.joinable()) journal_runner_.join();
  {
    const std::lock_guard lock(segment_mutex_);
    segment_stop_ = true;
    segment_wake_.notify_all();
  }
  if (segment_runner_.joinable()) segment_runner_.join();
}

Status Log::Impl::close() {
  if (closed_.exchange(true)) return {};
  stop_threads();
  if (!journal_) return {};
  Status done;
  if (failed_) {
    done = failure();
  } else {
    commit_all();
    done = checkpoint(false);
    commit_all();
    if (done.ok()) done = checkpoint(true);
  }
  // Whoever still waits is told that it is not known.
  {
    const std::lock_guard commit(commit_mutex_);
    failed_ = true;
    static_cast<void>(commit_once());
  }
  tell_faults();
  return done;
}

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Log::~Log() = default;

Result<std::unique_ptr<Log>> Log::open(store::FileSystem& fs, Clock& clock, const LogOptions& options) {
  if (options.directory.empty())
    return fail(Code::kInvalidArgument, "the log's directory is empty: name one");
  auto impl = std::make_unique<Impl>(fs, clock, options);
  if (Status recovered = impl->recover(); !recovered.ok()) {
    impl->closed_ = true;
    return recovered.error();
  }
  impl->start_threads();
  return std::unique_ptr<Log>(new Log(std::move(impl)));
}

const LogRecovery& Log::recovery() const { return impl_->recovery_; }
Status Log::release_reserve(store::FileSystem& fs, const std::string& directory) {
  const std::string path = directory + "/" + std::string(kReserveFile);
  if (!fs.exists(path)) return {};
  AFDG_ASSIGN(const auto file, fs.open(path, store::OpenMode::kReadWrite));
  return file->truncate(0);
}
Status Log::take_reserve() {
  Status taken = impl_->fill_reserve();
  return taken.code() == Code::kDiskFull ? Status() : taken;
}
Status Log::create_partition(TopicPartition partition, std::string_view topic_name,
                             const TopicOptions& options) {
  return impl_->create({{partition, std::string(topic_name), options}});
}
Status Log::create_partitions(const std::vector<NewPartition>& partitions) {
  return impl_->create(partitions);
}
Status Log::delete_topic(TopicId topic) {
  Status deleted = impl_->delete_topic(topic);
  impl_->tell_faults();
  return deleted;
}
Result<Appended> Log::append(TopicPartition partition, std::string_view batch, Epoch leader_epoch,
                             AppendDone done, AppendHow how) {
  return impl_->append(partition, batch, leader_epoch, std::move(done), std::move(how));
}
Result<Offset> Log::truncate(TopicPartition partition, Offset to) { return impl_->truncate(partition, to); }
Status Log::advance_start(TopicPartition partition, Offset to) { return impl_->advance_start(partition, to); }
Result<PartitionDescription> Log::describe(TopicPartition partition) const {
  return impl_->describe(partition);
}
LogMetrics Log::metrics() const { return impl_->metrics(); }
bool Log::crowded() const noexcept { return impl_->crowded(); }
bool Log::clean() { return impl_->clean_round(); }
bool Log::lead() { return impl_->lead(); }
bool Log::pump() { return impl_->pump(); }
Status Log::checkpoint() { return impl_->checkpoint(false); }
Status Log::drain() { return impl_->drain(); }
Status Log::close() { return impl_->close(); }

Result<Offset> Log::find_time(TopicPartition partition, Timestamp at) {
  AFDG_ASSIGN(const ShardRef shard, impl_->need(partition));
  PartitionEnds among;
  {
    const std::lock_guard lock(shard->tail_mutex);
    AFDG_TRY(shard->fault);
    among.start = shard->start;
    among.end = std::max(shard->start, std::min(shard->written_end, shard->committed_end));
  }
  const std::lock_guard io(shard->io_mutex);
  if (!shard->partition) return fail(Code::kCorrupt, shard->name + ": its directory is missing");
  auto found = shard->partition->find_time(at, among);
  if (found.code() == Code::kCorrupt) impl_->record_fault(*shard, found.error());
  if (!found.ok()) return found.error();
  return found->has_value() ? (*found)->offset : among.end;
}

Result<std::optional<TimedOffset>> Log::find_max_time(TopicPartition partition) {
  AFDG_ASSIGN(const ShardRef shard, impl_->need(partition));
  AFDG_ASSIGN(const PartitionEnds ends, this->ends(partition));
  std::optional<TimedOffset> most;
  {
    const std::lock_guard io(shard->io_mutex);
    if (!shard->partition) return fail(Code::kCorrupt, shard->name + ": its directory is missing");
    auto found = shard->partition->find_max_time(ends);
    if (found.code() == Code::kCorrupt) impl_->record_fault(*shard, found.error());
    if (!found.ok()) return found.error();
    most = *found;
  }
  const std::lock_guard lock(shard->tail_mutex);
  AFDG_TRY(shard->fault);
  for (const TailBatch& tail : shard->tail) {
    const BatchView batch = BatchView::header(tail.bytes);
    const Timestamp at{std::chrono::milliseconds(batch.max_timestamp())};
    if (tail.next > ends.start && (!most || at > most->timestamp)) most = TimedOffset{tail.next + -1, at};
  }
  return most;
}

Result<PartitionEnds> Log::ends(TopicPartition partition) const {
  AFDG_ASSIGN(const ShardRef shard, impl_->need(partition));
  const std::lock_guard lock(shard->tail_mutex);
  AFDG_TRY(shard->fault);
  return PartitionEnds{shard->start, shard->committed_end};
}

std::vector<TopicPartition> Log::partitions() const {
  std::vector<TopicPartition> out;
  {
    const std::lock_guard lock(impl_->shards_mutex_);
    for (const auto& [id, shard] : impl_->shards_) out.push_back(id);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::unique_ptr<MessageLog>> Log::region_log(const RegionStreams& streams) {
  std::array<ShardRef, kStreams> shards;
  AFDG_ASSIGN(shards[0], impl_->need(streams.messages));
  AFDG_ASSIGN(shards[1], impl_->need(streams.changes));
  AFDG_ASSIGN(shards[2], impl_->need(streams.dead));
  AFDG_TRY(impl_->hold(shards));
  return std::unique_ptr<MessageLog>(new RegionLog(*impl_, std::move(shards)));
}

}  // namespace afdg::log
