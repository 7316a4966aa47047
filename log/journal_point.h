#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "log/journal_core.h"

namespace afdg::log {

/// The content of the recovery-point file: from where the journal must be replayed, and what each partition
/// durably is without it. ON DISK since version 1, what compaction did since version 2
/// (docs/formats/journal.md).
struct RecoveryPoint {
  struct Partition {
    TopicPartition partition;
    Offset start;     ///< first readable
    Offset end;       ///< all below is synced in segments; exactly the end before the frame `replay_from`
    Epoch epoch{-1};  ///< highest writer's epoch seen; -1: none
    /// All below was compacted, durably; at most `end`. May be below `start`.
    Offset cleaned{0};
    /// Of the marks in the partition's directory: lower ones there are those of a copy from before.
    Offset history_start{0};
  };
  std::uint64_t journal_id = 0;
  JournalPosition replay_from;
  /// Commits up to this number were synced when the file was written: a journal that ends before is damaged.
  std::uint64_t synced_number = 0;
  /// Written by an orderly stop, after the last commit.
  bool clean = false;
  std::vector<Partition> partitions;
};

[[nodiscard]] std::string encode_recovery_point(const RecoveryPoint& point);
/// Errors: kCorrupt, kNewerFormat; the caller adds the file's name.
[[nodiscard]] Result<RecoveryPoint> decode_recovery_point(std::string_view bytes);

}  // namespace afdg::log
