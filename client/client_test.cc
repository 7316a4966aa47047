#include "client/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "afdg/v1/entity.pb.h"
#include "client/testing/fake_server.h"
#include "client/testing/freezing_proxy.h"

namespace afdg::client {
namespace {

using namespace std::chrono_literals;
using testing::FakeServer;
using testing::Mode;
using testing::SeenCall;
using v1::entity::Increment;
using v1::entity::IncrementAnswer;

struct Fail {  // what the library needs of a message
  static std::string GetTypeName() { return "afdg.v1.entity.Fail"; }
  static std::string SerializeAsString() { return {}; }
};
using Entity = Protocol<"entity", Ask<Increment, IncrementAnswer>, Ask<Fail, IncrementAnswer>>;

Increment by(std::int64_t n) {
  Increment message;
  message.set_key("n");
  message.set_by(n);
  return message;
}
Client connect(const FakeServer& server, const ClientOptions& options = {}) {
  Result<Client> client = Client::connect(server.address(), options);
  EXPECT_TRUE(client.ok());
  return std::move(client).value();
}

TEST(Client, ATypedRequestGetsItsAnswer) {
  const FakeServer server;
  const Client client = connect(server);
  const auto agent = client.grid("g").agent<Entity>("alice");
  EXPECT_EQ(agent.request(by(2))->value(), 2);
  EXPECT_EQ(agent.request(by(3), {.deadline = 2s})->value(), 5);
  EXPECT_EQ(agent.request_future(by(1)).get()->value(), 6);
  const Result<SendReceipt> sent = agent.send(by(1));
  ASSERT_TRUE(sent.ok());
  EXPECT_EQ(sent->topic, "g.messages");
  EXPECT_EQ(sent->offset, 4);
  EXPECT_EQ(agent.request(Fail()).code(), Code::kApplication);
  EXPECT_EQ(agent.request(Fail()).error().text(), "the agent does not like it");
}

TEST(Client, AnUnreachableServerIsUnavailableAtOnceAndAtTheDeadline) {
  EXPECT_EQ(Client::connect("127.0.0.1:1", {.connect_timeout = 100ms}).code(), Code::kUnavailable);
  EXPECT_EQ(Client::connect("nowhere").code(), Code::kInvalidArgument);
  const Client lazy = Client::connect("127.0.0.1:1", {.connect_timeout = 0ms}).value();
  EXPECT_EQ(lazy.grid("g").agent<Entity>("a").request(by(1), {.deadline = 100ms}).code(), Code::kUnavailable);
}

TEST(Client, AnUnknownGridIsSaidWithoutWaiting) {
  const FakeServer server;
  const Result<IncrementAnswer> answer = connect(server).grid("none").agent<Entity>("a").request(by(1));
  EXPECT_EQ(answer.code(), Code::kUnknownGrid);
  EXPECT_NE(answer.error().text().find("'none'"), std::string::npos);
}

TEST(Client, ArgumentsAreRefusedBeforeAnythingIsSent) {
  const FakeServer server;
  const Client client = connect(server, {.payload_bytes_max = 100});
  const Grid grid = client.grid("g");
  EXPECT_EQ(grid.agent<Entity>("").request(by(1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(grid.agent<Entity>(std::string(1025, 'k')).request(by(1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(grid.request({"entity", "a"}, {"Increment", std::string(101, 'x')}).code(),
            Code::kMessageTooLarge);
  EXPECT_TRUE(server.seen().empty());
}

TEST(Client, ConcurrentCallsShareWrites) {
  const FakeServer server;
  const Client client = connect(server);
  const Grid grid = client.grid("g");
  constexpr int kChains = 50;
  constexpr int kEach = 100;
  std::latch done(kChains);
  std::function<void(int, int)> next = [&](int chain, int left) {
    if (left == 0) return done.count_down();
    grid.agent<Entity>("k" + std::to_string(chain))
        .request(by(1), {}, [&, chain, left](Result<IncrementAnswer> a) {
          EXPECT_TRUE(a.ok());
          next(chain, left - 1);
        });
  };
  for (int chain = 0; chain < kChains; ++chain) next(chain, kEach);
  done.wait();
  const ClientStats stats = client.stats();
  EXPECT_EQ(stats.calls, std::uint64_t{kChains} * kEach);
  EXPECT_GT(stats.calls_written, 3 * stats.frames_written);
  for (int chain = 0; chain < kChains; ++chain) EXPECT_EQ(server.counter("k" + std::to_string(chain)), kEach);
  // Sequences of a region are given out once each, from 1, and the window moves up behind them.
  std::map<std::uint32_t, std::set<std::uint64_t>> sequences;
  std::uint64_t window = 0;
  for (const SeenCall& call : server.seen()) {
    EXPECT_TRUE(sequences[call.region].insert(call.sequence).second);
    EXPECT_LE(call.answered_below, call.sequence);
    window = std::max(window, call.sequence - call.answered_below);
  }
  for (const auto& [region, given] : sequences) EXPECT_EQ(*given.rbegin(), given.size());
  EXPECT_LE(window, std::uint64_t{kChains});
}

TEST(Client, EightThreadsGetTheirOwnAnswers) {
  const FakeServer server;
  const Client client = connect(server);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&client, t] {
      const auto agent = client.grid("g").agent<Entity>("t" + std::to_string(t));
      for (int i = 1; i <= 100; ++i) ASSERT_EQ(agent.request(by(1)).value_or({}).value(), i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(client.stats().outstanding, 0U);
}

TEST(Client, ABrokenStreamRepeatsTheSameSequenceAndTakesEffectOnce) {
  FakeServer server;
  const Client client = connect(server);
  const auto agent = client.grid("g").agent<Entity>("a");
  ASSERT_TRUE(agent.request(by(1)).ok());
  server.set_mode(Mode::kApplySilently);
  auto answer = agent.request_future(by(1));
  server.wait_seen(2);
  server.set_mode(Mode::kAnswer);
  server.break_streams();
  const Result<IncrementAnswer> got = answer.get();
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_EQ(got->value(), 2);
  EXPECT_EQ(server.counter("a"), 2);
  const std::vector<SeenCall> seen = server.seen();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[1].sequence, 2U);
  EXPECT_EQ(seen[2].sequence, 2U);
  EXPECT_EQ(seen[2].session, seen[1].session);
  EXPECT_EQ(client.stats().resent, 1U);
}

TEST(Client, AServerThatGoesAwayLeavesSentCallsInDoubtAndOthersUnavailable) {
  FakeServer server;
  const Client client = connect(server);
  const auto agent = client.grid("g").agent<Entity>("a");
  ASSERT_TRUE(agent.request(by(1)).ok());
  server.set_mode(Mode::kIgnore);
  auto sent = agent.request_future(by(1), {.deadline = 400ms});
  server.wait_seen(2);
  server.stop();
  const Result<IncrementAnswer> first = sent.get();
  EXPECT_EQ(first.code(), Code::kInDoubt);
  const Result<IncrementAnswer> second = agent.request(by(1), {.deadline = 100ms});
  EXPECT_EQ(second.code(), Code::kUnavailable) << second.error().text();
}

TEST(Client, ADeadlineWithoutAnAnswerIsInDoubt) {
  FakeServer server;
  server.set_mode(Mode::kIgnore);
  const Client client = connect(server);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(client.grid("g").agent<Entity>("a").request(by(1), {.deadline = 50ms}).code(), Code::kInDoubt);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms);
  EXPECT_EQ(client.stats().outstanding, 0U);
}

TEST(Client, AShorterDeadlineBehindALongerOneEndsFirst) {
  FakeServer server;
  server.set_mode(Mode::kIgnore);
  const Client client = connect(server);
  const auto agent = client.grid("g").agent<Entity>("a");
  auto longer = agent.request_future(by(1), {.deadline = 60s});
  EXPECT_EQ(agent.request(by(1), {.deadline = 50ms}).code(), Code::kInDoubt);
  EXPECT_EQ(longer.wait_for(0ms), std::future_status::timeout);
}

TEST(Client, WhatTheServerRefusesAsOverloadedGoesToTheCaller) {
  FakeServer server;
  server.set_refusal([](const SeenCall&) { return Code::kOverloaded; });
  EXPECT_EQ(connect(server).grid("g").agent<Entity>("a").request(by(1)).code(), Code::kOverloaded);
}

TEST(Client, AFullClientRefusesOrBlocks) {
  FakeServer server;
  server.set_mode(Mode::kIgnore);
  const Client client = connect(server, {.calls_max = 4});
  const auto agent = client.grid("g").agent<Entity>("a");
  for (int i = 0; i < 4; ++i) agent.request(by(1), {.deadline = 60s}, [](const Result<IncrementAnswer>&) {});
  const Result<IncrementAnswer> refused = agent.request(by(1));
  EXPECT_EQ(refused.code(), Code::kOverloaded);
  EXPECT_NE(refused.error().text().find("4 calls"), std::string::npos);

  const Client patient = connect(server, {.calls_max = 1, .when_full = WhenFull::kBlock});
  const auto other = patient.grid("g").agent<Entity>("b");
  auto first = other.request_future(by(1), {.deadline = 100ms});
  EXPECT_EQ(other.request(by(1), {.deadline = 50ms}).code(), Code::kOverloaded);  // waited, in vain
  server.set_mode(Mode::kAnswer);
  EXPECT_TRUE(other.request(by(1), {.deadline = 5s}).ok());  // waited for the first to end
  EXPECT_EQ(first.get().code(), Code::kInDoubt);
}

TEST(Client, AStuckCallBoundsItsRegionsWindow) {
  FakeServer server;
  server.set_refusal([](const SeenCall& call) {
    return call.sequence == 1 ? Code::kNotLeader : Code::kOk;  // the first is tried again and again
  });
  const Client client = connect(server, {.window_max = 8});
  const auto agent = client.grid("g").agent<Entity>("a");
  auto stuck = agent.request_future(by(1), {.deadline = 60s});
  server.wait_seen(1);
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(agent.request(by(1)).ok());
  EXPECT_EQ(agent.request(by(1)).code(), Code::kOverloaded);
  server.set_refusal(nullptr);
  EXPECT_TRUE(stuck.get().ok());
  EXPECT_TRUE(agent.request(by(1)).ok());
}

TEST(Client, AMovedRegionIsFoundThroughTheCatalog) {
  FakeServer server;
  FakeServer other;
  server.set_refusal([](const SeenCall&) { return Code::kNotLeader; });
  const Client client = connect(server);
  const auto agent = client.grid("g").agent<Entity>("a");
  auto answer = agent.request_future(by(1));
  server.wait_seen(1);
  for (std::uint32_t region = 0; region < 4; ++region) server.set_route(region, other.address());
  const Result<IncrementAnswer> got = answer.get();
  ASSERT_TRUE(got.ok()) << got.error().text();
  EXPECT_EQ(other.counter("a"), 1);
  EXPECT_GE(server.route_lookups(), 2);
  EXPECT_EQ(other.seen()[0].sequence, server.seen()[0].sequence);
}

TEST(Client, ARouteInAReplyIsFollowed) {
  FakeServer server;
  FakeServer other;
  const Client client = connect(server);
  const auto agent = client.grid("g").agent<Entity>("a");
  ASSERT_TRUE(agent.request(by(1)).ok());
  server.set_refusal([](const SeenCall&) { return Code::kNotLeader; });
  for (std::uint32_t region = 0; region < 4; ++region) server.set_route(region, other.address(), true);
  EXPECT_TRUE(agent.request(by(1)).ok());
  EXPECT_EQ(other.counter("a"), 1);
}

TEST(Client, ARequestIdTakesEffectOnceFromAnyClient) {
  const FakeServer server;
  const Client first = connect(server);
  const Client second = connect(server);
  EXPECT_EQ(first.grid("g").agent<Entity>("a").request(by(1), {.request_id = "csv:17"})->value(), 1);
  EXPECT_EQ(second.grid("g").agent<Entity>("a").request(by(1), {.request_id = "csv:17"})->value(), 1);
  EXPECT_EQ(server.counter("a"), 1);
  EXPECT_EQ(server.seen()[0].sequence, 0U);  // its own id identifies it
}

TEST(Client, AFanOutGivesEachTargetItsOutcome) {
  FakeServer server;
  server.set_refusal([](const SeenCall& call) { return call.key == "b" ? Code::kOverloaded : Code::kOk; });
  const Client client = connect(server);
  const Grid grid = client.grid("g");
  const std::vector<std::string> keys{"a", "b", "c"};
  const auto outcomes = grid.fanout<Entity>(keys, by(1), {.id = "nightly", .in_flight = 2});
  ASSERT_TRUE(outcomes.ok());
  ASSERT_EQ(outcomes->size(), 3U);
  for (const auto& one : *outcomes) {
    EXPECT_EQ(one.result.code(), one.key == "b" ? Code::kOverloaded : Code::kOk) << one.key;
  }
  server.set_refusal(nullptr);
  for (const auto& one : *grid.fanout<Entity>(keys, by(1), {.id = "nightly"}))
    EXPECT_EQ(one.result->value(), 1);
  EXPECT_EQ(grid.fanout<Entity>(all(), by(1))->size(), 3U);  // listed from the catalog
  EXPECT_EQ(server.counter("a"), 2);
}

TEST(Client, AFanOutToAllGoesOnWithoutARegionThatIsAway) {
  FakeServer server;
  const Grid grid = connect(server).grid("g");
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(grid.agent<Entity>(key).request(by(1)).ok());
  server.lose_region(2);
  EXPECT_EQ(grid.list("entity").code(), Code::kUnavailable);
  const auto outcomes = grid.fanout<Entity>(all(), by(1));
  ASSERT_TRUE(outcomes.ok());
  ASSERT_EQ(outcomes->size(), 4U);
  std::size_t good = 0;
  for (const auto& one : *outcomes) {
    good += one.result.ok() ? 1 : 0;
    if (one.result.ok()) continue;
    EXPECT_EQ(one.key, "");
    EXPECT_EQ(one.region, 2U);
    EXPECT_EQ(one.result.code(), Code::kUnavailable);
  }
  EXPECT_EQ(good, 3U);
}

TEST(Client, ABlockingCallInACallbackIsRefused) {
  const FakeServer server;
  const Client client = connect(server);
  const auto agent = client.grid("g").agent<Entity>("a");
  std::promise<Code> inner;
  agent.request(by(1), {},
                [&](const Result<IncrementAnswer>&) { inner.set_value(agent.request(by(1)).code()); });
  EXPECT_EQ(inner.get_future().get(), Code::kFailedPrecondition);
}

TEST(Client, ClosingEndsWhatIsUnderWayAndMayHappenInACallback) {
  FakeServer server;
  server.set_mode(Mode::kIgnore);
  std::promise<Code> ended;
  {
    const Client client = connect(server);
    client.grid("g").request_async({"entity", "a"}, {"Increment", ""}, {.deadline = 60s},
                                   [&](const Result<Reply>& reply) { ended.set_value(reply.code()); });
    server.wait_seen(1);
  }
  EXPECT_EQ(ended.get_future().get(), Code::kInDoubt);
  server.set_mode(Mode::kAnswer);
  std::promise<void> closed;
  auto client = std::make_shared<std::optional<Client>>(connect(server));
  (*client)->grid("g").request_async({"entity", "a"}, {"Increment", ""}, {},
                                     [&, client](const Result<Reply>&) {
                                       client->reset();
                                       closed.set_value();
                                     });
  client.reset();
  closed.get_future().wait();
}

TEST(Client, BigMessagesSplitIntoFramesAndAllArrive) {
  const FakeServer server;
  const Client client = connect(server);
  const Grid grid = client.grid("g");
  Increment big = by(1);
  big.set_key(std::string(200'000, 'k'));
  std::latch done(20);
  for (int i = 0; i < 20; ++i) {
    grid.agent<Entity>("a").request(big, {}, [&](const Result<IncrementAnswer>& a) {
      EXPECT_TRUE(a.ok());
      done.count_down();
    });
  }
  done.wait();
  EXPECT_EQ(server.counter("a"), 20);
  EXPECT_GE(server.frames(), 20U);  // 256 KiB holds one of them
}

TEST(Client, AConnectionThatSaysNothingIsNoticed) {
  FakeServer server;
  testing::FreezingProxy proxy(server.address());
  for (std::uint32_t region = 0; region < 4; ++region) server.set_route(region, proxy.address());
  ClientOptions options;
  options.keepalive = 200ms;
  options.keepalive_timeout = 200ms;
  const Client client = Client::connect(proxy.address(), options).value();
  const auto agent = client.grid("g").agent<Entity>("a");
  EXPECT_EQ(agent.request(by(1))->value(), 1);
  proxy.freeze();  // no byte and no reset comes any more
  const auto begin = std::chrono::steady_clock::now();
  const Result<IncrementAnswer> answer = agent.request(by(1), {.deadline = 20s});
  ASSERT_TRUE(answer.ok()) << answer.error().text();
  EXPECT_EQ(answer->value(), 2);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
  EXPECT_GE(client.stats().streams_broken, 1U);
  EXPECT_EQ(server.counter("a"), 2);
  EXPECT_EQ(Client::connect(server.address(), {.keepalive = -1ms}).code(), Code::kInvalidArgument);
}

TEST(Client, ASessionSaysFarewellToTheRegionsItWroteTo) {
  const FakeServer server;
  {
    const Client client = connect(server);
    for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h"})
      ASSERT_TRUE(client.grid("g").agent<Entity>(key).request(by(1)).ok());
  }
  std::set<std::uint32_t> regions;
  for (const SeenCall& call : server.seen()) regions.insert(call.region);
  EXPECT_EQ(server.farewells(), regions.size());
  {
    const Client client = connect(server);  // an own id needs no session
    ASSERT_TRUE(client.grid("g").agent<Entity>("a").request(by(1), {.request_id = "x"}).ok());
  }
  EXPECT_EQ(server.farewells(), regions.size());
}

TEST(Client, AFanoutAsksForTargetsAsItGoes) {
  const FakeServer server;
  const Grid grid = connect(server).grid("g");
  const Message message{"Increment", by(1).SerializeAsString()};
  std::size_t given = 0;
  std::size_t ended = 0;
  std::size_t ahead = 0;
  const KeySource next = [&](std::size_t most) -> Result<std::vector<std::string>> {
    ahead = std::max(ahead, given - ended);
    std::vector<std::string> keys;
    for (; keys.size() < std::min<std::size_t>(most, 10) && given < 500; ++given)
      keys.push_back("k" + std::to_string(given));
    return keys;
  };
  EXPECT_TRUE(grid.fanout_from("entity", next, message, {.in_flight = 16},
                               [&](const FanoutOutcome<Reply>& one) { ended += one.result.ok() ? 1 : 0; })
                  .ok());
  EXPECT_EQ(ended, 500U);
  EXPECT_LE(ahead, 16U);  // never more than what is under way

  // A listing that fails ends it, after the outcomes of what was under way.
  given = ended = 0;
  const KeySource fails = [&](std::size_t most) -> Result<std::vector<std::string>> {
    if (given >= 100) return fail(Code::kIo, "the list broke off");
    return next(most);
  };
  EXPECT_EQ(grid.fanout_from("entity", fails, message, {.in_flight = 16},
                             [&](const FanoutOutcome<Reply>&) { ++ended; })
                .code(),
            Code::kIo);
  EXPECT_EQ(ended, given);
}

}  // namespace
}  // namespace afdg::client
