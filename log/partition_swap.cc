#include <algorithm>
#include <utility>

#include "log/partition.h"
#include "log/partition_files.h"
#include "log/segment.h"
#include "log/synced.h"

// How a cleaned segment takes the place of those it was made from:
//
//     0.log  512.log  900.log   +   0.log.cleaned        written and synced; a start removes it
//     0.log  512.log  900.log   +   0.log.swap           renamed, names synced: from here on a start goes on
//     0.log                     +   0.log.swap           what it covers is removed, names synced
//     0.log (the new one)                                renamed over the first, names synced
//
// What it covers is told by the file itself: from its name to the end of its last batch, which a cleaning
// keeps.
namespace afdg::log {
namespace {

/// The base that the name of a file "<base>.log<suffix>" says.
std::optional<Offset> suffixed_base(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  return segment_base(name);
}

}  // namespace

Status Partition::swap_in(Offset base, Offset end) {
  AFDG_TRY(fault_);
  const std::size_t first = segment_of(base);
  std::size_t last = first;
  while (last < segments_.size() && segments_[last]->end() < end) ++last;
  if (segments_[first]->base() != base || last + 1 >= segments_.size() || segments_[last]->end() != end ||
      segments_[last + 1]->base() != end || end > synced_end_) {
    return fail(Code::kFailedPrecondition, directory_ + ": the segments from offset " +
                                               std::to_string(base.value()) + " to " +
                                               std::to_string(end.value()) + " changed meanwhile");
  }
  const std::string stem = directory_ + "/" + segment_stem(base) + ".log";
  AFDG_TRY(fs_->rename(stem + std::string(kCleanedSuffix), stem + std::string(kSwapSuffix)));
  AFDG_TRY(synced(fs_->sync_directory(directory_)));
  for (std::size_t i = first; i <= last; ++i) {
    forget_open(segments_[i].get());
    std::erase(unsynced_files_, segments_[i]->file());
    segments_[i]->close();
    bytes_ -= segments_[i]->bytes();
  }
  AFDG_TRY(finish_swap(base, end));
  auto segment = std::make_unique<Segment>(
      *fs_, directory_, base, SegmentOptions{options_.index_interval_bytes, options_.batch_bytes_max});
  if (Status opened = segment->open(); !opened.ok()) return note(std::move(opened));
  if (segment->end() != end) {
    return note(fail(Code::kCorrupt, segment->log_path() + " ends at offset " +
                                         std::to_string(segment->end().value()) +
                                         ", the next segment begins at " + std::to_string(end.value()) +
                                         ": a cleaning went wrong"));
  }
  segment->close();
  bytes_ += segment->bytes();
  segments_[first] = std::move(segment);
  segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                  segments_.begin() + static_cast<std::ptrdiff_t>(last) + 1);
  return {};
}

Status Partition::raise_marks(const CompactionMarks& to) {
  AFDG_TRY(fault_);
  const CompactionMarks raised{std::max(marks_.history_start, to.history_start),
                               std::max(marks_.tombstone_horizon, to.tombstone_horizon)};
  if (raised == marks_) return {};
  AFDG_TRY(fs_->replace_file(directory_ + "/" + std::string(kMarksFile), encode_marks(raised)));
  marks_ = raised;
  return {};
}

Status Partition::load_marks(RecoveryReport& report) {
  const std::string path = directory_ + "/" + std::string(kMarksFile);
  const auto bytes = fs_->read_file(path, 4096);
  if (bytes.code() == Code::kNotFound) return {};
  if (bytes.code() == Code::kIo) return bytes.error();
  const auto marks = bytes.ok() ? decode_marks(*bytes) : Result<CompactionMarks>(bytes.error());
  if (marks.code() == Code::kNewerFormat) return fail(Code::kNewerFormat, path + ": " + marks.error().text());
  if (marks.ok()) {
    marks_ = *marks;
    return {};
  }
  // Only what was synced and sealed was ever compacted.
  marks_ = {end_, end_};
  report.warnings.push_back(path + " is damaged (" + marks.error().text() +
                            "): readers of what is below offset " + std::to_string(end_.value()) +
                            " are asked to begin again from the start");
  return {};
}

Status Partition::finish_swap(Offset base, Offset end) {
  AFDG_ASSIGN(const auto names, fs_->list(directory_));
  const SegmentOptions options{options_.index_interval_bytes, options_.batch_bytes_max};
  Segment first(*fs_, directory_, base, options);
  AFDG_TRY(first.remove_indexes());
  for (const std::string& name : names) {
    const auto other = segment_base(name);
    if (other && *other > base && *other < end) AFDG_TRY(Segment(*fs_, directory_, *other, options).remove());
  }
  // Before the new one has its name: beside it, none of them could be told from damage.
  AFDG_TRY(synced(fs_->sync_directory(directory_)));
  AFDG_TRY(fs_->rename(first.log_path() + std::string(kSwapSuffix), first.log_path()));
  for (const std::string& index : {first.index_path(), first.time_index_path()}) {
    Status moved = fs_->rename(index + std::string(kCleanedSuffix), index);
    if (!moved.ok() && moved.code() != Code::kNotFound) return moved;
  }
  return synced(fs_->sync_directory(directory_));
}

Status Partition::finish_cleanings(std::vector<std::string>& warnings) {
  AFDG_ASSIGN(const auto names, fs_->list(directory_));
  bool removed = false;
  for (const std::string& name : names) {
    const auto base = suffixed_base(name, kSwapSuffix);
    if (!base) continue;
    const std::string path = directory_ + "/" + name;
    AFDG_ASSIGN(auto file, fs_->open(path, store::OpenMode::kRead));
    AFDG_ASSIGN(const std::uint64_t size, file->size());
    BatchScanner scanner(*file, {0, size}, BatchScanner::Depth::kWhole, options_.batch_bytes_max);
    Offset end = *base;
    bool grows = true;
    while (grows && scanner.next()) {
      grows = scanner.batch().base() >= end;
      end = scanner.batch().next();
    }
    if (scanner.status().code() == Code::kIo) return scanner.status();
    if (grows && scanner.status().ok() && end > *base) {
      file.reset();
      AFDG_TRY(finish_swap(*base, end));
      continue;
    }
    // What it was made from may all be there still; if not, the segments do not follow each other.
    warnings.push_back(path + " is damaged, so what it was to replace is kept: " +
                       (scanner.status().ok() ? "its offsets go back" : scanner.status().error().text()));
    AFDG_TRY(fs_->remove(path));
    removed = true;
  }
  for (const std::string& name : names) {
    if (!name.ends_with(kCleanedSuffix)) continue;
    Status gone = fs_->remove(directory_ + "/" + name);
    if (!gone.ok() && gone.code() != Code::kNotFound) return gone;
    removed = true;
  }
  return removed ? synced(fs_->sync_directory(directory_)) : Status();
}

}  // namespace afdg::log
