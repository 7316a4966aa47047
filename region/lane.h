#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/thread.h"
#include "region/executor.h"

namespace afdg::region {

/// One call of a slice.
struct LaneCall {
  Executor* executor;
  Inbound message;
};

/// The part of a frame that goes to one lane.
struct LaneWork {
  std::vector<LaneCall> calls;
  std::shared_ptr<const void> bytes;   ///< what the calls' views point into
  std::shared_ptr<const void> routes;  ///< keeps the executors
  Tickets* tickets = nullptr;          ///< of all calls; the lane drops its first reference
};

/// The lanes of a node: CAF actors that host executors, about one a core.
///
///     post(work) -> one CAF message -> handle each call -> seal what was touched -> replies come with the
///     commit
///
/// A slice is sealed when no other waits, or after 1 ms, or at Options::seal_bytes. Thread-safety: safe, but
/// for stop(). Bounds: the caller asks waiting() before it posts calls; tasks are few.
class Lanes {
 public:
  /// `lanes` 0: one a core. CAF's scheduler gets max(1, cores / 2) threads, afdg-lane, of that scheduling.
  explicit Lanes(std::size_t lanes = 0, Scheduling scheduling = Scheduling::kOrdinary);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  [[nodiscard]] std::size_t size() const noexcept;
  /// Of region r of all grids.
  [[nodiscard]] std::size_t lane_of(GridId grid, RegionId region) const noexcept;
  /// Calls that wait for the lane.
  [[nodiscard]] std::uint64_t waiting(std::size_t lane) const noexcept;
  void post(std::size_t lane, LaneWork work);
  /// Runs on the lane, behind what waits there.
  void post(std::size_t lane, std::function<void()> task);
  void post_later(std::size_t lane, std::chrono::milliseconds delay, std::function<void()> task);
  void post_poll(std::shared_ptr<Executor> executor);
  /// The lane polls it each tick() from now on, and not after remove().
  void add(std::shared_ptr<Executor> executor);
  void remove(std::shared_ptr<Executor> executor);
  /// Each second: every executor polls; with `checkpoint` everything dirty is frozen.
  void tick(bool checkpoint);
  /// It is sealed with the rest of the present slice. On its lane only.
  void touch(std::shared_ptr<Executor> executor);
  /// Answers every call of the executor that has no reply with kInDoubt: none can come any more. On its lane
  /// only.
  void fail_unanswered(Executor& executor, std::string_view why);
  /// Runs what waits, then ends the actors. Executors stay with those who hold them.
  void stop();

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace afdg::region
