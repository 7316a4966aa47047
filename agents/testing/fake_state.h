#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "agents/agent.h"
#include "base/clock.h"

namespace afdg::agents::testing {

/// An AgentState in memory: what is committed, and what the running turn wrote on top.
/// Thread-safety: confined. Errors: only those that fail_reads sets.
class FakeState final : public AgentState {
 public:
  explicit FakeState(std::string key) : key_(std::move(key)) {}

  [[nodiscard]] std::string_view key() const noexcept override { return key_; }
  [[nodiscard]] Result<std::optional<std::string>> get(const ItemId& item) const override;
  Status items(std::string_view entity, std::string_view key, std::int64_t from_sequence,
               const VisitItem& visit) const override;
  [[nodiscard]] Result<std::optional<Bounds>> bounds(std::string_view entity, std::string_view key,
                                                     const Seen& seen) const override;
  Status keys(std::string_view entity, std::string_view from, const VisitKey& visit) const override;
  void put(const ItemId& item, std::string_view value) override;
  void erase(const ItemId& item) override;

  /// Ends the turn: its writes become what is committed, or are forgotten.
  void commit();
  void abort() { staged_.clear(); }

  /// Every read from now on fails so; nullopt: no more.
  void fail_reads(std::optional<Error> error) { error_ = std::move(error); }
  /// How often the readers were called, items being visited included.
  [[nodiscard]] std::size_t reads() const noexcept { return reads_; }
  /// How many puts and erases there were.
  [[nodiscard]] std::size_t writes() const noexcept { return writes_; }
  /// Items that the next reader would see.
  [[nodiscard]] std::size_t size() const { return merged().size(); }

 private:
  using Key = std::tuple<std::string, std::string, std::int64_t>;
  using Items = std::map<Key, std::string>;
  [[nodiscard]] Items merged() const;
  [[nodiscard]] Status read() const {
    ++reads_;
    return error_ ? Status(*error_) : Status();
  }

  std::string key_;
  Items committed_;
  std::map<Key, std::optional<std::string>> staged_;
  std::optional<Error> error_;
  mutable std::size_t reads_ = 0;
  std::size_t writes_ = 0;
};

/// A TurnPort that keeps what was sent. Thread-safety: confined.
class FakeTurn final : public TurnPort {
 public:
  struct Message {
    std::string type;
    std::string key;
    std::string message;
    std::string payload;
  };

  [[nodiscard]] Timestamp now() const noexcept override { return time; }
  [[nodiscard]] std::uint64_t random() override { return random_.next(); }
  [[nodiscard]] Offset offset() const noexcept override { return Offset(offset_next); }
  Status send(std::string_view type, std::string_view key, std::string_view message,
              std::string_view payload) override;

  Timestamp time = ManualClock().now();
  std::int64_t offset_next = 0;
  std::vector<Message> sent;
  std::optional<Error> send_error;

 private:
  SeededRandom random_{1};
};

/// One agent alone, for tests of its handlers: each call is a turn, which commits when it succeeds and
/// otherwise leaves no trace. A test of what a region adds (duplicates, crashes, timers) uses region/testing
/// instead. Thread-safety: confined.
class Solo {
 public:
  Solo(AgentType type, std::string key) : type_(std::move(type)), state_(std::move(key)) {}

  /// Runs a message by its short name; both payloads are Protocol Buffers. Errors: kUnknownMessage, and those
  /// of HandlerInfo::run.
  Result<std::string> run(std::string_view message, std::string_view payload);
  /// The same in JSON.
  Result<std::string> json(std::string_view message, std::string_view json);
  /// The same typed; A is the answer's type.
  template <typename A, typename M>
  Result<A> ask(const M& message) {
    AFDG_ASSIGN(const std::string bytes, run(M::descriptor()->name(), message.SerializeAsString()));
    A answer;
    answer.ParseFromString(bytes);
    return answer;
  }
  template <typename M>
  Status tell(const M& message) {
    return run(M::descriptor()->name(), message.SerializeAsString()).status();
  }
  /// Drops the agent object, as eviction does.
  void evict() { agent_.reset(); }

  [[nodiscard]] FakeState& state() noexcept { return state_; }
  [[nodiscard]] FakeTurn& turn() noexcept { return turn_; }
  [[nodiscard]] const AgentType& type() const noexcept { return type_; }
  /// nullptr before the first turn, after a failed one and after evict().
  [[nodiscard]] const AgentBase* agent() const noexcept { return agent_.get(); }

 private:
  AgentType type_;
  FakeState state_;
  FakeTurn turn_;
  std::unique_ptr<AgentBase> agent_;
};

}  // namespace afdg::agents::testing
