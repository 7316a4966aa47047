#pragma once

#include <chrono>
#include <cstdint>

namespace afdg {

/// Wall-clock milliseconds since 1970 (Kafka's timestamps).
using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;
/// Time that never jumps; for deadlines and measuring.
using Monotonic = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;

/// Where a core gets the time from. Thread-safety: safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Timestamp now() const = 0;
  [[nodiscard]] virtual Monotonic monotonic() const = 0;
  /// What deadlines are counted on: the time of day as it was when the process began, and what monotonic()
  /// went on since. A jump of now() moves no deadline of this process.
  [[nodiscard]] virtual Timestamp deadline_time() const = 0;
};

/// The machine's clocks. Thread-safety: safe.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override;
  [[nodiscard]] Monotonic monotonic() const override;
  [[nodiscard]] Timestamp deadline_time() const override;
};

/// A clock that a test moves. Starts at 2001-01-01T00:00Z. Thread-safety: confined.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override { return now_; }
  [[nodiscard]] Monotonic monotonic() const override { return monotonic_; }
  [[nodiscard]] Timestamp deadline_time() const override {
    return kBegin + std::chrono::duration_cast<std::chrono::milliseconds>(monotonic_.time_since_epoch());
  }
  void advance(std::chrono::milliseconds by) {
    now_ += by;
    monotonic_ += by;
  }
  /// Somebody sets the wall clock.
  void jump(std::chrono::milliseconds by) { now_ += by; }

 private:
  static constexpr Timestamp kBegin{std::chrono::milliseconds(978307200000)};
  Timestamp now_ = kBegin;
  Monotonic monotonic_{};
};

/// Where a core gets random numbers from. Thread-safety: confined unless the implementation says otherwise.
class Random {
 public:
  virtual ~Random() = default;
  [[nodiscard]] virtual std::uint64_t next() = 0;
};

/// xoshiro-quality numbers from a seed: the same seed gives the same sequence. Thread-safety: confined.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  [[nodiscard]] std::uint64_t next() override;

 private:
  std::uint64_t state_;
};

/// The operating system's entropy. Thread-safety: safe.
class SystemRandom final : public Random {
 public:
  [[nodiscard]] std::uint64_t next() override;
};

}  // namespace afdg
