#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "base/codec.h"
#include "log/batch.h"
#include "log/codecs.h"
#include "log/log.h"
#include "log/testing/compacted_log.h"
#include "log/verify.h"
#include "store/testing/fault_file_system.h"

// Compaction through the log, against a map, on a disk that loses what was not synced.
namespace afdg::log {
namespace {

using store::FaultFileSystem;
using store::Survival;
using testing::Cleaned;
using testing::first_seed;
using testing::Fold;
using testing::kA;
using testing::read_all;
using testing::Seen;

void apply(const Seen& from, std::int64_t offset, Fold& fold) {
  const auto& value = from.values.at(offset);
  if (value) {
    fold[from.keys.at(offset)] = *value;
  } else {
    fold.erase(from.keys.at(offset));
  }
}

/// What the marks promise: `all` was written, `left` is there. Empty: they hold.
std::string broken_promise(const Seen& all, const Seen& left, const CompactionMarks& marks) {
  for (const auto& [offset, value] : all.values) {
    if (offset >= marks.history_start.value() && !left.values.contains(offset))
      return "offset " + std::to_string(offset) + " is gone, history starts at " +
             std::to_string(marks.history_start.value());
  }
  Fold read;  // by a reader before the compaction, who goes on after it
  for (const auto& [position, value] : all.values) {
    apply(all, position, read);
    const std::int64_t next = position + 1;
    if (next < marks.tombstone_horizon.value() || (next % 5 != 0 && next != marks.tombstone_horizon.value()))
      continue;
    Fold fold = read;
    for (auto at = left.values.lower_bound(next); at != left.values.end(); ++at) apply(left, at->first, fold);
    if (fold != left.fold)
      return "a reader who goes on from offset " + std::to_string(next) +
             " has another state, the horizon is " + std::to_string(marks.tombstone_horizon.value());
  }
  return {};
}

// Invariant 9
TEST(LogClean, KeepsTheLastOfEachKeyAndWhereEverythingIs) {
  bool gone = false;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 40; ++seed) {
    SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed));
    Cleaned c(seed);
    ASSERT_TRUE(c.open().ok());
    std::uint64_t before = 0;
    Seen written;
    for (int round = 0; round < 6; ++round) {
      ASSERT_TRUE(c.append(40).ok());
      const Seen all = read_all(*c.log).value();
      ASSERT_EQ(all.fold, c.model);
      before = c.log->describe(kA)->bytes;
      while (c.log->clean()) {
      }
      const auto left = read_all(*c.log);
      ASSERT_TRUE(left.ok()) << left.status().to_string();
      ASSERT_EQ(left->fold, c.model);
      ASSERT_EQ(left->end, all.end);
      ASSERT_LT(c.log->describe(kA)->bytes, before);
      written.values.insert(all.values.begin(), all.values.end());
      written.keys.insert(all.keys.begin(), all.keys.end());
      ASSERT_EQ(broken_promise(written, *left, c.log->describe(kA)->compaction), "");
      gone = gone || c.log->describe(kA)->compaction.tombstone_horizon > Offset(0);
      // What is left has its offset and its value.
      for (const auto& [offset, value] : left->values) ASSERT_EQ(all.values.at(offset), value) << offset;
      if (round == 3) {
        c.fs.restart();
        ASSERT_TRUE(c.open().ok());
      }
      c.clock.advance(std::chrono::milliseconds(400));
    }
    // Everything but the active segment holds each key at most once, and no key that is gone once its
    // tombstone's time is over.
    c.clock.advance(std::chrono::seconds(10));
    ASSERT_TRUE(c.append(60).ok());
    while (c.log->clean()) {
    }
    ASSERT_EQ(read_all(*c.log)->fold, c.model);
    ASSERT_TRUE(c.log->close().ok());
    c.log.reset();
    const auto verified = verify_log(c.fs, "/log");
    ASSERT_TRUE(verified.ok() && verified->sound())
        << (verified.ok() && !verified->findings.empty()
                ? verified->findings[0].file + ": " + verified->findings[0].sentence
                : "");
  }
  EXPECT_TRUE(gone) << "no tombstone ever went, so nothing was seen of the horizon";
}

/// Crashes before every operation of a cleaning; what is wrong after the restart.
std::optional<std::string> crash_everywhere(std::uint64_t seed, PlantedBugs planted = {}) {
  Cleaned c(seed, planted);
  const auto add = [&](std::optional<std::string_view> value) {
    BatchBuilder builder;
    builder.add(c.clock.now(), "deleted", value);
    return c.log->append(kA, builder.seal(Offset(0), Epoch(1)), Epoch(1), nullptr).ok();
  };
  if (!c.open().ok() || !add("v") || !c.append(10).ok() || !add(std::nullopt) || !c.append(50).ok())
    return "it cannot be filled";
  Seen all = read_all(*c.log).value();
  while (c.log->clean()) {
  }
  c.clock.advance(std::chrono::seconds(10));  // the tombstones' time is over
  c.keys = 5;                                 // and some are still the last of their keys
  if (!c.append(60).ok()) return "it cannot be filled";
  const Seen before = read_all(*c.log).value();
  all.values.insert(before.values.begin(), before.values.end());
  all.keys.insert(before.keys.begin(), before.keys.end());
  const Timestamp now = c.clock.now();
  const Fold expected = c.model;
  const Offset end = c.log->ends(kA)->end;
  std::optional<std::string> wrong;
  std::size_t boundaries = 0;
  c.fs.observe([&](std::uint64_t number, store::Operation, const std::string& path) {
    if (wrong) return;
    ++boundaries;
    const auto say = [&](const std::string& what) {
      wrong = "seed " + std::to_string(seed) + ", operation " + std::to_string(number) + " on " + path +
              ": " + what;
    };
    for (int way = 0; way < 5 && !wrong; ++way) {
      auto copy = c.fs.clone();
      const Survival survival = way == 0   ? Survival::kNothing
                                : way == 1 ? Survival::kEverything
                                           : Survival::kAnySubset;
      copy->crash(survival, seed * 131 + number * 7 + static_cast<std::uint64_t>(way));
      const auto verified = verify_log(*copy, "/log");
      if (!verified.ok() || !verified->sound()) {
        say("verify: " + (verified.ok() ? verified->findings[0].file + ": " + verified->findings[0].sentence
                                        : verified.error().text()));
        return;
      }
      // Twice: the second start finds what the first one made of it.
      for (int start = 0; start < 2 && !wrong; ++start) {
        ManualClock clock;
        clock.advance(now - clock.now());
        auto log = Log::open(*copy, clock, c.options);
        if (!log.ok()) return say("the start: " + log.error().text());
        const auto seen = read_all(**log);
        if (!seen.ok()) return say("reading: " + seen.error().text());
        if (seen->end != end) return say("it ends at offset " + std::to_string(seen->end.value()));
        if (seen->fold != expected) return say("other values");
        const std::string broken = broken_promise(all, *seen, (*log)->describe(kA)->compaction);
        if (!broken.empty()) return say(broken);
        if (start == 0) {
          while ((*log)->clean()) {
          }
          const auto again = read_all(**log);
          if (!again.ok() || again->fold != expected) return say("other values after another cleaning");
        }
        log->reset();
        copy->restart();
      }
    }
  });
  while (c.log->clean()) {
  }
  c.fs.observe(nullptr);
  if (!wrong && boundaries < 20) return "only " + std::to_string(boundaries) + " operations";
  return wrong;
}

TEST(LogClean, ACrashAnywhereLeavesTheOldSegmentsOrTheNew) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 2; ++seed) {
    const auto wrong = crash_everywhere(seed);
    EXPECT_FALSE(wrong.has_value()) << *wrong;
  }
}

TEST(LogClean, AMissingSyncIsCaught) {
  bool caught = false;
  for (std::uint64_t seed = 1; seed < 10 && !caught; ++seed)
    caught = crash_everywhere(seed, {.skip_cleaner_sync = true}).has_value();
  EXPECT_TRUE(caught);
}

TEST(LogClean, MarksThatComeAfterTheSwapAreCaught) {
  const auto wrong = crash_everywhere(1, {.marks_after_swap = true});
  ASSERT_TRUE(wrong.has_value());
}

TEST(LogClean, DamagedMarksSayThatEverythingWasCompacted) {
  Cleaned c(11);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok());
  while (c.log->clean()) {
  }
  const CompactionMarks marks = c.log->describe(kA)->compaction;
  ASSERT_GT(marks.history_start, Offset(0));
  const Offset end = c.log->ends(kA)->end;
  ASSERT_TRUE(c.log->close().ok());
  c.log.reset();
  const std::string path = "/log/topics/seven-0/compaction-marks";
  std::string bytes = c.fs.read_file(path).value();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  ASSERT_TRUE(c.fs.replace_file(path, bytes).ok());
  const auto verified = verify_log(c.fs, "/log");
  ASSERT_TRUE(verified.ok());
  ASSERT_EQ(verified->findings.size(), 1U);
  EXPECT_EQ(verified->findings[0].kind, FindingKind::kDerived);
  ASSERT_TRUE(c.open().ok());
  EXPECT_EQ(c.log->describe(kA)->compaction, (CompactionMarks{end, end}));
}

constexpr RegionStreams kRegion{
    {TopicId(1), PartitionIndex(0)}, {TopicId(2), PartitionIndex(0)}, {TopicId(3), PartitionIndex(0)}};

/// A region's log of small segments; the test says what its store holds.
struct RegionCleaned : Cleaned {
  explicit RegionCleaned(std::uint64_t seed) : Cleaned(seed) {
    topic.segment_bytes = 1000;
    topic.delete_retention = std::chrono::milliseconds(0);
  }
  Status start(std::int32_t as) {
    epoch = Epoch(as);
    region.reset();
    if (!log) {
      AFDG_ASSIGN(log, Log::open(fs, clock, options));
    }
    TopicOptions kept = topic;
    kept.cleanup_compact = false;
    AFDG_TRY(log->create_partitions({{kRegion.messages, "g.messages", kept},
                                     {kRegion.changes, "g.changes", topic},
                                     {kRegion.dead, "g.dead", kept}}));
    AFDG_ASSIGN(region, log->region_log(kRegion));
    return open_in_steps();
  }
  /// open() waits for a commit, which this thread makes.
  Status open_in_steps() {
    Status opened;
    std::atomic<bool> done{false};
    std::thread waiter([&] {
      opened = region->open(epoch);
      done = true;
    });
    while (!done) log->pump();
    waiter.join();
    return opened;
  }
  Status put(const std::string& key, std::optional<std::string> value) {
    BatchBuilder changes;
    if (value) {
      changes.add(clock.now(), key, *value);
      model[key] = *value;
    } else {
      changes.add(clock.now(), key, std::nullopt);
      model.erase(key);
    }
    AFDG_TRY(region->append(epoch, {nullptr, &changes, nullptr}, nullptr));
    while (log->pump()) {
    }
    return {};
  }
  Status turns(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string key = "key-" + std::to_string(random.next() % 8);
      std::optional<std::string> value;
      if (random.next() % 4 != 0) value = std::string(40, static_cast<char>('a' + random.next() % 26));
      AFDG_TRY(put(key, std::move(value)));
    }
    clock.advance(std::chrono::seconds(1));
    return log->checkpoint();
  }
  bool clean() {
    bool any = false;
    while (log->clean()) any = true;
    return any;
  }
  /// The fold that a reader gets who reads a batch or two at a time.
  Result<Fold> fold(Offset from) {
    Fold out;
    while (from < region->committed_end(Stream::kChanges)) {
      AFDG_ASSIGN(from,
                  region->read(Stream::kChanges, from, {.bytes_max = 300}, [&](const RecordView& record) {
                    if (record.value) {
                      out[std::string(*record.key)] = std::string(*record.value);
                    } else {
                      out.erase(std::string(*record.key));
                    }
                  }));
    }
    return out;
  }
  [[nodiscard]] CompactionMarks marks() const { return log->describe(kRegion.changes)->compaction; }

  Epoch epoch{1};
  std::unique_ptr<MessageLog> region;
};

// Invariant 9
TEST(LogClean, ARegionsChangesAreCleanedUpToWhatItsStoreHolds) {
  RegionCleaned c(3);
  ASSERT_TRUE(c.start(1).ok() && c.put("gone", "v").ok() && c.put("gone", std::nullopt).ok());
  ASSERT_TRUE(c.turns(200).ok());
  EXPECT_FALSE(c.clean()) << "the region has not said what its store holds";
  c.region->set_applied(Offset(0), Offset(120));
  const std::uint64_t before = c.log->describe(kRegion.changes)->bytes;
  EXPECT_TRUE(c.clean());
  EXPECT_LT(c.log->describe(kRegion.changes)->bytes, before);
  EXPECT_GT(c.marks().history_start, Offset(50));
  EXPECT_LE(c.marks().history_start, Offset(120));
  EXPECT_EQ(c.fold(Offset(0)).value(), c.model);

  // Tombstones go when they are cleaned again; whoever stopped below must rebuild, and can, in steps.
  c.region->set_applied(Offset(0), Offset(190));
  EXPECT_TRUE(c.clean());
  const Offset horizon = c.marks().tombstone_horizon;
  ASSERT_GT(horizon, Offset(1));
  EXPECT_EQ(c.region->tombstone_horizon(), horizon);
  EXPECT_EQ(c.fold(Offset(horizon.value() - 1)).code(), Code::kRebuild);
  EXPECT_TRUE(c.fold(horizon).ok());
  EXPECT_EQ(c.fold(Offset(0)).value(), c.model);

  // Both marks outlive the process; whoever takes over says anew what its store holds.
  const CompactionMarks marks = c.marks();
  ASSERT_TRUE(c.turns(100).ok());
  c.region.reset();
  c.log.reset();
  c.fs.crash(Survival::kNothing, 1);
  ASSERT_TRUE(c.start(2).ok());
  EXPECT_EQ(c.marks(), marks);
  EXPECT_EQ(c.region->tombstone_horizon(), horizon);
  EXPECT_FALSE(c.clean()) << "the new writer has not said anything";
  c.region->set_applied(Offset(0), Offset(290));
  EXPECT_TRUE(c.clean());
  EXPECT_EQ(c.fold(Offset(0)).value(), c.model);
}

TEST(LogClean, AFullDiskLeavesEverythingAndIsTriedAgain) {
  Cleaned c(5);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok());
  c.fs.set_capacity(c.fs.bytes());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(c.log->clean());
  EXPECT_EQ(read_all(*c.log)->fold, c.model);
  c.fs.set_capacity(std::nullopt);
  EXPECT_TRUE(c.log->clean());
  EXPECT_EQ(read_all(*c.log)->fold, c.model);
}

TEST(LogClean, DamageThatIsFoundBesideAFlushMakesThePartitionFaulty) {
  Cleaned c(5);
  c.options.cleaner_map_bytes = 1u << 20;
  c.topic.segment_bytes = 4000;
  ASSERT_TRUE(c.open().ok() && c.append(120).ok());
  while (c.log->clean()) {
  }
  // The first segments are small now: their common file is begun before they are read.
  ASSERT_TRUE(c.append(120).ok());
  ASSERT_TRUE(c.log->append(kA, c.batch(), Epoch(1), nullptr).ok());
  ASSERT_TRUE(c.log->lead());
  std::promise<void> begun;
  std::promise<void> flushing;
  std::thread cleaner;
  c.fs.observe([&](std::uint64_t, store::Operation operation, const std::string& path) {
    if (operation == store::Operation::kCreate && path.ends_with("/00000000000000000000.log.cleaned")) {
      EXPECT_TRUE(c.fs.flip("/log/topics/seven-0/00000000000000000000.log", 30).ok());
      begun.set_value();
      flushing.get_future().wait();
    } else if (operation == store::Operation::kWrite && path.ends_with(".log") && cleaner.joinable()) {
      flushing.set_value();
      cleaner.join();
    }
  });
  cleaner = std::thread([&] { EXPECT_FALSE(c.log->clean()); });
  begun.get_future().wait();
  c.log->pump();
  ASSERT_FALSE(cleaner.joinable()) << "the flush came too";
  EXPECT_EQ(c.log->ends(kA).code(), Code::kCorrupt);
  EXPECT_TRUE(c.log->checkpoint().ok());
  c.fs.observe(nullptr);
}

/// The batch packed as tightly as zstd can, which is tighter than the cleaner packs.
std::string tightly_packed(std::string batch) {
  const std::string_view records = std::string_view(batch).substr(batch_layout::kHeaderBytes);
  std::string packed(ZSTD_compressBound(records.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), records.data(), records.size(), 19));
  batch.replace(batch_layout::kHeaderBytes, std::string::npos, packed);
  store_be32(batch.data() + batch_layout::kLength, static_cast<std::uint32_t>(batch.size() - 12));
  store_be16(batch.data() + batch_layout::kAttributes, static_cast<std::uint16_t>(Codec::kZstd));
  store_be32(batch.data() + batch_layout::kCrc,
             crc32c(std::string_view(batch).substr(batch_layout::kAttributes)));
  return batch;
}

TEST(LogClean, ABatchThatCannotBeWrittenAnewIsToldOfOnceAndOtherPartitionsGoOn) {
  Cleaned c(9);
  std::vector<std::string> told;
  c.options.cleaner_map_bytes = 1u << 20;
  c.options.warn = [&](const std::string& what) { told.push_back(what); };
  BatchBuilder builder;
  const std::string words[] = {"departure ", "arrival ",  "delay ",    "airport ",
                               "carrier ",   "distance ", "cancelled "};
  for (int i = 0; i < 3000; ++i) {
    std::string value;
    for (int word = 0; word < 8; ++word) value += words[c.random.next() % std::size(words)];
    builder.add(c.clock.now(), "key-" + std::to_string(i), value);
  }
  const std::string hard = tightly_packed(std::string(builder.seal(Offset(0), Epoch(1))));
  c.options.batch_bytes_max = hard.size();
  constexpr TopicPartition kB{TopicId(8), PartitionIndex(0)};
  ASSERT_TRUE(c.open().ok() && c.log->create_partition(kB, "eight", c.topic).ok());
  ASSERT_TRUE(c.log->append(kA, hard, Epoch(1), nullptr).ok() && c.append(40).ok());
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(c.log->append(kB, c.batch(), Epoch(1), nullptr).ok());
    c.log->pump();
  }
  while (c.log->pump()) {
  }
  ASSERT_TRUE(c.log->checkpoint().ok());
  const Seen before = read_all(*c.log).value();
  const std::uint64_t other = c.log->describe(kB)->bytes;
  int rounds = 0;
  while (c.log->clean()) ASSERT_LT(++rounds, 100);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("cannot be cleaned"), std::string::npos) << told[0];
  EXPECT_LT(c.log->describe(kB)->bytes, other / 2);
  const Seen after = read_all(*c.log).value();
  EXPECT_EQ(after.values, before.values);
  EXPECT_FALSE(c.log->clean());
  EXPECT_EQ(told.size(), 1u);
}

TEST(LogClean, WhatIsYoungStaysAndWhatIsNotAskedForToo) {
  Cleaned c(6);
  c.topic.min_compaction_lag = std::chrono::hours(1);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok());
  EXPECT_FALSE(c.log->clean()) << "everything is younger than the lag";
  c.clock.advance(std::chrono::hours(2));
  c.topic.cleanup_compact = false;
  ASSERT_TRUE(c.log->create_partition(kA, "seven", c.topic).ok());
  EXPECT_FALSE(c.log->clean()) << "the topic is not compacted any more";
  c.topic.cleanup_compact = true;
  c.topic.held_by_region = true;
  ASSERT_TRUE(c.log->create_partition(kA, "seven", c.topic).ok());
  EXPECT_FALSE(c.log->clean()) << "no region said what its store holds";
}

TEST(LogClean, WithoutALagWhatBearsATimeToComeIsCleanedToo) {
  Cleaned c(6);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok());
  c.clock.jump(-std::chrono::hours(5));
  EXPECT_TRUE(c.log->clean());
}

TEST(LogClean, TheLongestLagIsThatOfASegmentsFirstBatch) {
  Cleaned c(6);
  c.topic.segment_bytes = 4000;
  c.topic.min_cleanable_dirty_ratio = 1.1;  // never for being dirty
  c.topic.max_compaction_lag = std::chrono::hours(2);
  ASSERT_TRUE(c.open().ok() && c.append(3).ok());
  c.clock.advance(std::chrono::minutes(119));
  ASSERT_TRUE(c.append(200).ok());
  ASSERT_GT(c.log->describe(kA)->segments, 1u);
  EXPECT_FALSE(c.log->clean());
  c.clock.advance(std::chrono::minutes(2));
  EXPECT_TRUE(c.log->clean()) << "its first record waits for two hours, if not its last";
}

TEST(LogClean, WithTheLongestRetentionTombstonesStayForEver) {
  Cleaned c(8);
  c.topic.delete_retention = std::chrono::milliseconds::max();
  c.topic.min_cleanable_dirty_ratio = 0;
  ASSERT_TRUE(c.open().ok());
  BatchBuilder gone;
  gone.add(c.clock.now(), "gone", std::nullopt);
  ASSERT_TRUE(c.log->append(kA, gone.seal(Offset(0), Epoch(1)), Epoch(1), nullptr).ok());
  for (const int batches : {120, 40, 40}) {
    ASSERT_TRUE(c.append(batches).ok());
    const Seen all = read_all(*c.log).value();
    std::map<std::string, std::int64_t> last;  // of each key
    for (const auto& [offset, key] : all.keys) last[key] = offset;
    while (c.log->clean()) {
    }
    const Seen left = read_all(*c.log).value();
    EXPECT_LT(left.values.size(), all.values.size());
    for (const auto& [key, offset] : last)
      EXPECT_TRUE(left.values.contains(offset)) << key << (all.values.at(offset) ? "" : ", a tombstone");
    EXPECT_EQ(last.at("gone"), 0);
    EXPECT_EQ(left.fold, c.model);
    c.clock.advance(std::chrono::hours(24 * 365));
  }
}

TEST(LogClean, WhatATruncationBroughtAnewIsCleanedToo) {
  Cleaned c(9);
  ASSERT_TRUE(c.open().ok() && c.append(120).ok());
  while (c.log->clean()) {
  }
  const std::uint64_t cleaned = c.log->describe(kA)->bytes;
  ASSERT_TRUE(c.log->truncate(kA, Offset(10)).ok());
  c.model = read_all(*c.log)->fold;
  ASSERT_TRUE(c.append(120).ok());
  EXPECT_GT(c.log->describe(kA)->bytes, cleaned * 2);
  EXPECT_TRUE(c.log->clean());
  while (c.log->clean()) {
  }
  EXPECT_LT(c.log->describe(kA)->bytes, cleaned * 2);
  EXPECT_EQ(read_all(*c.log)->fold, c.model);
}

TEST(LogClean, ProducersAreKnownAfterTheirRecordsWent) {
  Cleaned c(7);
  ASSERT_TRUE(c.open().ok());
  const auto produce = [&](std::int64_t id, std::int32_t sequence, const std::string& key) {
    BatchBuilder builder;
    builder.add(c.clock.now(), key, "v");
    std::string bytes(builder.seal(Offset(0), Epoch(1)));
    store_be64(bytes.data() + batch_layout::kProducerId, static_cast<std::uint64_t>(id));
    store_be16(bytes.data() + batch_layout::kProducerEpoch, 0);
    store_be32(bytes.data() + batch_layout::kBaseSequence, static_cast<std::uint32_t>(sequence));
    store_be32(bytes.data() + batch_layout::kCrc,
               crc32c(std::string_view(bytes).substr(batch_layout::kAttributes)));
    return c.log->append(kA, bytes, Epoch(1), nullptr);
  };
  const auto first = produce(55, 0, "key-1");
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(c.append(200).ok());
  while (c.log->clean()) {
  }
  EXPECT_EQ(read_all(*c.log)->producers, (std::set<std::int64_t>{55})) << "its last batch stays, empty";
  const auto again = produce(55, 0, "key-1");
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->base, first->base);
  EXPECT_EQ(produce(55, 2, "key-1").code(), Code::kOutOfOrderSequence);
}

TEST(LogClean, GoesOnBesideAppendsReadsAndDeletions) {
  FaultFileSystem fs(3);
  SystemClock clock;
  LogOptions options;
  options.directory = "/log";
  options.journal_bytes = 2u << 20;
  options.journal_initial_bytes = 2u << 20;
  options.reserve_bytes = 16u << 10;
  options.cleaner_interval = std::chrono::milliseconds(1);
  TopicOptions topic;
  topic.segment_bytes = 4000;
  topic.cleanup_compact = true;
  topic.cleanup_delete = false;
  topic.min_cleanable_dirty_ratio = 0.01;
  auto log = std::move(Log::open(fs, clock, options)).value();
  ASSERT_TRUE(log->create_partition(kA, "seven", topic).ok());
  std::atomic<bool> over{false};
  std::thread reads([&] {
    while (!over) {
      const auto seen = read_all(*log);
      ASSERT_TRUE(seen.ok()) << seen.status().to_string();
    }
  });
  std::thread others([&] {  // topics that go while they are cleaned
    for (std::uint64_t id = 100; !over; ++id) {
      const TopicPartition partition{TopicId(id), PartitionIndex(0)};
      ASSERT_TRUE(log->create_partition(partition, "other-" + std::to_string(id), topic).ok());
      for (int i = 0; i < 200 && !over; ++i) {
        BatchBuilder builder;
        builder.add(clock.now(), "key-" + std::to_string(i % 7), std::string(100, 'x'));
        ASSERT_TRUE(log->append(partition, builder.seal(Offset(0), Epoch(1)), Epoch(1), nullptr).ok());
        if (i % 20 == 0) log->lead();
      }
      ASSERT_TRUE(log->delete_topic(partition.topic).ok());
    }
  });
  Fold expected;
  for (int i = 0; i < 4000; ++i) {
    BatchBuilder builder;
    const std::string key = "key-" + std::to_string(i % 23);
    expected[key] = std::to_string(i) + std::string(60, 'v');
    builder.add(clock.now(), key, expected[key]);
    ASSERT_TRUE(log->append(kA, builder.seal(Offset(0), Epoch(1)), Epoch(1), nullptr).ok());
    if (i % 50 == 0) {
      ASSERT_TRUE(log->drain().ok());
    }
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (log->describe(kA)->bytes > 60'000 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  over = true;
  reads.join();
  others.join();
  EXPECT_LT(log->describe(kA)->bytes, 60'000u) << "of 500,000 that were written";
  EXPECT_EQ(read_all(*log)->fold, expected);
  EXPECT_EQ(read_all(*log)->end, Offset(4000));
  EXPECT_GT(log->metrics().cleaner_rounds, 0u);
  ASSERT_TRUE(log->close().ok());
}

}  // namespace
}  // namespace afdg::log
