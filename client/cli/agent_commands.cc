#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "afdg/v1/admin.pb.h"
#include "client/cli/commands.h"

namespace afdg::client::cli {
namespace {

struct Sending {
  std::string target;
  std::string message;
  std::string json = "{}";
  std::string id;
};

/// With an id of its own a message that ended in doubt can be repeated by hand.
std::string id_or_random(const std::string& id) { return id.empty() ? random_id() : id; }

Error with_id(const Error& error, const std::string& id) {
  if (error.code() != Code::kInDoubt) return error;
  return fail(Code::kInDoubt, error.text() + "; repeat it with --id " + id);
}

std::string milliseconds_since(std::chrono::steady_clock::time_point begin) {
  const auto passed = std::chrono::steady_clock::now() - begin;
  std::ostringstream text;
  text.precision(2);
  text << std::fixed << std::chrono::duration<double, std::milli>(passed).count() << " ms";
  return text.str();
}

nlohmann::json parsed(const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  return json.is_discarded() ? bytes_json(text) : json;
}

Result<Exit> request(Context& context, const Sending& args) {
  AFDG_ASSIGN(const Target target, parse_target(args.target));
  AFDG_ASSIGN(std::string json, read_json(args.json));
  AFDG_ASSIGN(const Grid grid, context.grid());
  const std::string id = id_or_random(args.id);
  const auto begin = std::chrono::steady_clock::now();
  const Result<Reply> reply =
      grid.request(target, {args.message, std::move(json), Content::kJson}, {context.timeout(), id});
  if (!reply) return with_id(reply.error(), id);
  if (context.output() == Output::kJson) {
    std::cout << parsed(reply->payload).dump(2) << "\n";
  } else {
    std::cout << reply->payload << "\n";
  }
  context.note("region " + std::to_string(reply->region) + ", offset " + std::to_string(reply->offset) +
               ", " + milliseconds_since(begin) + (reply->repeated ? ", a stored answer" : ""));
  return Exit::kOk;
}

Result<Exit> send(Context& context, const Sending& args) {
  AFDG_ASSIGN(const Target target, parse_target(args.target));
  AFDG_ASSIGN(std::string json, read_json(args.json));
  AFDG_ASSIGN(const Grid grid, context.grid());
  const std::string id = id_or_random(args.id);
  const auto begin = std::chrono::steady_clock::now();
  const Result<SendReceipt> receipt =
      grid.send(target, {args.message, std::move(json), Content::kJson}, {context.timeout(), id});
  if (!receipt) return with_id(receipt.error(), id);
  if (context.output() == Output::kJson) {
    std::cout << nlohmann::json{{"topic", receipt->topic},
                                {"partition", receipt->partition},
                                {"offset", receipt->offset},
                                {"repeated", receipt->repeated}}
                     .dump()
              << "\n";
  } else {
    std::cout << receipt->topic << "[" << receipt->partition << "]@" << receipt->offset << "\n";
  }
  context.note(milliseconds_since(begin));
  return Exit::kOk;
}

struct Fanning {
  std::string type;
  std::string message;
  std::string json = "{}";
  std::vector<std::string> keys;
  std::string keys_from;
  bool all = false;
  std::string id;
  bool resume = false;
};

Result<std::vector<std::string>> keys_of(Context& context, const Grid& grid, const Fanning& args) {
  static_cast<void>(context);
  if (static_cast<int>(!args.keys.empty()) + static_cast<int>(!args.keys_from.empty()) +
          static_cast<int>(args.all) !=
      1) {
    return fail(Code::kInvalidArgument,
                "a fan-out needs its targets: give one of --keys a,b, --keys-from FILE, --all");
  }
  if (args.all) return grid.list(args.type, {}, 1'000'000);
  if (!args.keys.empty()) return args.keys;
  std::string text;
  if (args.keys_from == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    AFDG_ASSIGN(text, read_file(args.keys_from));
  }
  std::vector<std::string> keys;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) keys.push_back(line);
  }
  return keys;
}

std::string outcome_name(Code code) {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kInDoubt:
      return "in doubt";
    case Code::kOverloaded:
      return "overloaded";
    case Code::kApplication:
      return "refused";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kNotFound:
      return "not found";
    default:
      return std::string(code_name(code).substr(1));
  }
}

Result<Exit> fanout(Context& context, const Fanning& args) {
  AFDG_ASSIGN(std::string json, read_json(args.json));
  if (args.resume && args.id.empty()) {
    return fail(Code::kInvalidArgument, "--resume needs the id of the fan-out to go on with: give --id");
  }
  AFDG_ASSIGN(const Grid grid, context.grid());
  AFDG_ASSIGN(const std::vector<std::string> keys, keys_of(context, grid, args));
  const std::string id = id_or_random(args.id);
  const bool as_json = context.output() == Output::kJson;
  const bool progress = is_terminal(2) && !is_terminal(1);
  std::map<std::string, std::uint64_t> counts;
  std::size_t done = 0;
  if (as_json) std::cout << "{\"outcomes\": [";
  AFDG_TRY(grid.fanout(args.type, keys, {args.message, std::move(json), Content::kJson},
                       {context.timeout(), id}, [&](FanoutOutcome<Reply> one) {
                         const std::string outcome = outcome_name(one.result.code());
                         ++counts[outcome];
                         const std::string answer =
                             one.result.ok() ? one.result->payload : one.result.error().text();
                         if (as_json) {
                           nlohmann::json row = {{"key", bytes_json(one.key)}, {"outcome", outcome}};
                           if (one.result.ok()) {
                             row["answer"] = parsed(answer);
                             row["region"] = one.region;
                             row["offset"] = one.offset;
                           } else {
                             row["code"] = code_name(one.result.code());
                             row["text"] = answer;
                           }
                           std::cout << (done > 0 ? ",\n" : "\n")
                                     << row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
                         } else {
                           std::cout << one.key << "\t" << outcome << "\t" << answer << "\n";
                         }
                         ++done;
                         if (progress) std::cerr << "\r" << done << " of " << keys.size() << std::flush;
                       }));
  if (progress) std::cerr << "\r";
  const bool failed = counts["ok"] != keys.size();
  std::string summary = std::to_string(counts["ok"]) + " ok";
  for (const auto& [name, count] : counts) {
    if (name != "ok") summary += ", " + std::to_string(count) + " " + name;
  }
  if (as_json) {
    std::cout << "],\n\"id\": " << nlohmann::json(id) << ",\n\"counts\": " << nlohmann::json(counts) << "}\n";
  } else if (context.output() == Output::kRaw) {
    std::cerr << summary << "\n";
  } else {
    std::cout << summary << "\n";
  }
  if (failed && !as_json) std::cerr << "afdg: repeat only what failed with --id " << id << "\n";
  return failed ? Exit::kPartial : Exit::kOk;
}

Result<Exit> show(Context& context, const std::string& text, std::uint32_t items) {
  AFDG_ASSIGN(const Target target, parse_target(text));
  AFDG_ASSIGN(const std::string grid, context.grid_name());
  AFDG_ASSIGN(const Admin admin, context.admin());
  v1::ShowAgentCall call;
  call.set_grid(grid);
  call.set_type(target.type);
  call.set_key(target.key);
  call.set_items_max(items);
  AFDG_ASSIGN(const v1::AgentState state, admin.show_agent(call));
  nlohmann::json json = {
      {"region", state.region()}, {"applied", state.applied()}, {"truncated", state.truncated()}};
  json["items"] = nlohmann::json::array();
  Table table{{"ENTITY", "KEY", "#", "VALUE"}, {}};
  for (const v1::EntityItem& item : state.items()) {
    const nlohmann::json value = item.json().empty() ? bytes_json(item.value()) : parsed(item.json());
    json["items"].push_back({{"entity", item.entity()},
                             {"key", bytes_json(item.entity_key())},
                             {"sequence", item.sequence()},
                             {"value", value}});
    table.rows.push_back({item.entity(), item.entity_key(), std::to_string(item.sequence()),
                          value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)});
  }
  if (state.items().empty() && context.output() != Output::kJson) {
    std::cerr << text << " has no entities\n";
  } else {
    context.print(json, table);
  }
  if (state.truncated()) std::cerr << "only the first " << items << " items: ask for more with --items\n";
  context.note("region " + std::to_string(state.region()) + ", applied " + std::to_string(state.applied()));
  return Exit::kOk;
}

Result<Exit> list(Context& context, const std::string& type, const std::string& prefix, std::uint32_t limit) {
  AFDG_ASSIGN(const Grid grid, context.grid());
  AFDG_ASSIGN(const std::vector<std::string> keys, grid.list(type, prefix, limit));
  nlohmann::json json = nlohmann::json::array();
  Table table{{"KEY"}, {}};
  for (const std::string& key : keys) {
    json.push_back(bytes_json(key));
    table.rows.push_back({key});
  }
  context.print(json, table);
  return Exit::kOk;
}

void add_sending(CLI::App* command, Sending& args) {
  command->add_option("agent", args.target, "TYPE/KEY, such as entity/alice")->required();
  command->add_option("message", args.message, "the message's name, such as Increment")->required();
  command->add_option("json", args.json, "the message: JSON, @file, or - for standard input");
  command->add_option("--id", args.id, "your id of this message: the same id and message takes effect once");
}

}  // namespace

void add_agent_commands(CLI::App& app, Action& chosen) {
  CLI::App* agent = app.add_subcommand("agent", "Messages to agents, and what they keep");
  agent->require_subcommand(1);

  auto asked = std::make_shared<Sending>();
  CLI::App* request_command = agent->add_subcommand("request", "Send a message and print the answer");
  add_sending(request_command, *asked);
  request_command->callback([asked, &chosen] {
    chosen = [asked](Context& c) { return guarded(c, [&] { return request(c, *asked); }); };
  });

  auto sent = std::make_shared<Sending>();
  CLI::App* send_command = agent->add_subcommand("send", "Send a message one-way; print where it is logged");
  add_sending(send_command, *sent);
  send_command->callback([sent, &chosen] {
    chosen = [sent](Context& c) { return guarded(c, [&] { return send(c, *sent); }); };
  });

  auto fan = std::make_shared<Fanning>();
  CLI::App* fanout_command =
      agent->add_subcommand("fanout", "Send one message to many agents; print each outcome");
  fanout_command->add_option("type", fan->type, "the agents' type")->required();
  fanout_command->add_option("message", fan->message, "the message's name")->required();
  fanout_command->add_option("json", fan->json, "the message: JSON, @file, or - for standard input");
  fanout_command->add_option("--keys", fan->keys, "keys, with commas between them")
      ->delimiter(',')
      ->allow_extra_args(false);
  fanout_command->add_option("--keys-from", fan->keys_from, "a file with one key a line, or -");
  fanout_command->add_flag("--all", fan->all, "all agents of the type");
  fanout_command->add_option("--id", fan->id, "your id of this fan-out: each target takes it once");
  fanout_command->add_flag("--resume", fan->resume, "go on with the fan-out of that --id");
  fanout_command->callback(
      [fan, &chosen] { chosen = [fan](Context& c) { return guarded(c, [&] { return fanout(c, *fan); }); }; });

  auto target = std::make_shared<std::string>();
  auto items = std::make_shared<std::uint32_t>(1000);
  CLI::App* show_command = agent->add_subcommand("show", "Print the entities of an agent");
  show_command->add_option("agent", *target, "TYPE/KEY")->required();
  show_command->add_option("--items", *items, "at most so many")->check(CLI::PositiveNumber);
  show_command->callback([target, items, &chosen] {
    chosen = [=](Context& c) { return guarded(c, [&] { return show(c, *target, *items); }); };
  });

  auto type = std::make_shared<std::string>();
  auto prefix = std::make_shared<std::string>();
  auto limit = std::make_shared<std::uint32_t>(1000);
  CLI::App* list_command = agent->add_subcommand("list", "Print the keys of one type");
  list_command->add_option("type", *type, "the agents' type")->required();
  list_command->add_option("--prefix", *prefix, "only keys that begin so");
  list_command->add_option("--limit", *limit, "at most so many")->check(CLI::PositiveNumber);
  list_command->callback([=, &chosen] {
    chosen = [=](Context& c) { return guarded(c, [&] { return list(c, *type, *prefix, *limit); }); };
  });
}

}  // namespace afdg::client::cli
