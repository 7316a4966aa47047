#include "server/gather.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>

#include "afdg/v1/admin.pb.h"
#include "agents/entity_agent.h"
#include "region/lane.h"
#include "region/lane_reply.h"
#include "store/testing/fault_file_system.h"

namespace afdg::server {
namespace {

using ::testing::ElementsAre;

/// Holds back what would make a commit durable.
class Gate {
 public:
  void close() { set(false); }
  void open() { set(true); }
  void pass(store::Operation operation, const std::string& path) {
    if (operation != store::Operation::kSync || !path.ends_with("/journal")) return;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_; });
  }

 private:
  void set(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
};

class NoCarrier final : public region::Carrier {
  void carry(std::shared_ptr<region::Executor>, RegionId, std::uint64_t,
             std::vector<region::Parcel>) override {}
};
class NoSink final : public region::ReplySink {
  void take(const region::ReplyBatch&, std::span<const region::ReplyBatch::Entry>) override {}
  void flush() override {}
};

/// One region of the grid "g" on a log whose commits the test holds back.
class GatherTest : public ::testing::Test {
 protected:
  GatherTest() {
    fs_.observe([this](std::uint64_t, store::Operation operation, const std::string& path) {
      gate_.pass(operation, path);
    });
    log::LogOptions options;
    options.directory = "/log";
    options.journal_bytes = options.journal_initial_bytes = 1u << 20;
    options.reserve_bytes = 4096;
    log_ = std::move(log::Log::open(fs_, clock_, options)).value();
    EXPECT_TRUE(types_.add(agents::entity_agent_type()).ok());
    host_ = std::make_unique<RegionHost>(
        RegionHost::Parts{log_.get(), store_.get(), &types_, &clock_, &lanes_, nullptr, &carrier_},
        HostLimits());
    auto routes = std::make_shared<Routes>();
    routes->self = NodeId(1);
    GridRoutes& grid = routes->grids["g"];
    grid.grid.id = GridId(1);
    grid.grid.name = "g";
    grid.grid.regions = 1;
    grid.grid.types = {"entity"};
    grid.grid.messages = TopicId(2);
    grid.grid.changes = TopicId(3);
    grid.grid.dead = TopicId(4);
    grid.regions.push_back({NodeId(1), Epoch(1), nullptr});
    for (const auto& [id, name] :
         {std::pair(grid.grid.messages, "g.messages"), std::pair(grid.grid.changes, "g.changes"),
          std::pair(grid.grid.dead, "g.dead")})
      routes->topics.push_back({.id = id, .name = name, .partitions = 1, .grid = grid.grid.id, .config = {}});
    host_->apply(*routes);
    executor_ = grid.regions[0].local;
    board_.publish(std::move(routes));
    gather_ = std::make_unique<Gather>(Gather::Parts{&board_, &peers_, host_.get(), log_.get(), &types_});
  }
  ~GatherTest() override {
    gate_.open();
    host_->stop();
    lanes_.stop();
    board_.publish(std::make_shared<const Routes>());
    executor_.reset();
    host_.reset();
    log_.reset();
  }

  /// Increments a counter of the agent; returns once its turn has run, which the gate may keep from being
  /// durable.
  void increment(const std::string& key) {
    auto* tickets = new region::Tickets(sink_, nullptr, 1);
    region::LaneWork work;
    region::Inbound message{.type = "entity", .key = key, .message = "Increment"};
    message.payload = R"({"key":"n","by":1})";
    message.content = region::Content::kJson;
    message.ticket = region::ticket_number(tickets->add(*executor_, 1, 0, 0));
    work.calls.push_back({executor_.get(), message});
    tickets->start(1);
    work.tickets = tickets;
    lanes_.post(executor_->lane(), std::move(work));
    std::size_t items = 0;
    ASSERT_TRUE(host_
                    ->run(executor_,
                          [&](region::Executor& of) {
                            const auto shown = of.core()->show_agent("entity", key, 10);
                            items = shown.ok() ? shown->size() : 0;
                          })
                    .ok());
    ASSERT_EQ(items, 1U);
  }
  std::future<Result<v1::AgentKeys>> list() {
    return std::async(std::launch::async, [this] {
      v1::ListAgentsCall call;
      call.set_grid("g");
      call.set_type("entity");
      return gather_->list_agents(call);
    });
  }
  std::future<Result<v1::AgentState>> show(const std::string& key) {
    return std::async(std::launch::async, [this, key] {
      v1::ShowAgentCall call;
      call.set_grid("g");
      call.set_type("entity");
      call.set_key(key);
      return gather_->show_agent(call);
    });
  }
  template <typename T>
  static bool waits(const std::future<T>& answer) {
    return answer.wait_for(std::chrono::milliseconds(200)) == std::future_status::timeout;
  }

  Gate gate_;
  store::FaultFileSystem fs_;
  SystemClock clock_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<store::KeyValueStore> store_ = store::make_memory_store();
  agents::AgentTypes types_;
  region::Lanes lanes_{1};
  NoCarrier carrier_;
  std::shared_ptr<NoSink> sink_ = std::make_shared<NoSink>();
  Peers peers_;
  RouteBoard board_;
  std::unique_ptr<RegionHost> host_;
  std::shared_ptr<region::Executor> executor_;
  std::unique_ptr<Gather> gather_;
};

// Invariant 4: what people look at is an output, too.
TEST_F(GatherTest, WhatIsListedAndShownWaitsForItsCommit) {
  gate_.close();
  increment("a");
  auto listed = list();
  auto shown = show("a");
  EXPECT_TRUE(waits(listed)) << "listed an agent whose first turn is not durable";
  EXPECT_TRUE(waits(shown)) << "showed what is not durable";
  gate_.open();
  const auto keys = listed.get();
  ASSERT_TRUE(keys.ok()) << keys.status().to_string();
  EXPECT_THAT(keys->keys(), ElementsAre("a"));
  const auto state = shown.get();
  ASSERT_TRUE(state.ok()) << state.status().to_string();
  ASSERT_EQ(state->items_size(), 1);
  EXPECT_EQ(state->items(0).json(), R"({"integer":"1"})");
  // Nothing is under way: no commit is waited for.
  gate_.close();
  EXPECT_EQ(list().get()->keys_size(), 1);
}

// That an agent is not there may come from what is not durable just as well.
TEST_F(GatherTest, AnAnswerThatIsAnErrorWaitsToo) {
  gate_.close();
  increment("a");
  auto shown = show("b");
  EXPECT_TRUE(waits(shown));
  gate_.open();
  EXPECT_EQ(shown.get().code(), Code::kNotFound);
}

}  // namespace
}  // namespace afdg::server
