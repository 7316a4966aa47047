#include "log/cleaner_batch.h"

#include <algorithm>

#include "base/codec.h"
#include "log/codecs.h"

namespace afdg::log {
namespace {

namespace at = batch_layout;

constexpr std::uint16_t kCodecBits = 7;
constexpr std::uint16_t kHorizonBit = 64;

std::int64_t minus(std::int64_t a, std::int64_t b) {  // wraps, as Java
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

/// The record with another time delta.
void put_moved(std::string& out, const RecordReader::Raw& raw, std::int64_t time_delta) {
  std::string head(1, raw.attributes);
  put_zigzag(head, time_delta);
  put_zigzag(head, raw.offset_delta);
  put_zigzag(out, static_cast<std::int64_t>(head.size() + raw.rest.size()));
  out.append(head);
  out.append(raw.rest);
}

struct NewHeader {
  std::uint16_t attributes;
  std::int64_t base_timestamp;
  std::int64_t max_timestamp;
  std::int32_t records;
};

/// The batch's header, with what changes, in front of the payload that `out` holds behind 61 bytes.
void finish(const BatchView& batch, const NewHeader& header, std::string& out) {
  std::copy_n(batch.bytes().data(), at::kHeaderBytes, out.data());
  store_be32(out.data() + at::kLength, static_cast<std::uint32_t>(out.size() - at::kOverheadBytes));
  store_be16(out.data() + at::kAttributes, header.attributes);
  store_be64(out.data() + at::kBaseTimestamp, static_cast<std::uint64_t>(header.base_timestamp));
  store_be64(out.data() + at::kMaxTimestamp, static_cast<std::uint64_t>(header.max_timestamp));
  store_be32(out.data() + at::kRecordCount, static_cast<std::uint32_t>(header.records));
  store_be32(out.data() + at::kCrc, crc32c(std::string_view(out).substr(at::kAttributes)));
}

}  // namespace

Result<Filtered> filter_batch(const BatchView& batch, std::string_view records, const BatchFilter& filter,
                              std::size_t bytes_max, std::string& out) {
  const auto attributes = static_cast<std::uint16_t>(batch.attributes());
  out.assign(at::kHeaderBytes, '\0');
  std::int32_t kept = 0;
  std::int64_t max_timestamp = -1;
  bool tombstones = false;
  RecordReader reader(batch, records);
  RecordView record;
  while (reader.next(record)) {
    if (!filter.keep(record)) continue;
    ++kept;
    max_timestamp = std::max(max_timestamp, record.timestamp.time_since_epoch().count());
    tombstones = tombstones || !record.value;
    out.append(reader.raw().bytes);
  }
  AFDG_TRY(reader.status());
  const bool set_horizon = tombstones && filter.horizon && !batch.has_delete_horizon();
  if (kept == 0) {
    if (!filter.keep_empty) return Filtered::kGone;
    if (batch.records() == 0) return Filtered::kSame;
    // As Kafka writes it: nothing is packed, and no time of a tombstone is left.
    out.resize(at::kHeaderBytes);
    const auto plain = static_cast<std::uint16_t>(attributes & ~(kCodecBits | kHorizonBit));
    finish(batch, {plain, -1, batch.max_timestamp(), 0}, out);
    return Filtered::kChanged;
  }
  if (kept == batch.records() && !set_horizon) return Filtered::kSame;
  NewHeader header{attributes, batch.base_timestamp(),
                   batch.log_append_time() ? batch.max_timestamp() : max_timestamp, kept};
  if (set_horizon) {
    // Read again: the times of the records are counted from the base, which becomes the horizon.
    header.attributes = static_cast<std::uint16_t>(attributes | kHorizonBit);
    header.base_timestamp = filter.horizon->time_since_epoch().count();
    const std::int64_t later = minus(header.base_timestamp, batch.base_timestamp());
    out.resize(at::kHeaderBytes);
    RecordReader again(batch, records);
    while (again.next(record))
      if (filter.keep(record)) put_moved(out, again.raw(), minus(again.raw().time_delta, later));
  }
  if (batch.codec() != Codec::kNone) {
    std::string packed;
    AFDG_TRY(compress(batch.codec(), std::string_view(out).substr(at::kHeaderBytes), packed));
    out.resize(at::kHeaderBytes);
    out.append(packed);
  }
  if (out.size() > bytes_max) {
    return fail(Code::kMessageTooLarge,
                "what is left of the batch at offset " + std::to_string(batch.base().value()) + " has " +
                    std::to_string(out.size()) + " bytes when it is packed anew, at most " +
                    std::to_string(bytes_max) + " are allowed: the partition cannot be cleaned");
  }
  finish(batch, header, out);
  return Filtered::kChanged;
}

}  // namespace afdg::log
