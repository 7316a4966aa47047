#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kafka/broker/broker.h"
#include "kafka/frame.h"
#include "kafka/testing/loop.h"
#include "log/testing/memory_log.h"

// A broker without sockets, threads or files.
namespace afdg::kafka::testing {

inline constexpr NodeId kSelf{1};
inline constexpr TopicId kTopic{2};
inline constexpr TopicId kWideTopic{3};
inline constexpr TopicId kCompactedTopic{4};
inline constexpr std::size_t kWidePartitions = 2000;

/// One node, which leads one partition of "t", of "compacted" and of the groups' topic, and many of "wide",
/// which the log has once BrokerTest::make_wide() was called.
class TestCluster final : public Cluster {
 public:
  TestCluster() {
    auto view = std::make_shared<ClusterView>();
    view->self = kSelf;
    view->nodes.push_back({kSelf, "host", 9092});
    add(*view, kTopic, "t");
    add(*view, kWideTopic, "wide", kWidePartitions);
    add(*view, kCompactedTopic, "compacted");
    view->topics.at("compacted").settings.cleanup_compact = true;
    add(*view, TopicId(1), std::string(kOffsetsTopic));
    view_ = std::move(view);
  }
  [[nodiscard]] std::shared_ptr<const ClusterView> view() const override { return view_; }
  void create_topic(NewTopic topic, Done done) override {
    created.push_back(std::move(topic.name));
    done({});
  }
  void delete_topic(std::string, Done) override {}
  void change_topic(TopicChange, Done done) override { done({}); }
  void run(std::function<Status()>, Done) override {}

  std::vector<std::string> created;

 private:
  static void add(ClusterView& view, TopicId id, const std::string& name, std::size_t partitions = 1) {
    ClusterView::Topic topic;
    topic.id = id;
    topic.name = name;
    topic.partitions.assign(partitions, {kSelf, Epoch(0)});
    view.names.emplace(id, name);
    view.topics.emplace(name, std::move(topic));
  }
  std::shared_ptr<const ClusterView> view_;
};

/// A broker on a log in memory, and one connection to it. Derive a fixture from it.
struct BrokerTest : ::testing::Test {
  log::testing::MemoryLog memory;
  SeededRandom random{1};
  TestLoop loop;
  TestCluster cluster;
  BrokerOptions options;
  std::unique_ptr<Broker> broker;
  std::shared_ptr<Connection> connection;

  void SetUp() override {
    ASSERT_TRUE(memory.log->create_partition({TopicId(1), PartitionIndex(0)}, "o", {}).ok());
    ASSERT_TRUE(memory.log->create_partition({kTopic, PartitionIndex(0)}, "t", {}).ok());
    ASSERT_TRUE(memory.log->create_partition({kCompactedTopic, PartitionIndex(0)}, "compacted", {}).ok());
    Broker::Parts parts;
    parts.log = memory.log.get();
    parts.cluster = &cluster;
    parts.loop = &loop;
    parts.clock = &memory.clock;
    parts.random = &random;
    broker = std::make_unique<Broker>(std::move(parts), options);
    connection = std::make_shared<Connection>(*broker, "/host", [] {});
  }
  void TearDown() override {
    connection.reset();
    broker.reset();
  }
  void make_wide() {
    std::vector<log::Log::NewPartition> all;
    for (std::size_t i = 0; i < kWidePartitions; ++i)
      all.push_back({{kWideTopic, PartitionIndex(static_cast<std::int32_t>(i))}, "wide", {}});
    ASSERT_TRUE(memory.log->create_partitions(all).ok());
  }

  template <class M>
  void send(std::int16_t version, const M& request) {
    Writer frame;
    ASSERT_TRUE(write_request(frame, version, 7, "client", request).ok());
    ByteBuffer bytes;
    for (const Piece& piece : frame.pieces())
      bytes.append(piece.kind == Piece::Kind::kOwned ? frame.owned(piece)
                                                     : std::string_view(piece.data, piece.size));
    connection->receive(ByteBuffer(bytes.view().substr(4)));
    settle();
  }
  void settle() {
    for (int i = 0; i < 4; ++i) {
      loop.run();
      broker->round_end();
      memory.log->pump();
    }
  }
  /// The answer; it is good until the next one. Nothing when there is none.
  template <class Response, class Asked>
  std::optional<Response> ask(std::int16_t version, const Asked& request) {
    send(version, request);
    return answer<Response, Asked>(version);
  }
  template <class Response, class Asked>
  std::optional<Response> answer(std::int16_t version) {
    Writer* const front = connection->front();
    if (front == nullptr || front->size() == 0) return std::nullopt;
    bytes_ = front->view();
    connection->pop();
    Writer header;
    Request asked;
    asked.api = &api(Asked::kId.key);
    asked.version = version;
    begin_response(header, asked);
    Response response;
    EXPECT_TRUE(decode(response, version, std::string_view(bytes_).substr(header.view().size())).ok());
    return response;
  }

 private:
  std::string bytes_;
};

}  // namespace afdg::kafka::testing
