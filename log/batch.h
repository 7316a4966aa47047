#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "log/message_log.h"

namespace afdg::log {

/// Where the fields of a record batch begin. ON DISK and ON WIRE since version 1: Kafka's record batch v2,
/// big endian.
namespace batch_layout {
inline constexpr std::size_t kBaseOffset = 0;        // int64
inline constexpr std::size_t kLength = 8;            // int32: bytes after this field
inline constexpr std::size_t kLeaderEpoch = 12;      // int32, not covered by the CRC
inline constexpr std::size_t kMagic = 16;            // int8 = 2
inline constexpr std::size_t kCrc = 17;              // uint32: CRC-32C of all that follows it
inline constexpr std::size_t kAttributes = 21;       // int16
inline constexpr std::size_t kLastOffsetDelta = 23;  // int32
inline constexpr std::size_t kBaseTimestamp = 27;    // int64
inline constexpr std::size_t kMaxTimestamp = 35;     // int64
inline constexpr std::size_t kProducerId = 43;       // int64
inline constexpr std::size_t kProducerEpoch = 51;    // int16
inline constexpr std::size_t kBaseSequence = 53;     // int32
inline constexpr std::size_t kRecordCount = 57;      // int32
inline constexpr std::size_t kHeaderBytes = 61;
inline constexpr std::size_t kOverheadBytes = 12;  // base offset and length
}  // namespace batch_layout

/// The compression of a batch's records; bits 0-2 of the attributes.
enum class Codec : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

/// Who made a batch, and so what may be demanded of it.
enum class BatchOrigin : std::uint8_t {
  kProducer,  ///< a client: dense offset deltas, no control batch
  kStored,    ///< a segment: compaction may have removed records, or all of them
};

/// One whole record batch in bytes that somebody else owns.
/// Thread-safety: const-safe. Ownership: a view. Bounds: sizes are checked before anything is read.
class BatchView {
 public:
  /// The batch at the front of `bytes`, which may go on behind it. Checks length, magic and codec, not the
  /// CRC. Errors: kCorrupt (too short, impossible length, other magic, unknown codec), kMessageTooLarge
  /// (above `bytes_max`).
  static Result<BatchView> parse(std::string_view bytes, std::size_t bytes_max = kBatchBytesMax);
  /// The size of the batch whose first 61 bytes these are, header included. The rest need not be there.
  /// Errors: as parse().
  static Result<std::size_t> frame(std::string_view header, std::size_t bytes_max = kBatchBytesMax);

  /// A view of a header alone: its fields can be read, nothing else. Precondition: frame(header) was ok.
  static BatchView header(std::string_view header) noexcept {
    return BatchView(header.substr(0, batch_layout::kHeaderBytes));
  }

  /// Checks the CRC, the record count and, when the records are not compressed, every record to the last
  /// byte. Errors: kCorrupt, with what is wrong.
  [[nodiscard]] Status validate(BatchOrigin origin = BatchOrigin::kStored) const;
  /// Errors: kCorrupt.
  [[nodiscard]] Status verify_crc() const;

  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] Offset base() const noexcept;
  [[nodiscard]] Offset last() const noexcept;
  /// The first offset after the batch.
  [[nodiscard]] Offset next() const noexcept { return last() + 1; }
  [[nodiscard]] Epoch leader_epoch() const noexcept;
  [[nodiscard]] std::int16_t attributes() const noexcept;
  [[nodiscard]] Codec codec() const noexcept { return static_cast<Codec>(attributes() & 7); }
  /// KIP-534: a cleaning found tombstones here, and base_timestamp() is the time from which on they may go.
  [[nodiscard]] bool has_delete_horizon() const noexcept { return (attributes() & 64) != 0; }
  /// Kafka's LogAppendTime: every record has the batch's max timestamp.
  [[nodiscard]] bool log_append_time() const noexcept { return (attributes() & 8) != 0; }
  [[nodiscard]] bool transactional() const noexcept { return (attributes() & 16) != 0; }
  [[nodiscard]] bool control() const noexcept { return (attributes() & 32) != 0; }
  [[nodiscard]] std::int32_t last_offset_delta() const noexcept;
  [[nodiscard]] std::int64_t base_timestamp() const noexcept;
  [[nodiscard]] std::int64_t max_timestamp() const noexcept;
  [[nodiscard]] std::int64_t producer_id() const noexcept;
  [[nodiscard]] std::int16_t producer_epoch() const noexcept;
  [[nodiscard]] std::int32_t base_sequence() const noexcept;
  [[nodiscard]] std::int32_t records() const noexcept;
  [[nodiscard]] std::string_view payload() const noexcept {
    return bytes_.substr(batch_layout::kHeaderBytes);
  }

 private:
  explicit BatchView(std::string_view bytes) noexcept : bytes_(bytes) {}
  std::string_view bytes_;
};

/// Sets the largest timestamp of the batch at `batch` (`size` bytes, one whole batch) in place, and with
/// `append_time` says that it is the time of all its records (Kafka's LogAppendTime); then the CRC.
void restamp_time(char* batch, std::size_t size, std::int64_t max_timestamp, bool append_time) noexcept;

/// Sets the base offset and leader epoch of the batch at `batch` (at least 61 bytes) in place; the CRC does
/// not cover them.
void stamp_batch(char* batch, Offset base, Epoch leader_epoch) noexcept;

/// Goes over the records of a batch. The record handed out is reused: no allocation per record, headers
/// apart.
///
///     RecordReader reader(batch);
///     RecordView record;
///     while (reader.next(record)) use(record);
///     AFDG_TRY(reader.status());
///
/// Thread-safety: confined. Ownership: views point into the batch's bytes, or the unpacked ones. A null
/// header value reads as an empty one with data() == nullptr. Errors: kCorrupt, kUnsupported (the records of
/// a compressed batch, see unpack_records()).
class RecordReader {
 public:
  /// Of a batch that is not compressed.
  explicit RecordReader(const BatchView& batch);
  /// Of any batch, from what unpack_records() gave for it.
  RecordReader(const BatchView& batch, std::string_view unpacked);
  /// False at the end and at an error.
  bool next(RecordView& record);
  [[nodiscard]] const Status& status() const noexcept { return status_; }
  /// The record that next() gave last as it is stored, for who copies it.
  struct Raw {
    std::string_view bytes;  ///< all of it, its length in front
    char attributes = 0;
    std::int64_t time_delta = 0;
    std::int64_t offset_delta = 0;
    std::string_view rest;  ///< from the key on
  };
  [[nodiscard]] const Raw& raw() const noexcept { return raw_; }

 private:
  bool corrupt(const char* what);
  Offset base_;
  std::int32_t count_;
  std::int32_t last_delta_;
  bool one_time_;      ///< all records have the same time: LogAppendTime
  std::int64_t time_;  ///< that, or what deltas are added to
  std::string_view left_;
  std::int32_t index_ = 0;
  std::int32_t previous_delta_ = -1;
  Raw raw_;
  Status status_;
};

}  // namespace afdg::log
