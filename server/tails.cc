#include "server/tails.h"

#include <utility>
#include <vector>

namespace afdg::server {

Tails::Tails(log::Log* log) : log_(log) {
  if (log_ == nullptr) return;
  auto watcher = log_->watch([this](std::span<const TopicPartition> partitions) { told(partitions); });
  if (watcher.ok()) watcher_ = std::move(*watcher);  // else every reader looks again by itself
}

Tails::Wait Tails::wait(TopicPartition partition, Offset end_seen,
                        const std::shared_ptr<TailReader>& reader) {
  const std::lock_guard lock(mutex_);
  if (!watcher_ || waits_ >= kWaitsMax) return Wait::kCannot;
  // What is told meanwhile waits for the lock.
  const auto armed = watcher_->arm(partition, end_seen);
  if (!armed.ok()) return Wait::kCannot;
  if (*armed == log::Log::Watcher::Armed::kMoved) return Wait::kMoved;
  if (waiting_[partition].insert(reader).second) ++waits_;
  return Wait::kWaiting;
}

void Tails::leave(TopicPartition partition, const std::shared_ptr<TailReader>& reader) {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_.find(partition);
  if (found == waiting_.end()) return;
  waits_ -= found->second.erase(reader);
  if (found->second.empty()) waiting_.erase(found);
}

void Tails::told(std::span<const TopicPartition> partitions) {
  std::vector<decltype(waiting_)::node_type> woken;
  {
    const std::lock_guard lock(mutex_);
    for (const TopicPartition& partition : partitions) {
      auto node = waiting_.extract(partition);
      if (node.empty()) continue;
      waits_ -= node.mapped().size();
      woken.push_back(std::move(node));
    }
  }
  for (const auto& node : woken)
    for (const auto& reader : node.mapped()) reader->wake(node.key());
}

void Tails::stop() {
  std::unique_ptr<log::Log::Watcher> watcher;
  decltype(waiting_) all;
  {
    const std::lock_guard lock(mutex_);
    watcher = std::move(watcher_);
    all.swap(waiting_);
    waits_ = 0;
  }
  watcher.reset();
  for (const auto& [partition, readers] : all)
    for (const auto& reader : readers) reader->wake(partition);
}

}  // namespace afdg::server
