#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace afdg::log {

/// Names of the small files in a partition's directory; Kafka's.
inline constexpr std::string_view kMetadataFile = "partition.metadata";
inline constexpr std::string_view kLineageFile = "leader-epoch-checkpoint";
/// Ours, see CompactionMarks; absent until the first compaction.
inline constexpr std::string_view kMarksFile = "compaction-marks";

/// Behind the names of a segment's files: one that a cleaning writes, and one that is whole and is to take
/// the place of the segments whose offsets it covers (of that, only the .log).
inline constexpr std::string_view kCleanedSuffix = ".cleaned";
inline constexpr std::string_view kSwapSuffix = ".swap";

/// The content of partition.metadata. ON DISK since version 1 (Kafka's format): "version: 0", "topic_id: "
/// and the topic's UUID in unpadded URL-safe base64. The UUID's upper half is "afdg" and four zero bytes, its
/// lower half the topic id, big endian.
[[nodiscard]] std::string encode_metadata(TopicId topic);
/// Errors: kCorrupt, kNewerFormat.
[[nodiscard]] Result<TopicId> decode_metadata(std::string_view text);

}  // namespace afdg::log
