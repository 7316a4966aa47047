#include "base/codec.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <limits>
#include <vector>

#include "base/clock.h"

namespace afdg {
namespace {

std::uint64_t first_seed() {
  const char* text = std::getenv("AFDG_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 99;
}

std::vector<std::uint64_t> edges() {
  std::vector<std::uint64_t> values{0, 1};
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t power = std::uint64_t{1} << bit;
    values.insert(values.end(), {power - 1, power, power + 1, ~power});
  }
  SeededRandom random(first_seed());
  for (int i = 0; i < 2000; ++i) values.push_back(random.next() >> (random.next() % 64));
  return values;
}

TEST(Codec, BigEndian) {
  std::string out;
  put_be16(out, 0x0102);
  put_be32(out, 0x03040506);
  put_be64(out, 0x0708090a0b0c0d0eULL);
  EXPECT_EQ(out, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e");
  ByteReader reader(out);
  EXPECT_EQ(reader.be16(), 0x0102);
  EXPECT_EQ(reader.be32(), 0x03040506u);
  EXPECT_EQ(reader.be64(), 0x0708090a0b0c0d0eULL);
  EXPECT_TRUE(reader.finished());
  EXPECT_EQ(load_be32(out.data() + 2), 0x03040506u);
}

TEST(Codec, VarintsRoundTrip) {
  for (const auto value : edges()) {
    std::string out;
    put_varint(out, value);
    EXPECT_EQ(out.size(), varint_size(value)) << value;
    ByteReader reader(out);
    EXPECT_EQ(reader.varint(), value) << "AFDG_SEED=" << first_seed();
    EXPECT_TRUE(reader.finished());
  }
}

TEST(Codec, ZigzagsRoundTrip) {
  for (const auto bits : edges()) {
    const auto value = static_cast<std::int64_t>(bits);
    std::string out;
    put_zigzag(out, value);
    EXPECT_EQ(out.size(), zigzag_size(value)) << value;
    ByteReader reader(out);
    EXPECT_EQ(reader.zigzag(), value) << "AFDG_SEED=" << first_seed();
    EXPECT_TRUE(reader.finished());
  }
}

TEST(Codec, KnownEncodings) {
  const auto varint = [](std::uint64_t v) {
    std::string out;
    put_varint(out, v);
    return out;
  };
  const auto zigzag = [](std::int64_t v) {
    std::string out;
    put_zigzag(out, v);
    return out;
  };
  EXPECT_EQ(varint(0), std::string(1, '\0'));
  EXPECT_EQ(varint(300), "\xac\x02");
  EXPECT_EQ(varint(UINT64_MAX), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  EXPECT_EQ(zigzag(-1), "\x01");
  EXPECT_EQ(zigzag(1), "\x02");
  EXPECT_EQ(zigzag(-2), "\x03");
  EXPECT_EQ(zigzag(std::numeric_limits<std::int64_t>::min()), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

TEST(Codec, MalformedVarintsFail) {
  const std::array<std::string, 5> malformed{
      std::string(),                                                // nothing
      std::string("\x80"),                                          // cut
      std::string("\xff\xff\xff\xff\xff\xff\xff\xff"),              // cut
      std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),      // bit 64
      std::string("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),  // eleven bytes
  };
  for (const auto& bytes : malformed) {
    ByteReader reader(bytes);
    EXPECT_EQ(reader.varint(), 0u);
    EXPECT_TRUE(reader.failed());
    ByteReader again(bytes);
    EXPECT_EQ(again.zigzag(), 0);
    EXPECT_TRUE(again.failed());
  }
}

TEST(Codec, AfterTheFirstFailureEveryReadFails) {
  ByteReader reader("\x01\x02\x03");
  EXPECT_EQ(reader.be32(), 0u);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.u8(), 0);
  EXPECT_EQ(reader.bytes(0).size(), 0u);
  EXPECT_EQ(reader.left(), 0u);
  EXPECT_FALSE(reader.finished());
}

TEST(Codec, SizedBytes) {
  std::string out;
  put_sized(out, "abc");
  put_sized(out, "");
  ByteReader reader(out);
  EXPECT_EQ(reader.sized(), "abc");
  EXPECT_EQ(reader.sized(), "");
  EXPECT_TRUE(reader.finished());
  std::string huge;
  put_varint(huge, UINT64_MAX);
  ByteReader short_reader(huge);
  EXPECT_EQ(short_reader.sized(), "");
  EXPECT_TRUE(short_reader.failed());
}

TEST(Codec, RandomBytesNeverReadPastTheEnd) {
  SeededRandom random(first_seed());
  for (int i = 0; i < 5000; ++i) {
    std::string bytes(random.next() % 24, '\0');
    for (auto& c : bytes) c = static_cast<char>(random.next());
    const std::vector<char> exact(bytes.begin(), bytes.end());  // so that a sanitizer sees one byte too far
    ByteReader reader({exact.data(), exact.size()});
    while (!reader.failed() && reader.left() > 0) {
      const auto before = reader.left();
      switch (random.next() % 6) {
        case 0:
          (void)reader.u8();
          break;
        case 1:
          (void)reader.be16();
          break;
        case 2:
          (void)reader.be64();
          break;
        case 3:
          (void)reader.varint();
          break;
        case 4:
          (void)reader.zigzag();
          break;
        default:
          (void)reader.sized();
          break;
      }
      ASSERT_LT(reader.left(), before) << "AFDG_SEED=" << first_seed();
    }
  }
}

// RFC 3720 appendix B.4.
TEST(Crc32c, KnownVectors) {
  std::string up;
  std::string down;
  for (int i = 0; i < 32; ++i) {
    up.push_back(static_cast<char>(i));
    down.push_back(static_cast<char>(31 - i));
  }
  std::string scsi_read(48, '\0');
  scsi_read[0] = 0x01;
  scsi_read[1] = static_cast<char>(0xc0);
  scsi_read[16] = 0x14;
  scsi_read[22] = 0x04;
  scsi_read[27] = 0x14;
  scsi_read[31] = 0x18;
  scsi_read[32] = 0x28;
  scsi_read[40] = 0x02;
  const std::vector<std::pair<std::string, std::uint32_t>> vectors{
      {std::string(32, '\0'), 0x8a9136aau},
      {std::string(32, '\xff'), 0x62a8ab43u},
      {up, 0x46dd794eu},
      {down, 0x113fdb5cu},
      {scsi_read, 0xd9963a56u},
      {"123456789", 0xe3069283u},
      {"", 0u},
  };
  for (const auto& [bytes, crc] : vectors) {
    EXPECT_EQ(crc32c(bytes), crc);
    EXPECT_EQ(crc32c_portable(bytes), crc);
  }
}

TEST(Crc32c, InstructionAndTableAgreeAndContinue) {
  SeededRandom random(first_seed());
  std::string bytes(300, '\0');
  for (auto& c : bytes) c = static_cast<char>(random.next());
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const auto view = std::string_view(bytes).substr(size % 9, size);  // every alignment
    const std::size_t cut = view.empty() ? 0 : random.next() % view.size();
    ASSERT_EQ(crc32c(view), crc32c_portable(view)) << "AFDG_SEED=" << first_seed();
    ASSERT_EQ(crc32c(view.substr(cut), crc32c(view.substr(0, cut))), crc32c(view))
        << "AFDG_SEED=" << first_seed();
    ASSERT_EQ(crc32c_portable(view.substr(cut), crc32c_portable(view.substr(0, cut))), crc32c(view));
  }
  // Sizes about those at which it goes on in several stretches.
  std::string large(20'000, '\0');
  for (auto& c : large) c = static_cast<char>(random.next());
  for (const std::size_t size : {3071, 3072, 3073, 6143, 6144, 6145, 9216, 12'345, 19'991}) {
    const auto view = std::string_view(large).substr(size % 9, size);
    const std::size_t cut = random.next() % size;
    ASSERT_EQ(crc32c(view), crc32c_portable(view)) << size << " AFDG_SEED=" << first_seed();
    ASSERT_EQ(crc32c(view.substr(cut), crc32c(view.substr(0, cut))), crc32c(view)) << size;
  }
}

TEST(Crc32c, OfTwoIsJoined) {
  SeededRandom random(first_seed());
  std::string bytes(5000, '\0');
  for (auto& c : bytes) c = static_cast<char>(random.next());
  for (std::size_t second : {0, 1, 2, 3, 7, 64, 1000, 4095, 4096, 4999, 5000}) {
    const auto a = std::string_view(bytes).substr(0, bytes.size() - second);
    const auto b = std::string_view(bytes).substr(bytes.size() - second);
    EXPECT_EQ(crc32c_joined(crc32c(a), crc32c(b), b.size()), crc32c(bytes)) << second;
  }
  const std::string zeros(1u << 16, '\0');
  std::uint32_t crc = crc32c(zeros);
  for (std::uint64_t size = zeros.size(); size < std::uint64_t{1} << 20; size *= 2)
    crc = crc32c_joined(crc, crc, size);
  EXPECT_EQ(crc, crc32c(std::string(1u << 20, '\0')));
}

// The values of Apache Kafka's own test of Utils.murmur2.
TEST(Murmur2, KafkasValues) {
  const std::vector<std::pair<std::string_view, std::int32_t>> values{
      {"21", -973932308},
      {"foobar", -790332482},
      {"a-little-bit-long-string", -985981536},
      {"a-little-bit-longer-string", -1486304829},
      {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
      {"abc", 479470107},
  };
  for (const auto& [key, hash] : values) {
    EXPECT_EQ(static_cast<std::int32_t>(murmur2(key)), hash) << key;
    EXPECT_EQ(key_partition(key, 16), (hash & 0x7fffffff) % 16) << key;
    EXPECT_EQ(key_partition(key, 1), 0);
  }
  EXPECT_EQ(key_partition("21", std::numeric_limits<std::int32_t>::max()), (-973932308 & 0x7fffffff));
}

// ON DISK in request-id records: these values may never change.
TEST(Hash64, IsStable) {
  EXPECT_EQ(hash64(""), 0xf52a15e9a9b5e89bULL);
  EXPECT_EQ(hash64("a"), 0x270aeb36a95726cfULL);
  EXPECT_EQ(hash64("12345678"), 0x9cdec5e1fbf99ca4ULL);
  EXPECT_EQ(hash64("a payload of some length, not a multiple of eight"), 0xb1285f05982e11faULL);
  EXPECT_NE(hash64(std::string(1, '\0')), hash64(std::string(2, '\0')));
}

TEST(Clock, ManualTimeMovesBothClocks) {
  ManualClock clock;
  const auto now = clock.now();
  const auto monotonic = clock.monotonic();
  clock.advance(std::chrono::milliseconds(1500));
  EXPECT_EQ(clock.now() - now, std::chrono::milliseconds(1500));
  EXPECT_EQ(clock.monotonic() - monotonic, std::chrono::milliseconds(1500));
  EXPECT_EQ(now.time_since_epoch().count(), 978307200000);
}

TEST(Clock, SystemTimeIsPlausible) {
  const SystemClock clock;
  EXPECT_GT(clock.now(), ManualClock().now());
  const auto first = clock.monotonic();
  EXPECT_GE(clock.monotonic(), first);
}

TEST(Random, ASeedRepeatsItsSequence) {
  SeededRandom one(42);
  SeededRandom two(42);
  SeededRandom other(43);
  const auto first = one.next();
  EXPECT_EQ(first, two.next());
  EXPECT_NE(first, other.next());
  EXPECT_EQ(SeededRandom(0).next(), 0xe220a8397b1dcdafULL) << "splitmix64's first number for seed 0";
  SystemRandom random;
  EXPECT_NE(random.next(), random.next());
}

}  // namespace
}  // namespace afdg
