#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <sstream>

#include "client/cli/commands.h"

namespace afdg::client::cli {
namespace {

struct Place {
  std::string path;  // "/agent/request"
  std::vector<const CLI::App*> commands;
  std::vector<std::string> options;
  std::vector<std::string> values;  // of its only argument
};
const char* const kOutputs = "table json raw";

void collect(const CLI::App& app, const std::string& path, std::vector<Place>& out) {
  Place place{path, {}, {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) place.options.push_back("--" + name);
    for (const std::string& name : option->get_snames()) place.options.push_back("-" + name);
  }
  if (path == "/completion") place.values = {"bash", "zsh", "fish"};
  for (const CLI::App* sub : app.get_subcommands(nullptr)) place.commands.push_back(sub);
  out.push_back(place);
  for (const CLI::App* sub : place.commands) collect(*sub, path + "/" + sub->get_name(), out);
}

std::string words(const Place& place, const Place& top) {
  std::string text;
  for (const std::string& value : place.values) text += value + " ";
  for (const CLI::App* command : place.commands) text += command->get_name() + " ";
  for (const std::string& option : place.options) text += option + " ";
  for (const std::string& option : top.options) {  // global options may stand anywhere
    const auto& own = place.options;
    if (std::find(own.begin(), own.end(), option) == own.end()) text += option + " ";
  }
  if (!text.empty()) text.pop_back();
  return text;
}

std::string bash(const std::vector<Place>& places) {
  std::ostringstream out;
  out << "# bash completion of afdg. Use: source <(afdg completion bash)\n"
         "_afdg() {\n"
         "  local path=\"\" word candidates\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case \"$path/$word\" in\n      ";
  bool first = true;
  for (const Place& place : places) {
    if (place.path.empty()) continue;
    out << (first ? "" : "|") << place.path;
    first = false;
  }
  out << ") path=\"$path/$word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$path\" in\n";
  for (const Place& place : places) {
    out << "    \"" << place.path << "\") candidates=\"" << words(place, places.front()) << "\" ;;\n";
  }
  out << "    *) candidates=\"\" ;;\n"
         "  esac\n"
         "  case \"${COMP_WORDS[COMP_CWORD-1]}\" in -o|--output) candidates=\""
      << kOutputs
      << "\" ;; esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$candidates\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
         "}\n"
         "complete -o default -F _afdg afdg\n";
  return out.str();
}

std::string zsh(const std::vector<Place>& places) {
  std::ostringstream out;
  out << "#compdef afdg\n"
         "# zsh completion of afdg. Use: source <(afdg completion zsh)\n"
         "_afdg() {\n"
         "  local path=\"\" word\n"
         "  for word in \"${words[@]:1:$((CURRENT-2))}\"; do\n"
         "    case \"$path/$word\" in\n      ";
  bool first = true;
  for (const Place& place : places) {
    if (place.path.empty()) continue;
    out << (first ? "" : "|") << place.path;
    first = false;
  }
  out << ") path=\"$path/$word\" ;;\n    esac\n  done\n  case \"${words[CURRENT-1]}\" in -o|--output) "
         "compadd -- "
      << kOutputs << "; return ;; esac\n  case \"$path\" in\n";
  for (const Place& place : places) {
    out << "    \"" << place.path << "\") compadd -- " << words(place, places.front()) << " ;;\n";
  }
  out << "  esac\n}\ncompdef _afdg afdg\n";
  return out.str();
}

std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("\\'") : std::string(1, c);
  return "'" + out + "'";
}

std::string fish(const std::vector<Place>& places) {
  std::ostringstream out;
  out << "# fish completion of afdg. Use: afdg completion fish | source\n"
         "complete -c afdg -f\n";
  for (const Place& place : places) {
    std::string condition;
    std::istringstream parts(place.path);
    for (std::string part; std::getline(parts, part, '/');) {
      if (!part.empty())
        condition += (condition.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + part);
    }
    std::string subs;
    for (const CLI::App* command : place.commands) subs += " " + command->get_name();
    for (const CLI::App* command : place.commands) {
      const std::string deeper = condition.empty()
                                     ? "__fish_use_subcommand"
                                     : condition + "; and not __fish_seen_subcommand_from" + subs;
      out << "complete -c afdg -n " << quoted(deeper) << " -a " << command->get_name() << " -d "
          << quoted(command->get_description()) << "\n";
    }
    for (const std::string& value : place.values)
      out << "complete -c afdg -n " << quoted(condition) << " -a " << value << "\n";
    for (const std::string& option : place.options) {
      const bool is_long = option.rfind("--", 0) == 0;
      out << "complete -c afdg";
      if (!condition.empty()) out << " -n " << quoted(condition);
      out << (is_long ? " -l " + option.substr(2) : " -s " + option.substr(1));
      if (option == "-o" || option == "--output") out << " -x -a '" << kOutputs << "'";
      out << "\n";
    }
  }
  return out.str();
}

}  // namespace

Result<std::string> completion_script(const CLI::App& app, const std::string& shell) {
  std::vector<Place> places;
  collect(app, "", places);
  if (shell == "bash") return bash(places);
  if (shell == "zsh") return zsh(places);
  if (shell == "fish") return fish(places);
  return fail(Code::kInvalidArgument, "shell '" + shell + "' is unknown: use bash, zsh or fish");
}

void add_completion_command(CLI::App& app, Action& chosen) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for bash, zsh or fish");
  command->add_option("shell", *shell, "bash, zsh or fish")->required();
  command->callback([shell, &chosen, &app] {
    chosen = [shell, &app](Context& c) {
      return guarded(c, [&]() -> Result<Exit> {
        AFDG_ASSIGN(const std::string script, completion_script(app, *shell));
        std::cout << script;
        return Exit::kOk;
      });
    };
  });
}

}  // namespace afdg::client::cli
