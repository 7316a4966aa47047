#include "kafka/wire.h"

#include <gtest/gtest.h>

#include <limits>

#include "kafka/testing/golden.h"

namespace afdg::kafka {
namespace {

TEST(Wire, VarintsTakeOneToFiveBytes) {
  // KIP-482: unsigned varint, 7 bits a byte, lowest first.
  const std::pair<std::uint32_t, const char*> known[] = {{0, "00"},
                                                         {127, "7f"},
                                                         {128, "8001"},
                                                         {300, "ac02"},
                                                         {16383, "ff7f"},
                                                         {16384, "808001"},
                                                         {0xffffffff, "ffffffff0f"}};
  for (const auto& [value, hex] : known) {
    Writer out;
    out.varint(value);
    EXPECT_EQ(to_hex(out.view()), hex);
    const std::string bytes = from_hex(hex);
    Reader in(bytes);
    EXPECT_EQ(in.varint(), value);
    EXPECT_FALSE(in.failed());
    EXPECT_EQ(in.left(), 0u);
  }
  for (const char* hex : {"", "80", "ffffffff1f", "ffffffffff01", "8080808080"}) {
    const std::string bytes = from_hex(hex);
    Reader in(bytes);
    EXPECT_EQ(in.varint(), 0u) << hex;
    EXPECT_TRUE(in.failed()) << hex;
  }
}

TEST(Wire, TheFirstProblemStaysAndNamesItsPlace) {
  Reader in(std::string_view("\0\1\2", 3));
  EXPECT_EQ(in.i16(), 1);
  EXPECT_EQ(in.i32(), 0);
  EXPECT_EQ(in.i8(), 0) << "nothing is read after a problem";
  EXPECT_EQ(in.problem(), "at byte 2: needs 4 bytes, but 1 are left");
}

TEST(Wire, LengthsOfBothForms) {
  for (const bool compact : {false, true})
    for (const std::int64_t size : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1}, std::int64_t{200}}) {
      Writer out;
      out.length(size, compact);
      Reader in(out.view());
      EXPECT_EQ(in.length(compact), size);
      EXPECT_FALSE(in.failed());
    }
  Writer null;
  null.null_string(false);
  null.null_string(true);
  EXPECT_EQ(to_hex(null.view()), "ffff00");
}

TEST(Wire, AStringIsCutAtTheLargestLength) {
  Writer out;
  out.string(std::string(40'000, 'x'), false);
  Reader in(out.view());
  EXPECT_EQ(in.string_length(false), 32'767);
  EXPECT_EQ(in.left(), 32'767u);
}

TEST(Wire, AnIdHasKafkasText) {
  EXPECT_EQ(Uuid().to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
  // The golden messages hold more of them.
  EXPECT_EQ((Uuid{~std::uint64_t{0}, ~std::uint64_t{0}}.to_string()), "_____________________w");
}

TEST(Writer, RecordsAreSmallCopiesOrPiecesThatAreNotCopied) {
  const std::string small(Writer::kCopiedBytesMax, 's');
  const std::string large(Writer::kCopiedBytesMax + 1, 'l');
  Writer out;
  out.begin_frame();
  out.records(std::string_view(small), false);
  out.records(std::string_view(large), false);
  out.records(Records::external(7, 5'000'000'0), false);
  out.records(Records::null(), false);
  out.records(Records(), false);
  ASSERT_TRUE(out.end_frame().ok());
  const auto pieces = out.pieces();
  ASSERT_EQ(pieces.size(), 5u);
  EXPECT_EQ(pieces[0].kind, Piece::Kind::kOwned);
  EXPECT_EQ(pieces[0].size, 4 + 4 + small.size() + 4);
  EXPECT_EQ(pieces[1].kind, Piece::Kind::kMemory);
  EXPECT_EQ(pieces[1].data, large.data());
  EXPECT_EQ(pieces[1].size, large.size());
  EXPECT_EQ(out.owned(pieces[2]), from_hex("02faf080"));
  EXPECT_EQ(pieces[3].kind, Piece::Kind::kExternal);
  EXPECT_EQ(pieces[3].source, 7u);
  EXPECT_EQ(pieces[3].size, 50'000'000u);
  EXPECT_EQ(out.owned(pieces[4]), from_hex("ffffffff00000000"));
  // The frame's size counts all of it.
  Reader in(out.owned(pieces[0]));
  EXPECT_EQ(static_cast<std::uint64_t>(in.i32()), out.size() - 4);
  EXPECT_EQ(out.size(), 4 + 4 + small.size() + 4 + large.size() + 4 + 50'000'000 + 8);
}

TEST(Writer, FramesFollowEachOtherInOnePieceWhereNothingStandsBetween) {
  Writer out;
  for (int i = 0; i < 3; ++i) {
    out.begin_frame();
    out.i32(i);
    ASSERT_TRUE(out.end_frame().ok());
  }
  ASSERT_EQ(out.pieces().size(), 1u);
  EXPECT_EQ(to_hex(out.owned(out.pieces()[0])), "000000040000000000000004000000010000000400000002");
  out.clear();
  EXPECT_EQ(out.size(), 0u);
  EXPECT_TRUE(out.pieces().empty());
}

TEST(Writer, AFrameAboveTheLimitIsTakenBackWhole) {
  Writer out;
  out.begin_frame();
  out.i32(1);
  ASSERT_TRUE(out.end_frame().ok());
  const std::string before(out.view());
  out.begin_frame();
  out.records(Records::external(0, std::numeric_limits<std::int32_t>::max()), true);
  out.i32(2);
  const Status ended = out.end_frame();
  EXPECT_EQ(ended.code(), Code::kMessageTooLarge) << ended.to_string();
  EXPECT_EQ(out.view(), before);
  EXPECT_EQ(out.size(), 8u);
  out.begin_frame();
  out.i32(3);
  ASSERT_TRUE(out.end_frame().ok());
  ASSERT_EQ(out.pieces().size(), 1u);
  EXPECT_EQ(to_hex(out.owned(out.pieces()[0])), "00000004000000010000000400000003");
}

TEST(Writer, ALengthIsPutBeforeWhatWasWritten) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{127}, std::size_t{128}, std::size_t{20'000}}) {
    Writer out;
    out.i8(9);
    const std::size_t from = out.position();
    out.bytes(std::string(size, 'x'));
    out.insert_length(from);
    out.i8(9);
    Reader in(out.view());
    EXPECT_EQ(in.i8(), 9);
    EXPECT_EQ(in.varint(), size);
    EXPECT_EQ(in.bytes(size), std::string(size, 'x'));
    EXPECT_EQ(in.i8(), 9);
    EXPECT_EQ(in.left(), 0u);
  }
}

TEST(Writer, ALargeBufferIsGivenBackAndASmallOneKept) {
  Writer out;
  out.bytes(std::string(100, 'x'));
  const char* at = out.view().data();
  out.clear();
  out.bytes("y");
  EXPECT_EQ(out.view().data(), at);
  out.bytes(std::string(2 << 20, 'x'));
  out.clear();
  EXPECT_EQ(out.view().data(), nullptr);
}

}  // namespace
}  // namespace afdg::kafka
