#include "log/produced.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>

#include "base/codec.h"

namespace afdg::log {
namespace {

namespace at = batch_layout;

Timestamp ms(std::int64_t v) { return Timestamp(std::chrono::milliseconds(v)); }

std::string plain(int records = 3) {
  BatchBuilder builder;
  for (int i = 0; i < records; ++i) builder.add(ms(1000 + i), "k" + std::to_string(i), "value");
  return std::string(builder.seal(Offset(0), Epoch(-1)));
}

void mend(std::string& batch) {
  store_be32(batch.data() + at::kLength, static_cast<std::uint32_t>(batch.size() - at::kOverheadBytes));
  store_be32(batch.data() + at::kCrc, crc32c(std::string_view(batch).substr(at::kAttributes)));
}

/// The same batch with its records compressed.
std::string packed(Codec codec, const std::string& batch) {
  std::string payload;
  EXPECT_TRUE(compress(codec, std::string_view(batch).substr(at::kHeaderBytes), payload).ok());
  std::string out = batch.substr(0, at::kHeaderBytes) + payload;
  store_be16(out.data() + at::kAttributes, static_cast<std::uint16_t>(codec));
  mend(out);
  return out;
}

Code verdict(const std::string& batch, const ProducedLimits& limits = {}) {
  std::string buffer;
  return validate_produced(batch, limits, buffer).code();
}

TEST(Produced, TakesWhatClientsMake) {
  std::string batch = plain();
  EXPECT_EQ(verdict(batch), Code::kOk);
  for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd})
    EXPECT_EQ(verdict(packed(codec, batch)), Code::kOk) << codec_name(codec);
  stamp_batch(batch.data(), Offset(77), Epoch(5));  // neither is looked at
  EXPECT_EQ(verdict(batch), Code::kOk);
}

TEST(Produced, EachRuleHasItsCode) {
  struct Case {
    const char* what;
    Code code;
    bool mend_crc;
    std::function<void(std::string&)> change;
  };
  const Case cases[] = {
      {"no bytes", Code::kCorrupt, false, [](std::string& b) { b.clear(); }},
      {"half a header", Code::kCorrupt, false, [](std::string& b) { b.resize(30); }},
      {"a byte is missing", Code::kCorrupt, false, [](std::string& b) { b.pop_back(); }},
      {"a byte too many", Code::kInvalidRecord, false, [](std::string& b) { b.push_back('x'); }},
      {"two batches", Code::kInvalidRecord, false, [](std::string& b) { b += plain(); }},
      {"length below a header's", Code::kCorrupt, false,
       [](std::string& b) { store_be32(b.data() + at::kLength, 48); }},
      {"negative length", Code::kCorrupt, false,
       [](std::string& b) { store_be32(b.data() + at::kLength, 0xfffffff0); }},
      {"magic 1", Code::kInvalidRecord, false, [](std::string& b) { b[at::kMagic] = 1; }},
      {"a bit changed on its way", Code::kCorrupt, false, [](std::string& b) { b[70] ^= 1; }},
      {"codec 5", Code::kUnsupportedCompression, true, [](std::string& b) { b[at::kAttributes + 1] = 5; }},
      {"codec 7", Code::kUnsupportedCompression, true, [](std::string& b) { b[at::kAttributes + 1] = 7; }},
      {"codec 5 by damage", Code::kCorrupt, false, [](std::string& b) { b[at::kAttributes + 1] = 5; }},
      {"a control batch", Code::kInvalidRecord, true, [](std::string& b) { b[at::kAttributes + 1] = 32; }},
      {"transactional", Code::kInvalidRecord, true, [](std::string& b) { b[at::kAttributes + 1] = 16; }},
      {"log append time", Code::kInvalidRecord, true, [](std::string& b) { b[at::kAttributes + 1] = 8; }},
      {"a delete horizon", Code::kInvalidRecord, true, [](std::string& b) { b[at::kAttributes + 1] = 64; }},
      {"an attribute of later", Code::kInvalidRecord, true, [](std::string& b) { b[at::kAttributes] = 1; }},
      {"last offset delta 5 of 3 records", Code::kInvalidRecord, true,
       [](std::string& b) { store_be32(b.data() + at::kLastOffsetDelta, 5); }},
      {"negative last offset delta", Code::kInvalidRecord, true,
       [](std::string& b) { store_be32(b.data() + at::kLastOffsetDelta, 0xffffffff); }},
      {"no records", Code::kInvalidRecord, true,
       [](std::string& b) {
         store_be32(b.data() + at::kLastOffsetDelta, 0);
         store_be32(b.data() + at::kRecordCount, 0);
       }},
      {"four records said, three there", Code::kInvalidRecord, true,
       [](std::string& b) {
         store_be32(b.data() + at::kLastOffsetDelta, 3);
         store_be32(b.data() + at::kRecordCount, 4);
       }},
      {"two records said, three there", Code::kInvalidRecord, true,
       [](std::string& b) {
         store_be32(b.data() + at::kLastOffsetDelta, 1);
         store_be32(b.data() + at::kRecordCount, 2);
       }},
      {"two billion records", Code::kInvalidRecord, true,
       [](std::string& b) {
         store_be32(b.data() + at::kLastOffsetDelta, 0x7ffffffe);
         store_be32(b.data() + at::kRecordCount, 0x7fffffff);
       }},
      {"negative base offset", Code::kInvalidRecord, false,
       [](std::string& b) { store_be64(b.data(), ~std::uint64_t{0}); }},
      {"a producer without a sequence", Code::kInvalidRecord, true,
       [](std::string& b) {
         store_be64(b.data() + at::kProducerId, 4);
         store_be16(b.data() + at::kProducerEpoch, 0);
       }},
      {"a record says that it is longer", Code::kInvalidRecord, true,
       [](std::string& b) { b[at::kHeaderBytes] = 120; }},
      {"gzip that is none", Code::kInvalidRecord, true, [](std::string& b) { b[at::kAttributes + 1] = 1; }},
  };
  for (const Case& c : cases) {
    std::string batch = plain();
    c.change(batch);
    if (c.mend_crc)
      store_be32(batch.data() + at::kCrc, crc32c(std::string_view(batch).substr(at::kAttributes)));
    EXPECT_EQ(verdict(batch), c.code) << c.what;
  }
}

TEST(Produced, LooksIntoCompressedRecords) {
  for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    SCOPED_TRACE(codec_name(codec));
    std::string more = packed(codec, plain());
    store_be32(more.data() + at::kLastOffsetDelta, 3);
    store_be32(more.data() + at::kRecordCount, 4);
    mend(more);
    EXPECT_EQ(verdict(more), Code::kInvalidRecord);
    std::string sparse = plain(2);
    // Record 1's offset delta is its fourth byte; it becomes 2, and the header follows.
    const std::size_t second = at::kHeaderBytes + 1 + static_cast<std::size_t>(sparse[at::kHeaderBytes]) / 2;
    ASSERT_EQ(sparse[second + 3], 2);  // zigzag of 1
    sparse[second + 3] = 4;
    store_be32(sparse.data() + at::kLastOffsetDelta, 2);
    store_be32(sparse.data() + at::kRecordCount, 3);
    EXPECT_EQ(verdict(packed(codec, sparse)), Code::kInvalidRecord);
    std::string cut = packed(codec, plain(200));
    cut.resize(cut.size() - 9);
    mend(cut);
    EXPECT_EQ(verdict(cut), Code::kInvalidRecord);
  }
}

TEST(Produced, OffsetDeltasMustBeDense) {
  std::string batch = plain(2);
  const std::size_t second = at::kHeaderBytes + 1 + static_cast<std::size_t>(batch[at::kHeaderBytes]) / 2;
  batch[second + 3] = 0;  // two records of delta 0
  mend(batch);
  EXPECT_EQ(verdict(batch), Code::kInvalidRecord);
  batch = plain(3);
  batch[second + 3] = 4;  // 0, 2, ...
  mend(batch);
  EXPECT_EQ(verdict(batch), Code::kInvalidRecord);
}

TEST(Produced, LimitsOfTheTopic) {
  const std::string batch = plain(100);
  ProducedLimits limits;
  limits.batch_bytes_max = batch.size();
  EXPECT_EQ(verdict(batch, limits), Code::kOk);
  limits.batch_bytes_max = batch.size() - 1;
  EXPECT_EQ(verdict(batch, limits), Code::kMessageTooLarge);
  limits = {};
  limits.unpacked_bytes_max = batch.size() - at::kHeaderBytes;
  EXPECT_EQ(verdict(packed(Codec::kZstd, batch), limits), Code::kOk);
  --limits.unpacked_bytes_max;
  EXPECT_EQ(verdict(packed(Codec::kZstd, batch), limits), Code::kMessageTooLarge);
  limits = {};
  limits.keys_required = true;
  EXPECT_EQ(verdict(batch, limits), Code::kOk);
  BatchBuilder builder;
  builder.add(ms(1), "k", "v");
  builder.add(ms(2), std::nullopt, "v");
  EXPECT_EQ(verdict(std::string(builder.seal(Offset(0), Epoch(0))), limits), Code::kInvalidRecord);
}

TEST(Produced, TellsTheLargestTimestampOfTheRecordsThemselves) {
  std::string batch = plain(3);
  store_be64(batch.data() + at::kMaxTimestamp, 5);
  mend(batch);
  std::string buffer;
  const auto produced = validate_produced(batch, {}, buffer);
  ASSERT_TRUE(produced.ok());
  EXPECT_EQ(produced->records_max_timestamp, 1002);
  EXPECT_EQ(produced->batch.max_timestamp(), 5);
}

}  // namespace
}  // namespace afdg::log
