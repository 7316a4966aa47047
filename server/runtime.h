#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/config.h"
#include "server/node.h"

namespace afdg::server {

struct RuntimeSetup {
  Config config;
  std::vector<Node::GridWish> grids;
  std::vector<agents::AgentType> types;
  bool plant_no_dedup = false;
  bool handle_signals = false;  ///< notes fatal signals, for poison messages: programs, not tests
  /// A line for whoever started the program.
  std::function<void(const std::string&)> say;
  /// Asked while it waits for another process's catalog.
  std::function<bool()> give_up;
};

/// Composes a node from its parts and starts them in order; an error has undone what was done.
Result<std::unique_ptr<RunningNode>> start_node(RuntimeSetup setup);

/// The exit code of cli.md for a start or stop that failed.
[[nodiscard]] int exit_code(Code code);

}  // namespace afdg::server
