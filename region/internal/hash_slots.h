#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/prefetch.h"

namespace afdg::region {

/// Finds items by a 64-bit hash: open addressing over (hash, pointer), so a look-up among millions costs one
/// cache miss beside those of the item itself. Erasing moves the slots behind it up. Thread-safety: confined.
/// Ownership: none; whoever inserts owns.
template <typename T>
class HashSlots {
 public:
  HashSlots() = default;
  HashSlots(HashSlots&& other) noexcept
      : slots_(std::move(other.slots_)), size_(std::exchange(other.size_, 0)) {
    other.slots_.clear();
  }
  HashSlots& operator=(HashSlots&& other) noexcept {
    slots_.swap(other.slots_);
    std::swap(size_, other.size_);
    return *this;
  }

  /// The item with that hash for which `same` is true; nullptr when there is none.
  template <typename Same>
  [[nodiscard]] T* find(std::uint64_t hash, Same&& same) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t at = hash & mask(); slots_[at].item != nullptr; at = (at + 1) & mask()) {
      if (slots_[at].hash == hash && same(*slots_[at].item)) return slots_[at].item;
    }
    return nullptr;
  }
  /// Starts to bring the hash's slot into the processor's cache.
  void prefetch(std::uint64_t hash) const noexcept {
    if (!slots_.empty()) prefetch_memory(&slots_[hash & mask()]);
  }
  /// The first item with that hash, without looking at it: a guess.
  [[nodiscard]] const T* guess(std::uint64_t hash) const noexcept {
    return find(hash, [](const T&) { return true; });
  }
  /// Precondition: no such item is there.
  void insert(std::uint64_t hash, T* item) {
    if ((size_ + 1) * 4 > slots_.size() * 3) grow();
    place(hash, item);
    ++size_;
  }
  /// Precondition: `item` is there.
  void replace(std::uint64_t hash, T* item, T* by) { slots_[position(hash, item)].item = by; }
  void erase(std::uint64_t hash, T* item) {
    std::size_t hole = position(hash, item);
    for (std::size_t at = (hole + 1) & mask(); slots_[at].item != nullptr; at = (at + 1) & mask()) {
      const std::size_t home = slots_[at].hash & mask();
      if (((at - home) & mask()) < ((at - hole) & mask())) continue;  // it would come before its home
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole].item = nullptr;
    --size_;
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const Slot& slot : slots_) {
      if (slot.item != nullptr) visit(*slot.item);
    }
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    T* item = nullptr;
  };
  [[nodiscard]] std::size_t mask() const noexcept { return slots_.size() - 1; }
  [[nodiscard]] std::size_t position(std::uint64_t hash, const T* item) const {
    std::size_t at = hash & mask();
    while (slots_[at].item != item) at = (at + 1) & mask();
    return at;
  }
  void place(std::uint64_t hash, T* item) {
    std::size_t at = hash & mask();
    while (slots_[at].item != nullptr) at = (at + 1) & mask();
    slots_[at] = {hash, item};
  }
  void grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.item != nullptr) place(slot.hash, slot.item);
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace afdg::region
