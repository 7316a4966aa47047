#include "kafka/messages/leave_group.h"

#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::leave_group(Broker& broker, const CallPtr& call) {
  LeaveGroupRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto refuse = [&](ErrorCode code) {
    LeaveGroupResponse response;
    response.error_code = code;
    call->reply(response);
  };
  if (const ErrorCode code = broker.groups().check(request.group_id); code != ErrorCode::kNone)
    return refuse(code);
  log::groups::LeaveRequest leave;
  leave.group = request.group_id;
  if (call->version() < 3) {
    leave.members.push_back({std::string(request.member_id), {}});
  } else {
    for (const auto& member : request.members) {
      auto& one = leave.members.emplace_back();
      one.member_id = member.member_id;
      if (member.group_instance_id) one.instance_id = std::string(*member.group_instance_id);
    }
  }
  const ErrorCode code = broker.groups().with(
      [&](Groups::Coordinator& coordinator, log::groups::RequestToken token, log::groups::Now now) {
        coordinator.leave(token, std::move(leave), now);
      },
      [call](Groups::Body&& body) {
        const auto& left = std::get<log::groups::LeaveReply>(body);
        LeaveGroupResponse response;
        response.error_code = error_code(left.error);
        for (const auto& member : left.members) {
          auto& out = response.members.emplace_back();
          out.member_id = member.member_id;
          if (member.instance_id) out.group_instance_id = *member.instance_id;
          out.error_code = error_code(member.error);
        }
        // Before version 3 the answer is that of the only member.
        if (call->version() < 3 && response.error_code == ErrorCode::kNone && !response.members.empty())
          response.error_code = response.members.front().error_code;
        call->reply(response);
      });
  if (code != ErrorCode::kNone) refuse(code);
}

}  // namespace afdg::kafka
