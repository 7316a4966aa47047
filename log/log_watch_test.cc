#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "log/batch.h"
#include "log/log.h"
#include "log/testing/memory_log.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log {
namespace {

using Armed = Log::Watcher::Armed;
using Told = std::vector<std::vector<TopicPartition>>;

constexpr TopicPartition partition(int topic, int index) { return {TopicId(topic), PartitionIndex(index)}; }
constexpr TopicPartition kA = partition(7, 0);
constexpr TopicPartition kB = partition(7, 1);
constexpr TopicPartition kC = partition(8, 0);

std::string batch(const std::string& value) {
  BatchBuilder builder;
  builder.add(Timestamp(std::chrono::milliseconds(1000)), "key", value);
  return std::string(builder.seal(Offset(0), Epoch(0)));
}

struct Watched : ::testing::Test {
  store::FaultFileSystem fs;
  ManualClock clock;
  LogOptions options;
  std::unique_ptr<Log> log;
  Told told;
  std::unique_ptr<Log::Watcher> watcher;

  void SetUp() override {
    options = testing::small_log();
    open();
  }
  void open() {
    log = std::move(Log::open(fs, clock, options)).value();
    ASSERT_TRUE(log->create_partitions({{kA, "seven", {}}, {kB, "seven", {}}, {kC, "eight", {}}}).ok());
    watcher = std::move(log->watch(listener(told))).value();
  }
  static WatchListener listener(Told& into) {
    return [&into](std::span<const TopicPartition> which) {
      into.emplace_back(which.begin(), which.end());
      std::sort(into.back().begin(), into.back().end());
    };
  }
  void append(TopicPartition id) { ASSERT_TRUE(log->append(id, batch("v"), Epoch(0), nullptr).ok()); }
  void arm(TopicPartition id, std::int64_t end) {
    const auto armed = watcher->arm(id, Offset(end));
    ASSERT_TRUE(armed.ok()) << armed.status().to_string();
    ASSERT_EQ(*armed, Armed::kWaiting);
  }
};

using LogWatch = Watched;

TEST_F(LogWatch, ACommitTellsOnceAndTogetherWhatWasArmed) {
  arm(kA, 0);
  arm(kA, 0);
  arm(kC, 0);
  append(kA);
  append(kA);
  append(kB);
  append(kC);
  EXPECT_TRUE(told.empty()) << "nothing is committed yet";
  log->pump();
  EXPECT_EQ(told, (Told{{kA, kC}})) << "one call for the commit, without what nobody armed";
  append(kA);
  log->pump();
  EXPECT_EQ(told.size(), 1u) << "one arming, one call";
  arm(kA, 3);
  append(kA);
  log->pump();
  EXPECT_EQ(told.size(), 2u);
}

TEST_F(LogWatch, AnEndThatMovedIsSaidAtOnceAndArmsNothing) {
  append(kA);
  log->pump();
  EXPECT_EQ(*watcher->arm(kA, Offset(0)), Armed::kMoved);
  EXPECT_EQ(*watcher->arm(kA, Offset(5)), Armed::kMoved) << "an end that was never there, or was truncated";
  append(kA);
  log->pump();
  EXPECT_TRUE(told.empty());
}

TEST_F(LogWatch, ToldAfterTheCompletionAndMayReadArmAndAppend) {
  std::vector<std::string> order;
  std::unique_ptr<Log::Watcher> other;
  other = std::move(log->watch([&](std::span<const TopicPartition> which) {
            order.emplace_back("listener");
            ASSERT_EQ(which.size(), 1u);
            const auto read = log->read_batches(which[0], Offset(0), 1000);
            EXPECT_TRUE(read.ok() && read->next == Offset(1)) << "what is told can be read";
            EXPECT_EQ(*other->arm(kA, Offset(1)), Armed::kWaiting);
            EXPECT_TRUE(log->append(kB, batch("w"), Epoch(0), nullptr).ok());
          })).value();
  ASSERT_EQ(*other->arm(kA, Offset(0)), Armed::kWaiting);
  ASSERT_TRUE(
      log->append(kA, batch("v"), Epoch(0), [&](AppendOutcome) { order.emplace_back("completion"); }).ok());
  log->pump();
  EXPECT_EQ(order, (std::vector<std::string>{"completion", "listener"}));
}

TEST_F(LogWatch, TruncationAndAMoveOfTheStartAreTold) {
  append(kA);
  append(kA);
  log->pump();
  arm(kA, 2);
  ASSERT_TRUE(log->advance_start(kA, Offset(1)).ok());
  EXPECT_EQ(told, (Told{{kA}}));
  arm(kA, 2);
  ASSERT_TRUE(log->truncate(kA, Offset(1)).ok());
  EXPECT_EQ(told, (Told{{kA}, {kA}}));
  EXPECT_EQ(*watcher->arm(kA, Offset(2)), Armed::kMoved);
}

TEST_F(LogWatch, DeletionIsToldForEveryPartitionAndLeavesNothingToArm) {
  arm(kA, 0);
  arm(kB, 0);
  arm(kC, 0);
  ASSERT_TRUE(log->delete_topic(TopicId(7)).ok());
  EXPECT_EQ(told, (Told{{kA, kB}}));
  EXPECT_EQ(watcher->arm(kA, Offset(0)).code(), Code::kNotFound);
  append(kC);
  log->pump();
  EXPECT_EQ(told.back(), std::vector<TopicPartition>{kC}) << "the others still wait";
}

TEST_F(LogWatch, AFaultIsToldAndAFaultyPartitionIsNotArmed) {
  append(kA);
  log->pump();
  ASSERT_TRUE(log->checkpoint().ok());
  arm(kA, 1);
  arm(kB, 0);
  ASSERT_TRUE(fs.flip("/log/topics/seven-0/00000000000000000000.log", 63).ok());
  EXPECT_EQ(log->read_batches(kA, Offset(0), 1000).code(), Code::kCorrupt);
  log->pump();
  EXPECT_EQ(told, (Told{{kA}}));
  EXPECT_EQ(watcher->arm(kA, Offset(1)).code(), Code::kCorrupt);
}

TEST_F(LogWatch, TheEndOfTheLogIsTold) {
  arm(kA, 0);
  arm(kC, 0);
  fs.fail_next(store::Operation::kSync, "journal", store::Fault::kIo);
  append(kB);
  log->pump();
  EXPECT_EQ(told, (Told{{kA, kC}})) << "a failed sync: nothing will ever be committed";
  EXPECT_EQ(watcher->arm(kA, Offset(0)).code(), Code::kIo);
  told.clear();
  watcher.reset();
  fs.restart();
  open();
  arm(kC, 0);
  ASSERT_TRUE(log->close().ok());
  EXPECT_EQ(told, (Told{{kC}}));
  EXPECT_EQ(watcher->arm(kC, Offset(0)).code(), Code::kUnavailable);
}

TEST_F(LogWatch, WatchersHearOnlyWhatTheyArmedAndAreBounded) {
  EXPECT_EQ(log->watch(nullptr).code(), Code::kInvalidArgument);
  Told second;
  auto other = std::move(log->watch(listener(second))).value();
  arm(kA, 0);
  ASSERT_EQ(*other->arm(kA, Offset(0)), Armed::kWaiting);
  ASSERT_EQ(*other->arm(kB, Offset(0)), Armed::kWaiting);
  append(kA);
  append(kB);
  log->pump();
  EXPECT_EQ(told, (Told{{kA}}));
  EXPECT_EQ(second, (Told{{kA, kB}}));
  // Whoever goes is not told, and leaves nothing to who comes next.
  ASSERT_EQ(*other->arm(kA, Offset(1)), Armed::kWaiting);
  other.reset();
  Told third;
  other = std::move(log->watch(listener(third))).value();
  append(kA);
  log->pump();
  EXPECT_EQ(second.size(), 1u);
  EXPECT_TRUE(third.empty());
  std::vector<std::unique_ptr<Log::Watcher>> more;
  while (more.size() + 2 < Log::kWatchersMax) more.push_back(std::move(log->watch(listener(third))).value());
  EXPECT_EQ(log->watch(listener(third)).code(), Code::kOverloaded);
  more.pop_back();
  EXPECT_TRUE(log->watch(listener(third)).ok());
  EXPECT_EQ(log->watch(listener(third)).code(), Code::kOk) << "given back when destroyed";
}

/// Each writer appends the next record only when its reader saw the one before, while that reader is arming:
/// a lost wake-up would leave both waiting for ever.
TEST(LogWatchThreads, NoWakeUpIsLost) {
  store::FaultFileSystem fs;
  SystemClock clock;
  LogOptions options;
  options.directory = "/log";
  options.journal_bytes = 1u << 20;
  options.journal_initial_bytes = 1u << 20;
  options.reserve_bytes = 16u << 10;
  auto log = std::move(Log::open(fs, clock, options)).value();
  constexpr int kPairs = 4;
  constexpr int kRounds = 500;
  constexpr auto kPatience = std::chrono::seconds(60);
  struct Pair {
    std::mutex mutex;
    std::condition_variable wake;
    bool told = false;
    std::int64_t seen = 0;
    int lost = 0;
  };
  std::array<Pair, kPairs> pairs;
  for (int p = 0; p < kPairs; ++p) ASSERT_TRUE(log->create_partition(partition(7, p), "seven").ok());
  auto watcher = std::move(log->watch([&](std::span<const TopicPartition> which) {
                   for (const TopicPartition id : which) {
                     Pair& pair = pairs[static_cast<std::size_t>(id.partition.value())];
                     const std::lock_guard lock(pair.mutex);
                     pair.told = true;
                     pair.wake.notify_all();
                   }
                 })).value();
  std::vector<std::thread> threads;
  for (int p = 0; p < kPairs; ++p) {
    Pair& pair = pairs[static_cast<std::size_t>(p)];
    threads.emplace_back([&, p] {  // the reader
      for (std::int64_t end = 0; end < kRounds;) {
        const auto armed = watcher->arm(partition(7, p), Offset(end));
        ASSERT_TRUE(armed.ok()) << armed.status().to_string();
        std::unique_lock lock(pair.mutex);
        if (*armed == Armed::kWaiting && !pair.wake.wait_for(lock, kPatience, [&] { return pair.told; })) {
          ++pair.lost;
        }
        pair.told = false;
        lock.unlock();
        end = log->describe(partition(7, p))->end.value();
        lock.lock();
        pair.seen = end;
        pair.wake.notify_all();
        if (pair.lost > 0) return;
      }
    });
    threads.emplace_back([&, p] {  // the writer
      for (std::int64_t i = 0; i < kRounds; ++i) {
        ASSERT_TRUE(log->append(partition(7, p), batch("v"), Epoch(0), nullptr).ok());
        std::unique_lock lock(pair.mutex);
        pair.wake.wait_for(lock, kPatience, [&] { return pair.seen > i || pair.lost > 0; });
        if (pair.lost > 0) return;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const Pair& pair : pairs) {
    EXPECT_EQ(pair.lost, 0);
    EXPECT_EQ(pair.seen, kRounds);
  }
}

/// Topics are deleted while readers arm: everyone armed is told, and nobody is told after the watcher is
/// gone.
TEST(LogWatchThreads, DeletionAndTheWatchersEndRaceWithArming) {
  store::FaultFileSystem fs;
  SystemClock clock;
  LogOptions options;
  options.directory = "/log";
  options.journal_bytes = 1u << 20;
  options.journal_initial_bytes = 1u << 20;
  options.reserve_bytes = 16u << 10;
  auto log = std::move(Log::open(fs, clock, options)).value();
  for (int round = 1; round <= 30; ++round) {
    const TopicPartition id = partition(round, 0);
    ASSERT_TRUE(log->create_partition(id, "t" + std::to_string(round)).ok());
    std::mutex mutex;
    std::condition_variable wake;
    int told = 0;
    std::atomic<bool> gone{false};
    auto watcher = std::move(log->watch([&](std::span<const TopicPartition>) {
                     EXPECT_FALSE(gone.load());
                     const std::lock_guard lock(mutex);
                     ++told;
                     wake.notify_all();
                   })).value();
    std::thread reader([&] {
      for (;;) {
        std::unique_lock lock(mutex);
        const int before = told;
        lock.unlock();
        const auto about = log->describe(id);
        const auto armed = watcher->arm(id, about.ok() ? about->end : Offset(0));
        if (!armed.ok()) {
          EXPECT_EQ(armed.code(), Code::kNotFound) << armed.status().to_string();
          return;
        }
        lock.lock();
        if (*armed == Armed::kWaiting) {
          ASSERT_TRUE(wake.wait_for(lock, std::chrono::seconds(60), [&] { return told > before; }));
        }
      }
    });
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(log->append(id, batch("v"), Epoch(0), nullptr).ok());
    ASSERT_TRUE(log->delete_topic(id.topic).ok());
    reader.join();
    watcher.reset();
    gone = true;
  }
}

}  // namespace
}  // namespace afdg::log
