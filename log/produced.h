#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "log/batch.h"
#include "log/codecs.h"

namespace afdg::log {

/// What a topic demands of a batch that a client hands in.
struct ProducedLimits {
  std::size_t batch_bytes_max = kBatchBytesMax;        ///< max.message.bytes: as sent, header included
  std::size_t unpacked_bytes_max = kUnpackedBytesMax;  ///< of the records once decompressed
  bool keys_required = false;                          ///< the topic is compacted
};

/// What was seen while a batch was checked.
struct ProducedBatch {
  BatchView batch;
  /// The largest timestamp of its records; -1 when none has one. Who keeps create time compares it with
  /// max_timestamp(), which the time index believes.
  std::int64_t records_max_timestamp = -1;
  /// The smallest timestamp of those that have one; -1 when none has.
  std::int64_t records_min_timestamp = -1;
  /// The first record without a key; -1 when each has one.
  std::int32_t first_without_key = -1;
};

/// Checks every rule for a batch that a client produced; `bytes` is exactly one batch. Whatever its base
/// offset (not below zero) and leader epoch say is not looked at. `buffer` takes decompressed records: keep
/// it over many calls. Thread-safety: safe. Bounds: as decompress(). Errors, each with another answer for the
/// client:
///   kMessageTooLarge         above a limit, packed or unpacked: smaller batches pass
///   kCorrupt                 the bytes changed on their way (length, CRC): the same batch again may pass
///   kUnsupportedCompression  a codec above 4
///   kInvalidRecord           anything else; the same batch never passes
Result<ProducedBatch> validate_produced(std::string_view bytes, const ProducedLimits& limits,
                                        std::string& buffer);

/// What a topic demands of each record; a record without a timestamp (-1) has none to be judged.
struct RecordLimits {
  bool keys_required = false;
  std::int64_t time_min = std::numeric_limits<std::int64_t>::min();
  std::int64_t time_max = std::numeric_limits<std::int64_t>::max();
  std::size_t unpacked_bytes_max = kUnpackedBytesMax;  ///< as for validate_produced()
};
/// The records of a batch that a topic does not take (KIP-467).
struct RefusedRecords {
  struct Record {
    std::int32_t index = 0;  ///< in the batch
    bool has_key = false;    ///< or it lacks one that it needs; its time is not looked at then
    std::int64_t timestamp = -1;
  };
  std::vector<Record> records;  ///< the first ones
  std::int64_t count = 0;       ///< of all of them
  bool times = false;           ///< the time of one is wrong
};
/// Precondition: validate_produced() took the batch. Bounds: names `named_max`, and unpacks into `buffer`.
RefusedRecords refused_records(const BatchView& batch, const RecordLimits& limits, std::size_t named_max,
                               std::string& buffer);

}  // namespace afdg::log
