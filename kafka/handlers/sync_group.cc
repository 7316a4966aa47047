#include "kafka/messages/sync_group.h"

#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::sync_group(Broker& broker, const CallPtr& call) {
  SyncGroupRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto refuse = [&](ErrorCode code) {
    SyncGroupResponse response;
    response.error_code = code;
    call->reply(response);
  };
  if (const ErrorCode code = broker.groups().check(request.group_id); code != ErrorCode::kNone)
    return refuse(code);
  // KIP-559: from version 5 on a member says what it speaks.
  if (call->version() >= 5 && (!request.protocol_type || !request.protocol_name))
    return refuse(ErrorCode::kInconsistentGroupProtocol);
  log::groups::SyncRequest sync;
  sync.group = request.group_id;
  sync.generation = request.generation_id;
  sync.member_id = request.member_id;
  if (request.group_instance_id) sync.instance_id = std::string(*request.group_instance_id);
  if (request.protocol_type) sync.protocol_type = std::string(*request.protocol_type);
  if (request.protocol_name) sync.protocol_name = std::string(*request.protocol_name);
  for (const auto& one : request.assignments)
    sync.assignments.push_back({std::string(one.member_id), std::string(one.assignment)});
  const ErrorCode code = broker.groups().with(
      [&](Groups::Coordinator& coordinator, log::groups::RequestToken token, log::groups::Now now) {
        call->when_abandoned([&broker, token] { broker.groups().forget(token); });
        coordinator.sync(token, std::move(sync), now);
      },
      [call](Groups::Body&& body) {
        const auto& synced = std::get<log::groups::SyncReply>(body);
        SyncGroupResponse response;
        response.error_code = error_code(synced.error);
        if (synced.protocol_type) response.protocol_type = *synced.protocol_type;
        if (synced.protocol_name) response.protocol_name = *synced.protocol_name;
        response.assignment = synced.assignment;
        call->reply(response);
      });
  if (code != ErrorCode::kNone) refuse(code);
}

}  // namespace afdg::kafka
