#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "afdg/v1/admin.pb.h"
#include "log/batch.h"
#include "server/admin_service.h"
#include "store/testing/fault_file_system.h"

namespace afdg::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(20);

/// One side of a call: what the server writes is taken at once, and kept.
class FakeCall final : public RpcCall {
 public:
  void read() override {}
  void write(std::string message) override {
    const auto handler = take(message);
    if (handler) handler->on_written();
  }
  void finish(const Status& status) override {
    const std::lock_guard lock(mutex_);
    if (!ended_) ended_ = status;
    changed_.notify_all();
  }
  void finish_with(std::string message) override {
    take(message);
    finish({});
  }
  [[nodiscard]] std::chrono::system_clock::time_point deadline() const override {
    return std::chrono::system_clock::time_point::max();
  }

  void serve(std::shared_ptr<RpcHandler> handler, const google::protobuf::MessageLite& ask) {
    const std::string bytes = ask.SerializeAsString();
    {
      const std::lock_guard lock(mutex_);
      handler_ = handler;
    }
    handler->on_message({bytes, nullptr});
  }
  /// As when the caller goes away, or has read the end.
  void done() {
    std::shared_ptr<RpcHandler> handler;
    {
      const std::lock_guard lock(mutex_);
      handler.swap(handler_);
    }
    if (handler) handler->on_done();
  }
  /// The values that came, once there are so many.
  std::vector<std::string> values(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return values_.size() >= count || ended_; });
    return values_;
  }
  /// What a unary call was answered.
  v1::ReadAnswer answer() {
    v1::ReadAnswer answer;
    EXPECT_TRUE(ended().ok()) << ended().to_string();
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(answer.ParseFromString(last_));
    return answer;
  }
  bool has_ended() {
    const std::lock_guard lock(mutex_);
    return ended_.has_value();
  }
  Status ended() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [&] { return ended_.has_value(); });
    return ended_ ? *ended_ : fail(Code::kDeadlineExceeded, "the call did not end");
  }

 private:
  std::shared_ptr<RpcHandler> take(const std::string& message) {
    v1::ConsumedRecords records;
    records.ParseFromString(message);
    const std::lock_guard lock(mutex_);
    last_ = message;
    for (const auto& record : records.records()) values_.push_back(record.value());
    changed_.notify_all();
    return handler_;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<RpcHandler> handler_;
  std::vector<std::string> values_;
  std::string last_;
  std::optional<Status> ended_;
};

/// The plain topic "t" of three partitions on a log of one node.
class ConsumeTest : public ::testing::Test {
 protected:
  ConsumeTest() {
    log::LogOptions options;
    options.directory = "/log";
    options.journal_bytes = options.journal_initial_bytes = 1u << 20;
    options.reserve_bytes = 4096;
    log_ = std::move(log::Log::open(fs_, clock_, options)).value();
    auto routes = std::make_shared<Routes>();
    routes->self = NodeId(1);
    catalog::Topic topic;
    topic.id = kTopic;
    topic.name = "t";
    topic.partitions = kPartitions;
    routes->topics.push_back(topic);
    for (int i = 0; i < kPartitions; ++i) {
      routes->partitions[kTopic].emplace_back().leader = NodeId(1);
      EXPECT_TRUE(log_->create_partition({kTopic, PartitionIndex(i)}, "t").ok());
    }
    board_.publish(std::move(routes));
    gather_ = std::make_unique<Gather>(Gather::Parts{&board_, &peers_, nullptr, log_.get(), nullptr});
    tails_ = std::make_unique<Tails>(log_.get());
    parts_.board = &board_;
    parts_.gather = gather_.get();
    parts_.peers = &peers_;
    parts_.background = &background_;
    parts_.tails = tails_.get();
    parts_.serving = [this] {
      ++looks_;  // each step of a consumer asks
      return serving_.load();
    };
  }
  ~ConsumeTest() override {
    tails_->stop();
    background_.stop();
    peers_.stop();
    for (const auto& call : reads_) call->done();  // as gRPC does at the end of each
  }
  void append(int partition, const std::string& value) {
    log::BatchBuilder builder;
    builder.add(clock_.now(), "k", value);
    ASSERT_TRUE(log_->append({kTopic, PartitionIndex(partition)}, builder.seal(Offset(0), Epoch(1)), Epoch(1),
                             nullptr)
                    .ok());
  }
  std::shared_ptr<FakeCall> consume(std::uint64_t count_max = 0) {
    auto call = std::make_shared<FakeCall>();
    v1::ConsumeCall ask;
    ask.set_topic("t");
    ask.set_count_max(count_max);
    call->serve(consume_method(parts_)(call), ask);
    return call;
  }
  std::shared_ptr<FakeCall> read(std::int64_t offset, std::uint32_t wait_ms) {
    auto call = std::make_shared<FakeCall>();
    v1::ReadCall ask;
    ask.set_topic("t");
    ask.set_offset(offset);
    ask.set_bytes_max(1000);
    ask.set_wait_ms(wait_ms);
    call->serve(read_method(parts_)(call), ask);
    reads_.push_back(call);
    return call;
  }
  /// The steps that consumers made, once none was added for as long as six of the pauses of a poll.
  std::uint64_t settled() {
    for (std::uint64_t before = looks_.load();; before = looks_.load()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      if (looks_.load() == before) return before;
      if (++rounds_ > 20) return ~std::uint64_t{0};
    }
  }

  static constexpr TopicId kTopic{9};
  static constexpr int kPartitions = 3;
  std::vector<std::shared_ptr<FakeCall>> reads_;
  store::FaultFileSystem fs_;
  SystemClock clock_;
  std::unique_ptr<log::Log> log_;
  RouteBoard board_;
  Peers peers_;
  std::unique_ptr<Gather> gather_;
  std::unique_ptr<Tails> tails_;
  Background background_;
  AdminParts parts_{};
  std::atomic<std::uint64_t> looks_{0};
  std::atomic<bool> serving_{true};
  int rounds_ = 0;
};

TEST_F(ConsumeTest, AnIdleConsumerCostsNoWakeUpsAndSeesARecordAtOnce) {
  append(0, "first");
  const auto call = consume();
  EXPECT_THAT(call->values(1), ElementsAre("first"));
  const std::uint64_t before = settled();
  ASSERT_NE(before, ~std::uint64_t{0}) << "it looks again and again although nothing happens";
  append(2, "second");
  EXPECT_THAT(call->values(2), ElementsAre("first", "second"));
  EXPECT_LE(settled() - before, 3U) << "a look for what was told, and one that finds no more";
  append(2, "third");
  append(1, "fourth");
  EXPECT_EQ(call->values(4).size(), 4U);
  call->done();
}

TEST_F(ConsumeTest, NoRecordIsMissedWhileConsumersComeToTheEnd) {
  constexpr int kRecords = 600;
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<FakeCall>> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(consume());
  for (int i = 0; i < kRecords; ++i) {
    append(i % kPartitions, std::to_string(i));
    // Each waits for its consumer, so that the next one races with the way into the rest.
    const auto so_far = static_cast<std::size_t>(i) + 1;
    if (i % 2 == 0) {
      ASSERT_GE(calls[so_far % calls.size()]->values(so_far).size(), so_far);
    }
  }
  for (const auto& call : calls) {
    EXPECT_EQ(call->values(kRecords).size(), static_cast<std::size_t>(kRecords));
    call->done();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(6))
      << "300 waits for one record each: somebody sleeps between looks";
}

TEST_F(ConsumeTest, WhoLeavesIsForgotten) {
  auto call = consume();
  append(0, "a");
  EXPECT_THAT(call->values(1), ElementsAre("a"));
  settled();
  const std::weak_ptr<FakeCall> gone = call;
  call->done();
  call.reset();
  EXPECT_TRUE(gone.expired()) << "something still waits for the caller that went away";
  // One that has all it asked for is over, and is no more looked at.
  const auto counted = consume(1);
  EXPECT_TRUE(counted->ended().ok());
  counted->done();
  const std::uint64_t before = settled();
  append(0, "b");
  ASSERT_TRUE(log_->drain().ok());
  EXPECT_EQ(settled(), before);
}

TEST_F(ConsumeTest, DeletionOfTheTopicEndsAWaitingConsumer) {
  auto call = consume();
  settled();
  auto routes = std::make_shared<Routes>(*board_.get());
  routes->topics.clear();
  board_.publish(std::move(routes));
  ASSERT_TRUE(log_->delete_topic(kTopic).ok());
  const Status ended = call->ended();
  EXPECT_EQ(ended.code(), Code::kNotFound);
  EXPECT_THAT(ended.to_string(), HasSubstr("'t'"));
  call->done();
}

TEST_F(ConsumeTest, TheServersStopEndsAWaitingConsumerWithItsReason) {
  auto call = consume();
  settled();
  serving_ = false;
  tails_->stop();
  EXPECT_EQ(call->ended().code(), Code::kUnavailable);
  call->done();
}

// What a node asks the leader of a partition on behalf of its consumers.
TEST_F(ConsumeTest, AReadWaitsAtTheEndForACommitOrItsTime) {
  append(0, "a");
  ASSERT_TRUE(log_->drain().ok());
  EXPECT_EQ(read(0, 5000)->answer().records_size(), 1) << "there is something: no wait";
  EXPECT_EQ(read(1, 0)->answer().records_size(), 0);
  const auto waiting = read(1, 5000);
  const auto brief = read(1, 100);
  EXPECT_EQ(brief->answer().records_size(), 0);
  EXPECT_EQ(brief->answer().end(), 1);
  EXPECT_FALSE(waiting->has_ended()) << "nothing happened, and its time is not over";
  append(0, "b");
  ASSERT_EQ(waiting->answer().records_size(), 1);
  EXPECT_EQ(waiting->answer().records(0).value(), "b");
  const auto stopped = read(2, 5000);
  settled();
  serving_ = false;
  tails_->stop();
  EXPECT_EQ(stopped->ended().code(), Code::kUnavailable);
  background_.stop();
  EXPECT_EQ(read(2, 5000)->ended().code(), Code::kUnavailable) << "and not kOverloaded";
}

}  // namespace
}  // namespace afdg::server
