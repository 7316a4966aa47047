#pragma once

#include <concepts>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>

#include "agents/agent_type.h"
#include "agents/turn.h"

// How a typed handler `on` becomes a function that region/ can call, and what is said when there is none.
namespace afdg::agents {

/// The type of agent A's `on` for an operation of its protocol: a writing one, or a read-only one, which is
/// const.
template <typename A, typename Operation>
concept handles_message = (Operation::kind == OperationKind::kRead &&
                           requires(const A& agent, const typename Operation::Message& message,
                                    const ReadTurn& turn) { agent.on(message, turn); }) ||
                          (Operation::kind != OperationKind::kRead &&
                           requires(A & agent, const typename Operation::Message& message, Turn& turn) {
                             agent.on(message, turn);
                           });

template <typename Operation>
struct HandlerResult {
  using type = Result<typename Operation::Answer>;
};
template <typename M>
struct HandlerResult<Tell<M>> {
  using type = Status;
};

/// Agent A has a handler of exactly the right type for the operation.
template <typename A, typename Operation>
concept has_handler = (Operation::kind == OperationKind::kRead &&
                       requires(const A& agent, const typename Operation::Message& message,
                                const ReadTurn& turn) {
                         { agent.on(message, turn) } -> std::same_as<typename HandlerResult<Operation>::type>;
                       }) ||
                      (Operation::kind != OperationKind::kRead &&
                       requires(A & agent, const typename Operation::Message& message, Turn& turn) {
                         { agent.on(message, turn) } -> std::same_as<typename HandlerResult<Operation>::type>;
                       });

/// The error of a run, made outside the templates. What a handler may not say in the grid's name becomes
/// kApplication.
[[nodiscard]] Error undecodable(const google::protobuf::Descriptor& message, std::string_view payload);
[[nodiscard]] Error handler_error(const Error& error);
[[nodiscard]] Error handler_threw(const AgentBase& agent, std::string_view message, const char* what);

/// The checks and the run function of one operation of one agent type. An agent without the handler does not
/// compile; the compiler's "In instantiation of Handler<Agent, Ask<Message, Answer>>" names what is missing.
template <typename A, typename Operation>
struct Handler {
  using M = typename Operation::Message;
  static constexpr OperationKind kKind = Operation::kind;
  static constexpr bool kReads = kKind == OperationKind::kRead;
  static_assert(Message<M>, "a protocol's messages are Protocol Buffers messages");
  static_assert(kKind != OperationKind::kAsk || handles_message<A, Operation>,
                "MISSING HANDLER: the agent's protocol has Ask<M, A>, so it needs a public `Result<A> "
                "on(const M&, Turn&)`");
  static_assert(
      kKind != OperationKind::kTell || handles_message<A, Operation>,
      "MISSING HANDLER: the agent's protocol has Tell<M>, so it needs a public `Status on(const M&, Turn&)`");
  static_assert(!kReads || handles_message<A, Operation>,
                "MISSING HANDLER: the agent's protocol has Read<M, A>, so it needs a public "
                "`Result<A> on(const M&, const ReadTurn&) const`, const included");
  static_assert(!handles_message<A, Operation> || has_handler<A, Operation>,
                "WRONG ANSWER: the handler `on` of this message must return Result<A>, with the A of Ask<M, "
                "A> or Read<M, A>, "
                "or Status when it is Tell<M>");

  static Status run(AgentBase& base, std::string_view payload, TurnPort& port, std::string& answer) {
    thread_local M message;  // reused: parsing into a new message costs more than twice as much
    if (payload.size() > kPayloadBytesMax ||
        !message.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      message.Clear();
      return undecodable(*M::descriptor(), payload);
    }
    const std::size_t answer_start = answer.size();
    base.begin_turn(port, !kReads);
    Status status = call(static_cast<A&>(base), message, port, answer);
    if (Status sticky = base.end_turn(status.ok()); !sticky.ok()) status = std::move(sticky);
    if (!status.ok()) answer.resize(answer_start);
    if (payload.size() > kReusedBytesMax) M().Swap(&message);
    return status;
  }

 private:
  static constexpr std::size_t kPayloadBytesMax = std::size_t{1} << 30;  // far above a grid's limit
  static constexpr std::size_t kReusedBytesMax = std::size_t{64} << 10;

  static Status call(A& agent, const M& message, TurnPort& port, std::string& answer) {
    if constexpr (has_handler<A, Operation>) {
      try {
        if constexpr (kReads) {
          const ReadTurn turn(agent, port);
          return finish(static_cast<const A&>(agent).on(message, turn), answer);
        } else {
          Turn turn(agent, port);
          return finish(agent.on(message, turn), answer);
        }
      } catch (const std::exception& thrown) {
        return handler_threw(agent, M::descriptor()->name(), thrown.what());
      } catch (...) {
        return handler_threw(agent, M::descriptor()->name(), "something that is not a std::exception");
      }
    } else {
      return fail(Code::kInternal);  // a static_assert above has failed
    }
  }
  template <typename R>
  static Status finish(const Result<R>& result, std::string& answer) {
    if (!result.ok()) [[unlikely]]
      return handler_error(result.error());
    append_serialised(*result, answer);
    return {};
  }
  static Status finish(const Status& status, std::string&) {
    if (!status.ok()) [[unlikely]]
      return handler_error(status.error());
    return {};
  }
};

}  // namespace afdg::agents
