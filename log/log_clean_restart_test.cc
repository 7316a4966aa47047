#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/codec.h"
#include "log/batch.h"
#include "log/journal_point.h"
#include "log/log.h"
#include "log/segment.h"
#include "log/testing/compacted_log.h"
#include "log/verify.h"

// What is left of compaction when a node stops, in order or not: the records, and how far it came. A position
// that is too low costs work; one that is too high leaves records that nobody ever compacts.
namespace afdg::log {
namespace {

using store::FaultFileSystem;
using store::Survival;
using testing::Cleaned;
using testing::first_seed;
using testing::Fold;
using testing::kA;
using testing::read_all;

const std::string kPoint = "/log/recovery-point";
const std::string kTopics = "/log/topics/";

RecoveryPoint stored_point(FaultFileSystem& fs) {
  return decode_recovery_point(fs.read_file(kPoint).value()).value();
}

/// Where the active segment begins.
Offset sealed_end(FaultFileSystem& fs, const std::string& directory) {
  Offset end{0};
  const auto names = fs.list(directory).value();
  for (const std::string& name : names)
    if (const auto base = segment_base(name)) end = std::max(end, *base);
  return end;
}

/// A key that sealed segments hold twice although nothing is left to compact; empty: none.
std::string held_twice(Log& log, FaultFileSystem& fs, const std::string& directory = kTopics + "seven-0") {
  const auto seen = read_all(log);
  if (!seen.ok()) return "reading: " + seen.error().text();
  std::map<std::string, std::int64_t> first;
  for (const auto& [offset, key] : seen->keys) {
    if (offset >= sealed_end(fs, directory).value()) break;
    const auto [other, fresh] = first.emplace(key, offset);
    if (!fresh)
      return key + " at offsets " + std::to_string(other->second) + " and " + std::to_string(offset);
  }
  return {};
}

bool clean_all(Log& log) {
  bool any = false;
  while (log.clean()) any = true;
  return any;
}

struct Restarted : Cleaned {
  explicit Restarted(std::uint64_t seed, PlantedBugs planted = {}) : Cleaned(seed, planted) {
    // So that checkpoints are made only where a test asks for them.
    options.journal_bytes = options.journal_initial_bytes = 1u << 20;
    options.large_append_bytes = 16u << 10;
    topic.min_cleanable_dirty_ratio = 0;
  }
  /// Committed, with no checkpoint behind it.
  Status append_without_point(int batches) {
    for (int i = 0; i < batches; ++i) {
      AFDG_TRY(log->append(kA, batch(), Epoch(1), nullptr).status());
      log->pump();
    }
    return {};
  }
  /// Goes straight to its segment.
  Status append_large() {
    BatchBuilder builder;
    builder.add(clock.now(), "key-1", std::string(17u << 10, 'x'));
    model["key-1"] = std::string(17u << 10, 'x');
    AFDG_TRY(log->append(kA, builder.seal(Offset(0), Epoch(1)), Epoch(1), nullptr).status());
    log->pump();
    return {};
  }
  bool clean() { return clean_all(*log); }
  /// Bytes that cleaning reads until nothing is left to clean.
  std::uint64_t cleaning_reads() {
    const std::uint64_t before = log->metrics().cleaner_bytes_read;
    clean();
    return log->metrics().cleaner_bytes_read - before;
  }
  Status stop() {
    AFDG_TRY(log->close());
    log.reset();
    return {};
  }
  void kill(Survival survival) {
    fs.fail_at(fs.operations() + 1, store::Fault::kCrash);
    log.reset();
    fs.crash(survival, 5);
  }
  /// That of the partition in the recovery point, 0 when it is not there.
  [[nodiscard]] Offset stored_position() {
    const auto partitions = stored_point(fs).partitions;
    return partitions.empty() ? Offset(0) : partitions.front().cleaned;
  }
};

/// Whether all that can be is compacted, and nothing was lost of `c.model`.
void expect_compact(Restarted& c) {
  c.clean();
  EXPECT_EQ(held_twice(*c.log, c.fs), "");
  EXPECT_EQ(read_all(*c.log)->fold, c.model);
}

TEST(LogCleanRestart, AKillAfterACleaningFindsWhereTheJournalGoesOn) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 20; ++seed) {
    SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed));
    Restarted c(seed);
    ASSERT_TRUE(c.open().ok() && c.append(40).ok() && c.append_without_point(60).ok());
    ASSERT_TRUE(c.clean());
    c.kill(seed % 2 == 0 ? Survival::kNothing : Survival::kEverything);
    ASSERT_TRUE(c.open().ok());
    ASSERT_TRUE(c.log->describe(kA)->fault.ok()) << c.log->describe(kA)->fault.to_string();
    ASSERT_EQ(read_all(*c.log)->fold, c.model);
  }
}

TEST(LogCleanRestart, WhatIsCleanIsNotCleanedAgain) {
  for (const bool orderly : {true, false}) {
    SCOPED_TRACE(orderly ? "an orderly stop" : "a kill");
    Restarted c(3);
    ASSERT_TRUE(c.open().ok() && c.append(120).ok() && c.clean());
    if (orderly) {
      ASSERT_TRUE(c.stop().ok());
      c.fs.restart();
    } else {
      ASSERT_TRUE(c.log->checkpoint().ok());
      c.kill(Survival::kNothing);
    }
    ASSERT_TRUE(c.open().ok());
    const std::uint64_t operations = c.fs.operations();
    EXPECT_FALSE(c.log->clean());
    EXPECT_EQ(c.log->metrics().cleaner_bytes_read, 0u);
    EXPECT_EQ(c.fs.operations(), operations) << "something was written";
    ASSERT_TRUE(c.append(40).ok());
    expect_compact(c);
  }
}

TEST(LogCleanRestart, WhatIsDirtyIsCleanedFromWhereTheLastOneEnded) {
  Restarted went_on(4);
  Restarted restarted(4);
  for (Restarted* c : {&went_on, &restarted})
    ASSERT_TRUE(c->open().ok() && c->append(120).ok() && c->clean() && c->log->checkpoint().ok());
  restarted.kill(Survival::kNothing);
  ASSERT_TRUE(restarted.open().ok());
  ASSERT_TRUE(went_on.append(60).ok() && restarted.append(60).ok());
  const std::uint64_t read = went_on.cleaning_reads();
  EXPECT_GT(read, 0u);
  EXPECT_EQ(restarted.cleaning_reads(), read);
  expect_compact(restarted);
}

TEST(LogCleanRestart, APositionThatNoCheckpointKeptCostsOnlyWork) {
  Restarted c(5);
  ASSERT_TRUE(c.open().ok() && c.append(60).ok() && c.clean() && c.append(60).ok());
  const Offset kept = c.stored_position();
  EXPECT_GT(kept, Offset(0));
  ASSERT_TRUE(c.clean());
  c.kill(Survival::kNothing);
  EXPECT_EQ(c.stored_position(), kept);
  ASSERT_TRUE(c.open().ok());
  EXPECT_TRUE(c.log->clean());
  expect_compact(c);
}

TEST(LogCleanRestart, ATruncationBelowIsNotForgotten) {
  for (const bool point : {true, false}) {    // that the truncation is below, or still in the journal
    for (const bool large : {true, false}) {  // what makes a start trust segments above it again
      SCOPED_TRACE(std::string(point ? "point " : "") + (large ? "large" : ""));
      Restarted c(6);
      ASSERT_TRUE(c.open().ok() && c.append(60).ok() && c.clean() && c.log->checkpoint().ok());
      const Offset position = c.stored_position();
      ASSERT_TRUE(c.log->truncate(kA, Offset(10)).ok());
      c.model = read_all(*c.log)->fold;
      // Whoever holds this for compacted finds nothing above the position that replaces it.
      for (int i = 0; i < 20; ++i) {
        BatchBuilder builder;
        c.model["below"] = std::string(200, 'b');
        builder.add(c.clock.now(), "below", c.model["below"]);
        ASSERT_TRUE(c.log->append(kA, builder.seal(Offset(0), Epoch(1)), Epoch(1), nullptr).ok());
        c.log->pump();
      }
      ASSERT_TRUE(c.append_without_point(80).ok());
      ASSERT_GT(c.log->ends(kA)->end, position);
      if (large) {
        ASSERT_TRUE(c.append_large().ok());
      }
      if (point) {
        ASSERT_TRUE(c.log->checkpoint().ok());
        EXPECT_LE(c.stored_position(), Offset(10));
      } else {
        EXPECT_EQ(c.stored_position(), position);
      }
      c.kill(Survival::kEverything);
      ASSERT_TRUE(c.open().ok());
      expect_compact(c);
    }
  }
}

TEST(LogCleanRestart, ATopicThatWasMadeAnewBeginsAnew) {
  Restarted c(7);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok() && c.clean() && c.stop().ok() && c.open().ok());
  ASSERT_TRUE(c.log->delete_topic(kA.topic).ok());
  constexpr TopicPartition kAnew{TopicId(8), PartitionIndex(0)};
  ASSERT_TRUE(c.log->create_partition(kAnew, "seven", c.topic).ok());
  for (int i = 0; i < 120; ++i) ASSERT_TRUE(c.log->append(kAnew, c.batch(), Epoch(1), nullptr).ok());
  while (c.log->pump()) {
  }
  c.kill(Survival::kEverything);
  c.log = std::move(Log::open(c.fs, c.clock, c.options)).value();
  const std::uint64_t before = c.log->describe(kAnew)->bytes;
  EXPECT_TRUE(clean_all(*c.log));
  EXPECT_LT(c.log->describe(kAnew)->bytes, before);
  ASSERT_TRUE(c.log->checkpoint().ok());
  EXPECT_EQ(stored_point(c.fs).partitions.size(), 1u);
}

TEST(LogCleanRestart, AStartAboveThePositionChangesNothing) {
  Restarted c(8);
  ASSERT_TRUE(c.open().ok() && c.append(60).ok() && c.clean() && c.append(60).ok());
  const Offset start = c.log->ends(kA)->end;
  ASSERT_GT(start, c.stored_position());
  ASSERT_TRUE(c.log->advance_start(kA, start).ok());
  c.model.clear();
  ASSERT_TRUE(c.append(60).ok());
  EXPECT_LT(c.stored_position(), start);
  c.kill(Survival::kNothing);
  ASSERT_TRUE(c.open().ok());
  c.clean();
  // The segment that holds the start has records below it.
  EXPECT_EQ(held_twice(*c.log, c.fs), "");
}

TEST(LogCleanRestart, ATimeWithoutCompactionChangesNothing) {
  Restarted c(9);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok() && c.clean());
  c.topic.cleanup_compact = false;
  ASSERT_TRUE(c.stop().ok() && c.open().ok() && c.append(120).ok());
  EXPECT_FALSE(c.log->clean());
  c.topic.cleanup_compact = true;
  ASSERT_TRUE(c.stop().ok() && c.open().ok());
  EXPECT_TRUE(c.log->clean());
  expect_compact(c);
}

TEST(LogCleanRestart, ACopyFromBeforeIsCleanedFromItsStart) {
  Restarted c(10);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok() && c.stop().ok());
  std::map<std::string, std::string> copy;
  const std::string directory = kTopics + "seven-0/";
  const auto names = c.fs.list(directory).value();
  for (const std::string& name : names) copy[name] = c.fs.read_file(directory + name).value();
  ASSERT_TRUE(c.open().ok() && c.clean() && c.stop().ok());
  ASSERT_GT(c.stored_position(), Offset(0));

  ASSERT_TRUE(c.fs.remove_all(directory).ok() && c.fs.create_directories(directory).ok());
  for (const auto& [name, bytes] : copy) ASSERT_TRUE(c.fs.replace_file(directory + name, bytes).ok());
  const auto verified = verify_log(c.fs, "/log");
  ASSERT_TRUE(verified.ok());
  ASSERT_EQ(verified->findings.size(), 1u);
  EXPECT_EQ(verified->findings[0].kind, FindingKind::kDerived);
  ASSERT_TRUE(c.open().ok());
  ASSERT_EQ(c.log->recovery().warnings.size(), 1u);
  EXPECT_NE(c.log->recovery().warnings[0].find("copy from before"), std::string::npos);
  EXPECT_TRUE(c.log->clean());
  expect_compact(c);
}

TEST(LogCleanRestart, AFaultyPartitionHasNoPosition) {
  Restarted c(11);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok() && c.clean() && c.log->checkpoint().ok());
  ASSERT_GT(c.stored_position(), Offset(0));
  ASSERT_TRUE(c.fs.flip(kTopics + "seven-0/00000000000000000000.log", 17).ok());
  ASSERT_EQ(read_all(*c.log).code(), Code::kCorrupt);
  ASSERT_TRUE(c.log->checkpoint().ok());
  EXPECT_EQ(c.stored_position(), Offset(0));
}

TEST(LogCleanRestart, ARecoveryPointOfVersion1TellsNothing) {
  Restarted c(12);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok() && c.clean() && c.stop().ok());
  std::string bytes = c.fs.read_file(kPoint).value();
  bytes.resize(bytes.size() - 16);  // of the only partition
  store_be16(bytes.data() + 12, 1);
  store_be32(bytes.data() + 8, crc32c(std::string_view(bytes).substr(12)));
  ASSERT_TRUE(c.fs.replace_file(kPoint, bytes).ok());
  const auto verified = verify_log(c.fs, "/log");
  EXPECT_TRUE(verified.ok() && verified->findings.empty());
  ASSERT_TRUE(c.open().ok());
  EXPECT_TRUE(c.log->clean());
  expect_compact(c);
}

TEST(LogCleanRestart, ThePositionIsOnTheDiskSoonAfterACleaning) {
  Restarted c(13);
  c.options.threads = LogThreads::kBackground;
  c.options.cleaner_interval = std::chrono::milliseconds(1);
  ASSERT_TRUE(c.open().ok());
  for (int i = 0; i < 120; ++i) ASSERT_TRUE(c.log->append(kA, c.batch(), Epoch(1), nullptr).ok());
  ASSERT_TRUE(c.log->drain().ok());
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (c.stored_position() == Offset(0) && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_GT(c.stored_position(), Offset(0));
}

/// What is wrong with what a crash left; empty: nothing.
std::string broken_start(FaultFileSystem& fs, const LogOptions& options, Timestamp now) {
  const auto verified = verify_log(fs, "/log");
  if (!verified.ok()) return "verify: " + verified.error().text();
  if (!verified->sound())
    return "verify: " + verified->findings[0].file + ": " + verified->findings[0].sentence;
  for (int start = 0; start < 2; ++start) {  // the second one finds what the first one left
    ManualClock clock;
    clock.advance(now - clock.now());
    auto log = Log::open(fs, clock, options);
    if (!log.ok()) return "the start: " + log.error().text();
    const auto before = read_all(**log);
    if (!before.ok()) return "reading: " + before.error().text();
    clean_all(**log);
    std::string twice = held_twice(**log, fs);
    if (!twice.empty()) return twice;
    if (read_all(**log)->fold != before->fold) return "other values after a cleaning";
    log->reset();
    fs.restart();
  }
  return {};
}

/// Crashes before every operation of cleanings, checkpoints and a truncation; what is wrong after the
/// restart.
std::optional<std::string> crash_everywhere(std::uint64_t seed, PlantedBugs planted = {}) {
  Restarted c(seed, planted);
  c.options.journal_bytes = c.options.journal_initial_bytes = 256u << 10;
  if (!c.open().ok() || !c.append(30).ok()) return "it cannot be filled";
  std::optional<std::string> wrong;
  std::uint64_t boundaries = 0;
  c.fs.observe([&](std::uint64_t number, store::Operation, const std::string& path) {
    ++boundaries;
    for (const Survival survival : {Survival::kNothing, Survival::kEverything, Survival::kAnySubset}) {
      if (wrong) return;
      auto copy = c.fs.clone();
      copy->crash(survival, seed * 131 + number);
      const std::string broken = broken_start(*copy, c.options, c.clock.now());
      if (broken.empty()) continue;
      wrong = "seed " + std::to_string(seed) + ", operation " + std::to_string(number) + " on " + path +
              ": " + broken;
    }
  });
  const auto trace = [&]() -> Status {
    AFDG_TRY(c.append_without_point(30));
    c.clean();
    AFDG_TRY(c.log->checkpoint());
    AFDG_TRY(c.log->truncate(kA, Offset(20)).status());
    AFDG_TRY(c.append_without_point(40));
    AFDG_TRY(c.append_large());
    AFDG_TRY(c.append(10));
    c.clean();
    return c.stop();
  };
  const Status done = trace();
  c.fs.observe(nullptr);
  if (!done.ok()) return done.to_string();
  if (!wrong && boundaries < 100) return "only " + std::to_string(boundaries) + " operations";
  return wrong;
}

TEST(LogCleanRestart, ACrashAnywhereLeavesNothingThatIsNeverCompacted) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 2; ++seed) {
    const auto wrong = crash_everywhere(seed);
    EXPECT_FALSE(wrong.has_value()) << *wrong;
  }
}

TEST(LogCleanRestart, APositionThatOutlivesATruncationIsCaught) {
  EXPECT_TRUE(crash_everywhere(1, {.cleaned_outlives_cut = true}).has_value());
}

/// Random appends, truncations, cleanings, checkpoints, stops and kills.
struct Traced : Restarted {
  using Restarted::Restarted;
  Status cut() {
    AFDG_ASSIGN(const PartitionEnds ends, log->ends(kA));
    const auto to =
        static_cast<std::int64_t>(random.next() % static_cast<std::uint64_t>(ends.end.value() + 1));
    AFDG_TRY(log->truncate(kA, Offset(to)).status());
    AFDG_ASSIGN(const auto seen, read_all(*log));
    model = seen.fold;  // what the cut records replaced may be gone
    return {};
  }
  Status step() {
    switch (random.next() % 12) {
      case 0:
        return log->checkpoint();
      case 1:
      case 2:
        clean();
        return {};
      case 3:
        return cut();
      case 4:
        AFDG_TRY(stop());
        return open();
      case 5:
        kill(random.next() % 2 == 0 ? Survival::kNothing : Survival::kAnySubset);
        return open();
      case 6:
        clock.advance(std::chrono::milliseconds(700));
        return {};
      case 7:
        return append_large();
      default:
        return append_without_point(static_cast<int>(random.next() % 30));
    }
  }
};

TEST(LogCleanRestart, RandomLivesLoseNothingAndLeaveNothingUncompacted) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 60; ++seed) {
    SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed));
    Traced c(seed);
    ASSERT_TRUE(c.open().ok());
    for (int i = 0; i < 80; ++i) {
      const Status done = c.step();
      ASSERT_TRUE(done.ok()) << done.to_string();
      const auto seen = read_all(*c.log);
      ASSERT_TRUE(seen.ok()) << seen.status().to_string();
      ASSERT_TRUE(seen->fold == c.model) << "step " << i;
    }
    c.clean();
    ASSERT_EQ(held_twice(*c.log, c.fs), "");
    ASSERT_TRUE(c.stop().ok());
    const auto verified = verify_log(c.fs, "/log");
    ASSERT_TRUE(verified.ok() && verified->findings.empty());
  }
}

}  // namespace
}  // namespace afdg::log
