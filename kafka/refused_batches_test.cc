#include "kafka/broker/refused_batches.h"

#include <gtest/gtest.h>

#include <limits>

namespace afdg::kafka {
namespace {

TEST(RefusedBatches, WhatComesBehindARefusedBatchWaitsForIt) {
  RefusedBatches refused;
  EXPECT_FALSE(refused.waits("t", 0, {1, 0, 6}));
  refused.add("t", 0, {1, 0, 0});
  EXPECT_TRUE(refused.waits("t", 0, {1, 0, 6}));
  refused.add("t", 0, {1, 0, 6});  // the later one was refused for that, and is not what is waited for
  EXPECT_TRUE(refused.waits("t", 0, {1, 0, 6}));
  EXPECT_FALSE(refused.waits("t", 1, {1, 0, 6})) << "another partition";
  EXPECT_FALSE(refused.waits("u", 0, {1, 0, 6})) << "another topic";
  EXPECT_FALSE(refused.waits("t", 0, {2, 0, 6})) << "another producer";
  EXPECT_FALSE(refused.waits("t", 0, {1, 0, 0})) << "the one itself";
  EXPECT_FALSE(refused.waits("t", 0, {1, 0, 6}));
  EXPECT_EQ(refused.size(), 0u);
}

TEST(RefusedBatches, ANewEpochBeginsAnew) {
  RefusedBatches refused;
  refused.add("t", 0, {1, 0, 10});
  EXPECT_FALSE(refused.waits("t", 0, {1, 1, 0}));
  EXPECT_EQ(refused.size(), 0u);
  refused.add("t", 0, {1, 1, 5});
  refused.add("t", 0, {1, 2, 0});
  EXPECT_TRUE(refused.waits("t", 0, {1, 2, 5}));
}

TEST(RefusedBatches, SequencesGoRound) {
  RefusedBatches refused;
  refused.add("t", 0, {1, 0, std::numeric_limits<std::int32_t>::max() - 2});
  EXPECT_TRUE(refused.waits("t", 0, {1, 0, 3}));
  EXPECT_FALSE(refused.waits("t", 0, {1, 0, std::numeric_limits<std::int32_t>::max() - 9}))
      << "an earlier one";
}

TEST(RefusedBatches, IsBounded) {
  RefusedBatches refused;
  for (std::int32_t i = 0; i < 5000; ++i) refused.add("t", i, {1, 0, 0});
  EXPECT_EQ(refused.size(), RefusedBatches::kMax);
  RefusedBatches named;
  named.add(std::string(250, 't'), 0, {1, 0, 0});
  EXPECT_EQ(named.size(), 0u);
  named.add(std::string(249, 't'), 0, {1, 0, 0});
  EXPECT_EQ(named.size(), 1u);
}

TEST(RefusedBatches, ReadsTheHeaderOfABatchAndNothingElse) {
  EXPECT_FALSE(batch_identity(std::string(60, 'x')).has_value());
  std::string batch(61, '\0');
  batch.replace(43, 18, std::string("\0\0\0\0\0\0\0\x07\0\x02\0\0\0\x09\0\0\0\x01", 18));
  const auto identity = batch_identity(batch);
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(identity->producer, 7);
  EXPECT_EQ(identity->epoch, 2);
  EXPECT_EQ(identity->sequence, 9);
  batch.replace(43, 8, std::string(8, '\xff'));
  EXPECT_FALSE(batch_identity(batch).has_value());
}

}  // namespace
}  // namespace afdg::kafka
