#include "log/producers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <string>

#include "base/codec.h"

namespace afdg::log {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
namespace at = batch_layout;

constexpr std::int32_t kLastSequence = std::numeric_limits<std::int32_t>::max();
const Timestamp kNow{std::chrono::milliseconds(1000000)};

struct Header {
  std::int64_t id = 7;
  std::int16_t epoch = 0;
  std::int32_t sequence = 0;
  std::int32_t count = 1;
};

/// The header of a batch.
std::string bytes_of(const Header& h) {
  std::string out(at::kHeaderBytes, '\0');
  store_be64(out.data() + at::kProducerId, static_cast<std::uint64_t>(h.id));
  store_be16(out.data() + at::kProducerEpoch, static_cast<std::uint16_t>(h.epoch));
  store_be32(out.data() + at::kBaseSequence, static_cast<std::uint32_t>(h.sequence));
  store_be32(out.data() + at::kLastOffsetDelta, static_cast<std::uint32_t>(h.count - 1));
  store_be64(out.data() + at::kMaxTimestamp, 5000);
  return out;
}

/// A partition's producers, and the offset that its next batch gets.
struct Part {
  ProducersOptions options;
  ProducerBudget budget{100};
  Producers producers{options, budget};
  Offset next{0};
  Offset committed{0};

  explicit Part(ProducersOptions o = {}, std::size_t budget_max = 100)
      : options(o), budget(budget_max), producers(options, budget) {}
  /// "ok", "dup OFFSET" or the code's name; what passes is added.
  std::string send(const Header& h, Timestamp now = kNow) {
    const std::string bytes = bytes_of(h);
    const BatchView header = BatchView::header(bytes);
    const auto stored = producers.check(header, now);
    if (!stored.ok()) return std::string(code_name(stored.code()));
    if (*stored) return "dup " + std::to_string((*stored)->value());
    producers.add(header, next, committed, now);
    next = next + h.count;
    return "ok";
  }
};

TEST(Producers, TakesBatchesInTheirOrder) {
  Part p;
  EXPECT_EQ(p.send({.sequence = 0, .count = 3}), "ok");
  EXPECT_EQ(p.send({.sequence = 3, .count = 1}), "ok");
  EXPECT_EQ(p.send({.sequence = 5, .count = 1}), "kOutOfOrderSequence");
  EXPECT_EQ(p.send({.sequence = 4, .count = 2}), "ok");
  EXPECT_EQ(p.send({.id = 8, .sequence = 0}), "ok");
  EXPECT_EQ(p.producers.size(), 2u);
  EXPECT_EQ(p.producers.find(7)->last_sequence, 5);
  EXPECT_EQ(p.producers.find(7)->last_base, Offset(4));
  EXPECT_EQ(p.producers.find(7)->last_timestamp.time_since_epoch().count(), 5000);
}

TEST(Producers, ARepeatOfTheLastFiveIsKnown) {
  Part p;
  for (int i = 0; i < 7; ++i) ASSERT_EQ(p.send({.sequence = i * 2, .count = 2}), "ok");
  for (int i = 2; i < 7; ++i)
    EXPECT_EQ(p.send({.sequence = i * 2, .count = 2}), "dup " + std::to_string(i * 2));
  EXPECT_EQ(p.send({.sequence = 2, .count = 2}), "kOutOfOrderSequence");
  EXPECT_EQ(p.send({.sequence = 12, .count = 1}), "kOutOfOrderSequence")
      << "another batch with that sequence";
  EXPECT_EQ(p.send({.sequence = 10, .count = 4}), "kOutOfOrderSequence");
  EXPECT_EQ(p.send({.sequence = 14, .count = 2}), "ok") << "none of it changed anything";
}

TEST(Producers, SequencesWrapAfterTheLargest) {
  Part p;
  EXPECT_EQ(advance_sequence(kLastSequence, 1), 0);
  EXPECT_EQ(advance_sequence(kLastSequence - 1, 3), 1);
  EXPECT_EQ(p.send({.sequence = kLastSequence - 1, .count = 1}), "ok");
  EXPECT_EQ(p.send({.sequence = kLastSequence, .count = 1}), "ok");
  EXPECT_EQ(p.send({.sequence = 0, .count = 1}), "ok");
  Part q;
  EXPECT_EQ(q.send({.sequence = kLastSequence - 1, .count = 4}), "ok");  // up to sequence 1
  EXPECT_EQ(q.send({.sequence = kLastSequence - 1, .count = 4}), "dup 0");
  EXPECT_EQ(q.send({.sequence = 3, .count = 1}), "kOutOfOrderSequence");
  EXPECT_EQ(q.send({.sequence = 2, .count = 1}), "ok");
}

TEST(Producers, ANewEpochBeginsAtZeroAndFencesTheOlder) {
  Part p;
  EXPECT_EQ(p.send({.epoch = 3, .sequence = 0}), "ok");
  EXPECT_EQ(p.send({.epoch = 4, .sequence = 1}), "kOutOfOrderSequence");
  EXPECT_EQ(p.send({.epoch = 3, .sequence = 1}), "ok");
  EXPECT_EQ(p.send({.epoch = 6, .sequence = 0}), "ok");
  EXPECT_EQ(p.send({.epoch = 3, .sequence = 2}), "kProducerFenced");
  EXPECT_EQ(p.send({.epoch = 3, .sequence = 1}), "kProducerFenced") << "a repeat of an older epoch, too";
  EXPECT_EQ(p.send({.epoch = 6, .sequence = 0}), "dup 2");
  EXPECT_EQ(p.send({.epoch = 6, .sequence = 1}), "ok");
}

TEST(Producers, AnUnknownProducerMayBeginAnywhere) {
  Part p;
  EXPECT_EQ(p.send({.epoch = 9, .sequence = 4000}), "ok");
  EXPECT_EQ(p.send({.epoch = 9, .sequence = 4001}), "ok");
  EXPECT_EQ(p.send({.id = -1, .epoch = -1, .sequence = -1}), "ok");
  EXPECT_EQ(p.send({.id = -1, .epoch = -1, .sequence = -1}), "ok");
  EXPECT_EQ(p.producers.size(), 1u) << "nothing is kept of batches without a producer";
  EXPECT_EQ(p.send({.epoch = -1, .sequence = 0}), "kInvalidRecord");
  EXPECT_EQ(p.send({.epoch = 9, .sequence = -1}), "kInvalidRecord");
}

TEST(Producers, AreForgottenAfterADayOfSilence) {
  Part p;
  EXPECT_EQ(p.send({.id = 1, .sequence = 0}, kNow), "ok");
  EXPECT_EQ(p.send({.id = 2, .sequence = 0}, kNow), "ok");
  EXPECT_EQ(p.send({.id = 1, .sequence = 1}, kNow + hours(20)), "ok");
  p.producers.expire(kNow + hours(24) - std::chrono::milliseconds(1));
  EXPECT_EQ(p.producers.size(), 2u);
  p.producers.expire(kNow + hours(24));
  EXPECT_EQ(p.producers.size(), 1u);
  EXPECT_FALSE(p.producers.find(2));
  EXPECT_EQ(p.send({.id = 1, .sequence = 9}, kNow + hours(43)), "kOutOfOrderSequence");
  EXPECT_EQ(p.send({.id = 1, .sequence = 9}, kNow + hours(44)), "ok") << "check() forgets it, too";
  EXPECT_EQ(p.budget.used(), 1u);
}

TEST(Producers, ABoundRefusesUnlessSomebodyWasSilentForLong) {
  Part p({.producers_max = 3});
  for (std::int64_t id = 1; id <= 3; ++id) ASSERT_EQ(p.send({.id = id, .sequence = 0}, kNow), "ok");
  EXPECT_EQ(p.send({.id = 4, .sequence = 0}, kNow + minutes(14)), "kOverloaded");
  EXPECT_EQ(p.send({.id = 1, .sequence = 1}, kNow + minutes(14)), "ok") << "those known go on";
  EXPECT_EQ(p.send({.id = 4, .sequence = 0}, kNow + minutes(15)), "ok");
  EXPECT_FALSE(p.producers.find(2)) << "the one that was silent longest went";
  EXPECT_EQ(p.producers.size(), 3u);
  EXPECT_EQ(p.budget.used(), 3u);
}

TEST(Producers, TheNodesBudgetHoldsToo) {
  ProducerBudget budget(2);
  {
    Producers one({}, budget);
    Producers two({}, budget);
    const std::string a = bytes_of({.id = 1});
    const std::string b = bytes_of({.id = 2});
    one.add(BatchView::header(a), Offset(0), Offset(0), kNow);
    two.add(BatchView::header(a), Offset(0), Offset(0), kNow);
    EXPECT_EQ(budget.used(), 2u);
    EXPECT_EQ(two.check(BatchView::header(b), kNow).code(), Code::kOverloaded);
    ASSERT_TRUE(two.check(BatchView::header(b), kNow + hours(1)).ok());
    two.add(BatchView::header(b), Offset(1), Offset(1), kNow + hours(1));
    EXPECT_EQ(budget.used(), 2u);
    EXPECT_FALSE(two.find(1));
  }
  EXPECT_EQ(budget.used(), 0u);
}

/// What a snapshot at the committed end gives back.
std::string verdict_after(const Part& p, const Header& h) {
  Part q;
  EXPECT_EQ(q.producers.decode(p.producers.encode(p.committed)).value(), p.committed);
  q.next = q.committed = p.committed;
  return q.send(h);
}

TEST(Producers, ASnapshotGivesTheCommittedState) {
  Part p;
  for (int i = 0; i < 6; ++i) ASSERT_EQ(p.send({.sequence = i}), "ok");
  ASSERT_EQ(p.send({.id = 9, .epoch = 2, .sequence = kLastSequence}), "ok");
  p.committed = Offset(7);
  EXPECT_EQ(verdict_after(p, {.sequence = 1}), "dup 1");
  EXPECT_EQ(verdict_after(p, {.sequence = 0}), "kOutOfOrderSequence");
  EXPECT_EQ(verdict_after(p, {.sequence = 6}), "ok");
  EXPECT_EQ(verdict_after(p, {.id = 9, .epoch = 2, .sequence = 0}), "ok");
  EXPECT_EQ(verdict_after(p, {.id = 9, .epoch = 1, .sequence = 0}), "kProducerFenced");
}

TEST(Producers, WhatIsNotCommittedPushesNothingOutOfASnapshot) {
  Part p;
  for (int i = 0; i < 6; ++i) ASSERT_EQ(p.send({.sequence = i}), "ok");
  p.committed = Offset(6);
  // A newer epoch and many batches that a crash may still lose.
  for (int i = 0; i < 8; ++i) ASSERT_EQ(p.send({.epoch = 1, .sequence = i}), "ok");
  ASSERT_EQ(p.send({.id = 8}), "ok");
  for (int i = 1; i < 6; ++i) EXPECT_EQ(verdict_after(p, {.sequence = i}), "dup " + std::to_string(i));
  EXPECT_EQ(verdict_after(p, {.sequence = 6}), "ok");
  EXPECT_EQ(verdict_after(p, {.id = 8, .sequence = 77}), "ok") << "not known there";
  p.committed = Offset(15);
  EXPECT_EQ(verdict_after(p, {.sequence = 6}), "kProducerFenced");
  EXPECT_EQ(verdict_after(p, {.epoch = 1, .sequence = 3}), "dup 9");
  EXPECT_EQ(verdict_after(p, {.epoch = 1, .sequence = 2}), "kOutOfOrderSequence");
}

TEST(Producers, ASnapshotKeepsWhoWasSilentLongest) {
  Part p;
  ASSERT_EQ(p.send({.id = 1}, kNow), "ok");
  ASSERT_EQ(p.send({.id = 2}, kNow + hours(1)), "ok");
  p.committed = p.next;
  Part q;
  ASSERT_TRUE(q.producers.decode(p.producers.encode(p.committed)).ok());
  q.producers.expire(kNow + hours(24));
  EXPECT_FALSE(q.producers.find(1));
  EXPECT_TRUE(q.producers.find(2));
}

TEST(Producers, BytesOfASnapshotAreThoseOfItsPage) {
  Part p;
  ASSERT_EQ(p.send({.id = 7, .epoch = 3, .sequence = 5, .count = 2}), "ok");
  p.committed = p.next;
  const std::string bytes = p.producers.encode(p.committed);
  std::string expected;
  put_be16(expected, 1);  // version
  put_be32(expected, crc32c(std::string_view(bytes).substr(6)));
  put_be64(expected, 2);  // offset
  put_be32(expected, 1);  // producers
  put_be64(expected, 7);
  put_be16(expected, 3);
  put_be64(expected, 1000000);  // last used
  expected.push_back(1);        // batches
  put_be64(expected, 0);
  put_be64(expected, 5000);
  put_be32(expected, 5);
  put_be32(expected, 6);
  EXPECT_EQ(bytes, expected);
}

TEST(Producers, ADamagedSnapshotIsRefusedWhole) {
  Part p;
  for (int i = 0; i < 3; ++i) ASSERT_EQ(p.send({.id = i + 1}), "ok");
  p.committed = p.next;
  const std::string good = p.producers.encode(p.committed);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Part q;
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x20);
    const Code code = q.producers.decode(bad).code();
    EXPECT_TRUE(code == Code::kCorrupt || (i < 2 && code == Code::kNewerFormat)) << i;
    EXPECT_EQ(q.producers.decode(std::string_view(good).substr(0, i)).code(), Code::kCorrupt) << i;
    EXPECT_TRUE(q.producers.empty());
    EXPECT_EQ(q.budget.used(), 0u);
  }
  // Right by its CRC, and still impossible.
  const auto mended = [&](std::size_t where, char value) {
    std::string bad = good;
    bad[where] = value;
    store_be32(bad.data() + 2, crc32c(std::string_view(bad).substr(6)));
    Part q;
    return q.producers.decode(bad).code();
  };
  constexpr std::size_t kFirst = 18;                         // of the first producer
  EXPECT_EQ(mended(kFirst, '\x80'), Code::kCorrupt);         // id below zero
  EXPECT_EQ(mended(kFirst + 18, '\0'), Code::kCorrupt);      // no batch
  EXPECT_EQ(mended(kFirst + 18, '\6'), Code::kCorrupt);      // six
  EXPECT_EQ(mended(kFirst + 19 + 7, '\3'), Code::kCorrupt);  // a batch at the offset it was made at
  EXPECT_EQ(mended(17, '\2'), Code::kCorrupt);               // fewer producers than there are
  EXPECT_EQ(mended(17, '\4'), Code::kCorrupt);
  EXPECT_EQ(mended(0, '\1'), Code::kNewerFormat);
}

}  // namespace
}  // namespace afdg::log
