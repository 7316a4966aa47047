#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agents/agent_base.h"
#include "agents/item_codec.h"
#include "proto/protocol.h"

namespace afdg {

/// What a read-only handler gets beside the message: who it is, the time, random numbers.
/// Thread-safety: confined; valid while the handler runs.
class ReadTurn {
 public:
  ReadTurn(agents::AgentBase& agent, agents::TurnPort& port) noexcept : agent_(&agent), port_(&port) {}

  /// The agent's key.
  [[nodiscard]] std::string_view key() const noexcept { return agent_->state().key(); }
  /// The turn's time, which a repeated run sees too. Never ask the machine for it.
  [[nodiscard]] Timestamp now() const noexcept { return port_->now(); }
  /// A random number, which a repeated run sees too.
  [[nodiscard]] std::uint64_t random() const { return port_->random(); }

 protected:
  agents::AgentBase* agent_;
  agents::TurnPort* port_;
};

/// The outcome of Turn::send, which may be ignored: after an error the turn fails by itself.
class Sent : public Status {
 public:
  Sent(Status status) : Status(std::move(status)) {}  // NOLINT: a status is what it is
};

/// What a handler that may write gets beside the message. All it does is part of the turn's commit.
/// Thread-safety: confined; valid while the handler runs.
class Turn : public ReadTurn {
 public:
  using ReadTurn::ReadTurn;

  /// The message's offset in GRID.messages: a number that no other turn of the region has.
  [[nodiscard]] Offset offset() const noexcept { return port_->offset(); }

  /// Sends `message` one way to agent `key` of the type whose protocol is P. It leaves when the turn commits,
  /// and arrives once; the answer of an Ask is dropped. Errors: kOverloaded, kMessageTooLarge,
  /// kInvalidArgument; the turn then fails with it even if the handler goes on.
  template <typename P, agents::Message M>
  Sent send(std::string_view key, const M& message) {
    Status status = try_send<P>(key, message);
    if (!status.ok()) agent_->fail_turn(status.error());
    return status;
  }
  /// Like send, for a handler that knows what to do instead: an error does not fail the turn, and nothing was
  /// sent.
  template <typename P, agents::Message M>
  Status try_send(std::string_view key, const M& message) {
    static_assert(P::template accepts<M>,
                  "send<P>(key, message): protocol P does not list this message; add Tell<M> to it");
    if constexpr (P::template accepts<M>) {
      static_assert(
          OperationOf<P, M>::kind != OperationKind::kRead,
          "send<P>(key, message): this message is a Read of protocol P, and nobody would get its answer");
    }
    return send_bytes(P::type, key, message);
  }

 private:
  Status send_bytes(std::string_view type, std::string_view key, const google::protobuf::Message& message);
};

}  // namespace afdg
