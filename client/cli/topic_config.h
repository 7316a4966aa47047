#pragma once

#include <google/protobuf/map.h>

#include <string>
#include <vector>

#include "client/cli/commands.h"

namespace afdg::client::cli {

/// Adds `topic config`.
void add_topic_config(CLI::App& topic, Action& chosen);
/// KEY=VALUE each. Errors: kInvalidArgument.
Status read_pairs(const std::vector<std::string>& pairs,
                  google::protobuf::Map<std::string, std::string>& out);

}  // namespace afdg::client::cli
