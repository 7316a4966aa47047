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
    AFDG_TRY(follows(scanner.batch(), scanner.position(), previous));
    if (scanner.batch().last() >= offset)
      return Place{scanner.position(), previous, scanner.batch().base(), scanner.batch().next(),
                   scanner.batch().max_timestamp()};
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
  const TimeIndex::Entry entry = *time;
  if (base_ + entry.relative < end_) {
    AFDG_ASSIGN(const Place place, find(base_ + entry.relative));
    if (place.next == base_ + entry.relative + 1 && place.max_timestamp == entry.timestamp)
      return place.position;
  }
  AFDG_TRY(rebuild_indexes());
  time = time_index_.below(timestamp);
  if (time == nullptr) return 0;
  AFDG_ASSIGN(const Place place, find(base_ + time->relative));
  return place.position;
}

Status Segment::verify(std::uint64_t& batches, std::uint64_t& records, std::vector<std::string>& warnings) {
  std::size_t entry = 0;
  std::size_t time_entry = 0;
  bool indexes_fit = true;
  Offset end = base_;
  std::int64_t max_timestamp = -1;
  const auto& offsets = index_.entries();
  const auto& times = time_index_.entries();
  BatchScanner scanner = scan(0, BatchScanner::Depth::kWhole);
  while (scanner.next()) {
    const BatchView& batch = scanner.batch();
    AFDG_TRY(follows(batch, scanner.position(), end));
    if (Status s = batch.validate(); !s.ok()) return damaged(scanner.position(), s.error().text());
    max_timestamp = std::max(max_timestamp, batch.max_timestamp());
    const std::int64_t relative = batch.last() - base_;
    for (;
         entry < offsets.size() && static_cast<std::uint64_t>(offsets[entry].position) <= scanner.position();
         ++entry)
      indexes_fit = indexes_fit &&
                    static_cast<std::uint64_t>(offsets[entry].position) == scanner.position() &&
                    offsets[entry].relative == relative;
    for (; time_entry < times.size() && times[time_entry].relative <= relative; ++time_entry)
      indexes_fit = indexes_fit && times[time_entry].relative == relative &&
                    times[time_entry].timestamp == max_timestamp;
    end = batch.next();
    ++batches;
    records += static_cast<std::uint64_t>(batch.records());
  }
  AFDG_TRY(scanner.status());
  if (end != end_)
    return damaged(bytes_, "the segment ends at offset " + std::to_string(end.value()) + " instead of " +
                               std::to_string(end_.value()));
  if (indexes_fit && entry == offsets.size() && time_entry == times.size()) return {};
  warnings.push_back(index_path_ + " does not fit " + log_path_ + ": the indexes were made anew");
  return rebuild_indexes();
}

}  // namespace afdg::log
