#include <functional>
#include <vector>

#include "agents/testing/agent_state_suite.h"
#include "region/testing/simulated_region.h"

namespace afdg::region {
namespace {

using agents::AgentState;
using agents::ItemId;
using Work = std::function<void(AgentState&)>;

Work* current = nullptr;  // of the turn under way

/// An agent whose turns do what the test wants.
class Puppet : public agents::AgentBase {};

agents::AgentTypes puppet_types() {
  agents::AgentType type;
  type.name = "puppet";
  type.create = [](AgentState& state) -> std::unique_ptr<agents::AgentBase> {
    auto agent = std::make_unique<Puppet>();
    agent->bind(state, sizeof(Puppet));
    return agent;
  };
  agents::HandlerInfo handler;
  handler.run = [](agents::AgentBase& agent, std::string_view, agents::TurnPort&, std::string&) -> Status {
    (*current)(agent.state());
    return {};
  };
  handler.message = "Commit";
  type.handlers.push_back(handler);
  handler.run = [](agents::AgentBase& agent, std::string_view, agents::TurnPort&, std::string&) -> Status {
    (*current)(agent.state());
    return fail(Code::kApplication, "aborted");
  };
  handler.message = "Abort";
  type.handlers.push_back(handler);
  agents::AgentTypes types;
  types.add(std::move(type)).ignore("the only one");
  return types;
}

/// The region's AgentState, driven through whole turns: what is written is kept until commit(); a read before
/// it is a turn that writes the same, reads, and fails.
class Harness final : public AgentState {
 public:
  AgentState& state() { return *this; }
  void begin() {}
  void commit() {
    turn("Commit", [](AgentState&) {});
    writes_.clear();
    // Some of it in each layer.
    if (++turns_ % 3 == 0) region_.checkpoint();
    if (turns_ % 7 == 0) frozen_ = region_.core().begin_checkpoint(true);
    if (turns_ % 7 == 2 && frozen_) {
      region_.core().finish_checkpoint(frozen_->write(region_.store()));
      frozen_.reset();
    }
  }
  void abort() {
    turn("Abort", [](AgentState&) {});
    writes_.clear();
  }
  void reopen() {
    frozen_.reset();
    region_.crash();
    EXPECT_TRUE(region_.start().ok());
  }

  [[nodiscard]] std::string_view key() const noexcept override { return "k"; }
  [[nodiscard]] Result<std::optional<std::string>> get(const ItemId& item) const override {
    std::optional<std::string> found;
    turn("Abort", [&](AgentState& state) { found = state.get(item).value(); });
    return found;
  }
  Status items(std::string_view entity, std::string_view key, std::int64_t from,
               const VisitItem& visit) const override {
    Status status;
    turn("Abort", [&](AgentState& state) { status = state.items(entity, key, from, visit); });
    return status;
  }
  [[nodiscard]] Result<std::optional<Bounds>> bounds(std::string_view entity, std::string_view key,
                                                     const Seen& seen) const override {
    std::optional<Bounds> found;
    turn("Abort", [&](AgentState& state) { found = state.bounds(entity, key, seen).value(); });
    return found;
  }
  Status keys(std::string_view entity, std::string_view from, const VisitKey& visit) const override {
    Status status;
    turn("Abort", [&](AgentState& state) { status = state.keys(entity, from, visit); });
    return status;
  }
  void put(const ItemId& item, std::string_view value) override {
    writes_.push_back([e = std::string(item.entity), k = std::string(item.key), s = item.sequence,
                       v = std::string(value)](AgentState& state) {
      state.put({e, k, s}, v);
    });
  }
  void erase(const ItemId& item) override {
    writes_.push_back(
        [e = std::string(item.entity), k = std::string(item.key), s = item.sequence](AgentState& state) {
          state.erase({e, k, s});
        });
  }

 private:
  void turn(std::string_view message, const Work& after) const {
    Work work = [&](AgentState& state) {
      EXPECT_EQ(state.key(), "k");
      for (const Work& write : writes_) write(state);
      after(state);
    };
    current = &work;
    region_.core().handle({.type = "puppet", .key = "k", .message = message});
    region_.core().seal();
    current = nullptr;
  }

  ManualClock clock_;
  agents::AgentTypes types_ = puppet_types();
  mutable testing::SimulatedRegion region_ = [this] {
    return testing::SimulatedRegion({RegionId(0), Options{}, {}}, types_, clock_);
  }();
  const bool started_ = region_.start().ok();
  std::vector<Work> writes_;
  std::optional<Checkpoint> frozen_;
  int turns_ = 0;
};

}  // namespace
}  // namespace afdg::region

namespace afdg::agents::testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Region, AgentStateSuite, region::Harness);
}  // namespace afdg::agents::testing

namespace afdg::region {
namespace {

TEST(LiveState, LongListsAreFoundByJumping) {
  Harness harness;
  const std::int64_t starts[] = {0, -1000, INT64_MAX - 700, INT64_MIN};
  for (const std::int64_t start : starts) {
    const std::string key = std::to_string(start);
    for (std::int64_t i = 0; i < 700; ++i) harness.put({"e", key, start + i}, "v");
  }
  harness.commit();
  harness.reopen();
  for (const std::int64_t start : starts) {
    const auto bounds =
        harness.bounds("e", std::to_string(start), [](std::int64_t, std::string_view) {}).value();
    ASSERT_TRUE(bounds);
    EXPECT_EQ(bounds->first, start);
    EXPECT_EQ(bounds->last, start + 699);
  }
  std::vector<std::string> keys;
  EXPECT_TRUE(harness
                  .keys("e", "",
                        [&](std::string_view key) {
                          keys.emplace_back(key);
                          return true;
                        })
                  .ok());
  EXPECT_EQ(keys.size(), 4U);
}

}  // namespace
}  // namespace afdg::region
