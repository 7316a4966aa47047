#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/codec.h"
#include "base/result.h"
#include "kafka/schema.h"

// The primitive types of the Kafka protocol, read and written. ON WIRE since Kafka 0.8; compact forms:
// KIP-482.
namespace afdg::kafka {

/// Reads primitive types from a request that it does not own. After the first problem every read gives zero
/// or nothing.
/// Thread-safety: confined. Ownership: what it returns looks into the bytes.
/// Errors: the first problem's text; ask failed().
/// Bounds: never allocates for what it reads.
class Reader {
 public:
  explicit Reader(std::string_view bytes) noexcept
      : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  std::int8_t i8() noexcept { return static_cast<std::int8_t>(need(1) ? *at_++ : 0); }
  std::int16_t i16() noexcept { return static_cast<std::int16_t>(need(2) ? load_be16(take(2)) : 0); }
  std::int32_t i32() noexcept { return static_cast<std::int32_t>(need(4) ? load_be32(take(4)) : 0); }
  std::int64_t i64() noexcept { return static_cast<std::int64_t>(need(8) ? load_be64(take(8)) : 0); }
  /// UNSIGNED_VARINT: at most 5 bytes, 32 bits.
  std::uint32_t varint() noexcept {
    if (at_ != end_ && static_cast<unsigned char>(*at_) < 0x80) [[likely]]
      return static_cast<unsigned char>(*at_++);
    return long_varint();
  }
  Uuid uuid() noexcept {
    if (!need(16)) return {};
    const char* at = take(16);
    return {load_be64(at), load_be64(at + 8)};
  }
  /// A length of a string, of bytes, of records or of an array, before its content: -1 is null.
  std::int64_t string_length(bool compact) noexcept { return compact ? compact_length() : i16(); }
  std::int64_t length(bool compact) noexcept { return compact ? compact_length() : i32(); }
  /// The next `size` bytes, which must be there.
  std::string_view bytes(std::uint64_t size) noexcept {
    return need(size) ? std::string_view(take(size), size) : std::string_view();
  }

  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }
  [[nodiscard]] std::size_t position() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  /// What was wrong, and at which byte.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  /// Ends the reading with a problem; the first one stays.
  [[gnu::cold, gnu::noinline]] void fail(std::string problem) noexcept;

 private:
  bool need(std::uint64_t size) noexcept {
    if (size <= left()) [[likely]]
      return true;
    return fail_short(size), false;
  }
  const char* take(std::uint64_t size) noexcept {
    const char* at = at_;
    at_ += size;
    return at;
  }
  std::int64_t compact_length() noexcept { return static_cast<std::int64_t>(varint()) - (failed_ ? 0 : 1); }
  std::uint32_t long_varint() noexcept;
  [[gnu::cold, gnu::noinline]] void fail_short(std::uint64_t size) noexcept;

  const char* begin_;
  const char* at_;
  const char* end_;
  bool failed_ = false;
  std::string problem_;
};

/// A part of what is to be sent, in order.
struct Piece {
  enum class Kind : std::uint8_t {
    kOwned,     ///< bytes of the Writer: Writer::owned(piece)
    kMemory,    ///< bytes of someone else: `data`
    kExternal,  ///< bytes that the sender finds under `source`: Records::external()
  };
  Kind kind = Kind::kOwned;
  std::uint32_t source = 0;
  std::uint64_t size = 0;
  std::size_t at = 0;
  const char* data = nullptr;
};

/// Collects frames to send: its own bytes in one reusable buffer, and beside them pieces that it does not
/// copy.
///
///     own:     | size header topic ... records-length |            | next partition ... |            |
///     beside:                                         | external 0 |                    | external 1 |
///
/// Thread-safety: confined.
/// Ownership: owns its buffer; memory and external pieces are the caller's until sent.
/// Bounds: a frame is at most 2^31 - 1 bytes, which end_frame() checks; the buffer is as large as what is
/// written.
class Writer {
 public:
  /// Records in memory of at most this size are copied rather than sent as a piece of their own.
  static constexpr std::size_t kCopiedBytesMax = 2048;
  /// A string's length is an int16 in the classic form, and Kafka keeps that bound in the compact one.
  static constexpr std::size_t kStringBytesMax = 32'767;

  void i8(std::int8_t v) { *grow(1) = static_cast<char>(v); }
  void i16(std::int16_t v) { store_be16(grow(2), static_cast<std::uint16_t>(v)); }
  void i32(std::int32_t v) { store_be32(grow(4), static_cast<std::uint32_t>(v)); }
  void i64(std::int64_t v) { store_be64(grow(8), static_cast<std::uint64_t>(v)); }
  void varint(std::uint32_t v) {
    while (v >= 0x80) {
      *grow(1) = static_cast<char>(v | 0x80);
      v >>= 7;
    }
    *grow(1) = static_cast<char>(v);
  }
  void uuid(const Uuid& v) {
    i64(static_cast<std::int64_t>(v.high));
    i64(static_cast<std::int64_t>(v.low));
  }
  /// Cuts at kStringBytesMax: only a sentence for a person that quotes a name can be that long.
  void string(std::string_view v, bool compact);
  void null_string(bool compact) { compact ? varint(0) : i16(-1); }
  /// The length of bytes, records or an array before its content: -1 is null.
  void length(std::int64_t size, bool compact) {
    compact ? varint(static_cast<std::uint32_t>(size + 1)) : i32(static_cast<std::int32_t>(size));
  }
  void bytes(std::string_view v) {
    if (!v.empty()) __builtin_memcpy(grow(v.size()), v.data(), v.size());
  }
  void records(const Records& v, bool compact);
  /// Puts the length of what was written since `from`, as a varint, before it.
  /// Precondition: no piece that is not copied stands there.
  void insert_length(std::size_t from);
  /// How many bytes of its own it holds.
  [[nodiscard]] std::size_t position() const noexcept { return size_; }

  /// Starts a frame: leaves room for its size.
  void begin_frame();
  /// Ends it: writes its size.
  /// Errors: kMessageTooLarge, and the frame is taken back.
  Status end_frame();

  /// All that was written, in order; valid until the next write.
  /// Precondition: no frame is open.
  [[nodiscard]] std::span<const Piece> pieces();
  [[nodiscard]] std::string_view owned(const Piece& piece) const noexcept {
    return {data_.get() + piece.at, static_cast<std::size_t>(piece.size)};
  }
  /// Own bytes and pieces together.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_ + foreign_bytes_; }
  /// The own bytes alone.
  [[nodiscard]] std::string_view view() const noexcept { return {data_.get(), size_}; }
  /// Forgets what was written; keeps the buffer unless it is larger than that.
  void clear(std::size_t kept_bytes_max = std::size_t{1} << 20) noexcept;

 private:
  char* grow(std::size_t bytes) {
    if (capacity_ - size_ < bytes) [[unlikely]]
      enlarge(bytes);
    char* at = data_.get() + size_;
    size_ += bytes;
    return at;
  }
  [[gnu::noinline]] void enlarge(std::size_t bytes);
  void close_owned();

  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::vector<Piece> pieces_;
  std::size_t closed_ = 0;  // own bytes that pieces_ covers
  std::uint64_t foreign_bytes_ = 0;
  std::size_t frame_at_ = 0;
  std::uint64_t frame_foreign_ = 0;
  std::size_t frame_pieces_ = 0;
  bool in_frame_ = false;
};

}  // namespace afdg::kafka
