#include "kafka/messages/metadata.h"

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"

namespace afdg::kafka {
namespace {

struct Asked {
  CallPtr call;
  MetadataRequest request;
  std::size_t creating = 0;
};

MetadataResponse::Topic described(const ClusterView& view, const ClusterView::Topic& topic) {
  MetadataResponse::Topic out;
  out.name = topic.name;
  out.topic_id = topic_uuid(view, topic.id);
  out.is_internal = topic.kind == TopicKind::kInternal;
  for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
    const auto& partition = topic.partitions[i];
    MetadataResponse::Partition p;
    p.partition_index = static_cast<std::int32_t>(i);
    p.leader_epoch = partition.epoch.value();
    const bool reachable = std::any_of(view.nodes.begin(), view.nodes.end(),
                                       [&](const auto& node) { return node.id == partition.leader; });
    p.replica_nodes = {partition.leader.value()};
    if (reachable) {
      p.leader_id = partition.leader.value();
      p.isr_nodes = p.replica_nodes;
    } else {
      p.leader_id = -1;
      p.error_code = ErrorCode::kLeaderNotAvailable;
      p.offline_replicas = p.replica_nodes;
    }
    out.partitions.push_back(std::move(p));
  }
  return out;
}

void answer(Broker& broker, const Asked& asked) {
  const auto view = broker.cluster().view();
  const MetadataRequest& request = asked.request;
  MetadataResponse response;
  const std::string id = cluster_id(*view);
  response.cluster_id = id;
  response.controller_id = view->self.value();
  for (const auto& node : view->nodes)
    response.brokers.push_back({node.id.value(), node.host, node.port, {}});
  if (!request.topics || (asked.call->version() == 0 && request.topics->empty())) {
    for (const auto& [name, topic] : view->topics) response.topics.push_back(described(*view, topic));
  } else {
    std::unordered_set<std::string_view> told;
    std::set<std::pair<std::uint64_t, std::uint64_t>> told_ids;
    for (const auto& wanted : *request.topics) {
      const bool first = wanted.name ? told.insert(*wanted.name).second
                                     : told_ids.emplace(wanted.topic_id.high, wanted.topic_id.low).second;
      if (!first) continue;  // once, however often it is asked for
      const auto* topic = wanted.name ? view->find(*wanted.name) : find_topic(*view, wanted.topic_id);
      if (topic != nullptr) {
        response.topics.push_back(described(*view, *topic));
        continue;
      }
      MetadataResponse::Topic missing;
      missing.name = wanted.name;
      missing.topic_id = wanted.topic_id;
      missing.error_code = !wanted.name                          ? ErrorCode::kUnknownTopicId
                           : check_topic_name(*wanted.name).ok() ? ErrorCode::kUnknownTopicOrPartition
                                                                 : ErrorCode::kInvalidTopicException;
      response.topics.push_back(std::move(missing));
    }
  }
  if (request.include_topic_authorized_operations) {
    for (auto& topic : response.topics)
      if (topic.error_code == ErrorCode::kNone) topic.topic_authorized_operations = kTopicOperations;
  }
  if (request.include_cluster_authorized_operations)
    response.cluster_authorized_operations = kClusterOperations;
  asked.call->reply(response);
}

}  // namespace

void handlers::metadata(Broker& broker, const CallPtr& call) {
  const auto asked = std::make_shared<Asked>();
  asked->call = call;
  if (!decode_or_hang_up(*call, asked->request)) return;
  std::vector<std::string> missing;
  if (asked->request.topics && asked->request.allow_auto_topic_creation &&
      broker.options().auto_create_topics) {
    const auto view = broker.cluster().view();
    std::unordered_set<std::string_view> seen;
    for (const auto& wanted : *asked->request.topics) {
      // The groups' own topic is made with its own number of partitions, when the first group needs it.
      if (wanted.name && *wanted.name != kOffsetsTopic && view->find(*wanted.name) == nullptr &&
          check_topic_name(*wanted.name).ok() && seen.insert(*wanted.name).second)
        missing.emplace_back(*wanted.name);
    }
  }
  const auto making =
      static_cast<std::int64_t>(missing.size()) * std::int64_t{broker.options().partitions_default};
  if (missing.empty() || !check_request_partitions(broker, call->host(), making).ok())
    return answer(broker, *asked);
  asked->creating = missing.size();
  for (std::string& name : missing) {
    // An error (a grid's name, too many topics) shows as the topic's absence; another client may have made
    // it.
    broker.cluster().create_topic({std::move(name), broker.options().partitions_default, {}},
                                  [&broker, asked](const Status&) {
                                    broker.later([&broker, asked] {
                                      if (--asked->creating == 0) answer(broker, *asked);
                                    });
                                  });
  }
}

}  // namespace afdg::kafka
