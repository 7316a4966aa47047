#include "log/segment.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "log/synced.h"

namespace afdg::log {
namespace {

constexpr std::string_view kLogSuffix = ".log";
constexpr std::size_t kStemDigits = 20;
constexpr std::uint64_t kPreallocateFrom = 8u << 20;  // a small segment takes no more than it has
constexpr std::uint64_t kPreallocateMax = 16u << 20;

}  // namespace

std::string segment_stem(Offset base) {
  std::string digits = std::to_string(base.value());
  return std::string(kStemDigits - std::min(kStemDigits, digits.size()), '0') + digits;
}

std::optional<Offset> segment_base(std::string_view file_name) {
  if (file_name.size() != kStemDigits + kLogSuffix.size() || !file_name.ends_with(kLogSuffix))
    return std::nullopt;
  std::int64_t base = 0;
  const char* end = file_name.data() + kStemDigits;
  const auto [at, error] = std::from_chars(file_name.data(), end, base);
  if (error != std::errc() || at != end || base < 0) return std::nullopt;
  return Offset(base);
}

Segment::Segment(store::FileSystem& fs, std::string directory, Offset base, const SegmentOptions& options,
                 std::string_view suffix)
    : fs_(&fs), options_(options), base_(base), end_(base) {
  const std::string stem = std::move(directory) + "/" + segment_stem(base);
  for (const auto& [path, name] : {std::pair(&log_path_, ".log"), std::pair(&index_path_, ".index"),
                                   std::pair(&time_index_path_, ".timeindex")}) {
    *path = stem + name;
    path->append(suffix);
  }
}

Error Segment::damaged(std::uint64_t position, const std::string& why) const {
  return fail(Code::kCorrupt, log_path_ + " at position " + std::to_string(position) + ": " + why);
}

Status Segment::follows(const BatchView& header, std::uint64_t position, Offset end) const {
  if (header.base() >= end && header.last() - base_ <= std::numeric_limits<std::int32_t>::max()) return {};
  return damaged(position, "a batch with offsets [" + std::to_string(header.base().value()) + ", " +
                               std::to_string(header.next().value()) + ") cannot follow offset " +
                               std::to_string(end.value()));
}

BatchScanner Segment::scan(std::uint64_t from, BatchScanner::Depth depth) const {
  return BatchScanner(*file_, {from, bytes_}, depth, options_.batch_bytes_max);
}

Status Segment::create() {
  AFDG_ASSIGN(file_, fs_->open(log_path_, store::OpenMode::kCreateNew));
  rewrite_indexes_ = true;
  return flush_indexes(false, nullptr);
}

void Segment::close() {
  file_.reset();
  index_.clear();
  time_index_.clear();
  index_flushed_ = time_index_flushed_ = 0;
}

void Segment::forget() {
  index_.clear();
  time_index_.clear();
  bytes_since_index_ = 0;
  end_ = base_;
  max_timestamp_ = -1;
  max_timestamp_offset_ = Offset(-1);
  first_timestamp_ = -1;
}

void Segment::take(const BatchView& header, std::uint64_t position, std::uint64_t size) {
  const auto relative = static_cast<std::int32_t>(header.last() - base_);
  if (position == 0) first_timestamp_ = header.max_timestamp();
  if (header.max_timestamp() > max_timestamp_) {
    max_timestamp_ = header.max_timestamp();
    max_timestamp_offset_ = header.last();
  }
  if (bytes_since_index_ > options_.index_interval_bytes) {
    index_.add({relative, static_cast<std::int32_t>(position)});
    if (max_timestamp_ >= 0)
      time_index_.add({max_timestamp_, static_cast<std::int32_t>(max_timestamp_offset_ - base_)});
    bytes_since_index_ = 0;
  }
  bytes_since_index_ += size;
  end_ = header.next();
}

Status Segment::check_entry(const OffsetIndex::Entry& entry) const {
  BatchScanner scanner = scan(static_cast<std::uint64_t>(entry.position), BatchScanner::Depth::kHeaders);
  if (!scanner.next()) return scanner.status().ok() ? fail(Code::kCorrupt, "no batch") : scanner.status();
  if (scanner.batch().last() - base_ == entry.relative) return {};
  return fail(Code::kCorrupt, index_path_ + " names another batch than " + log_path_ + " has at position " +
                                  std::to_string(entry.position));
}

Status Segment::load_indexes(std::string& problem) {
  const auto load = [&](const std::string& path) { return fs_->read_file(path, 64u << 20); };
  auto offsets = load(index_path_);
  auto times = load(time_index_path_);
  for (const auto* r : {&offsets, &times})
    if (r->code() == Code::kIo) return r->error();
  if (!offsets.ok() || !times.ok()) {
    problem = (offsets.ok() ? time_index_path_ : index_path_) + " is missing";
    return {};
  }
  auto index = OffsetIndex::decode(*offsets, bytes_);
  auto time_index = TimeIndex::decode(*times, std::numeric_limits<std::int32_t>::max());
  if (!index.ok() || !time_index.ok()) {
    problem = index.ok() ? time_index_path_ + ": " + time_index.error().text()
                         : index_path_ + ": " + index.error().text();
    return {};
  }
  index_ = std::move(*index);
  time_index_ = std::move(*time_index);
  index_flushed_ = index_.entries().size();
  time_index_flushed_ = time_index_.entries().size();
  return {};
}

Status Segment::rebuild_indexes() {
  forget();
  rewrite_indexes_ = true;
  BatchScanner scanner = scan(0, BatchScanner::Depth::kWhole);
  while (scanner.next()) {
    AFDG_TRY(follows(scanner.batch(), scanner.position(), end_));
    take(scanner.batch(), scanner.position(), scanner.size());
  }
  return scanner.status();
}

Status Segment::learn_first() {
  first_timestamp_ = -1;
  if (bytes_ < batch_layout::kHeaderBytes) return {};
  std::array<char, batch_layout::kHeaderBytes> header;
  AFDG_TRY(file_->read_at(0, header.size(), header.data()));
  first_timestamp_ = BatchView::header({header.data(), header.size()}).max_timestamp();
  return {};
}

Status Segment::walk_tail() {
  // From the last entry whose batch both indexes know: what is behind it may raise the largest timestamp.
  std::uint64_t from = 0;
  if (!time_index_.entries().empty()) {
    const TimeIndex::Entry last = time_index_.entries().back();
    max_timestamp_ = last.timestamp;
    max_timestamp_offset_ = base_ + last.relative;
    if (const auto* entry = index_.at_or_below(last.relative))
      from = static_cast<std::uint64_t>(entry->position);
  }
  std::uint64_t last_indexed = 0;
  if (!index_.entries().empty()) {
    last_indexed = static_cast<std::uint64_t>(index_.entries().back().position);
    AFDG_TRY(check_entry(index_.entries().back()));
  }
  bytes_since_index_ = 0;
  end_ = base_;
  BatchScanner scanner = scan(from, BatchScanner::Depth::kHeaders);
  while (scanner.next()) {
    const BatchView& batch = scanner.batch();
    AFDG_TRY(follows(scanner.batch(), scanner.position(), end_));
    if (batch.max_timestamp() > max_timestamp_) {
      max_timestamp_ = batch.max_timestamp();
      max_timestamp_offset_ = batch.last();
    }
    if (scanner.position() >= last_indexed) bytes_since_index_ += scanner.size();
    end_ = batch.next();
  }
  return scanner.status();
}

Status Segment::open(std::vector<std::string>* warnings) {
  if (file_) return {};
  Status s = load(warnings);
  if (!s.ok()) close();
  return s;
}

Status Segment::load(std::vector<std::string>* warnings) {
  AFDG_ASSIGN(file_, fs_->open(log_path_, store::OpenMode::kReadWrite));
  const Offset end_before = end_;
  const std::uint64_t bytes_before = bytes_;
  AFDG_ASSIGN(bytes_, file_->size());
  if (bytes_before != 0 && bytes_ != bytes_before)
    return damaged(
        bytes_, "the file has " + std::to_string(bytes_) + " bytes, it had " + std::to_string(bytes_before));
  forget();
  std::string problem;
  AFDG_TRY(load_indexes(problem));
  if (problem.empty()) {
    Status walked = walk_tail();
    if (walked.code() == Code::kIo) return walked;
    if (!walked.ok()) problem = walked.error().text();
  }
  if (!problem.empty()) {
    AFDG_TRY(rebuild_indexes());
    if (warnings) warnings->push_back(problem + ": the indexes were rebuilt from " + log_path_);
    Status written = flush_indexes(true, nullptr);
    if (written.code() == Code::kDiskFull) written = remove_indexes();
    if (!written.ok()) return written;
  }
  if (bytes_before != 0 && end_ != end_before)
    return damaged(bytes_, "it ends at offset " + std::to_string(end_.value()) + ", it ended at " +
                               std::to_string(end_before.value()));
  return learn_first();
}

Status Segment::recover(Offset trusted, std::vector<std::string>& warnings,
                        const std::function<void(const BatchView&)>& seen, Status& torn) {
  AFDG_ASSIGN(file_, fs_->open(log_path_, store::OpenMode::kReadWrite));
  AFDG_ASSIGN(bytes_, file_->size());
  forget();
  std::string problem;
  AFDG_TRY(load_indexes(problem));
  index_.truncate_to(trusted - base_);
  time_index_.truncate_to(trusted - base_);
  if (problem.empty() && !index_.entries().empty()) {
    Status s = check_entry(index_.entries().back());
    if (s.code() == Code::kIo) return s;
    if (!s.ok()) problem = s.error().text();
  }
  if (!problem.empty()) {
    index_.clear();
    time_index_.clear();
    if (bytes_ > 0) warnings.push_back(problem + ": the indexes were rebuilt from " + log_path_);
  }
  rewrite_indexes_ = true;
  // Scan from the last entry that both indexes know of; its batch is read again, the entry is not added
  // twice.
  const OffsetIndex::Entry* entry =
      time_index_.entries().empty() ? nullptr : index_.at_or_below(time_index_.entries().back().relative);
  std::uint64_t from = 0;
  if (entry == nullptr) {
    index_.clear();
    time_index_.clear();
  } else {
    from = static_cast<std::uint64_t>(entry->position);
    max_timestamp_ = time_index_.entries().back().timestamp;
    max_timestamp_offset_ = base_ + time_index_.entries().back().relative;
    index_.truncate_to(std::int64_t{entry->relative} + 1);
  }
  BatchScanner scanner = scan(from, BatchScanner::Depth::kWhole);
  std::uint64_t valid = from;
  while (scanner.next()) {
    torn = follows(scanner.batch(), scanner.position(), end_);
    if (!torn.ok()) {
      break;
    }
    take(scanner.batch(), scanner.position(), scanner.size());
    seen(scanner.batch());
    valid = scanner.position() + scanner.size();
  }
  if (scanner.status().code() == Code::kIo) return scanner.status();
  if (torn.ok()) torn = scanner.status();
  bytes_ = valid;
  return learn_first();
}

Result<std::uint64_t> Segment::cut_tail() {
  AFDG_ASSIGN(const std::uint64_t size, file_->size());
  if (size > bytes_) AFDG_TRY(file_->truncate(bytes_));
  return size - bytes_;
}

Status Segment::append(std::span<const std::string_view> pieces) {
  const std::uint64_t from = bytes_;
  preallocate(pieces);
  if (Status written = file_->write_at(bytes_, pieces); !written.ok()) {
    // Part of it may be there; whole batches of it must not come back after a crash.
    preallocated_ = 0;
    AFDG_TRY(file_->truncate(bytes_));
    AFDG_TRY(synced(file_->sync()));
    return written;
  }
  for (std::string_view left : pieces) {
    while (!left.empty()) {
      const auto size = BatchView::frame(left, left.size());
      AFDG_ASSERT(size.ok() && *size <= left.size(), "append of something that is not whole batches");
      take(BatchView::header(left), bytes_, *size);
      bytes_ += *size;
      left.remove_prefix(*size);
    }
  }
  note_checked(from, bytes_);
  return {};
}

void Segment::preallocate(std::span<const std::string_view> pieces) {
  std::uint64_t end = bytes_;
  for (const std::string_view piece : pieces) end += piece.size();
  if (bytes_ < kPreallocateFrom || end <= preallocated_) return;
  const std::uint64_t begin = std::max(bytes_, preallocated_);
  preallocated_ = end + std::min(bytes_ / 8, kPreallocateMax);
  file_->preallocate(begin, preallocated_ - begin);
}

Status Segment::release() {
  if (bytes_ < kPreallocateFrom) return {};
  preallocated_ = 0;  // what an earlier life took is not known
  return file_->truncate(bytes_);
}

void Segment::note_checked(std::uint64_t from, std::uint64_t to) noexcept {
  if (from > checked_to_ || to < checked_from_) {
    checked_from_ = from;
    checked_to_ = to;
  } else {
    checked_from_ = std::min(checked_from_, from);
    checked_to_ = std::max(checked_to_, to);
  }
}

Status Segment::truncate_to(Offset to) {
  if (to >= end_) return {};
  AFDG_ASSIGN(const Place place, find(to));
  AFDG_TRY(file_->truncate(place.position));
  preallocated_ = 0;
  bytes_ = place.position;
  checked_from_ = std::min(checked_from_, bytes_);
  checked_to_ = std::min(checked_to_, bytes_);
  const Offset end = place.previous_end;
  index_.truncate_to(end - base_);
  time_index_.truncate_to(end - base_);
  rewrite_indexes_ = true;
  max_timestamp_ = -1;
  max_timestamp_offset_ = Offset(-1);
  AFDG_TRY(learn_first());
  return walk_tail();
}

Status Segment::flush_indexes(bool last, std::vector<std::shared_ptr<store::File>>* to_sync) {
  if (last && max_timestamp_ >= 0)
    time_index_.add({max_timestamp_, static_cast<std::int32_t>(max_timestamp_offset_ - base_)});
  const bool anew = rewrite_indexes_;
  if (anew) index_flushed_ = time_index_flushed_ = 0;
  const std::string offsets = index_.encode(index_flushed_);
  const std::string times = time_index_.encode(time_index_flushed_);
  if (!anew && !last && offsets.empty() && times.empty()) return {};
  AFDG_ASSIGN(std::shared_ptr<store::File> index, fs_->open(index_path_, store::OpenMode::kCreate));
  AFDG_ASSIGN(std::shared_ptr<store::File> time_index, fs_->open(time_index_path_, store::OpenMode::kCreate));
  // Old entries go before anything can fail: a short index is found and made whole, an old one could deceive.
  if (anew) {
    AFDG_TRY(index->truncate(0));
    AFDG_TRY(time_index->truncate(0));
  }
  rewrite_indexes_ = false;
  if (to_sync && (anew || last)) {
    to_sync->push_back(index);
    to_sync->push_back(time_index);
  }
  if (!offsets.empty()) AFDG_TRY(index->write_at(index_flushed_ * OffsetIndex::kEntryBytes, offsets));
  index_flushed_ = index_.entries().size();
  if (!times.empty()) AFDG_TRY(time_index->write_at(time_index_flushed_ * TimeIndex::kEntryBytes, times));
  time_index_flushed_ = time_index_.entries().size();
  return {};
}

Status Segment::remove_indexes() {
  for (const std::string& path : {index_path_, time_index_path_}) {
    Status s = fs_->remove(path);
    if (!s.ok() && s.code() != Code::kNotFound) return s;
  }
  return {};
}

Status Segment::remove() {
  close();
  AFDG_TRY(remove_indexes());
  Status s = fs_->remove(log_path_);
  return s.code() == Code::kNotFound ? Status() : s;
}

}  // namespace afdg::log
