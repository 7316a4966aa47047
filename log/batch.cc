#include "log/batch.h"

#include <limits>
#include <string>

#include "base/codec.h"

namespace afdg::log {
namespace {

namespace at = batch_layout;

std::int64_t i64(std::string_view b, std::size_t where) noexcept {
  return static_cast<std::int64_t>(load_be64(b.data() + where));
}
std::int32_t i32(std::string_view b, std::size_t where) noexcept {
  return static_cast<std::int32_t>(load_be32(b.data() + where));
}
std::int16_t i16(std::string_view b, std::size_t where) noexcept {
  return static_cast<std::int16_t>(load_be16(b.data() + where));
}

/// What is left of the bytes that are read.
struct Cursor {
  const char* at;
  const char* end;
  [[nodiscard]] std::uint64_t left() const noexcept { return static_cast<std::uint64_t>(end - at); }
};

std::uint64_t byte_at(const char* at) noexcept { return static_cast<std::uint8_t>(*at); }
std::int64_t unzigzag(std::uint64_t v) noexcept {
  return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
}

struct LongVarint {
  std::uint64_t value;
  const char* next;  ///< null when it is longer than ten bytes or the bytes end
};
[[gnu::noinline]] LongVarint take_long_varint(Cursor in) noexcept {
  std::uint64_t v = 0;
  for (unsigned i = 0; i < 10 && in.at != in.end; ++i) {
    const std::uint64_t b = byte_at(in.at++);
    if (i == 9 && b > 1) break;
    v |= (b & 0x7f) << (7 * i);
    if (b < 0x80) return {v, in.at};
  }
  return {0, nullptr};
}

/// Kafka's zigzag varint; false when it is longer than ten bytes or the bytes end. Nearly all of a record's
/// are of one byte or two.
inline bool take_zigzag(Cursor& in, std::int64_t& out) noexcept {
  if (in.at == in.end) return false;
  const std::uint64_t first = byte_at(in.at);
  if (first < 0x80) {
    ++in.at;
    out = unzigzag(first);
    return true;
  }
  if (in.left() >= 2 && byte_at(in.at + 1) < 0x80) {
    out = unzigzag((first & 0x7f) | byte_at(in.at + 1) << 7);
    in.at += 2;
    return true;
  }
  const LongVarint taken = take_long_varint(in);
  if (taken.next == nullptr) return false;
  in.at = taken.next;
  out = unzigzag(taken.value);
  return true;
}

/// A zigzag length (-1: absent), then the bytes.
inline bool take_sized(Cursor& in, std::optional<std::string_view>& out) noexcept {
  std::int64_t size = 0;
  if (!take_zigzag(in, size) || size < -1) return false;
  if (size < 0) {
    out.reset();
    return true;
  }
  if (static_cast<std::uint64_t>(size) > in.left()) return false;
  out = std::string_view(in.at, static_cast<std::size_t>(size));
  in.at += size;
  return true;
}

Error bad(std::string what) { return fail(Code::kCorrupt, "record batch: " + std::move(what)); }

}  // namespace

Result<std::size_t> BatchView::frame(std::string_view header, std::size_t bytes_max) {
  if (header.size() < at::kHeaderBytes)
    return bad("only " + std::to_string(header.size()) + " bytes are left, a header has 61");
  const std::int64_t length = i32(header, at::kLength);
  if (length < static_cast<std::int64_t>(at::kHeaderBytes - at::kOverheadBytes))
    return bad("its length field is " + std::to_string(length) + ", the least is 49");
  if (header[at::kMagic] != 2)
    return bad("magic is " + std::to_string(static_cast<int>(header[at::kMagic])) +
               ", only version 2 is known");
  const auto size = static_cast<std::size_t>(length) + at::kOverheadBytes;
  if (size > bytes_max)
    return fail(Code::kMessageTooLarge, "record batch of " + std::to_string(size) + " bytes, at most " +
                                            std::to_string(bytes_max) + " are allowed: send smaller batches");
  const std::int64_t base = i64(header, at::kBaseOffset);
  const std::int64_t delta = i32(header, at::kLastOffsetDelta);
  if (base < 0) return bad("base offset " + std::to_string(base) + " is negative");
  if (delta < 0) return bad("last offset delta " + std::to_string(delta) + " is negative");
  if (base > std::numeric_limits<std::int64_t>::max() - delta - 1)
    return bad("base offset " + std::to_string(base) + " is too large");
  const int codec = i16(header, at::kAttributes) & 7;
  if (codec > 4) return bad("compression codec " + std::to_string(codec) + " is unknown");
  return size;
}

Result<BatchView> BatchView::parse(std::string_view bytes, std::size_t bytes_max) {
  AFDG_ASSIGN(const std::size_t size, frame(bytes, bytes_max));
  if (size > bytes.size())
    return bad("it says " + std::to_string(size) + " bytes, only " + std::to_string(bytes.size()) +
               " are there");
  return BatchView(bytes.substr(0, size));
}

Status BatchView::verify_crc() const {
  const std::uint32_t stored = load_be32(bytes_.data() + at::kCrc);
  const std::uint32_t computed = crc32c(bytes_.substr(at::kAttributes));
  if (stored == computed) return {};
  return bad("CRC-32C of the batch at offset " + std::to_string(base().value()) + " is " +
             std::to_string(computed) + ", stored is " + std::to_string(stored));
}

Status BatchView::validate(BatchOrigin origin) const {
  AFDG_TRY(verify_crc());
  const std::int64_t count = records();
  const std::int64_t span = std::int64_t{last_offset_delta()} + 1;
  if (count < 0 || count > span)
    return bad("record count " + std::to_string(count) + " does not fit a last offset delta of " +
               std::to_string(span - 1));
  if (origin == BatchOrigin::kProducer) {
    if (count != span)
      return bad("record count " + std::to_string(count) +
                 " is not last offset delta + 1 = " + std::to_string(span));
    if (control()) return bad("a client may not write a control batch");
  }
  if (codec() != Codec::kNone) return {};
  // The smallest record: length, attributes, two deltas, two absent fields, no headers.
  if (static_cast<std::uint64_t>(count) * 7 > payload().size())
    return bad("record count " + std::to_string(count) + " does not fit " + std::to_string(payload().size()) +
               " bytes");
  RecordReader reader(*this);
  RecordView record;
  std::int64_t expected = base().value();
  while (reader.next(record))
    if (origin == BatchOrigin::kProducer && record.offset.value() != expected++)
      return bad("offset deltas of a client's batch are not dense");
  return reader.status();
}

Offset BatchView::base() const noexcept { return Offset(i64(bytes_, at::kBaseOffset)); }
Offset BatchView::last() const noexcept { return base() + last_offset_delta(); }
Epoch BatchView::leader_epoch() const noexcept { return Epoch(i32(bytes_, at::kLeaderEpoch)); }
std::int16_t BatchView::attributes() const noexcept { return i16(bytes_, at::kAttributes); }
std::int32_t BatchView::last_offset_delta() const noexcept { return i32(bytes_, at::kLastOffsetDelta); }
std::int64_t BatchView::base_timestamp() const noexcept { return i64(bytes_, at::kBaseTimestamp); }
std::int64_t BatchView::max_timestamp() const noexcept { return i64(bytes_, at::kMaxTimestamp); }
std::int64_t BatchView::producer_id() const noexcept { return i64(bytes_, at::kProducerId); }
std::int16_t BatchView::producer_epoch() const noexcept { return i16(bytes_, at::kProducerEpoch); }
std::int32_t BatchView::base_sequence() const noexcept { return i32(bytes_, at::kBaseSequence); }
std::int32_t BatchView::records() const noexcept { return i32(bytes_, at::kRecordCount); }

void stamp_batch(char* batch, Offset base, Epoch leader_epoch) noexcept {
  store_be64(batch + at::kBaseOffset, static_cast<std::uint64_t>(base.value()));
  store_be32(batch + at::kLeaderEpoch, static_cast<std::uint32_t>(leader_epoch.value()));
}

void restamp_time(char* batch, std::size_t size, std::int64_t max_timestamp, bool append_time) noexcept {
  constexpr std::uint16_t kAppendTime = 8;
  store_be64(batch + at::kMaxTimestamp, static_cast<std::uint64_t>(max_timestamp));
  if (append_time)
    store_be16(batch + at::kAttributes,
               static_cast<std::uint16_t>(load_be16(batch + at::kAttributes) | kAppendTime));
  store_be32(batch + at::kCrc, crc32c(std::string_view(batch, size).substr(at::kAttributes)));
}

RecordReader::RecordReader(const BatchView& batch, std::string_view unpacked)
    : base_(batch.base()),
      count_(batch.records()),
      last_delta_(batch.last_offset_delta()),
      one_time_(batch.log_append_time()),
      time_(one_time_ ? batch.max_timestamp() : batch.base_timestamp()),
      left_(unpacked) {}

RecordReader::RecordReader(const BatchView& batch) : RecordReader(batch, batch.payload()) {
  if (batch.codec() != Codec::kNone)
    status_ = fail(Code::kUnsupported,
                   "the batch at offset " + std::to_string(batch.base().value()) + " is compressed (codec " +
                       std::to_string(static_cast<int>(batch.codec())) + "): unpack its records first");
}

bool RecordReader::corrupt(const char* what) {
  status_ = bad("record " + std::to_string(index_) + " of the batch at offset " +
                std::to_string(base_.value()) + ": " + what);
  return false;
}

bool RecordReader::next(RecordView& record) {
  if (!status_.ok()) return false;
  if (index_ >= count_) {
    if (!left_.empty()) return corrupt("bytes follow the last record");
    return false;
  }
  const char* const begin = left_.data();
  Cursor in{begin, begin + left_.size()};
  std::int64_t size = 0;
  if (!take_zigzag(in, size) || size < 0 || static_cast<std::uint64_t>(size) > in.left())
    return corrupt("impossible length");
  const char* const end = in.at + size;
  left_.remove_prefix(static_cast<std::size_t>(end - begin));
  in.end = end;
  if (size == 0) return corrupt("no bytes");
  raw_.bytes = std::string_view(begin, static_cast<std::size_t>(end - begin));
  raw_.attributes = *in.at++;  // unused
  std::int64_t time_delta = 0;
  std::int64_t offset_delta = 0;
  std::int64_t header_count = 0;
  if (!take_zigzag(in, time_delta) || !take_zigzag(in, offset_delta)) return corrupt("bad deltas");
  if (offset_delta <= previous_delta_ || offset_delta > last_delta_)
    return corrupt("offset delta out of order");
  raw_.time_delta = time_delta;
  raw_.offset_delta = offset_delta;
  raw_.rest = std::string_view(in.at, static_cast<std::size_t>(in.left()));
  if (!take_sized(in, record.key)) return corrupt("bad key");
  if (!take_sized(in, record.value)) return corrupt("bad value");
  if (!take_zigzag(in, header_count) || header_count < 0 ||
      static_cast<std::uint64_t>(header_count) > in.left() / 2)
    return corrupt("impossible header count");
  record.headers.clear();
  for (std::int64_t i = 0; i < header_count; ++i) {
    std::optional<std::string_view> key;
    std::optional<std::string_view> value;
    if (!take_sized(in, key) || !key) return corrupt("bad header key");
    if (!take_sized(in, value)) return corrupt("bad header value");
    record.headers.push_back({*key, value.value_or(std::string_view())});
  }
  if (in.at != in.end) return corrupt("its length is more than its fields");
  record.offset = base_ + offset_delta;
  // Wrapping, as in Java: a hostile delta must not be undefined behaviour.
  const auto ms = one_time_ ? time_
                            : static_cast<std::int64_t>(static_cast<std::uint64_t>(time_) +
                                                        static_cast<std::uint64_t>(time_delta));
  record.timestamp = Timestamp(std::chrono::milliseconds(ms));
  previous_delta_ = static_cast<std::int32_t>(offset_delta);
  ++index_;
  return true;
}

}  // namespace afdg::log
