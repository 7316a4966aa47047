#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "log/batch.h"

namespace afdg::log {

/// What a cleaning keeps of a batch.
struct BatchFilter {
  /// Whether the record stays.
  std::function<bool(const RecordView&)> keep;
  /// What becomes the batch's delete horizon when a tombstone stays in it and it has none; nothing: none is
  /// set.
  std::optional<Timestamp> horizon;
  /// A batch of which no record stays becomes an empty one: somebody needs its last offset or its sequence.
  bool keep_empty = false;
};

enum class Filtered : std::uint8_t {
  kSame,     ///< nothing changes: copy its bytes
  kChanged,  ///< `out` takes its place
  kGone,
};

/// What `filter` leaves of a batch, by Kafka's rules: first and last offset, epochs, producer and sequence
/// stay, records keep their offset and time, the codec is the same. `records` are the batch's, unpacked.
/// Errors: kCorrupt, kMessageTooLarge (what is left, packed anew, is above `bytes_max`).
Result<Filtered> filter_batch(const BatchView& batch, std::string_view records, const BatchFilter& filter,
                              std::size_t bytes_max, std::string& out);

}  // namespace afdg::log
