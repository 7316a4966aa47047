#include <algorithm>
#include <limits>

#include "log/segment.h"

namespace afdg::log {

template <typename Ask>
Result<std::uint64_t> Segment::trusted_position(Ask ask) {
  const OffsetIndex::Entry* entry = ask();
  if (entry == nullptr) return 0;
  Status s = check_entry(*entry);
  if (s.code() == Code::kIo) return s.error();
  if (!s.ok()) {
    AFDG_TRY(rebuild_indexes());
    entry = ask();
    if (entry == nullptr) return 0;
  }
  return static_cast<std::uint64_t>(entry->position);
}

Result<Segment::Place> Segment::find(Offset offset) {
  AFDG_ASSIGN(const std::uint64_t from,
              trusted_position([&] { return index_.at_or_below(offset - base_ - 1); }));
  BatchScanner scanner = scan(from, BatchScanner::Depth::kHeaders);
  Offset previous = base_;
  while (scanner.next()) {
    if (scanner.batch().base() < previous)
      return damaged(scanner.position(), "its offsets do not follow the batch before it");
    if (scanner.batch().last() >= offset)
      return Place{scanner.position(), previous, scanner.batch().base(), scanner.batch().next()};
    previous = scanner.batch().next();
  }
  AFDG_TRY(scanner.status());
  return damaged(scanner.position(), "offset " + std::to_string(offset.value()) +
                                         " is not there, the segment should end at " +
                                         std::to_string(end_.value()));
}

Result<Segment::Stop> Segment::find_stop(const Place& from, std::size_t bytes_max, Offset limit) {
  if (from.next > limit) return Stop{from.position, from.base};
  if (limit >= end_ && bytes_ - from.position <= bytes_max) return Stop{bytes_, end_};
  const std::uint64_t position_max = from.position + std::max<std::uint64_t>(bytes_max, 1);
  AFDG_ASSIGN(std::uint64_t at, trusted_position([&]() -> const OffsetIndex::Entry* {
                const auto* by_position = index_.at_or_before_position(position_max);
                const auto* by_offset = index_.at_or_below(limit - base_ - 1);
                if (by_position == nullptr || by_offset == nullptr) return nullptr;
                return by_position->position < by_offset->position ? by_position : by_offset;
              }));
  BatchScanner scanner = scan(std::max(at, from.position), BatchScanner::Depth::kHeaders);
  Stop stop{from.position, from.base};
  while (scanner.next()) {
    const std::uint64_t end = scanner.position() + scanner.size();
    const bool first = scanner.position() == from.position;
    if (scanner.batch().next() > limit || (end > position_max && !first)) {
      // The walk may have begun at a batch that itself is too far: then the answer is where that one begins.
      if (stop.position == from.position && !first) stop = {scanner.position(), scanner.batch().base()};
      break;
    }
    stop = {end, scanner.batch().next()};
  }
  AFDG_TRY(scanner.status());
  return stop;
}

Result<std::uint64_t> Segment::find_time(std::int64_t timestamp) {
  const TimeIndex::Entry* time = time_index_.below(timestamp);
  if (time == nullptr) return 0;
  const std::int64_t relative = time->relative;
  return trusted_position([&] { return index_.at_or_below(relative); });
}

Status Segment::verify(std::uint64_t& batches, std::uint64_t& records) {
  std::size_t entry = 0;
  Offset end = base_;
  std::int64_t max_timestamp = -1;
  BatchScanner scanner = scan(0, BatchScanner::Depth::kWhole);
  while (scanner.next()) {
    const BatchView& batch = scanner.batch();
    if (batch.base() < end)
      return damaged(scanner.position(), "its offsets do not follow the batch before it");
    if (Status s = batch.validate(); !s.ok()) return damaged(scanner.position(), s.error().text());
    max_timestamp = std::max(max_timestamp, batch.max_timestamp());
    for (; entry < index_.entries().size() &&
           static_cast<std::uint64_t>(index_.entries()[entry].position) <= scanner.position();
         ++entry)
      if (static_cast<std::uint64_t>(index_.entries()[entry].position) != scanner.position() ||
          batch.last() - base_ != index_.entries()[entry].relative)
        return fail(Code::kCorrupt,
                    index_path_ + ": entry " + std::to_string(entry) +
                        " does not name a batch of the segment: delete it, it is rebuilt at the next start");
    end = batch.next();
    ++batches;
    records += static_cast<std::uint64_t>(batch.records());
  }
  AFDG_TRY(scanner.status());
  if (end != end_)
    return damaged(bytes_, "the segment ends at offset " + std::to_string(end.value()) + " instead of " +
                               std::to_string(end_.value()));
  if (!time_index_.entries().empty() && time_index_.entries().back().timestamp > max_timestamp)
    return fail(
        Code::kCorrupt,
        time_index_path_ +
            ": names a time that the segment does not have: delete it, it is rebuilt at the next start");
  return {};
}

}  // namespace afdg::log
