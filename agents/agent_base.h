#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "agents/agent_state.h"
#include "base/result.h"

namespace google::protobuf {
class Descriptor;
}

namespace afdg::agents {

class AgentBase;

/// The declared name of an agent's entity: 1 to 64 characters of a-z, 0-9, '_' and '-'. ON DISK since
/// version 1. A name that breaks the rule does not compile.
class EntityName {
 public:
  template <std::size_t N>
  consteval EntityName(const char (&literal)[N]) : text_(literal, N - 1) {  // NOLINT: a literal is a name
    if (text_.empty() || text_.size() > 64) throw "an entity's name has 1 to 64 characters";
    for (const char c : text_) {
      if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
        throw "an entity's name is made of a-z, 0-9, '_' and '-'";
      }
    }
  }
  [[nodiscard]] constexpr std::string_view text() const noexcept { return text_; }

 private:
  std::string_view text_;
};

/// What Value and Entity have in common: a declared name inside one agent. A slot lives in its agent and dies
/// with it. Thread-safety: confined.
class Slot {
 public:
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  virtual ~Slot() = default;

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  /// The message type of the stored items, for showing them as JSON.
  [[nodiscard]] virtual const google::protobuf::Descriptor* descriptor() const noexcept = 0;
  /// A hint that the slot is used soon: brings what it holds outside the agent object into the processor's
  /// cache, what that points to with step 1.
  virtual void prefetch(int step) const noexcept { static_cast<void>(step); }
  /// Bytes held outside the agent object, roughly.
  [[nodiscard]] virtual std::size_t memory_bytes() const noexcept = 0;

 protected:
  Slot(AgentBase& agent, EntityName name);
  /// Puts what the turn edited and did not put yet.
  virtual void flush() = 0;

  [[nodiscard]] AgentBase& agent() const noexcept { return *agent_; }

 private:
  friend class AgentBase;
  AgentBase* agent_;
  Slot* next_ = nullptr;  // the agent's list of slots, in the order of declaration
  std::string_view name_;
};

/// Base of every agent; authors derive from afdg::Agent<Protocol>. Its members between turns are a cache of
/// what is stored: any turn may find them reset, because a failed turn drops the object. Thread-safety:
/// confined to the region's thread. Ownership: the state is region's and outlives the agent.
class AgentBase {
 public:
  AgentBase() = default;
  AgentBase(const AgentBase&) = delete;
  AgentBase& operator=(const AgentBase&) = delete;
  virtual ~AgentBase() = default;

  /// Roughly the memory that dropping this agent frees; for eviction.
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

  /// The agent's stored items. Precondition: bound, which it is from the first turn on but not yet in the
  /// constructor.
  [[nodiscard]] AgentState& state() const noexcept {
    AFDG_ASSERT(state_ != nullptr, "an agent's constructor may not use its entities: do it in a handler");
    return *state_;
  }
  /// Makes the running turn fail with `error`, whatever the handler returns. The first error stays.
  void fail_turn(Error error) const;
  [[nodiscard]] bool turn_failed() const noexcept { return error_.has_value(); }
  /// The running turn's time. Precondition: a turn is running.
  [[nodiscard]] Timestamp now() const noexcept {
    AFDG_ASSERT(turn_ != nullptr, "an agent's entities may be used only while it handles a message");
    return turn_->now();
  }
  /// True when the running turn may write; otherwise false, and the turn fails.
  [[nodiscard]] bool may_write(std::string_view entity) const;

  /// @name For describe() and the handlers' run functions only.
  /// @{
  void bind(AgentState& state, std::size_t object_bytes) noexcept {
    state_ = &state;
    object_bytes_ = object_bytes;
  }
  void prefetch(int step) const noexcept {
    for (const Slot* slot = slots_; slot != nullptr; slot = slot->next_) slot->prefetch(step);
  }
  void begin_turn(TurnPort& turn, bool may_write) noexcept;
  /// Puts what was edited when `ok` and the turn may write, ends the turn and returns its sticky error, if
  /// any.
  [[nodiscard]] Status end_turn(bool ok);
  template <typename Visit>
  void visit_slots(Visit&& visit) const {
    for (const Slot* slot = slots_; slot != nullptr; slot = slot->next_) visit(*slot);
  }
  /// @}

 private:
  friend class Slot;
  void add(Slot& slot);

  AgentState* state_ = nullptr;
  TurnPort* turn_ = nullptr;  // while a turn runs
  Slot* slots_ = nullptr;
  std::size_t object_bytes_ = 0;
  bool may_write_ = false;
  mutable std::optional<Error> error_;
};

}  // namespace afdg::agents
