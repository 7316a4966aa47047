#include "log/partition.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "log/partition_files.h"
#include "log/segment.h"
#include "log/synced.h"

namespace afdg::log {
namespace {

/// Positions and relative offsets of Kafka's indexes are 31 bits.
constexpr std::uint64_t kSegmentBytesLimit = 1u << 30;
constexpr std::int64_t kRelativeMax = std::numeric_limits<std::int32_t>::max();

}  // namespace

std::string partition_directory_name(std::string_view topic_name, PartitionIndex partition) {
  return std::string(topic_name) + "-" + std::to_string(partition.value());
}

Status SyncTicket::run() {
  for (const auto& file : files_) AFDG_TRY(synced(file->sync()));
  if (sync_directory_) AFDG_TRY(synced(fs_->sync_directory(directory_)));
  if (lineage_) AFDG_TRY(fs_->replace_file(directory_ + "/" + std::string(kLineageFile), *lineage_));
  return {};
}

Partition::Partition(store::FileSystem& fs, std::string directory, const PartitionOptions& options)
    : fs_(&fs), directory_(std::move(directory)) {
  set_options(options);
}

void Partition::set_options(const PartitionOptions& options) {
  options_ = options;
  options_.segment_bytes_max = std::min(options_.segment_bytes_max, kSegmentBytesLimit);
  options_.open_segments_max = std::max<std::size_t>(options_.open_segments_max, 1);
}

Partition::~Partition() {
  // Derived; what is not written here is scanned again at the next open.
  if (!segments_.empty() && active().is_open() && fault_.ok() && !active().indexes_outdated())
    active().flush_indexes(false, nullptr).ignore("indexes are rebuilt when they are short");
}

Result<std::unique_ptr<Partition>> Partition::create(store::FileSystem& fs, std::string directory,
                                                     TopicId topic, const PartitionOptions& options,
                                                     Offset start) {
  const std::string metadata = directory + "/" + std::string(kMetadataFile);
  if (fs.exists(metadata))
    return fail(Code::kAlreadyExists,
                directory + " holds a partition already: delete it first or choose another name");
  AFDG_TRY(fs.create_directories(directory));
  auto partition = std::unique_ptr<Partition>(new Partition(fs, std::move(directory), options));
  partition->topic_ = topic;
  partition->start_ = partition->end_ = partition->synced_end_ = start;
  AFDG_TRY(partition->add_segment(start));
  // The metadata file comes last: without it the directory is not a partition, and creation may be tried
  // again.
  AFDG_TRY(fs.replace_file(metadata, encode_metadata(topic)));
  partition->directory_dirty_ = false;
  const std::size_t slash = partition->directory_.rfind('/');
  AFDG_TRY(fs.sync_directory(slash == std::string::npos ? "." : partition->directory_.substr(0, slash)));
  return partition;
}

Status Partition::note(Status status) {
  if (status.code() == Code::kCorrupt && fault_.ok()) {
    fault_ = fail(Code::kCorrupt,
                  "partition " + directory_ + " is faulty and is not served: " + status.error().text() +
                      "; run afdgd verify, then restore the directory or copy the partition again");
    return fault_;
  }
  return status;
}

std::size_t Partition::segment_of(Offset offset) const {
  auto it = std::upper_bound(segments_.begin(), segments_.end(), offset,
                             [](Offset o, const auto& segment) { return o < segment->base(); });
  return it == segments_.begin() ? 0 : static_cast<std::size_t>(it - segments_.begin()) - 1;
}

void Partition::forget_open(const Segment* segment) { std::erase(open_, segment); }

Result<Segment*> Partition::use(std::size_t index, std::vector<std::string>* warnings) {
  Segment* segment = segments_[index].get();
  if (segment == segments_.back().get()) return segment;
  forget_open(segment);
  AFDG_TRY(segment->open(warnings));
  open_.push_back(segment);
  while (open_.size() > options_.open_segments_max) {
    open_.front()->close();
    open_.erase(open_.begin());
  }
  return segment;
}

Status Partition::add_segment(Offset base) {
  auto segment = std::make_unique<Segment>(
      *fs_, directory_, base, SegmentOptions{options_.index_interval_bytes, options_.batch_bytes_max});
  // A leftover of this name was given up by a truncation or by a creation that failed: nothing in it counts.
  if (fs_->exists(segment->log_path())) AFDG_TRY(segment->remove());
  if (Status s = segment->create(); !s.ok()) {
    segment->remove().ignore("what made the creation fail is reported instead");
    return s;
  }
  segments_.push_back(std::move(segment));
  directory_dirty_ = true;
  write_back_from_ = 0;
  return {};
}

Status Partition::drop_segments(std::size_t first, std::size_t last) {
  while (last > first) {
    Segment& segment = *segments_[last - 1];
    forget_open(&segment);
    std::erase(unsynced_files_, segment.file());
    AFDG_TRY(segment.remove());
    bytes_ -= segment.bytes();
    segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(--last));
    directory_dirty_ = true;
  }
  return {};
}

Status Partition::roll(Timestamp now) {
  AFDG_TRY(fault_);
  Segment& old = active();
  if (old.bytes() == 0) return {};
  AFDG_TRY(add_segment(old.end()));
  active_since_ = now;
  AFDG_TRY(old.release());
  if (std::exchange(active_dirty_, false)) {
    old.file()->start_write_back(0, old.bytes());
    unsynced_files_.push_back(old.file());
  }
  open_.push_back(&old);
  // Only derived files: an error of the disk here is met again where it matters.
  Status flushed = old.flush_indexes(true, &unsynced_files_);
  if (!flushed.ok() && flushed.code() != Code::kDiskFull) return flushed;
  return {};
}

Status Partition::append(std::span<const std::string_view> pieces, Timestamp now) {
  AFDG_TRY(fault_);
  Offset expected = end_;
  std::size_t bytes = 0;
  for (std::string_view left : pieces) {
    bytes += left.size();
    while (!left.empty()) {
      auto size = BatchView::frame(left, options_.batch_bytes_max);
      if (!size.ok() && size.code() == Code::kMessageTooLarge) return size.error();
      if (!size.ok() || *size > left.size())
        return fail(Code::kInvalidArgument,
                    directory_ + ": append of bytes that are not whole record batches");
      const BatchView header = BatchView::header(left);
      if (header.base() < expected || header.last() - active().end() > kRelativeMax)
        return fail(Code::kInvalidArgument, directory_ + ": a batch at offset " +
                                                std::to_string(header.base().value()) +
                                                " cannot follow offset " + std::to_string(expected.value()));
      expected = header.next();
      left.remove_prefix(*size);
    }
  }
  return bytes == 0 ? Status() : write_batches(pieces, now);
}

Status Partition::write_batches(std::span<const std::string_view> pieces, Timestamp now) {
  std::size_t bytes = 0;
  Offset last = end_;
  const auto each_header = [&](const auto& visit) {
    for (std::string_view left : pieces)
      for (; !left.empty(); left.remove_prefix(*BatchView::frame(left, left.size())))
        visit(BatchView::header(left));
  };
  for (const std::string_view piece : pieces) bytes += piece.size();
  if (bytes > kSegmentBytesLimit)
    return fail(Code::kMessageTooLarge, directory_ + ": an append of " + std::to_string(bytes) +
                                            " bytes, at most 1 GiB is possible: append less at once");
  each_header([&](const BatchView& header) { last = header.last(); });
  const bool full = active().bytes() + bytes > options_.segment_bytes_max;
  const bool old = now - active_since_ > options_.segment_age_max;
  const bool far = last - active().base() > kRelativeMax;
  if (active().bytes() > 0 && (full || old || far)) AFDG_TRY(roll(now));
  Segment& segment = active();
  if (segment.bytes() == 0) active_since_ = now;
  appended_at_ = now;
  active_dirty_ = true;  // also when it fails: what it wrote and took back is not yet gone from the disk
  AFDG_TRY(segment.append(pieces));
  each_header([&](const BatchView& header) {
    if (lineage_.assign(header.leader_epoch(), header.base())) ++lineage_version_;
  });
  end_ = segment.end();
  bytes_ += bytes;
  bytes_unsynced_ += bytes;
  if (segment.bytes() - write_back_from_ >= options_.write_back_bytes) {
    segment.file()->start_write_back(write_back_from_, segment.bytes() - write_back_from_);
    write_back_from_ = segment.bytes();
  }
  return {};
}

Result<bool> Partition::replay(std::string_view batch, Timestamp now) {
  AFDG_TRY(fault_);
  auto view = BatchView::parse(batch, options_.batch_bytes_max);
  if (!view.ok()) return view.error();
  if (view->size() != batch.size())
    return fail(Code::kInvalidArgument, directory_ + ": replay takes one batch at a time");
  AFDG_TRY(view->verify_crc());
  if (view->last() < end_ || view->last() < start_) return false;
  if (view->base() < active().end()) {
    if (view->base() < synced_end_ && synced_end_ > start_)
      return fail(Code::kCorrupt, directory_ + ": a batch [" + std::to_string(view->base().value()) + ", " +
                                      std::to_string(view->next().value()) +
                                      ") of the journal overlaps synced offsets below " +
                                      std::to_string(synced_end_.value()));
    if (view->base() < segments_.front()->base()) {
      // Of a lap before a truncation that is still to be replayed; or the first after one that left nothing.
      if (bytes_ > 0) return false;
      AFDG_TRY(add_segment(view->base()));
      std::swap(segments_.front(), segments_.back());
      AFDG_TRY(drop_segments(1, segments_.size()));
    }
    AFDG_TRY(truncate_to(view->base()));
  }
  // The segments may end below the start: between them is a gap, into which a batch that reaches past the
  // start fits.
  AFDG_TRY(view->base() < end_ ? write_batches({&batch, 1}, now) : append(batch, now));
  return true;
}

Result<Offset> Partition::end_below(Offset to) {
  AFDG_TRY(fault_);
  if (to >= active().end()) return end_;
  to = std::max(to, segments_.front()->base());
  auto segment = use(segment_of(to));
  if (!segment.ok()) return note(segment.status()).error();
  auto place = (*segment)->find(to);
  if (!place.ok()) return note(place.status()).error();
  return std::max(place->previous_end, start_);
}

Status Partition::truncate_to(Offset to) {
  AFDG_TRY(fault_);
  if (to >= active().end()) return {};
  to = std::max(to, segments_.front()->base());
  ++truncations_;
  std::size_t keep = segment_of(to);
  // A segment of which nothing stays goes, except the first.
  if (segments_[keep]->base() == to && keep > 0) --keep;
  AFDG_TRY(drop_segments(keep + 1, segments_.size()));
  Segment& segment = *segments_[keep];
  forget_open(&segment);
  if (Status s = segment.open(); !s.ok()) return note(std::move(s));
  const std::uint64_t before = segment.bytes();
  if (Status s = segment.truncate_to(to); !s.ok()) return note(std::move(s));
  bytes_ -= before - segment.bytes();
  end_ = segment.end();
  write_back_from_ = std::min(write_back_from_, segment.bytes());
  active_dirty_ = true;
  // When the batch that held the start is gone, the empty log goes on where it started: a gap.
  end_ = std::max(end_, start_);
  synced_end_ = std::min(synced_end_, end_);
  if (lineage_.truncate_to(end_)) ++lineage_version_;
  return {};
}

Status Partition::advance_start(Offset to) {
  AFDG_TRY(fault_);
  if (to <= start_) return {};
  if (to > end_)
    return fail(Code::kOutOfRange, directory_ + ": cannot move the start to offset " +
                                       std::to_string(to.value()) + ", the log ends at " +
                                       std::to_string(end_.value()));
  start_ = to;
  // From the lowest, so that what a crash leaves is one piece.
  while (segments_.size() > 1 && segments_[1]->base() <= to) AFDG_TRY(drop_segments(0, 1));
  if (lineage_.advance_start(start_)) ++lineage_version_;
  return {};
}

Result<SyncTicket> Partition::begin_sync() {
  AFDG_TRY(fault_);
  Status flushed = active().flush_indexes(false, &unsynced_files_);
  if (!flushed.ok() && flushed.code() != Code::kDiskFull) return flushed.error();
  SyncTicket ticket;
  ticket.fs_ = fs_;
  ticket.directory_ = directory_;
  ticket.files_ = std::exchange(unsynced_files_, {});
  if (std::exchange(active_dirty_, false)) ticket.files_.push_back(active().file());
  ticket.sync_directory_ = std::exchange(directory_dirty_, false);
  if (lineage_version_ != lineage_stored_) ticket.lineage_ = lineage_.encode();
  ticket.lineage_version_ = lineage_version_;
  ticket.end_ = end_;
  ticket.truncations_ = truncations_;
  bytes_unsynced_ = 0;
  return ticket;
}

void Partition::end_sync(const SyncTicket& ticket) {
  lineage_stored_ = std::max(lineage_stored_, ticket.lineage_version_);
  if (ticket.truncations_ == truncations_) synced_end_ = std::max(synced_end_, ticket.end_);
}

std::vector<Partition::SegmentInfo> Partition::segments() const {
  std::vector<SegmentInfo> out;
  out.reserve(segments_.size());
  for (const auto& s : segments_)
    out.push_back({s->base(), s->end(), s->bytes(), Timestamp(std::chrono::milliseconds(s->max_timestamp())),
                   Timestamp(std::chrono::milliseconds(s->first_timestamp()))});
  return out;
}

}  // namespace afdg::log
