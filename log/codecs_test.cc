#include "log/codecs.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/codec.h"
#include "log/produced.h"

namespace afdg::log {
namespace {

constexpr Codec kCodecs[] = {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};
constexpr std::size_t kMiB = 1u << 20;

std::string text_of(std::size_t size) {
  std::string out;
  for (std::uint64_t i = 0; out.size() < size; ++i) out += "line " + std::to_string(i * i % 977) + "\n";
  out.resize(size);
  return out;
}

std::string packed(Codec codec, std::string_view bytes) {
  std::string out;
  EXPECT_TRUE(compress(codec, bytes, out).ok());
  return out;
}

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return out;
}

/// A batch as Kafka's producer builds it: a line of testing/golden/batches.txt.
struct GoldenBatch {
  std::string codec;
  int records = 0;
  std::string bytes;
};

std::vector<GoldenBatch> golden_batches() {
  std::vector<GoldenBatch> out;
  std::ifstream file(std::string(AFDG_LOG_GOLDEN) + "/batches.txt");
  for (GoldenBatch batch; file >> batch.codec >> batch.records >> batch.bytes; out.push_back(batch))
    batch.bytes = from_hex(batch.bytes);
  return out;
}

TEST(Codecs, GiveBackWhatTheyTook) {
  for (const Codec codec : kCodecs) {
    std::string out = "left over from before";
    for (const std::size_t size : {0u, 1u, 100u, 32768u, 32769u, 65536u, 65537u, 3000000u}) {
      const std::string bytes = text_of(size);
      const std::string small = packed(codec, bytes);
      const Status done = decompress(codec, small, 4 * kMiB, out);
      ASSERT_TRUE(done.ok()) << codec_name(codec) << " " << size << ": " << done.to_string();
      EXPECT_EQ(out, bytes) << codec_name(codec) << " " << size;
      if (size > 1000) {
        EXPECT_LT(small.size(), size / 2) << codec_name(codec);
      }
    }
  }
}

TEST(Codecs, DataOfExactlyTheLimitPassesAndOneByteMoreDoesNot) {
  for (const Codec codec : {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    for (const std::size_t size : {1u, 4096u, 65536u, 200000u}) {
      const std::string small = packed(codec, text_of(size));
      std::string out;
      EXPECT_TRUE(decompress(codec, small, size, out).ok()) << codec_name(codec) << " " << size;
      EXPECT_EQ(out.size(), size);
      const Status refused = decompress(codec, small, size - 1, out);
      EXPECT_EQ(refused.code(), Code::kMessageTooLarge) << codec_name(codec) << " " << refused.to_string();
      EXPECT_LE(out.size(), size) << codec_name(codec);
    }
  }
}

TEST(Codecs, ABombIsRefusedBeforeItIsUnpacked) {
  for (const Codec codec : kCodecs) {
    // 66 MiB of zeros behind a limit of 64 MiB.
    const std::string bomb = packed(codec, std::string(66u << 20, '\0'));
    std::string out;
    EXPECT_EQ(decompress(codec, bomb, kUnpackedBytesMax, out).code(), Code::kMessageTooLarge)
        << codec_name(codec);
    EXPECT_LE(out.capacity(), 2 * kUnpackedBytesMax) << codec_name(codec);
  }
  // Below the limit, but more than 4096 times its size: only zstd packs so tightly.
  const std::string dense = packed(Codec::kZstd, std::string(32 * kMiB, '\0'));
  ASSERT_GT(32 * kMiB / dense.size(), kUnpackedRatioMax);
  std::string out;
  const Status refused = decompress(Codec::kZstd, dense, kUnpackedBytesMax, out);
  ASSERT_EQ(refused.code(), Code::kMessageTooLarge);
  EXPECT_NE(refused.error().text().find("4096 times"), std::string::npos) << refused.to_string();
  // Small data may be as dense as it likes.
  EXPECT_TRUE(decompress(Codec::kZstd, packed(Codec::kZstd, std::string(kMiB, '\0')), kMiB, out).ok());
}

TEST(Codecs, DamageIsAnErrorWhereverItIs) {
  for (const Codec codec : kCodecs) {
    const std::string good = packed(codec, text_of(20000));
    std::string out;
    for (std::size_t size = 0; size < good.size(); ++size) {
      const Status cut = decompress(codec, std::string_view(good).substr(0, size), kMiB, out);
      // Snappy's framing has no end mark: cut behind a header or a chunk it is whole, only shorter.
      if (codec == Codec::kSnappy && cut.ok()) {
        EXPECT_LT(out.size(), 20000u);
        continue;
      }
      ASSERT_EQ(cut.code(), Code::kCorrupt) << codec_name(codec) << " cut to " << size;
    }
    EXPECT_FALSE(decompress(codec, good + "x", kMiB, out).ok()) << codec_name(codec);
    std::size_t silent = 0;
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 0x15);
      const Status done = decompress(codec, bad, kMiB, out);
      if (done.ok()) {
        ++silent;  // the batch's CRC is what finds these
      } else {
        EXPECT_TRUE(done.code() == Code::kCorrupt || done.code() == Code::kMessageTooLarge)
            << done.to_string();
      }
    }
    if (codec == Codec::kGzip) {
      EXPECT_LT(silent, 10u);  // it has a checksum; not over all of its header
    }
  }
  std::string out;
  EXPECT_EQ(decompress(static_cast<Codec>(5), "x", kMiB, out).code(), Code::kUnsupportedCompression);
  EXPECT_EQ(compress(static_cast<Codec>(7), "x", out).code(), Code::kUnsupportedCompression);
}

TEST(Codecs, ReadsRawSnappyAndFramedStreamsInARow) {
  // "abcabcabcabc": a literal of three bytes, then a copy of nine from three back; by snappy's format
  // description.
  const std::string raw(
      "\x0c\x08"
      "abc"
      "\x15\x03",
      7);
  std::string out;
  ASSERT_TRUE(decompress(Codec::kSnappy, raw, kMiB, out).ok());
  EXPECT_EQ(out, "abcabcabcabc");
  const std::string two = packed(Codec::kSnappy, "one ") + packed(Codec::kSnappy, "two");
  ASSERT_TRUE(decompress(Codec::kSnappy, two, kMiB, out).ok());
  EXPECT_EQ(out, "one two");
  // Five bytes that say they hold 32 MiB take no memory.
  std::string liar;
  put_varint(liar, 32u << 20);
  liar += "\x01z";
  std::string fresh;
  EXPECT_EQ(decompress(Codec::kSnappy, liar, kUnpackedBytesMax, fresh).code(), Code::kMessageTooLarge);
  liar = std::string();
  put_varint(liar, 900000);
  liar += "\x01z";
  EXPECT_EQ(decompress(Codec::kSnappy, liar, kUnpackedBytesMax, fresh).code(), Code::kCorrupt);
  EXPECT_LT(fresh.capacity(), 1000u);
}

TEST(Codecs, ReadsGzipMembersInARow) {
  std::string out;
  const std::string two = packed(Codec::kGzip, text_of(70000)) + packed(Codec::kGzip, "end");
  ASSERT_TRUE(decompress(Codec::kGzip, two, kMiB, out).ok());
  EXPECT_EQ(out, text_of(70000) + "end");
}

TEST(Codecs, RefusesLz4FramesThatKafkasConsumersDoNotRead) {
  std::string frame = packed(Codec::kLz4, text_of(1000));
  frame[4] = static_cast<char>(frame[4] & ~0x20);  // dependent blocks
  std::string out;
  const Status refused = decompress(Codec::kLz4, frame, kMiB, out);
  EXPECT_EQ(refused.code(), Code::kCorrupt);
  EXPECT_NE(refused.error().text().find("depend"), std::string::npos);
}

TEST(Codecs, ReadTheBatchesOfKafkasProducer) {
  const auto batches = golden_batches();
  ASSERT_EQ(batches.size(), 14u);
  std::string buffer;
  for (const GoldenBatch& golden : batches) {
    SCOPED_TRACE(golden.codec + " " + std::to_string(golden.records));
    const auto produced = validate_produced(golden.bytes, {}, buffer);
    ASSERT_TRUE(produced.ok()) << produced.status().to_string();
    EXPECT_EQ(codec_name(produced->batch.codec()), golden.codec);
    EXPECT_EQ(produced->batch.records(), golden.records);
    EXPECT_EQ(produced->batch.producer_id(), 4711);
    EXPECT_EQ(produced->batch.producer_epoch(), 3);
    EXPECT_EQ(produced->batch.base_sequence(), 17);
    EXPECT_EQ(produced->records_max_timestamp, produced->batch.max_timestamp());
    const auto records = unpack_records(produced->batch, buffer);
    ASSERT_TRUE(records.ok());
    RecordReader reader(produced->batch, *records);
    RecordView record;
    int i = 0;
    for (; reader.next(record); ++i) {
      EXPECT_EQ(record.offset, Offset(i));
      EXPECT_EQ(record.timestamp.time_since_epoch().count(), 1700000000000 + i * 3);
      if (i % 3 == 1) {
        EXPECT_EQ(record.key, std::nullopt);
      } else {
        EXPECT_EQ(record.key, "key-" + std::to_string(i));
      }
      EXPECT_EQ(record.value.has_value(), i % 5 != 4);
      ASSERT_EQ(record.headers.size(), i % 4 == 2 ? 1u : 0u);
      if (i % 4 == 2) {
        EXPECT_EQ(record.headers[0].value, std::string(1, static_cast<char>(i)));
      }
    }
    EXPECT_TRUE(reader.status().ok()) << reader.status().to_string();
    EXPECT_EQ(i, golden.records);
  }
}

}  // namespace
}  // namespace afdg::log
