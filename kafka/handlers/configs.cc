#include "kafka/handlers/configs.h"

#include <map>
#include <utility>

#include "kafka/handlers/topics.h"

namespace afdg::kafka {
namespace {

std::string number(std::int64_t value) { return std::to_string(value); }

/// As the topic would be with the change. Errors: kInvalidArgument, kPermissionDenied.
Status check_change(const ClusterView::Topic& topic, const Cluster::TopicChange& change) {
  if (topic.kind == TopicKind::kInternal)
    return fail(Code::kPermissionDenied, "the topic belongs to the cluster itself: it keeps its settings");
  TopicConfig config = change.replace ? TopicConfig() : topic.config;
  for (const auto& [key, value] : change.config) {
    if (topic.role != TopicRole::kPlain) AFDG_TRY(check_grid_setting(topic.role, key));
    if (value) {
      config.insert_or_assign(key, *value);
    } else if (find_topic_setting(key) == nullptr) {
      return check_topic_setting(key, "");
    } else {
      config.erase(key);
    }
  }
  return read_topic_settings(config, topic.role).status();
}

void judge(Altering& one, const Status& status) {
  if (status.ok()) return;
  one.error =
      status.code() == Code::kInvalidArgument ? ErrorCode::kInvalidConfig : topic_error(status.code());
  one.text = status.error().text();
}

}  // namespace

ResourceCheck check_resource(const ClusterView& view, std::int8_t type, std::string_view name) {
  ResourceCheck out;
  const std::string shown(name.substr(0, 249));
  if (type == kTopicResource) {
    out.topic = view.find(name);
    if (out.topic != nullptr) return out;
    const Status sound = check_topic_name(name);
    out.error = sound.ok() ? ErrorCode::kUnknownTopicOrPartition : ErrorCode::kInvalidTopicException;
    out.text = sound.ok() ? "no topic is named '" + shown + "'" : sound.error().text();
  } else if (type == kBrokerResource) {
    if (name == number(view.self.value())) return out;
    out.error = ErrorCode::kInvalidRequest;
    out.text = "broker '" + shown + "': ask that broker itself, this one is " + number(view.self.value());
  } else {
    out.error = ErrorCode::kInvalidRequest;
    out.text = "resource type " + number(type) + " has no settings here: topics (2) and brokers (4) have";
  }
  return out;
}

std::vector<BrokerSetting> broker_settings(const Broker& broker) {
  const BrokerOptions& o = broker.options();
  const auto view = broker.cluster().view();
  std::string listeners;
  for (const auto& node : view->nodes)
    if (node.id == view->self) listeners = "PLAINTEXT://" + node.host + ":" + std::to_string(node.port);
  using enum SettingType;
  std::vector<BrokerSetting> all{
      {"advertised.listeners", kString, listeners, "what clients are told (--kafka-advertise)"},
      {"auto.create.topics.enable", kBoolean, o.auto_create_topics ? "true" : "false", "--kafka-auto-create"},
      {"broker.id", kInt, number(view->self.value()), "the node's id"},
      {"connections.max.idle.ms", kLong, number(o.idle_max.count()), "--kafka-idle-ms"},
      {"default.replication.factor", kInt, "1", "there is one copy of each partition yet"},
      {"fetch.max.bytes", kInt, number(static_cast<std::int64_t>(o.fetch_bytes_max)),
       "largest answer to a fetch"},
      {"group.initial.rebalance.delay.ms", kInt, number(o.groups.initial_rebalance_delay.count()),
       "how long a new group waits for more members"},
      {"group.max.session.timeout.ms", kInt, number(o.groups.session_timeout_max.count()),
       "longest session of a member"},
      {"group.max.size", kInt, number(static_cast<std::int64_t>(o.groups.members_max)),
       "members of one group"},
      {"group.min.session.timeout.ms", kInt, number(o.groups.session_timeout_min.count()),
       "shortest session of a member"},
      {"log.dirs", kString, broker.log_directory(), "the node's log"},
      {"node.id", kInt, number(view->self.value()), "the node's id"},
      {"num.partitions", kInt, number(o.partitions_default), "--kafka-partitions-default"},
      {"offsets.retention.minutes", kInt,
       number(std::chrono::duration_cast<std::chrono::minutes>(o.groups.offset_retention).count()),
       "how long the offsets of an empty group are kept"},
      {"offsets.topic.num.partitions", kInt, number(o.offsets_partitions),
       "of __consumer_offsets when it is made"},
      {"socket.request.max.bytes", kInt, number(static_cast<std::int64_t>(o.request_bytes_max)),
       "--kafka-request-bytes-max"},
  };
  for (const TopicSetting& setting : topic_settings()) {
    if (!setting.server_key.empty())
      all.push_back({setting.server_key, setting.type, std::string(setting.standard),
                     "the default of topics that do not set it"});
  }
  return all;
}

void alter(Broker& broker, std::vector<Altering>& work, bool validate_only, std::function<void()> done) {
  const auto view = broker.cluster().view();
  std::map<std::pair<std::int8_t, std::string_view>, std::size_t> named;
  for (const Altering& one : work) ++named[{one.type, one.name}];
  struct Left {
    std::size_t count = 1;
    std::function<void()> done;
    void end() {
      if (--count == 0) done();
    }
  };
  const auto left = std::make_shared<Left>();
  left->done = std::move(done);
  for (Altering& one : work) {
    if (one.error != ErrorCode::kNone) continue;
    if (named[{one.type, one.name}] > 1) {
      one.error = ErrorCode::kInvalidRequest;
      one.text = "the resource is named twice in this request";
      continue;
    }
    ResourceCheck resource = check_resource(*view, one.type, one.name);
    if (resource.error == ErrorCode::kNone && resource.topic == nullptr) {
      resource.error = ErrorCode::kInvalidRequest;
      resource.text = "the settings of a node are flags of its program: see docs/configuration.md";
    }
    one.error = resource.error;
    one.text = std::move(resource.text);
    if (one.error != ErrorCode::kNone) continue;
    judge(one, check_change(*resource.topic, one.change));
    if (one.error != ErrorCode::kNone || validate_only) continue;
    ++left->count;
    one.change.name = resource.topic->name;
    broker.cluster().change_topic(std::move(one.change), [&broker, &one, left](const Status& changed) {
      broker.later([&one, left, changed] {
        judge(one, changed);
        left->end();
      });
    });
  }
  left->end();
}

}  // namespace afdg::kafka
