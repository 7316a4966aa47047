#include "base/codec.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace afdg {

void put_be16(std::string& out, std::uint16_t v) {
  char b[2];
  store_be16(b, v);
  out.append(b, sizeof b);
}
void put_be32(std::string& out, std::uint32_t v) {
  char b[4];
  store_be32(b, v);
  out.append(b, sizeof b);
}
void put_be64(std::string& out, std::uint64_t v) {
  char b[8];
  store_be64(b, v);
  out.append(b, sizeof b);
}

void put_long_varint(std::string& out, std::uint64_t v) {
  char b[10];
  std::size_t n = 0;
  while (v >= 0x80) {
    b[n++] = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  b[n++] = static_cast<char>(v);
  out.append(b, n);
}

void put_zigzag(std::string& out, std::int64_t v) {
  put_varint(out, (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
}

std::size_t varint_size(std::uint64_t v) noexcept {
  return (static_cast<std::size_t>(std::bit_width(v | 1)) + 6) / 7;
}
std::size_t zigzag_size(std::int64_t v) noexcept {
  return varint_size((static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
}

void put_sized(std::string& out, std::string_view bytes) {
  put_varint(out, bytes.size());
  out.append(bytes);
}

namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) ? (c >> 1) ^ 0x82f63b78u : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

std::uint32_t crc32c_table(std::string_view bytes, std::uint32_t c) noexcept {
  for (const char ch : bytes) c = kCrcTable[(c ^ static_cast<std::uint8_t>(ch)) & 0xff] ^ (c >> 8);
  return c;
}

/// What a CRC becomes after 2^n zero bytes: it is linear, so it is told by what becomes of each bit.
struct CrcZeros {
  std::uint32_t of[64][32] = {};
  constexpr CrcZeros() {
    for (int bit = 0; bit < 32; ++bit) {
      const std::uint32_t c = std::uint32_t{1} << bit;
      of[0][bit] = kCrcTable[c & 0xff] ^ (c >> 8);
    }
    for (int n = 1; n < 64; ++n)
      for (int bit = 0; bit < 32; ++bit) of[n][bit] = after(n - 1, of[n - 1][bit]);
  }
  [[nodiscard]] constexpr std::uint32_t after(int n, std::uint32_t c) const noexcept {
    std::uint32_t out = 0;
    for (int bit = 0; bit < 32; ++bit) out ^= of[n][bit] & (0u - ((c >> bit) & 1));
    return out;
  }
};
constexpr CrcZeros kCrcZeros;

#if defined(__x86_64__)
/// What a CRC becomes after kLaneBytes zero bytes, by the CRC's bytes: it is linear.
constexpr std::size_t kLaneBytes = 1024;
struct CrcShift {
  std::uint32_t of[4][256] = {};
  constexpr CrcShift() {
    std::uint32_t bit[32] = {};
    for (int i = 0; i < 32; ++i) {
      std::uint32_t c = std::uint32_t{1} << i;
      for (std::size_t n = 0; n < kLaneBytes; ++n) c = kCrcTable[c & 0xff] ^ (c >> 8);
      bit[i] = c;
    }
    for (int byte = 0; byte < 4; ++byte)
      for (int value = 0; value < 256; ++value)
        for (int i = 0; i < 8; ++i)
          if ((value >> i) & 1) of[byte][value] ^= bit[8 * byte + i];
  }
  [[nodiscard]] std::uint32_t operator()(std::uint64_t c) const noexcept {
    return of[0][c & 0xff] ^ of[1][(c >> 8) & 0xff] ^ of[2][(c >> 16) & 0xff] ^ of[3][(c >> 24) & 0xff];
  }
};
constexpr CrcShift kCrcShift;

std::uint64_t word_at(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word;
}

/// The instruction takes three cycles and a new one can begin in each: three stretches side by side.
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::string_view bytes,
                                                             std::uint32_t c) noexcept {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t c64 = c;
  for (; left >= 3 * kLaneBytes; at += 3 * kLaneBytes, left -= 3 * kLaneBytes) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < kLaneBytes; i += 8) {
      c64 = _mm_crc32_u64(c64, word_at(at + i));
      second = _mm_crc32_u64(second, word_at(at + kLaneBytes + i));
      third = _mm_crc32_u64(third, word_at(at + 2 * kLaneBytes + i));
    }
    c64 = kCrcShift(kCrcShift(c64) ^ second) ^ third;
  }
  for (; left >= 8; at += 8, left -= 8) c64 = _mm_crc32_u64(c64, word_at(at));
  c = static_cast<std::uint32_t>(c64);
  for (; left > 0; ++at, --left) c = _mm_crc32_u8(c, static_cast<std::uint8_t>(*at));
  return c;
}
#endif

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc) noexcept {
  const std::uint32_t c = ~crc;
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return ~crc32c_sse42(bytes, c);
#endif
  return ~crc32c_table(bytes, c);
}

std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second, std::uint64_t bytes) noexcept {
  for (; bytes != 0; bytes &= bytes - 1) first = kCrcZeros.after(std::countr_zero(bytes), first);
  return first ^ second;
}

std::uint32_t crc32c_portable(std::string_view bytes, std::uint32_t crc) noexcept {
  return ~crc32c_table(bytes, ~crc);
}

std::uint32_t murmur2(std::string_view key) noexcept {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995u;
  std::uint32_t h = 0x9747b28cu ^ static_cast<std::uint32_t>(key.size());
  const char* at = key.data();
  std::size_t left = key.size();
  for (; left >= 4; at += 4, left -= 4) {
    std::uint32_t k;
    std::memcpy(&k, at, 4);
    k *= kMultiplier;
    k ^= k >> 24;
    k *= kMultiplier;
    h = (h * kMultiplier) ^ k;
  }
  switch (left) {
    case 3:
      h ^= static_cast<std::uint32_t>(static_cast<std::uint8_t>(at[2])) << 16;
      [[fallthrough]];
    case 2:
      h ^= static_cast<std::uint32_t>(static_cast<std::uint8_t>(at[1])) << 8;
      [[fallthrough]];
    case 1:
      h = (h ^ static_cast<std::uint8_t>(at[0])) * kMultiplier;
      break;
    default:
      break;
  }
  h ^= h >> 13;
  h *= kMultiplier;
  return h ^ (h >> 15);
}

std::int32_t key_partition(std::string_view key, std::int32_t partitions) noexcept {
  return static_cast<std::int32_t>(murmur2(key) & 0x7fffffffu) % partitions;
}

std::uint64_t hash64(std::string_view bytes) noexcept {
  // FNV-1a with a final mix (splitmix64), 8 bytes at a time.
  std::uint64_t h = 0xcbf29ce484222325ULL ^ bytes.size();
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
    h ^= h >> 32;
  }
  for (; left > 0; ++at, --left) h = (h ^ static_cast<std::uint8_t>(*at)) * 0x100000001b3ULL;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
  return h ^ (h >> 31);
}

}  // namespace afdg
