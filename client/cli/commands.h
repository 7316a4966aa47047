#pragma once

#include <functional>

#include "client/cli/context.h"

namespace afdg::client::cli {

/// What the chosen command does once the arguments are read.
using Action = std::function<Exit(Context&)>;

/// Each adds its commands to `app`; the one that the user chose sets `chosen`.
void add_agent_commands(CLI::App& app, Action& chosen);
void add_grid_commands(CLI::App& app, Action& chosen);
void add_region_commands(CLI::App& app, Action& chosen);
void add_topic_commands(CLI::App& app, Action& chosen);
void add_group_commands(CLI::App& app, Action& chosen);
void add_catalog_commands(CLI::App& app, Action& chosen);
void add_bench_commands(CLI::App& app, Action& chosen);
void add_top_command(CLI::App& app, Action& chosen);
void add_completion_command(CLI::App& app, Action& chosen);

/// What bare `afdg` prints.
Exit show_state(Context& context);
/// A completion script for bash, zsh or fish, made from the commands themselves.
Result<std::string> completion_script(const CLI::App& app, const std::string& shell);

/// Runs `body` and prints its error.
template <typename Body>
Exit guarded(Context& context, Body body) {
  const Result<Exit> result = body();
  return result.ok() ? *result : context.fail(result.error());
}

}  // namespace afdg::client::cli
