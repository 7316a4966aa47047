#include "kafka/messages/delete_groups.h"

#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::delete_groups(Broker& broker, const CallPtr& call) {
  DeleteGroupsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto response = std::make_shared<DeleteGroupsResponse>();
  log::groups::DeleteRequest wanted;
  for (const std::string_view group : request.groups_names) {
    const ErrorCode code = broker.groups().check(group);
    if (code == ErrorCode::kNone) {
      wanted.groups.emplace_back(group);
    } else {
      response->results.push_back({group, code});
    }
  }
  if (wanted.groups.empty()) return call->reply(*response);
  const auto groups = wanted.groups;
  const ErrorCode code = broker.groups().with(
      [&](Groups::Coordinator& coordinator, log::groups::RequestToken token, log::groups::Now now) {
        coordinator.delete_groups(token, std::move(wanted), now);
      },
      [call, response](Groups::Body&& body) {
        const auto& deleted = std::get<log::groups::DeleteReply>(body);
        for (const auto& group : deleted.groups)
          response->results.push_back({group.group, error_code(group.error)});
        call->reply(*response);
      });
  if (code == ErrorCode::kNone) return;
  for (const std::string& group : groups) response->results.push_back({call->keep(group), code});
  call->reply(*response);
}

}  // namespace afdg::kafka
