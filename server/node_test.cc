#include "server/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <fstream>
#include <map>
#include <thread>

#include "base/codec.h"
#include "proto/entity_store.h"
#include "server/metrics.h"
#include "server/socket.h"
#include "server/testing/caller.h"
#include "server/verify.h"

namespace afdg::server {
namespace {

using testing::Caller;
using ::testing::HasSubstr;
using testing::TemporaryDirectory;

std::unique_ptr<RunningNode> start(const TemporaryDirectory& directory, const std::string& name = "node",
                                   std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{
      "--data", directory.path(name), "--listen", "127.0.0.1:0", "--kafka", "off", "--http",
      "off",    "--log-level",        "error"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  auto node = Node(arguments).start();
  EXPECT_TRUE(node.ok()) << node.status().to_string();
  return node.ok() ? std::move(node).value() : nullptr;
}

constexpr const char* kOne = R"({"key":"n","by":1})";

TEST(NodeTest, KeepsWhatItAnsweredOverARestart) {
  const TemporaryDirectory directory;
  {
    const auto node = start(directory);
    Caller caller(node->address());
    ASSERT_TRUE(caller.create_grid("g", 4).ok());
    EXPECT_EQ(caller.request("g", "entity/alice", "Increment", kOne, "first").value(), R"({"value":"1"})");
    EXPECT_EQ(caller.request("g", "entity/alice", "Increment", kOne, "first").value(), R"({"value":"1"})");
    const auto receipt = caller.send("g", "entity/bob", "Increment", kOne);
    ASSERT_TRUE(receipt.ok());
    EXPECT_EQ(receipt->topic(), "g.messages");
    EXPECT_TRUE(caller.healthy().value());
    EXPECT_TRUE(node->stop().ok());
  }
  EXPECT_EQ(verify_node(directory.path("node")), 0);
  const auto node = start(directory);
  Caller caller(node->address());
  EXPECT_EQ(caller.request("g", "entity/alice", "Get", R"({"key":"n"})").value(),
            R"({"found":true,"value":1})");
  EXPECT_EQ(caller.request("g", "entity/alice", "Increment", kOne, "first").value(), R"({"value":"1"})")
      << "the id is remembered";
  EXPECT_EQ(caller.request("g", "entity/bob", "Increment", kOne).value(), R"({"value":"2"})");
  EXPECT_EQ(caller.list("g", "entity")->keys_size(), 2);
  EXPECT_EQ(caller.consume("g.messages")->size(), 3u);
  ASSERT_TRUE(caller.delete_grid("g").ok());
  EXPECT_EQ(caller.request("g", "entity/alice", "Get", R"({"key":"n"})").code(), Code::kUnknownGrid);
}

TEST(NodeTest, RefusesWithTheNameTheValueAndTheRemedy) {
  const TemporaryDirectory directory;
  const auto node = start(directory, "node", {"--message-bytes-max", "2048"});
  Caller caller(node->address());
  ASSERT_TRUE(caller.create_grid("g", 2).ok());
  const auto refused = [&](const Result<std::string>& answer, Code code, const std::string& words) {
    EXPECT_EQ(answer.code(), code) << answer.status().to_string();
    if (!answer.ok()) {
      EXPECT_THAT(answer.error().text(), HasSubstr(words));
    }
  };
  refused(caller.request("nope", "entity/a", "Increment", kOne), Code::kUnknownGrid, "'nope': there are g");
  refused(caller.request("g", "plane/a", "Increment", kOne), Code::kUnknownType, "'plane'");
  refused(caller.request("g", "entity/a", "Fly", kOne), Code::kUnknownMessage, "'Fly'");
  refused(caller.request("g", "entity/a", "Increment", R"({"kee":"n"})"), Code::kUndecodable, "kee");
  refused(caller.request("g", "entity/a", "Increment", R"({"key":"n","by":"x"})"), Code::kUndecodable, "by");
  refused(caller.request("g", "entity/", "Increment", kOne), Code::kInvalidArgument, "key");
  refused(caller.request("g", "entity/" + std::string(1025, 'k'), "Increment", kOne), Code::kInvalidArgument,
          "1025");
  refused(caller.request("g", "entity/a", "Put", R"({"key":"n","value":")" + std::string(3000, 'x') + "\"}"),
          Code::kMessageTooLarge, "2048");
  EXPECT_EQ(caller.send("g", "entity/a", "Get", R"({"key":"n"})").code(), Code::kInvalidArgument);
  EXPECT_EQ(caller.create_grid("g", 2).code(), Code::kAlreadyExists);
  EXPECT_EQ(caller.create_grid("h", 2, {"plane"}).code(), Code::kUnknownType);
  EXPECT_EQ(caller.consume("nope").code(), Code::kNotFound);
}

TEST(NodeTest, AStreamAnswersEveryCallOnceAndRepeatsFromItsSession) {
  const TemporaryDirectory directory;
  const auto node = start(directory);
  Caller caller(node->address());
  constexpr std::int32_t kRegions = 8;
  ASSERT_TRUE(caller.create_grid("g", kRegions).ok());
  constexpr std::uint64_t kCalls = 2000;
  v1::CallFrame frame;
  frame.set_grid("g");
  frame.set_session(77);
  std::map<std::int32_t, std::uint64_t> sequences;
  for (std::uint64_t id = 1; id <= kCalls; ++id) {
    const std::string key = "k" + std::to_string(id % 97);
    *frame.add_calls() = testing::increment(id, key, kRegions, ++sequences[key_partition(key, kRegions)]);
  }
  for (int round = 0; round < 2; ++round) {
    Caller::Stream stream(caller);
    stream.write(frame);
    std::map<std::uint64_t, int> answers;
    for (const auto& outcome : stream.read(kCalls)) {
      EXPECT_EQ(outcome.code(), 0u) << outcome.text();
      EXPECT_EQ(outcome.repeated(), round == 1);
      ++answers[outcome.id()];
    }
    EXPECT_EQ(answers.size(), kCalls);
  }
  std::uint64_t total = 0;
  for (int k = 0; k < 97; ++k) {
    const std::string answer =
        caller.request("g", "entity/k" + std::to_string(k), "Get", R"({"key":"n"})").value();
    total += std::stoull(answer.substr(answer.find("value\":") + 7));
  }
  EXPECT_EQ(total, kCalls) << "a repeat ran again";
}

TEST(NodeTest, AFrameOfAnotherRegionOrOfRubbishIsRefused) {
  const TemporaryDirectory directory;
  const auto node = start(directory);
  Caller caller(node->address());
  ASSERT_TRUE(caller.create_grid("g", 8).ok());
  Caller::Stream stream(caller);
  v1::CallFrame frame;
  frame.set_grid("g");
  *frame.add_calls() = testing::increment(5, "alice", 8, 0);
  frame.mutable_calls(0)->set_region((frame.calls(0).region() + 1) % 8);
  stream.write(frame);
  const auto outcomes = stream.read(1);
  ASSERT_EQ(outcomes.size(), 1u);
  EXPECT_EQ(outcomes[0].id(), 5u);
  EXPECT_EQ(outcomes[0].code(), static_cast<std::uint32_t>(Code::kNotLeader));
}

TEST(NodeTest, FansOutToKeysAndToAllAgents) {
  const TemporaryDirectory directory;
  const auto node = start(directory);
  Caller caller(node->address());
  ASSERT_TRUE(caller.create_grid("g", 4).ok());
  v1::FanoutCall call;
  call.set_grid("g");
  call.set_type("entity");
  call.set_message("Increment");
  call.set_json(kOne);
  for (int i = 0; i < 3000; ++i) call.add_keys("k" + std::to_string(i));
  call.add_keys("");
  Status status;
  auto outcomes = caller.fanout(call, &status);
  EXPECT_TRUE(status.ok()) << status.to_string();
  ASSERT_EQ(outcomes.size(), 3001u);
  EXPECT_EQ(std::count_if(outcomes.begin(), outcomes.end(), [](const auto& one) { return one.code() == 0; }),
            3000)
      << "one failure is not all's";
  call.clear_keys();
  call.set_all(true);
  call.set_message("Get");
  call.set_json(R"({"key":"n"})");
  outcomes = caller.fanout(call, &status);
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(outcomes.size(), 3000u);
  call.set_grid("nope");
  EXPECT_TRUE(caller.fanout(call, &status).empty());
  EXPECT_EQ(status.code(), Code::kUnknownGrid);
}

TEST(NodeTest, TwoProcessesCannotShareADirectoryOrAPort) {
  const TemporaryDirectory directory;
  const auto node = start(directory);
  auto second =
      Node({"--data", directory.path("node"), "--listen", "127.0.0.1:0", "--kafka", "off", "--http", "off"})
          .start();
  EXPECT_EQ(second.code(), Code::kTaken);
  auto third = Node({"--data", directory.path("other"), "--listen", node->address(), "--kafka", "off",
                     "--http", "off"})
                   .start();
  EXPECT_EQ(third.code(), Code::kTaken);
  EXPECT_THAT(third.error().text(), HasSubstr(node->address()));
  EXPECT_EQ(verify_node(directory.path("node")), 3);
}

TEST(NodeTest, AProgramsGridIsMadeOnceAndItsRegionsNeverChange) {
  const TemporaryDirectory directory;
  const std::vector<std::string> arguments{
      "--data", directory.path("node"), "--listen", "127.0.0.1:0", "--kafka", "off", "--http", "off"};
  for (int round = 0; round < 2; ++round) {
    auto node = Node(arguments).grid("made", {.regions = 3}).start();
    ASSERT_TRUE(node.ok()) << node.status().to_string();
    EXPECT_EQ(Caller((*node)->address()).grid("made")->regions(), 3u);
    EXPECT_TRUE((*node)->stop().ok());
  }
  auto other = Node(arguments).grid("made", {.regions = 5}).start();
  EXPECT_EQ(other.code(), Code::kInvalidArgument);
}

TEST(NodeTest, DamageOfIdentityOrANewerFormatStopsTheStart) {
  const TemporaryDirectory directory;
  EXPECT_TRUE(start(directory)->stop().ok());
  const std::vector<std::string> arguments{
      "--data", directory.path("node"), "--listen", "127.0.0.1:0", "--kafka", "off", "--http", "off"};
  const std::string file = directory.path("node") + "/node";
  std::string content;
  {
    std::ifstream in(file);
    content.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto put = [&](const std::string& bytes) { std::ofstream(file, std::ios::trunc) << bytes; };
  std::string flipped = content;
  flipped[25] = static_cast<char>(flipped[25] ^ 1);
  put(flipped);
  EXPECT_EQ(Node(arguments).start().code(), Code::kCorrupt);
  std::string newer = content;
  newer.replace(0, 11, "afdg-node 9");
  put(newer);
  EXPECT_EQ(Node(arguments).start().code(), Code::kNewerFormat);
  std::filesystem::remove(file);
  EXPECT_EQ(Node(arguments).start().code(), Code::kCorrupt) << "data without an identity";
  put(content);
  std::filesystem::remove_all(directory.path("node") + "/catalog");
  EXPECT_EQ(Node(arguments).start().code(), Code::kCorrupt) << "a catalog that is gone";
}

TEST(NodeTest, ADeletedStoreIsRebuiltFromTheLog) {
  const TemporaryDirectory directory;
  {
    const auto node = start(directory);
    Caller caller(node->address());
    ASSERT_TRUE(caller.create_grid("g", 2).ok());
    ASSERT_TRUE(caller.request("g", "entity/a", "Increment", kOne).ok());
    EXPECT_TRUE(node->stop().ok());
  }
  std::filesystem::remove_all(directory.path("node") + "/store");
  const auto node = start(directory);
  EXPECT_EQ(Caller(node->address()).request("g", "entity/a", "Get", R"({"key":"n"})").value(),
            R"({"found":true,"value":1})");
}

using Sloth = Protocol<"sloth", Ask<v1::entity::Increment, v1::entity::IncrementAnswer>>;
class SlothAgent : public Agent<Sloth> {
 public:
  Result<v1::entity::IncrementAnswer> on(const v1::entity::Increment&, Turn&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return v1::entity::IncrementAnswer();
  }
};

// For the thread sanitizer: whoever asks first may come while the Kafka endpoint begins to serve.
TEST(NodeTest, MetricsMayBeAskedForWhileItStarts) {
  const TemporaryDirectory directory;
  const auto port = free_port("127.0.0.1");
  ASSERT_TRUE(port.ok());
  const std::string http = "127.0.0.1:" + std::to_string(*port);
  std::atomic<bool> over{false};
  std::atomic<int> told{0};
  std::thread asking([&] {
    while (!over.load()) {
      boost::asio::ip::tcp::iostream stream("127.0.0.1", std::to_string(*port));
      stream << "GET /metrics HTTP/1.0\r\n\r\n" << std::flush;
      std::string line;
      if (std::getline(stream, line) && line.find(" 200 ") != std::string::npos) ++told;
    }
  });
  const auto node = start(directory, "node", {"--kafka", "127.0.0.1:0", "--http", http});
  while (node && told.load() < 3) std::this_thread::yield();
  over.store(true);
  asking.join();
  ASSERT_TRUE(node);
  EXPECT_TRUE(node->stop().ok());
}

// What sanitizers keep: of freed memory the one of addresses, by default, and of every access that of
// threads.
#if defined(__SANITIZE_ADDRESS__) || defined(_GLIBCXX_TSAN)
#define AFDG_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AFDG_SANITIZER 1
#endif
#endif
#ifdef AFDG_SANITIZER
constexpr std::uint64_t kSanitizerBytes = 256u << 20;
#else
constexpr std::uint64_t kSanitizerBytes = 0;
#endif

// Invariant 13
TEST(NodeTest, TenThousandCallersOfASlowAgentAreRefusedAndMemoryStaysFlat) {
  const TemporaryDirectory directory;
  auto node = Node({"--data", directory.path("node"), "--listen", "127.0.0.1:0", "--kafka", "off", "--http",
                    "off", "--agent-queue-max", "500"})
                  .grid("g", {.regions = 2})
                  .agent<SlothAgent>()
                  .start();
  ASSERT_TRUE(node.ok()) << node.status().to_string();
  Caller caller((*node)->address());
  const std::uint64_t before = resident_bytes();
  Caller::Stream stream(caller);
  constexpr std::uint64_t kCallers = 10'000;
  std::uint64_t answered = 0, overloaded = 0;
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t first = 0; first < kCallers; first += 500) {
      v1::CallFrame frame;
      frame.set_grid("g");
      for (std::uint64_t i = first; i < first + 500; ++i) {
        v1::Call call = testing::increment(i + 1, "slow", 2, 0);
        call.set_type("sloth");
        call.set_payload(R"({"key":")" + std::string(1000, 'x') + "\"}");
        *frame.add_calls() = std::move(call);
      }
      stream.write(frame);
    }
    for (const auto& outcome : stream.read(kCallers)) {
      answered += outcome.code() == 0 ? 1 : 0;
      overloaded += outcome.code() == static_cast<std::uint32_t>(Code::kOverloaded) ? 1 : 0;
    }
  }
  EXPECT_EQ(answered + overloaded, 3 * kCallers);
  EXPECT_GT(answered, 0u);
  EXPECT_GT(overloaded, kCallers);
  EXPECT_LT(resident_bytes(), before + (64u << 20) + kSanitizerBytes);
  const auto state = caller.server();
  EXPECT_EQ(state->calls_in_flight(), 0u);
  EXPECT_EQ(state->refused_overloaded(), overloaded);
}

}  // namespace
}  // namespace afdg::server
