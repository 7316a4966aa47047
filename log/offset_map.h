#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace afdg::log {

/// The last offset of each key, for a cleaning: keys are kept as their keyed 128-bit hash (SipHash-2-4-128,
/// under a key that is drawn for each map), so that nobody can make two keys meet. Thread-safety: confined.
/// Bounds: 24 bytes an entry, all taken when it is made, at most nine tenths of them used.
class OffsetMap {
 public:
  /// As many entries as fit into `bytes`, and at least one.
  OffsetMap(std::size_t bytes, Random& random);

  /// Remembers the offset; offsets grow. False when the map is full and the key is new: nothing changed.
  [[nodiscard]] bool put(std::string_view key, Offset offset);
  /// The last offset of the key; -1 when it has none.
  [[nodiscard]] Offset find(std::string_view key) const;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  static constexpr std::size_t kEntryBytes = 24;

 private:
  struct Entry {
    std::array<std::uint64_t, 2> hash{};
    std::int64_t offset = -1;
  };
  static_assert(sizeof(Entry) == kEntryBytes);
  /// Where the hash is, or the free place where it would be.
  [[nodiscard]] std::size_t place(const std::array<std::uint64_t, 2>& hash) const;

  std::array<std::uint64_t, 2> secret_;
  std::vector<Entry> entries_;
  std::size_t capacity_;
  std::size_t size_ = 0;
};

/// SipHash-2-4 with 128 bits of result (Aumasson, Bernstein; the authors' reference implementation).
[[nodiscard]] std::array<std::uint64_t, 2> siphash128(std::string_view bytes,
                                                      const std::array<std::uint64_t, 2>& secret) noexcept;

}  // namespace afdg::log
