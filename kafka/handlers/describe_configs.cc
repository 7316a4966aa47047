#include "kafka/messages/describe_configs.h"

#include <algorithm>
#include <set>
#include <utility>

#include "kafka/handlers/configs.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {
namespace {

using Resource = DescribeConfigsResponse::Resource;
using Config = DescribeConfigsResponse::Config;

bool asked_for(const DescribeConfigsRequest::Resource& asked, std::string_view key) {
  if (!asked.configuration_keys || asked.configuration_keys->empty()) return true;
  const auto& keys = *asked.configuration_keys;
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

void describe_topic(const ClusterView::Topic& topic, const DescribeConfigsRequest& request,
                    const DescribeConfigsRequest::Resource& asked, Resource& out) {
  for (const TopicSetting& setting : topic_settings()) {
    if (!asked_for(asked, setting.key)) continue;
    const std::string_view standard = topic_standard(setting, topic.role);
    const auto set = topic.config.find(std::string(setting.key));
    const bool is_set = set != topic.config.end();
    Config config;
    config.name = setting.key;
    config.value = is_set ? std::string_view(set->second) : standard;
    config.is_default = !is_set;
    config.config_source = is_set ? kFromTopic : kFromDefault;
    config.config_type = static_cast<std::int8_t>(setting.type);
    config.read_only = topic.kind == TopicKind::kInternal;
    if (request.include_synonyms) {
      if (is_set) config.synonyms.push_back({setting.key, set->second, kFromTopic});
      if (!setting.server_key.empty())
        config.synonyms.push_back({setting.server_key, standard, kFromDefault});
    }
    if (request.include_documentation) config.documentation = setting.what;
    out.configs.push_back(std::move(config));
  }
}

void describe_broker(Broker& broker, Call& call, const DescribeConfigsRequest& request,
                     const DescribeConfigsRequest::Resource& asked, Resource& out) {
  for (BrokerSetting& setting : broker_settings(broker)) {
    if (!asked_for(asked, setting.key)) continue;
    Config config;
    config.name = setting.key;
    config.value = call.keep(std::move(setting.value));
    config.read_only = true;
    config.config_source = kFromBroker;
    config.config_type = static_cast<std::int8_t>(setting.type);
    if (request.include_synonyms) config.synonyms.push_back({setting.key, config.value, kFromBroker});
    if (request.include_documentation) config.documentation = setting.what;
    out.configs.push_back(std::move(config));
  }
}

}  // namespace

void handlers::describe_configs(Broker& broker, const CallPtr& call) {
  DescribeConfigsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto view = broker.cluster().view();
  DescribeConfigsResponse response;
  std::set<std::pair<std::int8_t, std::string_view>> told;
  for (const auto& asked : request.resources) {
    if (!told.emplace(asked.resource_type, asked.resource_name).second) continue;
    auto& out = response.results.emplace_back();
    out.resource_type = asked.resource_type;
    out.resource_name = asked.resource_name;
    // Settings of all brokers: there are none, each node has its own.
    if (asked.resource_type == kBrokerResource && asked.resource_name.empty()) continue;
    const ResourceCheck resource = check_resource(*view, asked.resource_type, asked.resource_name);
    out.error_code = resource.error;
    if (resource.error != ErrorCode::kNone) {
      out.error_message = call->keep(resource.text);
    } else if (resource.topic != nullptr) {
      describe_topic(*resource.topic, request, asked, out);
    } else {
      describe_broker(broker, *call, request, asked, out);
    }
  }
  call->reply(response);
}

}  // namespace afdg::kafka
