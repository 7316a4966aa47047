#include "agents/agent_type.h"

#include <algorithm>
#include <utility>

#include "agents/agent_base.h"

namespace afdg::agents {
namespace {
constexpr std::size_t kNameBytesMax = 64;

bool is_type_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kNameBytesMax && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}
}  // namespace

const HandlerInfo* AgentType::find(std::string_view message) const noexcept {
  for (const HandlerInfo& handler : handlers) {
    if (handler.message == message) return &handler;
  }
  return nullptr;
}

std::string AgentType::message_names() const {
  std::string names;
  for (const HandlerInfo& handler : handlers) names.append(names.empty() ? "" : ", ").append(handler.message);
  return names;
}

Status AgentTypes::add(AgentType type) {
  if (!is_type_name(type.name)) {
    return fail(Code::kInvalidArgument,
                "agent type '" + type.name +
                    "': a type's name has 1 to 64 characters of a-z, A-Z, 0-9, '_', '-' and '.'");
  }
  for (auto handler = type.handlers.begin(); handler != type.handlers.end(); ++handler) {
    if (type.find(handler->message) != &*handler) {
      return fail(Code::kAlreadyExists,
                  "agent type '" + type.name + "' has two messages named " + handler->message +
                      ": messages of a protocol differ in their short names; rename one");
    }
  }
  const auto [at, added] = types_.try_emplace(type.name);
  if (!added) {
    return fail(Code::kAlreadyExists,
                "agent type '" + type.name + "' is registered twice: register each type once");
  }
  at->second = std::make_unique<AgentType>(std::move(type));
  return {};
}

const AgentType* AgentTypes::find(std::string_view name) const noexcept {
  const auto at = types_.find(name);
  return at == types_.end() ? nullptr : at->second.get();
}

std::vector<std::string> AgentTypes::names() const {
  std::vector<std::string> names;
  names.reserve(types_.size());
  for (const auto& [name, type] : types_) names.push_back(name);
  return names;
}

}  // namespace afdg::agents
