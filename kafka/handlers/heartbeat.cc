#include "kafka/messages/heartbeat.h"

#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::heartbeat(Broker& broker, const CallPtr& call) {
  HeartbeatRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto answer = [call](ErrorCode code) {
    HeartbeatResponse response;
    response.error_code = code;
    call->reply(response);
  };
  if (const ErrorCode code = broker.groups().check(request.group_id); code != ErrorCode::kNone)
    return answer(code);
  log::groups::HeartbeatRequest beat;
  beat.group = request.group_id;
  beat.generation = request.generation_id;
  beat.member_id = request.member_id;
  if (request.group_instance_id) beat.instance_id = std::string(*request.group_instance_id);
  const ErrorCode code =
      broker.groups().with([&](Groups::Coordinator& coordinator, log::groups::RequestToken token,
                               log::groups::Now now) { coordinator.heartbeat(token, std::move(beat), now); },
                           [answer](Groups::Body&& body) {
                             answer(error_code(std::get<log::groups::HeartbeatReply>(body).error));
                           });
  if (code != ErrorCode::kNone) answer(code);
}

}  // namespace afdg::kafka
