#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "log/groups/testing/driver.h"
#include "log/groups/testing/member.h"

namespace afdg::log::groups {
namespace {

using namespace std::chrono_literals;
using testing::Driver;
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

}  // namespace
}  // namespace afdg::log::groups
