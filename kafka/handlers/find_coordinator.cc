#include "kafka/messages/find_coordinator.h"

#include <string>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::find_coordinator(Broker& broker, const CallPtr& call) {
  constexpr std::int8_t kGroup = 0;
  FindCoordinatorRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const bool batched = call->version() >= 4;
  if (!batched) request.coordinator_keys = {request.key};
  FindCoordinatorResponse response;
  Groups::Place place;  // its view holds the hosts' names until the answer is encoded
  for (const std::string_view key : request.coordinator_keys) {
    auto& found = response.coordinators.emplace_back();
    found.key = key;
    found.node_id = -1;
    found.port = -1;
    if (request.key_type != kGroup) {
      found.error_code = request.key_type == 1 ? ErrorCode::kUnsupportedVersion : ErrorCode::kInvalidRequest;
      found.error_message = "only groups have a coordinator here: transactions are not supported";
      continue;
    }
    place = broker.groups().find(key);
    found.error_code = place.error;
    if (place.node == nullptr) {
      found.error_message = "the coordinator is not there yet: try again";
      continue;
    }
    found.node_id = place.node->id.value();
    found.host = call->keep(place.node->host);
    found.port = place.node->port;
  }
  if (!batched) {
    const auto& only = response.coordinators.front();
    response.error_code = only.error_code;
    response.error_message = only.error_message;
    response.node_id = only.node_id;
    response.host = only.host;
    response.port = only.port;
  }
  call->reply(response);
}

}  // namespace afdg::kafka
