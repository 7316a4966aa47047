#include "agents/handler.h"

#include <google/protobuf/descriptor.h>

namespace afdg::agents {

Error undecodable(const google::protobuf::Descriptor& message, std::string_view payload) {
  return fail(Code::kUndecodable,
              message.name() + ": these " + std::to_string(payload.size()) + " bytes are not a " +
                  message.full_name() +
                  " in Protocol Buffers' format: check the message's name and its content type");
}

Error handler_error(const Error& error) {
  // These speak of the grid: a client would look for another node, or not know whether the turn happened.
  const Retry retry = code_retry(error.code());
  if (error.code() != Code::kOk && retry != Retry::kRefreshRoute && retry != Retry::kInDoubt) return error;
  return fail(Code::kApplication, error.text());
}

Error handler_threw(const AgentBase& agent, std::string_view message, const char* what) {
  return fail(Code::kHandlerFailed, "the handler of " + std::string(message) + " of agent '" +
                                        std::string(agent.state().key()) + "' threw: " + what +
                                        "; its turn left no trace");
}

}  // namespace afdg::agents
