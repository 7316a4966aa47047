#include "region/table.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/codec.h"
#include "region/state_key.h"

namespace afdg::region {
namespace {

// ON DISK: the store's mark is at the region's prefix itself: a version byte, then varints.
constexpr std::uint8_t kMarkVersion = 1;

std::string encode_mark(StoreMark mark) {
  std::string bytes(1, static_cast<char>(kMarkVersion));
  put_varint(bytes, static_cast<std::uint64_t>(mark.changes.value()));
  put_varint(bytes, static_cast<std::uint64_t>(mark.epoch.value()));
  return bytes;
}

}  // namespace

bool is_list_item(std::string_view key) noexcept {
  // A single value ends with an empty entity key (its terminator) and sequence 0.
  static constexpr char kSingle[] = {'\0', '\1', '\0', '\1', '\x80', '\0',
                                     '\0', '\0', '\0', '\0', '\0',   '\0'};
  return !key.empty() && key[0] == static_cast<char>(KeyKind::kItem) &&
         !key.ends_with(std::string_view(kSingle, sizeof kSingle));
}

Result<std::optional<std::string>> StateTable::get(std::string_view key) const {
  const KeyMap::Entry* found = dirty_.map.find(key);
  if (found == nullptr && frozen_) found = frozen_->layer.map.find(key);
  if (found != nullptr) {
    const auto value = found->value();
    return value ? std::optional<std::string>(*value) : std::nullopt;
  }
  scratch_.assign(prefix_).append(key);
  return store_.get(scratch_);
}

std::uint64_t StateTable::put_layer(std::string_view key, std::optional<std::string_view> value) {
  const bool listed = is_list_item(key);
  const auto put = dirty_.map.put(key, value, [&](const KeyMap::Entry& old) {
    if (listed) dirty_.lists.erase(&old);
  });
  if (listed && (put.inserted || put.moved)) dirty_.lists.insert(put.entry);
  return put.hash;
}

std::uint64_t StateTable::put(std::string_view key, std::string_view value) {
  dirty_bytes_ += key.size() + value.size() + 16;
  return put_layer(key, value);
}

std::uint64_t StateTable::erase(std::string_view key) {
  dirty_bytes_ += key.size() + 16;
  return put_layer(key, std::nullopt);
}

// The memory layers' entries of a range in key order, the newest of each key.
class StateTable::InMemory {
 public:
  using Value = std::optional<std::string_view>;
  struct Entry {
    std::string_view key;
    Value value;
  };

  void add(std::string_view key, Value value) { sorted_.push_back({key, value}); }
  void sort() {
    std::stable_sort(sorted_.begin(), sorted_.end(),
                     [](const Entry& a, const Entry& b) { return a.key < b.key; });
  }
  /// Layers are added newest first.
  void walk(const Layer& layer, std::string_view from, std::string_view to) {
    const ListKeys::Agent* agent = layer.lists.agent(from);
    if (agent != nullptr) walks_[walk_count_++] = {agent, within(agent->at_least(from), to), to};
  }
  [[nodiscard]] std::optional<Entry> peek() const {
    std::optional<Entry> least;
    if (next_ < sorted_.size()) least = sorted_[next_];
    for (std::size_t i = 0; i < walk_count_; ++i) {
      const KeyMap::Entry* at = walks_[i].at;
      if (at != nullptr && (!least || at->key() < least->key)) least = Entry{at->key(), at->value()};
    }
    return least;
  }
  void pop(std::string_view key) {
    while (next_ < sorted_.size() && sorted_[next_].key == key) ++next_;
    for (std::size_t i = 0; i < walk_count_; ++i) {
      Walk& w = walks_[i];
      if (w.at != nullptr && w.at->key() == key) w.at = within(w.agent->above(key), w.to);
    }
  }

 private:
  struct Walk {
    const ListKeys::Agent* agent = nullptr;
    const KeyMap::Entry* at = nullptr;
    std::string_view to;
  };
  static const KeyMap::Entry* within(const KeyMap::Entry* entry, std::string_view to) {
    return entry != nullptr && (to.empty() || entry->key() < to) ? entry : nullptr;
  }
  std::vector<Entry> sorted_;
  std::size_t next_ = 0;
  std::array<Walk, 2> walks_;
  std::size_t walk_count_ = 0;
};

Status StateTable::scan_items(std::string_view from, std::string_view to, std::string_view single,
                              const Visit& visit) const {
  InMemory memory;
  memory.walk(dirty_, from, to);
  if (frozen_) memory.walk(frozen_->layer, from, to);
  if (single >= from && (to.empty() || single < to)) {
    const KeyMap::Entry* found = dirty_.map.find(single);
    if (found == nullptr && frozen_) found = frozen_->layer.map.find(single);
    if (found != nullptr) memory.add(found->key(), found->value());
  }
  return merge(from, to, memory, visit);
}

bool follows(std::string_view next, std::string_view at) noexcept {
  if (next.size() != at.size() || at.size() < 8) return false;
  const std::size_t prefix = at.size() - 8;
  return next.substr(0, prefix) == at.substr(0, prefix) &&
         load_be64(next.data() + prefix) - load_be64(at.data() + prefix) == 1;
}

Result<std::optional<std::string>> StateTable::last_item(std::string_view from, std::string_view to,
                                                         std::string_view single) const {
  struct InLayer {
    std::optional<std::string_view> key;
    bool erased = false;
  };
  // The greatest key below `limit` that a memory layer knows, as the newest one has it.
  const auto in_memory = [&](std::string_view limit) {
    InLayer last;
    const auto offer = [&](const Layer& layer) {
      const ListKeys::Agent* agent = layer.lists.agent(from);
      const KeyMap::Entry* below = agent == nullptr ? nullptr : agent->below(limit);
      if (below != nullptr && below->key() >= from && (!last.key || below->key() > *last.key))
        last = {below->key(), !below->value()};
      if (single < from || (!limit.empty() && single >= limit) || (last.key && single <= *last.key)) return;
      if (const KeyMap::Entry* found = layer.map.find(single)) last = {found->key(), !found->value()};
    };
    offer(dirty_);
    if (frozen_) offer(frozen_->layer);
    return last;
  };
  std::string limit(to);
  while (true) {
    const InLayer last = in_memory(limit);
    if (!last.key || !follows(limit, *last.key)) {
      const std::string_view above = last.key ? *last.key : from;
      AFDG_ASSIGN(auto stored, store_.last_key(prefix_ + std::string(above),
                                               limit.empty() ? prefix_end(prefix_) : prefix_ + limit));
      if (stored && stored->size() > prefix_.size()) {
        stored->erase(0, prefix_.size());
        if (!last.key || *stored > *last.key) return stored;
      }
    }
    if (!last.key) return std::optional<std::string>();
    if (!last.erased) return std::optional(std::string(*last.key));
    limit.assign(*last.key);
  }
}

Status StateTable::scan_all(std::string_view from, std::string_view to, const Visit& visit) const {
  InMemory memory;
  const auto collect = [&](const Layer& layer) {
    layer.map.for_each([&](const KeyMap::Entry& entry) {
      const std::string_view key = entry.key();
      if (key >= from && (to.empty() || key < to)) memory.add(key, entry.value());
    });
  };
  collect(dirty_);
  if (frozen_) collect(frozen_->layer);
  memory.sort();
  return merge(from, to, memory, visit);
}

Status StateTable::merge(std::string_view from, std::string_view to, InMemory& memory,
                         const Visit& visit) const {
  bool go_on = true;
  std::optional<InMemory::Entry> next = memory.peek();
  const auto take = [&] {
    const InMemory::Entry entry = *next;
    memory.pop(entry.key);
    next = memory.peek();
    if (entry.value) go_on = visit(entry.key, *entry.value);
  };
  const std::string store_from = prefix_ + std::string(from);
  const std::string store_to = to.empty() ? prefix_end(prefix_) : prefix_ + std::string(to);
  AFDG_TRY(store_.scan(store_from, store_to, [&](std::string_view stored_key, std::string_view value) {
    const std::string_view key = stored_key.substr(prefix_.size());
    if (key.empty()) return true;  // the mark
    while (go_on && next && next->key < key) take();
    if (!go_on) return false;
    if (next && next->key == key) {
      take();
    } else {
      go_on = visit(key, value);
    }
    return go_on;
  }));
  while (go_on && next) take();
  return {};
}

void StateTable::freeze() {
  frozen_ = std::make_shared<Frozen>();
  // The set's views point into the map's nodes, which a move keeps.
  frozen_->layer = std::move(dirty_);
  dirty_ = Layer();
  frozen_bytes_ = dirty_bytes_;
  dirty_bytes_ = 0;
}

Status StateTable::write(std::vector<Part> parts, store::KeyValueStore& store) {
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.prefix < b.prefix; });
  std::size_t count = 0, bytes = 0, largest = 0;
  std::vector<std::string> marks;
  for (const Part& part : parts) {
    count += part.frozen->layer.map.size() + 1;
    largest = std::max(largest, part.frozen->layer.map.size());
    bytes += part.prefix.size();
    part.frozen->layer.map.for_each(
        [&](const KeyMap::Entry& entry) { bytes += part.prefix.size() + entry.key().size(); });
    marks.push_back(encode_mark(part.mark));
  }
  std::string keys;
  keys.reserve(bytes);  // views point into it
  std::vector<store::Change> changes;
  changes.reserve(count);
  std::vector<const KeyMap::Entry*> sorted;
  sorted.reserve(largest);
  const auto add = [&](std::string_view prefix, std::string_view key, std::optional<std::string_view> value) {
    const std::size_t at = keys.size();
    keys.append(prefix).append(key);
    changes.push_back({std::string_view(keys).substr(at), value});
  };
  for (std::size_t i = 0; i < parts.size(); ++i) {
    sorted.clear();
    parts[i].frozen->layer.map.for_each([&](const KeyMap::Entry& entry) { sorted.push_back(&entry); });
    std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key() < b->key(); });
    add(parts[i].prefix, {}, marks[i]);
    for (const auto* entry : sorted) add(parts[i].prefix, entry->key(), entry->value());
  }
  return store.apply(changes);
}

void StateTable::thaw(bool written) {
  if (!written) {
    // Newer entries win; the rest joins them again.
    frozen_->layer.map.for_each([&](const KeyMap::Entry& entry) {
      if (dirty_.map.find(entry.key()) == nullptr) put_layer(entry.key(), entry.value());
    });
    dirty_bytes_ += frozen_bytes_;
  }
  frozen_.reset();
  frozen_bytes_ = 0;
}

Result<std::optional<StoreMark>> StateTable::store_mark() const {
  AFDG_ASSIGN(auto stored, store_.get(prefix_));
  if (!stored) return std::optional<StoreMark>();
  ByteReader reader(*stored);
  const std::uint8_t version = reader.u8();
  if (version > kMarkVersion) {
    return fail(Code::kNewerFormat, "the store's mark has version " + std::to_string(version) +
                                        ", this version reads " + std::to_string(kMarkVersion) +
                                        ": start a newer version");
  }
  StoreMark mark;
  mark.changes = Offset(static_cast<std::int64_t>(reader.varint()));
  mark.epoch = Epoch(static_cast<std::int32_t>(reader.varint()));
  if (!reader.finished())
    return fail(Code::kCorrupt, "the store's mark of a region is damaged: it is rebuilt from the log");
  return std::optional(mark);
}

Status StateTable::clear() {
  dirty_ = Layer();
  frozen_.reset();
  dirty_bytes_ = frozen_bytes_ = 0;
  return store_.remove_range(prefix_, prefix_end(prefix_));
}

}  // namespace afdg::region
