#include "server/produce.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "afdg/v1/data.pb.h"
#include "base/codec.h"
#include "log/batch.h"
#include "server/kafka_cluster.h"
#include "store/testing/fault_file_system.h"

namespace afdg::server {
namespace {

using ::testing::HasSubstr;

/// One unary call, waited for.
class Unary final : public RpcCall {
 public:
  void read() override {}
  void write(std::string) override {}
  void finish(const Status& status) override { end(status, {}); }
  void finish_with(std::string message) override { end({}, std::move(message)); }
  [[nodiscard]] std::chrono::system_clock::time_point deadline() const override {
    return std::chrono::system_clock::time_point::max();
  }
  Result<v1::ProduceAnswer> answer() {
    std::unique_lock lock(mutex_);
    if (!ended_.wait_for(lock, std::chrono::seconds(20), [&] { return status_.has_value(); }))
      return fail(Code::kDeadlineExceeded, "the call did not end");
    if (!status_->ok()) return status_->error();
    v1::ProduceAnswer answer;
    if (!answer.ParseFromString(bytes_)) return fail(Code::kUndecodable, "no answer");
    return answer;
  }

 private:
  void end(const Status& status, std::string bytes) {
    const std::lock_guard lock(mutex_);
    status_ = status;
    bytes_ = std::move(bytes);
    ended_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<Status> status_;
  std::string bytes_;
};

/// Topics on the log of node 1 of two; partition 3 of "t" is led by node 2, which is dead.
class ProduceTest : public ::testing::Test {
 protected:
  /// Bytes of calls under way, once there are none, or after a while: they are given back after the answer.
  std::uint64_t held() {
    for (int i = 0; i < 2000 && counters_.bytes.load() != 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return counters_.bytes.load();
  }
  ProduceTest() : cluster_({&board_, nullptr, &peers_, &background_}) {
    log::LogOptions options;
    options.directory = "/log";
    options.journal_bytes = options.journal_initial_bytes = 1u << 20;
    options.reserve_bytes = 4096;
    log_ = std::move(log::Log::open(fs_, clock_, options)).value();
    auto routes = std::make_shared<Routes>();
    routes->self = NodeId(1);
    add(*routes, TopicId(9), "t", 4, {{"max.message.bytes", "1000"}});
    add(*routes, TopicId(10), "compacted", 1, {{"cleanup.policy", "compact"}});
    add(*routes, TopicId(11), "stamped", 1, {{"message.timestamp.type", "LogAppendTime"}});
    routes->partitions[TopicId(9)][3].leader = NodeId(2);
    board_.publish(std::move(routes));
    parts_.board = &board_;
    parts_.cluster = &cluster_;
    parts_.log = log_.get();
    parts_.peers = &peers_;
    parts_.background = &background_;
    parts_.clock = &clock_;
    parts_.counters = &counters_;
    parts_.serving = [] { return true; };
  }
  ~ProduceTest() override {
    background_.stop();
    peers_.stop();
  }
  void add(Routes& routes, TopicId id, const std::string& name, int partitions, const TopicConfig& config) {
    catalog::Topic topic;
    topic.id = id;
    topic.name = name;
    topic.partitions = partitions;
    topic.config = config;
    routes.topics.push_back(topic);
    for (int i = 0; i < partitions; ++i) {
      catalog::Placement& placement = routes.partitions[id].emplace_back();
      placement.leader = NodeId(1);
      placement.epoch = Epoch(1);
      EXPECT_TRUE(log_->create_partition({id, PartitionIndex(i)}, name).ok());
    }
  }
  Result<v1::ProduceAnswer> produce(const v1::ProduceCall& call) {
    const auto unary = std::make_shared<Unary>();
    const auto handler = produce_method(parts_)(unary);
    const auto bytes = std::make_shared<const std::string>(call.SerializeAsString());
    handler->on_message({*bytes, bytes});
    return unary->answer();
  }
  static v1::ProduceRecord& put(v1::ProduceCall& call, const std::string& value,
                                std::optional<std::uint32_t> partition = 0) {
    call.set_topic(call.topic().empty() ? "t" : call.topic());
    v1::ProduceRecord& record = *call.add_records();
    record.set_value(value);
    if (partition) record.set_partition(*partition);
    return record;
  }
  /// The batches of a partition, each checked to the last byte: how many records they have.
  std::vector<int> batches(TopicId topic, int partition) {
    std::vector<int> counts;
    const auto read = log_->read_batches({topic, PartitionIndex(partition)}, Offset(0), 1u << 20);
    EXPECT_TRUE(read.ok());
    std::string_view left = read->bytes;
    while (!left.empty()) {
      const auto batch = log::BatchView::parse(left);
      EXPECT_TRUE(batch.ok() && batch->validate(log::BatchOrigin::kProducer).ok());
      counts.push_back(batch->records());
      left.remove_prefix(batch->size());
    }
    return counts;
  }

  store::FaultFileSystem fs_;
  SystemClock clock_;
  std::unique_ptr<log::Log> log_;
  RouteBoard board_;
  Peers peers_;
  Background background_;
  KafkaCluster cluster_;
  ProduceCounters counters_;
  ProduceParts parts_;
};

TEST_F(ProduceTest, OneBatchAPartitionAndReceiptsInOrder) {
  v1::ProduceCall call;
  put(call, "a", 1);
  put(call, "b", 0);
  put(call, "c", 1);
  const auto answer = produce(call);
  ASSERT_TRUE(answer.ok()) << answer.error().text();
  ASSERT_EQ(answer->receipts_size(), 3);
  EXPECT_EQ(answer->receipts(0).partition(), 1U);
  EXPECT_EQ(answer->receipts(0).offset(), 0);
  EXPECT_EQ(answer->receipts(1).partition(), 0U);
  EXPECT_EQ(answer->receipts(2).offset(), 1);
  EXPECT_EQ(batches(TopicId(9), 1), std::vector<int>({2}));
  EXPECT_EQ(counters_.records.load(), 3U);
  EXPECT_EQ(held(), 0U);
}

TEST_F(ProduceTest, KeysChooseThePartitionAsJavaDoesAndOthersTakeTurns) {
  v1::ProduceCall call;
  for (const char* key : {"alice", "bob", "carol", "dave", "erin"}) {
    if (key_partition(key, 4) != 3) put(call, "v", std::nullopt).set_key(key);
  }
  const auto answer = produce(call);
  ASSERT_TRUE(answer.ok());
  for (int i = 0; i < call.records_size(); ++i)
    EXPECT_EQ(answer->receipts(i).partition(),
              static_cast<std::uint32_t>(key_partition(call.records(i).key(), 4)));
  std::set<std::uint32_t> chosen;
  for (int i = 0; i < 8; ++i) {
    v1::ProduceCall keyless;
    put(keyless, "v", std::nullopt);
    put(keyless, "w", std::nullopt);
    const auto turn = produce(keyless);
    ASSERT_TRUE(turn.ok());
    EXPECT_EQ(turn->receipts(0).code(), 0U);
    EXPECT_EQ(turn->receipts(0).partition(), turn->receipts(1).partition());
    chosen.insert(turn->receipts(0).partition());
  }
  EXPECT_EQ(chosen, (std::set<std::uint32_t>{0, 1, 2})) << "that of the dead node must be left out";
}

TEST_F(ProduceTest, ManyRecordsAreSeveralBatchesBelowTheTopicsLimit) {
  v1::ProduceCall call;
  for (int i = 0; i < 10; ++i) put(call, std::string(300, 'x'));
  const auto answer = produce(call);
  ASSERT_TRUE(answer.ok());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(answer->receipts(i).offset(), i);
  EXPECT_EQ(batches(TopicId(9), 0), std::vector<int>({3, 3, 3, 1}));
}

TEST_F(ProduceTest, OneBadRecordLeavesNothing) {
  const auto refused = [&](v1::ProduceCall& call, Code code, const char* word) {
    const auto answer = produce(call);
    EXPECT_EQ(answer.code(), code);
    if (!answer.ok()) EXPECT_THAT(answer.error().text(), HasSubstr(word));
  };
  v1::ProduceCall large;
  put(large, "small");
  put(large, std::string(2000, 'x'));
  refused(large, Code::kMessageTooLarge, "max.message.bytes");
  v1::ProduceCall nowhere;
  put(nowhere, "v");
  put(nowhere, "v", 4);
  refused(nowhere, Code::kNotFound, "it has 0 to 3");
  v1::ProduceCall late;
  put(late, "v");
  put(late, "v").set_timestamp_unix_ms(clock_.now().time_since_epoch().count() + 7'200'000);
  refused(late, Code::kInvalidTimestamp, "message.timestamp.after.max.ms");
  v1::ProduceCall unknown;
  unknown.set_topic("none");
  put(unknown, "v");
  refused(unknown, Code::kNotFound, "afdg topic create none");
  v1::ProduceCall empty;
  empty.set_topic("t");
  refused(empty, Code::kInvalidArgument, "at least one");
  v1::ProduceCall many;
  for (int i = 0; i <= kProduceRecordsMax; ++i) put(many, "");
  refused(many, Code::kInvalidArgument, "10000");
  v1::ProduceCall huge;
  put(huge, std::string(kProduceCallBytesMax, 'x'));
  refused(huge, Code::kMessageTooLarge, "the limit is");
  v1::ProduceCall keyless;
  keyless.set_topic("compacted");
  put(keyless, "v").set_key("k");
  put(keyless, "v");
  refused(keyless, Code::kInvalidRecord, "needs a key");
  EXPECT_TRUE(batches(TopicId(9), 0).empty());
  EXPECT_TRUE(batches(TopicId(10), 0).empty());
  EXPECT_EQ(counters_.refused.load(), 8U);
  EXPECT_EQ(counters_.calls.load(), 0U);
}

TEST_F(ProduceTest, WhatADeadNodeLeadsIsRefusedAndTheRestIsStored) {
  v1::ProduceCall call;
  put(call, "here", 0);
  put(call, "there", 3);
  auto answer = produce(call);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->receipts(0).code(), 0U);
  EXPECT_EQ(answer->receipts(1).code(), static_cast<std::uint32_t>(Code::kUnavailable));
  EXPECT_EQ(answer->receipts(1).offset(), -1);
  EXPECT_THAT(answer->receipts(1).text(), HasSubstr("led by node 2"));
  call.set_forwarded(true);  // the other node believes that this one leads it
  answer = produce(call);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->receipts(1).code(), static_cast<std::uint32_t>(Code::kNotLeader));
}

TEST_F(ProduceTest, TheTopicMayStampTheTime) {
  v1::ProduceCall call;
  call.set_topic("stamped");
  put(call, "v").set_timestamp_unix_ms(1'000'000);
  ASSERT_TRUE(produce(call).ok());
  EXPECT_EQ(batches(TopicId(11), 0), std::vector<int>({1}));
  const auto read = log_->read_batches({TopicId(11), PartitionIndex(0)}, Offset(0), 1u << 20);
  const auto batch = log::BatchView::parse(read->bytes);
  EXPECT_TRUE(batch->log_append_time());
  EXPECT_GT(batch->max_timestamp(), 1'000'000'000'000);
}

TEST_F(ProduceTest, MoreBytesUnderWayThanTheLimitAreRefused) {
  counters_.bytes.store(parts_.bytes_max);
  v1::ProduceCall call;
  put(call, "v");
  EXPECT_EQ(produce(call).code(), Code::kOverloaded);
  counters_.bytes.store(0);
  EXPECT_TRUE(produce(call).ok());
}

TEST_F(ProduceTest, ALogThatFailsLeavesARecordInDoubtOrRefused) {
  v1::ProduceCall call;
  put(call, "v");
  ASSERT_TRUE(produce(call).ok());
  ASSERT_TRUE(log_->close().ok());
  const auto answer = produce(call);
  ASSERT_TRUE(answer.ok());
  EXPECT_NE(answer->receipts(0).code(), 0U);
  EXPECT_EQ(answer->receipts(0).offset(), -1);
}

}  // namespace
}  // namespace afdg::server
