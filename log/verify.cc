#include "log/verify.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "log/batch.h"
#include "log/epochs.h"
#include "log/index.h"
#include "log/journal.h"
#include "log/log_impl.h"
#include "log/log_list.h"
#include "log/log_plan.h"
#include "log/partition_files.h"
#include "log/segment.h"

namespace afdg::log {
namespace {

constexpr std::uint64_t kIndexBytesMax = 1u << 30;

class Verifier {
 public:
  Verifier(store::FileSystem& fs, std::string directory, std::size_t findings_max)
      : fs_(fs), directory_(std::move(directory)), findings_max_(findings_max) {}

  Result<VerifyReport> run() {
    if (!fs_.exists(directory_)) return fail(Code::kNotFound, directory_ + ": there is no such directory");
    const std::string point_path = path(kPointFile);
    AFDG_ASSIGN(const auto point_bytes, read_or_note(point_path, "the recovery point"));
    AFDG_ASSIGN(const auto list_bytes, read_or_note(path(kListFile), "the list of partitions"));
    if (!point_bytes || !list_bytes) return std::move(report_);
    auto point = decode_recovery_point(*point_bytes);
    if (!point.ok())
      note(point_path, 0, kind_of(point.error()), point.error().text() + ": restore the directory");
    auto list = decode_partition_list(*list_bytes);
    if (!list.ok())
      note(path(kListFile), 0, kind_of(list.error()), list.error().text() + ": restore the directory");
    if (!point.ok() || !list.ok()) return std::move(report_);

    JournalSurvey survey(*point);
    AFDG_ASSIGN(const bool journal_good, journal(*point, survey));
    report_.clean = point->clean && journal_good && report_.journal_commits == 0;
    std::set<std::string> known;
    for (const auto& p : *list) {
      const std::string name = partition_directory_name(p.topic_name, p.partition.partition);
      known.insert(name);
      if (survey.deleted().contains(p.partition.topic)) continue;
      ++report_.partitions;
      // Without a whole journal it is not known how far the segments must be; the recovery point is the
      // least.
      AFDG_TRY(partition(path(kPartitionsDirectory) + "/" + name, p.partition.topic, survey.of(p.partition)));
    }
    if (fs_.exists(path(kPartitionsDirectory))) {
      AFDG_ASSIGN(const auto names, fs_.list(path(kPartitionsDirectory)));
      for (const std::string& name : names) {
        if (known.contains(name)) continue;
        note(path(kPartitionsDirectory) + "/" + name, 0, FindingKind::kUnsynced,
             "no listed partition: left by a creation that did not end; it may be removed");
      }
    }
    return std::move(report_);
  }

 private:
  [[nodiscard]] std::string path(std::string_view name) const { return directory_ + "/" + std::string(name); }

  static FindingKind kind_of(const Error& error) {
    return error.code() == Code::kNewerFormat ? FindingKind::kNewer : FindingKind::kDamaged;
  }

  void note(std::string file, std::uint64_t position, FindingKind kind, std::string sentence) {
    if (report_.findings.size() > findings_max_) return;
    if (report_.findings.size() == findings_max_) {
      report_.findings.push_back({directory_, 0, kind, "there are more findings: mend these first"});
      return;
    }
    report_.findings.push_back({std::move(file), position, kind, std::move(sentence)});
  }

  Result<std::optional<std::string>> read_or_note(const std::string& file, const std::string& what) {
    auto bytes = fs_.read_file(file);
    if (bytes.ok()) return std::optional<std::string>(std::move(bytes).value());
    if (bytes.code() != Code::kNotFound) return bytes.error();
    note(file, 0, FindingKind::kMissing, what + " is missing: restore the directory, or copy it again");
    return std::optional<std::string>();
  }

  /// False when it is damaged.
  Result<bool> journal(const RecoveryPoint& point, JournalSurvey& survey) {
    const std::string file_path = path(kJournalFile);
    auto file = fs_.open(file_path, store::OpenMode::kRead);
    if (file.code() == Code::kNotFound) {
      note(file_path, 0, FindingKind::kMissing,
           "the journal is missing: restore the directory, or copy it again");
      return false;
    }
    AFDG_TRY(file.status());
    AFDG_ASSIGN(const std::uint64_t size, (*file)->size());
    std::string head(static_cast<std::size_t>(std::min(size, kJournalBlock)), '\0');
    AFDG_TRY((*file)->read_at(0, head.size(), head.data()));
    auto id = decode_journal_header(head);
    if (!id.ok()) {
      note(file_path, 0, kind_of(id.error()), id.error().text() + ": restore the directory");
      return false;
    }
    if (*id != point.journal_id) {
      note(file_path, 0, FindingKind::kDamaged,
           "it is not the journal of this recovery point: files of two directories were mixed");
      return false;
    }
    JournalRecord record;
    auto end = read_journal(
        **file, *id, point.replay_from, point.synced_number, [&](const FrameView& frame) -> Status {
          ++report_.journal_commits;
          JournalRecordReader in(frame.payload);
          while (in.next(record)) {
            survey.add(record);
            for (const AppendEntry& entry : record.entries)
              if (!entry.reference) journal_batch(file_path, frame.position.at, entry);
          }
          if (!in.status().ok()) {
            note(file_path, frame.position.at, kind_of(in.status().error()), in.status().error().text());
          }
          return {};
        });
    if (!end.ok()) {
      if (end.code() == Code::kIo) return end.error();
      note(file_path, 0, kind_of(end.error()), end.error().text());
      return false;
    }
    if (end->bytes_cut > 0) {
      note(file_path, end->head.at, FindingKind::kUnsynced,
           "the last commit is not whole: " + std::to_string(end->bytes_cut) +
               " bytes that nobody was told of");
    }
    return true;
  }

  void journal_batch(const std::string& file, std::uint64_t at, const AppendEntry& entry) {
    auto batch = BatchView::parse(entry.batch);
    Status good = batch.status();
    if (good.ok()) good = batch->validate();
    if (good.ok() && (batch->base() != entry.base || batch->next() != entry.next)) {
      good = fail(Code::kCorrupt, "its offsets are not those of its record");
    }
    if (!good.ok()) {
      note(file, at, FindingKind::kDamaged, "a batch in this commit is damaged: " + good.error().text());
      return;
    }
    ++report_.journal_batches;
  }

  Status partition(const std::string& directory, TopicId topic, const Plan& plan) {
    if (!fs_.exists(directory)) {
      note(directory, 0, FindingKind::kMissing, "the partition's directory is missing: copy it again");
      return {};
    }
    AFDG_TRY(metadata(directory + "/" + std::string(kMetadataFile), topic));
    AFDG_ASSIGN(const auto names, fs_.list(directory));
    std::vector<Offset> bases;
    for (const std::string& name : names)
      if (const auto base = segment_base(name)) bases.push_back(*base);
    std::sort(bases.begin(), bases.end());
    AFDG_TRY(take_swaps(directory, names, bases));
    if (bases.empty() || bases.front() > plan.stored_start) {
      note(directory, 0, FindingKind::kMissing,
           "the first segment is missing: the log starts at offset " +
               std::to_string(plan.stored_start.value()) + ": copy the partition again");
      return {};
    }
    Offset end = bases.front();
    EpochLineage lineage;
    bool whole = true;
    for (std::size_t i = 0; i < bases.size() && whole; ++i) {
      const std::string stem = directory + "/" + segment_stem(bases[i]);
      if (bases[i] >= plan.end && i > 0 && bases[i] != end) {
        note(stem + ".log", 0, FindingKind::kUnsynced,
             "it was begun after the last sync: made anew from the journal");
        break;
      }
      if (bases[i] != end) {
        note(stem + ".log", 0, FindingKind::kMissing,
             "the segment before it ends at offset " + std::to_string(end.value()) +
                 ": records between are missing; copy the partition again");
        return {};
      }
      AFDG_ASSIGN(whole, segment(stem, bases[i], plan, end, lineage));
    }
    if (whole && end < plan.end) {
      note(directory + "/" + segment_stem(bases.back()) + ".log", 0, FindingKind::kDamaged,
           "it ends at offset " + std::to_string(end.value()) + ", offsets below " +
               std::to_string(plan.end.value()) +
               " were synced: the file was shortened; copy the partition again");
    }
    AFDG_TRY(check_marks(directory + "/" + std::string(kMarksFile), plan.history_start));
    return whole ? check_lineage(directory + "/" + std::string(kLineageFile), lineage) : Status();
  }

  /// A compaction that a start would end: the swap file stands for the segments that it covers.
  Status take_swaps(const std::string& directory, const std::vector<std::string>& names,
                    std::vector<Offset>& bases) {
    swaps_.clear();
    for (const std::string& name : names) {
      if (!name.ends_with(kSwapSuffix)) continue;
      const auto base = segment_base(std::string_view(name).substr(0, name.size() - kSwapSuffix.size()));
      if (!base) continue;
      AFDG_ASSIGN(const auto file, fs_.open(directory + "/" + name, store::OpenMode::kRead));
      AFDG_ASSIGN(const std::uint64_t size, file->size());
      BatchScanner scanner(*file, {0, size}, BatchScanner::Depth::kWhole, kBatchBytesMax);
      Offset end = *base;
      while (scanner.next()) end = scanner.batch().next();
      if (scanner.status().code() == Code::kIo) return scanner.status();
      if (!scanner.status().ok() || end == *base) continue;  // a start keeps what it was to replace
      std::erase_if(bases, [&](Offset other) { return other > *base && other < end; });
      if (!std::binary_search(bases.begin(), bases.end(), *base))
        bases.insert(std::upper_bound(bases.begin(), bases.end(), *base), *base);
      swaps_.insert(*base);
    }
    return {};
  }

  Status metadata(const std::string& file, TopicId topic) {
    auto text = fs_.read_file(file, 4096);
    if (text.code() == Code::kNotFound) {
      note(file, 0, FindingKind::kMissing, "the partition's metadata is missing: copy the partition again");
      return {};
    }
    AFDG_TRY(text.status());
    auto id = decode_metadata(*text);
    if (!id.ok()) {
      note(file, 0, kind_of(id.error()), id.error().text());
    } else if (*id != topic) {
      note(file, 0, FindingKind::kDamaged,
           "it is of topic id " + std::to_string(id->value()) + ", not " + std::to_string(topic.value()));
    }
    return {};
  }

  /// Reads one segment up to what was synced. False when it is damaged: what follows cannot be judged.
  Result<bool> segment(const std::string& stem, Offset base, const Plan& plan, Offset& end,
                       EpochLineage& lineage) {
    const bool swap = swaps_.contains(base);
    const std::string file_path = stem + ".log" + std::string(swap ? kSwapSuffix : std::string_view());
    AFDG_ASSIGN(const auto file, fs_.open(file_path, store::OpenMode::kRead));
    AFDG_ASSIGN(const std::uint64_t size, file->size());
    ++report_.segments;
    BatchScanner scanner(*file, {0, size}, BatchScanner::Depth::kWhole, kBatchBytesMax);
    std::map<std::uint64_t, Offset> last_at;  // position of a batch -> its last offset, for the index
    std::uint64_t trusted = 0;
    bool behind_end = false;
    while (scanner.next()) {
      const BatchView& batch = scanner.batch();
      // Behind what was synced anything may stand, a batch with another's offset in front too (no CRC covers
      // it).
      if (end >= plan.end || batch.next() > plan.end) {
        behind_end = true;
        break;
      }
      Status good = batch.validate();
      if (good.ok() && (batch.base() < end || batch.base() < base)) {
        good = fail(Code::kCorrupt, "offset " + std::to_string(batch.base().value()) + " follows offset " +
                                        std::to_string(end.value() - 1));
      }
      // No CRC covers the leader epoch; it never goes back.
      if (const auto before = lineage.latest(); good.ok() && before && batch.leader_epoch() < *before) {
        good = fail(Code::kCorrupt, "leader epoch " + std::to_string(batch.leader_epoch().value()) +
                                        " follows leader epoch " + std::to_string(before->value()));
      }
      if (!good.ok()) {
        note(file_path, scanner.position(), FindingKind::kDamaged,
             good.error().text() + ": the partition is faulty; copy it again");
        return false;
      }
      last_at[scanner.position()] = batch.last();
      end = batch.next();
      trusted = scanner.position() + scanner.size();
      lineage.assign(batch.leader_epoch(), batch.base());
      ++report_.batches;
      report_.records += static_cast<std::uint64_t>(batch.records());
      report_.bytes += scanner.size();
    }
    if (!behind_end && !scanner.status().ok()) {
      if (scanner.status().code() == Code::kIo) return scanner.status().error();
      if (end < plan.end) {
        note(file_path, scanner.position(), FindingKind::kDamaged,
             scanner.status().error().text() + ": offsets below " + std::to_string(plan.end.value()) +
                 " were synced; the partition is faulty: copy it again");
        return false;
      }
      behind_end = true;
    }
    if (behind_end) {
      note(file_path, scanner.position(), report_.clean ? FindingKind::kDamaged : FindingKind::kUnsynced,
           report_.clean ? "bytes stand behind the end that an orderly stop left: copy the partition again"
                         : "bytes behind offset " + std::to_string(plan.end.value()) +
                               " were not synced: made anew from the journal");
    }
    if (!swap) AFDG_TRY(indexes(stem, base, size, trusted, last_at));
    return true;
  }

  Status indexes(const std::string& stem, Offset base, std::uint64_t size, std::uint64_t trusted,
                 const std::map<std::uint64_t, Offset>& last_at) {
    const auto derived = [&](const std::string& file, const std::string& what) {
      note(file, 0, FindingKind::kDerived, what + ": it is made anew when it is needed");
    };
    const std::string index_path = stem + ".index";
    auto bytes = fs_.read_file(index_path, kIndexBytesMax);
    if (bytes.code() == Code::kNotFound) {
      derived(index_path, "the offset index is missing");
    } else {
      AFDG_TRY(bytes.status());
      auto index = OffsetIndex::decode(*bytes, size);
      if (!index.ok()) {
        derived(index_path, index.error().text());
      } else {
        for (const auto& entry : index->entries()) {
          if (static_cast<std::uint64_t>(entry.position) >= trusted) break;
          const auto it = last_at.find(static_cast<std::uint64_t>(entry.position));
          if (it != last_at.end() && it->second == base + entry.relative) continue;
          derived(index_path, "an entry names position " + std::to_string(entry.position) +
                                  ", where no such batch begins");
          break;
        }
      }
    }
    const std::string time_path = stem + ".timeindex";
    auto times = fs_.read_file(time_path, kIndexBytesMax);
    if (times.code() == Code::kNotFound) {
      derived(time_path, "the time index is missing");
      return {};
    }
    AFDG_TRY(times.status());
    if (auto index = TimeIndex::decode(*times, std::int64_t{1} << 31); !index.ok()) {
      derived(time_path, index.error().text());
    }
    return {};
  }

  /// `compacted`: where the history starts at least, by the recovery point.
  Status check_marks(const std::string& file, Offset compacted) {
    const auto bytes = fs_.read_file(file, 4096);
    if (bytes.code() != Code::kNotFound) AFDG_TRY(bytes.status());
    const auto marks = bytes.ok() ? decode_marks(*bytes) : Result<CompactionMarks>(CompactionMarks{});
    if (!marks.ok()) {
      note(file, 0, marks.code() == Code::kNewerFormat ? FindingKind::kNewer : FindingKind::kDerived,
           marks.error().text() + ": readers will be asked to begin again from the start");
    } else if (marks->history_start < compacted) {
      note(file, 0, FindingKind::kDerived,
           "the history starts at offset " + std::to_string(marks->history_start.value()) +
               ", at the last sync at " + std::to_string(compacted.value()) +
               ": the partition is a copy from before that and will be compacted from its start");
    }
    return {};
  }

  Status check_lineage(const std::string& file, const EpochLineage& segments) {
    auto text = fs_.read_file(file, 16u << 20);
    if (text.code() == Code::kNotFound) {
      if (!segments.entries().empty() && report_.clean) {
        note(file, 0, FindingKind::kDerived,
             "the leader-epoch checkpoint is missing: made anew at the next start");
      }
      return {};
    }
    AFDG_TRY(text.status());
    auto lineage = EpochLineage::decode(*text);
    if (!lineage.ok()) {
      note(file, 0, lineage.code() == Code::kNewerFormat ? FindingKind::kNewer : FindingKind::kDerived,
           lineage.error().text() + ": made anew at the next start");
      return {};
    }
    // The epochs that wrote what is there must be in it; earlier ones may have gone with their segments.
    for (const auto& entry : segments.entries()) {
      const auto& have = lineage->entries();
      const bool found = std::any_of(have.begin(), have.end(), [&](const auto& e) {
        return e.epoch == entry.epoch &&
               (e.start <= entry.start || e.start <= segments.entries().front().start ||
                entry == segments.entries().front());
      });
      if (found || !report_.clean) continue;
      note(file, 0, FindingKind::kDerived,
           "epoch " + std::to_string(entry.epoch.value()) + " began at offset " +
               std::to_string(entry.start.value()) + ", which it does not say: made anew at the next start");
      return {};
    }
    return {};
  }

  store::FileSystem& fs_;
  std::string directory_;
  std::size_t findings_max_;
  VerifyReport report_;
  std::set<Offset> swaps_;  ///< of the partition that is looked at
};

}  // namespace

std::string_view finding_kind_name(FindingKind kind) noexcept {
  switch (kind) {
    case FindingKind::kDamaged:
      return "damaged";
    case FindingKind::kMissing:
      return "missing";
    case FindingKind::kNewer:
      return "newer";
    case FindingKind::kDerived:
      return "derived";
    case FindingKind::kUnsynced:
      return "unsynced";
  }
  return "?";
}

bool VerifyReport::sound() const noexcept {
  return std::all_of(findings.begin(), findings.end(), [](const Finding& f) {
    return f.kind == FindingKind::kDerived || f.kind == FindingKind::kUnsynced;
  });
}

Result<VerifyReport> verify_log(store::FileSystem& fs, const std::string& directory,
                                std::size_t findings_max) {
  return Verifier(fs, directory, findings_max).run();
}

}  // namespace afdg::log
