#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace afdg::server {

/// Threads for what may block: administration, listings, consumers. Made when needed, kept.
/// Thread-safety: safe. Bounds: threads_max threads, queue_max pieces of work that wait.
class Workers {
 public:
  explicit Workers(std::size_t threads_max = 32, std::size_t queue_max = 256)
      : threads_max_(threads_max), queue_max_(queue_max) {}
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// False when the queue is full, or it stops: the work will not run.
  [[nodiscard]] bool run(std::function<void()> work);
  /// Waits for what runs; drops what waits.
  void stop();

 private:
  void serve();

  const std::size_t threads_max_, queue_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace afdg::server
