#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "region/region_core.h"

namespace afdg::region {

/// The stored items of one live agent, read through the running turn's writes and the table.
class LiveState final : public agents::AgentState {
 public:
  LiveState(RegionCore& core, std::string_view type, std::string_view key)
      : core_(core), type_(type), key_(key) {}

  [[nodiscard]] std::string_view key() const noexcept override { return key_; }
  [[nodiscard]] std::string_view type() const noexcept { return type_; }
  [[nodiscard]] Result<std::optional<std::string>> get(const agents::ItemId& item) const override;
  Status items(std::string_view entity, std::string_view key, std::int64_t from_sequence,
               const VisitItem& visit) const override;
  [[nodiscard]] Result<std::optional<Bounds>> bounds(std::string_view entity, std::string_view key,
                                                     const Seen& seen) const override;
  Status keys(std::string_view entity, std::string_view from, const VisitKey& visit) const override;
  void put(const agents::ItemId& item, std::string_view value) override;
  void erase(const agents::ItemId& item) override;

 private:
  /// The list [from, to) with the running turn's writes laid over it.
  Status scan(std::string_view entity, std::string_view from, std::string_view to,
              const StateTable::Visit& visit) const;
  [[nodiscard]] RegionCore::Write* staged(std::string_view key) const;
  RegionCore::Write* stage(const agents::ItemId& item);

  RegionCore& core_;
  std::string_view type_;  // of the AgentType, which outlives it
  std::string key_;
};

/// An agent in memory.
struct RegionCore::Live {
  Live(RegionCore& core, const agents::AgentType& agent_type, std::string_view key)
      : state(core, agent_type.name, key), agent(agent_type.create(state)) {}
  /// What the maps around it cost, about.
  [[nodiscard]] std::uint64_t overhead() const noexcept { return sizeof(Live) + 2 * state.key().size() + 96; }

  LiveState state;
  std::unique_ptr<agents::AgentBase> agent;
  std::uint64_t hash = 0;
  std::uint64_t memory = 0;
  std::size_t at = 0;  ///< in clock_order_
  bool used = true;
  std::uint64_t written = 0;  ///< hash of the key it wrote last: a guess for the next time
};

/// A message that is logged and waits for its turn.
struct RegionCore::Queued {
  Queued(const MessageView& m, const Status& why_not, std::vector<std::uint64_t> waiting,
         std::uint64_t number)
      : offset(m.offset),
        timestamp(m.timestamp),
        type(m.type),
        key(m.key),
        message(m.message),
        payload(m.payload),
        content(m.content),
        want(m.want),
        identity(m.identity),
        request_id(m.identity.request_id),
        deadline(m.deadline),
        tickets(std::move(waiting)),
        fault(why_not),
        batch(number) {}
  [[nodiscard]] MessageView view() const {
    MessageView m{offset, timestamp, type, key, message, payload, content, want, identity, deadline};
    m.identity.request_id = request_id;
    return m;
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return sizeof(Queued) + type.size() + key.size() + message.size() + payload.size() + request_id.size();
  }

  Offset offset;
  Timestamp timestamp;
  std::string type, key, message, payload;
  Content content;
  Want want;
  Identity identity;
  std::string request_id;
  Timestamp deadline;
  std::vector<std::uint64_t> tickets;
  Status fault;         ///< it cannot be run
  std::uint64_t batch;  ///< that carries it
};

/// What is on its way to one region.
struct RegionCore::OutboxTarget {
  struct Entry {
    std::uint64_t number;
    std::string value;
    std::uint64_t batch;  ///< leaves when it is committed
  };
  std::uint64_t next = 1;
  std::deque<Entry> entries;
  std::size_t handed = 0;  ///< entries before it were given to the shell
};

/// What a handler may do in its turn.
class RegionCore::Turn final : public agents::TurnPort {
 public:
  Turn(RegionCore& core, const MessageView& message)
      : core_(core),
        message_(message),
        random_(hash64(message.key) ^
                (static_cast<std::uint64_t>(message.offset.value()) * 0x9e3779b97f4a7c15ULL)) {}
  [[nodiscard]] Timestamp now() const noexcept override { return message_.timestamp; }
  [[nodiscard]] std::uint64_t random() override { return random_.next(); }
  [[nodiscard]] Offset offset() const noexcept override { return message_.offset; }
  Status send(std::string_view type, std::string_view key, std::string_view message,
              std::string_view payload) override {
    return core_.stage_send(type, key, message, payload);
  }

 private:
  RegionCore& core_;
  const MessageView& message_;
  SeededRandom random_;
};

}  // namespace afdg::region
