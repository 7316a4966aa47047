#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace afdg::log {

/// The sparse offset index of a segment, in memory: last offset of a batch -> position of that batch in the
/// file. ON DISK since version 1 (Kafka's .index): 8 bytes an entry, int32 offset relative to the segment's
/// base, int32 position, big endian. Derived: whoever looks something up checks that the batch found is the
/// one named, and rebuilds when it is not. Thread-safety: confined. Bounds: one entry for each
/// index_interval_bytes of the segment.
class OffsetIndex {
 public:
  struct Entry {
    std::int32_t relative;  ///< last offset of the batch - base of the segment
    std::int32_t position;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  static constexpr std::size_t kEntryBytes = 8;

  /// Precondition: both above the last entry's.
  void add(Entry entry);
  /// The last entry whose offset is at or below `relative`; null when there is none.
  [[nodiscard]] const Entry* at_or_below(std::int64_t relative) const;
  /// The last entry whose position is at or below `position`; null when there is none.
  [[nodiscard]] const Entry* at_or_before_position(std::uint64_t position) const;
  /// Drops entries whose batch does not end at or before the relative offset `end`.
  void truncate_to(std::int64_t end);
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  void clear() { entries_.clear(); }

  /// The bytes of the entries from `first` on.
  [[nodiscard]] std::string encode(std::size_t first = 0) const;
  /// Errors: kCorrupt (not whole entries, not growing, a position at or past `segment_bytes`).
  static Result<OffsetIndex> decode(std::string_view bytes, std::uint64_t segment_bytes);

 private:
  std::vector<Entry> entries_;
};

/// The sparse time index of a segment, in memory: largest timestamp so far -> last offset of the batch that
/// had it. ON DISK since version 1 (Kafka's .timeindex): 12 bytes an entry, int64 milliseconds, int32
/// relative offset, big endian. Every record with a greater timestamp comes after that offset. Thread-safety,
/// Bounds: as OffsetIndex.
class TimeIndex {
 public:
  struct Entry {
    std::int64_t timestamp;
    std::int32_t relative;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  static constexpr std::size_t kEntryBytes = 12;

  /// Adds it when its timestamp is above the last entry's; else nothing.
  void add(Entry entry);
  /// The last entry whose timestamp is below `timestamp`; null when there is none.
  [[nodiscard]] const Entry* below(std::int64_t timestamp) const;
  void truncate_to(std::int64_t end);
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }
  void clear() { entries_.clear(); }

  [[nodiscard]] std::string encode(std::size_t first = 0) const;
  /// Errors: kCorrupt (not whole entries, not growing, an offset at or past `relative_end`).
  static Result<TimeIndex> decode(std::string_view bytes, std::int64_t relative_end);

 private:
  std::vector<Entry> entries_;
};

}  // namespace afdg::log
