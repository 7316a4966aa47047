#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace afdg::server {

/// Threads for what may block or must wait: a few workers, made when first needed, and one for delays.
/// Thread-safety: safe. Bounds: tasks_max that wait; post() says when there are more.
class Background {
 public:
  explicit Background(std::size_t workers_max = 4, std::size_t tasks_max = 1024)
      : workers_max_(workers_max), tasks_max_(tasks_max) {}
  ~Background() { stop(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  /// False when too many wait or it was stopped: the task is dropped.
  bool post(std::function<void()> task);
  /// Runs as by post(), not before the delay.
  void after(std::chrono::milliseconds delay, std::function<void()> task);
  /// Waits for running tasks; drops the others.
  void stop();

 private:
  void work();
  void wait_for_time();
  const std::size_t workers_max_;
  const std::size_t tasks_max_;
  std::mutex mutex_;
  std::condition_variable tasks_changed_;
  std::condition_variable times_changed_;
  std::deque<std::function<void()>> tasks_;
  std::multimap<std::chrono::steady_clock::time_point, std::function<void()>> times_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
  std::thread timer_;
};

}  // namespace afdg::server
