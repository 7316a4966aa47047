#include "log/index.h"

#include <gtest/gtest.h>

#include <string>

namespace afdg::log {
namespace {

OffsetIndex sample() {
  OffsetIndex index;
  index.add({9, 100});
  index.add({19, 5000});
  index.add({40, 9000});
  return index;
}

TEST(OffsetIndex, FindsTheEntryAtOrBelow) {
  const OffsetIndex index = sample();
  EXPECT_EQ(index.at_or_below(8), nullptr);
  EXPECT_EQ(index.at_or_below(9)->position, 100);
  EXPECT_EQ(index.at_or_below(39)->position, 5000);
  EXPECT_EQ(index.at_or_below(1'000'000'000'000)->position, 9000);
  EXPECT_EQ(index.at_or_before_position(99), nullptr);
  EXPECT_EQ(index.at_or_before_position(8999)->relative, 19);
}

TEST(OffsetIndex, BytesAreKafkas) {
  const OffsetIndex index = sample();
  EXPECT_EQ(index.encode(),
            std::string("\0\0\0\x09\0\0\0\x64\0\0\0\x13\0\0\x13\x88\0\0\0\x28\0\0\x23\x28", 24));
  EXPECT_EQ(index.encode(2).size(), 8u);
  auto decoded = OffsetIndex::decode(index.encode(), 9001);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->entries(), index.entries());
}

TEST(OffsetIndex, BadBytesAreRefused) {
  const std::string good = sample().encode();
  EXPECT_EQ(OffsetIndex::decode(good, 9000).code(), Code::kCorrupt) << "points past the segment";
  EXPECT_EQ(OffsetIndex::decode(good.substr(1), 1 << 20).code(), Code::kCorrupt);
  EXPECT_EQ(OffsetIndex::decode(good + good, 1 << 20).code(), Code::kCorrupt) << "does not grow";
  EXPECT_EQ(OffsetIndex::decode(good + std::string(8, '\0'), 1 << 20).code(), Code::kCorrupt) << "a hole";
  EXPECT_EQ(OffsetIndex::decode(std::string(8, '\xff'), 1 << 20).code(), Code::kCorrupt);
  EXPECT_TRUE(OffsetIndex::decode("", 0).ok());
}

TEST(OffsetIndex, IsTruncated) {
  OffsetIndex index = sample();
  index.truncate_to(40);
  EXPECT_EQ(index.entries().size(), 2u);
  index.truncate_to(0);
  EXPECT_TRUE(index.entries().empty());
}

TEST(TimeIndex, FindsTheEntryBelow) {
  TimeIndex index;
  index.add({1000, 9});
  index.add({1000, 12});  // no later time: not an entry
  index.add({2000, 19});
  EXPECT_EQ(index.entries().size(), 2u);
  EXPECT_EQ(index.below(1000), nullptr);
  EXPECT_EQ(index.below(1001)->relative, 9);
  EXPECT_EQ(index.below(5000)->relative, 19);
  EXPECT_EQ(index.encode(), std::string("\0\0\0\0\0\0\x03\xe8\0\0\0\x09\0\0\0\0\0\0\x07\xd0\0\0\0\x13", 24));
  EXPECT_EQ(TimeIndex::decode(index.encode(), 100)->entries(), index.entries());
  EXPECT_EQ(TimeIndex::decode(index.encode(), 19).code(), Code::kCorrupt);
  EXPECT_EQ(TimeIndex::decode(index.encode() + std::string(12, '\0'), 100).code(), Code::kCorrupt);
  EXPECT_EQ(TimeIndex::decode("12345", 100).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace afdg::log
