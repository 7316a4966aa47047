#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace afdg::log {

/// What a record of the journal tells. ON DISK since version 1 (docs/formats/journal.md).
enum class JournalKind : std::uint8_t {
  kAppend = 1,       ///< batches of one or more partitions, readable all or none
  kTruncate = 2,     ///< nothing of a partition at or past an offset survives
  kStart = 3,        ///< a partition's first readable offset moved up
  kDeleteTopic = 4,  ///< a topic and all its partitions are gone
  kEpoch = 5,        ///< a writer with this epoch took a partition over
};

/// The batch of one partition in an append.
struct AppendEntry {
  TopicPartition partition;
  Offset base;
  Offset next;             ///< the first offset after the batch
  std::string_view batch;  ///< empty: `reference`
  bool reference = false;  ///< the batch went to its segment, which was synced up to `next` before the commit
  std::uint32_t reference_bytes = 0;
};

/// A record that was read.
struct JournalRecord {
  JournalKind kind = JournalKind::kAppend;
  std::vector<AppendEntry> entries;  ///< kAppend
  TopicPartition partition;          ///< the others; only the topic for kDeleteTopic
  Offset offset;                     ///< kTruncate, kStart; for kEpoch where the epoch begins
  Epoch epoch;                       ///< kEpoch
};

/// Writes one kAppend record at the end of a buffer, in place:
///     AppendEncoder record(out); record.add(...); ...; record.finish();
/// Thread-safety: confined. Ownership: the buffer is the caller's.
class AppendEncoder {
 public:
  explicit AppendEncoder(std::string& out);
  /// Copies the batch; returns where in the buffer it begins.
  std::size_t add(TopicPartition partition, Offset base, Offset next, std::string_view batch);
  /// The batch itself follows the record, whose last entry this is; returns where it would begin.
  std::size_t add_behind(TopicPartition partition, Offset base, Offset next, std::uint32_t bytes);
  /// The batch itself is in its segment.
  void add_reference(TopicPartition partition, Offset base, Offset next, std::uint32_t bytes);
  void finish();

 private:
  void head(TopicPartition partition, Offset base, Offset next, std::uint32_t bytes, bool reference);
  std::string& out_;
  std::size_t at_;
  std::size_t behind_ = 0;
  std::uint8_t count_ = 0;
};
inline constexpr std::size_t kAppendEntriesMax = 255;

/// The bytes of an entry in a record, before its batch: topic 8, partition 4, base 8, next 8, mode 1, size 4.
inline constexpr std::size_t kEntryHeaderBytes = 33;
/// The base and next offset of the entry whose batch begins at `batch`, in place (offsets are given late,
/// under the lock).
void patch_entry(char* batch, Offset base, Offset next) noexcept;

void encode_truncate(std::string& out, TopicPartition partition, Offset to);
void encode_start(std::string& out, TopicPartition partition, Offset start);
void encode_delete_topic(std::string& out, TopicId topic);
void encode_epoch(std::string& out, TopicPartition partition, Epoch epoch, Offset from);

/// Goes over the records of a frame's payload. The record handed out is reused; views point into the payload.
///     JournalRecordReader in(payload); JournalRecord record;
///     while (in.next(record)) ...;  AFDG_TRY(in.status());
/// Thread-safety: confined. Errors: kCorrupt, kNewerFormat (a kind this version does not know).
class JournalRecordReader {
 public:
  explicit JournalRecordReader(std::string_view payload) : left_(payload) {}
  bool next(JournalRecord& record);
  [[nodiscard]] const Status& status() const noexcept { return status_; }

 private:
  std::string_view left_;
  Status status_;
};

}  // namespace afdg::log
