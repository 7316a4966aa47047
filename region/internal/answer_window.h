#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "region/internal/outcome.h"

namespace afdg::region {

/// The answers of one session by sequence, in a ring over [low, low + capacity): sequences are dense, so a
/// look-up is one step. Thread-safety: confined. Bounds: kSpanMax sequences from the lowest to the highest.
class AnswerWindow {
 public:
  static constexpr std::uint64_t kSpanMax = 1u << 18;

  /// Whether an answer with that sequence has a place.
  [[nodiscard]] bool takes(std::uint64_t sequence) const noexcept {
    return sequence >= low_ && sequence - low_ < kSpanMax;
  }
  [[nodiscard]] const Outcome* find(std::uint64_t sequence) const noexcept {
    if (sequence < low_ || sequence - low_ >= slots_.size()) return nullptr;
    const Slot& slot = slots_[sequence & (slots_.size() - 1)];
    return slot.used ? &slot.outcome : nullptr;
  }
  /// Precondition: takes(sequence).
  void put(std::uint64_t sequence, Outcome&& outcome) {
    AFDG_ASSERT(takes(sequence), "an answer outside of its session's window");
    if (sequence - low_ >= slots_.size()) grow(sequence - low_ + 1);
    Slot& slot = slots_[sequence & (slots_.size() - 1)];
    slot.outcome = std::move(outcome);
    size_ += slot.used ? 0 : 1;
    slot.used = true;
  }
  /// Removes the answers of sequences below `low`, telling `removed` each of them first. They have no place
  /// any more.
  template <typename Removed>
  void raise(std::uint64_t low, Removed&& removed) {
    if (low <= low_) return;
    const std::uint64_t end = std::min(low, low_ + slots_.size());
    for (std::uint64_t at = low_; at < end && size_ > 0; ++at) {
      Slot& slot = slots_[at & (slots_.size() - 1)];
      if (!slot.used) continue;
      removed(std::as_const(slot.outcome));
      slot = Slot();
      --size_;
    }
    low_ = low;
    if (size_ == 0 && slots_.size() > kSlotsKept) slots_ = {};
  }
  /// Of memory, without the outcomes' texts.
  [[nodiscard]] std::size_t bytes() const noexcept { return slots_.size() * sizeof(Slot); }
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.used) visit(slot.outcome);
    }
  }

 private:
  static constexpr std::size_t kSlotsKept = 1024;  // of an empty window
  struct Slot {
    Outcome outcome;
    bool used = false;
  };
  void grow(std::uint64_t needed) {
    std::vector<Slot> larger(std::bit_ceil(std::max<std::uint64_t>(needed, 16)));
    for (std::uint64_t i = 0; i < slots_.size(); ++i) {
      const std::uint64_t sequence = low_ + i;
      larger[sequence & (larger.size() - 1)] = std::move(slots_[sequence & (slots_.size() - 1)]);
    }
    slots_ = std::move(larger);
  }

  std::vector<Slot> slots_;  // a power of two
  std::uint64_t low_ = 1;
  std::size_t size_ = 0;
};

}  // namespace afdg::region
