#include "region/internal/live.h"

#include <algorithm>

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

Result<std::optional<std::string>> LiveState::get(const agents::ItemId& item) const {
  item_key(core_.scratch_, type_, key_, item);
  for (std::size_t i = core_.write_count_; i-- > 0;) {
    if (core_.writes_[i].key == core_.scratch_) return core_.writes_[i].value;
  }
  return core_.table_.get(core_.scratch_);
}

Status LiveState::scan(std::string_view from, std::string_view to, const StateTable::Visit& visit) const {
  std::map<std::string_view, const std::optional<std::string>*> staged;
  for (std::size_t i = 0; i < core_.write_count_; ++i) {
    const auto& write = core_.writes_[i];
    if (write.key >= from && write.key < to) staged.insert_or_assign(write.key, &write.value);
  }
  auto next = staged.begin();
  bool go_on = true;
  const auto staged_below = [&](std::optional<std::string_view> bound) {
    for (; go_on && next != staged.end() && (!bound || next->first < *bound); ++next) {
      if (next->second->has_value()) go_on = visit(next->first, **next->second);
    }
  };
  AFDG_TRY(core_.table_.scan(from, to, true, [&](std::string_view key, std::string_view value) {
    staged_below(key);
    if (!go_on) return false;
    if (next != staged.end() && next->first == key) {
      const auto& overlaid = *(next++)->second;
      if (overlaid.has_value()) go_on = visit(key, *overlaid);
    } else {
      go_on = visit(key, value);
    }
    return go_on;
  }));
  staged_below(std::nullopt);
  return {};
}

Status LiveState::items(std::string_view entity, std::string_view key, std::int64_t from_sequence,
                        const VisitItem& visit) const {
  std::string prefix;
  put_list_prefix(prefix, type_, key_, entity, key);
  std::string from = prefix;
  put_sequence(from, from_sequence);
  return scan(from, prefix_end(prefix), [&](std::string_view at, std::string_view value) {
    return visit(get_sequence(at.data() + at.size() - 8), value);
  });
}

Result<std::optional<agents::AgentState::Bounds>> LiveState::bounds(std::string_view entity,
                                                                    std::string_view key) const {
  std::optional<Bounds> found;
  AFDG_TRY(items(entity, key, INT64_MIN, [&](std::int64_t sequence, std::string_view) {
    if (!found) found = Bounds{sequence, sequence};
    found->last = sequence;
    return true;
  }));
  return found;
}

Status LiveState::keys(std::string_view entity, std::string_view from, const VisitKey& visit) const {
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
  return scan(at, end, [&](std::string_view key, std::string_view) {
    std::string_view rest = key.substr(prefix.size());
    auto entity_key = take_ordered(rest);
    if (!entity_key || *entity_key < from || (any && *entity_key == last)) return true;
    any = true;
    last = *entity_key;
    return visit(last);
  });
}

RegionCore::Write& LiveState::stage(const agents::ItemId& item) {
  item_key(core_.scratch_, type_, key_, item);
  for (std::size_t i = core_.write_count_; i-- > 0;) {
    if (core_.writes_[i].key == core_.scratch_) return core_.writes_[i];
  }
  if (core_.write_count_ == core_.writes_.size()) core_.writes_.emplace_back();
  RegionCore::Write& write = core_.writes_[core_.write_count_++];
  write.key.assign(core_.scratch_);
  core_.write_bytes_ += write.key.size() + 16;
  return write;
}

void LiveState::put(const agents::ItemId& item, std::string_view value) {
  RegionCore::Write& write = stage(item);
  core_.write_bytes_ += value.size();
  if (write.value) {
    write.value->assign(value);
  } else {
    write.value.emplace(value);
  }
}

void LiveState::erase(const agents::ItemId& item) { stage(item).value.reset(); }

RegionCore::Live& RegionCore::live(const agents::AgentType& type, std::string_view key) {
  live_key_.assign(type.name).push_back('\0');
  live_key_.append(key);
  if (const auto found = live_.find(std::string_view(live_key_)); found != live_.end()) return *found->second;
  auto made = std::make_unique<Live>(*this, type, key);
  Live& agent = *made;
  agent.at = clock_order_.size();
  clock_order_.push_back(&agent);
  agent.memory = agent.agent->memory_bytes() + agent.overhead();
  live_bytes_ += agent.memory;
  live_.emplace(live_key_, std::move(made));
  return agent;
}

void RegionCore::drop_live(Live& agent) {
  live_bytes_ -= agent.memory;
  clock_order_[agent.at] = clock_order_.back();
  clock_order_[agent.at]->at = agent.at;
  clock_order_.pop_back();
  live_key_.assign(agent.state.type()).push_back('\0');
  live_key_.append(agent.state.key());
  live_.erase(live_.find(std::string_view(live_key_)));
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

Result<std::vector<std::string>> RegionCore::list_agents(std::string_view type, std::string_view prefix,
                                                         std::string_view after, std::size_t limit) const {
  std::string type_prefix(1, static_cast<char>(KeyKind::kItem));
  put_ordered(type_prefix, type);
  std::string from = type_prefix, lower;
  put_ordered(lower, std::max(prefix, after));
  from.append(lower, 0, lower.size() - 2);
  std::vector<std::string> keys;
  AFDG_TRY(table_.scan(from, prefix_end(type_prefix), false, [&](std::string_view key, std::string_view) {
    key.remove_prefix(type_prefix.size());
    auto agent = take_ordered(key);
    if (!agent) return true;
    if (!agent->starts_with(prefix)) return *agent < prefix;
    if (*agent <= after || (!keys.empty() && keys.back() == *agent)) return true;
    if (keys.size() >= limit) return false;
    keys.push_back(std::move(*agent));
    return true;
  }));
  return keys;
}

Result<std::vector<ShownItem>> RegionCore::show_agent(std::string_view type, std::string_view key,
                                                      std::size_t limit) const {
  std::string prefix;
  put_agent_prefix(prefix, type, key);
  std::vector<ShownItem> items;
  AFDG_TRY(table_.scan(prefix, prefix_end(prefix), false, [&](std::string_view at, std::string_view value) {
    auto parsed = parse_item_key(at);
    if (!parsed) return true;
    if (items.size() >= limit) return false;
    items.push_back(
        {std::move(parsed->entity), std::move(parsed->key), parsed->sequence, std::string(value)});
    return true;
  }));
  if (items.empty()) {
    return fail(Code::kNotFound, "agent " + std::string(type) + "/" + std::string(key.substr(0, 200)) +
                                     " has no state: send it a message first");
  }
  return items;
}

RegionInfo RegionCore::info() const {
  RegionInfo info;
  info.messages_start = log_->start(log::Stream::kMessages);
  info.applied = applied_;
  info.messages_end = log_->committed_end(log::Stream::kMessages);
  info.changes_end = log_->committed_end(log::Stream::kChanges);
  info.dead_end = log_->committed_end(log::Stream::kDead);
  info.checkpointed = checkpointed_;
  info.live_agents = live_.size();
  for (const auto& [target, outbox] : outbox_) info.outbox += outbox.entries.size();
  info.memory_bytes =
      live_bytes_ + table_.dirty_bytes() + table_.frozen_bytes() + queue_bytes_ + outbox_bytes_;
  info.turns = turns_total_;
  info.reads = reads_total_;
  info.replayed = replayed_;
  info.sessions = sessions_.size();
  info.recovering = unread_ < recovered_end_ || (!queue_.empty() && recovered_end_ > applied_);
  info.fault = failed_;
  return info;
}

}  // namespace afdg::region
