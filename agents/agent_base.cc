#include "agents/agent_base.h"

namespace afdg::agents {

Slot::Slot(AgentBase& agent, EntityName name) : agent_(&agent), name_(name.text()) { agent.add(*this); }

void AgentBase::add(Slot& slot) {
  Slot** end = &slots_;
  while (*end != nullptr) {
    AFDG_ASSERT((*end)->name_ != slot.name_, "two entities of an agent have the same name: rename one");
    end = &(*end)->next_;
  }
  *end = &slot;
}

std::size_t AgentBase::memory_bytes() const noexcept {
  std::size_t bytes = object_bytes_;
  visit_slots([&](const Slot& slot) { bytes += slot.memory_bytes(); });
  return bytes;
}

void AgentBase::fail_turn(Error error) const {
  if (!error_) error_ = std::move(error);
}

bool AgentBase::may_write(std::string_view entity) const {
  AFDG_ASSERT(turn_ != nullptr, "an agent's entities may be used only while it handles a message");
  if (!may_write_) [[unlikely]] {
    fail_turn(fail(Code::kHandlerFailed, "a read-only handler wrote entity '" + std::string(entity) +
                                             "': declare its message with Ask or Tell"));
  }
  return may_write_;
}

void AgentBase::begin_turn(TurnPort& turn, bool may_write) noexcept {
  turn_ = &turn;
  may_write_ = may_write;
  error_.reset();
}

Status AgentBase::end_turn(bool ok) {
  if (ok && may_write_ && !error_) {
    for (Slot* slot = slots_; slot != nullptr; slot = slot->next_) slot->flush();
  }
  turn_ = nullptr;
  may_write_ = false;
  if (!error_) return {};
  Status status(*std::move(error_));
  error_.reset();
  return status;
}

}  // namespace afdg::agents
