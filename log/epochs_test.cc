#include "log/epochs.h"

#include <gtest/gtest.h>

namespace afdg::log {
namespace {

EpochLineage sample() {
  EpochLineage lineage;
  EXPECT_TRUE(lineage.assign(Epoch(3), Offset(0)));
  EXPECT_TRUE(lineage.assign(Epoch(5), Offset(120)));
  EXPECT_TRUE(lineage.assign(Epoch(6), Offset(400)));
  return lineage;
}

TEST(EpochLineage, OnlyHigherEpochsAreNews) {
  EpochLineage lineage = sample();
  EXPECT_FALSE(lineage.assign(Epoch(6), Offset(500)));
  EXPECT_FALSE(lineage.assign(Epoch(4), Offset(500)));
  EXPECT_FALSE(lineage.assign(Epoch(-1), Offset(500)));
  EXPECT_TRUE(lineage.assign(Epoch(8), Offset(400))) << "takes the place of an epoch that wrote nothing";
  EXPECT_EQ(lineage.entries().back(), (EpochLineage::Entry{Epoch(8), Offset(400)}));
  EXPECT_EQ(lineage.entries().size(), 3u);
}

TEST(EpochLineage, EndOfAnEpoch) {
  const EpochLineage lineage = sample();
  EXPECT_EQ(lineage.end_of(Epoch(3), Offset(900))->end, Offset(120));
  EXPECT_EQ(lineage.end_of(Epoch(4), Offset(900))->epoch, Epoch(3));
  EXPECT_EQ(lineage.end_of(Epoch(4), Offset(900))->end, Offset(120));
  EXPECT_EQ(lineage.end_of(Epoch(6), Offset(900))->end, Offset(900));
  EXPECT_EQ(lineage.end_of(Epoch(9), Offset(900))->epoch, Epoch(6));
  EXPECT_EQ(lineage.end_of(Epoch(2), Offset(900))->epoch, Epoch(2));
  EXPECT_EQ(lineage.end_of(Epoch(2), Offset(900))->end, Offset(0));
  EXPECT_FALSE(EpochLineage().end_of(Epoch(2), Offset(900)).has_value());
}

TEST(EpochLineage, IsCutAtBothEnds) {
  EpochLineage lineage = sample();
  EXPECT_TRUE(lineage.truncate_to(Offset(400)));
  EXPECT_FALSE(lineage.truncate_to(Offset(400)));
  EXPECT_EQ(lineage.latest(), Epoch(5));
  EXPECT_TRUE(lineage.advance_start(Offset(130)));
  EXPECT_EQ(lineage.entries(), (std::vector<EpochLineage::Entry>{{Epoch(5), Offset(130)}}));
}

TEST(EpochLineage, WhoReadARemovedEpochToItsEndGoesOn) {
  EpochLineage lineage;
  EXPECT_TRUE(lineage.assign(Epoch(3), Offset(0)));
  EXPECT_TRUE(lineage.advance_start(Offset(50)));  // all of it was removed
  EXPECT_TRUE(lineage.assign(Epoch(5), Offset(50)));
  EXPECT_EQ(lineage.end_of(Epoch(3), Offset(60))->epoch, Epoch(3));
  EXPECT_EQ(lineage.end_of(Epoch(3), Offset(60))->end, Offset(50));
}

TEST(EpochLineage, TextIsKafkas) {
  const EpochLineage lineage = sample();
  EXPECT_EQ(lineage.encode(), "0\n3\n3 0\n5 120\n6 400\n");
  auto decoded = EpochLineage::decode(lineage.encode());
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->entries(), lineage.entries());
  EXPECT_TRUE(EpochLineage::decode("0\n0\n").ok());
}

TEST(EpochLineage, BadTextIsRefused) {
  for (const char* text :
       {"", "x\n", "0\n", "0\n1\n", "0\n1\n1\n", "0\n1\n1 2 3\n", "0\n0\n1 2\n", "0\n2\n2 0\n1 5\n",
        "0\n2\n1 5\n2 5\n", "0\n-1\n", "0\n1\n-1 5\n", "0\n4000000000\n1 1\n"})
    EXPECT_EQ(EpochLineage::decode(text).code(), Code::kCorrupt) << text;
  EXPECT_EQ(EpochLineage::decode("1\n0\n").code(), Code::kNewerFormat);
}

}  // namespace
}  // namespace afdg::log
