#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>

#include "kafka/broker/loop.h"

namespace afdg::kafka::testing {

/// Runs what was posted when it is told to; its times never come.
class TestLoop final : public Loop {
 public:
  void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  std::uint64_t after(std::chrono::milliseconds, std::function<void()>) override { return ++last_; }
  void cancel(std::uint64_t) override {}
  [[nodiscard]] bool here() const noexcept override { return true; }
  void run() {
    while (!tasks_.empty()) {
      const auto task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }

 private:
  std::deque<std::function<void()>> tasks_;
  std::uint64_t last_ = 0;
};

}  // namespace afdg::kafka::testing
