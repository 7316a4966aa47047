#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace afdg::log::groups {

enum class TimerKind : std::uint8_t { kJoin, kSync, kSession, kRetention };

/// What a timer is for. `member` is set for kSession only, `partition` for kRetention only.
struct TimerKey {
  TimerKind kind;
  std::string group;
  std::string member;
  std::int32_t partition = 0;
  friend auto operator<=>(const TimerKey&, const TimerKey&) = default;
};

/// The timers of all groups. Moving a timer later, which every heartbeat does, costs one look-up: its place
/// in the queue is corrected when it comes up. Thread-safety: confined.
class Timers {
 public:
  /// Starts the timer, or moves it.
  void set(const TimerKey& key, Monotonic at);
  void cancel(const TimerKey& key);
  /// Takes out a timer that is due at `now`, the earliest first.
  std::optional<TimerKey> pop(Monotonic now);
  /// When pop() is worth calling: never later than the earliest timer.
  [[nodiscard]] std::optional<Monotonic> next() const;
  [[nodiscard]] std::size_t size() const noexcept { return timers_.size(); }

 private:
  struct Times {
    Monotonic due;
    Monotonic queued;  // <= due
  };
  using Table = std::map<TimerKey, Times>;
  struct Earlier {
    using Entry = std::pair<Monotonic, const TimerKey*>;
    bool operator()(const Entry& a, const Entry& b) const {
      return a.first != b.first ? a.first < b.first : *a.second < *b.second;
    }
  };
  Table timers_;
  std::set<Earlier::Entry, Earlier> queue_;  // keys point into timers_
};

}  // namespace afdg::log::groups
