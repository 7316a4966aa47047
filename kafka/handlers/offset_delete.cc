#include "kafka/messages/offset_delete.h"

#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::offset_delete(Broker& broker, const CallPtr& call) {
  OffsetDeleteRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto refuse = [&](ErrorCode code) {
    OffsetDeleteResponse response;
    response.error_code = code;
    call->reply(response);
  };
  if (const ErrorCode code = broker.groups().check(request.group_id); code != ErrorCode::kNone)
    return refuse(code);
  log::groups::OffsetDeleteRequest wanted;
  wanted.group = request.group_id;
  for (const auto& topic : request.topics) {
    auto& out = wanted.topics.emplace_back();
    out.topic = topic.name;
    for (const auto& partition : topic.partitions) out.partitions.push_back(partition.partition_index);
  }
  const ErrorCode code = broker.groups().with(
      [&](Groups::Coordinator& coordinator, log::groups::RequestToken token, log::groups::Now now) {
        coordinator.delete_offsets(token, std::move(wanted), now);
      },
      [call](Groups::Body&& body) {
        const auto& deleted = std::get<log::groups::OffsetDeleteReply>(body);
        OffsetDeleteResponse response;
        response.error_code = error_code(deleted.error);
        for (const auto& topic : deleted.topics) {
          auto& out = response.topics.emplace_back();
          out.name = topic.topic;
          for (const auto& partition : topic.partitions)
            out.partitions.push_back({partition.partition, error_code(partition.error)});
        }
        call->reply(response);
      });
  if (code != ErrorCode::kNone) refuse(code);
}

}  // namespace afdg::kafka
