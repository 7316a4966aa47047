#include "log/journal_core.h"

#include <algorithm>

#include "base/assert.h"
#include "base/codec.h"

namespace afdg::log {
namespace {

constexpr std::uint32_t kFrameMagic = 0x414a4631;  // "AJF1"
constexpr std::string_view kFileMagic = "AFDGJRNL";
constexpr std::size_t kCrcAt = 4;
constexpr std::size_t kCoveredFrom = 8;

}  // namespace

FrameHeader read_frame_header(std::string_view bytes) noexcept {
  ByteReader in(bytes.substr(0, kFrameHeaderBytes));
  FrameHeader h{};
  h.magic = in.be32();
  h.crc = in.be32();
  h.journal_id = in.be64();
  h.lap = in.be64();
  h.number = in.be64();
  h.at = in.be64();
  h.length = in.be32();
  h.records = in.be32();
  h.version = in.be16();
  return h;
}

bool plausible(const FrameHeader& header, std::uint64_t journal_id, std::uint64_t at) noexcept {
  return header.magic == kFrameMagic && header.journal_id == journal_id && header.at == at &&
         header.length <= kFramePayloadMax;
}

FrameCheck check_frame(std::string_view bytes, std::uint64_t journal_id, const JournalPosition& expected,
                       FrameView& out) noexcept {
  if (bytes.size() < kFrameHeaderBytes) return FrameCheck::kAbsent;
  const FrameHeader header = read_frame_header(bytes);
  if (!plausible(header, journal_id, expected.at) || header.lap != expected.lap ||
      header.number != expected.number) {
    return FrameCheck::kAbsent;
  }
  if (bytes.size() - kFrameHeaderBytes < header.length) return FrameCheck::kDamaged;
  if (crc32c(bytes.substr(kCoveredFrom, kFrameHeaderBytes - kCoveredFrom + header.length)) != header.crc) {
    return FrameCheck::kDamaged;
  }
  if (header.version > kJournalVersion) return FrameCheck::kNewer;
  out.position = expected;
  out.payload = bytes.substr(kFrameHeaderBytes, header.length);
  return FrameCheck::kValid;
}

std::string encode_journal_header(std::uint64_t journal_id) {
  std::string out(kFileMagic);
  put_be32(out, 0);  // CRC, below
  put_be16(out, kJournalVersion);
  put_be16(out, 0);
  put_be64(out, journal_id);
  store_be32(out.data() + 8, crc32c(std::string_view(out).substr(12)));
  out.resize(kJournalBlock, '\0');
  return out;
}

Result<std::uint64_t> decode_journal_header(std::string_view block) {
  if (block.size() < 24 || block.substr(0, 8) != kFileMagic) {
    return fail(Code::kCorrupt, "the header block does not begin with the journal's mark");
  }
  ByteReader in(block.substr(8, 16));
  const std::uint32_t crc = in.be32();
  const std::uint16_t version = in.be16();
  static_cast<void>(in.be16());
  const std::uint64_t id = in.be64();
  if (crc != crc32c(block.substr(12, 12))) {
    return fail(Code::kCorrupt, "the header block's CRC does not match its bytes");
  }
  if (version > kJournalVersion) {
    return fail(Code::kNewerFormat, "its format is version " + std::to_string(version) +
                                        ", this program reads up to version " +
                                        std::to_string(kJournalVersion) + ": start the newer program");
  }
  return id;
}

JournalCore::JournalCore(const Geometry& geometry, const JournalPosition& tail, const JournalPosition& head)
    : geometry_(geometry), tail_(tail), head_(head), wrapped_at_(geometry.capacity) {
  AFDG_ASSERT(head.lap == tail.lap || head.lap == tail.lap + 1,
              "the head is more than a lap before the tail");
}

std::optional<JournalPosition> JournalCore::place(std::size_t payload) const noexcept {
  const std::uint64_t size = frame_bytes(payload);
  if (head_.lap != tail_.lap) {
    // The tail is ahead of the head, in the lap before.
    if (head_.at + size <= tail_.at) return head_;
    return std::nullopt;
  }
  if (head_.at + size <= geometry_.capacity) return head_;
  // With nothing to keep, the wrapped frame may cover all; else it ends before the tail.
  const std::uint64_t limit = head_.number == tail_.number ? geometry_.capacity : tail_.at;
  if (kJournalStart + size <= limit) return JournalPosition{head_.lap + 1, head_.number, kJournalStart};
  return std::nullopt;
}

std::array<char, kFrameHeaderBytes> JournalCore::seal(std::span<const JournalPiece> payload,
                                                      std::uint32_t records,
                                                      const JournalPosition& where) const {
  std::array<char, kFrameHeaderBytes> header{};
  std::size_t length = 0;
  for (const JournalPiece& piece : payload) length += piece.bytes.size();
  AFDG_ASSERT(length <= kFramePayloadMax, "a frame above its bound");
  char* at = header.data();
  store_be32(at, kFrameMagic);
  store_be64(at + 8, geometry_.journal_id);
  store_be64(at + 16, where.lap);
  store_be64(at + 24, where.number);
  store_be64(at + 32, where.at);
  store_be32(at + 40, static_cast<std::uint32_t>(length));
  store_be32(at + 44, records);
  store_be16(at + 48, kJournalVersion);
  std::uint32_t crc = crc32c({at + kCoveredFrom, header.size() - kCoveredFrom});
  for (const JournalPiece& piece : payload)
    crc = piece.crc ? crc32c_joined(crc, *piece.crc, piece.bytes.size()) : crc32c(piece.bytes, crc);
  store_be32(at + kCrcAt, crc);
  return header;
}

void JournalCore::committed(const JournalPosition& where, std::size_t frame_size) noexcept {
  AFDG_ASSERT(where.number == head_.number, "commits out of order");
  // Nothing is needed of the lap before: the tail goes round with the head.
  if (where.lap != head_.lap && tail_.number == head_.number) tail_ = where;
  if (where.lap != head_.lap) wrapped_at_ = head_.at;
  head_ = JournalPosition{where.lap, where.number + 1, where.at + frame_size};
}

void JournalCore::release(const JournalPosition& tail) noexcept {
  AFDG_ASSERT(tail.number >= tail_.number && tail.number <= head_.number,
              "a release outside of tail and head");
  tail_ = tail;
}

void JournalCore::grow(std::uint64_t capacity) noexcept {
  geometry_.capacity = std::max(geometry_.capacity, capacity / kJournalBlock * kJournalBlock);
}

std::uint64_t JournalCore::used() const noexcept {
  if (head_.lap == tail_.lap) return head_.at - tail_.at;
  return (wrapped_at_ > tail_.at ? wrapped_at_ - tail_.at : 0) + head_.at - kJournalStart;
}

std::uint64_t JournalCore::free_contiguous() const noexcept {
  std::uint64_t room = 0;
  if (head_.lap != tail_.lap) {
    room = tail_.at - head_.at;
  } else {
    const std::uint64_t limit = head_.number == tail_.number ? geometry_.capacity : tail_.at;
    room = std::max(geometry_.capacity - std::min(geometry_.capacity, head_.at), limit - kJournalStart);
  }
  return room > kFrameHeaderBytes ? room - kFrameHeaderBytes : 0;
}

}  // namespace afdg::log
