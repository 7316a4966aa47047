#include "log/log_plan.h"

#include <algorithm>

namespace afdg::log {

JournalSurvey::JournalSurvey(const RecoveryPoint& point) {
  for (const auto& p : point.partitions) {
    plans_[p.partition] = Plan{.end = p.end,
                               .log_end = p.end,
                               .start = p.start,
                               .stored_start = p.start,
                               .epoch = p.epoch,
                               .cleaned = p.cleaned,
                               .history_start = p.history_start};
  }
}

void JournalSurvey::add(const JournalRecord& record) {
  ++sequence_;
  switch (record.kind) {
    case JournalKind::kAppend:
      for (const AppendEntry& entry : record.entries) {
        Plan& plan = plans_[entry.partition];
        plan.log_end = entry.next;
        if (!entry.reference) continue;
        plan.end = entry.next;
        plan.skip_to = sequence_;
      }
      break;
    case JournalKind::kTruncate: {
      Plan& plan = plans_[record.partition];
      plan.end = std::min(plan.end, record.offset);
      plan.log_end = std::min(plan.log_end, record.offset);
      plan.cleaned = std::min(plan.cleaned, record.offset);
      break;
    }
    case JournalKind::kStart: {
      Plan& plan = plans_[record.partition];
      plan.start = std::max(plan.start, record.offset);
      break;
    }
    case JournalKind::kEpoch: {
      Plan& plan = plans_[record.partition];
      plan.epoch = std::max(plan.epoch, record.epoch);
      break;
    }
    case JournalKind::kDeleteTopic:
      deleted_.insert(record.partition.topic);
      break;
  }
}

const Plan& JournalSurvey::of(TopicPartition id) const {
  const auto it = plans_.find(id);
  return it == plans_.end() ? none_ : it->second;
}

}  // namespace afdg::log
