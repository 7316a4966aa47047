#include "kafka/wire.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace afdg::kafka {
namespace {
constexpr std::uint64_t kFrameBytesMax = std::numeric_limits<std::int32_t>::max();
}  // namespace

void Reader::fail(std::string problem) noexcept {
  if (failed_) return;
  failed_ = true;
  problem_ = "at byte " + std::to_string(position()) + ": " + std::move(problem);
  at_ = end_;
}

void Reader::fail_short(std::uint64_t size) noexcept {
  if (failed_) return;
  fail("needs " + std::to_string(size) + (size == 1 ? " byte, but " : " bytes, but ") +
       std::to_string(left()) + " are left");
}

std::uint32_t Reader::long_varint() noexcept {
  std::uint32_t v = 0;
  for (unsigned shift = 0; shift <= 28; shift += 7) {
    if (!need(1)) return 0;
    const auto b = static_cast<std::uint8_t>(*at_++);
    if (shift == 28 && b > 0x0f) break;
    v |= static_cast<std::uint32_t>(b & 0x7f) << shift;
    if (b < 0x80) return v;
  }
  fail("a varint of more than 32 bits");
  return 0;
}

void Writer::string(std::string_view v, bool compact) {
  v = v.substr(0, kStringBytesMax);
  compact ? varint(static_cast<std::uint32_t>(v.size() + 1)) : i16(static_cast<std::int16_t>(v.size()));
  bytes(v);
}

void Writer::records(const Records& v, bool compact) {
  if (v.is_null()) return length(-1, compact);
  length(static_cast<std::int64_t>(v.size()), compact);
  if (v.size() == 0) return;
  if (!v.is_external() && v.size() <= kCopiedBytesMax) return bytes(v.bytes());
  close_owned();
  Piece piece;
  piece.kind = v.is_external() ? Piece::Kind::kExternal : Piece::Kind::kMemory;
  piece.source = v.source();
  piece.size = v.size();
  piece.data = v.bytes().data();
  pieces_.push_back(piece);
  foreign_bytes_ += v.size();
}

void Writer::insert_length(std::size_t from) {
  AFDG_ASSERT(from >= closed_, "a piece that is not copied stands inside a tagged field");
  const auto length = static_cast<std::uint32_t>(size_ - from);
  const std::size_t extra = varint_size(length);
  grow(extra);
  std::memmove(data_.get() + from + extra, data_.get() + from, length);
  const std::size_t end = size_;
  size_ = from;
  varint(length);
  size_ = end;
}

void Writer::begin_frame() {
  AFDG_ASSERT(!in_frame_, "the frame before was not ended");
  close_owned();
  in_frame_ = true;
  frame_at_ = size_;
  frame_foreign_ = foreign_bytes_;
  frame_pieces_ = pieces_.size();
  grow(4);
}

Status Writer::end_frame() {
  AFDG_ASSERT(in_frame_, "no frame was begun");
  in_frame_ = false;
  const std::uint64_t size = size_ - frame_at_ - 4 + foreign_bytes_ - frame_foreign_;
  if (size > kFrameBytesMax) {
    size_ = closed_ = frame_at_;
    foreign_bytes_ = frame_foreign_;
    pieces_.resize(frame_pieces_);
    if (!pieces_.empty() && pieces_.back().kind == Piece::Kind::kOwned)
      pieces_.back().size = frame_at_ - pieces_.back().at;
    return fail(Code::kMessageTooLarge,
                "an answer of " + std::to_string(size) +
                    " bytes is above Kafka's limit of 2147483647 for a frame: ask for less");
  }
  store_be32(data_.get() + frame_at_, static_cast<std::uint32_t>(size));
  return {};
}

std::span<const Piece> Writer::pieces() {
  AFDG_ASSERT(!in_frame_, "a frame is still open");
  close_owned();
  return pieces_;
}

void Writer::clear(std::size_t kept_bytes_max) noexcept {
  if (capacity_ > kept_bytes_max) {
    data_.reset();
    capacity_ = 0;
  }
  size_ = closed_ = 0;
  foreign_bytes_ = 0;
  pieces_.clear();
  in_frame_ = false;
}

void Writer::enlarge(std::size_t bytes) {
  const std::size_t wanted = std::max({size_ + bytes, capacity_ * 2, std::size_t{512}});
  std::unique_ptr<char[]> data(new char[wanted]);
  if (size_ > 0) std::memcpy(data.get(), data_.get(), size_);
  data_ = std::move(data);
  capacity_ = wanted;
}

void Writer::close_owned() {
  if (closed_ == size_) return;
  if (!pieces_.empty() && pieces_.back().kind == Piece::Kind::kOwned &&
      pieces_.back().at + pieces_.back().size == closed_) {
    pieces_.back().size += size_ - closed_;
  } else {
    Piece piece;
    piece.size = size_ - closed_;
    piece.at = closed_;
    pieces_.push_back(piece);
  }
  closed_ = size_;
}

std::string Uuid::to_string() const {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  char bytes[18] = {};
  store_be64(bytes, high);
  store_be64(bytes + 8, low);
  std::string out;
  for (std::size_t i = 0; i < 18; i += 3) {
    const auto at = [&](std::size_t j) {
      return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i + j]));
    };
    const std::uint32_t three = at(0) << 16 | at(1) << 8 | at(2);
    for (int shift = 18; shift >= 0; shift -= 6) out.push_back(kDigits[three >> shift & 63]);
  }
  out.resize(22);
  return out;
}

}  // namespace afdg::kafka
