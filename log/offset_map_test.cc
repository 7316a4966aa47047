#include "log/offset_map.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace afdg::log {
namespace {

TEST(OffsetMap, HashesAsTheReferenceImplementationDoes) {
  // vectors.h of the authors: key 00 01 .. 0f, input 00 01 .. (n - 1), output as bytes, least first.
  const std::array<std::uint64_t, 2> key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::string input;
  EXPECT_EQ(siphash128(input, key), (std::array<std::uint64_t, 2>{0xe6a825ba047f81a3, 0x930255c71472f66d}));
  for (int i = 0; i < 1; ++i) input.push_back(static_cast<char>(i));
  EXPECT_EQ(siphash128(input, key), (std::array<std::uint64_t, 2>{0x44af996bd8c187da, 0x45fc229b11597634}));
  for (int i = 1; i < 8; ++i) input.push_back(static_cast<char>(i));
  EXPECT_NE(siphash128(input, key), siphash128(input.substr(0, 7), key));
}

TEST(OffsetMap, KeepsTheLastOffsetOfEachKeyAndSaysWhenItIsFull) {
  SeededRandom random(3);
  OffsetMap map(24 * 100, random);
  EXPECT_EQ(map.capacity(), 90u);
  std::map<std::string, std::int64_t> expected;
  std::int64_t offset = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string key = std::to_string(random.next() % 120);
    const bool fits = map.put(key, Offset(offset));
    EXPECT_EQ(fits, expected.contains(key) || expected.size() < 90) << key;
    if (fits) expected[key] = offset;
    ++offset;
  }
  EXPECT_EQ(map.size(), 90u);
  for (int i = 0; i < 120; ++i) {
    const std::string key = std::to_string(i);
    EXPECT_EQ(map.find(key).value(), expected.contains(key) ? expected[key] : -1);
  }
  EXPECT_EQ(map.find("").value(), -1);
}

TEST(OffsetMap, TakesOneKeyHoweverSmallItIs) {
  SeededRandom random(3);
  OffsetMap map(0, random);
  EXPECT_TRUE(map.put("a", Offset(1)));
  EXPECT_TRUE(map.put("a", Offset(2)));
  EXPECT_FALSE(map.put("b", Offset(3)));
  EXPECT_EQ(map.find("a"), Offset(2));
  EXPECT_EQ(map.find("b"), Offset(-1));
}

}  // namespace
}  // namespace afdg::log
