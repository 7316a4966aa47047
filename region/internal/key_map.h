#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "base/codec.h"
#include "base/prefetch.h"
#include "region/internal/hash_slots.h"

namespace afdg::region {

/// Byte strings by byte strings, where a value may say "deleted". Each entry is one block of memory.
/// Thread-safety: const-safe. Ownership: owns copies. Bounds: the owner's.
class KeyMap {
 public:
  class Entry {
   public:
    [[nodiscard]] std::string_view key() const noexcept { return {bytes(), key_size_}; }
    [[nodiscard]] std::optional<std::string_view> value() const noexcept {
      if (deleted_) return std::nullopt;
      return std::string_view(bytes() + key_size_, value_size_);
    }

   private:
    friend class KeyMap;
    [[nodiscard]] const char* bytes() const noexcept { return reinterpret_cast<const char*>(this + 1); }
    [[nodiscard]] char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
    std::uint32_t key_size_;
    std::uint32_t value_size_;
    std::uint32_t value_capacity_;
    bool deleted_;
  };
  /// What put() did: the entry as it is now, and whether its key is new, or its views moved.
  struct Put {
    const Entry* entry;
    std::uint64_t hash;  ///< of the key
    bool inserted;
    bool moved;
  };

  KeyMap() = default;
  ~KeyMap() { clear(); }
  KeyMap(KeyMap&&) noexcept = default;
  KeyMap& operator=(KeyMap&& other) noexcept {
    slots_ = std::move(other.slots_);  // swaps
    return *this;
  }

  [[nodiscard]] const Entry* find(std::string_view key) const {
    return slots_.find(hash64(key), [&](const Entry& entry) { return entry.key() == key; });
  }
  /// `before_move` is called with the entry whose memory is about to go.
  template <typename BeforeMove>
  Put put(std::string_view key, std::optional<std::string_view> value, BeforeMove&& before_move) {
    const std::uint64_t hash = hash64(key);
    Entry* entry = slots_.find(hash, [&](const Entry& at) { return at.key() == key; });
    const std::size_t size = value ? value->size() : 0;
    if (entry == nullptr) {
      entry = make(key, size);
      set(*entry, value);
      slots_.insert(hash, entry);
      return {entry, hash, true, false};
    }
    if (size <= entry->value_capacity_) {
      set(*entry, value);
      return {entry, hash, false, false};
    }
    Entry* larger = make(key, size);
    set(*larger, value);
    before_move(*entry);
    slots_.replace(hash, entry, larger);
    std::free(entry);
    return {larger, hash, false, true};
  }
  /// Brings what find() and put() of a key with this hash look at into the processor's cache: the slot, later
  /// the entry.
  void prefetch_slot(std::uint64_t hash) const noexcept { slots_.prefetch(hash); }
  void prefetch_entry(std::uint64_t hash) const noexcept {
    if (const Entry* entry = slots_.guess(hash)) {
      prefetch_memory(entry);
      prefetch_memory(entry->bytes() + 48);
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return slots_.size(); }
  template <typename Visit>
  void for_each(Visit&& visit) const {
    slots_.for_each(visit);
  }
  void clear() {
    slots_.for_each([](Entry& entry) { std::free(&entry); });
    slots_ = HashSlots<Entry>();
  }

 private:
  static Entry* make(std::string_view key, std::size_t value_size) {
    const std::size_t bytes = (sizeof(Entry) + key.size() + value_size + 15) / 16 * 16;
    void* memory = std::malloc(bytes);
    if (memory == nullptr) throw std::bad_alloc();
    auto* entry = new (memory) Entry;
    entry->key_size_ = static_cast<std::uint32_t>(key.size());
    entry->value_capacity_ = static_cast<std::uint32_t>(bytes - sizeof(Entry) - key.size());
    std::memcpy(entry->bytes(), key.data(), key.size());
    return entry;
  }
  static void set(Entry& entry, std::optional<std::string_view> value) {
    entry.deleted_ = !value.has_value();
    entry.value_size_ = value ? static_cast<std::uint32_t>(value->size()) : 0;
    if (value && !value->empty()) std::memcpy(entry.bytes() + entry.key_size_, value->data(), value->size());
  }

  HashSlots<Entry> slots_;
};

}  // namespace afdg::region
