#include "agents/testing/fake_state.h"

#include <limits>

namespace afdg::agents::testing {
namespace {
constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
}

FakeState::Items FakeState::merged() const {
  Items items = committed_;
  for (const auto& [key, value] : staged_) {
    if (value) {
      items[key] = *value;
    } else {
      items.erase(key);
    }
  }
  return items;
}

Result<std::optional<std::string>> FakeState::get(const ItemId& item) const {
  AFDG_TRY(read());
  const Key key(item.entity, item.key, item.sequence);
  if (const auto at = staged_.find(key); at != staged_.end()) return at->second;
  const auto at = committed_.find(key);
  return at == committed_.end() ? std::optional<std::string>() : at->second;
}

Status FakeState::items(std::string_view entity, std::string_view key, std::int64_t from_sequence,
                        const VisitItem& visit) const {
  AFDG_TRY(read());
  const Items all = merged();
  for (auto at = all.lower_bound(Key(entity, key, from_sequence)); at != all.end(); ++at) {
    const auto& [its_entity, its_key, sequence] = at->first;
    if (its_entity != entity || its_key != key) break;
    ++reads_;
    if (!visit(sequence, at->second)) break;
  }
  return {};
}

Result<std::optional<AgentState::Bounds>> FakeState::bounds(std::string_view entity, std::string_view key,
                                                            const Seen& seen) const {
  AFDG_TRY(read());
  std::optional<Bounds> found;
  const Items all = merged();
  for (auto at = all.lower_bound(Key(entity, key, kLowest)); at != all.end(); ++at) {
    const auto& [its_entity, its_key, sequence] = at->first;
    if (its_entity != entity || its_key != key) break;
    if (!found) {
      found = Bounds{.first = sequence, .last = sequence};
      seen(sequence, at->second);
    }
    found->last = sequence;
  }
  return found;
}

Status FakeState::keys(std::string_view entity, std::string_view from, const VisitKey& visit) const {
  AFDG_TRY(read());
  const Items all = merged();
  std::optional<std::string> last;
  for (auto at = all.lower_bound(Key(entity, from, kLowest)); at != all.end(); ++at) {
    const auto& [its_entity, its_key, sequence] = at->first;
    if (its_entity != entity) break;
    if (last == its_key) continue;
    last = its_key;
    if (!visit(its_key)) break;
  }
  return {};
}

void FakeState::put(const ItemId& item, std::string_view value) {
  ++writes_;
  staged_[Key(item.entity, item.key, item.sequence)] = std::string(value);
}

void FakeState::erase(const ItemId& item) {
  ++writes_;
  staged_[Key(item.entity, item.key, item.sequence)] = std::nullopt;
}

void FakeState::commit() {
  committed_ = merged();
  staged_.clear();
}

Status FakeTurn::send(std::string_view type, std::string_view key, std::string_view message,
                      std::string_view payload) {
  if (send_error) return *send_error;
  sent.push_back({std::string(type), std::string(key), std::string(message), std::string(payload)});
  return {};
}

Result<std::string> Solo::run(std::string_view message, std::string_view payload) {
  const HandlerInfo* handler = type_.find(message);
  if (handler == nullptr) return fail(Code::kUnknownMessage, type_.name + " has no " + std::string(message));
  if (!agent_) agent_ = type_.create(state_);
  const std::size_t sent = turn_.sent.size();
  std::string answer;
  const Status status = handler->run(*agent_, payload, turn_, answer);
  ++turn_.offset_next;
  if (status.ok()) {
    state_.commit();
    return answer;
  }
  state_.abort();
  turn_.sent.resize(sent);
  agent_.reset();
  return status.error();
}

Result<std::string> Solo::json(std::string_view message, std::string_view json) {
  const HandlerInfo* handler = type_.find(message);
  if (handler == nullptr) return fail(Code::kUnknownMessage, type_.name + " has no " + std::string(message));
  AFDG_ASSIGN(const std::string payload, json_to_bytes(*handler->message_descriptor, json));
  AFDG_ASSIGN(const std::string answer, run(message, payload));
  if (handler->answer_descriptor == nullptr) return std::string();
  return bytes_to_json(*handler->answer_descriptor, answer);
}

}  // namespace afdg::agents::testing
