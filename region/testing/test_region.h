#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "agents/agent.h"
#include "region/region_core.h"

// A region for unit tests of agents: the real core on a log and a store in memory, with a clock that the test
// moves. No server, thread, file or wait.
namespace afdg::test {

struct CallOptions {
  /// The same id and payload takes effect once. Empty: each call is its own.
  std::string request_id{};
  /// From the region's now; 0: none.
  std::chrono::milliseconds deadline{0};
};

/// One region with agents of the given types. Every answer has waited for its commit.
///
///     auto region = afdg::test::region<AirportAgent>();
///     auto totals = region.request<Airport>("PHX", departed, {.request_id = "17"});
///     region.crash();
///
/// Thread-safety: confined. Errors: what a client would get.
class Region {
 public:
  explicit Region(std::vector<agents::AgentType> types);
  ~Region();
  Region(Region&& other) noexcept;
  Region& operator=(Region&& other) noexcept;

  /// Sends a message of protocol P and waits for the answer; for a Tell, for the end of its turn.
  template <typename P, typename M>
  auto request(std::string_view key, const M& message, const CallOptions& options = {}) {
    static_assert(P::template accepts<M>, "request<P>(key, message): protocol P does not list this message");
    using Answer = AnswerOf<P, M>;
    auto answer = call(P::type, key, M::descriptor()->name(), message.SerializeAsString(),
                       region::Want::kAnswer, options);
    if constexpr (std::is_void_v<Answer>) {
      return answer.status();
    } else {
      return parsed<Answer>(std::move(answer));
    }
  }
  /// A read, or any request; reads are requests of messages that the protocol calls Read.
  template <typename P, typename M>
  auto read(std::string_view key, const M& message) {
    return request<P>(key, message);
  }
  /// A durable one-way message; its turn and the messages that it caused have run on return. Returns its
  /// offset.
  template <typename P, typename M>
  Result<Offset> send(std::string_view key, const M& message, const CallOptions& options = {}) {
    static_assert(P::template accepts<M>, "send<P>(key, message): protocol P does not list this message");
    AFDG_ASSIGN(const std::string offset, call(P::type, key, M::descriptor()->name(),
                                               message.SerializeAsString(), region::Want::kReceipt, options));
    return Offset(std::stoll(offset));
  }
  /// What agents sent to agent `key` of protocol P's type, oldest first; the test's own messages are not
  /// among them.
  template <typename P, typename M>
  std::vector<M> sent(std::string_view key) {
    std::vector<M> messages;
    for (const std::string& payload : sent_payloads(P::type, key, M::descriptor()->name()))
      static_cast<void>(messages.emplace_back().ParseFromString(payload));
    return messages;
  }

  /// The process dies and starts again: agents are made anew from what is stored.
  void crash();
  /// As crash(), and the store is lost: all state comes from the log of changes.
  void rebuild();
  /// Writes the state behind the log to the store, as happens by itself now and then.
  void checkpoint();
  /// Moves the clock, and does what is due then.
  void advance(std::chrono::milliseconds by);
  [[nodiscard]] Timestamp now() const;

  /// The agent's stored items. Errors: kNotFound when it has none.
  [[nodiscard]] Result<std::vector<region::ShownItem>> state(std::string_view type, std::string_view key);
  [[nodiscard]] region::RegionInfo info() const;
  /// Messages that failed and wanted no answer: the reason of each, oldest first.
  [[nodiscard]] std::vector<std::string> dead();

  /// The untyped call beneath: payload and answer are Protocol Buffers; a receipt is an offset in decimal.
  Result<std::string> call(std::string_view type, std::string_view key, std::string_view message,
                           std::string_view payload, region::Want want, const CallOptions& options);

 private:
  std::vector<std::string> sent_payloads(std::string_view type, std::string_view key,
                                         std::string_view message);
  template <typename Answer>
  static Result<Answer> parsed(Result<std::string> bytes) {
    if (!bytes) return bytes.error();
    Answer answer;
    if (!answer.ParseFromString(*bytes)) return fail(Code::kInternal, "the answer cannot be parsed");
    return answer;
  }
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// A region that hosts these agents.
template <typename... Agents>
[[nodiscard]] Region region() {
  std::vector<agents::AgentType> types;
  (types.push_back(agents::describe<Agents>()), ...);
  return Region(std::move(types));
}

}  // namespace afdg::test
