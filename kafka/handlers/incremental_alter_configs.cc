#include "kafka/messages/incremental_alter_configs.h"

#include <algorithm>

#include "kafka/handlers/configs.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {
namespace {

using Config = IncrementalAlterConfigsRequest::Config;

enum Operation : std::int8_t { kSet = 0, kDelete = 1, kAppend = 2, kSubtract = 3 };  // KIP-339

struct Altered {
  CallPtr call;
  IncrementalAlterConfigsRequest request;
  std::vector<Altering> work;
};

std::vector<std::string> items(std::string_view list) {
  std::vector<std::string> out;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) out.emplace_back(item);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return out;
}

/// The list with the items of `change` added or taken out.
std::string changed_list(std::string_view present, std::string_view change, bool append) {
  std::vector<std::string> all = items(present);
  for (const std::string& item : items(change)) {
    const auto found = std::find(all.begin(), all.end(), item);
    if (append && found == all.end()) all.push_back(item);
    if (!append && found != all.end()) all.erase(found);
  }
  std::string out;
  for (const std::string& item : all) out += (out.empty() ? "" : ",") + item;
  return out;
}

void add(const ClusterView& view, const Config& config, Altering& one) {
  const auto refuse = [&](ErrorCode error, const std::string& why) {
    one.error = error;
    one.text = "topic setting " + std::string(config.name.substr(0, 100)) + ": " + why;
  };
  std::string key(config.name);
  if (one.change.config.contains(key)) return refuse(ErrorCode::kInvalidRequest, "it is named twice");
  if (config.config_operation == kDelete) {
    one.change.config.emplace(std::move(key), std::nullopt);
    return;
  }
  if (config.config_operation < kSet || config.config_operation > kSubtract)
    return refuse(ErrorCode::kInvalidRequest, "operation " + std::to_string(config.config_operation) +
                                                  ": use 0 (set), 1 (delete), 2 (append) or 3 (subtract)");
  if (!config.value) return refuse(ErrorCode::kInvalidRequest, "its value is null: delete it instead");
  if (config.config_operation == kSet) {
    one.change.config.emplace(std::move(key), std::string(*config.value));
    return;
  }
  const TopicSetting* setting = find_topic_setting(key);
  if (setting == nullptr || setting->type != SettingType::kList)
    return refuse(ErrorCode::kInvalidConfig,
                  "it is not a list, so nothing can be added to it or taken from it: set it");
  std::string_view present = setting->standard;
  if (const auto* topic = view.find(one.name)) {
    present = topic_standard(*setting, topic->role);
    if (const auto set = topic->config.find(key); set != topic->config.end()) present = set->second;
  }
  one.change.config.emplace(std::move(key),
                            changed_list(present, *config.value, config.config_operation == kAppend));
}

}  // namespace

void handlers::incremental_alter_configs(Broker& broker, const CallPtr& call) {
  const auto altered = std::make_shared<Altered>();
  altered->call = call;
  if (!decode_or_hang_up(*call, altered->request)) return;
  const auto view = broker.cluster().view();
  for (const auto& asked : altered->request.resources) {
    Altering one;
    one.type = asked.resource_type;
    one.name = asked.resource_name;
    for (const Config& config : asked.configs) {
      add(*view, config, one);
      if (one.error != ErrorCode::kNone) break;
    }
    altered->work.push_back(std::move(one));
  }
  alter(broker, altered->work, altered->request.validate_only, [altered] {
    altered->call->reply(altered_response<IncrementalAlterConfigsResponse>(altered->work));
  });
}

}  // namespace afdg::kafka
