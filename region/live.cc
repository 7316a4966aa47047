#include "region/internal/live.h"
#include "base/prefetch.h"

#include <algorithm>
#include <iterator>

#include "region/internal/completions.h"
#include "region/state_key.h"

namespace afdg::region {
namespace {

void item_key(std::string& out, std::string_view type, std::string_view agent, const agents::ItemId& item) {
  out.clear();
  put_list_prefix(out, type, agent, item.entity, item.key);
  put_sequence(out, item.sequence);
}

}  // namespace

RegionCore::Write* LiveState::staged(std::string_view key) const {
  if (!core_.write_index_.empty()) {
    const auto found = core_.write_index_.find(key);
    return found == core_.write_index_.end() ? nullptr : found->second;
  }
  for (std::size_t i = core_.write_count_; i-- > 0;) {
    if (core_.writes_[i].key == key) return &core_.writes_[i];
  }
  return nullptr;
}

Result<std::optional<std::string>> LiveState::get(const agents::ItemId& item) const {
  item_key(core_.scratch_, type_, key_, item);
  if (const RegionCore::Write* write = staged(core_.scratch_)) return write->value;
  return core_.table_.get(core_.scratch_);
}

Status LiveState::scan(std::string_view entity, std::string_view from, std::string_view to,
                       const StateTable::Visit& visit) const {
  if (core_.write_index_.empty()) {
    for (std::size_t i = 0; i < core_.write_count_; ++i)
      core_.write_index_.emplace(core_.writes_[i].key, &core_.writes_[i]);
  }
  const auto& index = core_.write_index_;
  auto next = index.lower_bound(from);
  const auto end = index.lower_bound(to);
  bool go_on = true;
  const auto take = [&] {
    const auto& [key, write] = *next++;
    if (write->value) go_on = visit(key, *write->value);
  };
  std::string single;
  item_key(single, type_, key_, {.entity = entity, .key = {}, .sequence = 0});
  AFDG_TRY(core_.table_.scan_items(from, to, single, [&](std::string_view key, std::string_view value) {
    while (go_on && next != end && next->first < key) take();
    if (!go_on) return false;
    if (next != end && next->first == key) {
      take();
    } else {
      go_on = visit(key, value);
    }
    return go_on;
  }));
  while (go_on && next != end) take();
  return {};
}

Status LiveState::items(std::string_view entity, std::string_view key, std::int64_t from_sequence,
                        const VisitItem& visit) const {
  std::string prefix;
  put_list_prefix(prefix, type_, key_, entity, key);
  std::string from = prefix;
  put_sequence(from, from_sequence);
  return scan(entity, from, prefix_end(prefix), [&](std::string_view at, std::string_view value) {
    return visit(get_sequence(at.data() + at.size() - 8), value);
  });
}

Result<std::optional<agents::AgentState::Bounds>> LiveState::bounds(std::string_view entity,
                                                                    std::string_view key,
                                                                    const Seen& seen) const {
  constexpr int kShort = 4;  // items of a list that is read whole
  std::string prefix;
  put_list_prefix(prefix, type_, key_, entity, key);
  std::string limit = prefix_end(prefix);
  std::optional<Bounds> found;
  int left = kShort;
  AFDG_TRY(scan(entity, prefix, limit, [&](std::string_view at, std::string_view value) {
    if (left-- == 0) return false;
    const std::int64_t sequence = get_sequence(at.data() + at.size() - 8);
    if (!found) found = Bounds{sequence, sequence};
    found->last = sequence;
    seen(sequence, value);
    return true;
  }));
  if (left >= 0) return found;
  const std::string from = prefix;
  std::string single;
  item_key(single, type_, key_, {.entity = entity, .key = {}, .sequence = 0});
  // scan() has indexed the turn's writes, if there are any.
  const auto& index = core_.write_index_;
  std::optional<std::string> stored;
  bool asked = false;
  while (true) {
    const auto end = index.lower_bound(limit);
    const auto write = end != index.begin() && std::prev(end)->first >= from ? std::prev(end) : index.end();
    const bool next_to = write != index.end() && follows(limit, write->first);
    if (!next_to && (!asked || (stored && *stored >= limit))) {
      AFDG_ASSIGN(stored, core_.table_.last_item(from, limit, single));
      asked = true;
    }
    if (!next_to && stored && (write == index.end() || *stored > write->first))
      return std::optional(Bounds{found->first, get_sequence(stored->data() + stored->size() - 8)});
    if (write == index.end()) return fail(Code::kCorrupt, "a list has a first item and no last");
    if (write->second->value) {
      const std::string_view last = write->first;
      return std::optional(Bounds{found->first, get_sequence(last.data() + last.size() - 8)});
    }
    limit.assign(write->first);
  }
}

Status LiveState::keys(std::string_view entity, std::string_view from, const VisitKey& visit) const {
  constexpr int kItemsPassed = 8;  // then the rest of a list is jumped over
  std::string prefix;
  put_entity_prefix(prefix, type_, key_, entity);
  const std::string end = prefix_end(prefix);
  std::string at = prefix;
  // Only the first bytes: the terminator would sort `from` above longer keys that begin with it.
  std::string lower;
  put_ordered(lower, from);
  at.append(lower, 0, lower.size() - 2);
  std::string last;
  bool any = false;
  for (bool jump = true; jump;) {
    jump = false;
    int passed = 0;
    AFDG_TRY(scan(entity, at, end, [&](std::string_view key, std::string_view) {
      std::string_view rest = key.substr(prefix.size());
      auto entity_key = take_ordered(rest);
      if (!entity_key || *entity_key < from) return true;
      if (any && *entity_key == last) {
        jump = ++passed > kItemsPassed;
        return !jump;
      }
      any = true;
      passed = 0;
      last = std::move(*entity_key);
      return visit(last);
    }));
    if (jump) {
      at = prefix;
      put_ordered(at, last);
      at = prefix_end(at);
    }
  }
  return {};
}

RegionCore::Write* LiveState::stage(const agents::ItemId& item) {
  constexpr std::size_t kSearched = 16;  // writes that are found by looking at each
  if (core_.write_bytes_ > core_.options_.turn_bytes_max) return nullptr;  // the turn fails at its end
  item_key(core_.scratch_, type_, key_, item);
  if (RegionCore::Write* write = staged(core_.scratch_)) return write;
  if (core_.write_count_ == core_.writes_.size()) core_.writes_.emplace_back();
  RegionCore::Write& write = core_.writes_[core_.write_count_++];
  write.key.assign(core_.scratch_);
  core_.write_bytes_ += write.key.size() + 16;
  if (!core_.write_index_.empty()) {
    core_.write_index_.emplace(write.key, &write);
  } else if (core_.write_count_ > kSearched) {
    for (std::size_t i = 0; i < core_.write_count_; ++i)
      core_.write_index_.emplace(core_.writes_[i].key, &core_.writes_[i]);
  }
  return &write;
}

void LiveState::put(const agents::ItemId& item, std::string_view value) {
  RegionCore::Write* write = stage(item);
  if (write == nullptr) return;
  core_.write_bytes_ += value.size();
  if (write->value) {
    write->value->assign(value);
  } else {
    write->value.emplace(value);
  }
}

void LiveState::erase(const agents::ItemId& item) {
  if (RegionCore::Write* write = stage(item)) write->value.reset();
}

const agents::AgentType* RegionCore::find_type(std::string_view name) const {
  if (last_type_ == nullptr || last_type_->name != name) {
    const agents::AgentType* found = types_.find(name);
    if (found == nullptr) return nullptr;
    const auto& hosted = options_.types;
    if (!hosted.empty() && std::find(hosted.begin(), hosted.end(), name) == hosted.end()) return nullptr;
    last_type_ = found;
  }
  return last_type_;
}

std::uint64_t RegionCore::live_hash(const agents::AgentType& type, std::uint64_t key_hash) {
  return key_hash ^ (reinterpret_cast<std::uintptr_t>(&type) * 0x9e3779b97f4a7c15ULL);
}

void RegionCore::prefetch(Inbound& m, int step) const {
  constexpr std::size_t kLine = 64;
  const auto bring = [](const void* memory, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += kLine) prefetch_memory(static_cast<const char*>(memory) + at);
  };
  if (step == 0) {
    const agents::AgentType* type = find_type(m.type);
    m.key_hash = type == nullptr ? 0 : live_hash(*type, hash64(m.key));
    return live_.prefetch(m.key_hash);
  }
  const Live* agent = live_.guess(m.key_hash);
  if (agent == nullptr) return;
  switch (step) {
    case 1:
      return bring(agent, sizeof(Live));
    case 2:
      bring(agent->agent.get(), 4 * kLine);
      return table_.prefetch(agent->written, 0);
    case 3:
      agent->agent->prefetch(0);
      return table_.prefetch(agent->written, 1);
    default:
      return agent->agent->prefetch(1);
  }
}

RegionCore::Live& RegionCore::live(const agents::AgentType& type, std::string_view key) {
  const std::uint64_t hash = live_hash(type, hash64(key));
  Live* found = live_.find(hash, [&](const Live& at) {
    return at.state.key() == key && at.state.type().data() == type.name.data();
  });
  if (found != nullptr) return *found;
  auto made = std::make_unique<Live>(*this, type, key);
  Live& agent = *made;
  agent.hash = hash;
  agent.at = clock_order_.size();
  clock_order_.push_back(&agent);
  agent.memory = agent.agent->memory_bytes() + agent.overhead();
  live_bytes_ += agent.memory;
  live_.insert(hash, made.release());
  return agent;
}

void RegionCore::drop_live(Live& agent) {
  live_bytes_ -= agent.memory;
  clock_order_[agent.at] = clock_order_.back();
  clock_order_[agent.at]->at = agent.at;
  clock_order_.pop_back();
  live_.erase(agent.hash, &agent);
  delete &agent;
}

void RegionCore::evict() {
  // Second chance: an agent used since the hand passed last stays for another round.
  while (live_bytes_ > options_.live_bytes_max && clock_order_.size() > 1) {
    if (clock_hand_ >= clock_order_.size()) clock_hand_ = 0;
    Live& agent = *clock_order_[clock_hand_];
    if (std::exchange(agent.used, false)) {
      ++clock_hand_;
    } else {
      drop_live(agent);
    }
  }
}

}  // namespace afdg::region
