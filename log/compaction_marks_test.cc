#include "log/compaction_marks.h"

#include <gtest/gtest.h>

#include "base/codec.h"

namespace afdg::log {
namespace {

TEST(CompactionMarks, BytesAreAsTheFormatSaysAndDamageIsSeen) {
  const CompactionMarks marks{Offset(300), Offset(7)};
  const std::string bytes = encode_marks(marks);
  EXPECT_EQ(bytes.substr(0, 8), "AFDGMARK");
  EXPECT_EQ(bytes.substr(12), std::string("\0\1"
                                          "\0\0\0\0\0\0\1\x2c"
                                          "\0\0\0\0\0\0\0\7",
                                          18));
  ASSERT_TRUE(decode_marks(bytes).ok());
  EXPECT_EQ(*decode_marks(bytes), marks);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string wrong = bytes;
    wrong[i] = static_cast<char>(wrong[i] ^ 1);
    EXPECT_EQ(decode_marks(wrong).code(), Code::kCorrupt) << i;
    EXPECT_EQ(decode_marks(bytes.substr(0, i)).code(), Code::kCorrupt) << i;
  }
  EXPECT_EQ(decode_marks(encode_marks({Offset(7), Offset(8)})).code(), Code::kCorrupt);
  std::string newer = bytes;
  newer[13] = 2;
  store_be32(newer.data() + 8, crc32c(std::string_view(newer).substr(12)));
  EXPECT_EQ(decode_marks(newer).code(), Code::kNewerFormat);
}

}  // namespace
}  // namespace afdg::log
