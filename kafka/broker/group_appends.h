#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/result.h"
#include "log/groups/messages.h"

namespace afdg::kafka {

/// Brings the outcomes of appends to `__consumer_offsets` into the order of the appends, for each partition:
/// an append that the log refuses is known to have failed before an earlier one, which it took, is durable.
/// Thread-safety: confined. Bounds: one entry for each append that waits, which Connection bounds by its
/// calls.
class GroupAppends {
 public:
  using Token = log::groups::AppendToken;
  using Ended = std::vector<std::pair<Token, Status>>;

  void begin(std::int32_t partition, Token token) { waiting_[partition].push_back({token, std::nullopt}); }

  /// Returns what can be told now: nothing while an earlier append of the partition is under way.
  [[nodiscard]] Ended ended(std::int32_t partition, Token token, Status status) {
    const auto found = waiting_.find(partition);
    AFDG_ASSERT(found != waiting_.end(), "an append ended that was not begun, or ended twice");
    auto& appends = found->second;
    for (auto& append : appends) {
      if (append.token != token) continue;
      append.status = std::move(status);
      break;
    }
    Ended due;
    while (!appends.empty() && appends.front().status) {
      due.emplace_back(appends.front().token, *std::move(appends.front().status));
      appends.pop_front();
    }
    if (appends.empty()) waiting_.erase(found);
    return due;
  }

 private:
  struct Append {
    Token token;
    std::optional<Status> status;  // nothing: under way
  };
  std::map<std::int32_t, std::deque<Append>> waiting_;
};

}  // namespace afdg::kafka
