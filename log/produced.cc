#include "log/produced.h"

#include <algorithm>
#include <utility>

#include "base/codec.h"

namespace afdg::log {
namespace {

namespace at = batch_layout;

constexpr int kCodecBits = 0x07;

Error invalid(std::string what) { return fail(Code::kInvalidRecord, "record batch: " + std::move(what)); }
Error damaged(std::string what) { return fail(Code::kCorrupt, "record batch: " + std::move(what)); }

/// That these are the bytes of one batch, as the client sent them.
Status check_frame(std::string_view bytes, std::size_t bytes_max) {
  if (bytes.size() < at::kHeaderBytes)
    return damaged(std::to_string(bytes.size()) + " bytes, a header has 61");
  if (bytes[at::kMagic] != 2) {
    return invalid("magic is " + std::to_string(static_cast<int>(bytes[at::kMagic])) +
                   ", only version 2 is taken: use a newer client");
  }
  const auto length = static_cast<std::int32_t>(load_be32(bytes.data() + at::kLength));
  if (length < static_cast<std::int32_t>(at::kHeaderBytes - at::kOverheadBytes))
    return damaged("its length field is " + std::to_string(length) + ", the least is 49");
  const std::size_t size = static_cast<std::size_t>(length) + at::kOverheadBytes;
  if (size > bytes_max) {
    return fail(Code::kMessageTooLarge, "record batch of " + std::to_string(size) + " bytes, at most " +
                                            std::to_string(bytes_max) + " are allowed: send smaller batches");
  }
  if (size > bytes.size()) {
    return damaged("it says " + std::to_string(size) + " bytes, only " + std::to_string(bytes.size()) +
                   " are there");
  }
  if (size < bytes.size()) {
    return invalid("it says " + std::to_string(size) + " bytes, " + std::to_string(bytes.size()) +
                   " are there: one batch a partition is taken");
  }
  const std::uint32_t stored = load_be32(bytes.data() + at::kCrc);
  const std::uint32_t computed = crc32c(bytes.substr(at::kAttributes));
  if (stored == computed) return {};
  return damaged("its CRC-32C is " + std::to_string(computed) + ", it says " + std::to_string(stored));
}

/// What the header alone tells.
Status check_header(const BatchView& batch) {
  const int attributes = static_cast<std::uint16_t>(batch.attributes());
  if (batch.control()) return invalid("a client may not write a control batch");
  if (batch.transactional())
    return invalid("transactions are not supported here: produce without transactional.id");
  if ((attributes & ~kCodecBits) != 0) {
    return invalid("attributes " + std::to_string(attributes) +
                   " have bits that a client may not set: only the codec is its own");
  }
  const std::int64_t count = batch.records();
  const std::int64_t span = std::int64_t{batch.last_offset_delta()} + 1;
  if (count < 1) return invalid("record count " + std::to_string(count) + ", at least 1 is needed");
  if (count != span) {
    return invalid("record count " + std::to_string(count) +
                   " is not last offset delta + 1 = " + std::to_string(span));
  }
  if (batch.producer_id() < -1 ||
      (batch.producer_id() >= 0 && (batch.producer_epoch() < 0 || batch.base_sequence() < 0))) {
    return invalid("producer id " + std::to_string(batch.producer_id()) + " with epoch " +
                   std::to_string(batch.producer_epoch()) + " and sequence " +
                   std::to_string(batch.base_sequence()) + ": none of them may be negative");
  }
  return {};
}

}  // namespace

Result<ProducedBatch> validate_produced(std::string_view bytes, const ProducedLimits& limits,
                                        std::string& buffer) {
  AFDG_TRY(check_frame(bytes, limits.batch_bytes_max));
  const int codec = load_be16(bytes.data() + at::kAttributes) & kCodecBits;
  if (codec > static_cast<int>(Codec::kZstd)) {
    return fail(Code::kUnsupportedCompression, "record batch: compression codec " + std::to_string(codec) +
                                                   " is not known here: use gzip, snappy, lz4, zstd or none");
  }
  const auto parsed = BatchView::parse(bytes, limits.batch_bytes_max);
  if (!parsed.ok()) return fail(Code::kInvalidRecord, parsed.error().text());
  const BatchView& batch = *parsed;
  AFDG_TRY(check_header(batch));
  auto unpacked = unpack_records(batch, buffer, limits.unpacked_bytes_max);
  if (!unpacked.ok()) {
    if (unpacked.code() == Code::kMessageTooLarge) return unpacked.error();
    return invalid(unpacked.error().text());
  }
  // The smallest record: length, attributes, two deltas, two absent fields, no headers.
  if (static_cast<std::uint64_t>(batch.records()) * 7 > unpacked->size()) {
    return invalid("record count " + std::to_string(batch.records()) + " does not fit " +
                   std::to_string(unpacked->size()) + " bytes of records");
  }
  ProducedBatch out{batch};
  // The reader wants deltas that grow and do not pass the last one; with count = last + 1 they are dense.
  RecordReader reader(batch, *unpacked);
  RecordView record;
  std::int64_t index = 0;
  for (; reader.next(record); ++index) {
    if (!record.key && out.first_without_key < 0) out.first_without_key = static_cast<std::int32_t>(index);
    const std::int64_t timestamp = record.timestamp.time_since_epoch().count();
    if (timestamp == -1) continue;  // no timestamp
    out.records_max_timestamp = std::max(out.records_max_timestamp, timestamp);
    out.records_min_timestamp =
        out.records_min_timestamp == -1 ? timestamp : std::min(out.records_min_timestamp, timestamp);
  }
  if (!reader.status().ok()) return invalid(reader.status().error().text());
  if (limits.keys_required && out.first_without_key >= 0) {
    return invalid("record " + std::to_string(out.first_without_key) +
                   " has no key, and the topic is compacted: give each record a key");
  }
  return out;
}

RefusedRecords refused_records(const BatchView& batch, const RecordLimits& limits, std::size_t named_max,
                               std::string& buffer) {
  RefusedRecords out;
  const auto unpacked = unpack_records(batch, buffer, limits.unpacked_bytes_max);
  if (!unpacked.ok()) return out;
  RecordReader reader(batch, *unpacked);
  RecordView record;
  for (std::int32_t index = 0; reader.next(record); ++index) {
    const bool has_key = record.key.has_value() || !limits.keys_required;
    const std::int64_t timestamp = record.timestamp.time_since_epoch().count();
    const bool in_time = timestamp == -1 || (timestamp >= limits.time_min && timestamp <= limits.time_max);
    if (has_key && in_time) continue;
    ++out.count;
    out.times = out.times || has_key;
    if (out.records.size() < named_max) out.records.push_back({index, has_key, timestamp});
  }
  return out;
}

}  // namespace afdg::log
