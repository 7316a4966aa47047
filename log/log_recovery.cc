#include <algorithm>
#include <set>
#include <utility>

#include "log/batch.h"
#include "log/log_impl.h"

namespace afdg::log {
namespace {

Error named(const std::string& path, const Error& error) {
  return fail(error.code(),
              path + ": " + error.text() +
                  (error.code() == Code::kCorrupt ? ": restore the directory, or copy it again" : ""));
}

}  // namespace

PartitionOptions Log::Impl::partition_options(const TopicOptions& options) const {
  PartitionOptions out;
  out.segment_bytes_max = options.segment_bytes;
  out.segment_age_max = options.segment_age;
  out.batch_bytes_max = options_.batch_bytes_max;
  return out;
}

Status Log::Impl::start_fresh() {
  const std::string topics = path(kPartitionsDirectory);
  if (fs_.exists(path(kListFile))) {
    AFDG_ASSIGN(const std::string bytes, fs_.read_file(path(kListFile)));
    auto list = decode_partition_list(bytes);
    if (!list.ok()) return named(path(kListFile), list.error());
    if (!list->empty()) {
      return fail(Code::kCorrupt,
                  path(kPointFile) + ": the recovery point is missing although the log holds " +
                      std::to_string(list->size()) + " partitions: restore the directory, or copy it again");
    }
  }
  if (fs_.exists(topics)) {
    AFDG_ASSIGN(const auto names, fs_.list(topics));
    if (!names.empty()) {
      return fail(Code::kCorrupt, path(kPointFile) + ": the recovery point is missing although " + topics +
                                      " holds " + names.front() +
                                      ": restore the directory, or copy it again");
    }
  }
  AFDG_TRY(fs_.create_directories(topics));
  std::uint64_t id = options_.journal_id;
  if (id == 0) id = SystemRandom().next() | 1;
  const JournalOptions journal{options_.journal_bytes, options_.journal_initial_bytes,
                               options_.planted.skip_sync};
  AFDG_ASSIGN(journal_, Journal::create(fs_, path(kJournalFile), id, journal));
  AFDG_TRY(fs_.replace_file(path(kListFile), encode_partition_list({})));
  return checkpoint(false);
}

Status Log::Impl::recover() {
  AFDG_TRY(fs_.create_directories(options_.directory));
  if (!fs_.exists(path(kPointFile))) {
    AFDG_TRY(start_fresh());
    recovery_.clean = true;
  } else {
    AFDG_TRY(recover_existing());
  }
  {
    const std::lock_guard lock(queue_mutex_);
    journal_free_ = journal_->core().free_contiguous();
  }
  if (!disk_full_ && has_room_for_reserve()) {
    Status taken = fill_reserve();
    if (taken.code() != Code::kDiskFull) return taken;
  }
  recovery_.warnings.push_back(path(kReserveFile) + ": the disk is too full for the reserve of " +
                               std::to_string(options_.reserve_bytes) +
                               " bytes, so messages that may write are refused: free space");
  note_disk_full();
  return {};
}

bool Log::Impl::has_room() {
  constexpr std::uint64_t kAskEach = 1u << 20;
  if (!disk_full_ && recovery_.bytes_replayed >= room_asked_at_) {
    room_asked_at_ = recovery_.bytes_replayed + kAskEach;
    if (disk_low()) note_disk_full();
  }
  return !disk_full_;
}

Status Log::Impl::recover_existing() {
  AFDG_ASSIGN(const std::string point_bytes, fs_.read_file(path(kPointFile)));
  auto decoded = decode_recovery_point(point_bytes);
  if (!decoded.ok()) return named(path(kPointFile), decoded.error());
  const RecoveryPoint point = std::move(decoded).value();
  auto list_bytes = fs_.read_file(path(kListFile));
  if (list_bytes.code() == Code::kNotFound) {
    return fail(
        Code::kCorrupt,
        path(kListFile) + ": the list of partitions is missing: restore the directory, or copy it again");
  }
  AFDG_TRY(list_bytes.status());
  auto list = decode_partition_list(*list_bytes);
  if (!list.ok()) return named(path(kListFile), list.error());
  const JournalOptions options{options_.journal_bytes, options_.journal_initial_bytes,
                               options_.planted.skip_sync};
  AFDG_ASSIGN(journal_, Journal::open(fs_, path(kJournalFile), point.journal_id, options));

  // First reading: nothing is changed before the whole journal is known to be good.
  JournalSurvey survey(point);
  std::uint64_t sequence = 0;
  JournalRecord record;
  const auto each = [&](const auto& use) {
    return [&, use](const FrameView& frame) -> Status {
      JournalRecordReader in(frame.payload);
      while (in.next(record)) AFDG_TRY(use(record, ++sequence));
      if (!in.status().ok()) return named(path(kJournalFile), in.status().error());
      return {};
    };
  };
  AFDG_ASSIGN(const JournalEnd end,
              journal_->replay(point.replay_from, point.synced_number,
                               each([&](const JournalRecord& r, std::uint64_t) -> Status {
                                 survey.add(r);
                                 return {};
                               })));
  AFDG_TRY(open_shards(*list, survey));

  // Second reading: what segments lack.
  sequence = 0;
  AFDG_TRY(journal_
               ->replay(point.replay_from, point.synced_number,
                        each([&](const JournalRecord& r, std::uint64_t s) -> Status {
                          return replay(
                              r, [&survey, s](TopicPartition id) { return s <= survey.of(id).skip_to; });
                        }))
               .status());
  AFDG_TRY(journal_->resume(end));
  for (auto& [id, shard] : shards_) {
    const Status made = recover_producers(*shard);
    if (!made.ok() && made.code() != Code::kCorrupt) return made;
    if (!made.ok()) shard->fault = made;
  }
  settle(survey);
  recovery_.clean = point.clean && end.frames == 0;
  recovery_.commits_replayed = end.frames;
  recovery_.journal_bytes_cut = end.bytes_cut;
  if (end.bytes_cut > 0) {
    recovery_.warnings.push_back(
        path(kJournalFile) + ": the last commit (number " + std::to_string(end.head.number) + ", at byte " +
        std::to_string(end.head.at) + ") was not whole and is cut: " + std::to_string(end.bytes_cut) +
        " bytes that nobody was told of");
  }
  if (!survey.deleted().empty()) AFDG_TRY(remove_deleted(survey.deleted()));
  if (end.frames == 0 && !point.clean) return {};
  const Status marked = checkpoint(false);
  return marked.code() == Code::kDiskFull ? Status() : marked;
}

Status Log::Impl::open_shards(const std::vector<NewPartition>& list, const JournalSurvey& survey) {
  std::set<TopicId> topics;
  for (const NewPartition& p : list) {
    if (survey.deleted().contains(p.partition.topic)) continue;
    topics.insert(p.partition.topic);
    auto shard = std::make_shared<Shard>();
    shard->id = p.partition;
    shard->name = partition_directory_name(p.topic_name, p.partition.partition);
    shard->topic_name = p.topic_name;
    shard->options = p.options;
    shard->flush_bytes = std::min<std::uint64_t>(shard->flush_bytes, p.options.segment_bytes);
    const Plan& plan = survey.of(p.partition);
    RecoveryReport report;
    auto opened = Partition::open(
        fs_, path(kPartitionsDirectory) + "/" + shard->name, partition_options(p.options),
        {.recovery_point = plan.end, .start = std::min(plan.stored_start, plan.end), .now = clock_.now()},
        report);
    recovery_.warnings.insert(recovery_.warnings.end(), report.warnings.begin(), report.warnings.end());
    if (opened.code() == Code::kNotFound || opened.code() == Code::kCorrupt) {
      shard->fault = fail(Code::kCorrupt, path(kPartitionsDirectory) + "/" + shard->name + ": " +
                                              opened.error().text() + ": copy it again or delete the topic");
    } else if (!opened.ok()) {
      return opened.error();
    } else {
      shard->partition = std::move(opened).value();
      shard->fault = shard->partition->fault();
    }
    if (shard->fault.ok() && shard->partition->end() > plan.end) {
      const Status cut = shard->partition->truncate_to(plan.end);
      if (!cut.ok() && cut.code() != Code::kCorrupt) return cut;
      shard->fault = cut;
    }
    if (shard->fault.ok() && shard->partition->end() != plan.end) {
      shard->fault =
          fail(Code::kCorrupt, path(kPartitionsDirectory) + "/" + shard->name + ": it ends at offset " +
                                   std::to_string(shard->partition->end().value()) + ", but batches up to " +
                                   std::to_string(plan.end.value()) + " were synced: copy it again");
    }
    shard->unsynced = true;
    if (shard->fault.ok()) take_cleaned(*shard, plan);
    shards_[p.partition] = std::move(shard);
  }
  recovery_.topics = topics.size();
  recovery_.partitions = shards_.size();
  return {};
}

void Log::Impl::take_cleaned(Shard& shard, const Plan& plan) {
  const Offset marked = shard.partition->marks().history_start;
  if (marked >= plan.history_start) {
    shard.cleaned = plan.cleaned;
    return;
  }
  recovery_.warnings.push_back(
      path(kPartitionsDirectory) + "/" + shard.name +
      ": it is a copy from before its last compaction (its history starts at offset " +
      std::to_string(marked.value()) + ", not " + std::to_string(plan.history_start.value()) +
      "): it is compacted from its start");
}

Status Log::Impl::replay(const JournalRecord& record, const std::function<bool(TopicPartition)>& skip) {
  const auto shard_of = [&](TopicPartition id) -> ShardRef {
    const auto it = shards_.find(id);
    if (it == shards_.end() || !it->second->fault.ok() || skip(id)) return nullptr;
    return it->second;
  };
  if (record.kind == JournalKind::kTruncate) {
    const ShardRef shard = shard_of(record.partition);
    if (shard == nullptr) return {};
    std::erase_if(shard->tail, [&](const TailBatch& batch) { return batch.next > record.offset; });
    if (shard->partition->end() <= record.offset) return {};
    const Status cut = shard->partition->truncate_to(record.offset);
    if (cut.code() == Code::kCorrupt) {
      shard->fault = cut;
      return {};
    }
    return cut;
  }
  if (record.kind != JournalKind::kAppend) return {};
  for (const AppendEntry& entry : record.entries) {
    if (const ShardRef shard = shard_of(entry.partition); shard && !entry.reference)
      AFDG_TRY(replay(shard, entry));
  }
  return {};
}

Status Log::Impl::replay(const ShardRef& shard, const AppendEntry& entry) {
  // The journal's order is right: what it brings replaces what stands at its place.
  std::erase_if(shard->tail, [&](const TailBatch& batch) { return batch.next > entry.base; });
  if (!shard->tail.empty() || !has_room()) {
    keep_in_memory(shard, entry);
    return {};
  }
  const auto done = shard->partition->replay(entry.batch, clock_.now());
  if (done.ok()) {
    recovery_.batches_replayed += *done ? 1 : 0;
    recovery_.bytes_replayed += *done ? entry.batch.size() : 0;
  } else if (done.code() == Code::kDiskFull) {
    note_disk_full();
    keep_in_memory(shard, entry);
  } else if (done.code() == Code::kCorrupt || done.code() == Code::kInvalidArgument) {
    shard->fault = fail(Code::kCorrupt, shard->name + ": the journal's batch at offset " +
                                            std::to_string(entry.base.value()) +
                                            " does not fit its segments: " + done.error().text());
  } else {
    return done.error();
  }
  return {};
}

void Log::Impl::keep_in_memory(const ShardRef& shard, const AppendEntry& entry) {
  PartRef part = pool_->take();
  part->record.assign(entry.batch);
  pool_->count(*part, entry.batch.size());
  shard->epoch = std::max(shard->epoch, BatchView::header(entry.batch).leader_epoch());
  shard->tail.push_back({part, part->record, entry.base, entry.next});
  ++recovery_.batches_replayed;
  recovery_.bytes_replayed += entry.batch.size();
}

void Log::Impl::settle(const JournalSurvey& survey) {
  std::size_t kept = 0;
  for (auto& [id, shard] : shards_) {
    const Plan& plan = survey.of(id);
    const bool good = shard->fault.ok();
    // The next recovery point gives the journal up: it must say what a faulty partition lacks once it is
    // back.
    const Offset end = good ? shard->partition->end() : plan.log_end;
    if (!good) shard->tail.clear();
    shard->written_end = end;
    shard->point_end = plan.end;
    shard->next = shard->committed_end = shard->tail.empty() ? end : shard->tail.back().next;
    shard->start = std::min(plan.start, shard->committed_end);
    if (shard->partition) shard->marks = shard->partition->marks();
    shard->epoch = std::max(shard->epoch, plan.epoch);
    if (!shard->tail.empty()) {
      shard->listed_dirty = true;
      dirty_.push_back(shard);
      ++kept;
    }
    shard->faulty = !good;
    if (!good) {
      recovery_.faulty.push_back({id, shard->fault.error().text()});
      continue;
    }
    if (const auto latest = shard->partition->lineage().latest())
      shard->epoch = std::max(shard->epoch, *latest);
  }
  if (kept == 0) return;
  recovery_.warnings.push_back(
      path(kPartitionsDirectory) + ": the disk is full: " + std::to_string(kept) +
      " partitions have committed batches that do not fit into their segments; they " +
      "are read from memory and stay in the journal: free space");
}

Status Log::Impl::remove_deleted(const std::set<TopicId>& deleted) {
  AFDG_ASSIGN(const std::string bytes, fs_.read_file(path(kListFile)));
  AFDG_ASSIGN(const auto list, decode_partition_list(bytes));
  for (const NewPartition& p : list) {
    if (!deleted.contains(p.partition.topic)) continue;
    AFDG_TRY(fs_.remove_all(path(kPartitionsDirectory) + "/" +
                            partition_directory_name(p.topic_name, p.partition.partition)));
  }
  AFDG_TRY(fs_.sync_directory(path(kPartitionsDirectory)));
  const Status written = write_list();
  if (written.code() != Code::kDiskFull) return written;
  note_disk_full();
  list_outdated_ = true;
  return {};
}

}  // namespace afdg::log
