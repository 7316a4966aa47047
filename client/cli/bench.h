#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "client/cli/commands.h"
#include "client/cli/histogram.h"

// What all of `afdg bench` shares.
namespace afdg::client::cli {

inline constexpr std::uint32_t kBenchErrorsInARowMax = 1000;  ///< then a caller gives up

/// What came of the operations. Thread-safety: safe.
class Meter {
 public:
  using Clock = std::chrono::steady_clock;

  /// `operations` of them took from `at` until now.
  void good(Clock::time_point at, std::uint64_t operations = 1) {
    if (!measuring_.load(std::memory_order_relaxed)) return;
    operations_.fetch_add(operations, std::memory_order_relaxed);
    latencies_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - at).count())));
  }
  /// What fails while it stops is not counted.
  void bad(const Error& error, std::uint64_t operations = 1) {
    if (stopping()) return;
    errors_.fetch_add(operations);
    const std::lock_guard lock(mutex_);
    if (first_error_.empty()) first_error_ = error.text();
  }

  void measure(bool on) { measuring_.store(on, std::memory_order_relaxed); }
  void stop() { stopping_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  [[nodiscard]] const Histogram& latencies() const { return latencies_; }
  [[nodiscard]] std::uint64_t errors() const { return errors_.load(); }
  [[nodiscard]] std::uint64_t operations() const { return operations_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::string first_error() const {
    const std::lock_guard lock(mutex_);
    return first_error_;
  }

 private:
  Histogram latencies_;
  std::atomic<bool> measuring_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> operations_{0};
  std::atomic<std::uint64_t> errors_{0};
  mutable std::mutex mutex_;
  std::string first_error_;
};

/// How many asynchronous operations are under way. Thread-safety: safe. Once wait() has returned it may go,
/// and what the operations use too: end_one() is the last that each of them does.
class Running {
 public:
  void add(std::uint32_t count = 1) {
    const std::lock_guard lock(mutex_);
    count_ += count;
  }
  void end_one() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  std::uint32_t count_ = 0;
};

/// Waits, showing progress on a terminal. False when interrupted.
bool wait_for(const Meter& meter, std::chrono::milliseconds time, const char* what);
/// Prints the figures, those of `more` too, with the column that names one of them, and says how it ended.
struct BenchColumn {
  std::string heading;
  std::string value;
};
Exit report(Context& context, const Meter& meter, double seconds, const nlohmann::json& more,
            const BenchColumn& column);
std::string fixed(double value, int digits);
inline std::uint64_t bench_seed(std::uint64_t n) { return (n + 1) * 0x9e3779b97f4a7c15ULL; }
inline std::uint64_t bench_random(std::uint64_t& random) {
  random ^= random << 13;
  random ^= random >> 7;
  random ^= random << 17;
  return random;
}

/// Adds `bench produce` and `bench consume`.
void add_bench_records(CLI::App& bench, Action& chosen);

}  // namespace afdg::client::cli
