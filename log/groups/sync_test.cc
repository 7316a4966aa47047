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

TEST(GroupSync, WhatIsRefused) {
  Driver d;
  Pair g(d);
  const auto sync = [&](auto change) {
    SyncRequest r = g.follower->sync_request();
    change(r);
    return std::string(errors_name(d.reply<SyncReply>(d.sync(r)).error));
  };
  EXPECT_EQ(sync([](SyncRequest& r) { r.group.clear(); }), "INVALID_GROUP_ID");
  EXPECT_EQ(sync([](SyncRequest& r) { r.group = "other"; }), "UNKNOWN_MEMBER_ID");
  EXPECT_EQ(sync([](SyncRequest& r) { r.member_id = "other"; }), "UNKNOWN_MEMBER_ID");
  EXPECT_EQ(sync([](SyncRequest& r) { r.instance_id = "other"; }), "UNKNOWN_MEMBER_ID");
  EXPECT_EQ(sync([](SyncRequest& r) { r.generation = 0; }), "ILLEGAL_GENERATION");
  EXPECT_EQ(sync([](SyncRequest& r) { r.generation = 2; }), "ILLEGAL_GENERATION");
  EXPECT_EQ(sync([](SyncRequest& r) { r.protocol_type = "connect"; }), "INCONSISTENT_GROUP_PROTOCOL");
  EXPECT_EQ(sync([](SyncRequest& r) { r.protocol_name = "sticky"; }), "INCONSISTENT_GROUP_PROTOCOL");
  EXPECT_EQ(sync([](SyncRequest& r) { r.protocol_name = "range"; }), "NONE");
  g.leader->join();
  EXPECT_EQ(sync([](SyncRequest&) {}), "REBALANCE_IN_PROGRESS");
}

TEST(GroupSync, NobodyHasAnAssignmentBeforeItIsDurable) {
  Driver d;
  Pair g(d);
  g.leader->join();
  g.follower->join();
  d.hold_appends = true;
  g.follower->sync();
  g.leader->sync({{g.leader->id, "x"}, {g.follower->id, "y"}, {"nobody", "z"}});
  EXPECT_FALSE(g.leader->synced());
  EXPECT_FALSE(g.follower->synced());
  EXPECT_EQ(d.describe("g").state, "CompletingRebalance");
  ASSERT_EQ(d.held.size(), 1u);
  // The leader asks again: one append is enough, and the first assignment holds.
  const RequestToken first = g.leader->sync_token;
  g.leader->sync({{g.follower->id, "another"}});
  EXPECT_EQ(d.reply<SyncReply>(first).error, Errors::kRebalanceInProgress);
  EXPECT_EQ(d.held.size(), 1u);
  d.end_append(Status());
  EXPECT_EQ(g.leader->assignment(), "x");
  EXPECT_EQ(g.follower->assignment(), "y");
  EXPECT_EQ(d.reply<SyncReply>(g.leader->sync_token).protocol_name, "range");
  EXPECT_EQ(d.describe("g").state, "Stable");
}

TEST(GroupSync, AnAssignmentThatCannotBeStoredBeginsAnotherRebalance) {
  Driver d;
  Pair g(d);
  g.leader->join();
  g.follower->join();
  d.hold_appends = true;
  g.follower->sync();
  g.leader->sync({{g.leader->id, "x"}});
  d.end_append(fail(Code::kDiskFull));
  EXPECT_EQ(g.leader->sync_error(), Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(g.follower->sync_error(), Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(d.describe("g").state, "PreparingRebalance");
  d.hold_appends = false;
  g.leader->join();
  g.follower->join();
  g.settle();
  EXPECT_EQ(g.leader->generation, 3);
}

TEST(GroupSync, AnAssignmentOfAnOlderGenerationIsDropped) {
  Driver d;
  Pair g(d);
  g.leader->join();
  g.follower->join();
  d.hold_appends = true;
  g.leader->sync({{g.leader->id, "old"}, {g.follower->id, "old"}});
  g.follower->protocols[0].metadata += "changed";
  g.follower->join();
  EXPECT_EQ(g.leader->sync_error(), Errors::kRebalanceInProgress);
  g.leader->join();
  ASSERT_TRUE(g.follower->joined());
  EXPECT_EQ(g.follower->generation, 3);
  d.end_append(Status());
  EXPECT_EQ(d.describe("g").state, "CompletingRebalance");
  g.follower->sync();
  EXPECT_FALSE(g.follower->synced());
}

TEST(GroupSync, WhoDoesNotSyncInTimeIsOut) {
  Driver d;
  Pair g(d);
  g.leader->join();
  g.follower->join();
  ASSERT_TRUE(g.leader->joined());
  g.leader->sync({{g.leader->id, "x"}});
  EXPECT_EQ(g.leader->assignment(), "x");
  for (int i = 0; i < 11; ++i) {
    d.pass(5s);
    EXPECT_EQ(g.leader->heartbeat(), Errors::kNone);
    EXPECT_EQ(g.follower->heartbeat(), Errors::kNone);
  }
  d.pass(5s);
  EXPECT_EQ(g.leader->heartbeat(), Errors::kRebalanceInProgress);
  EXPECT_EQ(g.follower->heartbeat(), Errors::kUnknownMemberId);
}

TEST(GroupSync, AnAssignmentBeyondTheBoundIsRefusedAndAnotherMayFollow) {
  Options options;
  options.group_bytes_max = options.metadata_bytes_max = 2000;
  Driver d(options);
  Pair g(d);
  g.leader->join();
  g.follower->join();
  g.leader->sync({{g.leader->id, std::string(2000, 'x')}});
  EXPECT_EQ(g.leader->sync_error(), Errors::kPolicyViolation);
  EXPECT_EQ(d.describe("g").state, "CompletingRebalance");
  g.settle();
  TestMember c(d, "g", "c");
  c.protocols[0].metadata.resize(2000);
  c.join();
  EXPECT_EQ(c.error(), Errors::kPolicyViolation);
  EXPECT_EQ(d.describe("g").state, "Stable");
}

TEST(GroupHeartbeat, WhatItSays) {
  Driver d;
  EXPECT_EQ(d.heartbeat({"", 0, "m", {}}), Errors::kInvalidGroupId);
  EXPECT_EQ(d.heartbeat({"g", 0, "m", {}}), Errors::kUnknownMemberId);
  Pair g(d);
  EXPECT_EQ(d.heartbeat({"g", 1, "m", {}}), Errors::kUnknownMemberId);
  EXPECT_EQ(d.heartbeat({"g", 0, g.a.id, {}}), Errors::kIllegalGeneration);
  EXPECT_EQ(g.a.heartbeat(), Errors::kNone);
  g.leader->join();
  g.follower->join();
  EXPECT_EQ(g.a.heartbeat(), Errors::kNone) << "in CompletingRebalance";
}

TEST(GroupHeartbeat, KeepsASessionAliveAndItsLackEndsIt) {
  Driver d;
  Pair g(d);
  d.pass(9s);
  EXPECT_EQ(g.a.heartbeat(), Errors::kNone);
  EXPECT_EQ(g.b.heartbeat(), Errors::kNone);
  d.pass(9s);
  EXPECT_EQ(g.a.heartbeat(), Errors::kNone);
  d.pass(999ms);
  EXPECT_EQ(d.describe("g").members.size(), 2u);
  d.pass(1ms);
  EXPECT_EQ(g.a.heartbeat(), Errors::kRebalanceInProgress);
  EXPECT_EQ(g.b.heartbeat(), Errors::kUnknownMemberId);
  EXPECT_EQ(d.coordinator->stats().members_expired, 1u);
}

TEST(GroupHeartbeat, ACommitKeepsASessionAlive) {
  Driver d;
  Pair g(d);
  for (int i = 0; i < 5; ++i) {
    d.pass(9s);
    EXPECT_EQ(g.a.commit("t", 0, i), Errors::kNone);
    EXPECT_EQ(g.b.heartbeat(), Errors::kNone);
  }
}

TEST(GroupHeartbeat, AJumpOfTheWallClockEndsNoSession) {
  Driver d;
  Pair g(d);
  Now now = d.now();
  now.wall += std::chrono::hours(1000);
  d.coordinator->tick(now);
  d.collect();
  EXPECT_EQ(g.a.heartbeat(), Errors::kNone);
}

TEST(GroupLeave, EachMemberHasItsOwnAnswer) {
  Driver d;
  Pair g(d, "i-a", "i-b");
  const LeaveReply r = d.reply<LeaveReply>(d.leave(
      {"g", {{"nobody", {}}, {"", "i-nobody"}, {"", {}}, {g.a.id, "i-b"}, {"", "i-a"}, {g.b.id, {}}}}));
  ASSERT_EQ(r.members.size(), 6u);
  EXPECT_EQ(r.members[0].error, Errors::kUnknownMemberId);
  EXPECT_EQ(r.members[1].error, Errors::kUnknownMemberId);
  EXPECT_EQ(r.members[2].error, Errors::kUnknownMemberId);
  EXPECT_EQ(r.members[3].error, Errors::kFencedInstanceId);
  EXPECT_EQ(r.members[4].error, Errors::kNone);
  EXPECT_EQ(r.members[4].instance_id, "i-a");
  EXPECT_EQ(r.members[5].error, Errors::kNone);
  EXPECT_EQ(d.describe("g").state, "Empty");
  const LeaveReply none = d.reply<LeaveReply>(d.leave({"other", {{"m", {}}}}));
  EXPECT_EQ(none.error, Errors::kNone);
  EXPECT_EQ(none.members.at(0).error, Errors::kUnknownMemberId);
  EXPECT_EQ(d.reply<LeaveReply>(d.leave({"", {{"m", {}}}})).error, Errors::kInvalidGroupId);
}

TEST(GroupLeave, TheLastOneIsAnsweredWhenTheEmptyGroupIsDurable) {
  Driver d;
  Pair g(d);
  EXPECT_EQ(g.a.leave(), Errors::kNone);
  d.hold_appends = true;
  const RequestToken token = d.leave({"g", {{g.b.id, {}}}});
  EXPECT_FALSE(d.answered(token));
  d.end_append(Status());
  EXPECT_EQ(d.reply<LeaveReply>(token).members.at(0).error, Errors::kNone);
}

TEST(GroupLeave, WhoWaitsIsAnswered) {
  Driver d;
  Pair g(d);
  g.leader->join();
  const RequestToken join = g.leader->join_token;
  EXPECT_EQ(g.leader->leave(), Errors::kNone);
  EXPECT_EQ(d.reply<JoinReply>(join).error, Errors::kUnknownMemberId);
  g.follower->join();
  ASSERT_TRUE(g.follower->joined());
  TestMember c(d, "g", "c");
  c.join();
  c.join();
  g.follower->join();
  ASSERT_TRUE(c.joined());
  TestMember& waits = c.leads() ? *g.follower : c;
  waits.sync();
  EXPECT_EQ(waits.leave(), Errors::kNone);
  EXPECT_EQ(waits.sync_error(), Errors::kUnknownMemberId);
}

TEST(GroupLeave, AnIdThatWasNotUsedMayLeave) {
  Driver d;
  Pair g(d);
  TestMember c(d, "g", "c");
  c.join();
  EXPECT_EQ(c.leave(), Errors::kNone);
  c.join();
  EXPECT_EQ(c.error(), Errors::kUnknownMemberId);
}

}  // namespace
}  // namespace afdg::log::groups
