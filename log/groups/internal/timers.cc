#include "log/groups/internal/timers.h"

namespace afdg::log::groups {

void Timers::set(const TimerKey& key, Monotonic at) {
  auto [it, added] = timers_.try_emplace(key, Times{at, at});
  if (!added) {
    it->second.due = at;
    if (at >= it->second.queued) return;
    queue_.erase({it->second.queued, &it->first});
    it->second.queued = at;
  }
  queue_.insert({at, &it->first});
}

void Timers::cancel(const TimerKey& key) {
  auto it = timers_.find(key);
  if (it == timers_.end()) return;
  queue_.erase({it->second.queued, &it->first});
  timers_.erase(it);
}

std::optional<TimerKey> Timers::pop(Monotonic now) {
  while (!queue_.empty() && queue_.begin()->first <= now) {
    auto it = timers_.find(*queue_.begin()->second);
    queue_.erase(queue_.begin());
    if (it->second.due <= now) {
      TimerKey key = it->first;
      timers_.erase(it);
      return key;
    }
    it->second.queued = it->second.due;
    queue_.insert({it->second.due, &it->first});
  }
  return std::nullopt;
}

std::optional<Monotonic> Timers::next() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.begin()->first;
}

}  // namespace afdg::log::groups
