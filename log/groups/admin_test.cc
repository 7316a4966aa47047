#include <gtest/gtest.h>

#include "log/groups/testing/driver.h"
#include "log/groups/testing/member.h"
#include "log/groups/testing/pair.h"

namespace afdg::log::groups {
namespace {

using namespace std::chrono_literals;
using testing::Driver;
using testing::Pair;
using testing::TestMember;

CommitRequest simple(const std::string& group, const std::string& topic, std::int32_t partition,
                     std::int64_t offset) {
  CommitRequest r;
  r.group = group;
  r.topics.push_back({topic, {{partition, offset, -1, std::nullopt, std::nullopt}}});
  return r;
}

TEST(GroupAdmin, DescribeShowsMetadataInStableOnly) {
  Driver d;
  EXPECT_EQ(d.describe("g").state, "Dead");
  EXPECT_EQ(d.describe("g").error, Errors::kNone);
  Pair g(d, "i-a");
  DescribeReply::Group r = d.describe("g");
  EXPECT_EQ(r.state, "Stable");
  EXPECT_EQ(r.protocol_type, "consumer");
  EXPECT_EQ(r.protocol_name, "range");
  ASSERT_EQ(r.members.size(), 2u);
  const auto& a = r.members[0].client_id == "a" ? r.members[0] : r.members[1];
  EXPECT_EQ(a.member_id, g.a.id);
  EXPECT_EQ(a.instance_id, "i-a");
  EXPECT_EQ(a.client_host, "/127.0.0.1");
  EXPECT_EQ(a.metadata, g.a.protocols[0].metadata);
  EXPECT_EQ(a.assignment, "for a");
  g.leader->join();
  r = d.describe("g");
  EXPECT_EQ(r.state, "PreparingRebalance");
  EXPECT_EQ(r.protocol_name, "");
  EXPECT_EQ(r.members.at(0).metadata, "");
  g.follower->join();
  EXPECT_EQ(d.describe("g").state, "CompletingRebalance");
}

TEST(GroupAdmin, AGroupThatIsNamedOftenIsDescribedOnce) {
  Driver d;
  Pair g(d);
  EXPECT_EQ(d.describe(DescribeRequest{std::vector<std::string>(1000, "g")}).groups.size(), 1u);
  const auto two = d.describe(DescribeRequest{{"g", "none", "g", "none"}}).groups;
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].members.size(), 2u);
  EXPECT_EQ(two[1].state, "Dead");
}

TEST(GroupAdmin, AnAnswerThatIsLargeGetsNoMoreGroups) {
  Options options;
  options.reply_bytes_max = 1;
  Driver d(options);
  Pair g(d);
  d.commit(simple("s", "t", 0, 1));
  const auto described = d.describe(DescribeRequest{{"none", "g", "s", "none2"}});
  ASSERT_EQ(described.groups.size(), 4u);
  EXPECT_EQ(described.groups[1].members.size(), 2u) << "the first comes whole";
  EXPECT_EQ(described.groups[2].error, Errors::kCoordinatorLoadInProgress);
  EXPECT_EQ(described.groups[3].state, "Dead");
  const auto fetched = d.reply<FetchReply>(
      d.fetch({{{"s", std::nullopt}, {"g", std::nullopt}, {"none", {{{"t", {0}}}}}}, false}));
  ASSERT_EQ(fetched.groups.size(), 3u);
  EXPECT_EQ(fetched.groups[0].topics.at(0).partitions.at(0).offset, 1);
  EXPECT_EQ(fetched.groups[1].error, Errors::kCoordinatorLoadInProgress);
  EXPECT_EQ(fetched.groups[2].error, Errors::kCoordinatorLoadInProgress);
  EXPECT_EQ(d.coordinator->refusals()[static_cast<std::size_t>(Bound::kReplyBytes)], 3u);
}

TEST(GroupAdmin, ListFiltersByStateAndType) {
  Driver d;
  Pair g(d);
  d.commit(simple("s", "t", 0, 1));
  const auto names = [&](ListRequest r) {
    std::string out;
    for (const ListReply::Group& l : d.list(std::move(r)).groups)
      out += l.group + ":" + l.protocol_type + ":" + l.state + " ";
    return out;
  };
  EXPECT_EQ(names({}), "g:consumer:Stable s::Empty ");
  EXPECT_EQ(names({{"stable"}, {}}), "g:consumer:Stable ");
  EXPECT_EQ(names({{" EMPTY ", "Dead"}, {}}), "s::Empty ");
  EXPECT_EQ(names({{"nonsense"}, {}}), "");
  EXPECT_EQ(names({{}, {"Classic"}}), "g:consumer:Stable s::Empty ");
  EXPECT_EQ(names({{}, {"consumer"}}), "");
}

TEST(GroupAdmin, DeleteTakesEmptyGroupsWithTheirOffsets) {
  Driver d;
  Pair g(d);
  d.commit(simple("s", "t", 0, 1));
  const DeleteReply r = d.reply<DeleteReply>(d.delete_groups({{"g", "s", "none"}}));
  EXPECT_EQ(r.groups.at(0).error, Errors::kNonEmptyGroup);
  EXPECT_EQ(r.groups.at(1).error, Errors::kNone);
  EXPECT_EQ(r.groups.at(2).error, Errors::kGroupIdNotFound);
  EXPECT_EQ(d.describe("s").state, "Dead");
  EXPECT_EQ(d.coordinator->stats().offsets, 0u);
  EXPECT_EQ(g.a.heartbeat(), Errors::kNone);
  d.restart();
  EXPECT_EQ(d.describe("s").state, "Dead");
  EXPECT_EQ(d.describe("g").state, "Stable");
}

TEST(GroupAdmin, WhileAGroupIsBeingDeletedItTakesNothing) {
  Driver d;
  TestMember a(d, "g", "a");
  a.join();
  d.hold_appends = true;
  const RequestToken token = d.delete_groups({{"g"}});
  EXPECT_FALSE(d.answered(token));
  a.join();
  EXPECT_EQ(a.error(), Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(a.leave(), Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(a.heartbeat(), Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(a.commit("t", 0, 1), Errors::kCoordinatorNotAvailable);
  a.sync();
  EXPECT_EQ(a.sync_error(), Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(d.reply<OffsetDeleteReply>(d.delete_offsets({"g", {{"t", {0}}}})).error,
            Errors::kGroupIdNotFound);
  EXPECT_EQ(d.reply<DeleteReply>(d.delete_groups({{"g"}})).groups[0].error, Errors::kGroupIdNotFound);
  EXPECT_EQ(d.describe("g").state, "Empty") << "until it is durable";
  d.end_append(Status());
  EXPECT_EQ(d.reply<DeleteReply>(token).groups[0].error, Errors::kNone);
  EXPECT_EQ(d.describe("g").state, "Dead");
  a.join();
  EXPECT_EQ(a.error(), Errors::kUnknownMemberId);
}

TEST(GroupAdmin, DeleteTakesCommitsOnTheirWay) {
  Driver d;
  d.hold_appends = true;
  const RequestToken commit = d.commit(simple("g", "t", 0, 1));
  const RequestToken token = d.delete_groups({{"g"}});
  while (!d.held.empty()) d.end_append(Status());
  EXPECT_TRUE(d.answered(commit));
  EXPECT_EQ(d.reply<DeleteReply>(token).groups[0].error, Errors::kNone);
  EXPECT_EQ(d.coordinator->stats().offsets, 0u);
  EXPECT_EQ(d.describe("g").state, "Dead");
}

TEST(GroupAdmin, ADeletionThatCannotBeStoredLeavesTheGroup) {
  Driver d;
  d.commit(simple("g", "t", 0, 1));
  d.hold_appends = true;
  const RequestToken token = d.delete_groups({{"g"}});
  d.end_append(fail(Code::kDiskFull));
  EXPECT_EQ(d.reply<DeleteReply>(token).groups[0].error, Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(d.coordinator->stats().offsets, 1u);
  d.hold_appends = false;
  EXPECT_EQ(d.reply<DeleteReply>(d.delete_groups({{"g"}})).groups[0].error, Errors::kNone);
}

TEST(GroupAdmin, ALargeGroupIsDeletedInBatches) {
  Driver d;
  for (int i = 0; i < 3; ++i) {
    CommitRequest r = simple("g", std::string(200, 'a' + i), 0, 1);
    for (std::int32_t p = 1; p < 10'000; ++p)
      r.topics[0].partitions.push_back({p, p, -1, std::nullopt, std::nullopt});
    d.commit(r);
  }
  EXPECT_EQ(d.coordinator->stats().offsets, 30'000u);
  d.hold_appends = true;
  const RequestToken token = d.delete_groups({{"g"}});
  ASSERT_GT(d.held.size(), 3u);
  d.end_append(fail(Code::kDiskFull));
  while (!d.held.empty()) d.end_append(Status());
  EXPECT_EQ(d.reply<DeleteReply>(token).groups[0].error, Errors::kCoordinatorNotAvailable);
  const std::size_t left = d.coordinator->stats().offsets;
  EXPECT_GT(left, 0u) << "those of the batch that failed, as a restart would find them";
  d.hold_appends = false;
  d.restart();
  EXPECT_EQ(d.coordinator->stats().offsets, left);
  EXPECT_EQ(d.reply<DeleteReply>(d.delete_groups({{"g"}})).groups[0].error, Errors::kNone);
  EXPECT_EQ(d.coordinator->stats().groups, 0u);
}

TEST(GroupOptions, WhatCannotHoldIsNamed) {
  EXPECT_TRUE(Options().validate().ok());
  const auto text = [](auto change) {
    Options options;
    change(options);
    const Status status = options.validate();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    return status.to_string();
  };
  EXPECT_NE(text([](Options& o) { o.partitions = 0; }).find("partitions is 0"), std::string::npos);
  EXPECT_NE(text([](Options& o) { o.partitions = -1; }).find("partitions"), std::string::npos);
  EXPECT_NE(text([](Options& o) { o.name_bytes_max = 32'768; }).find("name_bytes_max is 32768"),
            std::string::npos);
  EXPECT_NE(text([](Options& o) { o.offset_metadata_max = 20'000; }).find("offset_metadata_max"),
            std::string::npos);
  EXPECT_NE(text([](Options& o) { o.group_bytes_max = 16 << 20; }).find("group_bytes_max"),
            std::string::npos);
  EXPECT_NE(text([](Options& o) { o.metadata_bytes_max = 9 << 20; }).find("metadata_bytes_max"),
            std::string::npos);
  EXPECT_NE(text([](Options& o) { o.members_max = 0; }).find("members_max"), std::string::npos);
  EXPECT_NE(text([](Options& o) { o.offset_retention = 0ms; }).find("offset_retention is 0 ms"),
            std::string::npos);
  EXPECT_NE(text([](Options& o) { o.initial_rebalance_delay = -1ms; }).find("delay"), std::string::npos);
  EXPECT_NE(text([](Options& o) { o.session_timeout_min = 2h; }).find("session_timeout_min"),
            std::string::npos);
}

}  // namespace
}  // namespace afdg::log::groups
