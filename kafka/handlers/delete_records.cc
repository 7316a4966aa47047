#include "kafka/messages/delete_records.h"

#include <utility>

#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"

namespace afdg::kafka {
namespace {

struct Start {
  std::size_t topic;
  std::size_t partition;
  TopicPartition id;
  Offset to;
  ErrorCode error = ErrorCode::kNone;
  std::int64_t low = -1;
};

struct Deleting {
  CallPtr call;
  DeleteRecordsRequest request;
  DeleteRecordsResponse response;
  std::vector<Start> starts;
};

constexpr std::int64_t kToTheEnd = -1;  // all that is committed

/// Where the start is to be, or why not.
ErrorCode judge(Broker& broker, const Place& place, std::int64_t asked, Offset& to) {
  if (place.error != ErrorCode::kNone) return place.error;
  if (place.topic->kind == TopicKind::kInternal) return ErrorCode::kInvalidTopicException;
  if (place.topic->kind != TopicKind::kPlain) return ErrorCode::kTopicAuthorizationFailed;
  if (!place.topic->settings.cleanup_delete) return ErrorCode::kPolicyViolation;
  const auto ends = broker.log().ends(place.partition);
  if (!ends.ok()) return topic_read_error(ends.code());
  to = asked == kToTheEnd ? ends->end : Offset(asked);
  return to < Offset(0) || to > ends->end ? ErrorCode::kOffsetOutOfRange : ErrorCode::kNone;
}

}  // namespace

void handlers::delete_records(Broker& broker, const CallPtr& call) {
  const auto deleting = std::make_shared<Deleting>();
  deleting->call = call;
  if (!decode_or_hang_up(*call, deleting->request)) return;
  const auto view = broker.cluster().view();
  for (const auto& topic : deleting->request.topics) {
    auto& out = deleting->response.topics.emplace_back();
    out.name = topic.name;
    for (const auto& asked : topic.partitions) {
      auto& part = out.partitions.emplace_back();
      part.partition_index = asked.partition_index;
      part.low_watermark = -1;
      const Place place = find_partition(*view, topic.name, asked.partition_index);
      Offset to;
      part.error_code = judge(broker, place, asked.offset, to);
      if (part.error_code == ErrorCode::kNone)
        deleting->starts.push_back(
            {deleting->response.topics.size() - 1, out.partitions.size() - 1, place.partition, to});
    }
  }
  if (deleting->starts.empty()) return call->reply(deleting->response);
  // Each start is durable before it is answered, so that it is not done on the broker's own thread.
  broker.cluster().run(
      [deleting, log = &broker.log()]() -> Status {
        for (Start& one : deleting->starts) {
          const Status moved = log->advance_start(one.id, one.to);
          const auto ends = log->ends(one.id);
          if (!moved.ok() || !ends.ok()) {
            one.error = topic_read_error(moved.ok() ? ends.code() : moved.code());
          } else {
            one.low = ends->start.value();
          }
        }
        return {};
      },
      [&broker, deleting](const Status& ran) {
        broker.later([deleting, ran] {
          for (const Start& one : deleting->starts) {
            auto& part = deleting->response.topics[one.topic].partitions[one.partition];
            part.error_code = ran.ok() ? one.error : topic_error(ran.code());
            part.low_watermark = one.low;
          }
          deleting->call->reply(deleting->response);
        });
      });
}

}  // namespace afdg::kafka
