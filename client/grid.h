#pragma once

#include <chrono>
#include <concepts>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.h"
#include "client/options.h"
#include "proto/protocol.h"

namespace afdg::client {

namespace internal {
class Session;
struct GridState;

template <typename M>
std::string short_name_of() {
  const std::string full = M().GetTypeName();
  return full.substr(full.rfind('.') + 1);
}
/// The message's short name, which the wire carries.
template <typename M>
const std::string& short_name() {
  static const std::string name = short_name_of<M>();
  return name;
}
template <typename A>
Result<A> parse_answer(Result<Reply> reply) {
  if (!reply) return reply.error();
  A answer;
  if (!answer.ParseFromString(reply->payload)) {
    return fail(Code::kUndecodable, "the answer is not a " + short_name<A>() +
                                        ": the server's contract of this agent type is another one");
  }
  return answer;
}
}  // namespace internal

/// What became of one target of a fan-out.
template <typename A>
struct FanoutOutcome {
  std::string key;
  Result<A> result;
  std::uint32_t region = 0;
  std::int64_t offset = -1;
  bool repeated = false;
};
/// All agents of the type that the grid's regions know when the fan-out begins.
struct AllAgents {};
inline AllAgents all() { return {}; }
/// Where a fan-out gets its targets: the next keys, `most` at most; none when there are no more.
using KeySource = std::function<Result<std::vector<std::string>>(std::size_t most)>;

template <typename P>
class AgentRef;

/// A named set of regions and the agents in them.
/// Thread-safety: safe. Ownership: keeps the client's connection.
/// Errors of every call: those of the agent and the region; kOverloaded when the client is full; at the
/// deadline kUnavailable (nobody to send to) or kDeadlineExceeded when nothing was sent, kInDoubt when it may
/// have happened. Calls that a broken stream or a moved region interrupts are sent again with the same
/// identity, so that they take effect once.
class Grid {
 public:
  [[nodiscard]] const std::string& name() const;

  /// A typed reference; no call is made. P is the contract that the agent implements (proto/protocol.h).
  template <typename P>
  [[nodiscard]] AgentRef<P> agent(std::string key) const {
    return AgentRef<P>(*this, std::move(key));
  }

  /// By names, in Protocol Buffers or JSON. Blocks until the answer or the deadline; not inside a callback.
  Result<Reply> request(const Target& to, const Message& message, const CallOptions& options = {}) const;
  /// Blocks until the message is durable; nobody waits for its turn.
  Result<SendReceipt> send(const Target& to, const Message& message, const CallOptions& options = {}) const;
  /// The same, without blocking. `done` is called once: on a thread of the client, or before this returns
  /// when the call was refused here. It must neither block nor throw; calls that it begins leave together.
  void request_async(const Target& to, const Message& message, const CallOptions& options,
                     std::function<void(Result<Reply>)> done) const;
  void send_async(const Target& to, const Message& message, const CallOptions& options,
                  std::function<void(Result<SendReceipt>)> done) const;

  /// One message to many agents, at most options.in_flight at a time, each sent straight to the node that
  /// leads its region; each target has its own outcome. Blocks until all have ended. `each` is called on this
  /// thread, for one at a time, as they arrive. Errors: only of the listing (all()) and the arguments; a
  /// target's failure is its outcome. Bounds: 1,000,000 keys; all() has no bound and is listed page by page.
  /// options.stop ends it early: kCancelled. A region whose agents cannot be listed now has one outcome
  /// without a key.
  Status fanout(const std::string& type, const std::vector<std::string>& keys, const Message& message,
                const FanoutOptions& options, const std::function<void(FanoutOutcome<Reply>)>& each) const;
  Status fanout(const std::string& type, AllAgents, const Message& message, const FanoutOptions& options,
                const std::function<void(FanoutOutcome<Reply>)>& each) const;

  /// The same for targets that are asked for when there is room for them: memory does not grow with their
  /// number. `next` is called on this thread. Its error ends the fan-out, once what is under way has ended.
  Status fanout_from(const std::string& type, const KeySource& next, const Message& message,
                     const FanoutOptions& options,
                     const std::function<void(FanoutOutcome<Reply>)>& each) const;

  /// Typed: outcomes in the order in which they arrived.
  template <typename P, typename M, typename Keys>
  auto fanout(const Keys& keys, const M& message, const FanoutOptions& options = {}) const
      -> Result<std::vector<FanoutOutcome<AnswerOf<P, M>>>> {
    std::vector<FanoutOutcome<AnswerOf<P, M>>> outcomes;
    Status status = fanout<P>(keys, message, options,
                              [&](FanoutOutcome<AnswerOf<P, M>> one) { outcomes.push_back(std::move(one)); });
    if (!status) return status.error();
    return outcomes;
  }
  template <typename P, typename M, typename Keys>
  Status fanout(const Keys& keys, const M& message, const FanoutOptions& options,
                const std::function<void(FanoutOutcome<AnswerOf<P, M>>)>& each) const {
    using Answer = AnswerOf<P, M>;
    static_assert(!std::is_void_v<Answer>, "a fan-out needs a message with an answer: send() the others");
    return fanout(std::string(P::type), keys, Message{internal::short_name<M>(), message.SerializeAsString()},
                  options, [&](FanoutOutcome<Reply> one) {
                    const auto [region, offset, repeated] = std::tuple(one.region, one.offset, one.repeated);
                    each({std::move(one.key), internal::parse_answer<Answer>(std::move(one.result)), region,
                          offset, repeated});
                  });
  }

  /// Keys of one type, in order. Blocks. Errors: those of the catalog.
  Result<std::vector<std::string>> list(const std::string& type, const std::string& prefix = {},
                                        std::uint32_t limit = 1000) const;

 private:
  friend class Client;
  Grid(std::shared_ptr<internal::Session> session, internal::GridState* state)
      : session_(std::move(session)), state_(state) {}
  std::shared_ptr<internal::Session> session_;
  internal::GridState* state_;  // nullptr: too many grid names
};

/// One agent, seen through its contract: a message that P does not have does not compile.
/// Thread-safety: safe. Ownership: keeps the client's connection.
template <typename P>
class AgentRef {
 public:
  AgentRef(Grid grid, std::string key) : grid_(std::move(grid)), to_{std::string(P::type), std::move(key)} {}
  [[nodiscard]] const std::string& key() const { return to_.key; }

  /// Blocks until the answer is durable, or the deadline. Not inside a callback.
  template <typename M>
  [[nodiscard]] Result<AnswerOf<P, M>> request(const M& message, const CallOptions& options = {}) const {
    check_request<M>();
    return internal::parse_answer<AnswerOf<P, M>>(grid_.request(to_, encode(message), options));
  }
  /// A request whose handler only reads.
  template <typename M>
  [[nodiscard]] Result<AnswerOf<P, M>> read(const M& message, const CallOptions& options = {}) const {
    static_assert(P::template accepts<M>, "the agent's contract has no such message");
    static_assert(OperationOf<P, M>::kind == OperationKind::kRead, "this message may write: use request()");
    return request(message, options);
  }
  /// Blocks until the message is durable; nobody waits for its turn.
  template <typename M>
  [[nodiscard]] Result<SendReceipt> send(const M& message, const CallOptions& options = {}) const {
    check_send<M>();
    return grid_.send(to_, encode(message), options);
  }

  /// `done` must neither block nor throw; see Grid::request_async.
  template <typename M, std::invocable<Result<AnswerOf<P, M>>> Done>
  void request(const M& message, const CallOptions& options, Done done) const {
    check_request<M>();
    grid_.request_async(to_, encode(message), options, [done = std::move(done)](Result<Reply> reply) mutable {
      done(internal::parse_answer<AnswerOf<P, M>>(std::move(reply)));
    });
  }
  template <typename M, std::invocable<Result<SendReceipt>> Done>
  void send(const M& message, const CallOptions& options, Done done) const {
    check_send<M>();
    grid_.send_async(to_, encode(message), options, std::move(done));
  }
  template <typename M>
  [[nodiscard]] std::future<Result<AnswerOf<P, M>>> request_future(const M& message,
                                                                   const CallOptions& options = {}) const {
    auto promise = std::make_shared<std::promise<Result<AnswerOf<P, M>>>>();
    request(message, options,
            [promise](Result<AnswerOf<P, M>> answer) { promise->set_value(std::move(answer)); });
    return promise->get_future();
  }
  template <typename M>
  [[nodiscard]] std::future<Result<SendReceipt>> send_future(const M& message,
                                                             const CallOptions& options = {}) const {
    auto promise = std::make_shared<std::promise<Result<SendReceipt>>>();
    send(message, options,
         [promise](Result<SendReceipt> receipt) { promise->set_value(std::move(receipt)); });
    return promise->get_future();
  }

 private:
  template <typename M>
  static void check_request() {
    static_assert(P::template accepts<M>, "the agent's contract has no such message");
    static_assert(
        OperationOf<P, M>::kind == OperationKind::kAsk || OperationOf<P, M>::kind == OperationKind::kRead,
        "this message has no answer: use send()");
  }
  template <typename M>
  static void check_send() {
    static_assert(P::template accepts<M>, "the agent's contract has no such message");
    static_assert(
        OperationOf<P, M>::kind == OperationKind::kAsk || OperationOf<P, M>::kind == OperationKind::kTell,
        "only a message that writes can be sent one-way");
  }
  template <typename M>
  static Message encode(const M& message) {
    return Message{internal::short_name<M>(), message.SerializeAsString()};
  }
  Grid grid_;
  Target to_;
};

}  // namespace afdg::client
