#include "log/region_log.h"

#include <gtest/gtest.h>

#include "log/testing/message_log_suite.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log {
namespace {

/// The embedded log under the suite, on a disk that loses what was not synced.
template <LogThreads kThreads>
class EmbeddedHarness {
 public:
  EmbeddedHarness() { start(); }
  ~EmbeddedHarness() {
    rival_.reset();
    region_.reset();
  }
  MessageLog& log() { return *region_; }
  void reopen() {
    stop();
    start();
  }
  void crash() {
    fs_.fail_at(fs_.operations() + 1, store::Fault::kCrash);  // no last word
    stop();
    fs_.crash(store::Survival::kAnySubset, ++crashes_);
    start();
  }
  void settle() {
    if (kThreads == LogThreads::kNone) {
      while (log_->pump()) {
      }
    } else {
      const Status drained = log_->drain();
      ASSERT_TRUE(drained.ok()) << drained.to_string();
    }
  }
  MessageLog* rival() {
    rival_ = make();
    return rival_.get();
  }
  bool set_disk_full(bool full) {
    if (kThreads != LogThreads::kNone) return false;
    if (full) {
      fs_.set_capacity(fs_.bytes());
    } else {
      fs_.set_capacity(std::nullopt);
    }
    log_->pump();
    return true;
  }
  bool raise_tombstone_horizon(Offset) { return false; }

 private:
  static constexpr RegionStreams kRegion{
      {TopicId(1), PartitionIndex(3)}, {TopicId(2), PartitionIndex(3)}, {TopicId(3), PartitionIndex(3)}};
  void stop() {
    rival_.reset();
    region_.reset();
    log_.reset();
  }
  void start() {
    LogOptions options;
    options.directory = "/log";
    options.journal_bytes = 512u << 10;
    options.journal_initial_bytes = 256u << 10;
    options.reserve_bytes = 64u << 10;
    options.threads = kThreads;
    options.fatal = [](const Error&) {};
    auto opened = Log::open(fs_, clock_, options);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    log_ = std::move(opened).value();
    TopicOptions topic;
    topic.segment_bytes = 30'000;
    topic.retention_bytes = 1;
    ASSERT_TRUE(log_->create_partitions({{kRegion.messages, "bank.messages", topic},
                                         {kRegion.changes, "bank.changes", {}},
                                         {kRegion.dead, "bank.dead", {}}})
                    .ok());
    region_ = make();
  }
  std::unique_ptr<MessageLog> make() {
    auto made = log_->region_log(kRegion);
    EXPECT_TRUE(made.ok());
    return std::move(made).value();
  }
  store::FaultFileSystem fs_;
  SystemClock clock_;
  std::uint64_t crashes_ = 0;
  std::unique_ptr<Log> log_;
  std::unique_ptr<MessageLog> region_;
  std::unique_ptr<MessageLog> rival_;
};

}  // namespace

namespace testing {
INSTANTIATE_TYPED_TEST_SUITE_P(EmbeddedPumped, MessageLogSuite, EmbeddedHarness<LogThreads::kNone>);
INSTANTIATE_TYPED_TEST_SUITE_P(EmbeddedThreads, MessageLogSuite, EmbeddedHarness<LogThreads::kBackground>);
}  // namespace testing

}  // namespace afdg::log
