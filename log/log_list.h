#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "log/log.h"

namespace afdg::log {

/// The list of partitions that a log directory holds, with names and options. ON DISK since version 1
/// (docs/formats/journal.md): the file "partitions".
[[nodiscard]] std::string encode_partition_list(const std::vector<Log::NewPartition>& list);
/// Errors: kCorrupt, kNewerFormat; the caller adds the file's name.
[[nodiscard]] Result<std::vector<Log::NewPartition>> decode_partition_list(std::string_view bytes);
/// Kafka's rule for topic names: 1 to 249 of [a-zA-Z0-9._-], not "." or "..". Errors: kInvalidArgument.
[[nodiscard]] Status check_topic_name(std::string_view name);

}  // namespace afdg::log
