#include "region/producers.h"

#include <gtest/gtest.h>

#include <map>

#include "region/state_key.h"

namespace afdg::region {
namespace {

using namespace std::chrono_literals;

class ProducersTest : public ::testing::Test {
 protected:
  static Producers::Batch batch(std::int64_t id, std::int16_t epoch, std::int32_t sequence,
                                std::int32_t records = 1) {
    return {id, epoch, sequence, records};
  }
  void take(const Producers::Batch& one, Offset base = Offset(-1)) {
    ASSERT_TRUE(producers_.look(one, now_).ok());
    producers_.took(one, one.records, base, now_);
  }
  void seal() {
    producers_.seal([this](std::string_view key, std::optional<std::string_view> value) {
      if (value) {
        stored_[std::string(key)] = std::string(*value);
      } else {
        stored_.erase(std::string(key));
      }
    });
  }
  /// What a restart makes of what was stored.
  [[nodiscard]] Producers reloaded(const Producers::Options& options = {}) const {
    Producers again(options);
    for (const auto& [key, value] : stored_) EXPECT_TRUE(again.load(key, value).ok());
    return again;
  }

  Timestamp now_{1'700'000'000'000ms};
  Producers producers_{Producers::Options{.producers_max = 3}};
  std::map<std::string, std::string> stored_;
};

TEST_F(ProducersTest, KnowsTheLastFiveBatchesAlsoAfterARestart) {
  for (std::int32_t i = 0; i < 7; ++i) take(batch(7, 0, i * 10, 10), Offset(100 + i * 10));
  seal();
  const Producers again = reloaded();
  for (const Producers* known : {static_cast<const Producers*>(&producers_), &again}) {
    for (std::int32_t i = 2; i < 7; ++i) {
      const auto look = known->look(batch(7, 0, i * 10, 10), now_);
      ASSERT_TRUE(look.ok()) << look.error().text();
      EXPECT_TRUE(look->repeat);
      EXPECT_EQ(look->base, Offset(100 + i * 10));
    }
    EXPECT_EQ(known->look(batch(7, 0, 10, 10), now_).code(), Code::kOutOfOrderSequence);  // older than five
    EXPECT_EQ(known->look(batch(7, 0, 60, 9), now_).code(), Code::kOutOfOrderSequence);   // not that batch
    EXPECT_EQ(known->look(batch(7, 0, 80, 1), now_).code(), Code::kOutOfOrderSequence);   // a gap
    EXPECT_FALSE(known->look(batch(7, 0, 70, 1), now_)->repeat);
    EXPECT_FALSE(known->look(batch(8, 0, 500, 1), now_)->repeat);  // unknown: any sequence
  }
}

TEST_F(ProducersTest, ANewerEpochBeginsAtZeroAndFencesTheOlder) {
  take(batch(7, 1, 5));
  EXPECT_EQ(producers_.look(batch(7, 0, 6), now_).code(), Code::kProducerFenced);
  EXPECT_EQ(producers_.look(batch(7, 2, 6), now_).code(), Code::kOutOfOrderSequence);
  take(batch(7, 2, 0), Offset(9));
  EXPECT_EQ(producers_.look(batch(7, 1, 5), now_).code(), Code::kProducerFenced);
  EXPECT_EQ(producers_.look(batch(7, 2, 0), now_)->base, Offset(9));
}

TEST_F(ProducersTest, SequencesWrapAround) {
  take(batch(7, 0, 0x7ffffffe, 4));
  EXPECT_TRUE(producers_.look(batch(7, 0, 2), now_).ok());
  EXPECT_EQ(producers_.look(batch(7, 0, 0), now_).code(), Code::kOutOfOrderSequence);
}

TEST_F(ProducersTest, ABatchThatWasCutGoesOnWhereItWas) {
  take(batch(7, 0, 0, 10), Offset(3));
  producers_.took(batch(7, 0, 10, 400), 212, Offset(-1), now_);
  seal();
  Producers again = reloaded();
  const auto look = again.look(batch(7, 0, 10, 400), now_);
  ASSERT_TRUE(look.ok());
  EXPECT_EQ(look->taken, 212);
  EXPECT_FALSE(look->repeat);
  EXPECT_EQ(again.look(batch(7, 0, 410), now_).code(), Code::kOutOfOrderSequence);  // its rest is missing
  again.took(batch(7, 0, 10, 400), 400, Offset(-1), now_);
  EXPECT_TRUE(again.look(batch(7, 0, 10, 400), now_)->repeat);
  EXPECT_TRUE(again.look(batch(7, 0, 0, 10), now_)->repeat);
  EXPECT_TRUE(again.look(batch(7, 0, 410), now_).ok());
}

TEST_F(ProducersTest, ForgetsWhoIsSilentAndRefusesWhoFindsNoRoom) {
  for (std::int64_t id = 1; id <= 3; ++id) take(batch(id, 0, 0));
  EXPECT_EQ(producers_.look(batch(4, 0, 0), now_ + 14min).code(), Code::kOverloaded);
  EXPECT_TRUE(producers_.look(batch(3, 0, 1), now_ + 14min).ok());
  now_ += 16min;
  take(batch(2, 0, 1));
  take(batch(3, 0, 1));
  take(batch(4, 0, 0));  // in the place of 1
  seal();
  EXPECT_EQ(stored_.size(), 3U);
  EXPECT_FALSE(stored_.contains(producer_key(1)));
  now_ += 24h;
  EXPECT_FALSE(producers_.look(batch(4, 0, 0), now_)->repeat);  // forgotten, though not yet gone
  producers_.expire(now_);
  seal();
  EXPECT_TRUE(stored_.empty());
  EXPECT_EQ(producers_.size(), 0U);
}

TEST_F(ProducersTest, TheSecondBatchOfANewProducerIsNotTakenBeforeARefusedFirst) {
  const auto first = batch(7, 0, 3, 2);
  ASSERT_TRUE(producers_.look(first, now_).ok());
  producers_.refused(first, now_);
  EXPECT_EQ(producers_.look(batch(7, 0, 5), now_).code(), Code::kOutOfOrderSequence);
  seal();
  EXPECT_TRUE(stored_.empty());
  take(first, Offset(1));
  take(batch(7, 0, 5));
  EXPECT_EQ(producers_.look(first, now_)->base, Offset(1));
}

TEST_F(ProducersTest, WithoutAnIdNothingIsKept) {
  take(batch(-1, -1, -1, 5));
  EXPECT_FALSE(producers_.look(batch(-1, -1, -1, 5), now_)->repeat);
  seal();
  EXPECT_TRUE(stored_.empty());
}

// The golden bytes of docs/formats/region-state.md.
TEST_F(ProducersTest, GoldenBytes) {
  take(batch(0x0102030405060708, 2, 5, 3), Offset(300));
  seal();
  const std::string key("p\1\2\3\4\5\6\7\10", 9);
  ASSERT_TRUE(stored_.contains(key));
  EXPECT_EQ(stored_[key], std::string("\1\2\x80\xd0\x95\xff\xbc\x31\1\5\3\3\xad\2", 14));
}

TEST_F(ProducersTest, DamagedRecordsAreRefused) {
  take(batch(7, 0, 0, 10), Offset(3));
  seal();
  const std::string good = stored_.begin()->second;
  const std::string key = stored_.begin()->first;
  for (std::size_t cut = 0; cut < good.size(); ++cut) {
    EXPECT_EQ(Producers({}).load(key, good.substr(0, cut)).code(), Code::kCorrupt) << cut;
  }
  EXPECT_EQ(Producers({}).load(key, good + "x").code(), Code::kCorrupt);
  EXPECT_EQ(Producers({}).load(key.substr(1), good).code(), Code::kCorrupt);
  EXPECT_EQ(Producers({}).load(key, "\2" + good.substr(1)).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace afdg::region
