#include <CLI/CLI.hpp>
#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "afdg/v1/admin.pb.h"
#include "client/cli/call_id.h"
#include "client/cli/checks.h"
#include "client/cli/commands.h"

namespace afdg::client::cli {
namespace {

struct Sending {
  std::string target;
  std::string message;
  std::string json = "{}";
  std::string id;
};

/// A call that is about to be made.
struct Begun {
  Grid grid;
  CallOptions options;
  std::string repeat;  ///< how to repeat it when it ends in doubt
};

/// Connects. A call without an id of the user's belongs to the client's session, which is over when the
/// program ends: nothing of it stays in the region.
Result<Begun> begin(Context& context, std::string_view kind, const Sending& args, std::string_view json) {
  const Timestamp now = SystemClock().now();
  const std::optional<CallId> earlier = parse_call_id(args.id);
  ClientOptions options;
  if (earlier) {
    AFDG_TRY(check_age(*earlier, now));
    options.session = earlier->session;
  }
  AFDG_ASSIGN(const Client* client, context.client(options));
  AFDG_ASSIGN(Grid grid, context.grid());
  if (!args.id.empty() && !earlier)
    return Begun{std::move(grid), {context.timeout(), args.id}, "repeat it with --id " + args.id};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  const CallId id{client->session(), earlier ? earlier->begun_unix_s : static_cast<std::uint32_t>(seconds),
                  content_of({kind, grid.name(), args.target, args.message, json})};
  if (earlier && earlier->content != id.content) {
    return fail(Code::kRequestIdReused, "id '" + args.id + "' is of another call than this " +
                                            std::string(kind) + " of '" + args.message + "' to " +
                                            args.target + ": repeat that one, or leave --id out");
  }
  return Begun{
      std::move(grid),
      {context.timeout(), {}},
      "repeat it within " + std::to_string(kRepeatable.count()) + " minutes with --id " + call_id_text(id)};
}

Error in_doubt(const Error& error, const Begun& call) {
  if (error.code() != Code::kInDoubt) return error;
  return fail(Code::kInDoubt, error.text() + "; " + call.repeat);
}

std::string milliseconds_since(std::chrono::steady_clock::time_point started) {
  const auto passed = std::chrono::steady_clock::now() - started;
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
  AFDG_ASSIGN(const Begun call, begin(context, "request", args, json));
  const auto started = std::chrono::steady_clock::now();
  const Result<Reply> reply =
      call.grid.request(target, {args.message, std::move(json), Content::kJson}, call.options);
  if (!reply) return in_doubt(reply.error(), call);
  if (context.output() == Output::kJson) {
    std::cout << parsed(reply->payload).dump(2) << "\n";
  } else {
    std::cout << reply->payload << "\n";
  }
  context.note("region " + std::to_string(reply->region) + ", offset " + std::to_string(reply->offset) +
               ", " + milliseconds_since(started) + (reply->repeated ? ", a stored answer" : ""));
  return Exit::kOk;
}

Result<Exit> send(Context& context, const Sending& args) {
  AFDG_ASSIGN(const Target target, parse_target(args.target));
  AFDG_ASSIGN(std::string json, read_json(args.json));
  AFDG_ASSIGN(const Begun call, begin(context, "send", args, json));
  const auto started = std::chrono::steady_clock::now();
  const Result<SendReceipt> receipt =
      call.grid.send(target, {args.message, std::move(json), Content::kJson}, call.options);
  if (!receipt) return in_doubt(receipt.error(), call);
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
  context.note(milliseconds_since(started));
  return Exit::kOk;
}

constexpr std::size_t kLinesAtOnce = 256;
constexpr std::size_t kLineBytesMax = 64 * 1024;

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

Status check_targets(const Fanning& args) {
  if (static_cast<int>(!args.keys.empty()) + static_cast<int>(!args.keys_from.empty()) +
          static_cast<int>(args.all) !=
      1) {
    return fail(Code::kInvalidArgument,
                "a fan-out needs its targets: give one of --keys a,b, --keys-from FILE, --all");
  }
  if (args.resume && args.id.empty()) {
    return fail(Code::kInvalidArgument, "--resume needs the id of the fan-out to go on with: give --id");
  }
  return {};
}

/// The lines of a stream as a fan-out's targets, read when they are wanted.
KeySource lines_of(std::istream& in, const std::string& name) {
  return [&in, name](std::size_t most) -> Result<std::vector<std::string>> {
    std::vector<std::string> keys;
    std::string line;
    while (keys.size() < std::min(most, kLinesAtOnce) && std::getline(in, line)) {
      if (line.size() > kLineBytesMax) {
        return fail(Code::kInvalidArgument, "a line of " + name + " has " + std::to_string(line.size()) +
                                                " bytes: give one key a line, of 1 to 1024 bytes");
      }
      if (!line.empty()) keys.push_back(line);
    }
    if (in.bad()) return fail(Code::kIo, name + " cannot be read any further");
    return keys;
  };
}

Status run_fanout(const Grid& grid, const Fanning& args, const Message& message, const FanoutOptions& options,
                  const std::function<void(FanoutOutcome<Reply>)>& each) {
  if (args.all) return grid.fanout(args.type, all(), message, options, each);
  if (!args.keys.empty()) return grid.fanout(args.type, args.keys, message, options, each);
  if (args.keys_from == "-")
    return grid.fanout_from(args.type, lines_of(std::cin, "standard input"), message, options, each);
  std::ifstream file(args.keys_from);
  if (!file) {
    return fail(Code::kInvalidArgument,
                "file '" + args.keys_from + "' cannot be read: check its name and rights");
  }
  return grid.fanout_from(args.type, lines_of(file, "'" + args.keys_from + "'"), message, options, each);
}

/// "ok", "in doubt", "unknown message".
std::string outcome_name(Code code) {
  if (code == Code::kApplication) return "refused";
  std::string name;
  for (const char c : code_name(code).substr(1)) {
    if (c >= 'A' && c <= 'Z' && !name.empty()) name += ' ';
    name += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return name;
}

/// Prints outcomes as they arrive, and what they come to.
class OutcomePrinter {
 public:
  explicit OutcomePrinter(const Context& context)
      : as_json_(context.output() == Output::kJson),
        raw_(context.output() == Output::kRaw),
        progress_(is_terminal(2) && !is_terminal(1)) {}

  void print(const FanoutOutcome<Reply>& one) {
    const std::string outcome = outcome_name(one.result.code());
    ++counts_[outcome];
    if (!one.result.ok()) {
      ++failed_;
      again_ = again_ || code_retry(one.result.code()) != Retry::kNever;
    }
    const std::string answer = one.result.ok() ? one.result->payload : one.result.error().text();
    if (as_json_) {
      nlohmann::json row = {{"key", bytes_json(one.key)}, {"outcome", outcome}};
      if (one.key.empty()) row["key"] = nullptr;  // a whole region
      if (one.result.ok()) {
        row["answer"] = parsed(answer);
        row["region"] = one.region;
        row["offset"] = one.offset;
        row["repeated"] = one.repeated;
      } else {
        row["code"] = code_name(one.result.code());
        row["text"] = answer;
        row["region"] = one.region;
      }
      std::cout << (done_ > 0 ? ",\n" : "{\"outcomes\": [\n")
                << row.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    } else {
      const std::string key = one.key.empty() ? "(region " + std::to_string(one.region) + ")" : one.key;
      std::cout << key << "\t" << outcome << "\t" << answer << "\n";
    }
    std::cout.flush();
    ++done_;
    if (progress_) std::cerr << "\r" << done_ << " done" << std::flush;
  }
  void finish(const std::string& id) {
    if (progress_) std::cerr << "\r              \r";
    std::string summary = std::to_string(counts_["ok"]) + " ok";
    for (const auto& [name, count] : counts_) {
      if (name != "ok") summary += ", " + std::to_string(count) + " " + name;
    }
    if (as_json_) {
      std::cout << (done_ > 0 ? "" : "{\"outcomes\": [") << "],\n\"id\": " << nlohmann::json(id)
                << ",\n\"counts\": " << nlohmann::json(counts_) << "}\n";
    } else {
      (raw_ ? std::cerr : std::cout) << summary << "\n";
    }
    std::cout.flush();
  }
  [[nodiscard]] std::uint64_t done() const { return done_; }
  [[nodiscard]] bool failed() const { return failed_ > 0; }
  /// Whether the same once more may help.
  [[nodiscard]] bool again() const { return again_; }

 private:
  const bool as_json_, raw_, progress_;
  std::map<std::string, std::uint64_t> counts_;
  std::uint64_t done_ = 0, failed_ = 0;
  bool again_ = false;
};

// A fan-out has an id even when the user gave none: it may be cut off, or fail for some targets, and only an
// id lets it go on without reaching the others twice.
Result<Exit> fanout(Context& context, const Fanning& args) {
  AFDG_TRY(check_targets(args));
  AFDG_ASSIGN(std::string json, read_json(args.json));
  AFDG_ASSIGN(const Grid grid, context.grid());
  const std::string id = args.id.empty() ? random_id() : args.id;
  const std::string go_on = "the same command with --id " + id + " --resume reaches the others";
  OutcomePrinter printer(context);
  catch_interrupt("\nafdg: interrupted: waiting for the targets under way; " + go_on +
                  " (a second interrupt ends at once)\n");
  FanoutOptions options{context.timeout(), id};
  options.stop = interrupted;
  const Status ran = run_fanout(grid, args, {args.message, std::move(json), Content::kJson}, options,
                                [&](const FanoutOutcome<Reply>& one) { printer.print(one); });
  const bool stopped = !ran.ok() && interrupted();
  if (!ran.ok() && !stopped && printer.done() == 0) return ran.error();
  printer.finish(id);
  if (stopped) return Exit::kInterrupted;
  if (!ran.ok()) return ran.error();  // the targets so far have their outcomes
  if (printer.again() && context.output() != Output::kJson)
    std::cerr << "afdg: repeat only what failed with --id " << id << "\n";
  return printer.failed() ? Exit::kPartial : Exit::kOk;
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
  show_command->add_option("--items", *items, "at most so many")->check(above_zero());
  show_command->callback([target, items, &chosen] {
    chosen = [=](Context& c) { return guarded(c, [&] { return show(c, *target, *items); }); };
  });

  auto type = std::make_shared<std::string>();
  auto prefix = std::make_shared<std::string>();
  auto limit = std::make_shared<std::uint32_t>(1000);
  CLI::App* list_command = agent->add_subcommand("list", "Print the keys of one type");
  list_command->add_option("type", *type, "the agents' type")->required();
  list_command->add_option("--prefix", *prefix, "only keys that begin so");
  list_command->add_option("--limit", *limit, "at most so many")->check(above_zero());
  list_command->callback([=, &chosen] {
    chosen = [=](Context& c) { return guarded(c, [&] { return list(c, *type, *prefix, *limit); }); };
  });
}

}  // namespace afdg::client::cli
