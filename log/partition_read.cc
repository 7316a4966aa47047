#include <algorithm>
#include <utility>

#include "log/partition.h"
#include "log/segment.h"

namespace afdg::log {

Result<FileRange> Partition::read(Offset from, std::size_t bytes_max, Offset limit) {
  AFDG_TRY(fault_);
  if (from < start_ || from > end_)
    return fail(Code::kOutOfRange, directory_ + ": offset " + std::to_string(from.value()) + " is not in [" +
                                       std::to_string(start_.value()) + ", " + std::to_string(end_.value()) +
                                       "]: read between them");
  limit = std::min(limit, end_);
  const FileRange nothing{nullptr, 0, 0, from, from};
  if (from >= limit) return nothing;
  for (std::size_t i = segment_of(from); i < segments_.size() && segments_[i]->base() < limit; ++i) {
    if (from >= segments_[i]->end()) continue;
    auto segment = use(i);
    if (!segment.ok()) return note(segment.status()).error();
    auto place = (*segment)->find(std::max(from, (*segment)->base()));
    if (!place.ok()) return note(place.status()).error();
    auto stop = (*segment)->find_stop(*place, bytes_max, limit);
    if (!stop.ok()) return note(stop.status()).error();
    if (stop->position == place->position) return nothing;
    return FileRange{(*segment)->file(), place->position, stop->position - place->position, place->base,
                     stop->next};
  }
  return nothing;
}

Result<FileRange> Partition::read_checked(Offset from, std::size_t bytes_max, Offset limit) {
  AFDG_ASSIGN(FileRange range, read(from, bytes_max, limit));
  if (range.size == 0) return range;
  Segment& segment = *segments_[segment_of(range.first)];
  AFDG_ASSERT(segment.file() == range.file, "what was read is of the segment that holds its first offset");
  const std::uint64_t end = range.position + range.size;
  if (segment.checked(range.position, end)) return range;
  BatchScanner scanner(*range.file, {range.position, end}, BatchScanner::Depth::kWhole,
                       options_.batch_bytes_max);
  while (scanner.next()) {
  }
  if (!scanner.status().ok())
    return note(fail(Code::kCorrupt, range.file->path() + " at position " +
                                         std::to_string(scanner.position()) + ": " +
                                         scanner.status().error().text()))
        .error();
  segment.note_checked(range.position, end);
  return range;
}

Result<Offset> Partition::read_verified(Offset from, std::size_t bytes_max, Offset limit, std::string& out) {
  out.clear();
  AFDG_ASSIGN(const FileRange range, read(from, bytes_max, limit));
  if (range.size == 0) return range.next;
  out.resize(range.size);
  Status s = range.file->read_at(range.position, range.size, out.data());
  if (s.code() == Code::kOutOfRange)
    s = fail(Code::kCorrupt, range.file->path() + " was shortened while in use");
  std::size_t at = 0;
  while (s.ok() && at < out.size()) {
    const auto batch = BatchView::parse(std::string_view(out).substr(at), options_.batch_bytes_max);
    s = batch.ok() ? batch->verify_crc() : batch.status();
    if (!s.ok()) {
      s = fail(Code::kCorrupt, range.file->path() + " at position " + std::to_string(range.position + at) +
                                   ": " + s.error().text());
    } else {
      at += batch->size();
    }
  }
  if (s.ok()) return range.next;
  out.clear();
  return note(std::move(s)).error();
}

Result<std::optional<TimedOffset>> Partition::find_time(Timestamp at, PartitionEnds among) {
  AFDG_TRY(fault_);
  // Files below the owner's start may be here until it is durable elsewhere.
  const auto [start, limit] = PartitionEnds{std::max(among.start, start_), among.end};
  const std::int64_t ms = at.time_since_epoch().count();
  RecordView record;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (segments_[i]->base() >= limit) break;
    if (segments_[i]->bytes() == 0 || segments_[i]->max_timestamp() < ms) continue;
    auto segment = use(i);
    if (!segment.ok()) return note(segment.status()).error();
    auto from = (*segment)->find_time(ms);
    if (!from.ok()) return note(from.status()).error();
    BatchScanner scanner(*(*segment)->file(), {*from, (*segment)->bytes()}, BatchScanner::Depth::kWhole,
                         options_.batch_bytes_max);
    while (scanner.next()) {
      const BatchView& batch = scanner.batch();
      if (batch.base() >= limit) return std::optional<TimedOffset>();
      if (batch.max_timestamp() < ms || batch.last() < start) continue;
      if (batch.codec() != Codec::kNone)
        return std::optional<TimedOffset>(
            {std::max(batch.base(), start), Timestamp(std::chrono::milliseconds(batch.max_timestamp()))});
      RecordReader reader(batch);
      while (reader.next(record))
        if (record.timestamp >= at && record.offset >= start && record.offset < limit)
          return std::optional<TimedOffset>({record.offset, record.timestamp});
      if (!reader.status().ok()) return note(reader.status()).error();
    }
    if (!scanner.status().ok()) return note(scanner.status()).error();
  }
  return std::optional<TimedOffset>();
}

Result<std::optional<TimedOffset>> Partition::find_max_time(PartitionEnds among) {
  AFDG_TRY(fault_);
  const auto [start, limit] = PartitionEnds{std::max(among.start, start_), among.end};
  std::optional<TimedOffset> best;
  const auto consider = [&](std::int64_t ms, Offset last) {
    const Timestamp at{std::chrono::milliseconds(ms)};
    if (ms >= 0 && (!best || at > best->timestamp)) best = TimedOffset{last, at};
  };
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (segments_[i]->max_timestamp() < 0 || segments_[i]->end() <= start) continue;
    if (segments_[i]->base() >= limit) break;
    if (segments_[i]->max_timestamp_offset() >= start && segments_[i]->max_timestamp_offset() < limit) {
      consider(segments_[i]->max_timestamp(), segments_[i]->max_timestamp_offset());
      continue;
    }
    // The largest timestamp of this segment is below the start, or not committed: one of the others counts.
    auto segment = use(i);
    if (!segment.ok()) return note(segment.status()).error();
    auto place = (*segment)->find(std::max(start, segments_[i]->base()));
    if (!place.ok()) return note(place.status()).error();
    BatchScanner scanner(*(*segment)->file(), {place->position, (*segment)->bytes()},
                         BatchScanner::Depth::kHeaders, options_.batch_bytes_max);
    while (scanner.next() && scanner.batch().last() < limit)
      consider(scanner.batch().max_timestamp(), scanner.batch().last());
    if (!scanner.status().ok()) return note(scanner.status()).error();
  }
  return best;
}

Result<Partition::VerifyReport> Partition::verify() {
  AFDG_TRY(fault_);
  VerifyReport report;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    auto segment = use(i);
    Status s =
        segment.ok() ? (*segment)->verify(report.batches, report.records, report.warnings) : segment.status();
    if (s.ok() && i + 1 < segments_.size() && (*segment)->end() != segments_[i + 1]->base())
      s = fail(Code::kCorrupt, (*segment)->log_path() + " does not end where the next segment begins");
    if (!s.ok()) return note(std::move(s)).error();
    report.bytes += (*segment)->bytes();
    ++report.segments;
  }
  return report;
}

}  // namespace afdg::log
