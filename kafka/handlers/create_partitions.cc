#include "kafka/messages/create_partitions.h"

#include <unordered_map>
#include <utility>

#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"

namespace afdg::kafka {
namespace {

struct Growing {
  CallPtr call;
  CreatePartitionsRequest request;
  CreatePartitionsResponse response;
  std::size_t left = 1;
  void done() {
    if (--left == 0) call->reply(response);
  }
};

/// Whether the topic can have so many. Gives the error and its sentence.
std::pair<ErrorCode, std::string> judge(const Broker& broker, const ClusterView& view,
                                        const CreatePartitionsRequest::Topic& asked) {
  const auto* topic = view.find(asked.name);
  if (topic == nullptr) return {ErrorCode::kUnknownTopicOrPartition, "there is no such topic"};
  if (topic->kind == TopicKind::kInternal)
    return {ErrorCode::kTopicAuthorizationFailed, "which partition a group has depends on their number"};
  if (topic->kind != TopicKind::kPlain)
    return {ErrorCode::kTopicAuthorizationFailed,
            "the topic belongs to a grid: it has one partition a region"};
  const auto present = static_cast<std::int32_t>(topic->partitions.size());
  if (asked.count <= present || asked.count > broker.options().partitions_max) {
    return {ErrorCode::kInvalidPartitions, "The topic currently has " + std::to_string(present) +
                                               " partition(s); " + std::to_string(asked.count) +
                                               " is not more, or above " +
                                               std::to_string(broker.options().partitions_max)};
  }
  if (!asked.assignments) return {};
  if (static_cast<std::int32_t>(asked.assignments->size()) != asked.count - present)
    return {ErrorCode::kInvalidReplicaAssignment,
            std::to_string(asked.assignments->size()) + " assignments for " +
                std::to_string(asked.count - present) + " new partitions: give one for each, or none"};
  for (const auto& assignment : *asked.assignments) {
    if (view.nodes.size() != 1 || assignment.broker_ids.size() != 1 ||
        assignment.broker_ids[0] != view.self.value())
      return {ErrorCode::kInvalidReplicaAssignment,
              "every partition has one replica, and the cluster places it: give no assignments"};
  }
  return {};
}

}  // namespace

void handlers::create_partitions(Broker& broker, const CallPtr& call) {
  const auto growing = std::make_shared<Growing>();
  growing->call = call;
  if (!decode_or_hang_up(*call, growing->request)) return;
  const auto view = broker.cluster().view();
  std::unordered_map<std::string_view, std::size_t> names;
  for (const auto& topic : growing->request.topics) ++names[topic.name];
  std::vector<std::pair<std::size_t, Cluster::TopicChange>> wanted;
  std::int64_t added = 0;
  for (const auto& asked : growing->request.topics) {
    const std::size_t named = std::exchange(names[asked.name], 0);
    if (named == 0) continue;  // was told that it is named twice
    auto& out = growing->response.results.emplace_back();
    out.name = asked.name;
    auto [error, text] = named > 1 ? std::pair(ErrorCode::kInvalidRequest,
                                               std::string("the topic is named twice in this request"))
                                   : judge(broker, *view, asked);
    out.error_code = error;
    if (error != ErrorCode::kNone) {
      out.error_message = call->keep(std::move(text));
      continue;
    }
    added += asked.count - static_cast<std::int32_t>(view->find(asked.name)->partitions.size());
    if (!growing->request.validate_only) {
      Cluster::TopicChange change;
      change.name = asked.name;
      change.partitions = asked.count;
      wanted.emplace_back(growing->response.results.size() - 1, std::move(change));
    }
  }
  if (const Status fits = check_request_partitions(broker, call->host(), added); !fits.ok()) {
    for (auto& out : growing->response.results) {
      if (out.error_code != ErrorCode::kNone) continue;
      out.error_code = ErrorCode::kPolicyViolation;
      out.error_message = call->keep(fits.error().text());
    }
    return growing->done();
  }
  growing->left += wanted.size();
  for (auto& [index, change] : wanted) {
    broker.cluster().change_topic(std::move(change), [&broker, growing, index = index](const Status& grown) {
      broker.later([growing, index, grown] {
        auto& out = growing->response.results[index];
        if (!grown.ok()) {
          out.error_code = grown.code() == Code::kInvalidArgument ? ErrorCode::kInvalidPartitions
                                                                  : topic_error(grown.code());
          out.error_message = growing->call->keep(grown.error().text());
        }
        growing->done();
      });
    });
  }
  growing->done();
}

}  // namespace afdg::kafka
