#include "kafka/messages/describe_topic_partitions.h"

#include <algorithm>
#include <set>
#include <utility>

#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"

namespace afdg::kafka {
namespace {

using Response = DescribeTopicPartitionsResponse;
constexpr std::int32_t kPageMax = 2000;  // max.request.partition.size.limit

Response::Partition described(const ClusterView& view, const ClusterView::Topic& topic, std::size_t index) {
  const auto& placed = topic.partitions[index];
  Response::Partition out;
  out.partition_index = static_cast<std::int32_t>(index);
  out.leader_epoch = placed.epoch.value();
  out.replica_nodes = {placed.leader.value()};
  out.eligible_leader_replicas.emplace();
  out.last_known_elr.emplace();
  if (std::any_of(view.nodes.begin(), view.nodes.end(),
                  [&](const auto& n) { return n.id == placed.leader; })) {
    out.leader_id = placed.leader.value();
    out.isr_nodes = out.replica_nodes;
  } else {
    out.leader_id = -1;
    out.error_code = ErrorCode::kLeaderNotAvailable;
    out.offline_replicas = out.replica_nodes;
  }
  return out;
}

}  // namespace

void handlers::describe_topic_partitions(Broker& broker, const CallPtr& call) {
  DescribeTopicPartitionsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto view = broker.cluster().view();
  Response response;
  // In the order of names, so that a cursor says what is left.
  std::set<std::string_view> names;
  for (const auto& asked : request.topics) names.insert(asked.name);
  if (request.topics.empty())
    for (const auto& [name, topic] : view->topics) names.insert(name);
  std::int32_t left = std::clamp(request.response_partition_limit, 1, kPageMax);
  for (const std::string_view name : names) {
    if (request.cursor && name < request.cursor->topic_name) continue;
    const std::int32_t from = request.cursor && name == request.cursor->topic_name
                                  ? std::max(0, request.cursor->partition_index)
                                  : 0;
    if (left == 0) {
      response.next_cursor = TopicCursor{name, from};
      break;
    }
    Response::Topic out;
    out.name = name;
    const auto* topic = view->find(name);
    if (topic == nullptr) {
      out.error_code = check_topic_name(name).ok() ? ErrorCode::kUnknownTopicOrPartition
                                                   : ErrorCode::kInvalidTopicException;
      response.topics.push_back(std::move(out));
      continue;
    }
    out.topic_id = topic_uuid(*view, topic->id);
    out.is_internal = topic->kind == TopicKind::kInternal;
    out.topic_authorized_operations = kTopicOperations;
    std::size_t index = static_cast<std::size_t>(from);
    for (; index < topic->partitions.size() && left > 0; ++index, --left)
      out.partitions.push_back(described(*view, *topic, index));
    response.topics.push_back(std::move(out));
    if (index < topic->partitions.size()) {
      response.next_cursor = TopicCursor{name, static_cast<std::int32_t>(index)};
      break;
    }
  }
  call->reply(response);
}

}  // namespace afdg::kafka
