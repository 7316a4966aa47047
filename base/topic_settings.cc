#include "base/topic_settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <tuple>

namespace afdg {
namespace {

constexpr std::int64_t kLongMax = INT64_MAX;
// clang-format off
constexpr auto kSettings = std::to_array<TopicSetting>({
#define AFDG_TOPIC_SETTING(key, type, standard, least, most, server_key, acts, what) \
  {key, SettingType::type, standard, least, most, server_key, acts, what},
#include "base/topic_settings.def"
#undef AFDG_TOPIC_SETTING
});
// clang-format on

Error refuse(std::string_view key, std::string_view value, const std::string& remedy) {
  constexpr std::size_t kShown = 100;
  return fail(Code::kInvalidArgument, "topic setting " + std::string(key.substr(0, kShown)) + " '" +
                                          std::string(value.substr(0, kShown)) + "': " + remedy);
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

/// The policies in a list with commas; nothing when one is unknown.
std::optional<std::pair<bool, bool>> read_policy(std::string_view list) {
  bool removes = false, compacts = false;
  while (true) {
    const std::size_t comma = list.find(',');
    const std::string_view one = trimmed(list.substr(0, comma));
    if (one == "delete") {
      removes = true;
    } else if (one == "compact") {
      compacts = true;
    } else {
      return std::nullopt;
    }
    if (comma == std::string_view::npos) return std::pair(removes, compacts);
    list.remove_prefix(comma + 1);
  }
}

Status check_value(const TopicSetting& setting, std::string_view value) {
  const auto one_of = [&](std::string_view a, std::string_view b) -> Status {
    if (value == a || value == b) return {};
    return refuse(setting.key, value, "use " + std::string(a) + " or " + std::string(b));
  };
  switch (setting.type) {
    case SettingType::kInt:
    case SettingType::kShort:
    case SettingType::kLong: {
      const auto read = number<std::int64_t>(value);
      if (read && *read >= setting.least && *read <= setting.most) return {};
      return refuse(
          setting.key, value,
          "give a whole number, " + std::to_string(setting.least) + " to " + std::to_string(setting.most));
    }
    case SettingType::kDouble: {
      const auto read = number<double>(value);
      if (read && std::isfinite(*read) && *read >= static_cast<double>(setting.least) &&
          *read <= static_cast<double>(setting.most))
        return {};
      return refuse(
          setting.key, value,
          "give a number, " + std::to_string(setting.least) + " to " + std::to_string(setting.most));
    }
    case SettingType::kBoolean:
      return one_of("true", "false");
    case SettingType::kList:
      if (read_policy(value)) return {};
      return refuse(setting.key, value, "use delete, compact, or delete,compact");
    case SettingType::kString:
      break;
  }
  return setting.key == "durability" ? one_of("synced", "relaxed") : one_of("CreateTime", "LogAppendTime");
}

struct RoleStandard {
  TopicRole role;
  std::string_view key;
  std::string_view standard;
};
constexpr auto kRoleStandards = std::to_array<RoleStandard>({
    {TopicRole::kChanges, "cleanup.policy", "compact"},
    {TopicRole::kChanges, "delete.retention.ms", "3600000"},
    {TopicRole::kChanges, "retention.ms", "-1"},
    {TopicRole::kMessages, "retention.bytes", "1073741824"},
});

std::optional<std::int64_t> unless_negative(std::int64_t value) {
  return value < 0 ? std::nullopt : std::optional(value);
}

}  // namespace

std::span<const TopicSetting> topic_settings() noexcept { return kSettings; }

const TopicSetting* find_topic_setting(std::string_view key) noexcept {
  const auto found =
      std::lower_bound(kSettings.begin(), kSettings.end(), key,
                       [](const TopicSetting& one, std::string_view k) { return one.key < k; });
  return found != kSettings.end() && found->key == key ? &*found : nullptr;
}

std::string_view topic_standard(const TopicSetting& setting, TopicRole role) noexcept {
  for (const RoleStandard& one : kRoleStandards)
    if (one.role == role && one.key == setting.key) return one.standard;
  return setting.standard;
}

TopicRole grid_topic_role(std::string_view topic) noexcept {
  if (topic.ends_with(".messages")) return TopicRole::kMessages;
  return topic.ends_with(".changes") ? TopicRole::kChanges : TopicRole::kDead;
}

Status check_grid_setting(TopicRole role, std::string_view key) {
  const bool changes = role == TopicRole::kChanges;  // the grid is rebuilt from them
  const bool compaction = key == "min.compaction.lag.ms" || key == "max.compaction.lag.ms" ||
                          key == "min.cleanable.dirty.ratio" || key == "delete.retention.ms";
  if (key.starts_with("segment.") || (changes ? compaction : key.starts_with("retention."))) return {};
  return fail(
      Code::kPermissionDenied,
      "topic setting " + std::string(key.substr(0, 100)) +
          ": the topic belongs to a grid, which depends on it: set " +
          (changes ? "segment.*, *.compaction.lag.ms, min.cleanable.dirty.ratio or delete.retention.ms"
                   : "segment.* or retention.*"));
}

Status check_topic_setting(std::string_view key, std::string_view value) {
  const TopicSetting* setting = find_topic_setting(key);
  if (setting == nullptr) return refuse(key, value, "no such setting: docs/topic-settings.md lists them");
  if (setting->acts) return check_value(*setting, value);
  if (value == setting->standard) return {};
  return refuse(key, value,
                "it does not act here (" + std::string(setting->what) +
                    "): leave it out, or give its default '" + std::string(setting->standard) + "'");
}

Result<TopicSettings> read_topic_settings(const TopicConfig& config, TopicRole role) {
  TopicSettings out;
  TopicConfig all = config;
  for (const auto& [key, value] : config) AFDG_TRY(check_topic_setting(key, value));
  for (const RoleStandard& one : kRoleStandards)
    if (one.role == role) all.emplace(one.key, one.standard);
  for (const auto& [key, value] : all) {
    const auto whole = [&v = value] { return number<std::int64_t>(v).value_or(0); };
    if (key == "cleanup.policy") {
      std::tie(out.cleanup_delete, out.cleanup_compact) = *read_policy(value);
    } else if (key == "delete.retention.ms") {
      out.delete_retention_ms = whole();
    } else if (key == "durability") {
      out.relaxed = value == "relaxed";
    } else if (key == "max.compaction.lag.ms") {
      out.max_compaction_lag_ms = whole();
    } else if (key == "max.message.bytes") {
      out.max_message_bytes = whole();
    } else if (key == "message.timestamp.after.max.ms") {
      out.timestamp_after_max_ms = whole();
    } else if (key == "message.timestamp.before.max.ms") {
      out.timestamp_before_max_ms = whole();
    } else if (key == "message.timestamp.type") {
      out.log_append_time = value == "LogAppendTime";
    } else if (key == "min.cleanable.dirty.ratio") {
      out.min_cleanable_dirty_ratio = number<double>(value).value_or(0.5);
    } else if (key == "min.compaction.lag.ms") {
      out.min_compaction_lag_ms = whole();
    } else if (key == "retention.bytes") {
      out.retention_bytes = unless_negative(whole());
    } else if (key == "retention.ms") {
      out.retention_ms = unless_negative(whole());
    } else if (key == "segment.bytes") {
      out.segment_bytes = whole();
    } else if (key == "segment.ms") {
      out.segment_ms = whole();
    }
  }
  if (out.min_compaction_lag_ms > out.max_compaction_lag_ms) {
    return refuse("min.compaction.lag.ms", std::to_string(out.min_compaction_lag_ms),
                  "it is above max.compaction.lag.ms " + std::to_string(out.max_compaction_lag_ms) +
                      ": lower it or raise the other");
  }
  return out;
}

}  // namespace afdg
