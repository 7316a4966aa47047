#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kafka/messages/all.h"
#include "kafka/testing/broker.h"
#include "kafka/testing/heap.h"

// What one request may make a broker hold: what a hostile one gets is bounded, what real clients send fits.
namespace afdg::kafka {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

struct KafkaRequestMemory : testing::BrokerTest {
  /// Different names, as short as can be, or of that many characters.
  static std::vector<std::string> names(std::size_t count, std::size_t size = 0) {
    std::vector<std::string> out(count);
    for (std::size_t i = 0; i < count; ++i) {
      std::string& name = out[i];
      for (std::size_t left = i; left > 0 || name.empty(); left /= 64)
        name += "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[left % 64];
      if (name.size() < size) name.resize(size, '.');
    }
    return out;
  }
  static MetadataRequest metadata(const std::vector<std::string>& names) {
    MetadataRequest request;
    request.allow_auto_topic_creation = false;
    request.topics.emplace();
    for (const std::string& name : names) request.topics->push_back({{}, name});
    return request;
  }
  /// The most that the broker takes at once beside the frame itself.
  std::size_t peak(std::string frame) {
    ByteBuffer bytes(frame);
    std::string().swap(frame);
    testing::reset_heap_peak();
    const std::size_t before = testing::heap_bytes();
    connection->receive(std::move(bytes));
    settle();
    return testing::heap_bytes_peak() - before;
  }
  template <class M>
  static std::string frame(std::int16_t version, const M& request) {
    Writer out;
    EXPECT_TRUE(write_request(out, version, 7, "client", request).ok());
    return std::string(out.view().substr(4));
  }
};

TEST_F(KafkaRequestMemory, AFrameOfDistinctNamesDoesNotGrowTenfold) {
  const std::string bytes = frame(9, metadata(names(1'600'000)));
  ASSERT_LT(bytes.size(), options.request_bytes_max);
  EXPECT_LT(peak(bytes), 2 * bytes.size()) << "of " << bytes.size() << " bytes";
  EXPECT_EQ(broker->counters().bad_requests, 1u);
}

TEST_F(KafkaRequestMemory, WhatADecodedRequestBecomesIsBounded) {
  const std::size_t most = array_bytes_max(Key::kMetadata) / sizeof(MetadataRequest::Topic);
  EXPECT_LT(peak(frame(9, metadata(names(most - 1)))), 160 * kMiB);
  EXPECT_EQ(broker->counters().bad_requests, 0u);
}

// What real clients may ask for at once: the other bounds say how much that is (docs/limits.md).
TEST_F(KafkaRequestMemory, MetadataOfTenThousandTopicsIsAnswered) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{249}}) {
    const auto asked = names(10'000, size);
    for (const std::int16_t version : {std::int16_t{1}, std::int16_t{9}, std::int16_t{12}}) {
      const auto response = ask<MetadataResponse>(version, metadata(asked));
      ASSERT_TRUE(response) << version;
      EXPECT_EQ(response->topics.size(), asked.size());
    }
  }
}

TEST_F(KafkaRequestMemory, OffsetsOfFiftyThousandPartitionsAreCommittedAndFetched) {
  const auto topics = names(5'000, 20);
  OffsetCommitRequest commit;
  commit.group_id = "g";
  OffsetFetchRequest fetch;
  fetch.group_id = "g";
  fetch.topics.emplace();
  for (const std::string& topic : topics) {
    auto& committed = commit.topics.emplace_back();
    auto& fetched = fetch.topics->emplace_back();
    committed.name = fetched.name = topic;
    for (std::int32_t i = 0; i < 10; ++i) {
      committed.partitions.push_back({i, 5, -1, -1, "metadata"});
      fetched.partition_indexes.push_back(i);
    }
  }
  for (const std::int16_t version : {std::int16_t{2}, std::int16_t{9}}) {
    const auto committed = ask<OffsetCommitResponse>(version, commit);
    ASSERT_TRUE(committed);
    EXPECT_EQ(committed->topics.size(), topics.size());
  }
  for (const std::int16_t version : {std::int16_t{1}, std::int16_t{7}}) {
    const auto fetched = ask<OffsetFetchResponse>(version, fetch);
    ASSERT_TRUE(fetched);
    ASSERT_EQ(fetched->topics.size(), topics.size());
    EXPECT_EQ(fetched->topics[0].partitions.size(), 10u);
  }
}

TEST_F(KafkaRequestMemory, OffsetsOfAsManyGroupsAsThereCanBeAreFetched) {
  const auto groups = names(options.groups.groups_max, 20);
  OffsetFetchRequest fetch;
  for (const std::string& group : groups) {
    auto& one = fetch.groups.emplace_back();
    one.group_id = group;
    one.topics = std::vector<OffsetFetchRequest::GroupTopic>{{"t", {0}}};
  }
  const auto response = ask<OffsetFetchResponse>(8, fetch);
  ASSERT_TRUE(response);
  EXPECT_EQ(response->groups.size(), groups.size());
  DescribeGroupsRequest describe;
  describe.groups.assign(groups.begin(), groups.end());
  ASSERT_TRUE(ask<DescribeGroupsResponse>(5, describe));
  DeleteGroupsRequest remove;
  remove.groups_names.assign(groups.begin(), groups.end());
  ASSERT_TRUE(ask<DeleteGroupsResponse>(2, remove));
}

TEST_F(KafkaRequestMemory, TenThousandTopicsAreMadeWithSettingsAndAssignments) {
  const auto topics = names(static_cast<std::size_t>(options.request_partitions_max), 40);
  CreateTopicsRequest create;
  for (const std::string& topic : topics)
    create.topics.push_back({topic,
                             -1,
                             -1,
                             {{0, {1}}},
                             {{"cleanup.policy", "compact"},
                              {"retention.ms", "1000000"},
                              {"segment.bytes", "1048576"},
                              {"min.compaction.lag.ms", "1000"},
                              {"max.message.bytes", "1000000"}}});
  const auto created = ask<CreateTopicsResponse>(5, create);
  ASSERT_TRUE(created);
  ASSERT_EQ(created->topics.size(), topics.size());
  EXPECT_EQ(created->topics[0].error_code, ErrorCode::kNone) << created->topics[0].error_message.value_or("");
  EXPECT_EQ(cluster.created.size(), topics.size());
  IncrementalAlterConfigsRequest alter;
  for (const std::string& topic : topics)
    alter.resources.push_back({2, topic, {{"retention.ms", 0, "5"}, {"segment.bytes", 0, "1048576"}}});
  EXPECT_TRUE(ask<IncrementalAlterConfigsResponse>(1, alter));
}

TEST_F(KafkaRequestMemory, AFetchOfManyPartitionsIsAnswered) {
  const auto topics = names(5'000, 40);
  FetchRequest fetch;
  std::vector<FetchRequest::Partition> wanted(61);
  for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i].partition = static_cast<std::int32_t>(i);
  for (const std::string& topic : topics) fetch.topics.push_back({topic, {}, wanted});
  ASSERT_GT(topics.size() * wanted.size() * sizeof(FetchRequest::Partition), array_bytes_max(Key::kMetadata));
  EXPECT_TRUE(ask<FetchResponse>(11, fetch));
}

struct KafkaGroupMemory : KafkaRequestMemory {
  static constexpr std::int16_t kJoin = 2;
  static constexpr std::int16_t kSync = 1;
  static constexpr std::size_t kPadding = 8 * kMiB;

  KafkaGroupMemory() { options.groups.initial_rebalance_delay = std::chrono::milliseconds(0); }

  static JoinGroupRequest join_request(std::string_view group, std::string_view member = {}) {
    JoinGroupRequest join;
    join.group_id = group;
    join.session_timeout_ms = 10'000;
    join.rebalance_timeout_ms = 60'000;
    join.member_id = member;
    join.protocol_type = "consumer";
    join.protocols.push_back({"range", "metadata"});
    return join;
  }
  /// Sends a request whose frame is large (a broker ignores what follows a message), which waits, and ends
  /// the connection.
  template <class M>
  void sends_and_vanishes(std::int16_t version, const M& request) {
    ByteBuffer bytes(frame(version, request));
    const std::size_t before = testing::heap_bytes();
    bytes.append(std::string(kPadding, '\0'));
    connection->receive(std::move(bytes));
    settle();
    EXPECT_EQ(connection->front(), nullptr) << "it waits";
    EXPECT_GT(testing::heap_bytes(), before + kPadding);
    connection.reset();
    EXPECT_LT(testing::heap_bytes(), before + kMiB);
    EXPECT_EQ(broker->counters().bytes, 0u);
    connect();
  }
  void connect() {
    connection = std::make_shared<Connection>(*broker, "/host", [] {});
  }
};

TEST_F(KafkaGroupMemory, AJoinThatWaitsDoesNotOutliveItsConnection) {
  const auto first = ask<JoinGroupResponse>(kJoin, join_request("g"));
  ASSERT_TRUE(first);
  const std::string member(first->member_id);
  sends_and_vanishes(kJoin, join_request("g"));
  sends_and_vanishes(kJoin, join_request("g"));
  const auto again = ask<JoinGroupResponse>(kJoin, join_request("g", member));
  ASSERT_TRUE(again) << "the rebalance goes on";
  EXPECT_EQ(again->members.size(), 3u) << "until their sessions end";
}

TEST_F(KafkaGroupMemory, ASyncThatWaitsDoesNotOutliveItsConnection) {
  const auto first = ask<JoinGroupResponse>(kJoin, join_request("g"));
  ASSERT_TRUE(first);
  const std::string leader(first->member_id);
  const auto leaders = connection;
  connect();
  send(kJoin, join_request("g"));
  const auto followers = std::exchange(connection, leaders);
  const auto again = ask<JoinGroupResponse>(kJoin, join_request("g", leader));
  ASSERT_TRUE(again);
  const std::int32_t generation = again->generation_id;
  connection = followers;
  const auto joined = answer<JoinGroupResponse, JoinGroupRequest>(kJoin);
  ASSERT_TRUE(joined);
  const std::string follower(joined->member_id);
  connect();
  SyncGroupRequest sync;
  sync.group_id = "g";
  sync.generation_id = generation;
  sync.member_id = follower;
  sends_and_vanishes(kSync, sync);
  sync.member_id = leader;
  const auto synced = ask<SyncGroupResponse>(kSync, sync);
  ASSERT_TRUE(synced);
  EXPECT_EQ(synced->error_code, ErrorCode::kNone);
}

}  // namespace
}  // namespace afdg::kafka
