#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <type_traits>

#include "agents/agent_base.h"
#include "agents/agent_type.h"
#include "agents/entity.h"
#include "agents/handler.h"
#include "agents/turn.h"
#include "agents/value.h"
#include "proto/protocol.h"

namespace afdg {

/// Base of an author's agent: `class AirportAgent : public Agent<Airport>`, with one public handler `on` for
/// each operation of the protocol, and Value and Entity members for what is stored. An agent is made at its
/// first message and dropped when idle or after a failed turn: its plain members are a cache. Thread-safety:
/// confined; one message at a time.
template <typename P>
class Agent : public agents::AgentBase {
 public:
  using Contract = P;
};

namespace agents {

/// Ends the program when the slots of an agent cannot be stored as declared: a programming error, found at
/// registration.
[[nodiscard]] std::map<std::string, const google::protobuf::Descriptor*> describe_slots(
    const AgentBase& agent);

template <typename A, typename... Operations>
void describe_handlers(AgentType& type, std::type_identity<std::tuple<Operations...>>) {
  const auto add = [&type]<typename Operation>(std::type_identity<Operation>) {
    HandlerInfo info;
    info.message = Operation::Message::descriptor()->name();
    info.kind = Operation::kind;
    info.message_descriptor = Operation::Message::descriptor();
    if constexpr (!std::is_void_v<typename Operation::Answer>)
      info.answer_descriptor = Operation::Answer::descriptor();
    info.run = &Handler<A, Operation>::run;
    type.handlers.push_back(std::move(info));
  };
  (add(std::type_identity<Operations>{}), ...);
}

/// What region/ needs to run agents of class A. Does not compile when A lacks a handler of its protocol.
template <typename A>
[[nodiscard]] AgentType describe() {
  static_assert(std::is_base_of_v<Agent<typename A::Contract>, A>,
                "an agent derives publicly from afdg::Agent<Protocol>");
  static_assert(std::is_default_constructible_v<A>,
                "an agent is made by the grid, so it needs a public default constructor");
  AgentType type;
  type.name = std::string(A::Contract::type);
  describe_handlers<A>(type, std::type_identity<typename A::Contract::OperationList>{});
  type.entities = describe_slots(A());
  type.create = [](AgentState& state) -> std::unique_ptr<AgentBase> {
    auto agent = std::make_unique<A>();
    agent->bind(state, sizeof(A));
    return agent;
  };
  return type;
}

}  // namespace agents
}  // namespace afdg
