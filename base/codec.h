#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

// Byte-level reading and writing that every stored and transmitted format shares.
namespace afdg {

/// Appends numbers to a string that the caller owns. `be`: big endian (Kafka, sorted keys); varints as in
/// Protocol Buffers.
void put_be16(std::string& out, std::uint16_t v);
void put_be32(std::string& out, std::uint32_t v);
void put_be64(std::string& out, std::uint64_t v);
void put_long_varint(std::string& out, std::uint64_t v);  // for put_varint()
inline void put_varint(std::string& out, std::uint64_t v) {
  v < 0x80 ? out.push_back(static_cast<char>(v)) : put_long_varint(out, v);
}
/// Zigzag varint, Kafka's record encoding.
void put_zigzag(std::string& out, std::int64_t v);
[[nodiscard]] std::size_t varint_size(std::uint64_t v) noexcept;
[[nodiscard]] std::size_t zigzag_size(std::int64_t v) noexcept;
inline void store_be16(char* at, std::uint16_t v) noexcept {
  v = __builtin_bswap16(v);
  std::memcpy(at, &v, sizeof v);
}
inline void store_be32(char* at, std::uint32_t v) noexcept {
  v = __builtin_bswap32(v);
  std::memcpy(at, &v, sizeof v);
}
inline void store_be64(char* at, std::uint64_t v) noexcept {
  v = __builtin_bswap64(v);
  std::memcpy(at, &v, sizeof v);
}
static_assert(std::endian::native == std::endian::little, "big-endian machines are not supported");

[[nodiscard]] inline std::uint16_t load_be16(const char* at) noexcept {
  std::uint16_t v;
  std::memcpy(&v, at, sizeof v);
  return __builtin_bswap16(v);
}
[[nodiscard]] inline std::uint32_t load_be32(const char* at) noexcept {
  std::uint32_t v;
  std::memcpy(&v, at, sizeof v);
  return __builtin_bswap32(v);
}
[[nodiscard]] inline std::uint64_t load_be64(const char* at) noexcept {
  std::uint64_t v;
  std::memcpy(&v, at, sizeof v);
  return __builtin_bswap64(v);
}

/// Reads numbers from bytes it does not own; after the first short or malformed read every later read fails.
/// Thread-safety: confined. Errors: none; ask failed().
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) noexcept
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}
  std::uint8_t u8() noexcept;
  std::uint16_t be16() noexcept;
  std::uint32_t be32() noexcept;
  std::uint64_t be64() noexcept;
  std::uint64_t varint() noexcept;
  std::int64_t zigzag() noexcept;
  /// The next `size` bytes, or an empty view and failed() when there are fewer.
  std::string_view bytes(std::uint64_t size) noexcept;
  /// A varint length, then that many bytes.
  std::string_view sized() noexcept { return bytes(varint()); }
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  /// Everything was read and nothing failed.
  [[nodiscard]] bool finished() const noexcept { return !failed_ && at_ == end_; }

 private:
  const char* at_;
  const char* end_;
  bool failed_ = false;
};

inline std::uint8_t ByteReader::u8() noexcept {
  auto b = bytes(1);
  return b.empty() ? 0 : static_cast<std::uint8_t>(b[0]);
}
inline std::uint16_t ByteReader::be16() noexcept {
  auto b = bytes(2);
  return b.empty() ? 0 : load_be16(b.data());
}
inline std::uint32_t ByteReader::be32() noexcept {
  auto b = bytes(4);
  return b.empty() ? 0 : load_be32(b.data());
}
inline std::uint64_t ByteReader::be64() noexcept {
  auto b = bytes(8);
  return b.empty() ? 0 : load_be64(b.data());
}

inline std::uint64_t ByteReader::varint() noexcept {
  if (!failed_ && at_ != end_ && static_cast<std::uint8_t>(*at_) < 0x80) [[likely]]
    return static_cast<std::uint8_t>(*at_++);
  std::uint64_t v = 0;
  for (unsigned shift = 0; shift < 64 && !failed_; shift += 7) {
    const std::uint8_t b = u8();
    if (shift == 63 && b > 1) break;
    v |= static_cast<std::uint64_t>(b & 0x7f) << shift;
    if (b < 0x80) return failed_ ? 0 : v;
  }
  failed_ = true;
  return 0;
}

inline std::int64_t ByteReader::zigzag() noexcept {
  const std::uint64_t v = varint();
  return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
}

inline std::string_view ByteReader::bytes(std::uint64_t size) noexcept {
  if (failed_ || size > left()) {
    failed_ = true;
    at_ = end_;
    return {};
  }
  std::string_view view(at_, static_cast<std::size_t>(size));
  at_ += size;
  return view;
}

/// A varint length, then the bytes.
void put_sized(std::string& out, std::string_view bytes);

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`, continued from `crc` (0 to start). Uses the CPU's
/// instruction where present.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0) noexcept;
/// The CRC of what `first` is the CRC of, followed by `bytes` bytes of which `second` is the CRC.
[[nodiscard]] std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second,
                                          std::uint64_t bytes) noexcept;
/// The same as crc32c() without the instruction: what other machines run.
[[nodiscard]] std::uint32_t crc32c_portable(std::string_view bytes, std::uint32_t crc = 0) noexcept;
/// Kafka's murmur2 of a key (org.apache.kafka.common.utils.Utils.murmur2).
[[nodiscard]] std::uint32_t murmur2(std::string_view key) noexcept;
/// Kafka's default partitioner for a key: murmur2, made positive, modulo `partitions`. Precondition:
/// partitions > 0.
[[nodiscard]] std::int32_t key_partition(std::string_view key, std::int32_t partitions) noexcept;
/// A 64-bit hash for payload comparison and hash tables (not stable across formats unless said so; ON DISK in
/// request-id records).
[[nodiscard]] std::uint64_t hash64(std::string_view bytes) noexcept;

}  // namespace afdg
