#include <cstring>
#include <string>

#include "base/assert.h"
#include "base/codec.h"
#include "log/batch.h"
#include "log/message_log.h"

namespace afdg::log {
namespace {

using batch_layout::kHeaderBytes;

char* write_zigzag(char* at, std::int64_t v) noexcept {
  std::uint64_t u = (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63);
  for (; u >= 0x80; u >>= 7) *at++ = static_cast<char>(u | 0x80);
  *at++ = static_cast<char>(u);
  return at;
}

std::size_t sized_bytes(std::size_t size) noexcept {
  return zigzag_size(static_cast<std::int64_t>(size)) + size;
}

}  // namespace

BatchBuilder::BatchBuilder() : buffer_(kHeaderBytes, '\0') {}

void BatchBuilder::add(Timestamp timestamp, std::optional<std::string_view> key,
                       std::optional<std::string_view> value, const Header* headers,
                       std::size_t header_count) {
  const std::int64_t ms = timestamp.time_since_epoch().count();
  if (records_ == 0) first_timestamp_ = ms;
  const std::int64_t time_delta = ms - first_timestamp_;

  std::size_t size = 1 + zigzag_size(time_delta) + zigzag_size(records_);
  size += key ? sized_bytes(key->size()) : 1;
  size += value ? sized_bytes(value->size()) : 1;
  size += zigzag_size(static_cast<std::int64_t>(header_count));
  for (std::size_t i = 0; i < header_count; ++i)
    size += sized_bytes(headers[i].key.size()) + sized_bytes(headers[i].value.size());

  // Length, attributes, both deltas and the key's length: at most 5 + 1 + 10 + 5 + 10 bytes.
  char fixed[40];
  char* at = write_zigzag(fixed, static_cast<std::int64_t>(size));
  *at++ = 0;
  at = write_zigzag(at, time_delta);
  at = write_zigzag(at, records_);
  at = write_zigzag(at, key ? static_cast<std::int64_t>(key->size()) : -1);
  buffer_.append(fixed, static_cast<std::size_t>(at - fixed));
  if (key) buffer_.append(*key);
  at = write_zigzag(fixed, value ? static_cast<std::int64_t>(value->size()) : -1);
  if (value) {
    buffer_.append(fixed, static_cast<std::size_t>(at - fixed));
    buffer_.append(*value);
    at = fixed;
  }
  at = write_zigzag(at, static_cast<std::int64_t>(header_count));
  buffer_.append(fixed, static_cast<std::size_t>(at - fixed));
  for (std::size_t i = 0; i < header_count; ++i) {
    at = write_zigzag(fixed, static_cast<std::int64_t>(headers[i].key.size()));
    buffer_.append(fixed, static_cast<std::size_t>(at - fixed));
    buffer_.append(headers[i].key);
    at = write_zigzag(fixed, static_cast<std::int64_t>(headers[i].value.size()));
    buffer_.append(fixed, static_cast<std::size_t>(at - fixed));
    buffer_.append(headers[i].value);
  }
  ++records_;
  if (ms > max_timestamp_) max_timestamp_ = ms;
}

void BatchBuilder::rollback(const Savepoint& to) {
  AFDG_ASSERT(to.bytes >= kHeaderBytes && to.bytes <= buffer_.size() && to.records <= records_,
              "rollback to a savepoint that is not of this batch");
  buffer_.resize(to.bytes);
  records_ = to.records;
  max_timestamp_ = to.max_timestamp;
}

void BatchBuilder::clear() {
  buffer_.resize(kHeaderBytes);
  records_ = 0;
  max_timestamp_ = -1;
}

std::string_view BatchBuilder::seal(Offset base, Epoch leader_epoch) {
  namespace at = batch_layout;
  AFDG_ASSERT(records_ > 0, "seal() of an empty batch");
  char* b = buffer_.data();
  store_be64(b + at::kBaseOffset, static_cast<std::uint64_t>(base.value()));
  store_be32(b + at::kLength, static_cast<std::uint32_t>(buffer_.size() - at::kOverheadBytes));
  store_be32(b + at::kLeaderEpoch, static_cast<std::uint32_t>(leader_epoch.value()));
  b[at::kMagic] = 2;
  store_be16(b + at::kAttributes, 0);
  store_be32(b + at::kLastOffsetDelta, static_cast<std::uint32_t>(records_ - 1));
  store_be64(b + at::kBaseTimestamp, static_cast<std::uint64_t>(first_timestamp_));
  store_be64(b + at::kMaxTimestamp, static_cast<std::uint64_t>(max_timestamp_));
  store_be64(b + at::kProducerId, ~std::uint64_t{0});
  store_be16(b + at::kProducerEpoch, 0xffff);
  store_be32(b + at::kBaseSequence, 0xffffffffu);
  store_be32(b + at::kRecordCount, static_cast<std::uint32_t>(records_));
  store_be32(b + at::kCrc, crc32c(std::string_view(buffer_).substr(at::kAttributes)));
  return buffer_;
}

}  // namespace afdg::log
