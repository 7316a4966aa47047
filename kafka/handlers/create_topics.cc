#include "kafka/messages/create_topics.h"

#include <set>
#include <unordered_map>
#include <utility>

#include "base/topic_settings.h"
#include "kafka/handlers/configs.h"
#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"

namespace afdg::kafka {
namespace {

struct Creating {
  CallPtr call;
  CreateTopicsRequest request;
  CreateTopicsResponse response;
  std::size_t left = 1;
  void done() {
    if (--left == 0) call->reply(response);
  }
};

/// What is asked for, with defaults filled in. Errors: kInvalidArgument; `code` says which kind.
Result<Cluster::NewTopic> wanted_topic(const Broker& broker, const ClusterView& view,
                                       const CreateTopicsRequest::Topic& asked, ErrorCode& code) {
  Cluster::NewTopic topic;
  topic.name = asked.name;
  code = ErrorCode::kInvalidTopicException;
  AFDG_TRY(check_topic_name(asked.name));
  code = ErrorCode::kTopicAlreadyExists;
  if (view.find(asked.name) != nullptr)
    return fail(Code::kAlreadyExists, "Topic '" + topic.name + "' already exists.");
  topic.partitions = asked.num_partitions;
  if (!asked.assignments.empty()) {
    code = ErrorCode::kInvalidRequest;
    if (asked.num_partitions != -1 || asked.replication_factor != -1)
      return fail(Code::kInvalidArgument,
                  "both a replica assignment and numbers of partitions and replicas: give one of them");
    code = ErrorCode::kInvalidReplicaAssignment;
    std::set<std::int32_t> indexes;
    for (const auto& one : asked.assignments) {
      if (one.broker_ids.size() != 1 || one.broker_ids[0] != view.self.value() || view.nodes.size() != 1 ||
          !indexes.insert(one.partition_index).second)
        return fail(Code::kInvalidArgument,
                    "the replica assignment: every partition has one replica, and the cluster places it");
    }
    if (*indexes.begin() != 0 || *indexes.rbegin() != static_cast<std::int32_t>(indexes.size()) - 1)
      return fail(Code::kInvalidArgument, "the replica assignment: partitions are numbered from 0 on");
    topic.partitions = static_cast<std::int32_t>(indexes.size());
  } else if (asked.num_partitions == -1) {
    topic.partitions = broker.options().partitions_default;
  }
  code = ErrorCode::kInvalidPartitions;
  if (topic.partitions < 1 || topic.partitions > broker.options().partitions_max)
    return fail(Code::kInvalidArgument, "Number of partitions " + std::to_string(topic.partitions) +
                                            ": take 1 to " + std::to_string(broker.options().partitions_max));
  code = ErrorCode::kInvalidReplicationFactor;
  if (asked.assignments.empty() && asked.replication_factor != -1 && asked.replication_factor != 1)
    return fail(Code::kInvalidArgument, "Replication factor " + std::to_string(asked.replication_factor) +
                                            ": there is one copy of each partition yet: take 1, or -1");
  code = ErrorCode::kInvalidConfig;
  for (const auto& config : asked.configs) {
    if (!config.value)
      return fail(Code::kInvalidArgument,
                  "Null value for the topic configuration " + std::string(config.name));
    topic.config.insert_or_assign(std::string(config.name), std::string(*config.value));
  }
  AFDG_TRY(read_topic_settings(topic.config).status());
  code = ErrorCode::kNone;
  return topic;
}

/// All settings of a topic that is made with these (KIP-525).
std::vector<CreateTopicsResponse::Config> described(Call& call, const TopicConfig& config) {
  std::vector<CreateTopicsResponse::Config> all;
  all.reserve(topic_settings().size());
  for (const TopicSetting& setting : topic_settings()) {
    auto& one = all.emplace_back();
    one.name = setting.key;
    one.value = setting.standard;
    one.config_source = kFromDefault;
    const auto set = config.find(std::string(setting.key));
    if (set == config.end()) continue;
    one.value = call.keep(set->second);
    one.config_source = kFromTopic;
  }
  return all;
}

}  // namespace

void handlers::create_topics(Broker& broker, const CallPtr& call) {
  const auto creating = std::make_shared<Creating>();
  creating->call = call;
  CreateTopicsRequest& request = creating->request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto view = broker.cluster().view();
  std::unordered_map<std::string_view, std::size_t> names;
  for (const auto& topic : request.topics) ++names[topic.name];
  // Each of them makes a partition at least: so many are not looked at. One sentence is enough.
  if (const Status fits =
          check_request_partitions(broker, call->host(), static_cast<std::int64_t>(names.size()));
      !fits.ok()) {
    for (const auto& [name, times] : names) {
      auto& out = creating->response.topics.emplace_back();
      out.name = name;
      out.error_code = ErrorCode::kPolicyViolation;
    }
    creating->response.topics.front().error_message = call->keep(fits.error().text());
    return creating->done();
  }
  std::vector<std::pair<std::size_t, Cluster::NewTopic>> wanted;
  for (const auto& asked : request.topics) {
    const std::size_t named = std::exchange(names[asked.name], 0);
    if (named == 0) continue;  // was told that it is named twice
    auto& out = creating->response.topics.emplace_back();
    out.name = asked.name;
    if (named > 1) {
      out.error_code = ErrorCode::kInvalidRequest;
      out.error_message = "the topic is named twice in this request";
      continue;
    }
    auto topic = wanted_topic(broker, *view, asked, out.error_code);
    if (!topic.ok()) {
      out.error_message = call->keep(topic.error().text());
      continue;
    }
    out.num_partitions = topic->partitions;
    out.replication_factor = 1;
    constexpr std::int16_t kConfigsSince = 5;
    if (call->version() >= kConfigsSince) out.configs = described(*call, topic->config);
    if (!request.validate_only) wanted.emplace_back(creating->response.topics.size() - 1, std::move(*topic));
  }
  std::int64_t partitions = 0;
  for (const auto& topic : creating->response.topics)
    if (topic.error_code == ErrorCode::kNone) partitions += topic.num_partitions;
  if (const Status fits = check_request_partitions(broker, call->host(), partitions); !fits.ok()) {
    for (auto& out : creating->response.topics) {
      if (out.error_code != ErrorCode::kNone) continue;
      CreateTopicsResponse::Topic refused;
      refused.name = out.name;
      refused.error_code = ErrorCode::kPolicyViolation;
      refused.error_message = call->keep(fits.error().text());
      out = std::move(refused);
    }
    return creating->done();
  }
  creating->left += wanted.size();
  for (auto& [index, topic] : wanted) {
    const std::string name = topic.name;
    broker.cluster().create_topic(
        std::move(topic), [&broker, creating, index = index, name](const Status& created) {
          broker.later([&broker, creating, index, name, created] {
            auto& out = creating->response.topics[index];
            if (created.ok()) {
              const auto now = broker.cluster().view();
              if (const auto* made = now->find(name)) out.topic_id = topic_uuid(*now, made->id);
            } else {
              out.error_code = created.code() == Code::kInvalidArgument ? ErrorCode::kInvalidConfig
                                                                        : topic_error(created.code());
              out.error_message = creating->call->keep(created.error().text());
            }
            creating->done();
          });
        });
  }
  creating->done();
}

}  // namespace afdg::kafka
