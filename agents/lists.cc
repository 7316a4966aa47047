#include "agents/lists.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>

#include "agents/item_time.h"
#include "base/prefetch.h"

namespace afdg::agents {
namespace {
constexpr std::size_t kListBytes = 160;  // a hash table's node, roughly
constexpr std::size_t kItemBytes = 80;   // a map's node, roughly
constexpr std::size_t kNamedKeyBytesMax = 80;
}  // namespace

std::string Lists::described(std::string_view key) const {
  std::string text =
      "entity '" + std::string(name()) + "', key '" + std::string(key.substr(0, kNamedKeyBytesMax));
  if (key.size() > kNamedKeyBytesMax) text += "...";
  return text + "', of agent '" + std::string(agent().state().key()) + "'";
}

void Lists::prefetch(int step) const noexcept {
  if (last_ == nullptr) return;
  if (step == 0) {
    prefetch_memory(last_);
    prefetch_memory(&last_->second);
    prefetch_memory(&last_->second.items);
  } else if (!last_->second.items.empty()) {
    prefetch_memory(&*last_->second.items.begin());  // the only one of a single value
  }
}

Lists::Kept* Lists::find(std::string_view key) const {
  if (bytes_ > kCacheBytesMax) {
    lists_.clear();
    last_ = nullptr;
    bytes_ = 0;
  }
  if (last_ != nullptr && last_->first == key) [[likely]]
    return &last_->second;
  if (const auto at = lists_.find(key); at != lists_.end()) [[likely]]
    return &at->second;
  if (key.size() > kKeyBytesMax) {
    agent().fail_turn(fail(Code::kInvalidArgument, described(key) + ": a key of " +
                                                       std::to_string(key.size()) + " bytes; the limit is " +
                                                       std::to_string(kKeyBytesMax)));
    return nullptr;
  }
  bytes_ += kListBytes + key.size();
  const auto made = lists_.try_emplace(std::string(key)).first;
  Kept& list = made->second;
  auto bounds = agent().state().bounds(
      name(), key, [&](std::int64_t sequence, std::string_view item) { keep(list, sequence, item); });
  if (!bounds.ok()) {
    lists_.erase(made);
    agent().fail_turn(bounds.error());
    return nullptr;
  }
  list.bounds = *bounds;
  last_ = &*made;
  return &list;
}

Lists::Kept* Lists::find_to_write(std::string_view key) {
  return agent().may_write(name()) ? find(key) : nullptr;
}

void Lists::keep(Kept& list, std::int64_t sequence, std::string_view bytes) const {
  const auto at = list.items.find(sequence);
  if (at != list.items.end()) {
    bytes_ -= at->second.size();
    if (bytes.size() <= kCachedItemBytesMax) {
      at->second.assign(bytes);
      bytes_ += bytes.size();
    } else {
      bytes_ -= kItemBytes;
      list.items.erase(at);
    }
  } else if (bytes.size() <= kCachedItemBytesMax && bytes_ < kCacheBytesMax) {
    list.items.emplace(sequence, bytes);
    bytes_ += bytes.size() + kItemBytes;
  }
}

void Lists::forget(Kept& list, std::int64_t sequence) const {
  const auto at = list.items.find(sequence);
  if (at == list.items.end()) return;
  bytes_ -= at->second.size() + kItemBytes;
  list.items.erase(at);
}

std::optional<std::string> Lists::stored(Kept& list, std::string_view key, std::int64_t sequence) const {
  if (const auto at = list.items.find(sequence); at != list.items.end()) return at->second;
  auto bytes = agent().state().get(id(key, sequence));
  if (!bytes.ok()) {
    agent().fail_turn(bytes.error());
    return std::nullopt;
  }
  if (!*bytes) {
    agent().fail_turn(
        fail(Code::kCorrupt, described(key) + ": the item at sequence " + std::to_string(sequence) +
                                 " is missing between the first and the last: run afdgd verify"));
    return std::nullopt;
  }
  keep(list, sequence, **bytes);
  return std::move(**bytes);
}

std::uint64_t Lists::size(std::string_view key) const {
  const Kept* list = find(key);
  return list == nullptr ? 0 : list->size();
}

std::optional<std::string> Lists::read(std::string_view key, std::uint64_t index) const {
  Kept* list = find(key);
  if (list == nullptr) return std::nullopt;
  if (index >= list->size()) {
    agent().fail_turn(fail(Code::kHandlerFailed, described(key) + ": the handler read item " +
                                                     std::to_string(index) + " of " +
                                                     std::to_string(list->size()) + ": ask size() first"));
    return std::nullopt;
  }
  return stored(*list, key, list->bounds->first + static_cast<std::int64_t>(index));
}

void Lists::read_chunk(std::string_view key, std::uint64_t index, std::vector<std::string>& items) const {
  items.clear();
  Kept* list = find(key);
  if (list == nullptr || index >= list->size()) return;
  const std::int64_t from = list->bounds->first + static_cast<std::int64_t>(index);
  for (auto at = list->items.find(from); at != list->items.end() && items.size() < kChunkItems; ++at) {
    if (at->first != from + static_cast<std::int64_t>(items.size())) break;
    items.push_back(at->second);
  }
  if (!items.empty()) return;
  std::size_t bytes = 0;
  bool dense = true;
  const Status read =
      agent().state().items(name(), key, from, [&](std::int64_t sequence, std::string_view item) {
        dense = sequence == from + static_cast<std::int64_t>(items.size());
        if (!dense) return false;
        items.emplace_back(item);
        bytes += item.size();
        return items.size() < kChunkItems && bytes < kChunkBytes && sequence < list->bounds->last;
      });
  if (!read.ok()) {
    items.clear();
    return agent().fail_turn(read.error());
  }
  if (items.empty() || !dense) {
    items.clear();
    return agent().fail_turn(fail(Code::kCorrupt, described(key) + ": items are missing after sequence " +
                                                      std::to_string(from) + ": run afdgd verify"));
  }
  if (bytes_ + bytes + items.size() * kItemBytes > kCacheBytesMax)
    return;  // a scan does not push out what is kept
  for (std::size_t i = 0; i < items.size(); ++i) keep(*list, from + static_cast<std::int64_t>(i), items[i]);
}

void Lists::put(Kept& list, std::string_view key, std::int64_t sequence, std::string bytes) {
  agent().state().put(id(key, sequence), bytes);
  keep(list, sequence, bytes);
}

void Lists::add(std::string_view key, End end, std::string bytes) {
  Kept* list = find_to_write(key);
  if (list == nullptr) return;
  if (limits_.age_max.count() > 0) append_item_time(bytes, agent().now());
  std::int64_t sequence = 0;
  if (list->bounds) sequence = end == End::kBack ? ++list->bounds->last : --list->bounds->first;
  if (!list->bounds) list->bounds = AgentState::Bounds{.first = 0, .last = 0};
  put(*list, key, sequence, std::move(bytes));
  trim(*list, key, end);
}

void Lists::trim(Kept& list, std::string_view key, End grown) {
  const End end = grown == End::kBack ? End::kFront : End::kBack;
  std::uint64_t surplus = 0;
  if (limits_.items_max > 0 && list.size() > limits_.items_max) surplus = list.size() - limits_.items_max;
  surplus = std::min(surplus, kTrimMax);
  for (std::uint64_t i = 0; i < surplus; ++i) remove_end(list, key, end);
  if (limits_.age_max.count() == 0) return;
  const std::uint64_t old = expired(list, key, end, std::min(kTrimMax - surplus, list.size() - 1));
  for (std::uint64_t i = 0; i < old; ++i) remove_end(list, key, end);
}

std::optional<Timestamp> Lists::time_at(Kept& list, std::string_view key, std::int64_t sequence) const {
  const auto bytes = stored(list, key, sequence);
  return bytes ? item_time(*bytes) : std::nullopt;
}

std::uint64_t Lists::expired(Kept& list, std::string_view key, End end, std::uint64_t count_max) const {
  const Timestamp limit = agent().now() - limits_.age_max;
  const auto sequence = [&](std::uint64_t i) {
    return end == End::kFront ? list.bounds->first + static_cast<std::int64_t>(i)
                              : list.bounds->last - static_cast<std::int64_t>(i);
  };
  // Items from before the list had an age limit carry no time. They are older than the first that does, so
  // they go with it.
  std::uint64_t untimed = 0;
  if (count_max > 0 && !time_at(list, key, sequence(0))) {
    std::uint64_t timed = list.size() - 1;  // the item just added carries one
    while (timed - untimed > 1) {
      const std::uint64_t middle = untimed + (timed - untimed) / 2;
      (time_at(list, key, sequence(middle)) ? timed : untimed) = middle;
    }
    untimed = timed;
    if (untimed >= count_max) {
      const auto time = time_at(list, key, sequence(untimed));
      return time && *time < limit ? count_max : 0;
    }
  }
  std::uint64_t count = untimed;
  for (; count < count_max; ++count) {
    const auto time = time_at(list, key, sequence(count));
    if (!time || *time >= limit) break;
  }
  return count == untimed ? 0 : count;
}

void Lists::remove_end(Kept& list, std::string_view key, End end) {
  const std::int64_t sequence = end == End::kFront ? list.bounds->first : list.bounds->last;
  agent().state().erase(id(key, sequence));
  forget(list, sequence);
  if (list.bounds->first == list.bounds->last) {
    list.bounds.reset();
  } else if (end == End::kFront) {
    ++list.bounds->first;
  } else {
    --list.bounds->last;
  }
}

void Lists::replace(std::string_view key, std::uint64_t index, std::string bytes) {
  Kept* list = find_to_write(key);
  if (list == nullptr) return;
  if (index >= list->size()) {
    return agent().fail_turn(fail(
        Code::kHandlerFailed, described(key) + ": the handler set item " + std::to_string(index) + " of " +
                                  std::to_string(list->size()) + ": append, or ask size() first"));
  }
  const std::int64_t sequence = list->bounds->first + static_cast<std::int64_t>(index);
  if (limits_.age_max.count() > 0) {
    if (const auto time = time_at(*list, key, sequence))
      append_item_time(bytes, *time);  // as old as what it replaces
  }
  put(*list, key, sequence, std::move(bytes));
}

void Lists::remove(std::string_view key, std::uint64_t index) {
  Kept* list = find_to_write(key);
  if (list == nullptr) return;
  if (index >= list->size()) {
    return agent().fail_turn(
        fail(Code::kHandlerFailed, described(key) + ": the handler erased item " + std::to_string(index) +
                                       " of " + std::to_string(list->size()) + ": ask size() first"));
  }
  const bool from_front = index < list->size() / 2;
  const std::int64_t step = from_front ? -1 : 1;
  const std::int64_t stop = from_front ? list->bounds->first : list->bounds->last;
  for (std::int64_t at = list->bounds->first + static_cast<std::int64_t>(index); at != stop; at += step) {
    auto moved = stored(*list, key, at + step);
    if (!moved) return;
    put(*list, key, at, std::move(*moved));
  }
  remove_end(*list, key, from_front ? End::kFront : End::kBack);
}

void Lists::clear(std::string_view key) {
  Kept* list = find_to_write(key);
  if (list == nullptr) return;
  while (list->bounds) remove_end(*list, key, End::kFront);
}

std::vector<std::string> Lists::keys(std::string_view prefix, std::string_view after,
                                     std::size_t limit) const {
  std::vector<std::string> found;
  if (limit == 0) return found;
  const Status read = agent().state().keys(name(), std::max(prefix, after), [&](std::string_view key) {
    if (!key.starts_with(prefix)) return key < prefix;
    if (key > after || (after.empty() && key.empty())) found.emplace_back(key);
    return found.size() < limit;
  });
  if (!read.ok()) {
    found.clear();
    agent().fail_turn(read.error());
  }
  return found;
}

void Lists::fail_undecodable(std::string_view key, std::uint64_t index) const {
  agent().fail_turn(fail(Code::kCorrupt, described(key) + ": item " + std::to_string(index) + " is not a " +
                                             descriptor()->full_name() +
                                             ": restore the agent, or its message type"));
}

}  // namespace afdg::agents
