// The core's two threads: deadlines, repeats and reconnects; and lookups of routes.
#include <algorithm>

#include "client/internal/core.h"

namespace afdg::client::internal {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookupTimeout = 2000ms;
constexpr auto kLookupPause = 50ms;  // between two lookups of one grid that worked
constexpr auto kIdle = 60s;

}  // namespace

void Core::schedule(std::uint32_t index, Monotonic when) {
  Slot& slot = at(index);
  if (slot.event_at != Monotonic{} && slot.event_at <= when) return;  // looked at before then, and put back
  slot.event_at = when;
  heap_.push_back({when, index});
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  if (heap_.size() >
      4 * blocks_.size() * kSlotsPerBlock) {  // outdated entries of calls with shrinking deadlines
    std::erase_if(heap_, [this](const Event& event) { return at(event.index).event_at != event.when; });
    std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  }
  if (when < timer_next_) timer_wake_.notify_one();
}

Monotonic Core::process_due(Lock& lock, std::vector<Finished>& out, std::vector<LinkState*>& to_flush,
                            std::vector<LinkState*>& to_open) {
  static_cast<void>(lock);
  const Monotonic now = clock_.monotonic();
  while (!heap_.empty() && heap_.front().when <= now) {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const Event event = heap_.back();
    heap_.pop_back();
    Slot& slot = at(event.index);
    if (slot.event_at != event.when) continue;
    slot.event_at = Monotonic{};
    if (slot.state == State::kFree || slot.state == State::kEnded) continue;
    if (slot.deadline <= now) {
      expire(event.index, out);
    } else if (slot.state == State::kParked && slot.retry_at <= now) {
      enqueue(event.index);
      to_flush.push_back(slot.link);
      schedule(event.index, slot.deadline);
    } else {
      schedule(event.index,
               slot.state == State::kParked ? std::min(slot.retry_at, slot.deadline) : slot.deadline);
    }
  }
  Monotonic next = heap_.empty() ? now + kIdle : heap_.front().when;
  for (auto& [address, link] : links_) {
    const bool first = link->epoch == 0 && link->open_at != Monotonic{};
    if (link->state != LinkState::State::kDown || (link->queue.empty() && !first)) continue;
    if (link->open_at <= now) {
      link->state = LinkState::State::kOpening;
      ++link->epoch;
      to_open.push_back(link.get());
    } else {
      next = std::min(next, link->open_at);
    }
  }
  return next;
}

void Core::run_timers() {
  std::vector<Finished> finished;
  std::vector<LinkState*> to_flush;
  std::vector<LinkState*> to_open;
  Lock lock(mutex_);
  while (!stopping_) {
    const Monotonic next = process_due(lock, finished, to_flush, to_open);
    if (!finished.empty() || !to_flush.empty() || !to_open.empty()) {
      std::vector<std::pair<LinkState*, std::uint64_t>> opening;
      for (LinkState* link : to_open) opening.emplace_back(link, link->epoch);
      for (LinkState* link : to_flush) {
        if (!lock.owns_lock()) lock.lock();
        flush(*link, lock);
      }
      if (lock.owns_lock()) lock.unlock();
      for (auto& [link, epoch] : opening) link->link->open(epoch);
      run(finished);
      to_flush.clear();
      to_open.clear();
      lock.lock();
      continue;
    }
    timer_next_ = next;
    timer_wake_.wait_until(lock, next);
    timer_next_ = Monotonic{};
  }
}

void Core::want_routes(GridState& grid) {
  if (grid.refresh_wanted) return;
  grid.refresh_wanted = true;
  routes_wake_.notify_one();
}

void Core::run_routes() {
  std::vector<Finished> finished;
  std::vector<LinkState*> to_flush;
  Lock lock(mutex_);
  while (!stopping_) {
    const Monotonic now = clock_.monotonic();
    Monotonic next = now + kIdle;
    GridState* due = nullptr;
    for (auto& [name, grid] : grids_) {
      if (!grid->refresh_wanted) continue;
      if (grid->refresh_after <= now) {
        due = grid.get();
        break;
      }
      next = std::min(next, grid->refresh_after);
    }
    if (due == nullptr) {
      routes_wake_.wait_until(lock, next);
      continue;
    }
    due->refresh_wanted = false;
    ++stats_.route_refreshes;
    lock.unlock();
    Result<RouteTable> table = network_->routes(due->name, kLookupTimeout);
    lock.lock();
    if (stopping_) return;
    apply_routes(*due, std::move(table), finished, to_flush);
    for (LinkState* link : to_flush) {
      if (!lock.owns_lock()) lock.lock();
      flush(*link, lock);
    }
    to_flush.clear();
    if (lock.owns_lock()) lock.unlock();
    run(finished);
    lock.lock();
  }
}

void Core::apply_routes(GridState& grid, Result<RouteTable> table, std::vector<Finished>& out,
                        std::vector<LinkState*>& to_flush) {
  const Monotonic now = clock_.monotonic();
  if (table.ok() && table->regions == 0) {
    table = fail(Code::kUnavailable, "the server knows no region of grid '" + grid.name + "' yet");
  }
  if (!table) {
    const Error error = table.error();
    grid.trouble = error.text();
    if (code_retry(error.code()) == Retry::kNever) {
      for (const std::uint64_t id : grid.waiting) {
        if (Slot* slot = find(id); slot != nullptr) end(slot->index, error.code(), error.text(), {}, out);
      }
      grid.waiting.clear();
    } else {
      std::erase_if(grid.waiting, [this](std::uint64_t id) { return find(id) == nullptr; });
      grid.backoff =
          grid.backoff == 0ms ? 20ms : std::min<std::chrono::milliseconds>(grid.backoff * 2, 1000ms);
      grid.refresh_after = now + grid.backoff;
      grid.refresh_wanted = slots_ > 0;
    }
    return;
  }
  grid.trouble.clear();
  grid.backoff = 0ms;
  grid.refresh_after = now + kLookupPause;
  if (grid.known && (grid.grid_id != table->grid_id || grid.regions.size() != table->regions)) {
    ++grid.version;  // deleted and created anew: its regions know nothing of our sequences
    grid.regions.clear();
  }
  grid.grid_id = table->grid_id;
  grid.regions.resize(table->regions);
  for (RegionState& region : grid.regions) {
    if (region.link == nullptr) region.link = link_for({});
  }
  grid.known = true;
  for (const RouteEntry& route : table->routes) take_route(grid, route.region, route.address);
  std::vector<std::uint64_t> waiting;
  waiting.swap(grid.waiting);
  for (const std::uint64_t id : waiting) {
    if (Slot* slot = find(id); slot != nullptr) enqueue(slot->index);
  }
  for (std::uint32_t i = 0; i < blocks_.size() * kSlotsPerBlock; ++i) {
    Slot& slot = at(i);
    if (slot.state != State::kQueued || slot.grid != &grid) continue;
    const bool moved = slot.grid_version != grid.version || grid.regions[slot.region].link != slot.link;
    if (moved) enqueue(i);  // its entry in the old link's queue is passed over
    if (std::find(to_flush.begin(), to_flush.end(), slot.link) == to_flush.end())
      to_flush.push_back(slot.link);
  }
}

}  // namespace afdg::client::internal
