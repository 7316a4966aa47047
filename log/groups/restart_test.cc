#include <gtest/gtest.h>

#include "log/groups/records.h"
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

TEST(GroupRestart, AStableGroupGoesOnWithItsGenerationAndAssignments) {
  Driver d;
  Pair g(d, "i-a");
  EXPECT_EQ(g.a.commit("t", 0, 7), Errors::kNone);
  d.pass(9s);
  d.restart();
  EXPECT_EQ(d.describe("g").state, "Stable");
  EXPECT_EQ(g.a.committed("t", 0), 7);
  d.pass(9s);
  EXPECT_EQ(g.a.heartbeat(), Errors::kNone) << "sessions begin anew";
  EXPECT_EQ(g.b.heartbeat(), Errors::kNone);
  g.follower->sync();
  EXPECT_EQ(g.follower->assignment(), "for " + g.follower->client);
  g.follower->join();
  ASSERT_TRUE(g.follower->joined());
  EXPECT_EQ(g.follower->generation, 1);
  EXPECT_EQ(g.follower->leader, g.leader->id);
  g.leader->join();
  g.follower->join();
  ASSERT_TRUE(g.leader->joined());
  EXPECT_EQ(g.leader->generation, 2);
}

TEST(GroupRestart, MembersThatDoNotComeBackExpire) {
  Driver d;
  Pair g(d);
  d.restart();
  d.pass(10s);
  EXPECT_EQ(d.describe("g").state, "Empty");
  d.restart();
  EXPECT_EQ(d.describe("g").state, "Empty");
  TestMember c(d, "g", "c");
  c.join();
  c.join();
  d.pass(10s);
  ASSERT_TRUE(c.joined());
  EXPECT_EQ(c.generation, 3) << "the empty generation counts";
}

TEST(GroupRestart, AGroupThatOnlyGaveOutAnIdIsKnown) {
  Driver d;
  TestMember a(d, "g", "a");
  a.join();
  d.restart();
  EXPECT_EQ(d.describe("g").state, "Empty");
  a.join();
  EXPECT_EQ(a.error(), Errors::kUnknownMemberId) << "its id is forgotten";
}

TEST(GroupRestart, WhatAPartitionSaysWhileItLoads) {
  SeededRandom random(1);
  Coordinator c({}, random);
  const ManualClock clock;
  const Now now{clock.now(), clock.monotonic()};
  JoinRequest join;
  join.group = "g";
  join.session_timeout = 10s;
  c.join(1, join, now);
  c.sync(2, {"g", 0, "m", {}, {}, {}, {}}, now);
  c.heartbeat(3, {"g", 0, "m", {}}, now);
  c.leave(4, {"g", {{"m", {}}}}, now);
  c.commit(5, simple("g", "t", 0, 1), now);
  c.fetch(6, {{{"g", {{{"t", {0}}}}}}, true}, now);
  c.delete_offsets(7, {"g", {{"t", {0}}}}, now);
  c.describe(8, {{"g"}}, now);
  c.list(9, {}, now);
  c.delete_groups(10, {{"g"}}, now);
  c.tick(now);
  const Effects e = c.take();
  ASSERT_EQ(e.replies.size(), 10u);
  EXPECT_TRUE(e.appends.empty());
  const Errors loading = Errors::kCoordinatorLoadInProgress;
  EXPECT_EQ(std::get<JoinReply>(e.replies[0].body).error, loading);
  EXPECT_EQ(std::get<SyncReply>(e.replies[1].body).error, loading);
  EXPECT_EQ(std::get<HeartbeatReply>(e.replies[2].body).error, Errors::kNone)
      << "as Kafka: nobody shall lose a session";
  EXPECT_EQ(std::get<LeaveReply>(e.replies[3].body).error, loading);
  EXPECT_EQ(std::get<CommitReply>(e.replies[4].body).topics[0].partitions[0].error, loading);
  EXPECT_EQ(std::get<FetchReply>(e.replies[5].body).groups[0].error, loading);
  EXPECT_EQ(std::get<FetchReply>(e.replies[5].body).groups[0].topics[0].partitions[0].error, loading);
  EXPECT_EQ(std::get<OffsetDeleteReply>(e.replies[6].body).error, loading);
  EXPECT_EQ(std::get<DescribeReply>(e.replies[7].body).groups[0].error, loading);
  EXPECT_EQ(std::get<ListReply>(e.replies[8].body).error, loading);
  EXPECT_EQ(std::get<DeleteReply>(e.replies[9].body).groups[0].error, loading);
}

TEST(GroupRestart, ATopicDeletedWhileLoadingIsDroppedAfterwards) {
  SeededRandom random(1);
  Options options;
  options.partitions = 1;
  Coordinator c(options, random);
  const ManualClock clock;
  const Now now{clock.now(), clock.monotonic()};
  ASSERT_TRUE(c.load(0, encode_key(OffsetKey{"g", "t", 0}), encode_value(OffsetValue{})).ok());
  c.topic_deleted("t", now);
  ASSERT_TRUE(c.load(0, encode_key(OffsetKey{"h", "t", 0}), encode_value(OffsetValue{})).ok());
  c.loaded(0, now);
  EXPECT_EQ(c.take().appends.size(), 2u);
}

TEST(GroupRestart, OffsetsOfTopicsThatAreGoneAreDropped) {
  SeededRandom random(1);
  Options options;
  options.partitions = 1;
  Coordinator c(options, random);
  const ManualClock clock;
  const Now now{clock.now(), clock.monotonic()};
  for (const auto* topic : {"gone", "here"})
    ASSERT_TRUE(c.load(0, encode_key(OffsetKey{"g", topic, 0}), encode_value(OffsetValue{})).ok());
  c.loaded(0, now, [](const std::string& topic) { return topic == "here"; });
  const Effects e = c.take();
  ASSERT_EQ(e.appends.size(), 1u);
  ASSERT_EQ(e.appends[0].records.size(), 1u);
  EXPECT_EQ(e.appends[0].records[0].key, encode_key(OffsetKey{"g", "gone", 0}));
  EXPECT_FALSE(e.appends[0].records[0].value);
  c.append_done(e.appends[0].token, {}, now);
  EXPECT_EQ(c.stats().offsets, 1u);
}

TEST(GroupRestart, RecordsThatMakeNoSenseAreNamedAndPassedOver) {
  SeededRandom random(1);
  Coordinator c({}, random);
  const std::string g = encode_key(GroupKey{"g"});
  const std::int32_t home = c.partition_of("g");
  const auto load = [&](const GroupValue& v) { return c.load(home, g, encode_value(v)).code(); };
  const GroupValue::Member m{"m", "i", "c", "h", -1, 10'000, "", ""};
  GroupValue v{"consumer", 1, "range", "m", -1, {m}};
  EXPECT_EQ(c.load((home + 1) % 50, g, encode_value(v)).code(), Code::kCorrupt) << "not its partition";
  v.members.push_back(m);
  EXPECT_EQ(load(v), Code::kCorrupt) << "one id twice";
  v.members[1].member_id = "n";
  EXPECT_EQ(load(v), Code::kCorrupt) << "one instance id twice";
  v.members.pop_back();
  v.protocol.reset();
  EXPECT_EQ(load(v), Code::kCorrupt) << "members without a protocol";
  v.protocol = "range";
  v.generation = -1;
  EXPECT_EQ(load(v), Code::kCorrupt) << "a generation below 0";
  v.generation = 1;
  EXPECT_EQ(c.load(home, "", "").code(), Code::kCorrupt);
  EXPECT_EQ(c.load(home, g, "").code(), Code::kCorrupt);
  EXPECT_EQ(c.stats().groups, 0u);
  EXPECT_TRUE(c.load(home, std::string("\0\5x", 3), "anything").ok()) << "a newer kind of group";
  v.leader = "gone";
  EXPECT_EQ(load(v), Code::kOk);
  EXPECT_EQ(c.stats().members, 1u);
}

TEST(GroupRestart, AGroupAboveALoweredBoundRebalances) {
  Options options;
  Driver before(options);
  Pair g(before);
  options.members_max = 1;
  Driver after(options);
  after.log = before.log;
  after.restart();
  EXPECT_EQ(after.describe("g").state, "PreparingRebalance");
}

TEST(GroupPartition, IsJavasHashOfTheName) {
  SeededRandom random(1);
  Options options;
  options.partitions = 50;
  const Coordinator c(options, random);
  // (name.hashCode() & 0x7fffffff) % 50, computed by a JDK 17.
  EXPECT_EQ(c.partition_of(""), 0);
  EXPECT_EQ(c.partition_of("g"), 3);
  EXPECT_EQ(c.partition_of("my-group"), 36);
  EXPECT_EQ(c.partition_of("console-consumer-12345"), 6);
  EXPECT_EQ(c.partition_of("gr\u00fcn"), 49);
  EXPECT_EQ(c.partition_of("\u6d88\u8d39\u8005"), 6);
  EXPECT_EQ(c.partition_of("\U0001f600 group"), 42);
}

}  // namespace
}  // namespace afdg::log::groups
