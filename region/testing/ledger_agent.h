#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "afdg/v1/entity.pb.h"
#include "agents/agent.h"
#include "region/message.h"

// An agent that does a little of everything, and the trivial model of it that a region is compared with.
namespace afdg::region::testing {

using Ledger = Protocol<"ledger", Ask<v1::entity::Increment, v1::entity::IncrementAnswer>,
                        Tell<v1::entity::Range>, Read<v1::entity::Get, v1::entity::GetAnswer>>;

inline constexpr std::int64_t kRefused = 13;  ///< an increment by it fails after it wrote
inline constexpr std::int64_t kThrows = 14;

/// Adds up, keeps the last three amounts a key, and sends a numbered message to agent X for a key ">X".
class LedgerAgent : public Agent<Ledger> {
  Value<std::int64_t> total_{*this, "total"};
  Entity<std::int64_t> last_{*this, "last", {.items_max = 3}};
  Entity<std::int64_t> sent_{*this, "sent", {.items_max = 1}};
  Entity<std::int64_t> got_{*this, "got"};
  int failing_ = 0;  ///< of the turn under way: a later turn must not see it

 public:
  Result<v1::entity::IncrementAnswer> on(const v1::entity::Increment& m, Turn& turn) {
    if (failing_ != 0) return fail(Code::kApplication, "a failed turn left its trace in a member");
    total_.edit() += m.by();
    last_[m.key()].append(m.by());
    if (m.key().starts_with('>')) {
      const std::string target = m.key().substr(1);
      const std::int64_t number = sent_[target].empty() ? 1 : sent_[target].back() + 1;
      sent_[target].append(number);
      v1::entity::Range range;
      range.set_key(std::string(turn.key()));
      range.set_from(static_cast<std::uint64_t>(number));
      AFDG_TRY(turn.send<Ledger>(target, range));
    }
    if (m.by() == kRefused || m.by() == kThrows) failing_ = 1;
    if (m.by() == kRefused) return fail(Code::kApplication, "thirteen");
    if (m.by() == kThrows) throw std::runtime_error("fourteen");
    v1::entity::IncrementAnswer answer;
    answer.set_value(*total_);
    return answer;
  }
  Status on(const v1::entity::Range& m, Turn&) {
    got_[m.key()].append(static_cast<std::int64_t>(m.from()));
    return {};
  }
  Result<v1::entity::GetAnswer> on(const v1::entity::Get&, const ReadTurn&) const {
    std::string text = std::to_string(*total_);
    const auto list = [&](const char* name, const Entity<std::int64_t>& entity) {
      for (const std::string& key : entity.keys()) {
        text.append("; ").append(name).append(" ").append(key).append(":");
        for (const std::int64_t item : entity[key]) text.append(" ").append(std::to_string(item));
      }
    };
    list("last", last_);
    list("sent", sent_);
    list("got", got_);
    v1::entity::GetAnswer answer;
    answer.set_bytes(text);
    return answer;
  }
};

/// What all ledgers of a grid hold, by folding messages.
struct LedgerModel {
  struct Ledger {
    std::int64_t total = 0;
    std::map<std::string, std::deque<std::int64_t>> last, sent, got;
  };
  struct Outcome {
    bool ok = true;
    std::string answer;  ///< serialised
  };
  std::map<std::string, Ledger> agents;

  Outcome apply(const MessageView& message) {
    const std::string agent(message.key);
    if (message.message == "Range") {
      v1::entity::Range range;
      range.ParseFromArray(message.payload.data(), static_cast<int>(message.payload.size()));
      agents[agent].got[range.key()].push_back(static_cast<std::int64_t>(range.from()));
      return {};
    }
    v1::entity::Increment m;
    m.ParseFromArray(message.payload.data(), static_cast<int>(message.payload.size()));
    if (m.by() == kRefused || m.by() == kThrows) return {false, {}};
    Ledger& ledger = agents[agent];
    ledger.total += m.by();
    auto& last = ledger.last[m.key()];
    last.push_back(m.by());
    if (last.size() > 3) last.pop_front();
    if (m.key().starts_with('>')) {
      auto& sent = ledger.sent[m.key().substr(1)];
      sent = {sent.empty() ? 1 : sent.back() + 1};
    }
    v1::entity::IncrementAnswer answer;
    answer.set_value(ledger.total);
    return {true, answer.SerializeAsString()};
  }
  /// What a Get of the agent answers.
  [[nodiscard]] std::string show(const std::string& agent) const {
    const auto at = agents.find(agent);
    const Ledger ledger = at == agents.end() ? Ledger() : at->second;
    std::string text = std::to_string(ledger.total);
    const auto list = [&](const char* name, const std::map<std::string, std::deque<std::int64_t>>& lists) {
      for (const auto& [key, items] : lists) {
        text.append("; ").append(name).append(" ").append(key).append(":");
        for (const std::int64_t item : items) text.append(" ").append(std::to_string(item));
      }
    };
    list("last", ledger.last);
    list("sent", ledger.sent);
    list("got", ledger.got);
    return text;
  }
};

/// A Get's answer, as LedgerModel::show gives it.
inline std::string shown(std::string_view answer) {
  v1::entity::GetAnswer get;
  return get.ParseFromArray(answer.data(), static_cast<int>(answer.size())) ? get.bytes() : "undecodable";
}

inline const agents::AgentTypes& ledger_types() {
  static const agents::AgentTypes& types = *[] {
    auto* made = new agents::AgentTypes();
    made->add(agents::describe<LedgerAgent>()).ignore("the only one");
    return made;
  }();
  return types;
}

}  // namespace afdg::region::testing
