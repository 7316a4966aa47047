// afdg: the command line. docs/cli.md is its manual.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "client/cli/commands.h"

namespace {

using namespace afdg::client::cli;

void add_globals(CLI::App& app, Globals& globals) {
  app.add_option("-s,--server", globals.server, "HOST:PORT of any node (127.0.0.1:7400)")
      ->envname("AFDG_SERVER");
  app.add_option("-g,--grid", globals.grid, "the grid; not needed where the server has one")
      ->envname("AFDG_GRID");
  app.add_option("-o,--output", globals.output, "table, json or raw (table)");
  app.add_option("--timeout", globals.timeout, "how long a call may take (5s)");
  app.add_flag("-v,--verbose", globals.verbose, "more on standard error");
}

/// Global options may stand anywhere: before the command or after it.
void let_globals_fall_through(CLI::App& app) {
  for (CLI::App* sub : app.get_subcommands(nullptr)) {
    sub->fallthrough();
    let_globals_fall_through(*sub);
  }
}

bool wants_json(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--output=json" || word == "-ojson") return true;
    if ((word == "-o" || word == "--output") && i + 1 < argc && std::string_view(argv[i + 1]) == "json")
      return true;
  }
  return false;
}

/// What is wrong with the words, in words of ours where CLI11's do not name the remedy.
std::string usage_text(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* at = &app;
  std::string path = "afdg";
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  std::string commands;
  for (const CLI::App* sub : at->get_subcommands(nullptr))
    commands += (commands.empty() ? "" : ", ") + sub->get_name();
  const std::vector<std::string> left = app.remaining(true);
  const auto word =
      std::find_if(left.begin(), left.end(), [](const std::string& w) { return w.rfind('-', 0) != 0; });
  const auto option =
      std::find_if(left.begin(), left.end(), [](const std::string& w) { return w.rfind('-', 0) == 0; });
  if (!commands.empty() && word != left.end())
    return "'" + *word + "' is not a command of '" + path + "': use one of " + commands;
  if (option != left.end()) return "'" + path + "' has no option '" + *option + "': see " + path + " --help";
  if (!commands.empty() && at != &app) return "'" + path + "' needs a command: use one of " + commands;
  if (word != left.end())
    return "'" + *word + "' is one word too many for '" + path + "': see " + path + " --help";
  return std::string(error.what()) + ": see " + path + " --help";
}

int run(int argc, char** argv) {
  Globals globals;
  Action chosen;
  CLI::App app("afdg: talk to agents, grids, topics and groups of an AFDG server", "afdg");
  app.set_version_flag("--version", "afdg 0.1.0");
  app.footer(
      "Errors say what to do. Exit: 0 ok, 1 refused, 2 usage, 3 not found, 4 unreachable, 5 in doubt,\n"
      "6 overloaded, 7 a fan-out failed in part, 8 denied, 130 interrupted.");
  app.require_subcommand(0, 1);
  add_globals(app, globals);
  add_agent_commands(app, chosen);
  add_grid_commands(app, chosen);
  add_region_commands(app, chosen);
  add_topic_commands(app, chosen);
  add_group_commands(app, chosen);
  add_catalog_commands(app, chosen);
  add_bench_commands(app, chosen);
  add_top_command(app, chosen);
  add_completion_command(app, chosen);
  let_globals_fall_through(app);
  Context context(globals);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    if (wants_json(argc, argv)) globals.output = "json";     // it may not have been read yet
    return static_cast<int>(context.fail(afdg::fail(afdg::Code::kInvalidArgument, usage_text(app, error))));
  }
  if (const afdg::Status ready = context.prepare(); !ready)
    return static_cast<int>(context.fail(ready.error()));
  const Exit exit = chosen ? chosen(context) : show_state(context);
  if (std::cout.flush() || exit != Exit::kOk) return static_cast<int>(exit);
  return static_cast<int>(context.fail(
      afdg::fail(afdg::Code::kIo,
                 "standard output could not be written, so not all is there that was to be printed: "
                 "make room where it goes")));
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "afdg: a rule inside the program was broken: " << error.what() << "; report it\n";
    return static_cast<int>(Exit::kRefused);
  }
}
