// The core without gRPC: the test plays the network, event by event.
#include "client/internal/core.h"

#include <gtest/gtest.h>

#include <future>

#include "afdg/v1/data.pb.h"
#include "base/codec.h"

namespace afdg::client::internal {
namespace {

using namespace std::chrono_literals;

/// What the core did with its one link; the test answers.
struct Wire {
  std::mutex mutex;
  std::condition_variable changed;
  LinkEvents* events = nullptr;
  std::uint64_t epoch = 0;
  std::vector<v1::CallFrame> frames;
  std::vector<std::uint32_t> farewells;  // regions that were told that the session is over

  template <typename Condition>
  void wait(Condition condition) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, 10s, condition));
  }
  void wait_frames(std::size_t count) {
    wait([&] { return frames.size() >= count; });
  }
  void wait_open(std::uint64_t wanted) {
    wait([&] { return epoch >= wanted; });
  }
  void up() { events->on_up(epoch); }
  void written() { events->on_written(epoch); }
  void answer(const v1::Call& call, Code code = Code::kOk, std::int64_t offset = 1) {
    v1::OutcomeFrame frame;
    add(frame, call, code, offset);
    events->on_frame(epoch, frame.SerializeAsString());
  }
  static void add(v1::OutcomeFrame& frame, const v1::Call& call, Code code = Code::kOk,
                  std::int64_t offset = 1) {
    v1::Outcome* outcome = frame.add_outcomes();
    outcome->set_id(call.id());
    outcome->set_code(static_cast<std::uint32_t>(code));
    outcome->set_offset(offset);
  }
};

class FakeLink final : public Link {
 public:
  explicit FakeLink(Wire& wire) : wire_(wire) {}
  void open(std::uint64_t epoch) override {
    const std::lock_guard lock(wire_.mutex);
    wire_.epoch = epoch;
    wire_.changed.notify_all();
  }
  void write(std::uint64_t, std::string bytes) override {
    v1::CallFrame frame;
    ASSERT_TRUE(frame.ParseFromString(bytes));
    if (frame.calls(0).answered_below() == kSessionOver) return answer_farewell(frame);
    const std::lock_guard lock(wire_.mutex);
    wire_.frames.push_back(std::move(frame));
    wire_.changed.notify_all();
  }
  void close() override {}

 private:
  void answer_farewell(const v1::CallFrame& frame) {
    v1::OutcomeFrame answer;
    for (const v1::Call& call : frame.calls()) {
      wire_.farewells.push_back(call.region());
      EXPECT_EQ(call.region(), static_cast<std::uint32_t>(key_partition(call.key(), 3)));
      EXPECT_EQ(call.type() + "." + call.message(), "t.M");  // something that the region knows
      EXPECT_EQ(call.sequence(), kSessionOver);
      Wire::add(answer, call, Code::kRequestExpired, -1);
    }
    wire_.events->on_frame(wire_.epoch, answer.SerializeAsString());
  }
  Wire& wire_;
};

class FakeNetwork final : public Network {
 public:
  explicit FakeNetwork(Wire& wire) : wire_(wire) {}
  std::unique_ptr<Link> link(const std::string&, LinkEvents& events) override {
    wire_.events = &events;
    return std::make_unique<FakeLink>(wire_);
  }
  Result<RouteTable> routes(const std::string&, std::chrono::milliseconds) override {
    return RouteTable{1, 3, {}};
  }

 private:
  Wire& wire_;
};

/// A core that ends before its wire does.
std::vector<std::uint32_t> farewells_after(const std::function<void(Wire&, Core&, GridState*)>& work) {
  Wire wire;
  {
    Core core(Core::Setup{{}, "node:1", 99}, std::make_unique<FakeNetwork>(wire));
    wire.wait_open(1);
    wire.up();
    work(wire, core, core.grid("g"));
  }
  return wire.farewells;
}

TEST(Farewell, RegionsThatLoggedSomethingAreTold) {
  const auto told = farewells_after([](Wire& wire, Core& core, GridState* grid) {
    for (const char* key : {"a", "b"}) {  // "b" is only read: its region remembers nothing
      const std::size_t before = wire.frames.size();
      std::promise<void> ended;
      core.submit({grid, {.type = "t", .key = key, .message = "M"}, 10s},
                  [&](Ended&&) { ended.set_value(); });
      wire.wait_frames(before + 1);
      wire.written();
      wire.answer(wire.frames[before].calls(0), Code::kOk, *key == 'a' ? 1 : -1);
      ended.get_future().wait();
    }
  });
  ASSERT_NE(key_partition("a", 3), key_partition("b", 3));
  EXPECT_EQ(told, std::vector<std::uint32_t>{static_cast<std::uint32_t>(key_partition("a", 3))});
}

TEST(Farewell, NoneWhereALateCopyMayStillCome) {
  const auto told = farewells_after([](Wire& wire, Core& core, GridState* grid) {
    std::promise<void> ended;
    core.submit({grid, {.type = "t", .key = "a", .message = "M"}, 10s}, [&](Ended&&) { ended.set_value(); });
    wire.wait_frames(1);
    wire.events->on_broken(wire.epoch, "cut");
    wire.wait_open(2);
    wire.up();
    wire.wait_frames(2);
    wire.written();
    wire.answer(wire.frames[1].calls(0));
    ended.get_future().wait();
  });
  EXPECT_TRUE(told.empty());
}

TEST(Farewell, NoneWhileACallIsUnderWay) {
  const auto told = farewells_after([](Wire& wire, Core& core, GridState* grid) {
    for (int i = 0; i < 2; ++i)
      core.submit({grid, {.type = "t", .key = "a", .message = "M"}, 10s}, [](Ended&&) {});
    wire.wait_frames(1);
    wire.written();
    wire.answer(wire.frames[0].calls(0));
  });
  EXPECT_TRUE(told.empty());
}

class CoreTest : public ::testing::Test {
 protected:
  CoreTest()
      : core_(Core::Setup{{}, "node:1", 99}, std::make_unique<FakeNetwork>(wire_)), grid_(core_.grid("g")) {
    wire_.wait_open(1);
    wire_.up();
  }
  std::future<Ended> call(std::string_view key, std::chrono::milliseconds deadline = 10s) {
    auto promise = std::make_shared<std::promise<Ended>>();
    core_.submit({grid_, {.type = "t", .key = key, .message = "M"}, deadline},
                 [promise](Ended&& ended) { promise->set_value(std::move(ended)); });
    return promise->get_future();
  }
  /// The frame of that number with its only call.
  v1::Call only_call(std::size_t frame) {
    wire_.wait_frames(frame + 1);
    EXPECT_EQ(wire_.frames[frame].calls_size(), 1);
    return wire_.frames[frame].calls(0);
  }
  Wire wire_;
  Core core_;
  GridState* grid_;
};

TEST_F(CoreTest, CallsGatherWhileOneWriteIsUnderWay) {
  auto first = call("a");
  const v1::Call one = only_call(0);
  EXPECT_EQ(one.region(), static_cast<std::uint32_t>(key_partition("a", 3)));
  EXPECT_EQ(wire_.frames[0].session(), 99U);
  std::vector<std::future<Ended>> more;
  for (int i = 0; i < 9; ++i) more.push_back(call("a"));
  EXPECT_EQ(wire_.frames.size(), 1U);  // the write is not over
  wire_.written();
  ASSERT_EQ(wire_.frames.size(), 2U);
  ASSERT_EQ(wire_.frames[1].calls_size(), 9);
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(wire_.frames[1].calls(i).sequence(), std::uint64_t(i) + 2);
    EXPECT_EQ(wire_.frames[1].calls(i).answered_below(), 0U);  // nothing of the session is logged yet
  }
  wire_.written();
  wire_.answer(one);
  EXPECT_EQ(first.get().code, Code::kOk);
  v1::OutcomeFrame rest;
  for (const v1::Call& each : wire_.frames[1].calls()) Wire::add(rest, each);
  wire_.events->on_frame(wire_.epoch, rest.SerializeAsString());
  for (auto& each : more) EXPECT_EQ(each.get().code, Code::kOk);
  EXPECT_EQ(core_.stats().outstanding, 0U);
}

TEST_F(CoreTest, WhatCallbacksBeginLeavesInOneWrite) {
  std::vector<std::promise<void>> ended(5);
  wire_.wait_frames(0);
  for (auto& promise : ended) {
    core_.submit({grid_, {.type = "t", .key = "a", .message = "M"}, 10s}, [&](Ended&&) {
      core_.submit({grid_, {.type = "t", .key = "a", .message = "M"}, 10s},
                   [&](Ended&&) { promise.set_value(); });
    });
  }
  std::size_t seen = 0;
  v1::OutcomeFrame all;
  for (std::size_t f = 0; seen < 5; ++f) {
    wire_.wait_frames(f + 1);
    for (const v1::Call& each : wire_.frames[f].calls()) Wire::add(all, each), ++seen;
    wire_.written();
  }
  const std::size_t before = wire_.frames.size();
  wire_.events->on_frame(wire_.epoch, all.SerializeAsString());
  ASSERT_EQ(wire_.frames.size(), before + 1);
  EXPECT_EQ(wire_.frames[before].calls_size(), 5);
  EXPECT_EQ(wire_.frames[before].calls(0).answered_below(), 6U);
  v1::OutcomeFrame second;
  for (const v1::Call& each : wire_.frames[before].calls()) Wire::add(second, each);
  wire_.events->on_frame(wire_.epoch, second.SerializeAsString());
  for (auto& promise : ended) promise.get_future().wait();
}

TEST_F(CoreTest, AnAnswerOfAnEarlierStreamIsNotTaken) {
  auto pending = call("a");
  const v1::Call one = only_call(0);
  const std::uint64_t old = wire_.epoch;
  wire_.events->on_broken(old, "cut");
  wire_.wait_open(old + 1);
  v1::OutcomeFrame late;
  Wire::add(late, one, Code::kApplication);
  wire_.events->on_frame(old, late.SerializeAsString());
  wire_.up();
  const v1::Call again = only_call(1);
  EXPECT_EQ(again.sequence(), one.sequence());
  EXPECT_EQ(again.SerializeAsString(), one.SerializeAsString());
  wire_.answer(again);
  EXPECT_EQ(pending.get().code, Code::kOk);
}

TEST_F(CoreTest, AnAnswerInDoubtIsAskedAgainWithTheSameSequence) {
  auto pending = call("a");
  const v1::Call one = only_call(0);
  wire_.written();
  wire_.answer(one, Code::kInDoubt);
  const v1::Call again = only_call(1);
  EXPECT_EQ(again.sequence(), one.sequence());
  wire_.written();
  wire_.answer(again, Code::kOverloaded);  // not believed to mean that nothing was done
  wire_.answer(only_call(2));
  EXPECT_EQ(pending.get().code, Code::kOk);
}

TEST_F(CoreTest, ARepeatThatExpiredIsInDoubtAndAFirstSendingIsNot) {
  auto first = call("a");
  const v1::Call one = only_call(0);
  wire_.written();
  wire_.answer(one, Code::kRequestExpired, -1);
  wire_.answer(only_call(1), Code::kRequestExpired, -1);
  EXPECT_EQ(first.get().code, Code::kRequestExpired);
  wire_.written();
  auto second = call("a");
  static_cast<void>(only_call(2));
  wire_.events->on_broken(wire_.epoch, "cut");
  wire_.wait_open(2);
  wire_.up();
  wire_.answer(only_call(3), Code::kRequestExpired, -1);
  EXPECT_EQ(second.get().code, Code::kInDoubt);
}

TEST_F(CoreTest, ASessionThatTheRegionForgotBeginsAnewAndReadsDoNotBeginIt) {
  auto read = call("a");
  wire_.answer(only_call(0), Code::kOk, -1);
  wire_.written();
  EXPECT_EQ(read.get().code, Code::kOk);
  auto write = call("a");
  EXPECT_EQ(only_call(1).answered_below(), 0U);  // the region knows no session yet
  wire_.answer(only_call(1));
  wire_.written();
  EXPECT_EQ(write.get().code, Code::kOk);
  auto late = call("a");  // a day later
  EXPECT_EQ(only_call(2).answered_below(), 3U);
  wire_.written();
  wire_.answer(only_call(2), Code::kRequestExpired, -1);
  EXPECT_EQ(only_call(3).sequence(), 3U);
  EXPECT_EQ(only_call(3).answered_below(), 0U);
  wire_.answer(only_call(3));
  EXPECT_EQ(late.get().code, Code::kOk);
}

TEST_F(CoreTest, WhatNeverLeftIsUnavailableAndWhatLeftIsInDoubt) {
  auto left = call("a", 100ms);
  static_cast<void>(only_call(0));
  wire_.events->on_broken(wire_.epoch, "cut");
  auto stayed = call("a", 100ms);
  EXPECT_EQ(left.get().code, Code::kInDoubt);
  const Ended ended = stayed.get();
  EXPECT_EQ(ended.code, Code::kUnavailable);
  EXPECT_NE(ended.text.find("node:1"), std::string::npos);
}

TEST_F(CoreTest, ACallBehindAWriteThatDoesNotEndIsTooLateAndDidNothing) {
  auto first = call("a", 10s);
  static_cast<void>(only_call(0));
  EXPECT_EQ(call("a", 50ms).get().code, Code::kDeadlineExceeded);
  wire_.written();
  wire_.answer(wire_.frames[0].calls(0));
  EXPECT_EQ(first.get().code, Code::kOk);
  EXPECT_EQ(wire_.frames.size(), 1U);  // it is not written after all
}

}  // namespace
}  // namespace afdg::client::internal
