#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace afdg::log {

/// What compaction has taken from the readers of a partition. Both only grow, and are durable before the
/// first segment is swapped that makes them true.
///
///     start ...... tombstone_horizon ...... history_start ............ end
///     |  a reader that stopped here must     |  only the last of each    |  everything is there
///     |  begin again from the start          |  key is there             |
struct CompactionMarks {
  /// From here on no record is missing: the fold up to any offset at or above it is what it was.
  Offset history_start{0};
  /// A tombstone below it may be gone: who has read up to a lower offset may have missed a deletion.
  Offset tombstone_horizon{0};

  friend bool operator==(const CompactionMarks&, const CompactionMarks&) = default;
};

/// The content of the file "compaction-marks" of a partition. ON DISK since version 1
/// (docs/formats/segment.md).
[[nodiscard]] std::string encode_marks(const CompactionMarks& marks);
/// Errors: kCorrupt, kNewerFormat; the caller adds the file's name.
[[nodiscard]] Result<CompactionMarks> decode_marks(std::string_view bytes);

}  // namespace afdg::log
