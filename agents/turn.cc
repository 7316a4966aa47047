#include "agents/turn.h"

namespace afdg {

Status Turn::send_bytes(std::string_view type, std::string_view key,
                        const google::protobuf::Message& message) {
  thread_local std::string payload;
  payload.clear();
  agents::append_serialised(message, payload);
  Status status = port_->send(type, key, message.GetDescriptor()->name(), payload);
  if (payload.capacity() > (std::size_t{64} << 10)) payload = std::string();
  return status;
}

}  // namespace afdg
