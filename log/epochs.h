#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace afdg::log {

/// The lineage of a partition: which leader epoch began at which offset (KIP-101). Both columns only grow.
///
///     epoch 3 @ 0    epoch 5 @ 120    epoch 6 @ 400     offsets 120..399 were written by the leader of epoch
///     5
///
/// Thread-safety: confined. Bounds: one entry an epoch that wrote something.
class EpochLineage {
 public:
  struct Entry {
    Epoch epoch;
    Offset start;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  /// Where an epoch ends, for OffsetForLeaderEpoch (KIP-279).
  struct EpochEnd {
    /// The largest known epoch that is not above the one asked for; that one itself when all known are above.
    Epoch epoch;
    Offset end;  ///< the first offset of the next larger epoch, or the log's end
  };

  /// Notes that a batch of `epoch` begins at `start`; true when that is a new entry. An epoch that is not
  /// above the last is no news.
  bool assign(Epoch epoch, Offset start);
  /// Drops entries that begin at or after `end`; true when there were any.
  bool truncate_to(Offset end);
  /// Drops entries that end at or before `start`; the one that holds it begins at `start`. True when
  /// something changed.
  bool advance_start(Offset start);
  void clear() { entries_.clear(); }
  [[nodiscard]] std::optional<Epoch> latest() const;
  /// Nothing when no epoch is known.
  [[nodiscard]] std::optional<EpochEnd> end_of(Epoch epoch, Offset log_end) const;
  [[nodiscard]] const std::vector<Entry>& entries() const noexcept { return entries_; }

  /// ON DISK since version 1: Kafka's leader-epoch-checkpoint, text: version 0, count, then "epoch start" a
  /// line.
  [[nodiscard]] std::string encode() const;
  /// Errors: kCorrupt, kNewerFormat.
  static Result<EpochLineage> decode(std::string_view text);

 private:
  std::vector<Entry> entries_;
};

}  // namespace afdg::log
