#include "log/index.h"

#include <algorithm>

#include "base/assert.h"
#include "base/codec.h"

namespace afdg::log {

void OffsetIndex::add(Entry entry) {
  AFDG_ASSERT(entries_.empty() ||
                  (entry.relative > entries_.back().relative && entry.position > entries_.back().position),
              "offset index entries must grow");
  entries_.push_back(entry);
}

const OffsetIndex::Entry* OffsetIndex::at_or_below(std::int64_t relative) const {
  auto it = std::upper_bound(entries_.begin(), entries_.end(), relative,
                             [](std::int64_t r, const Entry& e) { return r < e.relative; });
  return it == entries_.begin() ? nullptr : &*(it - 1);
}

const OffsetIndex::Entry* OffsetIndex::at_or_before_position(std::uint64_t position) const {
  auto it = std::upper_bound(entries_.begin(), entries_.end(), position, [](std::uint64_t p, const Entry& e) {
    return p < static_cast<std::uint64_t>(e.position);
  });
  return it == entries_.begin() ? nullptr : &*(it - 1);
}

void OffsetIndex::truncate_to(std::int64_t end) {
  while (!entries_.empty() && entries_.back().relative >= end) entries_.pop_back();
}

std::string OffsetIndex::encode(std::size_t first) const {
  std::string out;
  for (std::size_t i = first; i < entries_.size(); ++i) {
    put_be32(out, static_cast<std::uint32_t>(entries_[i].relative));
    put_be32(out, static_cast<std::uint32_t>(entries_[i].position));
  }
  return out;
}

Result<OffsetIndex> OffsetIndex::decode(std::string_view bytes, std::uint64_t segment_bytes) {
  if (bytes.size() % kEntryBytes != 0)
    return fail(Code::kCorrupt,
                "offset index of " + std::to_string(bytes.size()) + " bytes: entries have 8 bytes each");
  OffsetIndex index;
  index.entries_.reserve(bytes.size() / kEntryBytes);
  Entry last{-1, -1};
  for (std::size_t i = 0; i < bytes.size(); i += kEntryBytes) {
    const Entry entry{static_cast<std::int32_t>(load_be32(bytes.data() + i)),
                      static_cast<std::int32_t>(load_be32(bytes.data() + i + 4))};
    if (entry.relative <= last.relative || entry.position <= last.position ||
        static_cast<std::uint64_t>(entry.position) >= segment_bytes)
      return fail(Code::kCorrupt, "offset index entry " + std::to_string(i / kEntryBytes) +
                                      " does not fit the one before it or the segment");
    index.entries_.push_back(last = entry);
  }
  return index;
}

void TimeIndex::add(Entry entry) {
  if (!entries_.empty() &&
      (entry.timestamp <= entries_.back().timestamp || entry.relative <= entries_.back().relative))
    return;
  entries_.push_back(entry);
}

const TimeIndex::Entry* TimeIndex::below(std::int64_t timestamp) const {
  auto it = std::lower_bound(entries_.begin(), entries_.end(), timestamp,
                             [](const Entry& e, std::int64_t t) { return e.timestamp < t; });
  return it == entries_.begin() ? nullptr : &*(it - 1);
}

void TimeIndex::truncate_to(std::int64_t end) {
  while (!entries_.empty() && entries_.back().relative >= end) entries_.pop_back();
}

std::string TimeIndex::encode(std::size_t first) const {
  std::string out;
  for (std::size_t i = first; i < entries_.size(); ++i) {
    put_be64(out, static_cast<std::uint64_t>(entries_[i].timestamp));
    put_be32(out, static_cast<std::uint32_t>(entries_[i].relative));
  }
  return out;
}

Result<TimeIndex> TimeIndex::decode(std::string_view bytes, std::int64_t relative_end) {
  if (bytes.size() % kEntryBytes != 0)
    return fail(Code::kCorrupt,
                "time index of " + std::to_string(bytes.size()) + " bytes: entries have 12 bytes each");
  TimeIndex index;
  index.entries_.reserve(bytes.size() / kEntryBytes);
  for (std::size_t i = 0; i < bytes.size(); i += kEntryBytes) {
    const Entry entry{static_cast<std::int64_t>(load_be64(bytes.data() + i)),
                      static_cast<std::int32_t>(load_be32(bytes.data() + i + 8))};
    const bool grows = index.entries_.empty() || (entry.timestamp > index.entries_.back().timestamp &&
                                                  entry.relative > index.entries_.back().relative);
    if (!grows || entry.relative < 0 || entry.relative >= relative_end)
      return fail(Code::kCorrupt, "time index entry " + std::to_string(i / kEntryBytes) +
                                      " does not fit the one before it or the segment");
    index.entries_.push_back(entry);
  }
  return index;
}

}  // namespace afdg::log
