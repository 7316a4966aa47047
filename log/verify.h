#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/file_system.h"

namespace afdg::log {

/// What is wrong, by what it means for the next start.
enum class FindingKind : std::uint8_t {
  kDamaged,  ///< synced bytes are not as they were written: a faulty partition, or a node that does not start
  kMissing,  ///< a file or a directory that should be there
  kNewer,    ///< written by a newer version
  kDerived,  ///< an index or a lineage: made anew at the next start
  kUnsynced,  ///< left by an unclean stop, never acknowledged or still in the journal: put right at the next
              ///< start
};
[[nodiscard]] std::string_view finding_kind_name(FindingKind kind) noexcept;

struct Finding {
  std::string file;
  std::uint64_t position = 0;
  FindingKind kind = FindingKind::kDamaged;
  std::string sentence;  ///< what, and what to do
};

struct VerifyReport {
  std::vector<Finding> findings;
  bool clean = false;  ///< the node was stopped in order, and nothing waits in the journal
  std::uint64_t partitions = 0;
  std::uint64_t segments = 0;
  std::uint64_t batches = 0;  ///< good ones in segments
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t journal_commits = 0;
  std::uint64_t journal_batches = 0;  ///< good ones that wait in the journal
  /// Nothing was found that a start does not put right by itself.
  [[nodiscard]] bool sound() const noexcept;
};

/// Checks the log directory of a stopped node: every CRC and record of every batch, offsets, what the
/// segments should hold by recovery point and journal, indexes, lineages, metadata, and the journal itself.
/// Changes nothing. Blocks, reads all. Errors: kIo, kNotFound (no such directory); damage is not an error but
/// a finding. Bounds: findings_max of them, the last saying that there are more.
[[nodiscard]] Result<VerifyReport> verify_log(store::FileSystem& fs, const std::string& directory,
                                              std::size_t findings_max = 1000);

}  // namespace afdg::log
