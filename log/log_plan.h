#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "base/ids.h"
#include "log/journal_point.h"
#include "log/journal_record.h"

namespace afdg::log {

/// What recovery point and journal say of one partition, before anything is changed.
struct Plan {
  Offset end{0};      ///< where replay goes on: all below is synced in segments and still meant
  Offset log_end{0};  ///< all below was committed: where the partition ends when replay is done
  Offset start{0};
  Offset stored_start{0};  ///< what segments may have been deleted below
  Epoch epoch{-1};
  std::uint64_t skip_to = 0;  ///< records up to this one are in segments already
  Offset cleaned{0};          ///< all below was compacted, and nothing of it was cut since
  Offset history_start{0};    ///< at least that of the marks, if the directory is still the same
};

/// The first reading of a journal: how far each partition is without it, and which topics are gone.
///
///     truncation to T:   what segments hold at or past T may be older or newer than T's successor: nothing
///     there is trusted reference up to N: the segment was synced up to N before the commit: everything
///     before is there, cuts included
///
/// Thread-safety: confined. Bounds: an entry a partition.
class JournalSurvey {
 public:
  explicit JournalSurvey(const RecoveryPoint& point);
  /// Takes the next record of the journal.
  void add(const JournalRecord& record);
  [[nodiscard]] const Plan& of(TopicPartition id) const;
  [[nodiscard]] const std::set<TopicId>& deleted() const noexcept { return deleted_; }

 private:
  std::map<TopicPartition, Plan> plans_;
  std::set<TopicId> deleted_;
  std::uint64_t sequence_ = 0;
  Plan none_;
};

}  // namespace afdg::log
