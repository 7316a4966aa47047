#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/codec.h"
#include "log/batch.h"
#include "log/log.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log {
namespace {

using store::FaultFileSystem;
using store::Survival;
namespace at = batch_layout;

constexpr TopicPartition kTopic{TopicId(7), PartitionIndex(0)};
constexpr TopicPartition kOther{TopicId(7), PartitionIndex(1)};

struct From {
  std::int64_t id = 1;
  std::int16_t epoch = 0;
  std::int32_t sequence = 0;
  std::size_t bytes = 20;
};

std::string batch(const From& from, const std::string& value = "v") {
  BatchBuilder builder;
  std::string padded = value;
  padded.resize(std::max(from.bytes, value.size()), '.');
  builder.add(Timestamp(std::chrono::milliseconds(1000)), "key", padded);
  std::string out(builder.seal(Offset(0), Epoch(0)));
  store_be64(out.data() + at::kProducerId, static_cast<std::uint64_t>(from.id));
  store_be16(out.data() + at::kProducerEpoch, static_cast<std::uint16_t>(from.epoch));
  store_be32(out.data() + at::kBaseSequence, static_cast<std::uint32_t>(from.sequence));
  store_be32(out.data() + at::kCrc, crc32c(std::string_view(out).substr(at::kAttributes)));
  return out;
}

/// A wall clock that can be set, and time that goes on evenly.
class SettableClock final : public Clock {
 public:
  [[nodiscard]] Timestamp now() const override { return wall; }
  [[nodiscard]] Monotonic monotonic() const override { return ticks; }
  [[nodiscard]] Timestamp deadline_time() const override { return wall; }
  Timestamp wall{std::chrono::milliseconds(978307200000)};
  Monotonic ticks{};
};

struct Opened {
  FaultFileSystem fs;
  SettableClock clock;
  LogOptions options;
  TopicOptions topic;
  std::unique_ptr<Log> log;

  Opened() {
    options.directory = "/log";
    options.journal_bytes = options.journal_initial_bytes = 256u << 10;
    options.reserve_bytes = 16u << 10;
    options.threads = LogThreads::kNone;
    options.fatal = [](const Error&) {};
    options.producer_scan_bytes = 640;
    topic.segment_bytes = 1000;
  }
  ~Opened() { log.reset(); }
  Status open() {
    log.reset();
    AFDG_ASSIGN(log, Log::open(fs, clock, options));
    AFDG_TRY(log->create_partition(kTopic, "t", topic));
    return log->create_partition(kOther, "t", topic);
  }
  Status crash(Survival survival = Survival::kNothing) {
    fs.fail_at(fs.operations() + 1, store::Fault::kCrash);
    log.reset();
    fs.crash(survival);
    return open();
  }
  /// "ok OFFSET", "dup OFFSET" or the code's name.
  std::string send(const From& from, TopicPartition to = kTopic) {
    const auto done = log->append(to, batch(from), Epoch(0), nullptr);
    if (!done.ok()) return std::string(code_name(done.code()));
    return (done->duplicate ? "dup " : "ok ") + std::to_string(done->base.value());
  }
  Offset end(TopicPartition id = kTopic) { return log->ends(id)->end; }
  std::vector<std::string> snapshots() {
    std::vector<std::string> out;
    for (const std::string& name : fs.list("/log/topics/t-0").value())
      if (name.ends_with(".producers")) out.push_back(name);
    return out;
  }
};

TEST(LogProducers, ARepeatAppendsNothingAndTellsWhereTheFirstIs) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  EXPECT_EQ(o.send({.sequence = 0}), "ok 0");
  EXPECT_EQ(o.send({.sequence = 1}), "ok 1");
  EXPECT_EQ(o.send({.sequence = 0}), "dup 0");
  EXPECT_EQ(o.send({.sequence = 3}), "kOutOfOrderSequence");
  EXPECT_EQ(o.send({.epoch = 1, .sequence = 0}), "ok 2");
  EXPECT_EQ(o.send({.sequence = 2}), "kProducerFenced");
  EXPECT_EQ(o.send({.sequence = 5}, kOther), "ok 0") << "each partition has its own";
  EXPECT_EQ(o.send({.id = 1, .epoch = 1, .sequence = -1}), "kInvalidRecord");
  ASSERT_TRUE(o.log->drain().ok());
  EXPECT_EQ(o.end(), Offset(3));
  EXPECT_EQ(o.log->metrics().duplicates, 1u);
  EXPECT_EQ(o.log->metrics().producers, 2u);
  EXPECT_EQ(o.log->metrics().appends, 4u);
}

TEST(LogProducers, ARepeatIsToldWhenTheFirstIsCommittedNotBefore) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  std::vector<std::string> told;
  const auto note = [&](const char* name) {
    return [&told, name](AppendOutcome outcome) {
      told.push_back(std::string(name) + (outcome == AppendOutcome::kCommitted ? "" : " unknown"));
    };
  };
  ASSERT_TRUE(o.log->append(kTopic, batch({}), Epoch(0), note("first")).ok());
  const auto again = o.log->append(kTopic, batch({}), Epoch(0), note("again"));
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->duplicate);
  EXPECT_TRUE(told.empty());
  EXPECT_EQ(o.end(), Offset(0));
  o.log->lead();
  EXPECT_EQ(told, (std::vector<std::string>{"first", "again"}));
  // Long after: in its place among the others.
  ASSERT_TRUE(o.log->append(kTopic, batch({}), Epoch(0), note("late")).ok());
  ASSERT_TRUE(o.log->append(kTopic, batch({.sequence = 1}), Epoch(0), note("second")).ok());
  EXPECT_EQ(told.size(), 2u);
  o.log->lead();
  EXPECT_EQ(told, (std::vector<std::string>{"first", "again", "late", "second"}));
  EXPECT_EQ(o.log->metrics().bytes_in_flight > 0, true) << "the batches wait for their segment";
  ASSERT_TRUE(o.log->checkpoint().ok());
  EXPECT_EQ(o.log->metrics().bytes_in_flight, 0u) << "what a repeat counts is given back";
}

TEST(LogProducers, WhatACommitLosesIsNotRememberedAfterwards) {
  for (const Survival survival : {Survival::kNothing, Survival::kEverything}) {
    Opened o;
    ASSERT_TRUE(o.open().ok());
    ASSERT_EQ(o.send({.sequence = 0}), "ok 0");
    o.log->lead();
    ASSERT_EQ(o.send({.sequence = 1}), "ok 1");
    std::vector<AppendOutcome> outcomes;
    ASSERT_TRUE(o.log
                    ->append(kTopic, batch({.sequence = 1}), Epoch(0),
                             [&](AppendOutcome outcome) { outcomes.push_back(outcome); })
                    .ok());
    o.fs.fail_next(store::Operation::kSync, "journal", store::Fault::kCrash);
    o.log->lead();
    EXPECT_EQ(outcomes, std::vector<AppendOutcome>{AppendOutcome::kUnknown});
    EXPECT_EQ(o.send({.sequence = 1}), "kIo") << "nothing is promised by a log that failed";
    ASSERT_TRUE(o.crash(survival).ok());
    // The client asks again: stored if it was lost, known if it was not.
    EXPECT_EQ(o.send({.sequence = 1}), survival == Survival::kNothing ? "ok 1" : "dup 1");
    EXPECT_EQ(o.send({.sequence = 0}), "dup 0");
    EXPECT_EQ(o.send({.sequence = 2}), "ok 2");
  }
}

TEST(LogProducers, SurviveEachKindOfRestart) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  const auto expect_all = [&](std::int32_t last) {
    for (std::int32_t s = last; s > last - 5; --s)
      EXPECT_EQ(o.send({.sequence = s}), "dup " + std::to_string(s)) << s;
    EXPECT_EQ(o.send({.sequence = last - 5}), "kOutOfOrderSequence");
    EXPECT_EQ(o.send({.sequence = last + 2}), "kOutOfOrderSequence");
  };
  std::int32_t next = 0;
  const auto more = [&](int count, std::size_t bytes) {
    for (int i = 0; i < count; ++i, ++next)
      ASSERT_EQ(o.send({.sequence = next, .bytes = bytes}), "ok " + std::to_string(next));
    ASSERT_TRUE(o.log->drain().ok());
  };
  more(7, 20);
  ASSERT_TRUE(o.crash().ok());  // the journal has them, the segments nothing
  expect_all(6);
  more(3, 300);
  ASSERT_TRUE(o.log->checkpoint().ok());
  EXPECT_FALSE(o.snapshots().empty()) << "segments were begun";
  ASSERT_TRUE(o.crash().ok());
  expect_all(9);
  more(1, 40000);  // goes straight to its segment
  ASSERT_TRUE(o.crash().ok());
  expect_all(10);
  more(2, 20);
  ASSERT_TRUE(o.log->close().ok());
  ASSERT_TRUE(o.open().ok());
  ASSERT_FALSE(o.snapshots().empty());
  EXPECT_EQ(o.snapshots().back(), "00000000000000000013.producers")
      << "an orderly stop leaves nothing to scan";
  expect_all(12);
}

TEST(LogProducers, OutliveTheBatchesThatTellOfThem) {
  for (const bool orderly : {false, true}) {
    Opened o;
    o.options.producer_scan_bytes = 4u << 20;  // nothing but the deletion makes a snapshot
    ASSERT_TRUE(o.open().ok());
    for (int s = 0; s < 6; ++s) ASSERT_EQ(o.send({.sequence = s, .bytes = 200}), "ok " + std::to_string(s));
    for (int i = 6; i < 20; ++i)
      ASSERT_EQ(o.send({.id = -1, .epoch = -1, .sequence = -1, .bytes = 500}), "ok " + std::to_string(i));
    ASSERT_TRUE(o.log->drain().ok());
    ASSERT_TRUE(o.log->advance_start(kTopic, Offset(18)).ok());
    ASSERT_TRUE(o.log->checkpoint().ok());
    EXPECT_LE(o.log->describe(kTopic)->segments, 2u);
    if (orderly) {
      ASSERT_TRUE(o.open().ok());
    } else {
      ASSERT_TRUE(o.crash().ok());
    }
    EXPECT_EQ(o.log->ends(kTopic)->start, Offset(18));
    EXPECT_EQ(o.send({.sequence = 3}), "dup 3");
    EXPECT_EQ(o.send({.sequence = 7}), "kOutOfOrderSequence");
    EXPECT_EQ(o.send({.sequence = 6}), "ok 20");
  }
}

// Invariant 5.
TEST(LogProducers, AreTruncatedWithTheLog) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  for (int s = 0; s < 12; ++s) {
    ASSERT_EQ(o.send({.sequence = s, .bytes = 200}), "ok " + std::to_string(s));
    ASSERT_TRUE(o.log->drain().ok());
    ASSERT_TRUE(o.log->checkpoint().ok());
  }
  ASSERT_EQ(o.send({.epoch = 1, .sequence = 0}), "ok 12");
  ASSERT_EQ(o.log->truncate(kTopic, Offset(9)).value(), Offset(9));
  for (const std::string& name : o.snapshots()) EXPECT_LE(name, "00000000000000000009.producers");
  for (int life = 0; life < 2; ++life) {
    for (int s = 4; s < 9; ++s) EXPECT_EQ(o.send({.sequence = s}), "dup " + std::to_string(s));
    EXPECT_EQ(o.send({.sequence = 3}), "kOutOfOrderSequence");
    EXPECT_EQ(o.send({.sequence = 10}), "kOutOfOrderSequence");
    ASSERT_TRUE(o.crash().ok());
  }
  EXPECT_EQ(o.send({.sequence = 9}), "ok 9");
}

TEST(LogProducers, ADeletedTopicIsForgotten) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_EQ(o.send({}), "ok 0");
  ASSERT_TRUE(o.log->drain().ok());
  ASSERT_TRUE(o.log->delete_topic(TopicId(7)).ok());
  ASSERT_TRUE(o.log->checkpoint().ok());
  EXPECT_EQ(o.log->metrics().producers, 0u);
  const TopicPartition again{TopicId(8), PartitionIndex(0)};
  ASSERT_TRUE(o.log->create_partition(again, "t").ok());
  EXPECT_EQ(o.send({}, again), "ok 0");
}

TEST(LogProducers, ExpireByTheTimeThatPassedNotByTheClockOnTheWall) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_EQ(o.send({}), "ok 0");
  o.clock.wall += std::chrono::hours(240);  // somebody set the clock
  EXPECT_EQ(o.send({}), "dup 0");
  o.clock.ticks += std::chrono::hours(24);
  EXPECT_EQ(o.log->metrics().producers, 1u);
  o.log->pump();
  EXPECT_EQ(o.log->metrics().producers, 0u);
  EXPECT_EQ(o.send({.sequence = 50}), "ok 1");
}

TEST(LogProducers, TooManyAreRefused) {
  Opened o;
  o.options.producers.producers_max = 3;
  o.options.producers_node_max = 4;
  ASSERT_TRUE(o.open().ok());
  for (int id = 0; id < 3; ++id) ASSERT_EQ(o.send({.id = id}), "ok " + std::to_string(id));
  EXPECT_EQ(o.send({.id = 3}), "kOverloaded");
  EXPECT_EQ(o.send({.id = 3}, kOther), "ok 0");
  EXPECT_EQ(o.send({.id = 4}, kOther), "kOverloaded") << "the node's limit";
  EXPECT_EQ(o.log->metrics().partition_producers_refused, 1u);
  EXPECT_EQ(o.log->metrics().node_producers_refused, 1u);
  EXPECT_EQ(o.send({.id = -1, .epoch = -1, .sequence = -1}), "ok 3");
  EXPECT_EQ(o.send({.id = 2, .sequence = 1}), "ok 4");
}

TEST(LogProducers, ADiskThatRefusesASnapshotOnlyMakesTheNextStartLonger) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  for (int s = 0; s < 8; ++s) ASSERT_EQ(o.send({.sequence = s, .bytes = 300}), "ok " + std::to_string(s));
  ASSERT_TRUE(o.log->drain().ok());
  o.fs.fail_next(store::Operation::kWrite, ".producers", store::Fault::kDiskFull, 100);
  ASSERT_TRUE(o.log->checkpoint().ok());
  EXPECT_TRUE(o.snapshots().empty());
  ASSERT_TRUE(o.crash().ok());
  EXPECT_EQ(o.send({.sequence = 3}), "dup 3");
  EXPECT_EQ(o.send({.sequence = 8}), "ok 8");
}

TEST(LogProducers, ADamagedSnapshotIsMadeAnewWithAWarning) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  for (int s = 0; s < 8; ++s) ASSERT_EQ(o.send({.sequence = s, .bytes = 300}), "ok " + std::to_string(s));
  ASSERT_TRUE(o.log->close().ok());
  ASSERT_FALSE(o.snapshots().empty());
  const std::string path = "/log/topics/t-0/" + o.snapshots().back();
  ASSERT_TRUE(o.fs.flip(path, 20).ok());
  ASSERT_TRUE(o.open().ok());
  ASSERT_EQ(o.log->recovery().warnings.size(), 1u);
  EXPECT_NE(o.log->recovery().warnings[0].find(path), std::string::npos) << o.log->recovery().warnings[0];
  EXPECT_EQ(o.send({.sequence = 3}), "dup 3");
  ASSERT_TRUE(o.log->close().ok());
  ASSERT_TRUE(o.open().ok());
  EXPECT_TRUE(o.log->recovery().warnings.empty());
}

TEST(LogProducers, OnlyWhoVerifiedTheBytesMaySkipTheCrc) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  std::string bad = batch({});
  bad.back() = static_cast<char>(bad.back() ^ 1);
  EXPECT_EQ(o.log->append(kTopic, bad, Epoch(0), nullptr).code(), Code::kCorrupt);
  const auto taken =
      o.log->append(kTopic, batch({}), Epoch(0), nullptr, {.crc = CrcCheck::kCallerHasVerifiedTheseBytes});
  ASSERT_TRUE(taken.ok());
  // It is believed; that is what it says.
  EXPECT_TRUE(
      o.log->append(kOther, bad, Epoch(0), nullptr, {.crc = CrcCheck::kCallerHasVerifiedTheseBytes}).ok());
  EXPECT_EQ(o.log
                ->append(kTopic, bad.substr(0, 70), Epoch(0), nullptr,
                         {.crc = CrcCheck::kCallerHasVerifiedTheseBytes})
                .code(),
            Code::kCorrupt)
      << "sizes are always looked at";
  ASSERT_TRUE(o.log->drain().ok());
  ASSERT_TRUE(o.log->checkpoint().ok());
  EXPECT_TRUE(o.log->read_batches(kTopic, Offset(0), 1000).ok());
  EXPECT_EQ(o.log->read_batches(kOther, Offset(0), 1000).code(), Code::kCorrupt);
}

TEST(LogProducers, ManyThreadsThatRepeatEachBatchStoreItOnce) {
  FaultFileSystem fs;
  SystemClock clock;
  LogOptions options = Opened().options;
  options.threads = LogThreads::kBackground;
  options.fatal = nullptr;
  auto opened = Log::open(fs, clock, options);
  ASSERT_TRUE(opened.ok());
  Log& log = **opened;
  TopicOptions topic;
  topic.segment_bytes = 20000;
  ASSERT_TRUE(log.create_partition(kTopic, "t", topic).ok());
  constexpr int kBatches = 300;
  std::atomic<int> stored{0};
  std::atomic<int> committed{0};
  std::atomic<int> asked{0};
  // Two threads a producer, both send each of its batches: one of them is the first.
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, id = t / 2] {
      for (int s = 0; s < kBatches;) {
        const auto done = log.append(kTopic, batch({.id = id, .sequence = s}, std::to_string(s)), Epoch(0),
                                     [&](AppendOutcome outcome) {
                                       if (outcome == AppendOutcome::kCommitted) ++committed;
                                     });
        if (done.code() == Code::kOverloaded) continue;
        // The other one may be more than five batches ahead: then this one was stored long ago.
        if (done.ok()) {
          ++asked;
          stored += done->duplicate ? 0 : 1;
        } else {
          ASSERT_EQ(done.code(), Code::kOutOfOrderSequence);
        }
        ++s;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(log.drain().ok());
  EXPECT_EQ(stored, 2 * kBatches);
  EXPECT_EQ(committed, asked);
  ASSERT_EQ(log.ends(kTopic)->end, Offset(2 * kBatches));
  std::int32_t next[2] = {0, 0};
  for (Offset from{0}; from < Offset(2 * kBatches);) {
    const auto read = log.read_batches(kTopic, from, 1u << 16);
    ASSERT_TRUE(read.ok());
    for (std::string_view bytes = read->bytes; !bytes.empty();) {
      const auto view = BatchView::parse(bytes);
      ASSERT_TRUE(view.ok());
      EXPECT_EQ(view->base_sequence(), next[view->producer_id()]++);
      bytes.remove_prefix(view->size());
    }
    from = read->next;
  }
}

}  // namespace
}  // namespace afdg::log
