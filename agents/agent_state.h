#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

namespace afdg::agents {

/// Which item of an agent: declared entity name, key inside the entity (empty for a Value), position in the
/// key's list.
struct ItemId {
  std::string_view entity;
  std::string_view key;
  std::int64_t sequence = 0;
};

/// One agent's stored items, as its entities see them: what was committed, then the turns before, then the
/// running turn. Implemented by region/; lives as long as the agent object. Thread-safety: confined to the
/// region's thread. Errors of the readers: kCorrupt, kIo; a handler that meets one must return it.
class AgentState {
 public:
  virtual ~AgentState() = default;
  /// The agent's key.
  [[nodiscard]] virtual std::string_view key() const noexcept = 0;
  [[nodiscard]] virtual Result<std::optional<std::string>> get(const ItemId& item) const = 0;
  /// Items of one entity key with ascending sequence, from `from_sequence`, until visit returns false.
  using VisitItem = std::function<bool(std::int64_t sequence, std::string_view value)>;
  virtual Status items(std::string_view entity, std::string_view key, std::int64_t from_sequence,
                       const VisitItem& visit) const = 0;
  /// The first and last sequence of an entity key's list; nullopt when it is empty. Costs one look-up for a
  /// short list and two for any other, not a scan. The items met on the way go to `seen`: the first one, and
  /// none or some that follow it.
  using Seen = std::function<void(std::int64_t sequence, std::string_view value)>;
  struct Bounds {
    std::int64_t first;
    std::int64_t last;
  };
  [[nodiscard]] virtual Result<std::optional<Bounds>> bounds(std::string_view entity, std::string_view key,
                                                             const Seen& seen) const = 0;
  /// Distinct keys of an entity in byte order, starting at `from`, until visit returns false.
  using VisitKey = std::function<bool(std::string_view key)>;
  virtual Status keys(std::string_view entity, std::string_view from, const VisitKey& visit) const = 0;
  /// Writes, which belong to the running turn. Precondition: a turn that may write is running.
  virtual void put(const ItemId& item, std::string_view value) = 0;
  virtual void erase(const ItemId& item) = 0;
};

/// What a running turn lets a handler do beside its own data. Implemented by region/; lives for the turn.
class TurnPort {
 public:
  virtual ~TurnPort() = default;
  /// The turn's time: the same when the message runs again.
  [[nodiscard]] virtual Timestamp now() const noexcept = 0;
  /// Derived from the message's offset: the same numbers when the message runs again.
  [[nodiscard]] virtual std::uint64_t random() = 0;
  /// Offset of the message in GRID.messages.
  [[nodiscard]] virtual Offset offset() const noexcept = 0;
  /// Stages a one-way message to an agent of the same grid; it leaves when the turn is committed. Errors:
  /// kOverloaded (the outbox is full), kMessageTooLarge, kInvalidArgument; the handler should return them.
  virtual Status send(std::string_view type, std::string_view key, std::string_view message,
                      std::string_view payload) = 0;
};

}  // namespace afdg::agents
