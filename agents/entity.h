#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agents/item_codec.h"
#include "agents/lists.h"

namespace afdg {

template <agents::Storable T>
class Entity;

/// One key's list of an entity, to read: `legs_[day]` in a const handler. A view: it stays valid as long as
/// the agent, and always shows the list as it is. Items are given as values. Thread-safety: confined. Errors:
/// an index past the end, and stored bytes that cannot be read, read as T{} and fail the turn.
template <agents::Storable T>
class ConstList {
 public:
  ConstList(const agents::Lists& lists, std::string_view key) : lists_(&lists), key_(key) {}

  [[nodiscard]] std::string_view key() const noexcept { return key_; }
  /// Costs two look-ups the first time, whatever the length.
  [[nodiscard]] std::uint64_t size() const { return lists_->size(key_); }
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// The item at `index`, counted from the oldest that was appended.
  [[nodiscard]] T at(std::uint64_t index) const {
    T item{};
    if (const auto bytes = lists_->read(key_, index)) decode(*bytes, index, item);
    return item;
  }
  /// As at(), into an object that the caller reuses.
  void read(std::uint64_t index, T& item) const {
    if (const auto bytes = lists_->read(key_, index)) {
      decode(*bytes, index, item);
    } else {
      item = T{};
    }
  }
  [[nodiscard]] T operator[](std::uint64_t index) const { return at(index); }
  [[nodiscard]] T front() const { return at(0); }
  [[nodiscard]] T back() const {
    const std::uint64_t items = size();
    return at(items == 0 ? 0 : items - 1);
  }
  /// Reads a chunk at a time, so a long list is never in memory whole. Goes up to the end that the list had
  /// at begin(); items that the loop itself changes may be seen as they were.
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    Iterator(const ConstList& list, std::uint64_t index, std::uint64_t end)
        : lists_(list.lists_), key_(list.key_), index_(index), end_(end) {
      load();
    }
    /// Valid until the iterator moves.
    const T& operator*() const noexcept { return item_; }
    const T* operator->() const noexcept { return &item_; }
    Iterator& operator++() {
      ++index_;
      load();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& at, std::default_sentinel_t) noexcept {
      return at.index_ >= at.end_;
    }

   private:
    void load() {
      if (index_ >= end_) return;
      if (next_ == chunk_.size()) {
        lists_->read_chunk(key_, index_, chunk_);
        next_ = 0;
        if (chunk_.empty()) {
          end_ = index_;
          return;
        }
      }
      if (!agents::ItemCodec<T>::decode(chunk_[next_], item_)) {
        lists_->fail_undecodable(key_, index_);
        end_ = index_;
      }
      ++next_;
    }
    const agents::Lists* lists_ = nullptr;
    std::string key_;
    std::uint64_t index_ = 0;
    std::uint64_t end_ = 0;
    std::vector<std::string> chunk_;
    std::size_t next_ = 0;
    T item_{};
  };
  [[nodiscard]] Iterator begin() const { return Iterator(*this, 0, size()); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  /// A part of the list, to iterate over.
  class Slice {
   public:
    Slice(const ConstList& list, std::uint64_t from, std::uint64_t to) : begin_(list, from, to) {}
    [[nodiscard]] Iterator begin() const { return begin_; }
    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

   private:
    Iterator begin_;
  };
  /// The items [from, to), as far as there are.
  [[nodiscard]] Slice slice(std::uint64_t from, std::uint64_t to) const {
    return Slice(*this, from, std::min(to, size()));
  }
  /// The newest `count` items, or all when there are fewer, oldest first.
  [[nodiscard]] std::vector<T> last(std::uint64_t count) const {
    const std::uint64_t items = size();
    std::vector<T> found;
    for (const T& item : slice(items - std::min(count, items), items)) found.push_back(item);
    return found;
  }

 protected:
  void decode(const std::string& bytes, std::uint64_t index, T& item) const {
    if (agents::ItemCodec<T>::decode(bytes, item)) return;
    item = T{};
    lists_->fail_undecodable(key_, index);
  }
  const agents::Lists* lists_;
  std::string key_;
};

/// One key's list of an entity, to read and write: `legs_[day]`. All of it is part of the running turn.
/// Thread-safety, Errors: as ConstList. Bounds: a turn's effects, which region/ checks; so a list that is far
/// longer than a turn can carry is cleared in several turns.
template <agents::Storable T>
class List : public ConstList<T> {
 public:
  List(agents::Lists& lists, std::string_view key) : ConstList<T>(lists, key), lists_(&lists) {}

  /// Adds at the back; then the entity's limits remove from the front. Does not load the list.
  void append(const T& item) { lists_->add(this->key_, agents::Lists::kBack, encode(item)); }
  /// Adds at the front; then the entity's limits remove from the back.
  void prepend(const T& item) { lists_->add(this->key_, agents::Lists::kFront, encode(item)); }
  void set(std::uint64_t index, const T& item) { lists_->replace(this->key_, index, encode(item)); }
  /// Removes one item. The items between it and the nearer end are written again.
  void erase(std::uint64_t index) { lists_->remove(this->key_, index); }
  void clear() { lists_->clear(this->key_); }

 private:
  static std::string encode(const T& item) {
    std::string bytes;
    agents::ItemCodec<T>::encode(item, bytes);
    return bytes;
  }
  agents::Lists* lists_;
};

/// Lists of an agent by key, under a declared name: `Entity<Flight> legs_{*this, "legs", {.items_max = 500,
/// .age_max = 24h * 90}};`. A key with no items does not exist. Limits hold for each list by itself and are
/// applied when an item is added; a lower limit therefore takes effect at the next append, 1,024 items at a
/// time. T: a Protocol Buffers message, std::string, std::int64_t, double or bool. Keys: any bytes, at most 1
/// KiB. Thread-safety: confined. Errors: as ConstList.
template <agents::Storable T>
class Entity final : public agents::Lists {
 public:
  Entity(agents::AgentBase& agent, agents::EntityName name, EntityLimits limits = {})
      : Lists(agent, name, limits) {}

  [[nodiscard]] List<T> operator[](std::string_view key) { return List<T>(*this, key); }
  [[nodiscard]] ConstList<T> operator[](std::string_view key) const { return ConstList<T>(*this, key); }
  [[nodiscard]] bool contains(std::string_view key) const { return size(key) != 0; }
  /// Removes a key with all its items.
  void erase(std::string_view key) { clear(key); }
  struct KeysFrom {
    std::string_view prefix = {};
    std::string_view after = {};
    std::size_t limit = 1000;
  };
  /// Keys in byte order: those that begin with `prefix`, after the key `after`, at most `limit`.
  [[nodiscard]] std::vector<std::string> keys(KeysFrom from) const {
    return Lists::keys(from.prefix, from.after, from.limit);
  }
  [[nodiscard]] std::vector<std::string> keys(std::string_view prefix = {}, std::size_t limit = 1000) const {
    return Lists::keys(prefix, {}, limit);
  }

  [[nodiscard]] const google::protobuf::Descriptor* descriptor() const noexcept override {
    return agents::ItemCodec<T>::descriptor();
  }
};

}  // namespace afdg
