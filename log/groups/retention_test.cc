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

constexpr auto kDay = std::chrono::hours(24);

CommitRequest simple(const std::string& group, const std::string& topic, std::int32_t partition,
                     std::int64_t offset) {
  CommitRequest r;
  r.group = group;
  r.topics.push_back({topic, {{partition, offset, -1, std::nullopt, std::nullopt}}});
  return r;
}

TEST(GroupRetention, ASimpleGroupsOffsetExpiresAfterItsCommitAndTheGroupWithTheLast) {
  Driver d;
  d.commit(simple("g", "t", 0, 1));
  d.pass(4 * kDay);
  d.commit(simple("g", "t", 1, 1));
  d.pass(3 * kDay - 1min);
  EXPECT_EQ(d.coordinator->stats().offsets, 2u);
  d.pass(11min);
  EXPECT_EQ(d.coordinator->stats().offsets, 1u);
  EXPECT_EQ(d.describe("g").state, "Empty");
  d.pass(4 * kDay);
  EXPECT_EQ(d.coordinator->stats().offsets, 0u);
  EXPECT_EQ(d.describe("g").state, "Dead");
  EXPECT_EQ(d.coordinator->stats().offsets_expired, 2u);
  d.restart();
  EXPECT_EQ(d.coordinator->stats().groups, 0u) << "tombstones were appended";
}

// Keeps the members alive.
void live(Driver& d, Pair& g, std::chrono::hours time) {
  for (auto at = 0h; at < time; at += 1h) {
    for (TestMember* m : {&g.a, &g.b}) m->session_timeout = 1800s;
    for (int i = 0; i < 400; ++i) {
      d.pass(9s);
      ASSERT_EQ(g.a.heartbeat(), Errors::kNone);
      ASSERT_EQ(g.b.heartbeat(), Errors::kNone);
    }
  }
}

TEST(GroupRetention, WhileMembersReadATopicItsOffsetsStayAndThenCountFromTheEnd) {
  Options options;
  options.offset_retention = 2h;
  Driver d(options);
  Pair g(d);
  EXPECT_EQ(g.a.commit("t", 0, 1), Errors::kNone);
  EXPECT_EQ(g.a.commit("unread", 0, 1), Errors::kNone);
  live(d, g, 3h);
  EXPECT_EQ(g.a.committed("t", 0), 1);
  EXPECT_EQ(g.a.committed("unread", 0), -1) << "nobody reads it";
  EXPECT_EQ(g.a.leave(), Errors::kNone);
  EXPECT_EQ(g.b.leave(), Errors::kNone);
  d.pass(119min);
  EXPECT_EQ(g.a.committed("t", 0), 1) << "the group is empty for less than the retention (KIP-211)";
  d.restart();
  d.pass(12min);
  EXPECT_EQ(g.a.committed("t", 0), -1);
  EXPECT_EQ(d.describe("g").state, "Dead");
}

TEST(GroupRetention, NothingExpiresInARebalanceOrInAGroupOfOthersThanConsumers) {
  Options options;
  options.offset_retention = 1h;
  Driver d(options);
  TestMember a(d, "g", "a");
  a.protocol_type = "connect";
  a.session_timeout = 1800s;
  a.join();
  a.join();
  d.pass(10s);
  ASSERT_TRUE(a.joined());
  a.sync({{a.id, ""}});
  a.commit("t", 0, 1);
  for (int i = 0; i < 200; ++i) {
    d.pass(60s);
    ASSERT_EQ(a.heartbeat(), Errors::kNone);
  }
  EXPECT_EQ(a.committed("t", 0), 1);
}

TEST(GroupRetention, ARetentionOfItsOwnHoldsForItsCommit) {
  Driver d;
  CommitRequest r = simple("g", "t", 0, 1);
  r.retention = 3600s;
  r.topics[0].partitions[0].leader_epoch = 4;
  d.commit(r);
  EXPECT_EQ(d.reply<FetchReply>(d.fetch({{{"g", std::nullopt}}, false}))
                .groups[0]
                .topics[0]
                .partitions[0]
                .leader_epoch,
            -1)
      << "its record has no room for the epoch";
  d.pass(59min);
  d.restart();
  EXPECT_EQ(d.coordinator->stats().offsets, 1u);
  d.pass(11min);
  EXPECT_EQ(d.coordinator->stats().offsets, 0u);
  CommitRequest forever = simple("g", "t", 0, 1);
  forever.retention = std::chrono::milliseconds::max();
  d.commit(forever);
  d.pass(30 * kDay);
  EXPECT_EQ(d.coordinator->stats().offsets, 1u);
}

TEST(GroupRetention, ACommitOnItsWayKeepsItsGroup) {
  Driver d;
  d.commit(simple("g", "t", 0, 1));
  d.pass(7 * kDay - 1min);
  d.hold_appends = true;
  d.commit(simple("g", "t", 0, 2));
  d.pass(30min);
  EXPECT_EQ(d.held.size(), 1u) << "no tombstones";
  d.end_append(Status());
  d.pass(kDay);
  EXPECT_EQ(d.coordinator->stats().offsets, 1u);
}

TEST(GroupRetention, WhatCannotBeExpiredNowIsTriedAgain) {
  Driver d;
  d.commit(simple("g", "t", 0, 1));
  d.pass(7 * kDay - 1min);
  d.hold_appends = true;
  d.pass(11min);
  ASSERT_EQ(d.held.size(), 1u);
  TestMember a(d, "g", "a");
  a.join();
  EXPECT_EQ(a.error(), Errors::kCoordinatorNotAvailable) << "it is being deleted";
  d.end_append(fail(Code::kDiskFull));
  EXPECT_EQ(d.coordinator->stats().offsets, 1u);
  EXPECT_EQ(d.describe("g").state, "Empty");
  d.pass(11min);
  ASSERT_EQ(d.held.size(), 1u);
  d.end_append(Status());
  EXPECT_EQ(d.coordinator->stats().groups, 0u);
}

TEST(GroupRetention, AGroupThatNobodyUsedGoes) {
  Driver d;
  TestMember a(d, "g", "a");
  a.join();
  EXPECT_EQ(d.describe("g").state, "Empty");
  d.pass(21min);
  EXPECT_EQ(d.describe("g").state, "Dead");
}

}  // namespace
}  // namespace afdg::log::groups
