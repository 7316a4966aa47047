#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "base/codec.h"
#include "log/batch.h"
#include "log/codecs.h"
#include "log/log.h"
#include "log/verify.h"
#include "store/testing/fault_file_system.h"

// Compaction through the log, against a map, on a disk that loses what was not synced.
namespace afdg::log {
namespace {

using store::FaultFileSystem;
using store::Survival;
using Fold = std::map<std::string, std::string>;

constexpr TopicPartition kA{TopicId(7), PartitionIndex(0)};

std::uint64_t first_seed() {
  const char* seed = std::getenv("AFDG_SEED");
  return seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10);
}

/// What is stored, as a reader sees it.
struct Seen {
  Fold fold;                                                  ///< the last value of each key
  std::map<std::int64_t, std::optional<std::string>> values;  ///< by offset; nothing: a tombstone
  std::size_t keyless = 0;
  Offset end{0};
  std::set<std::int64_t> producers;
};

Result<Seen> read_all(Log& log) {
  Seen seen;
  AFDG_ASSIGN(const PartitionEnds ends, log.ends(kA));
  Offset from = ends.start;
  while (from < ends.end) {
    AFDG_ASSIGN(const BatchBytes read, log.read_batches(kA, from, 3000));
    std::string_view left = read.bytes;
    while (!left.empty()) {
      AFDG_ASSIGN(const BatchView batch, BatchView::parse(left));
      left.remove_prefix(batch.size());
      AFDG_TRY(batch.validate());
      if (batch.producer_id() >= 0) seen.producers.insert(batch.producer_id());
      std::string buffer;
      std::string_view records;
      if (batch.records() > 0) {
        AFDG_ASSIGN(records, unpack_records(batch, buffer));
      }
      RecordReader reader(batch, records);
      RecordView record;
      while (reader.next(record)) {
        if (!record.key) {
          ++seen.keyless;
          continue;
        }
        const std::string key(*record.key);
        seen.values[record.offset.value()] =
            record.value ? std::optional(std::string(*record.value)) : std::nullopt;
        if (record.value) {
          seen.fold[key] = std::string(*record.value);
        } else {
          seen.fold.erase(key);
        }
      }
      AFDG_TRY(reader.status());
    }
    if (read.next <= from) return fail(Code::kInternal, "a reader does not get on");
    from = read.next;
  }
  seen.end = ends.end;
  return seen;
}

struct Cleaned {
  explicit Cleaned(std::uint64_t seed, bool skip_sync = false) : random(seed), fs(seed) {
    options.directory = "/log";
    options.journal_bytes = 256u << 10;
    options.journal_initial_bytes = 256u << 10;
    options.reserve_bytes = 16u << 10;
    options.threads = LogThreads::kNone;
    options.cleaner_map_bytes = 24 * (16 + random.next() % 60);
    options.fatal = [](const Error&) {};
    options.planted.skip_cleaner_sync = skip_sync;
    topic.segment_bytes = 600 + random.next() % 1500;
    topic.cleanup_compact = true;
    topic.cleanup_delete = false;
    topic.min_cleanable_dirty_ratio = 0.01;
    topic.delete_retention = std::chrono::milliseconds(1000);
  }
  Status open() {
    log.reset();
    AFDG_ASSIGN(log, Log::open(fs, clock, options));
    return log->create_partition(kA, "seven", topic);
  }
  std::string batch() {
    BatchBuilder builder;
    const std::size_t count = 1 + random.next() % 5;
    const bool keyless = random.next() % 40 == 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string key = "key-" + std::to_string(random.next() % 12);
      const std::string value(random.next() % 60, static_cast<char>('a' + random.next() % 26));
      const Timestamp now = clock.now();
      if (keyless) {
        builder.add(now, std::nullopt, value);
      } else if (random.next() % 5 == 0) {
        builder.add(now, key, std::nullopt);
        model.erase(key);
      } else {
        builder.add(now, key, value);
        model[key] = value;
      }
    }
    return std::string(builder.seal(Offset(0), Epoch(1)));
  }
  Status append(int batches) {
    for (int i = 0; i < batches; ++i) {
      AFDG_TRY(log->append(kA, batch(), Epoch(1), nullptr).status());
      clock.advance(std::chrono::milliseconds(random.next() % 50));
      if (random.next() % 2 == 0) log->pump();
    }
    while (log->pump()) {
    }
    return log->checkpoint();
  }

  SeededRandom random;
  FaultFileSystem fs;
  ManualClock clock;
  LogOptions options;
  TopicOptions topic;
  Fold model;
  std::unique_ptr<Log> log;
};

// Invariant 9: for plain topics; a grid's changes are not compacted yet.
TEST(LogClean, KeepsTheLastOfEachKeyAndWhereEverythingIs) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 40; ++seed) {
    SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed));
    Cleaned c(seed);
    ASSERT_TRUE(c.open().ok());
    std::uint64_t before = 0;
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
}

/// Crashes before every operation of a cleaning; what is wrong after the restart.
std::optional<std::string> crash_everywhere(std::uint64_t seed, bool skip_sync) {
  Cleaned c(seed, skip_sync);
  if (!c.open().ok() || !c.append(120).ok()) return "it cannot be filled";
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
        auto log = Log::open(*copy, clock, c.options);
        if (!log.ok()) return say("the start: " + log.error().text());
        const auto seen = read_all(**log);
        if (!seen.ok()) return say("reading: " + seen.error().text());
        if (seen->end != end) return say("it ends at offset " + std::to_string(seen->end.value()));
        if (seen->fold != expected) return say("other values");
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
    const auto wrong = crash_everywhere(seed, false);
    EXPECT_FALSE(wrong.has_value()) << *wrong;
  }
}

TEST(LogClean, AMissingSyncIsCaught) {
  bool caught = false;
  for (std::uint64_t seed = 1; seed < 10 && !caught; ++seed)
    caught = crash_everywhere(seed, true).has_value();
  EXPECT_TRUE(caught);
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
  EXPECT_FALSE(c.log->clean()) << "a region's changes are not for this";
}

TEST(LogClean, WithTheLongestRetentionTombstonesStayForEver) {
  Cleaned c(8);
  c.topic.delete_retention = std::chrono::milliseconds::max();
  ASSERT_TRUE(c.open().ok() && c.append(120).ok());
  const auto tombstones = [&] {
    const Seen seen = read_all(*c.log).value();
    return std::count_if(seen.values.begin(), seen.values.end(), [](const auto& v) { return !v.second; });
  };
  while (c.log->clean()) {
  }
  ASSERT_GT(tombstones(), 0);
  const auto before = read_all(*c.log)->values.begin()->first;
  c.clock.advance(std::chrono::hours(24 * 365));
  c.topic.min_cleanable_dirty_ratio = 0;
  ASSERT_TRUE(c.append(40).ok());
  while (c.log->clean()) {
  }
  EXPECT_GT(tombstones(), 0);
  EXPECT_GE(read_all(*c.log)->values.begin()->first, before);
  EXPECT_EQ(read_all(*c.log)->fold, c.model);
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
    if (i % 50 == 0) ASSERT_TRUE(log->drain().ok());
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
