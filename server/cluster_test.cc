#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <set>
#include <thread>

#include "base/codec.h"
#include "proto/entity_store.h"
#include "server/node.h"
#include "server/testing/caller.h"

// Several nodes in one process, over real connections.
namespace afdg::server {
namespace {

using testing::Caller;
using testing::TemporaryDirectory;

using Chain = Protocol<"chain", Ask<v1::entity::Increment, v1::entity::IncrementAnswer>,
                       Tell<v1::entity::Append>, Read<v1::entity::Length, v1::entity::LengthAnswer>>;
/// Increment {key: T, by: n} tells agent T of it; T counts what it was told.
class ChainAgent : public Agent<Chain> {
  Value<std::int64_t> told_{*this, "told"};

 public:
  Result<v1::entity::IncrementAnswer> on(const v1::entity::Increment& m, Turn& turn) {
    v1::entity::Append tell;
    tell.set_key(std::string(turn.key()));
    for (std::int64_t i = 0; i < m.by(); ++i) AFDG_TRY(turn.send<Chain>(m.key(), tell));
    return v1::entity::IncrementAnswer();
  }
  Status on(const v1::entity::Append&, Turn&) {
    told_.edit() += 1;
    return {};
  }
  Result<v1::entity::LengthAnswer> on(const v1::entity::Length&, const ReadTurn&) const {
    v1::entity::LengthAnswer answer;
    answer.set_length(static_cast<std::uint64_t>(*told_));
    return answer;
  }
};

class ClusterTest : public ::testing::Test {
 protected:
  static constexpr std::int32_t kRegions = 6;
  std::unique_ptr<RunningNode> node(const std::string& name, const std::string& listen = "127.0.0.1:0") {
    std::vector<std::string> arguments{
        "--data", directory_.path(name), "--listen", listen, "--kafka", "off", "--http",
        "off",    "--log-level",         "error"};
    if (name == "catalog") {
      arguments.insert(arguments.end(), {"--roles", "catalog"});
    } else {
      arguments.insert(arguments.end(), {"--roles", "region", "--catalog", catalog_->address()});
    }
    auto started = Node(arguments).agent<ChainAgent>().start();
    EXPECT_TRUE(started.ok()) << started.status().to_string();
    return started.ok() ? std::move(started).value() : nullptr;
  }
  void SetUp() override {
    catalog_ = node("catalog");
    one_ = node("one");
    two_ = node("two");
    auto made = Caller(catalog_->address()).create_grid("g", kRegions, {"entity", "chain"});
    ASSERT_TRUE(made.ok()) << made.status().to_string();
  }
  /// A key whose region is led by that node.
  std::string key_at(const std::string& address) {
    const auto routes = Caller(catalog_->address()).routes("g").value();
    for (int i = 0;; ++i) {
      const std::string key = "key" + std::to_string(i);
      if (routes.routes(key_partition(key, kRegions)).address() == address) return key;
    }
  }
  static bool until(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(15);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  TemporaryDirectory directory_;
  std::unique_ptr<RunningNode> catalog_, one_, two_;
};

TEST_F(ClusterTest, RegionsAreSharedOutAndANodeForwardsOneHop) {
  const auto routes = Caller(one_->address()).routes("g").value();
  std::set<std::uint32_t> leaders;
  for (const auto& route : routes.routes()) leaders.insert(route.node());
  EXPECT_EQ(leaders.size(), 2u);

  const std::string there = key_at(two_->address());
  Caller caller(one_->address());
  EXPECT_EQ(caller.request("g", "entity/" + there, "Increment", R"({"key":"n"})").value(),
            R"({"value":"1"})");
  EXPECT_EQ(
      Caller(catalog_->address()).request("g", "entity/" + there, "Increment", R"({"key":"n"})").value(),
      R"({"value":"2"})")
      << "the catalog's process sends on too";

  // A stream learns the route with the answer, and the same identity is known at the leader.
  Caller::Stream stream(caller);
  v1::CallFrame frame;
  frame.set_grid("g");
  frame.set_session(9);
  *frame.add_calls() = testing::increment(1, there, kRegions, 1);
  stream.write(frame);
  ASSERT_EQ(stream.read(1).at(0).code(), 0u);
  ASSERT_FALSE(stream.routes.empty());
  EXPECT_EQ(stream.routes[0].address(), two_->address());
  Caller direct(two_->address());
  Caller::Stream again(direct);
  again.write(frame);
  const auto repeat = again.read(1).at(0);
  EXPECT_TRUE(repeat.repeated());
  EXPECT_EQ(repeat.payload(), R"({"value":"3"})");

  // What was forwarded is not sent on again.
  Caller::Stream forwarded(caller);
  frame.set_forwarded(true);
  forwarded.write(frame);
  EXPECT_EQ(forwarded.read(1).at(0).code(), static_cast<std::uint32_t>(Code::kNotLeader));

  v1::FanoutCall all;
  all.set_grid("g");
  all.set_type("entity");
  all.set_message("Increment");
  all.set_json(R"({"key":"n"})");
  for (int i = 0; i < 200; ++i) all.add_keys("f" + std::to_string(i));
  EXPECT_EQ(caller.fanout(all).size(), 200u);
  all.clear_keys();
  all.set_all(true);
  const auto outcomes = caller.fanout(all);
  EXPECT_EQ(outcomes.size(), 201u);
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome.code(), 0u) << outcome.text();
  EXPECT_EQ(caller.list("g", "entity")->keys_size(), 201);
  EXPECT_EQ(caller.consume("g.messages")->size(), 3u + 200u + 201u);
}

TEST_F(ClusterTest, AConsumerWaitsForRecordsOfEveryNode) {
  const std::string here = key_at(one_->address()), there = key_at(two_->address());
  Caller caller(one_->address());
  constexpr std::uint64_t kRecords = 60;
  auto consumed = std::async(std::launch::async, [&] { return caller.consume("g.messages", kRecords); });
  for (std::uint64_t i = 0; i < kRecords; ++i)
    ASSERT_TRUE(
        caller.request("g", "entity/" + (i % 2 == 0 ? here : there), "Increment", R"({"key":"n"})").ok());
  const auto records = consumed.get();
  ASSERT_TRUE(records.ok()) << records.status().to_string();
  EXPECT_EQ(records->size(), kRecords);
}

// Invariant 7
TEST_F(ClusterTest, AgentsSendToEachOtherExactlyOnceAcrossNodesAndRestarts) {
  const std::string here = key_at(one_->address()), there = key_at(two_->address());
  Caller caller(one_->address());
  constexpr int kRounds = 20, kSends = 50;
  for (int round = 0; round < kRounds; ++round) {
    if (round == kRounds / 2) {  // the target goes away and comes back where it was
      const std::string address = two_->address();
      EXPECT_TRUE(two_->stop().ok());
      two_.reset();
      for (int more = 0; more < 3; ++more) {
        ASSERT_TRUE(caller
                        .request("g", "chain/" + here, "Increment",
                                 R"({"key":")" + there + R"(","by":)" + std::to_string(kSends) + "}")
                        .ok());
      }
      two_ = node("two", address);
      round += 3;
    }
    const auto answer = caller.request("g", "chain/" + here, "Increment",
                                       R"({"key":")" + there + R"(","by":)" + std::to_string(kSends) + "}");
    ASSERT_TRUE(answer.ok()) << answer.status().to_string();
  }
  const std::string expected = R"({"length":")" + std::to_string(kRounds * kSends) + "\"}";
  EXPECT_TRUE(until([&] {
    const auto told = caller.request("g", "chain/" + there, "Length", "{}");
    return told.ok() && *told == expected;
  })) << caller.request("g", "chain/" + there, "Length", "{}").value_or("no answer")
      << " must be " << expected;
  EXPECT_TRUE(until([&] {
    const auto regions = caller.regions("g");
    std::uint64_t outbox = 0;
    for (const auto& region : regions->regions()) outbox += region.outbox();
    return outbox == 0;
  }));
}

TEST_F(ClusterTest, ADeadNodesRegionsAreUnavailableAndComeBack) {
  const std::string here = key_at(one_->address()), there = key_at(two_->address());
  Caller caller(one_->address());
  ASSERT_TRUE(caller.request("g", "entity/" + there, "Increment", R"({"key":"n"})").ok());
  const std::string address = two_->address();
  EXPECT_TRUE(two_->stop().ok());
  two_.reset();
  EXPECT_TRUE(until([&] {
    return caller.request("g", "entity/" + there, "Get", R"({"key":"n"})").code() == Code::kUnavailable;
  }));
  EXPECT_TRUE(caller.request("g", "entity/" + here, "Increment", R"({"key":"n"})").ok())
      << "the others go on";
  two_ = node("two", address);
  EXPECT_TRUE(until([&] { return caller.request("g", "entity/" + there, "Get", R"({"key":"n"})").ok(); }));
  EXPECT_EQ(caller.request("g", "entity/" + there, "Increment", R"({"key":"n"})").value(),
            R"({"value":"2"})");

  // Without the catalog the regions go on; it comes back and knows everything.
  const std::string catalog = catalog_->address();
  EXPECT_TRUE(catalog_->stop().ok());
  catalog_.reset();
  EXPECT_EQ(caller.request("g", "entity/" + there, "Increment", R"({"key":"n"})").value(),
            R"({"value":"3"})");
  catalog_ = node("catalog", catalog);
  EXPECT_TRUE(until([&] {
    const auto nodes = Caller(catalog).nodes();
    return nodes.ok() && std::count_if(nodes->nodes().begin(), nodes->nodes().end(),
                                       [](const auto& one) { return one.alive(); }) == 3;
  }));
  ASSERT_TRUE(Caller(one_->address()).create_grid("later", 2).ok()) << "by way of a region node";
  EXPECT_TRUE(Caller(two_->address()).request("later", "entity/a", "Increment", R"({"key":"n"})").ok());
}

}  // namespace
}  // namespace afdg::server
