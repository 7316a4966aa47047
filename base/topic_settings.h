#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace afdg {

/// Kafka's numbers for the types of settings, as DescribeConfigs sends them.
enum class SettingType : std::uint8_t {
  kBoolean = 1,
  kString = 2,
  kInt = 3,
  kShort = 4,
  kLong = 5,
  kDouble = 6,
  kList = 7,
};

/// Whose topic it is: a grid's own have other defaults.
enum class TopicRole : std::uint8_t { kPlain, kMessages, kChanges, kDead };
/// Of a topic that belongs to a grid, by its name.
[[nodiscard]] TopicRole grid_topic_role(std::string_view topic) noexcept;

/// One key of topic_settings.def.
struct TopicSetting {
  std::string_view key;
  SettingType type = SettingType::kString;
  std::string_view standard;  ///< the value of a plain topic that does not set it
  std::int64_t least = 0;     ///< of numbers that act
  std::int64_t most = 0;
  std::string_view server_key;  ///< what Kafka calls the server-wide default; may be empty
  bool acts = false;            ///< false: only `standard` is accepted
  std::string_view what;
};

/// All keys, in alphabetical order.
[[nodiscard]] std::span<const TopicSetting> topic_settings() noexcept;
[[nodiscard]] const TopicSetting* find_topic_setting(std::string_view key) noexcept;
/// The value of a topic of that role that does not set it.
[[nodiscard]] std::string_view topic_standard(const TopicSetting& setting, TopicRole role) noexcept;

/// What was set for a topic, by key.
using TopicConfig = std::map<std::string, std::string>;

/// What a topic's settings come to; what is not set has its default.
struct TopicSettings {
  bool cleanup_delete = true;
  bool cleanup_compact = false;
  std::int64_t delete_retention_ms = 86'400'000;
  bool relaxed = false;
  std::int64_t max_compaction_lag_ms = INT64_MAX;
  std::int64_t max_message_bytes = 1'048'588;
  std::int64_t timestamp_after_max_ms = 3'600'000;
  std::int64_t timestamp_before_max_ms = INT64_MAX;
  bool log_append_time = false;
  double min_cleanable_dirty_ratio = 0.5;
  std::int64_t min_compaction_lag_ms = 0;
  std::optional<std::int64_t> retention_bytes;
  std::optional<std::int64_t> retention_ms = 604'800'000;
  std::int64_t segment_bytes = 67'108'864;
  std::int64_t segment_ms = 604'800'000;
};

/// What is set must have its effect: an unknown key, an unreadable value, one out of its bounds, and one that
/// would not act are refused. Errors: kInvalidArgument, naming key, value and remedy.
Status check_topic_setting(std::string_view key, std::string_view value);
/// All of them. Errors: as check_topic_setting(); min.compaction.lag.ms above max.compaction.lag.ms.
Result<TopicSettings> read_topic_settings(const TopicConfig& config, TopicRole role = TopicRole::kPlain);
/// What may be set for a grid's topic: how long and in what portions it is kept, never what keeps the grid
/// whole. Errors: kPermissionDenied.
Status check_grid_setting(TopicRole role, std::string_view key);

}  // namespace afdg
