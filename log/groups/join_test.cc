#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "log/groups/testing/driver.h"
#include "log/groups/testing/member.h"
#include "log/groups/testing/pair.h"

namespace afdg::log::groups {
namespace {

using namespace std::chrono_literals;
using testing::Driver;
using testing::Pair;
using testing::TestMember;

TEST(GroupJoin, TwoMembersShareAGeneration) {
  Driver d;
  TestMember a(d, "g", "a");
  TestMember b(d, "g", "b");
  a.join();
  EXPECT_EQ(a.error(), Errors::kMemberIdRequired);
  EXPECT_THAT(
      a.id, ::testing::MatchesRegex("a-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  a.join();
  d.pass(1s);
  b.join();
  b.join();
  EXPECT_FALSE(a.joined());
  d.pass(10s);
  ASSERT_TRUE(a.joined());
  ASSERT_TRUE(b.joined());
  EXPECT_EQ(a.generation, 1);
  EXPECT_EQ(b.generation, 1);
  EXPECT_EQ(a.leader, b.leader);
  TestMember& leader = a.leads() ? a : b;
  TestMember& follower = a.leads() ? b : a;
  EXPECT_EQ(leader.members.size(), 2u);
  EXPECT_TRUE(follower.members.empty());

  follower.sync();
  EXPECT_FALSE(follower.synced());
  leader.sync({{a.id, "for a"}, {b.id, "for b"}});
  EXPECT_EQ(a.assignment(), "for a");
  EXPECT_EQ(b.assignment(), "for b");
  EXPECT_EQ(d.describe("g").state, "Stable");
  EXPECT_EQ(a.heartbeat(), Errors::kNone);
  a.commit("t", 0, 42);
  EXPECT_EQ(a.committed("t", 0), 42);

  EXPECT_EQ(b.leave(), Errors::kNone);
  EXPECT_EQ(a.heartbeat(), Errors::kRebalanceInProgress);
  a.join();
  ASSERT_TRUE(a.joined());
  EXPECT_EQ(a.generation, 2);
}

TEST(GroupJoin, WhatIsRefusedAtTheDoor) {
  struct Case {
    const char* name;
    Errors error;
    std::function<void(JoinRequest&)> change;
  };
  const std::vector<Case> cases{
      {"no group", Errors::kInvalidGroupId, [](JoinRequest& r) { r.group.clear(); }},
      {"session below 6 s", Errors::kInvalidSessionTimeout,
       [](JoinRequest& r) { r.session_timeout = 5999ms; }},
      {"session above 30 min", Errors::kInvalidSessionTimeout,
       [](JoinRequest& r) { r.session_timeout = 1800001ms; }},
      {"an id that nobody gave out, no group", Errors::kUnknownMemberId,
       [](JoinRequest& r) { r.member_id = "x"; }},
      {"no protocol", Errors::kInconsistentGroupProtocol, [](JoinRequest& r) { r.protocols.clear(); }},
      {"no protocol type", Errors::kInconsistentGroupProtocol,
       [](JoinRequest& r) { r.protocol_type.clear(); }},
      {"a long group name", Errors::kPolicyViolation, [](JoinRequest& r) { r.group.resize(1025, 'g'); }},
      {"a long client id", Errors::kPolicyViolation, [](JoinRequest& r) { r.client_id.resize(1025, 'c'); }},
      {"a long instance id", Errors::kPolicyViolation,
       [](JoinRequest& r) { r.instance_id = std::string(1025, 'i'); }},
      {"a long protocol name", Errors::kPolicyViolation,
       [](JoinRequest& r) { r.protocols[0].name.resize(1025, 'p'); }},
      {"too many protocols", Errors::kPolicyViolation, [](JoinRequest& r) { r.protocols.resize(65); }},
      {"too much metadata", Errors::kPolicyViolation,
       [](JoinRequest& r) { r.protocols[0].metadata.resize((1 << 20) + 1); }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Driver d;
    TestMember a(d, "g", "a");
    JoinRequest r = a.join_request();
    c.change(r);
    const JoinReply reply = d.reply<JoinReply>(d.join(r));
    EXPECT_EQ(errors_name(reply.error), errors_name(c.error));
    EXPECT_EQ(reply.generation, -1);
    EXPECT_EQ(d.coordinator->stats().groups, 0u) << "a refusal left a group";
    EXPECT_TRUE(d.appended.empty());
  }
}

TEST(GroupJoin, WhatAStableGroupRefuses) {
  Driver d;
  Pair g(d);
  TestMember c(d, "g", "c");
  c.protocols[0].name = "roundrobin";
  c.join();
  EXPECT_EQ(c.error(), Errors::kInconsistentGroupProtocol);
  c.protocols[0].name = "range";
  c.protocol_type = "connect";
  c.join();
  EXPECT_EQ(c.error(), Errors::kInconsistentGroupProtocol);
  c.protocol_type = "consumer";
  c.id = "c-unknown";
  c.join();
  EXPECT_EQ(c.error(), Errors::kUnknownMemberId);
  EXPECT_EQ(c.join_reply().member_id, "c-unknown");
  c.instance_id = "nobody";
  c.join();
  EXPECT_EQ(c.error(), Errors::kUnknownMemberId);
  EXPECT_EQ(d.describe("g").state, "Stable") << "nothing changed";
}

TEST(GroupJoin, WithoutMemberIdRequiredAMemberJoinsAtOnce) {
  Driver d;
  TestMember a(d, "g", "a");
  a.member_id_required = false;
  a.join();
  EXPECT_FALSE(d.answered(a.join_token));
  d.pass(2999ms);
  EXPECT_FALSE(d.answered(a.join_token));
  d.pass(1ms);
  EXPECT_TRUE(a.joined());
  EXPECT_TRUE(a.leads());
}

TEST(GroupJoin, TheFirstRebalanceIsDelayedWhileMembersComeButNotBeyondTheRebalanceTimeout) {
  Driver d;
  std::vector<std::unique_ptr<TestMember>> all;
  for (int i = 0; i < 10; ++i) {
    auto& m = *all.emplace_back(std::make_unique<TestMember>(d, "g", "m" + std::to_string(i)));
    m.member_id_required = false;
    m.rebalance_timeout = 7s;
    m.join();
    d.pass(1s);
    EXPECT_EQ(all[0]->joined(), i >= 6) << i;
  }
  // 3 s, once more 3 s, and the last second: at 7 s it is over, those who came later make the next
  // generation.
  EXPECT_TRUE(all[0]->joined());
  EXPECT_EQ(all[0]->generation, 1);
}

TEST(GroupJoin, WithoutADelayTheFirstMemberIsAnsweredAtOnce) {
  Options options;
  options.initial_rebalance_delay = 0ms;
  Driver d(options);
  TestMember a(d, "g", "a");
  a.join();
  a.join();
  EXPECT_TRUE(a.joined());
  EXPECT_EQ(a.generation, 1);
}

TEST(GroupJoin, TheLeaderRejoiningRebalancesAFollowerWithTheSameMetadataDoesNot) {
  Driver d;
  Pair g(d);
  g.follower->join();
  ASSERT_TRUE(g.follower->joined());
  EXPECT_EQ(g.follower->generation, 1);
  EXPECT_EQ(d.describe("g").state, "Stable");
  g.leader->join();
  EXPECT_FALSE(d.answered(g.leader->join_token));
  EXPECT_EQ(d.describe("g").state, "PreparingRebalance");
  EXPECT_EQ(g.follower->heartbeat(), Errors::kRebalanceInProgress);
  g.follower->join();
  EXPECT_TRUE(g.leader->joined());
  EXPECT_EQ(g.leader->generation, 2);
}

TEST(GroupJoin, AFollowerWithOtherMetadataRebalances) {
  Driver d;
  Pair g(d);
  g.follower->protocols[0].metadata += "more";
  g.follower->join();
  EXPECT_FALSE(d.answered(g.follower->join_token));
  EXPECT_EQ(d.describe("g").state, "PreparingRebalance");
}

TEST(GroupJoin, ALostAnswerIsGivenAgainWhileTheAssignmentIsAwaited) {
  Driver d;
  Pair g(d);
  g.leader->join();
  g.follower->join();
  const std::size_t members = g.leader->joined() ? g.leader->members.size() : 0;
  EXPECT_EQ(members, 2u);
  g.leader->join();
  ASSERT_TRUE(g.leader->joined());
  EXPECT_EQ(g.leader->members.size(), 2u);
  EXPECT_EQ(g.leader->generation, 2);
  g.follower->protocols[0].metadata += "changed";
  g.follower->join();
  EXPECT_FALSE(d.answered(g.follower->join_token));
  EXPECT_EQ(d.describe("g").state, "PreparingRebalance");
}

TEST(GroupJoin, ALaterJoinOfTheSameMemberTakesTheAnswer) {
  Driver d;
  Pair g(d);
  g.leader->join();
  const RequestToken first = g.leader->join_token;
  g.leader->join();
  EXPECT_EQ(d.reply<JoinReply>(first).error, Errors::kRebalanceInProgress);
  g.follower->join();
  EXPECT_TRUE(g.leader->joined());
}

TEST(GroupJoin, WhoDoesNotRejoinIsOutAndTheLeadershipMoves) {
  Driver d;
  Pair g(d);
  TestMember c(d, "g", "c");
  c.join();
  c.join();
  for (int i = 0; i < 11; ++i) {
    d.pass(5s);
    g.follower->join();
    static_cast<void>(g.leader->heartbeat());
  }
  d.pass(6s);
  ASSERT_TRUE(c.joined());
  EXPECT_EQ(c.generation, 2);
  EXPECT_NE(c.leader, g.leader->id);
  EXPECT_EQ(g.leader->heartbeat(), Errors::kUnknownMemberId);
  EXPECT_EQ(d.describe("g").members.size(), 2u);
}

TEST(GroupJoin, TheProtocolWithMostVotesAmongThoseAllKnowIsTaken) {
  Driver d;
  const auto list = [](std::vector<std::string> names) {
    std::vector<Protocol> out;
    for (auto& n : names) out.push_back({n, "metadata of " + n});
    return out;
  };
  TestMember a(d, "g", "a"), b(d, "g", "b"), c(d, "g", "c");
  a.protocols = list({"x", "sticky", "range"});
  b.protocols = list({"range", "sticky"});
  c.protocols = list({"sticky", "range", "y"});
  for (TestMember* m : {&a, &b, &c}) {
    m->member_id_required = false;
    m->join();
  }
  d.pass(10s);
  ASSERT_TRUE(a.joined());
  EXPECT_EQ(a.join_reply().protocol_name, "sticky");
  EXPECT_EQ(a.join_reply().protocol_type, "consumer");
  TestMember* leader = a.leads() ? &a : b.leads() ? &b : &c;
  for (const JoinedMember& m : leader->members) EXPECT_EQ(m.metadata, "metadata of sticky");
}

TEST(GroupJoin, AnIdThatIsNotUsedExpiresAndDoesNotHoldUpOthers) {
  Driver d;
  Pair g(d);
  TestMember c(d, "g", "c");
  c.join();
  EXPECT_EQ(c.error(), Errors::kMemberIdRequired);
  g.leader->join();
  g.follower->join();
  EXPECT_FALSE(d.answered(g.leader->join_token)) << "c was told to come back";
  d.pass(10s);
  EXPECT_TRUE(g.leader->joined());
  c.join();
  EXPECT_EQ(c.error(), Errors::kUnknownMemberId);
}

TEST(GroupJoin, AJoinOfANewMemberIsGivenUpAfterFiveMinutes) {
  Options options;
  options.initial_rebalance_delay = 400s;
  Driver d(options);
  TestMember a(d, "g", "a");
  a.member_id_required = false;
  a.join();
  d.pass(299s);
  EXPECT_FALSE(d.answered(a.join_token));
  d.pass(1s);
  EXPECT_EQ(a.error(), Errors::kUnknownMemberId);
  EXPECT_EQ(d.describe("g").state, "Empty");
}

TEST(GroupJoin, AFullGroupTakesNobody) {
  Options options;
  options.members_max = 2;
  Driver d(options);
  Pair g(d);
  TestMember c(d, "g", "c");
  c.join();
  EXPECT_EQ(c.error(), Errors::kGroupMaxSizeReached);
  EXPECT_EQ(d.describe("g").state, "Stable");
  EXPECT_EQ(g.a.heartbeat(), Errors::kNone);
  TestMember e(d, "h", "e");
  for (int i = 0; i < 2; ++i) {
    e.id.clear();
    e.join();
    EXPECT_EQ(e.error(), Errors::kMemberIdRequired);
  }
  e.id.clear();
  e.join();
  EXPECT_EQ(e.error(), Errors::kGroupMaxSizeReached) << "ids that wait count";
}

TEST(GroupJoin, AMemberIsCountedWithAllItsProtocols) {
  Options options;
  options.group_bytes_max = options.metadata_bytes_max = 4000;
  Driver d(options);
  TestMember a(d, "g", "a");
  const auto wide = [](std::size_t bytes) {
    std::vector<Protocol> protocols;
    for (const char* name : {"p", "q", "r"}) protocols.push_back({name, std::string(bytes, 'm')});
    return protocols;
  };
  a.protocols = wide(600);
  a.join();
  a.join();
  d.pass(4s);
  ASSERT_TRUE(a.joined());
  TestMember b(d, "g", "b");
  b.protocols = wide(600);
  b.join();
  EXPECT_EQ(b.error(), Errors::kPolicyViolation) << "twice 1800 bytes and names do not fit 4000";
  EXPECT_EQ(d.coordinator->refusals()[static_cast<std::size_t>(Bound::kGroupBytes)], 1u);
  EXPECT_EQ(a.heartbeat(), Errors::kNone) << "nothing changed";
  // Empty ones are kept, too.
  TestMember c(d, "g", "c");
  c.protocols = wide(0);
  for (int i = 0; i < 40; ++i) c.protocols.push_back({"n" + std::to_string(i), ""});
  c.join();
  EXPECT_EQ(c.error(), Errors::kPolicyViolation);
}

TEST(GroupJoin, AMemberOfAFullGroupMayJoinAgain) {
  Options options;
  options.group_bytes_max = options.metadata_bytes_max = 3000;
  Driver d(options);
  TestMember a(d, "g", "a");
  TestMember s(d, "g", "s", "instance");
  for (TestMember* m : {&a, &s}) {
    m->protocols[0].metadata.resize(1100, 'm');
    m->join();
  }
  a.join();
  d.pass(10s);
  ASSERT_TRUE(a.joined() && s.joined());
  // Once more by id, and once more as the one whose place it takes: neither adds anything.
  a.protocols[0].metadata.back() = 'n';
  a.join();
  EXPECT_EQ(a.error_or_none(), Errors::kNone);
  s.id.clear();
  s.join();
  EXPECT_EQ(s.error_or_none(), Errors::kNone);
  EXPECT_EQ(d.coordinator->refusals()[static_cast<std::size_t>(Bound::kGroupBytes)], 0u);
  a.protocols[0].metadata.resize(2000, 'm');
  a.join();
  EXPECT_EQ(a.error(), Errors::kPolicyViolation);
}

TEST(GroupJoin, AsManyMembersAsThereCanBeWithTheAssignorsOfRealClientsFit) {
  Driver d;
  const Options options;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < options.members_max; ++i) {
    TestMember m(d, "a-group-of-ten-thousand", "consumer-" + std::to_string(i));
    m.member_id_required = false;
    m.protocols = {{"range", std::string(100, 'm')}, {"cooperative-sticky", std::string(120, 'm')}};
    m.join();
    refused += m.error_or_none() != Errors::kNone;
  }
  EXPECT_EQ(refused, 0u);
}

TEST(GroupJoin, AStaticMemberThatStartsAgainKeepsItsAssignmentWithoutARebalance) {
  for (const bool skip : {false, true}) {
    for (const bool of_leader : {false, true}) {
      SCOPED_TRACE(std::string(skip ? "v9 " : "v8 ") + (of_leader ? "leader" : "follower"));
      Driver d;
      Pair g(d, "i-a", "i-b");
      TestMember& old = of_leader ? *g.leader : *g.follower;
      TestMember fresh(d, "g", old.client, old.instance_id);
      fresh.skip_assignment_known = skip;
      fresh.join();
      ASSERT_TRUE(fresh.joined());
      EXPECT_TRUE(fresh.id.starts_with(*old.instance_id + "-"));
      EXPECT_NE(fresh.id, old.id);
      EXPECT_EQ(fresh.generation, 1);
      EXPECT_EQ(fresh.join_reply().skip_assignment, skip && of_leader);
      EXPECT_EQ(fresh.members.size(), skip && of_leader ? 2u : 0u);
      // Before KIP-814 the leader is not told that it leads, so that it does not assign.
      EXPECT_EQ(fresh.leader == fresh.id, skip && of_leader);
      EXPECT_EQ(d.describe("g").state, "Stable");
      fresh.sync();
      EXPECT_EQ(fresh.assignment(), "for " + old.client);
      EXPECT_EQ(old.heartbeat(), Errors::kFencedInstanceId);
      EXPECT_EQ(old.commit("t", 0, 1), Errors::kFencedInstanceId);
      old.sync();
      EXPECT_EQ(old.sync_error(), Errors::kFencedInstanceId);
      old.join();
      EXPECT_EQ(old.error(), Errors::kFencedInstanceId);
      EXPECT_EQ(old.leave(), Errors::kFencedInstanceId);
      EXPECT_EQ(fresh.heartbeat(), Errors::kNone);
    }
  }
}

TEST(GroupJoin, AStaticMemberWhoseIdCannotBeStoredKeepsTheOldOne) {
  Driver d;
  Pair g(d, "i-a", "i-b");
  d.hold_appends = true;
  TestMember fresh(d, "g", "b", g.follower->instance_id);
  fresh.join();
  EXPECT_FALSE(d.answered(fresh.join_token)) << "answered before its id is durable";
  EXPECT_EQ(g.follower->heartbeat(), Errors::kFencedInstanceId);
  d.end_append(fail(Code::kDiskFull));
  EXPECT_EQ(fresh.error(), Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(fresh.join_reply().member_id, "");
  EXPECT_EQ(g.follower->heartbeat(), Errors::kNone);
}

TEST(GroupJoin, WhenItIsUnclearWhichIdIsStoredTheGroupRebalances) {
  Driver d;
  Pair g(d, "i-a", "i-b");
  d.hold_appends = true;
  TestMember second(d, "g", "b", g.follower->instance_id);
  second.join();
  TestMember third(d, "g", "b", g.follower->instance_id);
  third.join();
  EXPECT_EQ(second.error(), Errors::kFencedInstanceId);
  d.end_append(fail(Code::kDiskFull));
  d.end_append(fail(Code::kDiskFull));
  EXPECT_EQ(third.error(), Errors::kCoordinatorNotAvailable);
  EXPECT_EQ(d.describe("g").state, "PreparingRebalance");
}

TEST(GroupJoin, AStaticMemberThatWouldChangeTheProtocolRebalances) {
  Driver d;
  TestMember a(d, "g", "a", "i-a");
  a.protocols.push_back({"sticky", ""});
  a.join();
  d.pass(10s);
  ASSERT_TRUE(a.joined());
  a.sync({{a.id, "for a"}});
  TestMember fresh(d, "g", "a", "i-a");
  fresh.protocols = {{"sticky", ""}, {"range", ""}};
  fresh.join();
  ASSERT_TRUE(fresh.joined());
  EXPECT_EQ(fresh.generation, 2);
  EXPECT_EQ(fresh.join_reply().protocol_name, "sticky");
}

TEST(GroupJoin, TheOlderInstanceIsFencedWhileItWaits) {
  Driver d;
  Pair g(d, "i-a", "i-b");
  g.leader->join();
  TestMember fresh(d, "g", "x", g.leader->instance_id);
  fresh.join();
  EXPECT_EQ(g.leader->error(), Errors::kFencedInstanceId);
  g.follower->join();
  EXPECT_TRUE(fresh.joined());
  EXPECT_TRUE(fresh.leads()) << "the place of the older one";
  g.follower->sync();
  TestMember again(d, "g", "y", g.follower->instance_id);
  again.join();
  EXPECT_EQ(g.follower->sync_error(), Errors::kFencedInstanceId);
  EXPECT_EQ(d.describe("g").state, "PreparingRebalance") << "the leader may have assigned to the old id";
}

TEST(GroupJoin, AStaticMemberKeepsItsPlaceInARebalanceUntilItsSessionEnds) {
  Driver d;
  Pair g(d, "i-a", "i-b");
  g.a.session_timeout = g.b.session_timeout = 10s;
  TestMember c(d, "g", "c");
  c.join();
  c.join();
  g.leader->join();
  EXPECT_FALSE(g.leader->error_or_none() == Errors::kUnknownMemberId);
  d.pass(9s);
  EXPECT_EQ(d.describe("g").members.size(), 3u);
  d.pass(1s);
  EXPECT_TRUE(g.leader->joined()) << "without the follower, whose session ended";
  EXPECT_EQ(d.describe("g").members.size(), 2u);
}

TEST(GroupJoin, AnAbsentStaticLeaderIsSucceededByOneWhoIsThere) {
  Driver d;
  TestMember a(d, "g", "a", "i-a");
  a.session_timeout = 1800s;
  TestMember b(d, "g", "b", "i-b");
  a.join();
  b.join();
  d.pass(10s);
  TestMember& leader = a.leads() ? a : b;
  TestMember& other = a.leads() ? b : a;
  leader.session_timeout = other.session_timeout = 1800s;
  leader.sync({});
  leader.join();
  other.join();
  leader.sync({});
  other.sync();
  other.protocols[0].metadata += "changed";
  other.join();
  d.pass(60s);
  ASSERT_TRUE(other.joined());
  EXPECT_TRUE(other.leads());
  EXPECT_EQ(other.members.size(), 2u) << "the absent one keeps its place";
}

TEST(GroupJoin, AGroupOfAbsentStaticMembersWithoutARebalanceTimeoutWaitsForTheirSessions) {
  Driver d;
  TestMember a(d, "g", "a", "i-a");
  a.join();
  d.pass(3s);
  ASSERT_TRUE(a.joined());
  a.sync({{a.id, "x"}});
  TestMember again(d, "g", "a", "i-a");
  again.rebalance_timeout = 0ms;
  again.session_timeout = 60s;
  again.join();
  ASSERT_TRUE(again.joined());
  EXPECT_EQ(again.generation, 1);
  TestMember b(d, "g", "b");
  b.rebalance_timeout = 0ms;
  b.join();
  b.join();
  EXPECT_EQ(b.leave(), Errors::kNone);
  d.pass(50s);
  EXPECT_EQ(d.describe("g").state, "PreparingRebalance");
  d.pass(10s);
  EXPECT_EQ(d.describe("g").state, "Empty");
}

}  // namespace
}  // namespace afdg::log::groups
