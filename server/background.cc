#include "server/background.h"

#include <utility>

#include "base/thread.h"

namespace afdg::server {

bool Background::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopping_ || tasks_.size() >= tasks_max_) return false;
  tasks_.push_back(std::move(task));
  if (idle_ < tasks_.size() && workers_.size() < workers_max_) {
    workers_.emplace_back([this] {
      begin_thread("afdg-worker");
      work();
    });
  }
  tasks_changed_.notify_one();
  return true;
}

void Background::after(std::chrono::milliseconds delay, std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  times_.emplace(std::chrono::steady_clock::now() + delay, std::move(task));
  if (!timer_.joinable()) {
    timer_ = std::thread([this] {
      begin_thread("afdg-timer");
      wait_for_time();
    });
  }
  times_changed_.notify_one();
}

void Background::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    tasks_changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    --idle_;
    if (stopping_) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
  }
}

void Background::wait_for_time() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (times_.empty()) {
      times_changed_.wait(lock);
      continue;
    }
    const auto first = times_.begin();
    if (first->first > std::chrono::steady_clock::now()) {
      times_changed_.wait_until(lock, std::chrono::steady_clock::time_point(first->first));
      continue;
    }
    auto task = std::move(first->second);
    times_.erase(first);
    lock.unlock();
    if (!post(task)) after(std::chrono::milliseconds(100), task);
    lock.lock();
  }
}

void Background::stop() {
  std::vector<std::thread> workers;
  std::deque<std::function<void()>> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    workers.swap(workers_);
    dropped.swap(tasks_);
    tasks_changed_.notify_all();
    times_changed_.notify_all();
  }
  for (auto& worker : workers) worker.join();
  if (timer_.joinable()) timer_.join();
  times_.clear();
}

}  // namespace afdg::server
