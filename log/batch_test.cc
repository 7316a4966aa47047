#include "log/batch.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "base/codec.h"
#include "log/message_log.h"

namespace afdg::log {
namespace {

Timestamp ms(std::int64_t v) { return Timestamp(std::chrono::milliseconds(v)); }

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out.push_back(kDigits[static_cast<unsigned char>(c) >> 4]);
    out.push_back(kDigits[static_cast<unsigned char>(c) & 15]);
  }
  return out;
}

/// Makes the CRC right again after a test changed a field.
void mend_crc(std::string& batch) {
  store_be32(batch.data() + batch_layout::kCrc,
             crc32c(std::string_view(batch).substr(batch_layout::kAttributes)));
}

std::string sample() {
  BatchBuilder builder;
  const std::array<Header, 1> headers{Header{"h", "v"}};
  builder.add(ms(1000), "k", "v0");
  builder.add(ms(1005), std::nullopt, "v1", headers.data(), 1);
  builder.add(ms(990), "k", std::nullopt);
  return std::string(builder.seal(Offset(42), Epoch(7)));
}

TEST(Batch, BytesAreThoseOfTheProtocolGuide) {
  // Each field as the protocol guide's "Record Batch" lists them, computed by hand.
  const std::string expected =
      "000000000000002a"  // baseOffset 42
      "00000050"          // batchLength: 49 + 31 bytes of records
      "00000007"          // partitionLeaderEpoch
      "02"                // magic
      "161f9256"          // crc
      "0000"              // attributes
      "00000002"          // lastOffsetDelta
      "00000000000003e8"  // baseTimestamp 1000
      "00000000000003ed"  // maxTimestamp 1005
      "ffffffffffffffff"  // producerId
      "ffff"              // producerEpoch
      "ffffffff"          // baseSequence
      "00000003"          // records
      "12"                // record 0: length 9, zigzag
      "00"
      "00"
      "00"  // attributes, timestampDelta 0, offsetDelta 0
      "02"
      "6b"  // key length 1, "k"
      "04"
      "7630"  // value length 2, "v0"
      "00"    // no headers
      "18"    // record 1: length 12
      "00"
      "0a"
      "02"  // timestampDelta 5, offsetDelta 1
      "01"  // null key
      "04"
      "7631"  // "v1"
      "02"
      "02"
      "68"
      "02"
      "76"  // one header: "h" = "v"
      "0e"  // record 2: length 7
      "00"
      "13"
      "04"  // timestampDelta -10, offsetDelta 2
      "02"
      "6b"  // "k"
      "01"  // null value
      "00";
  EXPECT_EQ(hex(sample()), expected);
}

TEST(Batch, CrcIsThatOfTheCheckValue) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);  // RFC 3720's check value
  const std::string batch = sample();
  EXPECT_EQ(load_be32(batch.data() + batch_layout::kCrc), crc32c(std::string_view(batch).substr(21)));
}

TEST(Batch, ReadsWhatItWrote) {
  const std::string bytes = sample();
  const std::string more = bytes + "more behind it";
  auto batch = BatchView::parse(more);
  ASSERT_TRUE(batch.ok()) << batch.status().to_string();
  EXPECT_EQ(batch->size(), bytes.size());
  EXPECT_EQ(batch->base(), Offset(42));
  EXPECT_EQ(batch->next(), Offset(45));
  EXPECT_EQ(batch->leader_epoch(), Epoch(7));
  EXPECT_EQ(batch->records(), 3);
  EXPECT_EQ(batch->max_timestamp(), 1005);
  EXPECT_EQ(batch->producer_id(), -1);
  EXPECT_TRUE(batch->validate(BatchOrigin::kProducer).ok());
  RecordReader reader(*batch);
  RecordView r;
  ASSERT_TRUE(reader.next(r));
  EXPECT_EQ(r.offset, Offset(42));
  EXPECT_EQ(r.key, "k");
  EXPECT_EQ(r.value, "v0");
  ASSERT_TRUE(reader.next(r));
  EXPECT_EQ(r.timestamp, ms(1005));
  EXPECT_EQ(r.key, std::nullopt);
  ASSERT_EQ(r.headers.size(), 1u);
  EXPECT_EQ(r.headers[0].key, "h");
  EXPECT_EQ(r.headers[0].value, "v");
  ASSERT_TRUE(reader.next(r));
  EXPECT_EQ(r.offset, Offset(44));
  EXPECT_EQ(r.timestamp, ms(990));
  EXPECT_EQ(r.value, std::nullopt);
  EXPECT_TRUE(r.headers.empty());
  EXPECT_FALSE(reader.next(r));
  EXPECT_TRUE(reader.status().ok());
}

TEST(Batch, StampingLeavesTheCrcValid) {
  std::string bytes = sample();
  stamp_batch(bytes.data(), Offset(1'000'000'000'000), Epoch(99));
  auto batch = BatchView::parse(bytes);
  ASSERT_TRUE(batch.ok());
  EXPECT_TRUE(batch->validate().ok());
  EXPECT_EQ(batch->last(), Offset(1'000'000'000'002));
  EXPECT_EQ(batch->leader_epoch(), Epoch(99));
}

TEST(Batch, EveryFlippedBitIsFound) {
  const std::string good = sample();
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    const std::size_t byte = bit / 8;
    const bool unprotected = byte < 8 || (byte >= batch_layout::kLeaderEpoch && byte < batch_layout::kMagic);
    if (unprotected) continue;  // base offset and leader epoch: what the leader sets
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ (1 << (bit % 8)));
    auto batch = BatchView::parse(bad);
    EXPECT_TRUE(!batch.ok() || batch->validate().code() == Code::kCorrupt) << "bit " << bit;
  }
}

TEST(Batch, EveryShorterPieceIsRefused) {
  const std::string good = sample();
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(BatchView::parse(std::string_view(good).substr(0, size)).code(), Code::kCorrupt) << size;
}

TEST(Batch, SizesAreCheckedBeforeAnythingElse) {
  std::string bytes = sample();
  EXPECT_EQ(BatchView::parse(bytes, bytes.size() - 1).code(), Code::kMessageTooLarge);
  store_be32(bytes.data() + batch_layout::kLength, 0xffffffffu);
  EXPECT_EQ(BatchView::parse(bytes).code(), Code::kCorrupt);
  store_be32(bytes.data() + batch_layout::kLength, 48);
  EXPECT_EQ(BatchView::parse(bytes).code(), Code::kCorrupt);
  store_be32(bytes.data() + batch_layout::kLength, 0x7fffffffu);
  EXPECT_EQ(BatchView::parse(bytes).code(), Code::kMessageTooLarge);
}

TEST(Batch, CountsAndCodecsMustFit) {
  const auto changed = [](std::size_t at, std::uint32_t v) {
    std::string bytes = sample();
    store_be32(bytes.data() + at, v);
    mend_crc(bytes);
    return bytes;
  };
  const auto code = [](const std::string& bytes, BatchOrigin origin) {
    auto batch = BatchView::parse(bytes);
    return batch.ok() ? batch->validate(origin).code() : batch.code();
  };
  EXPECT_EQ(code(changed(batch_layout::kRecordCount, 2), BatchOrigin::kProducer), Code::kCorrupt);
  EXPECT_EQ(code(changed(batch_layout::kRecordCount, 4), BatchOrigin::kStored), Code::kCorrupt);
  EXPECT_EQ(code(changed(batch_layout::kRecordCount, 0xffffffff), BatchOrigin::kStored), Code::kCorrupt);
  EXPECT_EQ(code(changed(batch_layout::kLastOffsetDelta, 9), BatchOrigin::kProducer), Code::kCorrupt);
  EXPECT_EQ(code(changed(batch_layout::kLastOffsetDelta, 9), BatchOrigin::kStored), Code::kOk)
      << "compaction keeps the last offset";
  EXPECT_EQ(code(changed(batch_layout::kLastOffsetDelta, 0x80000000), BatchOrigin::kStored), Code::kCorrupt);
  std::string codec = sample();
  store_be16(codec.data() + batch_layout::kAttributes, 5);
  mend_crc(codec);
  EXPECT_EQ(BatchView::parse(codec).code(), Code::kCorrupt);
  std::string control = sample();
  store_be16(control.data() + batch_layout::kAttributes, 32);
  mend_crc(control);
  EXPECT_EQ(code(control, BatchOrigin::kProducer), Code::kCorrupt);
  EXPECT_EQ(code(control, BatchOrigin::kStored), Code::kOk);
}

TEST(Batch, CompressedBatchesAreCarried) {
  std::string bytes = sample();
  store_be16(bytes.data() + batch_layout::kAttributes, 4);
  mend_crc(bytes);
  auto batch = BatchView::parse(bytes);
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->codec(), Codec::kZstd);
  EXPECT_TRUE(batch->validate(BatchOrigin::kProducer).ok());
  RecordReader reader(*batch);
  RecordView r;
  EXPECT_FALSE(reader.next(r));
  EXPECT_EQ(reader.status().code(), Code::kUnsupported);
}

TEST(Batch, LogAppendTimeCountsForEachRecord) {
  std::string bytes = sample();
  store_be16(bytes.data() + batch_layout::kAttributes, 8);
  mend_crc(bytes);
  auto batch = BatchView::parse(bytes);
  ASSERT_TRUE(batch.ok());
  RecordReader reader(*batch);
  RecordView r;
  while (reader.next(r)) EXPECT_EQ(r.timestamp, ms(1005));
}

TEST(Batch, AnEmptyStoredBatchIsLegal) {
  std::string bytes = sample().substr(0, batch_layout::kHeaderBytes);
  store_be32(bytes.data() + batch_layout::kLength, 49);
  store_be32(bytes.data() + batch_layout::kRecordCount, 0);
  mend_crc(bytes);
  auto batch = BatchView::parse(bytes);
  ASSERT_TRUE(batch.ok());
  EXPECT_TRUE(batch->validate(BatchOrigin::kStored).ok());
  EXPECT_EQ(batch->validate(BatchOrigin::kProducer).code(), Code::kCorrupt);
}

TEST(BatchBuilder, RollbackLeavesNoTrace) {
  BatchBuilder with;
  BatchBuilder without;
  for (BatchBuilder* b : {&with, &without}) b->add(ms(50), "a", "1");
  const auto savepoint = with.savepoint();
  with.add(ms(9000), "failed", "turn");
  with.add(ms(9001), "failed", "turn");
  with.rollback(savepoint);
  for (BatchBuilder* b : {&with, &without}) b->add(ms(60), "b", "2");
  EXPECT_EQ(with.seal(Offset(5), Epoch(1)), without.seal(Offset(5), Epoch(1)));
}

TEST(BatchBuilder, RollbackToTheBeginning) {
  BatchBuilder b;
  const auto savepoint = b.savepoint();
  b.add(ms(1), "a", "1");
  b.rollback(savepoint);
  EXPECT_TRUE(b.empty());
  EXPECT_EQ(b.bytes(), 61u);
  b.add(ms(77), "a", "1");
  auto batch = BatchView::parse(b.seal(Offset(0), Epoch(0)));
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->base_timestamp(), 77);
  EXPECT_EQ(batch->max_timestamp(), 77);
}

TEST(BatchBuilder, CanGoOnAfterSealing) {
  BatchBuilder b;
  b.add(ms(1), "a", "1");
  EXPECT_EQ(BatchView::parse(b.seal(Offset(0), Epoch(0)))->records(), 1);
  b.add(ms(2), "b", "2");
  auto batch = BatchView::parse(b.seal(Offset(0), Epoch(0)));
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->records(), 2);
  EXPECT_TRUE(batch->validate(BatchOrigin::kProducer).ok());
  b.clear();
  EXPECT_TRUE(b.empty());
}

TEST(BatchBuilder, SpeedOfSmallRecords) {
  BatchBuilder b;
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kRecords = 1'000'000;
  for (int i = 0; i < kRecords; ++i) {
    b.add(ms(i), "agent/1234567890", "a value of thirty-two bytes.....");
    if (b.bytes() > 65536) {
      static_cast<void>(b.seal(Offset(i), Epoch(1)));
      b.clear();
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("records_per_second", static_cast<int>(kRecords / took.count()));
  std::printf("batch builder: %.1f M records/s\n", kRecords / took.count() / 1e6);
}

}  // namespace
}  // namespace afdg::log
