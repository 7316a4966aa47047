#include "log/cleaner.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "log/cleaner_batch.h"
#include "log/codecs.h"
#include "log/partition_files.h"

namespace afdg::log {
namespace {

constexpr std::size_t kOutputBytes = 1u << 20;
/// The least that a record with a key takes of a segment; what the map needs at most follows from it.
constexpr std::uint64_t kRecordBytesMin = 8;

std::size_t map_bytes(const CleanerJob& job, std::size_t bytes_max) {
  std::uint64_t dirty = 0;
  for (const auto& source : job.sources)
    if (source.end > job.dirty) dirty += source.bytes;
  // Packed records may take less than the least: then the map is full early, and the next round goes on.
  const std::uint64_t entries = dirty / kRecordBytesMin + 64;
  return static_cast<std::size_t>(std::min<std::uint64_t>(bytes_max, entries * OffsetMap::kEntryBytes * 2));
}

}  // namespace

/// Where a group goes. While nothing differs from a single source, nothing is written.
class Cleaner::Output {
 public:
  Output(Cleaner& owner, Offset base)
      : owner_(owner),
        segment_(owner.fs_, owner.job_.directory, base,
                 SegmentOptions{owner.limits_.index_interval_bytes, owner.limits_.batch_bytes_max},
                 kCleanedSuffix) {}

  [[nodiscard]] bool begun() const noexcept { return segment_.is_open(); }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return segment_.bytes() + buffer_.size(); }
  [[nodiscard]] Offset end() const noexcept { return segment_.end(); }

  Status begin() {
    owner_.unfinished_ = segment_.base();
    AFDG_TRY(segment_.remove());  // of a round that did not end
    return segment_.create();
  }

  /// Begins with the first `bytes` of a source.
  Status begin_with(const store::File& source, std::uint64_t bytes) {
    AFDG_TRY(begin());
    BatchScanner scanner(source, {0, bytes}, BatchScanner::Depth::kWhole, owner_.limits_.batch_bytes_max);
    while (scanner.next()) AFDG_TRY(add(scanner.batch().bytes()));
    return scanner.status();
  }

  Status add(std::string_view batch) {
    buffer_.append(batch);
    return buffer_.size() >= kOutputBytes ? flush() : Status();
  }

  Status finish() {
    AFDG_TRY(flush());
    std::vector<std::shared_ptr<store::File>> files;
    AFDG_TRY(segment_.flush_indexes(true, &files));
    files.push_back(segment_.file());
    if (owner_.limits_.planted_skip_sync) return {};
    for (const auto& file : files) AFDG_TRY(file->sync());
    return {};
  }

 private:
  Status flush() {
    if (buffer_.empty()) return {};
    AFDG_TRY(owner_.spend(buffer_.size()));
    AFDG_TRY(segment_.append(buffer_));
    owner_.bytes_written_ += buffer_.size();
    buffer_.clear();
    return {};
  }

  Cleaner& owner_;
  Segment segment_;
  std::string buffer_;
};

Cleaner::Cleaner(store::FileSystem& fs, CleanerJob job, const CleanerLimits& limits, Random& random,
                 Spend spend)
    : fs_(fs),
      job_(std::move(job)),
      limits_(limits),
      spend_(std::move(spend)),
      map_(map_bytes(job_, limits.map_bytes), random) {}

Cleaner::~Cleaner() = default;

std::string Cleaner::path_of(Offset base) const { return job_.directory + "/" + segment_stem(base) + ".log"; }

Result<std::unique_ptr<store::File>> Cleaner::open(const CleanerJob::Source& source) const {
  return fs_.open(path_of(source.base), store::OpenMode::kRead);
}

Status Cleaner::spend(std::uint64_t bytes) { return spend_ ? spend_(bytes) : Status(); }

Result<Offset> Cleaner::survey() {
  end_ = job_.sources.empty() ? job_.dirty : job_.sources.back().end;
  for (const auto& source : job_.sources) {
    if (source.end <= job_.dirty) continue;
    AFDG_ASSIGN(const auto file, open(source));
    BatchScanner scanner(*file, {0, source.bytes}, BatchScanner::Depth::kWhole, limits_.batch_bytes_max);
    while (scanner.next()) {
      AFDG_TRY(spend(scanner.size()));
      bytes_read_ += scanner.size();
      AFDG_ASSIGN(const bool all, learn(scanner.batch()));
      if (!all) return end_;
    }
    AFDG_TRY(scanner.status());
  }
  return end_;
}

Result<bool> Cleaner::learn(const BatchView& batch) {
  if (batch.next() <= job_.dirty || batch.control() || batch.records() == 0) return true;
  AFDG_ASSIGN(const std::string_view records, unpack_records(batch, unpacked_));
  RecordReader reader(batch, records);
  RecordView record;
  while (reader.next(record)) {
    if (record.offset < job_.dirty || !record.key || map_.put(*record.key, record.offset)) continue;
    end_ = record.offset;
    return false;
  }
  AFDG_TRY(reader.status());
  return true;
}

std::size_t Cleaner::group_size() const {
  const auto& first = job_.sources[next_];
  std::uint64_t bytes = first.bytes;
  std::size_t count = 1;
  while (next_ + count < job_.sources.size()) {
    const auto& source = job_.sources[next_ + count];
    bytes += source.bytes;
    if (bytes > job_.segment_bytes || source.base >= end_ ||
        source.end - first.base > std::numeric_limits<std::int32_t>::max())
      break;
    ++count;
  }
  return count;
}

Result<std::optional<Cleaner::Group>> Cleaner::next_group() {
  if (next_ == job_.sources.size() || job_.sources[next_].base >= end_) return std::optional<Group>();
  const std::size_t count = group_size();
  Group group;
  group.base = job_.sources[next_].base;
  group.end = job_.sources[next_ + count - 1].end;
  tombstones_gone_below_ = Offset(0);
  Output output(*this, group.base);
  if (count > 1) AFDG_TRY(output.begin());
  for (std::size_t i = 0; i < count; ++i) {
    const auto& source = job_.sources[next_ + i];
    group.bytes_before += source.bytes;
    AFDG_TRY(rewrite(source, i + 1 == count, output));
  }
  next_ += count;
  group.same = !output.begun();
  group.tombstones_gone_below = tombstones_gone_below_;
  group.bytes_after = group.same ? group.bytes_before : output.bytes();
  if (!group.same) {
    AFDG_TRY(output.finish());
    if (output.end() != group.end) {
      return fail(Code::kCorrupt, path_of(group.base) + ": its batches end at offset " +
                                      std::to_string(output.end().value()) + ", the next segment begins at " +
                                      std::to_string(group.end.value()));
    }
  }
  unfinished_.reset();
  return std::optional<Group>(group);
}

Status Cleaner::rewrite(const CleanerJob::Source& source, bool last, Output& output) {
  AFDG_ASSIGN(const auto file, open(source));
  BatchScanner scanner(*file, {0, source.bytes}, BatchScanner::Depth::kWhole, limits_.batch_bytes_max);
  while (scanner.next()) {
    AFDG_TRY(spend(scanner.size()));
    bytes_read_ += scanner.size();
    const bool ends_group = last && scanner.position() + scanner.size() == source.bytes;
    AFDG_ASSIGN(const Filtered filtered, filter(scanner.batch(), ends_group));
    if (filtered == Filtered::kSame) {
      if (output.begun()) AFDG_TRY(output.add(scanner.batch().bytes()));
      continue;
    }
    if (!output.begun()) AFDG_TRY(output.begin_with(*file, scanner.position()));
    if (filtered == Filtered::kChanged) AFDG_TRY(output.add(filtered_));
  }
  return scanner.status();
}

Result<Filtered> Cleaner::filter(const BatchView& batch, bool keep_last) {
  if (batch.base() >= end_ || batch.control()) return Filtered::kSame;
  const bool horizon_passed =
      batch.has_delete_horizon() && job_.now >= Timestamp(std::chrono::milliseconds(batch.base_timestamp()));
  BatchFilter how;
  how.keep = [&](const RecordView& record) {
    if (record.offset >= end_) return true;
    if (!record.key || record.offset < map_.find(*record.key)) return false;
    if (record.value.has_value() || !horizon_passed) return true;
    tombstones_gone_below_ = std::max(tombstones_gone_below_, record.offset + 1);
    return false;
  };
  // A tombstone that is not cleaned yet must not be counted from now on.
  if (batch.next() <= end_)
    how.horizon =
        job_.now + std::min<std::chrono::milliseconds>(job_.delete_retention, Timestamp::max() - job_.now);
  how.keep_empty =
      keep_last || std::binary_search(job_.keep_empty.begin(), job_.keep_empty.end(), batch.base());
  std::string_view records;
  if (batch.records() > 0) {
    AFDG_ASSIGN(records, unpack_records(batch, unpacked_));
  }
  return filter_batch(batch, records, how, limits_.batch_bytes_max, filtered_);
}

void Cleaner::discard() {
  if (!unfinished_) return;
  Segment(fs_, job_.directory, *unfinished_, SegmentOptions{}, kCleanedSuffix)
      .remove()
      .ignore("the next start removes it");
}

}  // namespace afdg::log
