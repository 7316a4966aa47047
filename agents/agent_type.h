#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agents/agent_state.h"
#include "base/result.h"
#include "proto/protocol.h"

namespace google::protobuf {
class Descriptor;
}

namespace afdg::agents {

class AgentBase;

/// How region/ runs one kind of message, without knowing its C++ type.
struct HandlerInfo {
  std::string message;  ///< short name, for example "Departed"
  OperationKind kind = OperationKind::kAsk;
  const google::protobuf::Descriptor* message_descriptor = nullptr;
  const google::protobuf::Descriptor* answer_descriptor = nullptr;  ///< nullptr for Tell
  /// Parses `payload` (Protocol Buffers), runs the handler, appends the serialised answer to `answer`.
  /// Errors: kUndecodable; what the handler returned; kHandlerFailed when it threw. Nothing is appended on an
  /// error.
  Status (*run)(AgentBase& agent, std::string_view payload, TurnPort& turn, std::string& answer) = nullptr;
};

/// One agent type: its name, its handlers, how to make an agent. Made by describe<AirportAgent>() in
/// agents/agent.h. Thread-safety: const-safe.
struct AgentType {
  std::string name;
  std::vector<HandlerInfo> handlers;
  /// Descriptors of entity values by declared entity name, for showing them as JSON.
  std::map<std::string, const google::protobuf::Descriptor*> entities;
  std::unique_ptr<AgentBase> (*create)(AgentState& state) = nullptr;

  /// nullptr when there is no handler for that message.
  [[nodiscard]] const HandlerInfo* find(std::string_view message) const noexcept;
  /// What the type understands, for people: "Departed, GetTotals".
  [[nodiscard]] std::string message_names() const;
};

/// The agent types of a node, by name. Thread-safety: const-safe once filled.
class AgentTypes {
 public:
  /// Errors: kAlreadyExists.
  Status add(AgentType type);
  [[nodiscard]] const AgentType* find(std::string_view name) const noexcept;
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  std::map<std::string, std::unique_ptr<AgentType>, std::less<>> types_;
};

/// JSON (Protocol Buffers' mapping) to bytes and back. Errors: kUndecodable, naming message, field and what
/// was wrong.
Result<std::string> json_to_bytes(const google::protobuf::Descriptor& message, std::string_view json);
Result<std::string> bytes_to_json(const google::protobuf::Descriptor& message, std::string_view bytes);
/// An example of the message's JSON with every field at a sample value.
std::string example_json(const google::protobuf::Descriptor& message);

}  // namespace afdg::agents
