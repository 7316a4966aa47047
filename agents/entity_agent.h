#pragma once

#include "agents/agent_type.h"

namespace afdg::agents {

/// The built-in agent type "entity", which a grid hosts when it names no other: keys with lists of JSON
/// values, for those who write no C++. Its contract is afdg::EntityStore in proto/entity_store.h, its
/// messages are in afdg/v1/entity.proto. Errors of its handlers: kInvalidArgument when the message is not
/// acceptable (no key, key above 1 KiB, no value, nesting above 32); kApplication when what is stored does
/// not allow it (Increment of what is not a whole number, overflow, a list where a single value is needed, a
/// list at its limit). Bounds: a list has at most 100,000 items, fewer under long keys, so that Remove always
/// fits in one turn.
[[nodiscard]] AgentType entity_agent_type();

/// How many items a list may have under keys that long.
[[nodiscard]] std::uint64_t entity_list_items_max(std::size_t agent_key_bytes,
                                                  std::size_t key_bytes) noexcept;

}  // namespace afdg::agents
