#include "region/testing/test_region.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agents/entity_agent.h"
#include "proto/entity_store.h"
#include "region/testing/ledger_agent.h"

namespace afdg {
namespace {

using namespace std::chrono_literals;
using region::testing::Ledger;
using region::testing::LedgerAgent;
using v1::entity::Get;
using v1::entity::Increment;
using v1::entity::Range;

Increment increment(std::string key, std::int64_t by) {
  Increment m;
  m.set_key(std::move(key));
  m.set_by(by);
  return m;
}

TEST(TestRegion, CountsOnceAcrossACrash) {
  auto region = test::region<LedgerAgent>();
  const auto first = region.request<Ledger>("PHX", increment(">LAX", 1), {.request_id = "17"});
  ASSERT_TRUE(first.ok());
  region.crash();
  const auto again = region.request<Ledger>("PHX", increment(">LAX", 1), {.request_id = "17"});
  EXPECT_EQ(again->value(), 1);
  EXPECT_EQ((region.sent<Ledger, Range>("LAX").size()), 1U);
  region.rebuild();
  EXPECT_EQ(region.read<Ledger>("LAX", Get())->bytes(), "0; got PHX: 1");
}

TEST(TestRegion, GivesErrorsReceiptsStateAndDeadLetters) {
  auto region = test::region<LedgerAgent>();
  EXPECT_EQ(region.request<Ledger>("a", increment("x", region::testing::kRefused)).code(),
            Code::kApplication);
  EXPECT_EQ(region.state("ledger", "a").code(), Code::kNotFound);
  EXPECT_EQ(region.send<Ledger>("a", increment("x", region::testing::kRefused)).value(), Offset(1));
  EXPECT_THAT(region.dead(), ::testing::ElementsAre("thirteen"));
  EXPECT_TRUE(region.request<Ledger>("a", Range()).ok());
  region.checkpoint();
  region.crash();
  EXPECT_EQ(region.state("ledger", "a")->size(), 1U);
  region.advance(1h);
  EXPECT_EQ(region.now(), ManualClock().now() + 1h);
  test::Region moved = std::move(region);
  EXPECT_EQ(moved.info().turns, 0U);
}

TEST(TestRegion, HostsTheEntityStore) {
  std::vector<agents::AgentType> types;
  types.push_back(agents::entity_agent_type());
  test::Region region(std::move(types));
  EXPECT_EQ(region.request<EntityStore>("alice", increment("visits", 2))->value(), 2);
  region.rebuild();
  EXPECT_EQ(region.request<EntityStore>("alice", increment("visits", 2))->value(), 4);
}

}  // namespace
}  // namespace afdg
