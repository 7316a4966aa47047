#include "kafka/messages/offset_for_leader_epoch.h"

#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

// A consumer that changes leaders asks where the epoch it read last ends: behind that its records are others
// (KIP-320).
void handlers::offset_for_leader_epoch(Broker& broker, const CallPtr& call) {
  OffsetForLeaderEpochRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto view = broker.cluster().view();
  OffsetForLeaderEpochResponse response;
  for (const auto& topic : request.topics) {
    auto& out = response.topics.emplace_back();
    out.topic = topic.topic;
    for (const auto& asked : topic.partitions) {
      auto& part = out.partitions.emplace_back();
      part.partition = asked.partition;
      const Place place = find_partition(*view, topic.topic, asked.partition);
      part.error_code = place.error;
      if (part.error_code == ErrorCode::kNone)
        part.error_code = check_epoch(asked.current_leader_epoch, place.epoch);
      if (part.error_code != ErrorCode::kNone || asked.leader_epoch < 0) continue;
      const auto ends = broker.log().ends(place.partition);
      const auto found = broker.log().end_of_epoch(place.partition, Epoch(asked.leader_epoch));
      if (!found.ok() || !ends.ok()) {
        part.error_code = topic_read_error(found.ok() ? ends.code() : found.code());
      } else if (asked.leader_epoch == place.epoch.value()) {
        part.leader_epoch = asked.leader_epoch;  // also when the present leader has written nothing yet
        part.end_offset = ends->end.value();
      } else if (asked.leader_epoch < place.epoch.value()) {
        part.leader_epoch = found->epoch.value();
        part.end_offset = found->end.value();
      }
    }
  }
  call->reply(response);
}

}  // namespace afdg::kafka
