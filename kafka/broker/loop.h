#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace afdg::kafka {

/// The one thread on which a Broker and its connections live, as they see it.
/// Thread-safety: post() from any thread; the rest on the loop's thread only.
class Loop {
 public:
  virtual ~Loop() = default;
  /// Runs `task` on the loop's thread, soon.
  virtual void post(std::function<void()> task) = 0;
  /// Runs `task` not before the delay. Returns its name for cancel(), never 0.
  virtual std::uint64_t after(std::chrono::milliseconds delay, std::function<void()> task) = 0;
  /// The task does not run any more; ok when it ran already.
  virtual void cancel(std::uint64_t timer) = 0;
  /// Whether the caller is the loop's thread.
  [[nodiscard]] virtual bool here() const noexcept = 0;
};

}  // namespace afdg::kafka
