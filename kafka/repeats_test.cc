#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kafka/messages/create_partitions.h"
#include "kafka/messages/create_topics.h"
#include "kafka/messages/describe_configs.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/fetch.h"
#include "kafka/messages/incremental_alter_configs.h"
#include "kafka/messages/list_offsets.h"
#include "kafka/messages/metadata.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/testing/broker.h"

// What a request that names many things, or one thing often, costs the broker.
namespace afdg::kafka {
namespace {

constexpr std::size_t kOften = 1000;

using testing::kTopic;
struct KafkaRepeats : testing::BrokerTest {};

TEST_F(KafkaRepeats, GroupsAreDescribedOnce) {
  DescribeGroupsRequest request;
  request.groups.assign(kOften, "g");
  EXPECT_EQ(ask<DescribeGroupsResponse>(5, request).value().groups.size(), 1u);
}

TEST_F(KafkaRepeats, MoreGroupsThanThereCanBeEndTheConnection) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i <= options.groups.groups_max; ++i) names.push_back(std::to_string(i));
  DescribeGroupsRequest describe;
  describe.groups.assign(names.begin(), names.end());
  OffsetFetchRequest fetch;
  for (const std::string& name : names) fetch.groups.emplace_back().group_id = name;
  send(8, fetch);
  EXPECT_EQ(broker->counters().bad_requests, 1u);
  connection = std::make_shared<Connection>(*broker, "/host", [] {});
  send(5, describe);
  EXPECT_EQ(broker->counters().bad_requests, 2u);
}

TEST_F(KafkaRepeats, OffsetsAreFetchedOnce) {
  OffsetFetchRequest request;
  for (std::size_t i = 0; i < kOften; ++i)
    request.groups.push_back({"g", std::nullopt, -1, {{{"t", {0, 0, 0}}}}});
  const auto response = ask<OffsetFetchResponse>(8, request).value();
  ASSERT_EQ(response.groups.size(), 1u);
  ASSERT_EQ(response.groups[0].topics.size(), 1u);
  EXPECT_EQ(response.groups[0].topics[0].partitions.size(), 1u);
}

TEST_F(KafkaRepeats, MetadataByIdComesOnce) {
  MetadataRequest request;
  request.topics.emplace();
  for (std::size_t i = 0; i < kOften; ++i) {
    request.topics->push_back({topic_uuid(*cluster.view(), kTopic), std::nullopt});
    request.topics->push_back({topic_uuid(*cluster.view(), TopicId(99)), std::nullopt});
  }
  for (const std::int16_t version : {std::int16_t{10}, std::int16_t{12}})
    EXPECT_EQ(ask<MetadataResponse>(version, request).value().topics.size(), 2u);
}

TEST_F(KafkaRepeats, AMissingTopicOfMetadataIsMadeOnce) {
  MetadataRequest request;
  request.topics.emplace(kOften, MetadataRequest::Topic{{}, "new"});
  EXPECT_EQ(ask<MetadataResponse>(9, request).value().topics.size(), 1u);
  EXPECT_EQ(cluster.created, std::vector<std::string>{"new"});
}

TEST_F(KafkaRepeats, SettingsAreDescribedOnce) {
  DescribeConfigsRequest request;
  request.resources.assign(kOften, {2, "t", std::nullopt});
  request.resources.push_back({4, "1", std::nullopt});
  request.resources.push_back({2, "t", std::nullopt});
  EXPECT_EQ(ask<DescribeConfigsResponse>(4, request).value().results.size(), 2u);
}

TEST_F(KafkaRepeats, ATopicToMakeOrToGrowIsRefusedOnce) {
  CreateTopicsRequest create;
  create.topics.assign(kOften, {"new", 1, 1, {}, {}});
  const auto created = ask<CreateTopicsResponse>(5, create).value();
  ASSERT_EQ(created.topics.size(), 1u);
  EXPECT_EQ(created.topics[0].error_code, ErrorCode::kInvalidRequest);
  CreatePartitionsRequest grow;
  grow.topics.assign(kOften, {"t", 2, std::nullopt});
  const auto grown = ask<CreatePartitionsResponse>(3, grow).value();
  ASSERT_EQ(grown.results.size(), 1u);
  EXPECT_EQ(grown.results[0].error_code, ErrorCode::kInvalidRequest);
  EXPECT_TRUE(cluster.created.empty());
}

TEST_F(KafkaRepeats, TooManyTopicsAreRefusedWithoutTheirSettings) {
  std::vector<std::string> names;
  CreateTopicsRequest request;
  for (std::int32_t i = 0; i <= options.request_partitions_max; ++i) names.push_back("t" + std::to_string(i));
  for (const std::string& name : names) request.topics.push_back({name, 1, 1, {}, {}});
  const auto response = ask<CreateTopicsResponse>(5, request).value();
  ASSERT_EQ(response.topics.size(), names.size());
  std::size_t sentences = 0;
  for (const auto& topic : response.topics) {
    EXPECT_EQ(topic.error_code, ErrorCode::kPolicyViolation);
    EXPECT_TRUE(!topic.configs || topic.configs->empty());
    sentences += topic.error_message ? 1 : 0;
  }
  EXPECT_EQ(sentences, 1u) << "not the same one for each of a million";
  EXPECT_TRUE(cluster.created.empty());
}

// Half a million of them took minutes when each was counted by a walk along the others. These are as many as
// a decoder lets in.
TEST_F(KafkaRepeats, NamesAreCountedInTimeThatGrowsWithTheirNumber) {
  const auto many = [](Key key, std::size_t element_bytes) { return array_bytes_max(key) / element_bytes; };
  CreateTopicsRequest create;
  create.topics.assign(many(Key::kCreateTopics, sizeof(CreateTopicsRequest::Topic)), {"new", 1, 1, {}, {}});
  CreatePartitionsRequest grow;
  grow.topics.assign(many(Key::kCreatePartitions, sizeof(CreatePartitionsRequest::Topic)),
                     {"t", 2, std::nullopt});
  IncrementalAlterConfigsRequest alter;
  alter.resources.assign(
      many(Key::kIncrementalAlterConfigs, sizeof(IncrementalAlterConfigsRequest::Resource)), {2, "t", {}});
  EXPECT_TRUE(ask<CreateTopicsResponse>(5, create));
  EXPECT_TRUE(ask<CreatePartitionsResponse>(3, grow));
  EXPECT_TRUE(ask<IncrementalAlterConfigsResponse>(1, alter));
  std::vector<std::string> names;
  MetadataRequest metadata;
  for (std::size_t i = many(Key::kMetadata, sizeof(MetadataRequest::Topic)); i > 0; --i)
    names.push_back("n" + std::to_string(i));
  metadata.topics.emplace();
  for (const std::string& name : names) metadata.topics->push_back({{}, name});
  EXPECT_TRUE(ask<MetadataResponse>(9, metadata));
}

FetchRequest waits_long(std::size_t topics, std::vector<FetchRequest::Partition> partitions) {
  FetchRequest request;
  request.max_wait_ms = 300'000;
  request.min_bytes = 1;
  request.topics.assign(topics, {"t", {}, std::move(partitions)});
  return request;
}

TEST_F(KafkaRepeats, AFetchOfNoPartitionDoesNotWait) {
  EXPECT_TRUE(ask<FetchResponse>(11, waits_long(0, {})));
  EXPECT_TRUE(ask<FetchResponse>(11, waits_long(kOften, {})));
  EXPECT_EQ(broker->counters().fetches_waiting, 0u);
}

TEST_F(KafkaRepeats, AFetchOfTooManyTopicsEndsTheConnection) {
  send(11, waits_long(static_cast<std::size_t>(options.request_partitions_max) + 1, {{}}));
  EXPECT_EQ(broker->counters().fetches_waiting, 0u);
  EXPECT_EQ(broker->counters().refused.of(Limit::kRequestPartitions), 1u);
}

TEST_F(KafkaRepeats, WhatWasDecodedOfAWaitingFetchIsCounted) {
  make_wide();
  constexpr std::size_t kPartitions = testing::kWidePartitions;
  FetchRequest request = waits_long(1, std::vector<FetchRequest::Partition>(kPartitions));
  request.topics[0].topic = "wide";
  for (std::size_t i = 0; i < kPartitions; ++i)
    request.topics[0].partitions[i].partition = static_cast<std::int32_t>(i);
  send(11, request);
  ASSERT_EQ(broker->counters().fetches_waiting, 1u);
  EXPECT_GT(connection->bytes(), kPartitions * (30 + sizeof(FetchRequest::Partition)));
  EXPECT_EQ(broker->counters().bytes, connection->bytes());
  connection.reset();
  EXPECT_EQ(broker->counters().bytes, 0u);
}

TEST_F(KafkaRepeats, APartitionIsFetchedOnceAndAsItWasAskedForLast) {
  log::BatchBuilder batch;
  batch.add(memory.clock.now(), "k", std::string(1000, 'v'));
  const TopicPartition t{kTopic, PartitionIndex(0)};
  ASSERT_TRUE(memory.log->append(t, batch.seal(Offset(0), Epoch(0)), Epoch(0), nullptr).ok());
  memory.log->pump();
  const auto asks = [](std::int64_t offset) {
    FetchRequest::Partition wanted;
    wanted.fetch_offset = offset;
    wanted.partition_max_bytes = 1 << 20;
    return wanted;
  };
  for (const std::int16_t version : {std::int16_t{11}, std::int16_t{13}}) {
    FetchRequest request;
    request.max_bytes = 1 << 20;
    const Uuid id = version >= 13 ? topic_uuid(*cluster.view(), kTopic) : Uuid();
    const std::string_view name = version >= 13 ? "" : "t";
    request.topics.push_back({name, id, std::vector<FetchRequest::Partition>(kOften, asks(99))});
    request.topics.push_back({name, id, {asks(1), asks(0)}});
    const std::uint64_t before = broker->counters().fetched_bytes;
    const auto response = ask<FetchResponse>(version, request).value();
    ASSERT_EQ(response.responses.size(), 1u);
    ASSERT_EQ(response.responses[0].partitions.size(), 1u);
    EXPECT_EQ(response.responses[0].partitions[0].error_code, ErrorCode::kNone);
    EXPECT_EQ(response.responses[0].partitions[0].high_watermark, 1);
    EXPECT_GT(response.responses[0].partitions[0].records.size(), 1000u);
    EXPECT_LT(broker->counters().fetched_bytes - before, 2000u);
  }
}

TEST_F(KafkaRepeats, PartitionsThatAreNotRepeatedAreFetchedInTheirOrder) {
  FetchRequest request;
  for (const std::int32_t partition : {5, 0, 5, 3, 0, 4}) {
    request.topics.push_back({"absent", {}, std::vector<FetchRequest::Partition>(1)});
    request.topics.back().partitions[0].partition = partition;
  }
  request.topics.push_back({"t", {}, std::vector<FetchRequest::Partition>(1)});
  const auto response = ask<FetchResponse>(11, request).value();
  std::string told;
  for (const auto& topic : response.responses)
    for (const auto& part : topic.partitions)
      told += std::string(topic.topic) + std::to_string(part.partition_index) + " ";
  EXPECT_EQ(told, "absent5 absent0 absent3 absent4 t0 ");
}

TEST_F(KafkaRepeats, AnOffsetIsNotLookedUpForAPartitionThatIsNamedTwice) {
  for (const std::int16_t version : {std::int16_t{1}, std::int16_t{7}}) {
    ListOffsetsRequest request;
    request.topics.push_back({"t", std::vector<ListOffsetsRequest::Partition>(kOften)});
    request.topics.push_back({"wide", {{7, -1, -1}}});
    request.topics.push_back({"t", std::vector<ListOffsetsRequest::Partition>(kOften)});
    const auto response = ask<ListOffsetsResponse>(version, request).value();
    ASSERT_EQ(response.topics.size(), 2u);
    ASSERT_EQ(response.topics[0].partitions.size(), 1u);
    EXPECT_EQ(response.topics[0].partitions[0].error_code, ErrorCode::kInvalidRequest);
    EXPECT_EQ(response.topics[0].partitions[0].offset, -1);
    EXPECT_EQ(response.topics[1].name, "wide");
    ASSERT_EQ(response.topics[1].partitions.size(), 1u);
    EXPECT_NE(response.topics[1].partitions[0].error_code, ErrorCode::kInvalidRequest);
  }
}

}  // namespace
}  // namespace afdg::kafka
