#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/topic_settings.h"
#include "kafka/broker/broker.h"

// What the handlers of settings have in common.
namespace afdg::kafka {

inline constexpr std::int8_t kTopicResource = 2;
inline constexpr std::int8_t kBrokerResource = 4;

// Where a value is from, by Kafka's numbers.
inline constexpr std::int8_t kFromTopic = 1;
inline constexpr std::int8_t kFromBroker = 4;
inline constexpr std::int8_t kFromDefault = 5;

/// The thing that settings are of. Neither a topic nor an error: this broker.
struct ResourceCheck {
  ErrorCode error = ErrorCode::kNone;
  std::string text;
  const ClusterView::Topic* topic = nullptr;
};
[[nodiscard]] ResourceCheck check_resource(const ClusterView& view, std::int8_t type, std::string_view name);

/// A setting of the node that Kafka's clients know; they can read it, not change it.
struct BrokerSetting {
  std::string_view key;
  SettingType type;
  std::string value;
  std::string_view what;
};
[[nodiscard]] std::vector<BrokerSetting> broker_settings(const Broker& broker);

/// One resource whose settings are to change, and what becomes of it.
struct Altering {
  std::int8_t type = 0;
  std::string_view name;
  Cluster::TopicChange change;
  ErrorCode error = ErrorCode::kNone;
  std::string text;
};
/// Judges them, changes what is sound unless `validate_only`, and calls `done` on the loop with what became
/// of each. `work` outlives it.
void alter(Broker& broker, std::vector<Altering>& work, bool validate_only, std::function<void()> done);

/// The answer to AlterConfigs or IncrementalAlterConfigs: for each resource what became of it.
template <class Response>
[[nodiscard]] Response altered_response(const std::vector<Altering>& work) {
  Response response;
  for (const Altering& one : work) {
    auto& out = response.responses.emplace_back();
    out.error_code = one.error;
    if (one.error != ErrorCode::kNone) out.error_message = one.text;
    out.resource_type = one.type;
    out.resource_name = one.name;
  }
  return response;
}

}  // namespace afdg::kafka
