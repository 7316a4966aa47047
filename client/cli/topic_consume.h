#pragma once

#include "client/cli/commands.h"

namespace afdg::client::cli {

/// Adds `topic consume`.
void add_topic_consume(CLI::App& topic, Action& chosen);

}  // namespace afdg::client::cli
