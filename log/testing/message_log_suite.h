#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "log/message_log.h"

/// The conformance suite of the MessageLog port: each sentence of its contract, run on every implementation.
///
///     class MyHarness { ... };   // see below
///     INSTANTIATE_TYPED_TEST_SUITE_P(MyLog, MessageLogSuite, MyHarness);
///
/// A harness is default-constructible, begins with an empty storage, and has
///     MessageLog& log();                    the present writer; after construction, reopen() and crash() not
///     yet open()ed void reopen();                        a clean stop and start over the same storage void
///     crash();                         the process dies and starts: what was not committed may be gone void
///     settle();                        returns when every append so far was completed MessageLog* rival();
///     a second writer over the same storage, as after a failover; null: not possible bool
///     set_disk_full(bool);             false: cannot be made; the test is skipped bool
///     raise_tombstone_horizon(Offset); false: as above
namespace afdg::log::testing {

struct StoredRecord {
  std::int64_t offset = 0;
  std::int64_t timestamp = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::string>> headers;
  friend bool operator==(const StoredRecord&, const StoredRecord&) = default;
};

inline Timestamp at_ms(std::int64_t ms) { return Timestamp(std::chrono::milliseconds(ms)); }

/// One read() call.
struct ReadCall {
  std::vector<StoredRecord> records;
  Offset next{0};
};

inline Result<ReadCall> read_once(MessageLog& log, Stream stream, Offset from, std::size_t bytes_max) {
  ReadCall call;
  auto next = log.read(stream, from, {bytes_max}, [&](const RecordView& r) {
    StoredRecord stored{r.offset.value(), r.timestamp.time_since_epoch().count(), {}, {}, {}};
    if (r.key) stored.key = std::string(*r.key);
    if (r.value) stored.value = std::string(*r.value);
    for (const Header& h : r.headers) stored.headers.emplace_back(std::string(h.key), std::string(h.value));
    call.records.push_back(std::move(stored));
  });
  if (!next.ok()) return next.error();
  call.next = *next;
  return call;
}

/// Everything from the start, in calls of at most `bytes_max`.
inline std::vector<StoredRecord> read_all(MessageLog& log, Stream stream, std::size_t bytes_max = 1u << 20) {
  std::vector<StoredRecord> all;
  Offset from = log.start(stream);
  while (from < log.committed_end(stream)) {
    auto call = read_once(log, stream, from, bytes_max);
    EXPECT_TRUE(call.ok()) << call.status().to_string();
    if (!call.ok()) break;
    EXPECT_GT(call->next, from) << "read() must get on";
    if (call->next <= from) break;
    from = call->next;
    all.insert(all.end(), call->records.begin(), call->records.end());
  }
  return all;
}

/// Appends made by the suite: turn n puts one record into messages and `n % 4` into changes, the last of them
/// marked.
struct TurnWriter {
  BatchBuilder messages;
  BatchBuilder changes;
  BatchBuilder dead;
  int turn = 0;

  void clear() {
    messages.clear();
    changes.clear();
    dead.clear();
  }
  void add_turn(std::size_t value_bytes = 20) {
    ++turn;
    const std::string id = std::to_string(turn);
    messages.add(at_ms(1000 + turn), "agent" + id, id + ":" + std::string(value_bytes, 'm'));
    for (int i = 0; i < turn % 4; ++i)
      changes.add(at_ms(1000 + turn), "k" + id + "." + std::to_string(i),
                  i + 1 == turn % 4 ? "end " + id : "part " + id);
    if (turn % 10 == 0) dead.add(at_ms(1000 + turn), std::nullopt, "dead " + id);
  }
  [[nodiscard]] RegionAppend parts() { return {&messages, &changes, &dead}; }
};

template <typename Harness>
class MessageLogSuite : public ::testing::Test {
 protected:
  MessageLog& log() { return harness_.log(); }
  void open(std::int32_t epoch) {
    Status s = log().open(Epoch(epoch));
    ASSERT_TRUE(s.ok()) << s.to_string();
  }
  /// Appends one turn; the outcome is put into outcomes_ at its index when it is known.
  Status append_turn(std::int32_t epoch, std::size_t value_bytes = 20) {
    writer_.clear();
    writer_.add_turn(value_bytes);
    return append(epoch);
  }
  Status append(std::int32_t epoch) {
    const std::size_t index = outcomes_->size();
    outcomes_->push_back(std::nullopt);
    Status s = log().append(Epoch(epoch), writer_.parts(),
                            [outcomes = outcomes_, order = order_, index](AppendOutcome outcome) {
                              order->push_back(index);
                              (*outcomes)[index] = outcome;
                            });
    if (!s.ok()) outcomes_->pop_back();
    return s;
  }
  void must_commit_turns(std::int32_t epoch, int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(append_turn(epoch).ok());
    harness_.settle();
    for (const auto& outcome : *outcomes_) ASSERT_EQ(outcome, AppendOutcome::kCommitted);
  }
  Harness harness_;
  TurnWriter writer_;
  // Shared with completions: those of a crashed writer may outlive a test.
  std::shared_ptr<std::vector<std::optional<AppendOutcome>>> outcomes_ = [] {
    auto v = std::make_shared<std::vector<std::optional<AppendOutcome>>>();
    v->reserve(100'000);  // completions may come from another thread while the test adds
    return v;
  }();
  std::shared_ptr<std::vector<std::size_t>> order_ = std::make_shared<std::vector<std::size_t>>();
};

TYPED_TEST_SUITE_P(MessageLogSuite);

TYPED_TEST_P(MessageLogSuite, AnEmptyLogHasNothingToRead) {
  this->open(1);
  for (Stream s : {Stream::kMessages, Stream::kChanges, Stream::kDead}) {
    EXPECT_EQ(this->log().start(s), this->log().committed_end(s));
    EXPECT_GE(this->log().next(s), this->log().committed_end(s));
    auto call = read_once(this->log(), s, this->log().start(s), 1000);
    ASSERT_TRUE(call.ok()) << call.status().to_string();
    EXPECT_TRUE(call->records.empty());
    EXPECT_EQ(call->next, this->log().committed_end(s));
  }
}

TYPED_TEST_P(MessageLogSuite, RecordsComeBackAsTheyWere) {
  this->open(1);
  auto& w = this->writer_;
  const std::array<Header, 2> headers{Header{"type", "Deposit"}, Header{"", ""}};
  w.messages.add(at_ms(1700000000123), "alice", "100", headers.data(), headers.size());
  w.messages.add(at_ms(1700000000100), std::nullopt, "no key, and an earlier time");
  w.messages.add(at_ms(1700000000200), "bob", std::nullopt);
  w.messages.add(at_ms(1700000000200), "", "");
  w.messages.add(at_ms(1700000000200), std::string(300, '\0'), std::string(70'000, '\xff'));
  const std::int64_t first = this->log().next(Stream::kMessages).value();
  ASSERT_TRUE(this->append(1).ok());
  this->harness_.settle();
  ASSERT_EQ(this->outcomes_->at(0), AppendOutcome::kCommitted);
  const std::vector<StoredRecord> all = read_all(this->log(), Stream::kMessages);
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[0], (StoredRecord{first, 1700000000123, "alice", "100", {{"type", "Deposit"}, {"", ""}}}));
  EXPECT_EQ(all[1],
            (StoredRecord{first + 1, 1700000000100, std::nullopt, "no key, and an earlier time", {}}));
  EXPECT_EQ(all[2], (StoredRecord{first + 2, 1700000000200, "bob", std::nullopt, {}}));
  EXPECT_EQ(all[3], (StoredRecord{first + 3, 1700000000200, "", "", {}}));
  EXPECT_EQ(all[4].key, std::string(300, '\0'));
  EXPECT_EQ(all[4].value, std::string(70'000, '\xff'));
}

TYPED_TEST_P(MessageLogSuite, NextIsTheOffsetThatTheNextAppendGets) {
  this->open(1);
  for (int i = 0; i < 20; ++i) {
    const Offset messages = this->log().next(Stream::kMessages);
    const Offset changes = this->log().next(Stream::kChanges);
    ASSERT_TRUE(this->append_turn(1).ok());
    this->harness_.settle();
    EXPECT_EQ(read_all(this->log(), Stream::kMessages).back().offset, messages.value());
    if (this->writer_.turn % 4 != 0) {
      EXPECT_EQ(read_all(this->log(), Stream::kChanges).back().offset,
                changes.value() + this->writer_.turn % 4 - 1);
    } else {
      EXPECT_EQ(this->log().next(Stream::kChanges), changes) << "an empty builder appends nothing";
    }
  }
}

TYPED_TEST_P(MessageLogSuite, CompletionsArriveInTheOrderOfAppends) {
  this->open(1);
  this->must_commit_turns(1, 200);
  ASSERT_EQ(this->order_->size(), 200u);
  for (std::size_t i = 0; i < 200; ++i) EXPECT_EQ(this->order_->at(i), i);
}

TYPED_TEST_P(MessageLogSuite, AnAppendIsReadableInAllItsStreams) {
  this->open(1);
  this->must_commit_turns(1, 40);
  EXPECT_EQ(read_all(this->log(), Stream::kMessages).size(), 40u);
  EXPECT_EQ(read_all(this->log(), Stream::kChanges).size(), 60u);
  EXPECT_EQ(read_all(this->log(), Stream::kDead).size(), 4u);
}

TYPED_TEST_P(MessageLogSuite, OffsetsGrowAndReadsGoOnWhereTheLastOneEnded) {
  this->open(1);
  this->must_commit_turns(1, 300);
  const auto all = read_all(this->log(), Stream::kMessages);
  ASSERT_EQ(all.size(), 300u);
  for (std::size_t i = 1; i < all.size(); ++i) ASSERT_GT(all[i].offset, all[i - 1].offset);
  EXPECT_LT(all.back().offset, this->log().committed_end(Stream::kMessages).value());
  EXPECT_EQ(read_all(this->log(), Stream::kMessages, 1), all)
      << "at least one batch is returned above the limit";
  EXPECT_EQ(read_all(this->log(), Stream::kMessages, 700), all);
  for (std::size_t i = 0; i < all.size(); i += 17) {
    auto call = read_once(this->log(), Stream::kMessages, Offset(all[i].offset), 1u << 20);
    ASSERT_TRUE(call.ok());
    ASSERT_FALSE(call->records.empty());
    EXPECT_EQ(call->records.front(), all[i]) << "reading begins at the offset, inside a batch too";
  }
}

TYPED_TEST_P(MessageLogSuite, ReadingFromInsideABatchLeavesOutWhatIsBefore) {
  this->open(1);
  for (int i = 0; i < 10; ++i) this->writer_.add_turn();
  ASSERT_TRUE(this->append(1).ok());
  this->harness_.settle();
  const auto all = read_all(this->log(), Stream::kMessages);
  ASSERT_EQ(all.size(), 10u);
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto call = read_once(this->log(), Stream::kMessages, Offset(all[i].offset), 1);
    ASSERT_TRUE(call.ok());
    EXPECT_EQ(call->records.size(), 10u - i);
    EXPECT_EQ(call->next, this->log().committed_end(Stream::kMessages));
  }
}

TYPED_TEST_P(MessageLogSuite, AReadOfChangesNeverEndsInsideATurn) {
  this->open(1);
  for (int batch = 0; batch < 50; ++batch) {
    this->writer_.clear();
    for (int i = 0; i <= batch % 5; ++i) this->writer_.add_turn();
    ASSERT_TRUE(this->append(1).ok());
  }
  this->harness_.settle();
  for (std::size_t bytes_max : {std::size_t{1}, std::size_t{100}, std::size_t{350}, std::size_t{5000}}) {
    Offset from = this->log().start(Stream::kChanges);
    while (from < this->log().committed_end(Stream::kChanges)) {
      auto call = read_once(this->log(), Stream::kChanges, from, bytes_max);
      ASSERT_TRUE(call.ok());
      ASSERT_FALSE(call->records.empty());
      EXPECT_TRUE(call->records.back().value->starts_with("end "));
      from = call->next;
    }
  }
}

TYPED_TEST_P(MessageLogSuite, OutsideOfStartAndEndIsOutOfRange) {
  this->open(1);
  this->must_commit_turns(1, 5);
  for (Stream s : {Stream::kMessages, Stream::kChanges, Stream::kDead}) {
    EXPECT_EQ(read_once(this->log(), s, this->log().committed_end(s) + 1, 100).code(), Code::kOutOfRange);
    EXPECT_EQ(read_once(this->log(), s, Offset(this->log().start(s).value() - 1), 100).code(),
              Code::kOutOfRange);
    EXPECT_TRUE(read_once(this->log(), s, this->log().committed_end(s), 100).ok());
  }
}

TYPED_TEST_P(MessageLogSuite, BuildersAreFreeOnReturn) {
  this->open(1);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(this->append_turn(1, 500).ok());
    this->writer_.clear();
    this->writer_.messages.add(at_ms(1), "x", std::string(600, '!'));
    this->writer_.clear();
  }
  this->harness_.settle();
  const auto all = read_all(this->log(), Stream::kMessages);
  ASSERT_EQ(all.size(), 50u);
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(all[static_cast<std::size_t>(i)].value, std::to_string(i + 1) + ":" + std::string(500, 'm'));
}

TYPED_TEST_P(MessageLogSuite, NothingIsReadableBeforeItIsCommitted) {
  this->open(1);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(this->append_turn(1).ok());
    const Offset end = this->log().committed_end(Stream::kMessages);
    EXPECT_LE(end, this->log().next(Stream::kMessages));
    for (const auto& r : read_all(this->log(), Stream::kMessages))
      EXPECT_LT(r.offset, this->log().committed_end(Stream::kMessages).value());
  }
  this->harness_.settle();
  EXPECT_EQ(read_all(this->log(), Stream::kMessages).size(), 100u);
}

TYPED_TEST_P(MessageLogSuite, ATooLargeBatchIsRefusedAndNothingIsTaken) {
  this->open(1);
  this->must_commit_turns(1, 3);
  std::array<Offset, kStreams> next;
  for (std::size_t s = 0; s < kStreams; ++s) next[s] = this->log().next(static_cast<Stream>(s));
  this->writer_.clear();
  this->writer_.messages.add(at_ms(5), "small", "small");
  this->writer_.changes.add(at_ms(5), "big", std::string(kBatchBytesMax + 1, 'b'));
  EXPECT_EQ(this->append(1).code(), Code::kMessageTooLarge);
  this->harness_.settle();
  EXPECT_EQ(this->order_->size(), 3u) << "its completion is not called";
  for (std::size_t s = 0; s < kStreams; ++s) EXPECT_EQ(this->log().next(static_cast<Stream>(s)), next[s]);
  this->must_commit_turns(1, 1);
  EXPECT_EQ(read_all(this->log(), Stream::kMessages).size(), 4u);
}

TYPED_TEST_P(MessageLogSuite, AFullDiskRefusesAndGoesOnWhenThereIsRoom) {
  this->open(1);
  this->must_commit_turns(1, 3);
  if (!this->harness_.set_disk_full(true)) GTEST_SKIP() << "this harness cannot fill its disk";
  EXPECT_EQ(this->append_turn(1, 100'000).code(), Code::kDiskFull);
  this->harness_.settle();
  EXPECT_EQ(this->order_->size(), 3u);
  EXPECT_EQ(read_all(this->log(), Stream::kMessages).size(), 3u) << "reads go on";
  this->harness_.set_disk_full(false);
  this->must_commit_turns(1, 2);
  EXPECT_EQ(read_all(this->log(), Stream::kMessages).size(), 5u);
}

TYPED_TEST_P(MessageLogSuite, CommittedSurvivesACleanStop) {
  this->open(1);
  this->must_commit_turns(1, 100);
  std::array<std::vector<StoredRecord>, kStreams> before;
  for (std::size_t s = 0; s < kStreams; ++s) before[s] = read_all(this->log(), static_cast<Stream>(s));
  this->harness_.reopen();
  this->open(2);
  for (std::size_t s = 0; s < kStreams; ++s)
    EXPECT_EQ(read_all(this->log(), static_cast<Stream>(s)), before[s]);
  this->must_commit_turns(2, 10);
  const auto all = read_all(this->log(), Stream::kMessages);
  ASSERT_EQ(all.size(), 110u);
  EXPECT_GT(all[100].offset, all[99].offset) << "offsets are never used again";
}

TYPED_TEST_P(MessageLogSuite, CommittedSurvivesACrash) {
  this->open(1);
  this->must_commit_turns(1, 100);
  std::array<std::vector<StoredRecord>, kStreams> before;
  for (std::size_t s = 0; s < kStreams; ++s) before[s] = read_all(this->log(), static_cast<Stream>(s));
  this->harness_.crash();
  this->open(2);
  for (std::size_t s = 0; s < kStreams; ++s)
    EXPECT_EQ(read_all(this->log(), static_cast<Stream>(s)), before[s]);
}

TYPED_TEST_P(MessageLogSuite, ACrashLeavesAPrefixOfWholeTurns) {
  this->open(1);
  this->must_commit_turns(1, 10);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(this->append_turn(1).ok());
  this->harness_.crash();
  this->open(2);
  const auto messages = read_all(this->log(), Stream::kMessages);
  ASSERT_GE(messages.size(), 10u);
  ASSERT_LE(messages.size(), 60u);
  std::size_t changes = 0;
  std::size_t dead = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(messages[i].key, "agent" + std::to_string(i + 1));
    changes += (i + 1) % 4;
    dead += (i + 1) % 10 == 0 ? 1 : 0;
  }
  EXPECT_EQ(read_all(this->log(), Stream::kChanges).size(), changes)
      << "an append is whole in its streams or in none";
  EXPECT_EQ(read_all(this->log(), Stream::kDead).size(), dead);
}

TYPED_TEST_P(MessageLogSuite, ALowerEpochCannotOpenNorAppend) {
  this->open(5);
  EXPECT_EQ(this->append_turn(4).code(), Code::kFenced) << "only the epoch that was opened appends";
  EXPECT_EQ(this->append_turn(6).code(), Code::kFenced);
  this->must_commit_turns(5, 1);
  this->harness_.reopen();
  EXPECT_EQ(this->log().open(Epoch(4)).code(), Code::kFenced);
  this->open(6);
}

TYPED_TEST_P(MessageLogSuite, AHigherEpochFencesTheWriter) {
  this->open(1);
  this->must_commit_turns(1, 10);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(this->append_turn(1).ok());
  MessageLog* rival = this->harness_.rival();
  if (rival == nullptr) GTEST_SKIP() << "this harness has one writer at a time";
  ASSERT_TRUE(rival->open(Epoch(2)).ok());
  const auto seen = read_all(*rival, Stream::kMessages);
  EXPECT_GE(seen.size(), 10u);
  // Whatever the old writer tries now never appears.
  const std::size_t before = this->outcomes_->size();
  for (int i = 0; i < 5; ++i) {
    Status s = this->append_turn(1);
    EXPECT_TRUE(s.ok() || s.code() == Code::kFenced) << s.to_string();
  }
  this->harness_.settle();
  for (std::size_t i = before; i < this->outcomes_->size(); ++i)
    EXPECT_NE(this->outcomes_->at(i), AppendOutcome::kCommitted);
  EXPECT_EQ(read_all(*rival, Stream::kMessages), seen) << "all lower epochs are decided when open() returns";
  std::size_t committed = 0;
  for (std::size_t i = 0; i < before; ++i)
    committed += this->outcomes_->at(i) == AppendOutcome::kCommitted ? 1u : 0u;
  EXPECT_LE(committed, seen.size()) << "what was answered as committed is there";
}

TYPED_TEST_P(MessageLogSuite, BelowTheTombstoneHorizonIsRebuild) {
  this->open(1);
  this->must_commit_turns(1, 40);
  const auto all = read_all(this->log(), Stream::kChanges);
  const Offset horizon(all[all.size() / 2].offset);
  if (!this->harness_.raise_tombstone_horizon(horizon)) GTEST_SKIP() << "this harness does not compact";
  EXPECT_EQ(this->log().tombstone_horizon(), horizon);
  EXPECT_EQ(read_once(this->log(), Stream::kChanges, Offset(all[1].offset), 100).code(), Code::kRebuild);
  EXPECT_TRUE(read_once(this->log(), Stream::kChanges, this->log().start(Stream::kChanges), 100).ok());
  EXPECT_TRUE(read_once(this->log(), Stream::kChanges, horizon, 100).ok());
  EXPECT_TRUE(read_once(this->log(), Stream::kMessages, Offset(1), 100).ok())
      << "only changes have a horizon";
  // A rebuild goes on in steps.
  std::vector<StoredRecord> rebuilt;
  for (Offset from = this->log().start(Stream::kChanges);
       from < this->log().committed_end(Stream::kChanges);) {
    const auto call = read_once(this->log(), Stream::kChanges, from, 100);
    ASSERT_TRUE(call.ok()) << call.status().to_string();
    rebuilt.insert(rebuilt.end(), call->records.begin(), call->records.end());
    from = call->next;
  }
  EXPECT_EQ(rebuilt, all);
}

TYPED_TEST_P(MessageLogSuite, TheStartOfMessagesNeverPassesTheAppliedOffset) {
  this->open(1);
  this->must_commit_turns(1, 40);
  const auto all = read_all(this->log(), Stream::kMessages);
  const Offset applied(all[20].offset);
  this->log().set_applied(applied, Offset(0));
  this->must_commit_turns(1, 10);
  EXPECT_LE(this->log().start(Stream::kMessages), applied);
  auto call = read_once(this->log(), Stream::kMessages, applied, 1u << 20);
  ASSERT_TRUE(call.ok());
  EXPECT_EQ(call->records.front(), all[20]);
}

TYPED_TEST_P(MessageLogSuite, RandomAppendsStopsAndCrashesKeepAPrefix) {
  const char* text = std::getenv("AFDG_SEED");
  const std::uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20260101;
  SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  std::vector<StoredRecord> known;  // committed for sure
  std::int32_t epoch = 1;
  this->open(epoch);
  for (int step = 0; step < 300; ++step) {
    const std::uint64_t dice = random.next() % 100;
    if (dice < 90) {
      this->writer_.clear();
      for (std::uint64_t i = random.next() % 4; i != ~std::uint64_t{0}; --i)
        this->writer_.add_turn(random.next() % 300);
      ASSERT_TRUE(this->append(epoch).ok());
      if (dice >= 45) continue;
      this->harness_.settle();
      known = read_all(this->log(), Stream::kMessages);
      continue;
    }
    if (dice < 95) {
      this->harness_.reopen();
    } else {
      this->harness_.crash();
    }
    this->open(++epoch);
    const auto now = read_all(this->log(), Stream::kMessages);
    ASSERT_GE(now.size(), known.size()) << "step " << step;
    ASSERT_TRUE(std::equal(known.begin(), known.end(), now.begin())) << "step " << step;
    known = now;
  }
}

REGISTER_TYPED_TEST_SUITE_P(MessageLogSuite, AnEmptyLogHasNothingToRead, RecordsComeBackAsTheyWere,
                            NextIsTheOffsetThatTheNextAppendGets, CompletionsArriveInTheOrderOfAppends,
                            AnAppendIsReadableInAllItsStreams, OffsetsGrowAndReadsGoOnWhereTheLastOneEnded,
                            ReadingFromInsideABatchLeavesOutWhatIsBefore, AReadOfChangesNeverEndsInsideATurn,
                            OutsideOfStartAndEndIsOutOfRange, BuildersAreFreeOnReturn,
                            NothingIsReadableBeforeItIsCommitted, ATooLargeBatchIsRefusedAndNothingIsTaken,
                            AFullDiskRefusesAndGoesOnWhenThereIsRoom, CommittedSurvivesACleanStop,
                            CommittedSurvivesACrash, ACrashLeavesAPrefixOfWholeTurns,
                            ALowerEpochCannotOpenNorAppend, AHigherEpochFencesTheWriter,
                            BelowTheTombstoneHorizonIsRebuild, TheStartOfMessagesNeverPassesTheAppliedOffset,
                            RandomAppendsStopsAndCrashesKeepAPrefix);

}  // namespace afdg::log::testing
