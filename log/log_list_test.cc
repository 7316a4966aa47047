#include "log/log_list.h"

#include <gtest/gtest.h>

#include "base/codec.h"

namespace afdg::log {
namespace {

TEST(PartitionList, ComesBackAndEveryFlippedByteIsNoticed) {
  TopicOptions options;
  options.retention_age = std::chrono::hours(1);
  options.held_by_region = true;
  options.cleanup_delete = false;
  options.cleanup_compact = true;
  options.min_cleanable_dirty_ratio = 0.25;
  options.min_compaction_lag = std::chrono::minutes(1);
  options.max_compaction_lag = std::chrono::hours(3);
  options.delete_retention = std::chrono::seconds(5);
  const std::string bytes =
      encode_partition_list({{TopicPartition{TopicId(7), PartitionIndex(0)}, "plain", {}},
                             {TopicPartition{TopicId(3), PartitionIndex(0)}, "g.dead", options}});
  const auto back = decode_partition_list(bytes);
  ASSERT_TRUE(back.ok());
  ASSERT_EQ(back->size(), 2u);
  EXPECT_EQ((*back)[1].topic_name, "g.dead");
  EXPECT_EQ((*back)[1].options.retention_age, options.retention_age);
  EXPECT_TRUE((*back)[1].options.held_by_region);
  EXPECT_EQ((*back)[1].options.cleanup_compact, true);
  EXPECT_EQ((*back)[1].options.cleanup_delete, false);
  EXPECT_EQ((*back)[1].options.min_cleanable_dirty_ratio, 0.25);
  EXPECT_EQ((*back)[1].options.min_compaction_lag, std::chrono::minutes(1));
  EXPECT_EQ((*back)[1].options.max_compaction_lag, std::chrono::hours(3));
  EXPECT_EQ((*back)[1].options.delete_retention, std::chrono::seconds(5));
  EXPECT_TRUE((*back)[0].options.cleanup_delete);
  EXPECT_FALSE((*back)[0].options.max_compaction_lag.has_value());
  EXPECT_FALSE((*back)[0].options.retention_bytes.has_value());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] ^= 1;
    EXPECT_EQ(decode_partition_list(damaged).code(), Code::kCorrupt) << i;
  }
}

TEST(PartitionList, ThatAVersion1WroteIsRead) {
  std::string bytes = "AFDGPART";
  put_be32(bytes, 0);
  put_be16(bytes, 1);
  put_be32(bytes, 1);
  put_be64(bytes, 9);
  put_be32(bytes, 3);
  put_sized(bytes, "plain");
  put_be64(bytes, 1000);
  put_be64(bytes, 2000);
  put_be64(bytes, 3000);
  put_be64(bytes, ~std::uint64_t{0});
  bytes.push_back('\1');
  store_be32(bytes.data() + 8, crc32c(std::string_view(bytes).substr(12)));
  const auto back = decode_partition_list(bytes);
  ASSERT_TRUE(back.ok()) << back.error().text();
  ASSERT_EQ(back->size(), 1u);
  const TopicOptions& options = back->front().options;
  EXPECT_EQ(options.segment_bytes, 1000u);
  EXPECT_EQ(options.retention_age, std::chrono::milliseconds(3000));
  EXPECT_TRUE(options.held_by_region);
  EXPECT_TRUE(options.cleanup_delete) << "what was old went";
  EXPECT_FALSE(options.cleanup_compact);
  EXPECT_EQ(options.delete_retention, TopicOptions().delete_retention);
}

}  // namespace
}  // namespace afdg::log
