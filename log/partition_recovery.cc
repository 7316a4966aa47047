#include <algorithm>
#include <array>
#include <utility>

#include "base/codec.h"
#include "log/partition.h"
#include "log/partition_files.h"
#include "log/segment.h"

namespace afdg::log {
namespace {

constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kUuidPrefix("afdg\0\0\0\0", 8);

std::string base64_of_uuid(std::string_view bytes) {
  std::string out;
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += 6) {
    unsigned v = 0;
    for (std::size_t i = bit; i < bit + 6; ++i) {
      const unsigned b =
          i < bytes.size() * 8 ? (static_cast<unsigned char>(bytes[i / 8]) >> (7 - i % 8)) & 1u : 0u;
      v = v << 1 | b;
    }
    out.push_back(kBase64[v]);
  }
  return out;
}

std::optional<std::string> uuid_of_base64(std::string_view text) {
  if (text.size() != 22) return std::nullopt;
  std::array<unsigned char, 17> bytes{};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t v = kBase64.find(text[i]);
    if (v == std::string_view::npos) return std::nullopt;
    for (std::size_t j = 0; j < 6; ++j)
      if ((v >> (5 - j)) & 1u)
        bytes[(i * 6 + j) / 8] |= static_cast<unsigned char>(0x80u >> ((i * 6 + j) % 8));
  }
  if (bytes[16] != 0) return std::nullopt;
  return std::string(bytes.begin(), bytes.begin() + 16);
}

}  // namespace

std::string encode_metadata(TopicId topic) {
  std::string uuid(kUuidPrefix);
  put_be64(uuid, topic.value());
  return "version: 0\ntopic_id: " + base64_of_uuid(uuid);
}

Result<TopicId> decode_metadata(std::string_view text) {
  constexpr std::string_view kVersion = "version: ";
  if (!text.starts_with(kVersion)) return fail(Code::kCorrupt, "it does not begin with \"version: \"");
  constexpr std::string_view kHead = "version: 0\ntopic_id: ";
  if (!text.starts_with(kHead)) {
    if (text.size() > kVersion.size() && text[kVersion.size()] >= '1' && text[kVersion.size()] <= '9')
      return fail(Code::kNewerFormat, "it was written by a newer version (" +
                                          std::string(text.substr(0, text.find('\n'))) +
                                          "): use that version");
    return fail(Code::kCorrupt, "its lines are not \"version\" and \"topic_id\"");
  }
  text.remove_prefix(kHead.size());
  if (text.ends_with('\n')) text.remove_suffix(1);
  const auto uuid = uuid_of_base64(text);
  if (!uuid || !uuid->starts_with(kUuidPrefix))
    return fail(Code::kCorrupt, "its topic id is not one of this program's");
  return TopicId(load_be64(uuid->data() + kUuidPrefix.size()));
}

Status Partition::load_metadata() {
  const std::string path = directory_ + "/" + std::string(kMetadataFile);
  auto text = fs_->read_file(path, 4096);
  if (text.code() == Code::kNotFound) return fail(Code::kCorrupt, path + " is missing");
  if (!text.ok()) return text.error();
  auto topic = decode_metadata(*text);
  if (!topic.ok()) return fail(topic.code(), path + ": " + topic.error().text());
  topic_ = *topic;
  return {};
}

Result<std::unique_ptr<Partition>> Partition::open(store::FileSystem& fs, std::string directory,
                                                   const PartitionOptions& options,
                                                   const PartitionState& state, RecoveryReport& report) {
  if (!fs.exists(directory))
    return fail(Code::kNotFound, "no partition at " + directory + ": the directory is missing");
  auto partition = std::unique_ptr<Partition>(new Partition(fs, std::move(directory), options));
  Status s = partition->recover(state, report);
  if (s.code() == Code::kCorrupt) {
    partition->note(std::move(s)).ignore("the partition is there and says so");
  } else if (!s.ok()) {
    return s.error();
  }
  return partition;
}

Status Partition::recover(const PartitionState& state, RecoveryReport& report) {
  AFDG_TRY(load_metadata());
  start_ = state.start;
  end_ = synced_end_ = std::max(state.recovery_point, state.start);
  AFDG_TRY(finish_cleanings(report.warnings));
  AFDG_ASSIGN(const auto names, fs_->list(directory_));
  const SegmentOptions segment_options{options_.index_interval_bytes, options_.batch_bytes_max};
  for (const std::string& name : names)
    if (const auto base = segment_base(name))
      segments_.push_back(std::make_unique<Segment>(*fs_, directory_, *base, segment_options));
  // What an unfinished advance_start() left.
  while (segments_.size() > 1 && segments_[1]->base() <= start_) AFDG_TRY(drop_segments(0, 1));
  if (segments_.empty()) {
    if (state.recovery_point > start_)
      return fail(Code::kCorrupt, directory_ + " has no segment file, offsets below " +
                                      std::to_string(state.recovery_point.value()) + " should be there");
    report.warnings.push_back(directory_ + " had no segment file: an empty one was made at offset " +
                              std::to_string(start_.value()));
    return add_segment(start_);
  }
  if (segments_.front()->base() > start_)
    return fail(Code::kCorrupt, segments_.front()->log_path() +
                                    " is the first segment, but the log starts at offset " +
                                    std::to_string(start_.value()) + ": a segment file is missing");

  // One that ends exactly at the recovery point may have been cut there and not synced since: it is scanned.
  std::size_t sealed = 0;
  while (sealed + 1 < segments_.size() && segments_[sealed + 1]->base() < state.recovery_point) ++sealed;
  AFDG_TRY(recover_sealed(sealed, report));
  AFDG_TRY(recover_tail(sealed, state.recovery_point, report));
  const Timestamp first{std::chrono::milliseconds(active().first_timestamp())};
  active_since_ = first < Timestamp{} ? state.now : std::min(first, state.now);
  appended_at_ = std::max(appended_at_, state.now);
  return load_marks(report);
}

Status Partition::recover_sealed(std::size_t count, RecoveryReport& report) {
  for (std::size_t i = 0; i < count; ++i) {
    AFDG_ASSIGN(const Segment* segment, use(i, &report.warnings));
    if (segment->end() != segments_[i + 1]->base())
      return fail(Code::kCorrupt,
                  segment->log_path() + " ends at offset " + std::to_string(segment->end().value()) +
                      " (position " + std::to_string(segment->bytes()) + "), the next segment begins at " +
                      std::to_string(segments_[i + 1]->base().value()) + ": synced records are missing");
    bytes_ += segment->bytes();
  }
  return {};
}

Status Partition::recover_tail(std::size_t first, Offset recovery_point, RecoveryReport& report) {
  EpochLineage scanned;
  Offset scanned_from = segments_[first]->end();
  bool scanned_any = false;
  const auto seen = [&](const BatchView& batch) {
    if (!scanned_any) scanned_from = batch.base();
    scanned_any = true;
    report.bytes_scanned += batch.size();
    scanned.assign(batch.leader_epoch(), batch.base());
  };
  for (std::size_t i = first; i < segments_.size(); ++i) {
    Segment& segment = *segments_[i];
    Status torn;
    AFDG_TRY(segment.recover(recovery_point, report.warnings, seen, torn));
    end_ = segment.end();
    const bool last = i + 1 == segments_.size();
    // Below the start nothing is owed: a truncation may have left a gap there.
    if (end_ < recovery_point && recovery_point > start_) {
      if (!torn.ok()) return torn.error();
      return fail(Code::kCorrupt, segment.log_path() + " ends at offset " + std::to_string(end_.value()) +
                                      " (position " + std::to_string(segment.bytes()) + "), offsets below " +
                                      std::to_string(recovery_point.value()) +
                                      " were synced: the file was shortened");
    }
    AFDG_ASSIGN(const std::uint64_t cut, segment.cut_tail());
    bytes_ += segment.bytes();
    if (cut > 0) {
      report.bytes_cut += cut;
      report.warnings.push_back(segment.log_path() + ": " + std::to_string(cut) + " bytes behind position " +
                                std::to_string(segment.bytes()) + " (offset " + std::to_string(end_.value()) +
                                ") were never synced and are cut: " + (torn.ok() ? "" : torn.error().text()));
    }
    if (!last && segments_[i + 1]->base() != end_) {
      // The page cache lost the end of this segment; what comes after it waits in the journal.
      for (std::size_t j = i + 1; j < segments_.size(); ++j) {
        AFDG_ASSIGN(auto file, fs_->open(segments_[j]->log_path(), store::OpenMode::kRead));
        AFDG_ASSIGN(const std::uint64_t size, file->size());
        report.bytes_cut += size;
        report.warnings.push_back(segments_[j]->log_path() + ": " + std::to_string(size) +
                                  " bytes were never synced and follow a gap: the segment is removed");
        bytes_ += segments_[j]->bytes();
      }
      AFDG_TRY(drop_segments(i + 1, segments_.size()));
      break;
    }
    if (!last) {
      Status indexed = segment.flush_indexes(true, &unsynced_files_);
      if (indexed.code() == Code::kDiskFull) {
        indexed = segment.remove_indexes();  // made anew when the segment is used
        directory_dirty_ = true;
      }
      AFDG_TRY(indexed);
      unsynced_files_.push_back(segment.file());
      segment.close();
    }
  }
  active_dirty_ = true;
  // The name of a segment that was begun after the last sync may be lost; the first one's was made durable.
  if (active().base() >= recovery_point && active().base() != Offset(0)) directory_dirty_ = true;
  end_ = std::max(end_, start_);
  synced_end_ = std::max(recovery_point, start_);
  write_back_from_ = active().bytes();
  return recover_lineage(scanned_from, scanned, report);
}

Status Partition::recover_lineage(Offset scanned_from, const EpochLineage& scanned, RecoveryReport& report) {
  const std::string path = directory_ + "/" + std::string(kLineageFile);
  auto text = fs_->read_file(path, 16u << 20);
  Result<EpochLineage> stored = text.ok() ? EpochLineage::decode(*text) : Result<EpochLineage>(text.error());
  if (stored.code() == Code::kNewerFormat)
    return fail(Code::kNewerFormat, path + ": " + stored.error().text());
  if (text.code() == Code::kIo) return text.error();
  lineage_version_ = 1;  // written at the next sync, unless it is there already
  const bool scanned_all = scanned_from <= segments_.front()->base();
  if (stored.ok() || scanned_all) {
    if (stored.ok()) lineage_ = std::move(*stored);
    if (!stored.ok() && text.ok())
      report.warnings.push_back(path + " is damaged: made anew from the segments");
    lineage_.truncate_to(scanned_from);
    for (const auto& entry : scanned.entries()) lineage_.assign(entry.epoch, entry.start);
    lineage_.advance_start(start_);
    if (text.ok() && lineage_.encode() == *text) lineage_stored_ = lineage_version_;
    return {};
  }
  lineage_.clear();
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    AFDG_ASSIGN(const Segment* segment, use(i, nullptr));
    BatchScanner scanner(*segment->file(), {0, segment->bytes()}, BatchScanner::Depth::kHeaders,
                         options_.batch_bytes_max);
    while (scanner.next()) lineage_.assign(scanner.batch().leader_epoch(), scanner.batch().base());
    AFDG_TRY(scanner.status());
  }
  lineage_.advance_start(start_);
  report.warnings.push_back(path + (text.ok() ? " is damaged" : " is missing") +
                            ": made anew from the segments");
  return {};
}

}  // namespace afdg::log
