#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace afdg::client::cli {

/// Counts of durations in nanoseconds; each bucket is at most 1/64 wide of its value.
/// Thread-safety: safe.
class Histogram {
 public:
  void add(std::uint64_t ns) noexcept { counts_[bucket(ns)].fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t count() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& c : counts_) sum += c.load(std::memory_order_relaxed);
    return sum;
  }
  /// The least upper bound of that share (0..1) of the durations, in microseconds; 0 when empty.
  [[nodiscard]] double quantile_us(double share) const noexcept {
    const std::uint64_t all = count();
    if (all == 0) return 0;
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(all - 1)) + 1;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      sum += counts_[i].load(std::memory_order_relaxed);
      if (sum >= wanted) return static_cast<double>(upper(i)) / 1000.0;
    }
    return 0;
  }

 private:
  static constexpr std::uint64_t kSub = 64;
  static constexpr std::size_t kBuckets = kSub * 42;  // up to 2^47 ns, then the last one
  static std::size_t bucket(std::uint64_t v) noexcept {
    if (v < kSub) return v;
    const auto shift = static_cast<unsigned>(std::bit_width(v)) - 7;
    const std::size_t index = (shift + 1) * kSub + ((v >> shift) & (kSub - 1));
    return index < kBuckets ? index : kBuckets - 1;
  }
  static std::uint64_t upper(std::size_t index) noexcept {
    if (index < kSub) return index;
    const std::size_t shift = index / kSub - 1;
    return ((kSub + index % kSub + 1) << shift) - 1;
  }
  std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
};

}  // namespace afdg::client::cli
