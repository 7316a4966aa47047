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
void put_varint(std::string& out, std::uint64_t v);
/// Zigzag varint, Kafka's record encoding.
void put_zigzag(std::string& out, std::int64_t v);
[[nodiscard]] std::size_t varint_size(std::uint64_t v) noexcept;
[[nodiscard]] std::size_t zigzag_size(std::int64_t v) noexcept;
void store_be16(char* at, std::uint16_t v) noexcept;
void store_be32(char* at, std::uint32_t v) noexcept;
void store_be64(char* at, std::uint64_t v) noexcept;
[[nodiscard]] std::uint16_t load_be16(const char* at) noexcept;
[[nodiscard]] std::uint32_t load_be32(const char* at) noexcept;
[[nodiscard]] std::uint64_t load_be64(const char* at) noexcept;

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

/// A varint length, then the bytes.
void put_sized(std::string& out, std::string_view bytes);

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `bytes`, continued from `crc` (0 to start). Uses the CPU's
/// instruction where present.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t crc = 0) noexcept;
/// The same without the instruction: what other machines run.
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
