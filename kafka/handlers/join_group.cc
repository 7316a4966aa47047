#include "kafka/messages/join_group.h"

#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::join_group(Broker& broker, const CallPtr& call) {
  JoinGroupRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto refuse = [&](ErrorCode code) {
    JoinGroupResponse response;
    response.error_code = code;
    response.member_id = request.member_id;
    if (call->version() < 7) response.protocol_name = "";
    call->reply(response);
  };
  if (const ErrorCode code = broker.groups().check(request.group_id); code != ErrorCode::kNone)
    return refuse(code);
  if (request.member_id.empty()) {
    if (const ErrorCode code = broker.groups().admit_member(call->host()); code != ErrorCode::kNone)
      return refuse(code);
  }
  log::groups::JoinRequest join;
  join.group = request.group_id;
  join.member_id = request.member_id;
  if (request.group_instance_id) join.instance_id = std::string(*request.group_instance_id);
  join.client_id = call->client_id();
  join.client_host = call->host();
  join.protocol_type = request.protocol_type;
  for (const auto& protocol : request.protocols)
    join.protocols.push_back({std::string(protocol.name), std::string(protocol.metadata)});
  join.session_timeout = std::chrono::milliseconds(request.session_timeout_ms);
  join.rebalance_timeout = std::chrono::milliseconds(request.rebalance_timeout_ms);
  join.member_id_required = call->version() >= 4;
  join.skip_assignment_known = call->version() >= 9;
  const ErrorCode code = broker.groups().with(
      [&](Groups::Coordinator& coordinator, log::groups::RequestToken token, log::groups::Now now) {
        call->when_abandoned([&broker, token] { broker.groups().forget(token); });
        coordinator.join(token, std::move(join), now);
      },
      [&broker, call, group = std::string(request.group_id)](Groups::Body&& body) {
        const auto& joined = std::get<log::groups::JoinReply>(body);
        broker.groups().note_refusal(joined.error, group, call->host());
        JoinGroupResponse response;
        response.error_code = error_code(joined.error);
        response.generation_id = joined.generation;
        if (joined.protocol_type) response.protocol_type = *joined.protocol_type;
        if (joined.protocol_name) {
          response.protocol_name = *joined.protocol_name;
        } else if (call->version() < 7) {
          response.protocol_name = "";
        }
        response.leader = joined.leader;
        response.skip_assignment = joined.skip_assignment;
        response.member_id = joined.member_id;
        for (const auto& member : joined.members) {
          auto& out = response.members.emplace_back();
          out.member_id = member.member_id;
          if (member.instance_id) out.group_instance_id = *member.instance_id;
          out.metadata = member.metadata;
        }
        call->reply(response);
      });
  if (code != ErrorCode::kNone) refuse(code);
}

}  // namespace afdg::kafka
