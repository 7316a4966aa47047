#include <utility>

#include "log/log_impl.h"

namespace afdg::log {

void Log::Impl::collect(Shard& shard, std::vector<Woken>& out) {
  if (shard.watchers != 0) out.push_back({shard.id, std::exchange(shard.watchers, std::uint8_t{0})});
}

void Log::Impl::collect_all() {
  std::vector<ShardRef> shards;
  {
    const std::lock_guard lock(shards_mutex_);
    for (const auto& [id, shard] : shards_) shards.push_back(shard);
  }
  std::vector<Woken> woken;
  for (const ShardRef& shard : shards) {
    const std::lock_guard lock(shard->tail_mutex);
    collect(*shard, woken);
  }
  tell(woken);
}

void Log::Impl::tell(std::vector<Woken>& woken) {
  if (woken.empty()) return;
  const std::lock_guard lock(watch_mutex_);
  for (std::size_t slot = 0; slot < kWatchersMax; ++slot) {
    if (!listeners_[slot]) continue;
    telling_.clear();
    for (const Woken& one : woken)
      if ((one.watchers >> slot & 1u) != 0) telling_.push_back(one.id);
    if (!telling_.empty()) listeners_[slot](telling_);
  }
  woken.clear();
}

void Log::Impl::tell_faults() {
  if (faulted_any_.exchange(false)) {
    std::vector<Woken> woken;
    {
      const std::lock_guard lock(faulted_mutex_);
      woken.swap(faulted_);
    }
    tell(woken);
  }
  if (failed_ && !failure_told_.exchange(true)) collect_all();
}

Result<std::size_t> Log::Impl::add_listener(WatchListener listener) {
  if (!listener) return fail(Code::kInvalidArgument, "a watcher of the log needs a function to call");
  const std::lock_guard lock(watch_mutex_);
  for (std::size_t slot = 0; slot < kWatchersMax; ++slot) {
    const auto bit = static_cast<std::uint8_t>(1u << slot);
    if ((taken_slots_ & bit) != 0) continue;
    taken_slots_ |= bit;
    listeners_[slot] = std::move(listener);
    return slot;
  }
  return fail(Code::kOverloaded, options_.directory + ": the log has " + std::to_string(kWatchersMax) +
                                     " watchers, and no more are allowed: share one");
}

void Log::Impl::remove_listener(std::size_t slot) {
  {
    const std::lock_guard lock(watch_mutex_);
    listeners_[slot] = nullptr;
  }
  // What it asked for must not reach the next owner of the slot.
  const auto keep = static_cast<std::uint8_t>(~(1u << slot));
  std::vector<ShardRef> shards;
  {
    const std::lock_guard lock(shards_mutex_);
    for (const auto& [id, shard] : shards_) shards.push_back(shard);
  }
  for (const ShardRef& shard : shards) {
    const std::lock_guard lock(shard->tail_mutex);
    shard->watchers &= keep;
  }
  const std::lock_guard lock(watch_mutex_);
  taken_slots_ &= keep;
}

Result<Log::Watcher::Armed> Log::Impl::arm(std::size_t slot, TopicPartition id, Offset end_seen) {
  AFDG_ASSIGN(const ShardRef shard, need(id));
  const std::lock_guard lock(shard->tail_mutex);
  AFDG_TRY(shard->fault);
  if (closed_) return fail(Code::kUnavailable, options_.directory + ": the log was closed");
  if (failed_) return failure().error();
  // A commit moves the end under the same lock before it looks who waits.
  if (shard->committed_end != end_seen) return Watcher::Armed::kMoved;
  shard->watchers |= static_cast<std::uint8_t>(1u << slot);
  return Watcher::Armed::kWaiting;
}

Log::Watcher::~Watcher() { impl_.remove_listener(slot_); }
Result<Log::Watcher::Armed> Log::Watcher::arm(TopicPartition partition, Offset end_seen) {
  return impl_.arm(slot_, partition, end_seen);
}

Result<std::unique_ptr<Log::Watcher>> Log::watch(WatchListener listener) {
  AFDG_ASSIGN(const std::size_t slot, impl_->add_listener(std::move(listener)));
  return std::unique_ptr<Watcher>(new Watcher(*impl_, slot));
}

}  // namespace afdg::log
