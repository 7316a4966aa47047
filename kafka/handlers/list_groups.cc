#include "kafka/messages/list_groups.h"

#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::list_groups(Broker& broker, const CallPtr& call) {
  ListGroupsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  log::groups::ListRequest wanted;
  for (const std::string_view state : request.states_filter) wanted.states.emplace_back(state);
  for (const std::string_view type : request.types_filter) wanted.types.emplace_back(type);
  const ErrorCode code =
      broker.groups().with([&](Groups::Coordinator& coordinator, log::groups::RequestToken token,
                               log::groups::Now now) { coordinator.list(token, wanted, now); },
                           [call](Groups::Body&& body) {
                             const auto& listed = std::get<log::groups::ListReply>(body);
                             ListGroupsResponse response;
                             response.error_code = error_code(listed.error);
                             for (const auto& group : listed.groups) {
                               auto& out = response.groups.emplace_back();
                               out.group_id = group.group;
                               out.protocol_type = group.protocol_type;
                               out.group_state = group.state;
                               out.group_type = "classic";
                             }
                             call->reply(response);
                           });
  if (code == ErrorCode::kNone) return;
  ListGroupsResponse response;
  response.error_code = code;
  call->reply(response);
}

}  // namespace afdg::kafka
