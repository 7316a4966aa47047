#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kafka/broker/broker.h"
#include "kafka/broker/groups.h"
#include "kafka/testing/loop.h"
#include "log/log.h"
#include "store/testing/fault_file_system.h"

// kafka/broker/groups.h on a real log that commits when the broker's round ends.
namespace afdg::kafka {
namespace {

namespace groups = log::groups;
using testing::TestLoop;
using Errors = groups::Errors;

constexpr NodeId kSelf{1}, kOther{2};

class TestCluster final : public Cluster {
 public:
  [[nodiscard]] std::shared_ptr<const ClusterView> view() const override { return view_; }
  void create_topic(NewTopic, Done) override { ADD_FAILURE() << "nobody asked for a topic"; }
  void delete_topic(std::string, Done) override {}
  void change_topic(TopicChange, Done) override {}
  void run(std::function<Status()>, Done) override {}

  /// The topics, and who leads their only partition.
  struct Led {
    TopicId id;
    NodeId leader = kSelf;
  };
  void show(const std::map<std::string, Led>& topics) {
    auto view = std::make_shared<ClusterView>();
    view->self = kSelf;
    for (const auto& [name, led] : topics) {
      ClusterView::Topic topic;
      topic.id = led.id;
      topic.name = name;
      topic.partitions = {{led.leader, Epoch(0)}};
      view->names.emplace(led.id, name);
      view->topics.emplace(name, std::move(topic));
    }
    view_ = std::move(view);
  }

 private:
  std::shared_ptr<const ClusterView> view_ = std::make_shared<ClusterView>();
};

struct KafkaGroups : ::testing::Test {
  static constexpr TopicId kOffsets{1}, kOld{2}, kNew{3};
  store::FaultFileSystem fs;
  ManualClock clock;
  SeededRandom random{1};
  std::unique_ptr<log::Log> log;
  TestLoop loop;
  TestCluster cluster;
  std::unique_ptr<Broker> broker;
  std::vector<Errors> committed;

  void SetUp() override {
    log::LogOptions options;
    options.directory = "/log";
    options.journal_bytes = 256u << 10;
    options.journal_initial_bytes = 256u << 10;
    options.reserve_bytes = 16u << 10;
    options.threads = log::LogThreads::kNone;
    options.fatal = [](const Error&) {};
    log = std::move(log::Log::open(fs, clock, options)).value();
    ASSERT_TRUE(log->create_partition({kOffsets, PartitionIndex(0)}, std::string(kOffsetsTopic), {}).ok());
  }
  void TearDown() override {
    broker.reset();
    log.reset();
  }
  /// The process starts, with these topics.
  void start(TopicId topic, NodeId leader = kSelf) {
    broker.reset();
    topics(topic, leader);
    Broker::Parts parts;
    parts.log = log.get();
    parts.cluster = &cluster;
    parts.loop = &loop;
    parts.clock = &clock;
    parts.random = &random;
    broker = std::make_unique<Broker>(std::move(parts), BrokerOptions());
  }
  void topics(std::optional<TopicId> topic, NodeId leader = kSelf) {
    std::map<std::string, TestCluster::Led> shown{{std::string(kOffsetsTopic), {kOffsets, leader}}};
    if (topic) shown["t"] = {*topic};
    cluster.show(shown);
  }
  void changed() {
    broker->groups().cluster_changed();
    settle();
  }
  void settle() {
    for (int i = 0; i < 4; ++i) {
      loop.run();
      broker->round_end();
      log->pump();
    }
  }
  void commit(std::int64_t offset) {
    const auto code = broker->groups().with(
        [&](Groups::Coordinator& coordinator, groups::RequestToken token, groups::Now now) {
          groups::CommitRequest request;
          request.group = "g";
          request.topics.push_back({"t", {{0, offset, -1, std::nullopt, std::nullopt}}});
          coordinator.commit(token, std::move(request), now);
        },
        [this](Groups::Body&& body) {
          committed.push_back(std::get<groups::CommitReply>(body).topics.at(0).partitions.at(0).error);
        });
    ASSERT_EQ(code, ErrorCode::kNone);
  }
  std::int64_t fetched() {
    std::int64_t offset = -2;
    const auto code = broker->groups().with(
        [&](Groups::Coordinator& coordinator, groups::RequestToken token, groups::Now now) {
          coordinator.fetch(token, {{{"g", {{{"t", {0}}}}}}, true}, now);
        },
        [&](Groups::Body&& body) {
          offset = std::get<groups::FetchReply>(body).groups.at(0).topics.at(0).partitions.at(0).offset;
        });
    EXPECT_EQ(code, ErrorCode::kNone);
    settle();
    return offset;
  }
};

TEST_F(KafkaGroups, ARefusedAppendIsToldAfterAnEarlierOneThatTheLogTook) {
  start(kOld);
  commit(1);
  topics(kOld, kOther);
  commit(2);
  topics(kOld);
  commit(3);
  settle();
  EXPECT_EQ(committed, (std::vector<Errors>{Errors::kNone, Errors::kCoordinatorNotAvailable, Errors::kNone}));
  EXPECT_EQ(fetched(), 3);
}

TEST_F(KafkaGroups, OffsetsOfATopicThatIsGoneAtTheStartAreDropped) {
  start(kOld);
  commit(7);
  settle();
  start(kOld);
  EXPECT_EQ(fetched(), 7);
  start(kOld);
  topics(std::nullopt);
  changed();
  topics(kNew);
  EXPECT_EQ(fetched(), -1);
  start(kNew);
  EXPECT_EQ(fetched(), -1) << "the tombstones are stored";
}

TEST_F(KafkaGroups, ATopicMadeAnewUnderItsNameBeforeTheFirstRequestHasNoOffsets) {
  start(kOld);
  commit(7);
  settle();
  start(kOld);
  changed();  // as the broker begins
  topics(kNew);
  changed();
  EXPECT_EQ(fetched(), -1);
  start(kNew);
  EXPECT_EQ(fetched(), -1);
}

}  // namespace
}  // namespace afdg::kafka
