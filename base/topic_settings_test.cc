#include "base/topic_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace afdg {
namespace {

using ::testing::HasSubstr;

TEST(TopicSettings, AreInOrderAndEachAcceptsItsDefault) {
  EXPECT_TRUE(std::is_sorted(topic_settings().begin(), topic_settings().end(),
                             [](const auto& a, const auto& b) { return a.key < b.key; }));
  for (const TopicSetting& setting : topic_settings()) {
    EXPECT_EQ(find_topic_setting(setting.key), &setting);
    EXPECT_TRUE(check_topic_setting(setting.key, setting.standard).ok()) << setting.key;
  }
}

TEST(TopicSettings, ThatAreNotSetHaveTheDefaultsOfTheTable) {
  TopicConfig defaults;
  for (const TopicSetting& setting : topic_settings()) defaults.emplace(setting.key, setting.standard);
  const TopicSettings listed = read_topic_settings(defaults).value();
  const TopicSettings none = read_topic_settings({}).value();
  EXPECT_EQ(listed.cleanup_delete, none.cleanup_delete);
  EXPECT_EQ(listed.cleanup_compact, none.cleanup_compact);
  EXPECT_EQ(listed.delete_retention_ms, none.delete_retention_ms);
  EXPECT_EQ(listed.relaxed, none.relaxed);
  EXPECT_EQ(listed.max_compaction_lag_ms, none.max_compaction_lag_ms);
  EXPECT_EQ(listed.max_message_bytes, none.max_message_bytes);
  EXPECT_EQ(listed.timestamp_after_max_ms, none.timestamp_after_max_ms);
  EXPECT_EQ(listed.timestamp_before_max_ms, none.timestamp_before_max_ms);
  EXPECT_EQ(listed.log_append_time, none.log_append_time);
  EXPECT_EQ(listed.min_cleanable_dirty_ratio, none.min_cleanable_dirty_ratio);
  EXPECT_EQ(listed.min_compaction_lag_ms, none.min_compaction_lag_ms);
  EXPECT_EQ(listed.retention_bytes, none.retention_bytes);
  EXPECT_EQ(listed.retention_ms, none.retention_ms);
  EXPECT_EQ(listed.segment_bytes, none.segment_bytes);
  EXPECT_EQ(listed.segment_ms, none.segment_ms);
}

TEST(TopicSettings, AreReadAsKafkaMeansThem) {
  const TopicSettings read = read_topic_settings({{"cleanup.policy", "compact, delete"},
                                                  {"delete.retention.ms", "7"},
                                                  {"durability", "relaxed"},
                                                  {"max.compaction.lag.ms", "9"},
                                                  {"max.message.bytes", "2000"},
                                                  {"message.timestamp.type", "LogAppendTime"},
                                                  {"message.timestamp.after.max.ms", "11"},
                                                  {"message.timestamp.before.max.ms", "12"},
                                                  {"min.cleanable.dirty.ratio", "0.01"},
                                                  {"min.compaction.lag.ms", "8"},
                                                  {"retention.bytes", "5"},
                                                  {"retention.ms", "-1"},
                                                  {"segment.bytes", "1048576"},
                                                  {"segment.ms", "1"}})
                                 .value();
  EXPECT_TRUE(read.cleanup_delete);
  EXPECT_TRUE(read.cleanup_compact);
  EXPECT_EQ(read.delete_retention_ms, 7);
  EXPECT_TRUE(read.relaxed);
  EXPECT_EQ(read.max_compaction_lag_ms, 9);
  EXPECT_EQ(read.max_message_bytes, 2000);
  EXPECT_TRUE(read.log_append_time);
  EXPECT_EQ(read.timestamp_after_max_ms, 11);
  EXPECT_EQ(read.timestamp_before_max_ms, 12);
  EXPECT_EQ(read.min_cleanable_dirty_ratio, 0.01);
  EXPECT_EQ(read.min_compaction_lag_ms, 8);
  EXPECT_EQ(read.retention_bytes, 5);
  EXPECT_FALSE(read.retention_ms.has_value());
  EXPECT_EQ(read.segment_bytes, 1048576);
  EXPECT_EQ(read.segment_ms, 1);
  EXPECT_FALSE(read_topic_settings({{"cleanup.policy", "compact"}}).value().cleanup_delete);
}

TEST(TopicSettings, OfAGridKeepItWhole) {
  EXPECT_EQ(grid_topic_role("g.messages"), TopicRole::kMessages);
  EXPECT_EQ(grid_topic_role("g.changes"), TopicRole::kChanges);
  EXPECT_EQ(grid_topic_role("g.dead"), TopicRole::kDead);
  EXPECT_FALSE(read_topic_settings({}, TopicRole::kChanges).value().retention_ms.has_value());
  EXPECT_EQ(read_topic_settings({}, TopicRole::kMessages).value().retention_bytes, 1 << 30);
  EXPECT_EQ(read_topic_settings({{"retention.bytes", "9"}}, TopicRole::kMessages).value().retention_bytes, 9);
  EXPECT_EQ(topic_standard(*find_topic_setting("retention.ms"), TopicRole::kChanges), "-1");
  EXPECT_EQ(topic_standard(*find_topic_setting("retention.ms"), TopicRole::kDead), "604800000");
  EXPECT_TRUE(check_grid_setting(TopicRole::kMessages, "retention.ms").ok());
  EXPECT_TRUE(read_topic_settings({}, TopicRole::kChanges).value().cleanup_compact);
  EXPECT_FALSE(read_topic_settings({}, TopicRole::kChanges).value().cleanup_delete);
  EXPECT_EQ(read_topic_settings({}, TopicRole::kChanges).value().delete_retention_ms, 3'600'000);
  EXPECT_TRUE(check_grid_setting(TopicRole::kChanges, "min.compaction.lag.ms").ok());
  EXPECT_EQ(check_grid_setting(TopicRole::kMessages, "min.compaction.lag.ms").code(),
            Code::kPermissionDenied);
  for (const auto role : {TopicRole::kMessages, TopicRole::kChanges, TopicRole::kDead}) {
    EXPECT_TRUE(check_grid_setting(role, "segment.bytes").ok());
    for (const auto* key : {"cleanup.policy", "durability", "message.timestamp.type", "max.message.bytes"})
      EXPECT_EQ(check_grid_setting(role, key).code(), Code::kPermissionDenied) << key;
  }
  EXPECT_EQ(check_grid_setting(TopicRole::kChanges, "retention.ms").code(), Code::kPermissionDenied);
}

TEST(TopicSettings, RefuseWhatWouldNotActByName) {
  const auto refused = [](std::string_view key, std::string_view value) {
    const Status checked = check_topic_setting(key, value);
    EXPECT_EQ(checked.code(), Code::kInvalidArgument) << key << "=" << value;
    return checked.ok() ? std::string() : checked.error().text();
  };
  EXPECT_THAT(refused("no.such", "1"), HasSubstr("no.such '1'"));
  EXPECT_THAT(refused("flush.messages", "1"), HasSubstr("default '9223372036854775807'"));
  EXPECT_THAT(refused("compression.type", "gzip"), HasSubstr("does not act here"));
  EXPECT_THAT(refused("min.insync.replicas", "2"), HasSubstr("one copy"));
  EXPECT_THAT(refused("retention.ms", "soon"), HasSubstr("-1 to"));
  EXPECT_THAT(refused("segment.bytes", "1048575"), HasSubstr("1048576 to 2147483647"));
  EXPECT_THAT(refused("min.cleanable.dirty.ratio", "nan"), HasSubstr("0 to 1"));
  EXPECT_THAT(refused("min.cleanable.dirty.ratio", "1.01"), HasSubstr("0 to 1"));
  EXPECT_THAT(refused("cleanup.policy", "compact,"), HasSubstr("delete,compact"));
  EXPECT_THAT(refused("cleanup.policy", ""), HasSubstr("delete,compact"));
  EXPECT_THAT(refused("message.timestamp.type", "now"), HasSubstr("LogAppendTime"));
  EXPECT_THAT(refused("durability", "no"), HasSubstr("synced or relaxed"));
  EXPECT_THAT(
      read_topic_settings({{"min.compaction.lag.ms", "10"}, {"max.compaction.lag.ms", "9"}}).error().text(),
      HasSubstr("above max.compaction.lag.ms 9"));
}

}  // namespace
}  // namespace afdg
