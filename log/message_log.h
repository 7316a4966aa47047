#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

namespace afdg::log {

/// The three partitions of a region; together they are one ordered stream of turns.
enum class Stream : std::uint8_t { kMessages = 0, kChanges = 1, kDead = 2 };
inline constexpr std::size_t kStreams = 3;

struct Header {
  std::string_view key;
  std::string_view value;
};

/// One record as it is stored. Views point into the bytes of whoever hands it over.
struct RecordView {
  Offset offset;
  Timestamp timestamp;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;  ///< absent: a tombstone
  std::vector<Header> headers;
};

/// Builds the records of one append, for one stream, in the wire form of a record batch (v2), without copying
/// them again. A failed turn is taken back with rollback(savepoint). Thread-safety: confined. Ownership: owns
/// its buffer; reused after clear(), which keeps the capacity.
class BatchBuilder {
 public:
  struct Savepoint {
    std::size_t bytes;
    std::int32_t records;
    std::int64_t max_timestamp;
  };
  BatchBuilder();
  /// Appends a record; its offset is the batch's first plus the count before it.
  void add(Timestamp timestamp, std::optional<std::string_view> key, std::optional<std::string_view> value,
           const Header* headers = nullptr, std::size_t header_count = 0);
  [[nodiscard]] Savepoint savepoint() const noexcept { return {buffer_.size(), records_, max_timestamp_}; }
  void rollback(const Savepoint& to);
  void clear();
  [[nodiscard]] std::int32_t records() const noexcept { return records_; }
  /// Bytes of the batch so far, header included; 61 when empty.
  [[nodiscard]] std::size_t bytes() const noexcept { return buffer_.size(); }
  [[nodiscard]] bool empty() const noexcept { return records_ == 0; }
  /// Writes header fields and CRC; the bytes are a whole batch until the next add(), rollback() or clear().
  [[nodiscard]] std::string_view seal(Offset base, Epoch leader_epoch);

 private:
  std::string buffer_;
  std::int32_t records_ = 0;
  std::int64_t first_timestamp_ = 0;
  std::int64_t max_timestamp_ = -1;
};

/// What became of an append.
enum class AppendOutcome : std::uint8_t {
  kCommitted,  ///< durable, readable, never truncated
  kFenced,     ///< a writer of a higher epoch took over; it will never be readable
  kUnknown,    ///< reopen with a higher epoch and read
};

/// Whole turns of one region, for its three streams. Empty builders append nothing there.
struct RegionAppend {
  BatchBuilder* messages = nullptr;
  BatchBuilder* changes = nullptr;
  BatchBuilder* dead = nullptr;
};

/// Called once per append, in append order, from a thread of the log (or inside append() or pump() of the
/// in-memory twin). It must not block and must not call back into the log.
using AppendDone = std::function<void(AppendOutcome outcome)>;

/// What a region reads back.
struct ReadLimits {
  std::size_t bytes_max = 1u << 20;  ///< at least one batch is returned even above it
};

/// The log of one region: the port by which the region core reaches whatever keeps its messages and changes.
///
/// Contract. One writer per region and epoch. An append is atomic over the three streams. Completions arrive
/// in the order of appends; after one is not kCommitted, no later append of this writer ever becomes
/// readable. Committed means durable and never truncated. Offsets grow, may be sparse, are never used again.
/// Batch boundaries are not promised to a reader, but what read() hands out for kChanges never ends inside a
/// turn. Thread-safety: confined to the region's thread, but for completions. Bounds: a batch is at most
/// batch_bytes_max.
class MessageLog {
 public:
  virtual ~MessageLog() = default;
  /// Takes over as the writer with this epoch: returns once every append of lower epochs is decided. Errors:
  /// kFenced when a higher epoch was seen, kCorrupt, kIo.
  virtual Status open(Epoch epoch) = 0;
  /// The offset that the next append's first record gets in that stream, should it commit.
  [[nodiscard]] virtual Offset next(Stream stream) const = 0;
  /// The first offset not yet committed.
  [[nodiscard]] virtual Offset committed_end(Stream stream) const = 0;
  /// The first offset that can be read.
  [[nodiscard]] virtual Offset start(Stream stream) const = 0;
  /// A reader of kChanges that starts below this must rebuild from start() (see kRebuild).
  [[nodiscard]] virtual Offset tombstone_horizon() const = 0;
  /// Takes the turns; `done` tells what became of them. The builders' bytes are taken on return (they may be
  /// cleared). Errors (nothing was taken, done is not called): kMessageTooLarge, kDiskFull, kOverloaded
  /// (bytes in flight), kCorrupt, kFenced.
  virtual Status append(Epoch epoch, const RegionAppend& turns, AppendDone done) = 0;
  /// Calls `visit` for committed records from `from`, in order, until the limit; returns the offset to go on
  /// from (== committed_end when all was read). Views live for the call. Errors: kOutOfRange below start or
  /// above committed_end; kRebuild below the tombstone horizon, unless it is start or where a read that
  /// began there ended; kCorrupt.
  using Visit = std::function<void(const RecordView&)>;
  virtual Result<Offset> read(Stream stream, Offset from, const ReadLimits& limits, const Visit& visit) = 0;
  /// Whether an append of that size is likely to be taken now. Cheap; asked before a message is run that may
  /// write, so that a full disk refuses it and stops nothing. Errors: kDiskFull.
  [[nodiscard]] virtual Status ready(std::size_t bytes) const {
    static_cast<void>(bytes);
    return {};
  }
  /// Allows the start of kMessages to move up to `messages_applied` (retention never passes it), and
  /// compaction of kChanges up to `changes_flushed`: below that nothing is read back but by a rebuild. After
  /// open() nothing is compacted until this was called.
  virtual void set_applied(Offset messages_applied, Offset changes_flushed) = 0;
};

inline constexpr std::size_t kBatchBytesMax = 16u << 20;

}  // namespace afdg::log
