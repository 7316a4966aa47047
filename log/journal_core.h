#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace afdg::log {

/// ON DISK since version 1 (docs/formats/journal.md): block 0 is the file's header, then come commit frames,
/// each aligned to a block.
inline constexpr std::uint64_t kJournalBlock = 4096;
inline constexpr std::uint64_t kJournalStart = kJournalBlock;
inline constexpr std::uint16_t kJournalVersion = 1;
inline constexpr std::size_t kFrameHeaderBytes = 64;
/// The largest payload of one commit: what fits the largest append, and a bound for whoever reads.
inline constexpr std::size_t kFramePayloadMax = 64u << 20;
/// The largest payload that is gathered into one commit when each part is small.
inline constexpr std::size_t kGatherBytesMax = 1u << 20;

/// Where a frame stands: which time round the file, which commit since the file was made, which byte.
struct JournalPosition {
  std::uint64_t lap = 1;
  std::uint64_t number = 1;
  std::uint64_t at = kJournalStart;
  friend bool operator==(const JournalPosition&, const JournalPosition&) = default;
};

/// The bytes that a frame of `payload` bytes takes in the file.
[[nodiscard]] constexpr std::uint64_t frame_bytes(std::size_t payload) noexcept {
  return (kFrameHeaderBytes + payload + kJournalBlock - 1) / kJournalBlock * kJournalBlock;
}

/// A stretch of a payload.
struct JournalPiece {
  std::string_view bytes;
  std::optional<std::uint32_t> crc = {};  ///< their CRC-32C, where it was computed before
};

/// A frame whose CRC was right.
struct FrameView {
  JournalPosition position;
  std::string_view payload;  ///< records, one after the other: see journal_record.h
};

/// What stands at a position of the journal.
enum class FrameCheck : std::uint8_t {
  kValid,
  kAbsent,   ///< not a frame of this file, or of another lap or number: nothing was written here
  kDamaged,  ///< the header names this lap and number, the rest does not fit it: torn or damaged
  kNewer,    ///< whole, but of a newer format
};

/// The fields of a frame's header.
struct FrameHeader {
  std::uint32_t magic;
  std::uint32_t crc;
  std::uint64_t journal_id;
  std::uint64_t lap;
  std::uint64_t number;
  std::uint64_t at;
  std::uint32_t length;
  std::uint32_t records;
  std::uint16_t version;
};
/// Reads a header; `bytes` has at least kFrameHeaderBytes.
[[nodiscard]] FrameHeader read_frame_header(std::string_view bytes) noexcept;
/// The header belongs to this file, stands where it says it does, and has a possible length.
[[nodiscard]] bool plausible(const FrameHeader& header, std::uint64_t journal_id, std::uint64_t at) noexcept;
/// Checks the frame at the front of `bytes` (which may end early) against the position expected there.
[[nodiscard]] FrameCheck check_frame(std::string_view bytes, std::uint64_t journal_id,
                                     const JournalPosition& expected, FrameView& out) noexcept;

/// The header block of a journal file.
[[nodiscard]] std::string encode_journal_header(std::uint64_t journal_id);
/// The journal's id. Errors: kCorrupt, kNewerFormat; the caller adds the file's name.
[[nodiscard]] Result<std::uint64_t> decode_journal_header(std::string_view block);

/// Where commits go in a file that is written round and round, and what they look like. Only computes: the
/// owner writes the bytes, syncs, and tells.
///
///     [header][ ...free... |tail: oldest frame still needed .. head: next frame| ...free... ]capacity
///     after a wrap:
///     [header][ lap n+1 .. head| ...free... |tail: lap n ........ ]
///
/// Invariant: a frame never covers a byte of a frame at or past the tail; so what replay needs is never
/// overwritten, whatever moment the process dies. Frames are numbered without gaps, and only one is under
/// way: a whole frame with a higher number proves that each one before it was synced. Thread-safety:
/// confined. Errors: none of its own; no room is an absent position.
class JournalCore {
 public:
  struct Geometry {
    std::uint64_t journal_id = 0;
    std::uint64_t capacity = 0;  ///< end of the zero-filled part of the file
  };
  /// `tail` is the oldest frame that replay needs, `head` the next to be written.
  JournalCore(const Geometry& geometry, const JournalPosition& tail, const JournalPosition& head);

  /// Where a frame with that payload would go now; nothing when space must be released first.
  [[nodiscard]] std::optional<JournalPosition> place(std::size_t payload) const noexcept;
  /// The header of the frame at `where`. Behind it come the payload, whose pieces these are, and zeros to the
  /// end of the block.
  [[nodiscard]] std::array<char, kFrameHeaderBytes> seal(std::span<const JournalPiece> payload,
                                                         std::uint32_t records,
                                                         const JournalPosition& where) const;
  /// The frame at `where` was written and synced.
  void committed(const JournalPosition& where, std::size_t frame_size) noexcept;
  /// Frames before `tail` are not needed any more: every byte they carry is synced in a segment, and the
  /// recovery-point file that says so was durably replaced. Precondition: between the present tail and the
  /// head.
  void release(const JournalPosition& tail) noexcept;
  /// The file is zero-filled (and synced) up to `capacity`.
  void grow(std::uint64_t capacity) noexcept;

  [[nodiscard]] const JournalPosition& head() const noexcept { return head_; }
  [[nodiscard]] const JournalPosition& tail() const noexcept { return tail_; }
  [[nodiscard]] std::uint64_t capacity() const noexcept { return geometry_.capacity; }
  [[nodiscard]] std::uint64_t journal_id() const noexcept { return geometry_.journal_id; }
  /// Bytes between tail and head.
  [[nodiscard]] std::uint64_t used() const noexcept;
  /// The largest payload that place() is sure to find room for now, in one piece.
  [[nodiscard]] std::uint64_t free_contiguous() const noexcept;

 private:
  Geometry geometry_;
  JournalPosition tail_;
  JournalPosition head_;
  std::uint64_t wrapped_at_ = 0;  ///< where the lap before the head's ended
};

}  // namespace afdg::log
