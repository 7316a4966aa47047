#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "log/testing/memory_log.h"

// What another thread may see and do while one of the log's is in the middle of a deletion or a failure.
namespace afdg::log {
namespace {

constexpr TopicPartition kPartition{TopicId(7), PartitionIndex(0)};

struct Opened {
  store::FaultFileSystem fs;
  ManualClock clock;
  LogOptions options = testing::small_log();
  std::unique_ptr<Log> log;

  Status open() {
    AFDG_ASSIGN(log, Log::open(fs, clock, options));
    return {};
  }
  /// Without a last word: as after SIGKILL.
  void kill() {
    fs.fail_at(fs.operations() + 1, store::Fault::kCrash);
    log.reset();
    fs.restart();
  }
  Status append(const std::string& value) {
    BatchBuilder batch;
    batch.add(clock.now(), "key", value);
    return log->append(kPartition, batch.seal(Offset(0), Epoch(0)), Epoch(0), nullptr).status();
  }
};

TEST(LogFailures, ADeletedTopicStaysGoneWhenItsListCouldNotBeWritten) {
  for (const bool resumes : {false, true}) {
    Opened o;
    ASSERT_TRUE(o.open().ok());
    ASSERT_TRUE(o.log->create_partition(kPartition, "plain").ok());
    ASSERT_TRUE(o.append("x").ok());
    o.fs.fail_next(store::Operation::kWrite, "/log/partitions", store::Fault::kDiskFull);
    EXPECT_EQ(o.log->delete_topic(kPartition.topic).code(), Code::kDiskFull);
    // Another thread's: it must not forget what the journal says of the deletion.
    EXPECT_EQ(o.log->checkpoint().code(), Code::kDiskFull);
    if (resumes) {
      o.log->pump();
      EXPECT_TRUE(o.log->checkpoint().ok()) << "there is room, so the list was written";
    }
    o.kill();
    ASSERT_TRUE(o.open().ok());
    EXPECT_TRUE(o.log->partitions().empty());
    EXPECT_TRUE(o.log->recovery().faulty.empty());
  }
}

TEST(LogFailures, NothingIsTakenWhileTheHandlerOfAFailureRuns) {
  Opened o;
  Code meanwhile = Code::kOk;
  o.options.fatal = [&](const Error&) { meanwhile = o.append("y").code(); };
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.log->create_partition(kPartition, "plain").ok());
  o.fs.fail_next(store::Operation::kSync, "journal", store::Fault::kIo);
  ASSERT_TRUE(o.append("x").ok());
  o.log->lead();
  EXPECT_EQ(meanwhile, Code::kIo) << "as another thread would see it";
}

}  // namespace
}  // namespace afdg::log
