#include <gtest/gtest.h>

#include "log/batch.h"
#include "log/log.h"
#include "store/testing/fault_file_system.h"

// What goes by age and size, when its files go, and what becomes of appends to a partition that is faulty.
namespace afdg::log {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using store::FaultFileSystem;
using store::Survival;

constexpr TopicPartition kPlain{TopicId(7), PartitionIndex(0)};
constexpr TopicPartition kOther{TopicId(8), PartitionIndex(0)};
constexpr RegionStreams kRegion{
    {TopicId(1), PartitionIndex(0)}, {TopicId(2), PartitionIndex(0)}, {TopicId(3), PartitionIndex(0)}};
constexpr std::size_t kLarge = 4000;

struct Kept {
  Kept() {
    options.directory = "/log";
    options.journal_bytes = options.journal_initial_bytes = 256u << 10;
    options.reserve_bytes = 16u << 10;
    options.large_append_bytes = kLarge;
    options.threads = LogThreads::kNone;
    options.fatal = [](const Error&) {};
  }
  Status open() {
    log.reset();
    AFDG_ASSIGN(log, Log::open(fs, clock, options));
    AFDG_TRY(log->create_partition(kOther, "other"));
    return log->create_partition(kPlain, "plain", topic);
  }
  [[nodiscard]] std::string batch(std::size_t bytes) const {
    BatchBuilder builder;
    builder.add(clock.now() - age, "key", std::string(bytes, 'v'));
    return std::string(builder.seal(Offset(0), Epoch(0)));
  }
  Status append(std::size_t bytes, TopicPartition id = kPlain) {
    return log
        ->append(id, batch(bytes), Epoch(0), [this](AppendOutcome outcome) { outcomes.push_back(outcome); })
        .status();
  }
  /// Of 500 bytes and their headers, each in its segment.
  Status fill(int count) {
    for (int i = 0; i < count; ++i) {
      AFDG_TRY(append(500));
      log->pump();
    }
    return {};
  }
  void pump() {
    for (int i = 0; i < 6; ++i) log->pump();
  }
  void pass(std::chrono::milliseconds time) {
    clock.advance(time);
    pump();
  }
  [[nodiscard]] PartitionDescription about(TopicPartition id = kPlain) const {
    return log->describe(id).value();
  }

  FaultFileSystem fs;
  ManualClock clock;
  LogOptions options;
  TopicOptions topic;
  std::chrono::milliseconds age{0};  ///< of what is appended
  std::vector<AppendOutcome> outcomes;
  std::unique_ptr<Log> log;
};

TEST(LogRetention, ManyStartsLeaveOneSegment) {
  Kept k;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(k.open().ok());
    ASSERT_TRUE(k.append(100).ok());
    k.pass(seconds(1));
    ASSERT_TRUE(k.log->close().ok());
  }
  ASSERT_TRUE(k.open().ok());
  EXPECT_EQ(k.about().segments, 1u);
  k.pass(k.topic.segment_age);
  ASSERT_TRUE(k.append(100).ok());
  k.pump();
  EXPECT_EQ(k.about().segments, 2u) << "its age is that of its first batch, whatever was restarted since";
}

TEST(LogRetention, ATopicThatGotSilentIsEmptyWhenAllOfItIsTooOld) {
  Kept k;
  k.topic.retention_age = hours(1);
  ASSERT_TRUE(k.open().ok());
  ASSERT_TRUE(k.fill(3).ok());
  k.pass(hours(1) - seconds(10));
  EXPECT_EQ(k.about().start, Offset(0));
  k.pass(seconds(20));
  k.pass(seconds(20));
  EXPECT_EQ(k.about().start, Offset(3));
  EXPECT_EQ(k.about().bytes, 0u) << "its file is gone, too";
  const auto made = k.log->metrics().checkpoints;
  for (int i = 0; i < 20; ++i) k.pass(seconds(20));
  EXPECT_EQ(k.log->metrics().checkpoints, made) << "nothing more is due";
  EXPECT_EQ(k.about().segments, 1u);
  ASSERT_TRUE(k.append(10).ok());
  k.pump();
  ASSERT_TRUE(k.log->close().ok());
  ASSERT_TRUE(k.open().ok());
  EXPECT_EQ(k.about().start, Offset(3));
  EXPECT_EQ(k.about().end, Offset(4));
}

TEST(LogRetention, WhatIsTooOldWhenItComesCanBeReadForFiveMinutes) {
  Kept k;
  k.topic.retention_age = hours(1);
  k.age = hours(2);
  ASSERT_TRUE(k.open().ok());
  ASSERT_TRUE(k.fill(1).ok());
  for (int i = 0; i < 14; ++i) k.pass(seconds(20));
  EXPECT_EQ(k.about().start, Offset(0));
  for (int i = 0; i < 3; ++i) k.pass(seconds(20));
  EXPECT_EQ(k.about().start, Offset(1));
}

TEST(LogRetention, BySizeAtLeastSoMuchIsLeft) {
  Kept k;
  k.topic.segment_bytes = 600;
  ASSERT_TRUE(k.open().ok());
  ASSERT_TRUE(k.fill(1).ok());
  const std::uint64_t one = k.about().bytes;
  ASSERT_TRUE(k.fill(9).ok());
  ASSERT_EQ(k.about().segments, 10u);
  k.topic.retention_bytes = 4 * one - 1;
  ASSERT_TRUE(k.log->create_partition(kPlain, "plain", k.topic).ok());
  k.pass(seconds(20));
  k.pass(seconds(20));
  EXPECT_EQ(k.about().start, Offset(6)) << "without the seventh less than that would be left";
  EXPECT_EQ(k.about().bytes, 4 * one);
}

TEST(LogRetention, SegmentsBelowANewStartGoSoon) {
  Kept k;
  k.topic.segment_bytes = 600;
  ASSERT_TRUE(k.open().ok());
  ASSERT_TRUE(k.fill(10).ok());
  const auto made = k.log->metrics().checkpoints;
  ASSERT_TRUE(k.log->advance_start(kPlain, Offset(4)).ok());
  k.pump();
  EXPECT_EQ(k.about().segments, 6u);
  EXPECT_EQ(k.log->metrics().checkpoints, made + 1);
  ASSERT_TRUE(k.fill(4).ok());
  ASSERT_TRUE(k.log->advance_start(kPlain, Offset(13)).ok());
  k.pump();
  EXPECT_EQ(k.log->metrics().checkpoints, made + 1) << "it was made only just now";
  k.pass(seconds(10));
  EXPECT_EQ(k.about().segments, 1u);
  EXPECT_EQ(k.log->metrics().checkpoints, made + 2);
}

// Promise 1: what was never stored is not said to be committed.
TEST(LogFaults, AnAppendToAPartitionThatBecameFaultyIsNotAcknowledged) {
  Kept k;
  ASSERT_TRUE(k.open().ok());
  ASSERT_TRUE(k.append(100).ok());
  k.pump();
  ASSERT_TRUE(k.log->checkpoint().ok());
  ASSERT_TRUE(k.fs.flip("/log/topics/plain-0/00000000000000000000.log", 80).ok());
  k.outcomes.clear();
  ASSERT_TRUE(k.append(kLarge).ok() && k.append(10).ok() && k.append(10, kOther).ok());
  EXPECT_EQ(k.log->read_batches(kPlain, Offset(0), 1000).code(), Code::kCorrupt);
  k.pump();
  EXPECT_EQ(k.outcomes,
            (std::vector{AppendOutcome::kUnknown, AppendOutcome::kUnknown, AppendOutcome::kCommitted}));
  EXPECT_EQ(k.append(10).code(), Code::kCorrupt);
  k.fs.fail_at(k.fs.operations() + 1, store::Fault::kCrash);
  k.log.reset();
  k.fs.crash(Survival::kNothing);
  ASSERT_TRUE(k.fs.flip("/log/topics/plain-0/00000000000000000000.log", 80).ok());  // repaired
  ASSERT_TRUE(k.open().ok());
  EXPECT_TRUE(k.log->recovery().faulty.empty()) << "the journal names no bytes that do not exist";
  EXPECT_EQ(k.log->ends(kPlain)->end, Offset(1));
  EXPECT_EQ(k.log->ends(kOther)->end, Offset(1));
}

// Invariant 3
TEST(LogFaults, TurnsOfARegionWithAFaultyPartitionAppearInNoneOfItsPartitions) {
  Kept k;
  ASSERT_TRUE(k.open().ok());
  ASSERT_TRUE(k.log
                  ->create_partitions({{kRegion.messages, "g.messages", {}},
                                       {kRegion.changes, "g.changes", {}},
                                       {kRegion.dead, "g.dead", {}}})
                  .ok());
  auto region = std::move(k.log->region_log(kRegion)).value();
  ASSERT_TRUE(region->open(Epoch(1)).ok());
  const auto append = [&](bool both, std::size_t bytes) {
    BatchBuilder messages;
    BatchBuilder changes;
    messages.add(k.clock.now(), "k", std::string(bytes, 'm'));
    changes.add(k.clock.now(), "k", std::string(bytes, 'c'));
    return region->append(Epoch(1), {&messages, both ? &changes : nullptr, nullptr},
                          [&](AppendOutcome outcome) { k.outcomes.push_back(outcome); });
  };
  ASSERT_TRUE(append(true, 100).ok());
  k.pump();
  ASSERT_TRUE(k.log->checkpoint().ok());
  ASSERT_TRUE(k.fs.flip("/log/topics/g.changes-0/00000000000000000000.log", 80).ok());
  k.outcomes.clear();
  ASSERT_TRUE(append(true, kLarge).ok() && append(false, 10).ok());
  const auto read = region->read(Stream::kChanges, Offset(0), {}, [](const RecordView&) {});
  EXPECT_EQ(read.code(), Code::kCorrupt);
  k.pump();
  EXPECT_EQ(k.outcomes, (std::vector{AppendOutcome::kUnknown, AppendOutcome::kUnknown}));
  EXPECT_EQ(region->committed_end(Stream::kMessages), Offset(1)) << "nor anything that came after it";
}

}  // namespace
}  // namespace afdg::log
