#include "log/verify.h"

#include <gtest/gtest.h>

#include <memory>

#include "log/batch.h"
#include "log/log.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log {
namespace {

using store::FaultFileSystem;

constexpr TopicPartition kPlain{TopicId(7), PartitionIndex(0)};
const std::string kDirectory = "/log/topics/plain-0/";
const std::string kStem = kDirectory + "00000000000000000000";

/// A directory that holds 30 batches in several segments, after an orderly stop or a kill.
std::unique_ptr<FaultFileSystem> make(bool orderly) {
  auto fs = std::make_unique<FaultFileSystem>();
  ManualClock clock;
  LogOptions options;
  options.directory = "/log";
  options.journal_bytes = options.journal_initial_bytes = 256u << 10;
  options.reserve_bytes = 4096;
  options.threads = LogThreads::kNone;
  options.fatal = [](const Error&) {};
  auto log = std::move(Log::open(*fs, clock, options)).value();
  TopicOptions topic;
  topic.segment_bytes = 9000;
  EXPECT_TRUE(log->create_partition(kPlain, "plain", topic).ok());
  for (int i = 0; i < 30; ++i) {
    BatchBuilder builder;
    for (int r = 0; r < 3; ++r) builder.add(clock.now(), "k", std::string(300, 'v'));
    EXPECT_TRUE(log->append(kPlain, builder.seal(Offset(0), Epoch(i / 10)), Epoch(i / 10), nullptr).ok());
    log->lead();
    if (i == 14) {
      EXPECT_TRUE(log->checkpoint().ok());
    }
  }
  if (orderly) {
    EXPECT_TRUE(log->close().ok());
  } else {
    fs->fail_at(fs->operations() + 1, store::Fault::kCrash);
  }
  log.reset();
  fs->restart();
  return fs;
}

std::vector<Finding> findings(FaultFileSystem& fs) {
  const std::uint64_t before = fs.operations();
  auto report = verify_log(fs, "/log");
  EXPECT_TRUE(report.ok()) << report.status().to_string();
  EXPECT_EQ(fs.operations(), before) << "it changed something";
  return report.ok() ? report->findings : std::vector<Finding>();
}

TEST(Verify, AnOrderlyStopIsWholeAndCounted) {
  auto fs = make(true);
  const auto report = verify_log(*fs, "/log");
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->findings.empty()) << report->findings.front().sentence;
  EXPECT_TRUE(report->clean);
  EXPECT_EQ(report->batches, 30u);
  EXPECT_EQ(report->records, 90u);
  EXPECT_EQ(report->partitions, 1u);
  EXPECT_GT(report->segments, 2u);
}

TEST(Verify, AKillIsSoundAndTheJournalHoldsTheRest) {
  auto fs = make(false);
  const auto report = verify_log(*fs, "/log");
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->sound());
  EXPECT_FALSE(report->clean);
  EXPECT_EQ(report->batches + report->journal_batches, 30u);
  EXPECT_EQ(report->journal_commits, 15u);
}

TEST(Verify, EachKindOfDamageIsFoundAndNamed) {
  struct Case {
    std::string file;
    std::uint64_t at;  // of the byte to flip; ~0: remove the file
    FindingKind kind;
    bool orderly;
  };
  constexpr std::uint64_t kRemove = ~std::uint64_t{0};
  const std::vector<Case> cases{
      {"/log/recovery-point", 20, FindingKind::kDamaged, true},
      {"/log/recovery-point", kRemove, FindingKind::kMissing, true},
      {"/log/partitions", 20, FindingKind::kDamaged, true},
      {"/log/partitions", kRemove, FindingKind::kMissing, true},
      {"/log/journal", 3, FindingKind::kDamaged, true},
      {"/log/journal", kRemove, FindingKind::kMissing, true},
      {"/log/journal", 4096 * 17 + 100, FindingKind::kDamaged, false},
      {kStem + ".log", 0, FindingKind::kDamaged, true},
      {kStem + ".log", 70, FindingKind::kDamaged, true},
      {kStem + ".log", 8000, FindingKind::kDamaged, true},
      {kStem + ".log", kRemove, FindingKind::kMissing, true},
      {kStem + ".index", 5, FindingKind::kDerived, true},
      {kStem + ".index", kRemove, FindingKind::kDerived, true},
      {kDirectory + "partition.metadata", 2, FindingKind::kDamaged, true},
      {kDirectory + "partition.metadata", kRemove, FindingKind::kMissing, true},
      {kDirectory + "leader-epoch-checkpoint", kRemove, FindingKind::kDerived, true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.file + " at " + std::to_string(static_cast<std::int64_t>(c.at)));
    auto fs = make(c.orderly);
    if (c.at == kRemove) {
      ASSERT_TRUE(fs->remove(c.file).ok());
    } else {
      ASSERT_TRUE(fs->flip(c.file, c.at).ok());
    }
    const auto found = findings(*fs);
    ASSERT_FALSE(found.empty());
    bool named = false;
    for (const Finding& f : found) {
      named = named || (f.kind == c.kind && (f.file == c.file || c.file.starts_with(f.file)));
      EXPECT_FALSE(f.sentence.empty());
    }
    EXPECT_TRUE(named) << found.front().file << ": " << finding_kind_name(found.front().kind) << ": "
                       << found.front().sentence;
  }
}

TEST(Verify, EveryFlippedByteOfASegmentIsFound) {
  auto whole = make(true);
  const std::uint64_t size = whole->read_file(kStem + ".log").value().size();
  for (std::uint64_t at = 0; at < size; at += 61) {
    auto fs = whole->clone();
    ASSERT_TRUE(fs->flip(kStem + ".log", at).ok());
    // The leader epoch is the one field that no CRC covers (Kafka's format); the lineage tells.
    EXPECT_FALSE(findings(*fs).empty()) << "byte " << at;
  }
}

// The field that no CRC covers, lowered in each batch that follows one of its own epoch.
TEST(Verify, ALeaderEpochThatGoesBackIsDamageAtItsBatch) {
  constexpr std::uint64_t kEpochLowByte = 15;
  auto whole = make(true);
  std::size_t tried = 0;
  Epoch before(-1);
  for (const std::string& name : whole->list(kDirectory).value()) {
    if (!name.ends_with(".log")) continue;
    const std::string bytes = whole->read_file(kDirectory + name).value();
    std::size_t at = 0;
    while (at < bytes.size()) {
      const BatchView batch = BatchView::parse(std::string_view(bytes).substr(at)).value();
      const Epoch epoch = batch.leader_epoch();
      if (epoch > Epoch(0) && epoch == before) {
        auto fs = whole->clone();
        ASSERT_TRUE(
            fs->flip(kDirectory + name, at + kEpochLowByte, static_cast<std::uint8_t>(epoch.value())).ok());
        const auto found = findings(*fs);
        ASSERT_FALSE(found.empty()) << name << " at " << at;
        EXPECT_EQ(found.front().file, kDirectory + name);
        EXPECT_EQ(found.front().position, at);
        EXPECT_EQ(found.front().kind, FindingKind::kDamaged);
        EXPECT_NE(found.front().sentence.find("leader epoch 0 follows leader epoch " +
                                              std::to_string(epoch.value())),
                  std::string::npos)
            << found.front().sentence;
        ++tried;
      }
      before = epoch;
      at += batch.size();
    }
  }
  EXPECT_EQ(tried, 18u);  // of 20 batches with epoch 1 or 2 each epoch's first does not go back
}

TEST(Verify, AShortenedSegmentIsFound) {
  auto fs = make(true);
  {
    auto file = fs->open(kStem + ".log", store::OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->truncate(2000).ok());
  }
  const auto found = findings(*fs);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front().kind, FindingKind::kDamaged) << found.front().sentence;
}

TEST(Verify, AMissingDirectoryIsAnError) {
  FaultFileSystem fs;
  EXPECT_EQ(verify_log(fs, "/nothing").code(), Code::kNotFound);
}

}  // namespace
}  // namespace afdg::log
