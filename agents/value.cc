#include "agents/value.h"

namespace afdg::agents {
namespace {
constexpr std::size_t kComparedBytesMax =
    256;  // more than this costs more memory than a needless put costs time
}

std::size_t ValueSlot::memory_bytes() const noexcept { return value_bytes() + stored_bytes_.capacity(); }

void ValueSlot::load() const {
  if (held_ != Held::kUnknown) [[likely]]
    return;
  auto bytes = agent().state().get(ItemId{.entity = name(), .key = {}, .sequence = 0});
  if (!bytes.ok()) return agent().fail_turn(bytes.error());
  stored_ = bytes->has_value();
  if (!stored_) {
    held_ = Held::kAbsent;
    return;
  }
  std::string& stored = **bytes;
  if (!decode_value(stored)) {
    return agent().fail_turn(
        fail(Code::kCorrupt, "value '" + std::string(name()) + "' of agent '" +
                                 std::string(agent().state().key()) + "' holds bytes that are not a " +
                                 descriptor()->full_name() + ": restore the agent, or its message type"));
  }
  held_ = Held::kPresent;
  comparable_ = stored.size() <= kComparedBytesMax;
  if (comparable_) stored_bytes_ = std::move(stored);
}

bool ValueSlot::start_edit() {
  if (!agent().may_write(name())) return false;
  dirty_ = true;
  return true;
}

void ValueSlot::flush() {
  if (!dirty_) return;
  dirty_ = false;
  const ItemId id{.entity = name(), .key = {}, .sequence = 0};
  if (held_ != Held::kPresent) {
    if (stored_) agent().state().erase(id);
    stored_ = comparable_ = false;
    return;
  }
  thread_local std::string bytes;
  bytes.clear();
  encode_value(bytes);
  if (stored_ && comparable_ && bytes == stored_bytes_) return;
  agent().state().put(id, bytes);
  stored_ = true;
  comparable_ = bytes.size() <= kComparedBytesMax;
  if (comparable_) {
    stored_bytes_ = bytes;
  } else {
    stored_bytes_ = std::string();
    if (bytes.capacity() > (std::size_t{64} << 10)) bytes = std::string();
  }
}

}  // namespace afdg::agents
