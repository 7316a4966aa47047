#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "log/message_log.h"

namespace afdg::log {

/// When an append to the in-memory twin is decided.
enum class MemoryCommit : std::uint8_t {
  kImmediate,  ///< inside append()
  kManual,     ///< when the test calls MemoryLogStorage::commit_one() or commit_all()
};

/// What an in-memory region log keeps; it outlives its writers, as a disk outlives a process. Also the test's
/// handle: faults are planted here. Thread-safety: confined, together with its MemoryLogs. Bounds:
/// in_flight_bytes_max; committed bytes are kept until the start is moved, or until set_applied() with
/// trim_applied.
class MemoryLogStorage {
 public:
  struct Options {
    MemoryCommit commit = MemoryCommit::kImmediate;
    std::size_t batch_bytes_max = kBatchBytesMax;
    /// Appends that are not decided yet, bytes; more is kOverloaded.
    std::size_t in_flight_bytes_max = 64u << 20;
    /// Offsets left out before each batch: readers must not count on dense ones.
    std::int64_t offset_gap = 0;
    /// set_applied() moves the start of kMessages, as the strictest retention would.
    bool trim_applied = false;
  };
  /// What happens to an append whose outcome is kUnknown.
  enum class Unknown : std::uint8_t { kKept, kLost };

  MemoryLogStorage() : MemoryLogStorage(Options()) {}
  explicit MemoryLogStorage(const Options& options);
  ~MemoryLogStorage();
  MemoryLogStorage(const MemoryLogStorage&) = delete;
  MemoryLogStorage& operator=(const MemoryLogStorage&) = delete;

  void set_commit(MemoryCommit mode) { options_.commit = mode; }
  /// Commits the oldest undecided append; false when there is none.
  bool commit_one();
  /// Commits all undecided appends; how many.
  std::size_t commit_all();
  /// The process dies: undecided appends are gone and their completions are never called. The writer is no
  /// longer valid.
  void crash();
  /// Somebody takes over with `epoch`: undecided appends and all later ones of the present writer are fenced.
  void fence(Epoch epoch);
  /// The oldest undecided append (or, when there is none, the next one) is answered kUnknown, those behind it
  /// kFenced.
  void answer_unknown(Unknown fate);
  /// From now on append() fails with kDiskFull, until called with false.
  void set_disk_full(bool full) { disk_full_ = full; }
  /// From now on every call of a MemoryLog fails with kCorrupt.
  void set_corrupt() { corrupt_ = true; }
  /// Drops committed records below `to`, batches whole.
  void set_start(Stream stream, Offset to);
  void set_tombstone_horizon(Offset to) { tombstone_horizon_ = to; }

  [[nodiscard]] std::size_t undecided() const noexcept { return undecided_.size(); }
  [[nodiscard]] std::uint64_t appends() const noexcept { return appends_; }
  [[nodiscard]] std::uint64_t bytes_appended() const noexcept { return bytes_appended_; }
  [[nodiscard]] Offset messages_applied() const noexcept { return messages_applied_; }
  [[nodiscard]] Offset changes_flushed() const noexcept { return changes_flushed_; }
  [[nodiscard]] Offset committed_end(Stream stream) const { return partition(stream).end; }

 private:
  friend class MemoryLog;
  struct Batch {
    Offset base;
    Offset next;
    std::string bytes;
  };
  struct Partition {
    std::deque<Batch> batches;
    Offset start{0};
    Offset end{0};
    Offset written_end{0};  ///< undecided appends included
  };
  struct Append {
    std::array<Batch, kStreams> batches;  ///< empty bytes: nothing in that stream
    std::size_t bytes = 0;
    AppendDone done;
  };
  [[nodiscard]] Partition& partition(Stream stream) { return partitions_[static_cast<std::size_t>(stream)]; }
  [[nodiscard]] const Partition& partition(Stream stream) const {
    return partitions_[static_cast<std::size_t>(stream)];
  }
  void publish(std::array<Batch, kStreams>& batches);
  /// Ends the present writer: the undecided appends are answered kFenced and never appear.
  void depose();

  Options options_;
  std::array<Partition, kStreams> partitions_;
  std::deque<Append> undecided_;
  std::size_t undecided_bytes_ = 0;
  Epoch epoch_{-1};           ///< the highest seen
  std::uint64_t writer_ = 0;  ///< token of the present writer; 0: none
  std::uint64_t writers_ = 0;
  Offset tombstone_horizon_{0};
  Offset messages_applied_{0};
  Offset changes_flushed_{0};
  std::uint64_t appends_ = 0;
  std::uint64_t bytes_appended_ = 0;
  bool disk_full_ = false;
  bool corrupt_ = false;
  bool next_unknown_ = false;
  Unknown next_fate_ = Unknown::kLost;
};

/// The MessageLog in memory: for tests of the region core, for the author's test region, and for benchmarks
/// of what stands above the log. Completions run inside append() (kImmediate), or inside the storage's calls
/// that decide.
class MemoryLog final : public MessageLog {
 public:
  explicit MemoryLog(std::shared_ptr<MemoryLogStorage> storage);
  ~MemoryLog() override;
  Status open(Epoch epoch) override;
  [[nodiscard]] Offset next(Stream stream) const override;
  [[nodiscard]] Offset committed_end(Stream stream) const override;
  [[nodiscard]] Offset start(Stream stream) const override;
  [[nodiscard]] Offset tombstone_horizon() const override;
  Status append(Epoch epoch, const RegionAppend& turns, AppendDone done) override;
  Result<Offset> read(Stream stream, Offset from, const ReadLimits& limits, const Visit& visit) override;
  void set_applied(Offset messages_applied, Offset changes_flushed) override;

 private:
  std::shared_ptr<MemoryLogStorage> storage_;
  std::uint64_t writer_ = 0;
  Epoch epoch_{-1};
  Offset rebuilt_to_{-1};  ///< where a reader of changes that began at their start goes on
};

}  // namespace afdg::log
