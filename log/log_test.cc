#include "log/log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/codec.h"
#include "log/batch.h"
#include "log/testing/memory_log.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log {
namespace {

using store::FaultFileSystem;
using store::Survival;

constexpr TopicPartition kPlain{TopicId(7), PartitionIndex(0)};
constexpr RegionStreams kRegion{
    {TopicId(1), PartitionIndex(0)}, {TopicId(2), PartitionIndex(0)}, {TopicId(3), PartitionIndex(0)}};

LogOptions small() {
  LogOptions o = testing::small_log();
  o.journal_id = 5;
  return o;
}

std::string batch(const std::string& value, int count = 1) {
  BatchBuilder builder;
  for (int i = 0; i < count; ++i) builder.add(Timestamp(std::chrono::milliseconds(1000)), "key", value);
  return std::string(builder.seal(Offset(0), Epoch(0)));
}

std::vector<std::string> values_of(Log& log, TopicPartition id = kPlain) {
  std::vector<std::string> out;
  const auto about = log.describe(id);
  EXPECT_TRUE(about.ok());
  for (Offset at = about->start; at < about->end;) {
    auto read = log.read_batches(id, at, 1u << 16);
    EXPECT_TRUE(read.ok()) << read.status().to_string();
    if (!read.ok()) return out;
    std::string_view bytes = read->bytes;
    while (!bytes.empty()) {
      auto view = BatchView::parse(bytes);
      EXPECT_TRUE(view.ok());
      RecordReader reader(*view);
      RecordView record;
      while (reader.next(record)) out.emplace_back(*record.value);
      bytes.remove_prefix(view->size());
    }
    at = read->next;
  }
  return out;
}

struct Opened {
  FaultFileSystem fs;
  ManualClock clock;
  LogOptions options = small();
  std::unique_ptr<Log> log;

  Status open() {
    log.reset();
    AFDG_ASSIGN(log, Log::open(fs, clock, options));
    return log->create_partition(kPlain, "plain");
  }
  Status create_region() {
    return log->create_partitions({{kRegion.messages, "g.messages", {}},
                                   {kRegion.changes, "g.changes", {}},
                                   {kRegion.dead, "g.dead", {}}});
  }
  /// Without a last word: as after SIGKILL.
  void kill() {
    fs.fail_at(fs.operations() + 1, store::Fault::kCrash);
    log.reset();
    fs.restart();
  }
  Status append(const std::string& value, int count = 1) {
    return log->append(kPlain, batch(value, count), Epoch(0), nullptr).status();
  }
  std::vector<std::string> values(TopicPartition id = kPlain) { return values_of(*log, id); }
};

TEST(Log, AnOrderlyStopLeavesNothingToReplay) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  EXPECT_TRUE(o.log->recovery().clean);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(o.append(std::to_string(i)).ok());
  ASSERT_TRUE(o.log->close().ok());
  EXPECT_EQ(o.append("late").code(), Code::kUnavailable);
  ASSERT_TRUE(o.open().ok());
  EXPECT_TRUE(o.log->recovery().clean);
  EXPECT_EQ(o.log->recovery().commits_replayed, 0u);
  EXPECT_EQ(o.values().size(), 20u);
  o.kill();
  ASSERT_TRUE(o.open().ok());
  EXPECT_FALSE(o.log->recovery().clean) << "the mark of an orderly stop holds for one start";
}

TEST(Log, WhatTheJournalHoldsIsReplayedAndCounted) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(o.append(std::to_string(i)).ok());
    EXPECT_TRUE(o.log->lead());
  }
  EXPECT_EQ(o.values().size(), 5u) << "readable from memory before it is in a segment";
  o.kill();
  ASSERT_TRUE(o.open().ok());
  EXPECT_EQ(o.log->recovery().commits_replayed, 5u);
  EXPECT_EQ(o.log->recovery().batches_replayed, 5u);
  EXPECT_EQ(o.log->recovery().partitions, 1u);
  EXPECT_EQ(o.values().size(), 5u);
}

TEST(Log, WhatAPartitionWasMadeOfAnewIsReported) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.append("kept").ok());
  ASSERT_TRUE(o.log->close().ok());
  o.log.reset();
  const std::string lineage = "/log/topics/plain-0/leader-epoch-checkpoint";
  ASSERT_TRUE(o.fs.flip(lineage, 4).ok());
  ASSERT_TRUE(o.open().ok());
  ASSERT_EQ(o.log->recovery().warnings.size(), 1u);
  EXPECT_NE(o.log->recovery().warnings[0].find(lineage + " is damaged"), std::string::npos)
      << o.log->recovery().warnings[0];
  EXPECT_EQ(o.values(), std::vector<std::string>{"kept"});
}

TEST(Log, ATornLastCommitIsReported) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.append("kept").ok());
  o.log->lead();
  ASSERT_TRUE(o.append(std::string(9000, 'x')).ok());
  o.log->lead();
  o.kill();
  ASSERT_TRUE(o.fs.flip("/log/journal", 4096 * 3).ok());
  ASSERT_TRUE(o.open().ok());
  EXPECT_EQ(o.log->recovery().journal_bytes_cut, 3u * 4096);
  ASSERT_EQ(o.log->recovery().warnings.size(), 1u);
  EXPECT_EQ(o.values(), std::vector<std::string>{"kept"});
}

TEST(Log, DamageThatMustStopTheStart) {
  const auto fill = [](Opened& o) {
    ASSERT_TRUE(o.open().ok());
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(o.append(std::to_string(i)).ok());
      o.log->lead();
    }
    o.kill();
  };
  for (const std::string file : {"journal", "recovery-point", "partitions"}) {
    Opened flipped;
    fill(flipped);
    ASSERT_TRUE(flipped.fs.flip("/log/" + file, file == "journal" ? 4096 + 30 : 9).ok());
    const Status status = flipped.open();
    EXPECT_EQ(status.code(), Code::kCorrupt) << file;
    EXPECT_NE(status.to_string().find("/log/" + file), std::string::npos) << status.to_string();
    Opened missing;
    fill(missing);
    ASSERT_TRUE(missing.fs.remove("/log/" + file).ok());
    const Status gone = missing.open();
    EXPECT_EQ(gone.code(), Code::kCorrupt) << file;
    EXPECT_NE(gone.to_string().find("/log/" + file), std::string::npos) << gone.to_string();
  }
}

TEST(Log, ANewerFormatStopsTheStart) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  o.kill();
  for (const std::string file : {"/log/recovery-point", "/log/partitions"}) {
    const std::string good = o.fs.read_file(file).value();
    std::string newer = good;
    store_be16(newer.data() + 12, static_cast<std::uint16_t>(load_be16(newer.data() + 12) + 1));
    store_be32(newer.data() + 8, crc32c(std::string_view(newer).substr(12)));
    ASSERT_TRUE(o.fs.replace_file(file, newer).ok());
    EXPECT_EQ(o.open().code(), Code::kNewerFormat) << file;
    ASSERT_TRUE(o.fs.replace_file(file, good).ok());
  }
  EXPECT_TRUE(o.open().ok());
}

TEST(Log, AFaultyPartitionAnswersSoAndTheOthersGoOn) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.create_region().ok());
  ASSERT_TRUE(o.append("fine").ok());
  BatchBuilder messages;
  messages.add(o.clock.now(), "k", "v");
  auto region = o.log->region_log(kRegion);
  ASSERT_TRUE(region.ok());
  ASSERT_TRUE((*region)->open(Epoch(1)).ok());
  ASSERT_TRUE((*region)->append(Epoch(1), {&messages, nullptr, nullptr}, nullptr).ok());
  region->reset();
  ASSERT_TRUE(o.log->close().ok());
  // Damaged where it was synced.
  ASSERT_TRUE(o.fs.flip("/log/topics/g.messages-0/00000000000000000000.log", 63).ok());
  ASSERT_TRUE(o.open().ok());
  region = o.log->region_log(kRegion);
  Status opened = (*region)->open(Epoch(2));
  if (opened.ok()) {  // it was not scanned at the start: the first read finds it
    auto read = (*region)->read(Stream::kMessages, Offset(0), {},
                                [](const RecordView&) { FAIL() << "wrong bytes served"; });
    EXPECT_EQ(read.code(), Code::kCorrupt);
    EXPECT_EQ((*region)->append(Epoch(2), {&messages, nullptr, nullptr}, nullptr).code(), Code::kCorrupt);
    opened = (*region)->open(Epoch(3));
  }
  EXPECT_EQ(opened.code(), Code::kCorrupt);
  EXPECT_EQ(o.values(), std::vector<std::string>{"fine"});
  ASSERT_TRUE(o.append("still").ok());
  o.log->pump();
  EXPECT_EQ(o.values().size(), 2u);
  region->reset();
  // And lost altogether.
  ASSERT_TRUE(o.log->close().ok());
  ASSERT_TRUE(o.fs.remove_all("/log/topics/g.changes-0").ok());
  ASSERT_TRUE(o.open().ok());
  EXPECT_GE(o.log->recovery().faulty.size(), 1u);
  region = o.log->region_log(kRegion);
  EXPECT_EQ((*region)->open(Epoch(4)).code(), Code::kCorrupt);
}

TEST(Log, APartitionThatWasFaultyIsKnownToLackWhatOnlyTheJournalHeld) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.append("in a segment").ok());
  ASSERT_TRUE(o.log->lead());
  ASSERT_TRUE(o.log->checkpoint().ok());
  ASSERT_TRUE(o.append("in the journal").ok());
  ASSERT_TRUE(o.log->lead());
  auto disk = o.fs.clone();
  const auto faults = [&] {
    auto log = Log::open(*disk, o.clock, o.options);
    EXPECT_TRUE(log.ok()) << log.status().to_string();
    std::string sentences;
    for (const auto& faulty : (*log)->recovery().faulty) sentences += faulty.sentence;
    EXPECT_EQ((*log)->append(kPlain, batch("another second"), Epoch(0), nullptr).code(), Code::kCorrupt);
    EXPECT_TRUE((*log)->close().ok());
    return sentences;
  };
  ASSERT_TRUE(disk->rename("/log/topics/plain-0", "/aside").ok());
  EXPECT_NE(faults(), "");
  // The operator puts back what there was, but the journal that could complete it is no longer read.
  ASSERT_TRUE(disk->rename("/aside", "/log/topics/plain-0").ok());
  for (int start = 0; start < 2; ++start) {
    const std::string sentences = faults();
    EXPECT_NE(sentences.find("ends at offset 1 (position 83), offsets below 2 were synced"),
              std::string::npos)
        << sentences;
  }
}

TEST(Log, ATruncationLowersWhatAFaultyPartitionMustHold) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.append("kept").ok());
  ASSERT_TRUE(o.log->lead());
  ASSERT_TRUE(o.log->checkpoint().ok());
  ASSERT_TRUE(o.append("cut").ok());
  ASSERT_TRUE(o.log->lead());
  ASSERT_TRUE(o.log->truncate(kPlain, Offset(1)).ok());
  o.kill();
  ASSERT_TRUE(o.fs.rename("/log/topics/plain-0", "/aside").ok());
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.log->close().ok());
  o.log.reset();
  ASSERT_TRUE(o.fs.rename("/aside", "/log/topics/plain-0").ok());
  ASSERT_TRUE(o.open().ok());
  EXPECT_TRUE(o.log->recovery().faulty.empty());
  EXPECT_EQ(o.values(), std::vector<std::string>{"kept"});
}

TEST(Log, AFailedSyncEndsEverything) {
  Opened o;
  int fatal = 0;
  o.options.fatal = [&](const Error&) { ++fatal; };
  ASSERT_TRUE(o.open().ok());
  o.fs.fail_next(store::Operation::kSync, "journal", store::Fault::kIo);
  std::optional<AppendOutcome> outcome;
  ASSERT_TRUE(o.log->append(kPlain, batch("x"), Epoch(0), [&](AppendOutcome what) { outcome = what; }).ok());
  o.log->lead();
  EXPECT_EQ(fatal, 1);
  EXPECT_EQ(outcome, AppendOutcome::kUnknown);
  EXPECT_EQ(o.append("y").code(), Code::kIo);
  EXPECT_EQ(o.log->checkpoint().code(), Code::kIo);
}

TEST(Log, AFailedSyncEndsEverythingAlsoOnAFullDisk) {
  struct Case {
    store::Operation operation;
    std::string path_part;
    bool write_fails;  ///< what a failed append left is cut and synced
  };
  for (const Case& c :
       {Case{store::Operation::kSync, "journal", false}, Case{store::Operation::kSync, "000.log", false},
        Case{store::Operation::kSyncDirectory, "plain-0", false},
        Case{store::Operation::kSync, "000.log", true}}) {
    Opened o;
    int fatal = 0;
    o.options.fatal = [&](const Error& error) {
      ++fatal;
      EXPECT_EQ(error.code(), Code::kIo);
    };
    ASSERT_TRUE(o.open().ok());
    TopicOptions topic;
    topic.segment_bytes = 16u << 10;
    ASSERT_TRUE(o.log->create_partitions({{kPlain, "plain", topic}}).ok());
    o.fs.fail_next(c.operation, c.path_part, store::Fault::kDiskFull);
    if (c.write_fails) o.fs.fail_next(store::Operation::kWrite, "000.log", store::Fault::kDiskFull);
    for (int i = 0; i < 4 && fatal == 0; ++i) {  // they begin a second segment: its name is to be synced
      o.append(std::string(10'000, 'x')).ignore("what was planned to fail may have ended the log");
      o.log->pump();
    }
    if (fatal == 0) EXPECT_EQ(o.log->checkpoint().code(), Code::kIo) << c.path_part;
    EXPECT_EQ(fatal, 1) << c.path_part;
    EXPECT_EQ(o.log->checkpoint().code(), Code::kIo) << c.path_part;
    EXPECT_EQ(o.append("y").code(), Code::kIo) << c.path_part;
  }
}

TEST(Log, ALargeAppendWaitsForTheSyncOfWhatIsBelowIt) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  TopicOptions topic;
  topic.segment_bytes = 16u << 10;
  ASSERT_TRUE(o.log->create_partitions({{kPlain, "plain", topic}}).ok());
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(o.append(std::string(10'000, 'x')).ok());
    o.log->pump();
  }
  std::mutex mutex;
  std::condition_variable wake;
  bool syncing = false;
  bool early = false;
  std::thread other;
  std::atomic<bool> committed{false};
  o.fs.observe([&](std::uint64_t, store::Operation operation, const std::string& path) {
    if (operation != store::Operation::kSync) return;
    std::unique_lock lock(mutex);
    if (path == "/log/journal") {
      early = syncing;
      wake.notify_all();
    } else if (path.ends_with("/00000000000000000000.log") && !other.joinable()) {
      syncing = true;
      other = std::thread([&] {
        EXPECT_TRUE(o.log
                        ->append(kPlain, batch(std::string(50'000, 'l')), Epoch(0),
                                 [&](AppendOutcome what) { committed = what == AppendOutcome::kCommitted; })
                        .ok());
        o.log->lead();
      });
      // It must not come; a log that is wrong has it come at once.
      wake.wait_for(lock, std::chrono::milliseconds(200), [&] { return early; });
      syncing = false;
    }
  });
  EXPECT_TRUE(o.log->checkpoint().ok());
  ASSERT_TRUE(other.joinable());
  other.join();
  o.fs.observe(nullptr);
  EXPECT_FALSE(early) << "acknowledged before the first segment was synced";
  EXPECT_TRUE(committed);
}

TEST(LogDeathTest, WithoutAHandlerTheProcessAborts) {
  Opened o;
  o.options.fatal = nullptr;
  ASSERT_TRUE(o.open().ok());
  EXPECT_DEATH(
      {
        o.fs.fail_next(store::Operation::kSync, "journal", store::Fault::kIo);
        o.append("x").ignore("test");
        o.log->lead();
      },
      "never retried");
}

TEST(Log, AFullDiskRefusesWritesServesReadsAndGoesOnByItself) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  std::size_t taken = 0;
  std::size_t told = 0;
  const auto append = [&] {
    return o.log->append(kPlain, batch(std::string(3000, 'd')), Epoch(0),
                         [&](AppendOutcome what) { told += what == AppendOutcome::kCommitted ? 1 : 0; });
  };
  for (int i = 0; i < 3; ++i, ++taken) ASSERT_TRUE(append().ok());
  o.log->pump();
  o.fs.set_capacity(o.fs.bytes() + 20'000);
  Status refused;
  for (int i = 0; i < 1000 && refused.ok(); ++i) {
    refused = append().status();
    if (refused.ok()) ++taken;
    o.log->pump();
  }
  EXPECT_EQ(refused.code(), Code::kDiskFull) << refused.to_string();
  EXPECT_TRUE(o.log->metrics().disk_full);
  EXPECT_EQ(told, taken) << "what was taken was committed: the journal had room for it";
  EXPECT_EQ(o.values().size(), taken) << "reads go on";
  // A crash meanwhile loses nothing.
  auto copy = o.fs.clone();
  copy->crash(Survival::kNothing);
  copy->set_capacity(std::nullopt);
  {
    auto again = Log::open(*copy, o.clock, o.options);
    ASSERT_TRUE(again.ok()) << again.status().to_string();
    EXPECT_EQ((*again)->describe(kPlain)->end.value(), static_cast<std::int64_t>(taken));
  }
  o.fs.set_capacity(std::nullopt);
  o.log->pump();
  o.log->pump();
  EXPECT_FALSE(o.log->metrics().disk_full);
  ASSERT_TRUE(append().ok());
  o.log->pump();
  EXPECT_EQ(told, taken + 1);
}

TEST(Log, AStartOnAFullDiskServesTheJournalFromMemoryAndGoesOnByItself) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  std::vector<std::string> written;
  for (int i = 0; i < 40; ++i) {
    written.push_back(std::to_string(i) + std::string(3000, 'd'));
    ASSERT_TRUE(o.append(written.back()).ok());
    o.log->lead();  // committed, not in the segment
  }
  auto disk = o.fs.clone();
  disk->set_capacity(disk->bytes());
  for (int life = 0; life < 3; ++life) {
    auto log = Log::open(*disk, o.clock, o.options);
    ASSERT_TRUE(log.ok()) << log.status().to_string();
    EXPECT_TRUE((*log)->metrics().disk_full);
    EXPECT_EQ((*log)->recovery().commits_replayed, 40u) << "the journal is kept";
    EXPECT_FALSE((*log)->recovery().warnings.empty());
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(values_of(**log), written);
      (*log)->pump();
      EXPECT_TRUE((*log)->metrics().disk_full);
    }
    EXPECT_EQ((*log)->append(kPlain, batch(std::string(200'000, 'x')), Epoch(0), nullptr).code(),
              Code::kDiskFull);
    auto killed = disk->clone();
    if (life == 2) {
      disk->set_capacity(std::nullopt);
      (*log)->pump();
      (*log)->pump();
      EXPECT_FALSE((*log)->metrics().disk_full);
      ASSERT_TRUE((*log)->append(kPlain, batch("more"), Epoch(0), nullptr).ok());
      (*log)->pump();
      written.emplace_back("more");
      ASSERT_TRUE((*log)->checkpoint().ok());
      EXPECT_EQ(values_of(**log), written);
      killed = disk->clone();
    }
    log = fail(Code::kCancelled);
    disk = std::move(killed);
  }
  auto log = Log::open(*disk, o.clock, o.options);
  ASSERT_TRUE(log.ok()) << log.status().to_string();
  EXPECT_EQ((*log)->recovery().commits_replayed, 0u);
  EXPECT_EQ(values_of(**log), written);
}

// The journal says that it is cut where memory, not a segment, has it.
TEST(Log, WhatAFullDiskKeptInMemoryIsCutByALaterRecord) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  const auto append = [&](char value) {
    ASSERT_TRUE(o.append(std::string(5000, value)).ok());
    o.log->lead();
  };
  for (const char value : {'a', 'b', 'c', 'd'}) append(value);
  ASSERT_TRUE(o.log->truncate(kPlain, Offset(2)).ok());
  for (const char value : {'e', 'f'}) append(value);
  ASSERT_TRUE(o.log->advance_start(kPlain, Offset(1)).ok());
  const std::vector<std::string> expected{std::string(5000, 'b'), std::string(5000, 'e'),
                                          std::string(5000, 'f')};
  for (std::uint64_t room = 0; room < 30'000; room += 2500) {
    auto disk = o.fs.clone();
    disk->crash(Survival::kNothing);
    ASSERT_TRUE(disk->remove("/log/reserve").ok());  // given back before, and used
    disk->set_capacity(disk->bytes() + room);
    auto log = Log::open(*disk, o.clock, o.options);
    ASSERT_TRUE(log.ok()) << room << ": " << log.status().to_string();
    EXPECT_EQ(values_of(**log), expected) << room;
    disk->set_capacity(std::nullopt);
    ASSERT_TRUE((*log)->checkpoint().ok());
    EXPECT_EQ(values_of(**log), expected) << room;
  }
}

TEST(Log, ATimeIsFoundInSegmentsAndBehindThem) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  EXPECT_EQ(o.log->find_time(kPlain, Timestamp(std::chrono::milliseconds(0)))->value(), 0);
  const auto append_at = [&](std::int64_t ms) {
    BatchBuilder builder;
    builder.add(Timestamp(std::chrono::milliseconds(ms)), "key", "value");
    ASSERT_TRUE(o.log->append(kPlain, builder.seal(Offset(0), Epoch(0)), Epoch(0), nullptr).ok());
  };
  for (int i = 0; i < 100; ++i) append_at(1000 + 10 * i);
  while (o.log->pump()) {
  }
  for (int i = 100; i < 120; ++i) append_at(1000 + 10 * i);
  EXPECT_TRUE(o.log->lead());  // committed, and not yet in a segment
  const auto found = [&](std::int64_t ms) {
    return o.log->find_time(kPlain, Timestamp(std::chrono::milliseconds(ms)))->value();
  };
  EXPECT_EQ(found(0), 0);
  EXPECT_EQ(found(1500), 50);
  EXPECT_EQ(found(1501), 51);
  EXPECT_LE(found(2100), 110);  // never behind the record that is meant
  EXPECT_GE(found(2100), 100);  // nor far before it
  EXPECT_LE(found(9999), 120);
  // The files below the start stay until the next checkpoint, and are not looked at any more.
  ASSERT_TRUE(o.log->advance_start(kPlain, Offset(60)).ok());
  EXPECT_EQ(found(0), 60);
  EXPECT_EQ(found(1500), 60);
  EXPECT_EQ(found(1700), 70);
  EXPECT_EQ((*o.log->find_max_time(kPlain))->offset.value(), 119);
  ASSERT_TRUE(o.log->advance_start(kPlain, Offset(120)).ok());
  EXPECT_EQ(found(0), 120);
  EXPECT_FALSE(o.log->find_max_time(kPlain)->has_value());
  EXPECT_EQ(o.log->find_time({TopicId(99), PartitionIndex(0)}, Timestamp()).code(), Code::kNotFound);
}

TEST(Log, TheLargestTimeIsOfACommittedBatch) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.append("first").ok());
  ASSERT_TRUE(o.log->pump());
  BatchBuilder builder;
  builder.add(Timestamp(std::chrono::milliseconds(2000)), "key", std::string(50'000, 'l'));
  o.fs.fail_next(store::Operation::kWrite, "journal", store::Fault::kDiskFull);
  ASSERT_TRUE(o.log->append(kPlain, builder.seal(Offset(0), Epoch(0)), Epoch(0), nullptr).ok());
  o.log->lead();
  ASSERT_EQ(o.log->ends(kPlain)->end, Offset(1)) << "it is in its segment, but not in the journal";
  const auto most = o.log->find_max_time(kPlain);
  ASSERT_TRUE(most.ok() && most->has_value());
  EXPECT_EQ((*most)->offset, Offset(0));
  while (o.log->pump()) {
  }
  EXPECT_EQ((*o.log->find_max_time(kPlain))->offset, Offset(1));
}

TEST(Log, BytesInFlightAreBounded) {
  Opened o;
  o.options.bytes_in_flight_max = 10'000;
  ASSERT_TRUE(o.open().ok());
  Status s;
  int taken = 0;
  int crowded_at = 0;
  for (; taken < 100 && s.ok(); ++taken) {
    s = o.append(std::string(1000, 'q'));
    if (crowded_at == 0 && o.log->crowded()) crowded_at = taken + 1;
  }
  EXPECT_EQ(s.code(), Code::kOverloaded);
  EXPECT_LT(taken, 12);
  EXPECT_TRUE(crowded_at > 3 && crowded_at < taken)
      << "it is told before appends are refused: " << crowded_at;
  while (o.log->pump()) {
  }
  EXPECT_FALSE(o.log->crowded());
  EXPECT_EQ(o.log->metrics().bytes_in_flight, 0u);
  EXPECT_TRUE(o.append("again").ok());
}

TEST(Log, ALargeBatchGoesToItsSegmentAndNotThroughTheJournal) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.append("before").ok());
  ASSERT_TRUE(o.append(std::string(100'000, 'L')).ok());
  ASSERT_TRUE(o.append("after").ok());
  o.log->lead();
  EXPECT_LE(o.log->metrics().bytes_journaled, 3u * 4096);
  EXPECT_EQ(o.values().size(), 3u);
  o.fs.fail_at(o.fs.operations() + 1, store::Fault::kCrash);
  o.log.reset();
  o.fs.crash(Survival::kNothing);
  ASSERT_TRUE(o.open().ok());
  const auto values = o.values();
  ASSERT_EQ(values.size(), 3u);
  EXPECT_EQ(values[0], "before");
  EXPECT_EQ(values[1].size(), 100'000u);
  EXPECT_EQ(values[2], "after");
}

TEST(Log, ABatchWhoseOwnerLetsItIsNotCopiedAndIsLetGoOnceItIsInItsSegment) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  // Two batches of one owner, as two partitions of one request are; and one that is copied, being small.
  const std::string first = batch(std::string(6000, 'a'));
  const std::string second = batch(std::string(5000, 'b'));
  const std::string small = batch("c");
  auto owner = std::make_shared<std::string>(first + second + small);
  const std::weak_ptr<std::string> held = owner;
  std::size_t at = 0;
  for (const std::size_t size : {first.size(), second.size(), small.size()}) {
    const std::shared_ptr<char> bytes(owner, owner->data() + at);
    const auto appended = o.log->append(kPlain, {bytes.get(), size}, Epoch(3), nullptr, {.owned = bytes});
    ASSERT_TRUE(appended.ok()) << appended.status().to_string();
    at += size;
  }
  EXPECT_GE(o.log->metrics().bytes_in_flight, at) << "what is not copied counts as well";
  owner.reset();
  EXPECT_FALSE(held.expired());
  o.log->lead();
  const std::vector<std::string> expected{std::string(6000, 'a'), std::string(5000, 'b'), "c"};
  EXPECT_EQ(o.values(), expected);
  EXPECT_EQ(o.log->describe(kPlain)->end, Offset(3));
  // From the journal alone.
  o.fs.fail_at(o.fs.operations() + 1, store::Fault::kCrash);
  o.log.reset();
  EXPECT_TRUE(held.expired());
  o.fs.crash(Survival::kNothing);
  ASSERT_TRUE(o.open().ok());
  EXPECT_EQ(o.values(), expected);
  while (o.log->pump()) {
  }
  EXPECT_EQ(o.values(), expected) << "from the segment";
}

TEST(Log, WhoSaysThatItLeadsIsCommittedByWhoeverHasTheLock) {
  FaultFileSystem fs;
  SystemClock clock;
  LogOptions options = small();
  options.threads = LogThreads::kBackground;
  auto log = std::move(Log::open(fs, clock, options)).value();
  ASSERT_TRUE(log->create_partition({TopicId(7), PartitionIndex(0)}, "plain").ok());
  std::atomic<bool> over{false};
  std::thread others([&] {  // has the commits' lock often, for something else
    while (!over.load())
      log->truncate({TopicId(7), PartitionIndex(0)}, Offset(1 << 20))
          .status()
          .ignore("only its lock matters");
  });
  int committed = 0;
  for (int i = 0; i < 3000; ++i) {
    std::atomic<bool> done{false};
    const auto at = log->append({TopicId(7), PartitionIndex(0)}, batch(std::to_string(i)), Epoch(0),
                                [&](AppendOutcome) { done.store(true); }, {.leads = true});
    ASSERT_TRUE(at.ok()) << at.status().to_string();
    log->lead();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done.load() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    ASSERT_TRUE(done.load()) << "append " << i << " is not committed";
    ++committed;
  }
  over.store(true);
  others.join();
  EXPECT_EQ(committed, 3000);
}

TEST(Log, WhoLeadsLeavesALargeCommitToTheJournalsThread) {
  FaultFileSystem fs;
  SystemClock clock;
  LogOptions options = small();
  options.journal_bytes = options.journal_initial_bytes = 4u << 20;
  options.threads = LogThreads::kBackground;
  auto log = std::move(Log::open(fs, clock, options)).value();
  ASSERT_TRUE(log->create_partition(kPlain, "plain").ok());
  const std::string part = batch(std::string(40'000, 'x'));
  constexpr int kRounds = 20;
  int left_to_it =
      0;  // not always: that thread may be awake from the round before, and take a part by itself
  for (int round = 0; round < kRounds; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> done{0};
    int appended = 0;
    for (std::uint64_t bytes = 0; bytes <= Log::kLeadBytesMax; bytes += part.size(), ++appended) {
      const auto at = log->append(kPlain, part, Epoch(0), [&](AppendOutcome) { ++done; }, {.leads = true});
      ASSERT_TRUE(at.ok()) << at.status().to_string();
    }
    left_to_it += log->lead() ? 0 : 1;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (done.load() < appended && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    ASSERT_EQ(done.load(), appended) << "nobody committed round " << round;
  }
  EXPECT_GT(left_to_it, kRounds / 2);
}

TEST(Log, TopicsAreMadeNamedAndDeleted) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  EXPECT_EQ(o.log->create_partition({TopicId(8), PartitionIndex(0)}, "no/slash").code(),
            Code::kInvalidArgument);
  EXPECT_EQ(o.log->create_partition({TopicId(8), PartitionIndex(0)}, "plain").code(), Code::kAlreadyExists);
  EXPECT_EQ(o.log->create_partition({TopicId(7), PartitionIndex(1)}, "other").code(), Code::kAlreadyExists);
  EXPECT_EQ(o.log->append({TopicId(9), PartitionIndex(0)}, batch("x"), Epoch(0), nullptr).code(),
            Code::kNotFound);
  ASSERT_TRUE(o.append("x").ok());
  ASSERT_TRUE(o.log->delete_topic(TopicId(7)).ok());
  EXPECT_EQ(o.append("y").code(), Code::kNotFound);
  EXPECT_FALSE(o.fs.exists("/log/topics/plain-0"));
  EXPECT_EQ(o.log->create_partition(kPlain, "plain").code(), Code::kInvalidArgument)
      << "ids are never used again";
  ASSERT_TRUE(o.log->create_partition({TopicId(8), PartitionIndex(0)}, "plain").ok()) << "names are";
  EXPECT_EQ(o.log->partitions().size(), 1u);
}

TEST(Log, ARegionsPartitionsTakeNoOtherAppend) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  ASSERT_TRUE(o.create_region().ok());
  auto region = o.log->region_log(kRegion);
  EXPECT_EQ(o.log->append(kRegion.messages, batch("x"), Epoch(0), nullptr).code(), Code::kFailedPrecondition);
}

TEST(Log, RetentionGoesBySizeAndNeverPastWhatARegionApplied) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  TopicOptions keep_little;
  keep_little.segment_bytes = 2000;
  keep_little.retention_bytes = 4000;
  ASSERT_TRUE(o.log
                  ->create_partitions({{kRegion.messages, "g.messages", keep_little},
                                       {kRegion.changes, "g.changes", keep_little},
                                       {kRegion.dead, "g.dead", keep_little}})
                  .ok());
  auto region = std::move(o.log->region_log(kRegion)).value();
  ASSERT_TRUE(region->open(Epoch(1)).ok());
  const auto turns = [&](int count) {
    for (int i = 0; i < count; ++i) {
      BatchBuilder messages;
      BatchBuilder changes;
      messages.add(o.clock.now(), "k", std::string(500, 'm'));
      changes.add(o.clock.now(), "k", std::string(500, 'c'));
      ASSERT_TRUE(region->append(Epoch(1), {&messages, &changes, nullptr}, nullptr).ok());
      o.log->pump();
    }
    o.clock.advance(std::chrono::seconds(10));
    o.log->pump();
    o.log->pump();
  };
  turns(30);
  EXPECT_EQ(region->start(Stream::kMessages), Offset(0)) << "nothing was applied yet";
  region->set_applied(Offset(20), Offset(20));
  turns(1);
  EXPECT_GT(region->start(Stream::kMessages), Offset(0));
  EXPECT_LE(region->start(Stream::kMessages), Offset(20));
  EXPECT_EQ(region->start(Stream::kChanges), Offset(0)) << "state is compacted, never dropped by age or size";
  ASSERT_TRUE(o.log->checkpoint().ok());
  EXPECT_LT(o.log->describe(kRegion.messages)->segments, o.log->describe(kRegion.changes)->segments);
}

TEST(Log, TheLongestRetentionKeepsForEver) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  constexpr TopicPartition kKept{TopicId(50), PartitionIndex(0)};
  TopicOptions topic;
  topic.segment_bytes = 2000;
  topic.segment_age = topic.delete_retention = topic.min_compaction_lag = std::chrono::milliseconds::max();
  topic.retention_age = topic.max_compaction_lag = std::chrono::milliseconds::max();
  ASSERT_TRUE(o.log->create_partition(kKept, "kept", topic).ok());
  const auto fill = [&] {
    for (int i = 0; i < 30; ++i) {
      BatchBuilder builder;
      builder.add(o.clock.now(), "k", std::string(500, 'm'));
      ASSERT_TRUE(o.log->append(kKept, builder.seal(Offset(0), Epoch(1)), Epoch(1), nullptr).ok());
      o.log->pump();
    }
    o.clock.advance(std::chrono::hours(24 * 365));
    while (o.log->pump()) {
    }
  };
  fill();
  ASSERT_GT(o.log->describe(kKept)->segments, 2u);
  EXPECT_EQ(o.log->ends(kKept)->start, Offset(0));
  topic.cleanup_compact = true;
  ASSERT_TRUE(o.log->create_partition(kKept, "kept", topic).ok());
  EXPECT_FALSE(o.log->clean()) << "nothing is ever as old as the longest lag";
  topic.retention_age = std::chrono::hours(1);
  ASSERT_TRUE(o.log->create_partition(kKept, "kept", topic).ok());
  fill();
  EXPECT_GT(o.log->ends(kKept)->start, Offset(0));
}

TEST(Log, ManyThreadsShareCommitsAndEachKeepsItsOrder) {
  FaultFileSystem fs;
  SystemClock clock;
  LogOptions options = small();
  options.threads = LogThreads::kBackground;
  auto log = std::move(Log::open(fs, clock, options)).value();
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  for (int t = 0; t < kThreads; ++t)
    ASSERT_TRUE(log->create_partition({TopicId(7), PartitionIndex(t)}, "plain").ok());
  std::atomic<int> committed{0};
  std::atomic<int> disorder{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      auto last = std::make_shared<std::int64_t>(-1);
      for (int i = 0; i < kEach; ++i) {
        for (;;) {
          auto at = log->append({TopicId(7), PartitionIndex(t)}, batch(std::to_string(i)), Epoch(0),
                                [&, last, i](AppendOutcome what) {
                                  committed += what == AppendOutcome::kCommitted ? 1 : 0;
                                  disorder += *last + 1 == i ? 0 : 1;
                                  *last = i;
                                });
          if (at.ok()) break;
          ASSERT_EQ(at.code(), Code::kOverloaded) << at.status().to_string();
          std::this_thread::yield();
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(log->drain().ok());
  EXPECT_EQ(committed, kThreads * kEach);
  EXPECT_EQ(disorder, 0);
  for (int t = 0; t < kThreads; ++t)
    EXPECT_EQ(log->describe({TopicId(7), PartitionIndex(t)})->end, Offset(kEach));
  EXPECT_LT(log->metrics().commits, static_cast<std::uint64_t>(kThreads * kEach));
  EXPECT_TRUE(log->close().ok());
  log.reset();
  log = std::move(Log::open(fs, clock, options)).value();
  for (int t = 0; t < kThreads; ++t)
    EXPECT_EQ(log->describe({TopicId(7), PartitionIndex(t)})->end, Offset(kEach));
}

TEST(Log, AThreadThatLeadsTakesNobodysWakeUpAway) {
  FaultFileSystem fs;
  SystemClock clock;
  LogOptions options = small();
  options.threads = LogThreads::kBackground;
  auto log = std::move(Log::open(fs, clock, options)).value();
  ASSERT_TRUE(log->create_partition({TopicId(7), PartitionIndex(0)}, "plain").ok());
  std::atomic<bool> over{false};
  std::thread leader([&] {
    while (!over.load()) log->lead();
  });
  // Each append waits for the one before: when a wake-up is lost while nobody leads, nothing moves again.
  std::atomic<int> committed{0};
  for (int i = 0; i < 3000; ++i) {
    const auto at = log->append({TopicId(7), PartitionIndex(0)}, batch(std::to_string(i)), Epoch(0),
                                [&](AppendOutcome) { ++committed; });
    ASSERT_TRUE(at.ok()) << at.status().to_string();
    while (committed.load() <= i) std::this_thread::yield();
  }
  over.store(true);
  leader.join();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  ASSERT_TRUE(log->append({TopicId(7), PartitionIndex(0)}, batch("alone"), Epoch(0),
                          [&](AppendOutcome) { ++committed; })
                  .ok());
  while (committed.load() <= 3000 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(committed.load(), 3001) << "the journal's thread sleeps through an append";
}

TEST(Log, NothingGoesByAgeOrSizeFromATopicThatOnlyCompacts) {
  Opened o;
  ASSERT_TRUE(o.open().ok());
  TopicOptions options;
  options.segment_bytes = 1000;
  options.retention_bytes = 1000;
  options.retention_age = std::chrono::milliseconds(1);
  options.cleanup_delete = false;
  ASSERT_TRUE(o.log->create_partition(kPlain, "plain", options).ok());
  const auto round = [&] {
    ASSERT_TRUE(o.log->append(kPlain, batch(std::string(500, 'v')), Epoch(0), nullptr).ok());
    o.log->pump();
    o.clock.advance(std::chrono::seconds(10));
    o.log->pump();
    o.log->pump();
  };
  for (int i = 0; i < 10; ++i) round();
  EXPECT_EQ(o.log->ends(kPlain)->start, Offset(0));
  options.cleanup_delete = true;
  ASSERT_TRUE(o.log->create_partition(kPlain, "plain", options).ok());
  for (int i = 0; i < 2; ++i) round();
  EXPECT_GT(o.log->ends(kPlain)->start, Offset(5));
}

}  // namespace
}  // namespace afdg::log
