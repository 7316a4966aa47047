#include "server/config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <set>
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "server/socket.h"
#include "server/version.h"

namespace afdg::server {
namespace {

template <typename T>
Status set_number(T& into, const std::string& text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return fail(Code::kInvalidArgument, "'" + text + "' is not a whole number");
  if (value < least || value > most) {
    return fail(Code::kInvalidArgument,
                text + " is not between " + std::to_string(least) + " and " + std::to_string(most));
  }
  into = static_cast<T>(value);
  return {};
}

Status set_switch(bool& into, const std::string& text) {
  if (text != "true" && text != "false")
    return fail(Code::kInvalidArgument, "'" + text + "' is neither true nor false");
  into = text == "true";
  return {};
}

ConfigKey text_key(const char* name, const char* value, const char* help, std::string Config::*member) {
  return {name, value, help,
          [member](Config& config, const std::string& text) -> Status {
            config.*member = text;
            return {};
          },
          [member](const Config& config) { return config.*member; }};
}
ConfigKey switch_key(const char* name, const char* help, bool Config::*member) {
  return {name, "", help,
          [member](Config& config, const std::string& text) { return set_switch(config.*member, text); },
          [member](const Config& config) { return std::string(config.*member ? "true" : "false"); }};
}
template <typename T>
ConfigKey number_key(const char* name, const char* help, T Config::*member, std::uint64_t least,
                     std::uint64_t most) {
  return {name, "N", help,
          [member, least, most](Config& config, const std::string& text) {
            return set_number(config.*member, text, least, most);
          },
          [member](const Config& config) { return std::to_string(config.*member); }};
}

constexpr std::uint64_t kGiB = 1ULL << 30;

std::string variable_of(const std::string& name) {
  std::string variable = "AFDGD_";
  for (const char c : name)
    variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

std::string remedy(const Config& config, const std::string& name) {
  return ": correct it; '" + config.program + " --help' says what " + name + " takes";
}

Status apply(Config& config, const ConfigKey& key, const std::string& value, const std::string& source) {
  const Status set = key.set(config, value);
  if (set.ok()) return {};
  return fail(Code::kInvalidArgument, source + ": " + set.error().text() + remedy(config, key.name));
}

Status read_file(const std::string& path, const std::set<std::string>& given, Config& config) {
  const toml::parse_result parsed = toml::parse_file(path);
  if (!parsed) {
    const auto& at = parsed.error().source().begin;
    return fail(Code::kInvalidArgument,
                "--config " + path + (at.line != 0 ? " line " + std::to_string(at.line) : std::string()) +
                    ": " + std::string(parsed.error().description()) + ": correct the file");
  }
  for (const auto& [toml_key, node] : parsed.table()) {
    std::string name(toml_key.str());
    std::replace(name.begin(), name.end(), '_', '-');
    const auto& keys = config_keys();
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& one) { return one.name == name; });
    if (key == keys.end() || name == "config" || name == "check-config") {
      return fail(Code::kInvalidArgument, path + ": key '" + name + "' is not known: remove it; '" +
                                              config.program + " --help' lists the keys");
    }
    if (given.contains(name)) continue;
    const auto kind = [&](const char* wanted) {
      return fail(Code::kInvalidArgument, path + ": key '" + name + "' must be " + wanted);
    };
    const std::string standard = key->get(Config());
    const bool number_wanted =
        !standard.empty() && standard.find_first_not_of("0123456789") == std::string::npos;
    if (number_wanted && !node.is_integer()) return kind("a whole number");
    if (key->value.empty() && !node.is_boolean()) return kind("true or false");
    if (!key->value.empty() && !number_wanted && !node.is_string() && !(name == "roles" && node.is_array()))
      return kind("text in quotes");
    std::string value;
    if (const auto* text = node.as_string()) {
      value = text->get();
    } else if (const auto* number = node.as_integer()) {
      value = std::to_string(number->get());
    } else if (const auto* flag = node.as_boolean()) {
      value = flag->get() ? "true" : "false";
    } else if (const auto* list = node.as_array()) {
      for (const auto& item : *list) {
        if (const auto* word = item.as_string()) value += (value.empty() ? "" : ",") + word->get();
      }
    } else {
      return fail(
          Code::kInvalidArgument,
          path + ": key '" + name +
              "' has a value of a kind that is not used here: write text, a whole number, true or false");
    }
    AFDG_TRY(apply(config, *key, value, path + ": key '" + name + "'"));
  }
  return {};
}

}  // namespace

bool Config::has_role(std::string_view role) const {
  std::string_view rest = roles;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (rest.substr(0, comma) == role) return true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return false;
}

const std::vector<ConfigKey>& config_keys() {
  static const std::vector<ConfigKey> keys = {
      text_key("data", "DIR", "where everything is kept; one process at a time", &Config::data),
      text_key("listen", "HOST:PORT", "clients and other nodes (gRPC)", &Config::listen),
      text_key("advertise", "HOST:PORT", "the address that others are told, when it is not the one of listen",
               &Config::advertise),
      text_key("kafka", "HOST:PORT", "Kafka clients; 'off' for none", &Config::kafka),
      text_key("kafka-advertise", "HOST:PORT",
               "the address that Kafka clients are told, when it is not the one of kafka",
               &Config::kafka_advertise),
      text_key("http", "HOST:PORT", "/metrics for Prometheus and /healthz; 'off' for none", &Config::http),
      text_key("roles", "LIST", "what this process is: catalog, region, or both", &Config::roles),
      text_key("catalog", "HOST:PORT", "the catalog, for a node that has only the role region",
               &Config::catalog),
      number_key("node-id", "the node's id; 0: the catalog gives one, and the data directory keeps it",
                 &Config::node_id, 0, 1'000'000),
      switch_key("dev", "temporary data and free ports, which are printed; everything is gone after the stop",
                 &Config::dev),
      switch_key("insecure",
                 "allows addresses other than loopback, although there is neither TLS nor access control yet",
                 &Config::insecure),
      switch_key("check-config", "judges the configuration and stops", &Config::check_config),
      text_key("config", "FILE.toml", "a file with these keys", &Config::config),
      text_key("log-level", "LEVEL", "what is written to standard error: debug, info, warn or error",
               &Config::log_level),
      number_key("message-bytes-max", "largest payload of a message, bytes; a region holds several at once",
                 &Config::message_bytes_max, 1024, 8u << 20),
      number_key("turn-bytes-max", "largest effects of one turn, bytes; they are one batch of the log",
                 &Config::turn_bytes_max, 4096, 12u << 20),
      number_key("in-flight-bytes-max",
                 "calls under way in the node, bytes; above it kOverloaded, so memory is bounded",
                 &Config::in_flight_bytes_max, 1u << 20, 64 * kGiB),
      number_key("agent-queue-max", "messages that wait for one agent; above it kOverloaded",
                 &Config::agent_queue_max, 1, 1'000'000),
      number_key("lane-queue-max", "messages that wait for one lane; above it kOverloaded",
                 &Config::lane_queue_max, 1, 10'000'000),
      number_key("journal-bytes", "the journal's file, bytes; about half of it is read after a crash",
                 &Config::journal_bytes, 8u << 20, 16 * kGiB),
      number_key("checkpoint-bytes",
                 "log between checkpoints into the store, bytes; bounds memory and the replay of a restart",
                 &Config::checkpoint_bytes, 1u << 20, 4 * kGiB),
      number_key("cleaner-interval-ms", "how often is looked for topics to compact, milliseconds",
                 &Config::cleaner_interval_ms, 10, 86'400'000),
      number_key("live-bytes-max", "memory of live agents in the node, bytes; idle ones leave first",
                 &Config::live_bytes_max, 8u << 20, 64 * kGiB),
      number_key("store-cache-bytes", "the store's block cache, bytes", &Config::store_cache_bytes, 1u << 20,
                 64 * kGiB),
      number_key("fanout-targets-max", "targets of one fan-out that lists its keys",
                 &Config::fanout_targets_max, 1, 10'000'000),
      number_key("lanes", "lanes that run regions; 0: one a core", &Config::lanes, 0, 256),
      number_key("topics-max", "topics of the cluster; judged by the node with the role catalog",
                 &Config::topics_max, 1, 1'000'000),
      number_key(
          "node-partitions-max",
          "partitions that one node leads, a region counts three; judged by the node with the role catalog",
          &Config::node_partitions_max, 1, 10'000'000),
      number_key("kafka-connections-max", "Kafka clients at a time; more are closed at once",
                 &Config::kafka_connections_max, 1, 1'000'000),
      number_key("kafka-idle-ms", "a Kafka connection without a request for so long is closed, milliseconds",
                 &Config::kafka_idle_ms, 100, 86'400'000),
      number_key("kafka-half-request-ms",
                 "how long the rest of a Kafka request, or 256 KiB of it, may take, milliseconds",
                 &Config::kafka_half_request_ms, 100, 86'400'000),
      number_key("kafka-unread-ms",
                 "how long a Kafka client may leave its answers, or 256 KiB of them, unread, milliseconds",
                 &Config::kafka_unread_ms, 100, 86'400'000),
      number_key("kafka-send-buffer-bytes",
                 "what the kernel holds of the answers to one Kafka connection, bytes, as Kafka's "
                 "socket.send.buffer.bytes; more for far clients; 0: the kernel chooses",
                 &Config::kafka_send_buffer_bytes, 0, 1u << 30),
      number_key("kafka-requests-max",
                 "Kafka requests under way; then only connections that have none are read",
                 &Config::kafka_requests_max, 1, 10'000'000),
      number_key("kafka-connection-requests-max",
                 "requests under way of one Kafka connection; then it is not read before an answer was sent",
                 &Config::kafka_connection_requests_max, 1, 100'000),
      number_key("kafka-connection-bytes-max",
                 "requests and answers held for one Kafka connection, bytes; then it is not read",
                 &Config::kafka_connection_bytes_max, 1u << 16, 64 * kGiB),
      number_key("kafka-request-bytes-max", "largest Kafka request, bytes; a larger one ends its connection",
                 &Config::kafka_request_bytes_max, 1u << 10, 1u << 30),
      number_key("kafka-bytes-max",
                 "Kafka requests and answers that are held at a time, bytes; then no more is read",
                 &Config::kafka_bytes_max, 1u << 20, 64 * kGiB),
      number_key("kafka-partitions-default", "partitions of a topic whose maker does not say how many",
                 &Config::kafka_partitions_default, 1, 4096),
      number_key("kafka-auto-create",
                 "1: a topic that a Kafka client asks for is made; 0: it must be created",
                 &Config::kafka_auto_create, 0, 1),
      number_key("kafka-request-partitions-max", "partitions that one Kafka request may make",
                 &Config::kafka_request_partitions_max, 1, 1'000'000),
      number_key("kafka-groups-max", "consumer groups of a node; POLICY_VIOLATION beyond",
                 &Config::kafka_groups_max, 1, 10'000'000),
      number_key("kafka-group-members-max",
                 "members of one consumer group; GROUP_MAX_SIZE_REACHED beyond, as by group.max.size",
                 &Config::kafka_group_members_max, 1, 1'000'000),
      number_key("kafka-members-max",
                 "members of all consumer groups of a node; GROUP_MAX_SIZE_REACHED beyond",
                 &Config::kafka_members_max, 1, 10'000'000),
      number_key("partition-producers-max",
                 "idempotent producers that a partition remembers; NOT_ENOUGH_REPLICAS for new ones beyond",
                 &Config::partition_producers_max, 1, 10'000'000),
      number_key("node-producers-max",
                 "idempotent producers of all partitions, about 400 bytes each; NOT_ENOUGH_REPLICAS beyond",
                 &Config::node_producers_max, 1, 100'000'000),
      number_key("drain-seconds", "how long SIGTERM waits for calls under way, seconds",
                 &Config::drain_seconds, 0, 3600),
      switch_key("realtime-scheduling",
                 "runs the threads that agents' requests pass ahead of every ordinary program of the machine "
                 "(SCHED_RR, priority 1), for short waits where processors are busy; agents that compute for "
                 "long then hold up all others; needs CAP_SYS_NICE or LimitRTPRIO=1",
                 &Config::realtime_scheduling),
  };
  return keys;
}

std::string program_name(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1);
  return name.empty() ? "afdgd" : name;
}

Result<CommandLine> read_command_line(int argc, const char* const* argv) {
  CommandLine line;
  line.config.program = program_name(argc > 0 ? argv[0] : "");
  const std::string& program = line.config.program;
  CLI::App app(program + (program == "afdgd" ? ", the server" : ", a server") +
                   " of AFDG: an actor-based data grid on a durable log.",
               program);
  app.set_help_flag();
  bool help = false, version = false;
  app.add_flag("-h,--help", help, "this text");
  app.add_flag("--version", version, "the version");
  struct Given {
    std::string text;
    bool flag = false;
    CLI::Option* option = nullptr;
  };
  std::map<std::string, Given> given;
  for (const ConfigKey& key : config_keys()) {
    Given& one = given[key.name];
    std::string standard = key.get(line.config);
    if (key.value.empty()) {
      one.option = app.add_flag("--" + key.name, one.flag, key.help);
    } else {
      one.option = app.add_option("--" + key.name, one.text,
                                  key.help + (standard.empty() ? "" : " [" + standard + "]"));
      one.option->type_name(key.value)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
  CLI::App* verify = app.add_subcommand(
      "verify",
      "checks the files of a stopped node: every CRC, offsets, indexes, and the store against the log");
  std::string verify_data;
  verify->set_help_flag();
  verify->add_flag("-h,--help", help, "this text");
  verify->add_option("--data", verify_data, "the data directory")->type_name("DIR");
  app.footer(
      "Each flag is also a key of the TOML file and a variable: --node-id is node-id and AFDGD_NODE_ID. "
      "Flags win over variables,\n"
      "variables over the file. Exit codes: 0 stopped; 2 usage or configuration; 3 port or directory taken; "
      "4 damaged data or a newer\n"
      "format; 5 directory unwritable or full; 134 a sync failed.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::string text = error.what();
    return fail(Code::kInvalidArgument, text + ": '" + program + " --help' lists the flags");
  }
  if (help || version) {
    line.verb = help ? CommandLine::Verb::kHelp : CommandLine::Verb::kShowVersion;
    line.text =
        help ? (verify->parsed() ? verify : &app)->help() : program + " " + std::string(kVersion) + "\n";
    return line;
  }
  std::set<std::string> taken;
  for (const ConfigKey& key : config_keys()) {
    const Given& one = given[key.name];
    if (one.option->count() > 0) {
      AFDG_TRY(apply(line.config, key, key.value.empty() ? (one.flag ? "true" : "false") : one.text,
                     "--" + key.name));
      taken.insert(key.name);
    } else if (const char* value = std::getenv(variable_of(key.name).c_str())) {
      AFDG_TRY(apply(line.config, key, value, variable_of(key.name)));
      taken.insert(key.name);
    }
  }
  if (!line.config.config.empty()) AFDG_TRY(read_file(line.config.config, taken, line.config));
  if (verify->parsed()) {
    line.verb = CommandLine::Verb::kVerify;
    if (!verify_data.empty()) line.config.data = verify_data;
    if (line.config.data.empty())
      return fail(Code::kInvalidArgument,
                  program + " verify needs --data DIR: name the data directory of a stopped node");
    return line;
  }
  if (line.config.dev) {
    if (!taken.contains("listen")) line.config.listen = "127.0.0.1:0";
    if (!taken.contains("http")) line.config.http = "127.0.0.1:0";
    if (!taken.contains("kafka")) line.config.kafka = "127.0.0.1:0";
  }
  AFDG_TRY(check_config(line.config));
  return line;
}

Status check_config(const Config& config) {
  if (config.data.empty() && !config.dev) {
    return fail(Code::kInvalidArgument,
                "no data directory is named: give --data DIR, or --dev for a temporary one");
  }
  bool region = false, catalog = false;
  std::string_view rest = config.roles;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view role = rest.substr(0, comma);
    if (role != "region" && role != "catalog") {
      return fail(Code::kInvalidArgument, "--roles " + config.roles + ": '" + std::string(role) +
                                              "' is no role: use catalog, region or catalog,region");
    }
    (role == "region" ? region : catalog) = true;
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  if (!region && !catalog)
    return fail(Code::kInvalidArgument, "--roles is empty: use catalog, region or catalog,region");
  if (!catalog && config.catalog.empty()) {
    return fail(
        Code::kInvalidArgument,
        "--roles region needs the catalog's address: give --catalog HOST:PORT, or the role catalog too");
  }
  if (catalog && !config.catalog.empty()) {
    return fail(Code::kInvalidArgument,
                "--catalog " + config.catalog +
                    ": this process has the role catalog itself: leave the flag out, or give --roles region");
  }
  if (!config.catalog.empty()) AFDG_TRY(parse_host_port(config.catalog, "--catalog").status());
  if (!config.kafka_advertise.empty())
    AFDG_TRY(parse_host_port(config.kafka_advertise, "--kafka-advertise").status());
  if (!config.advertise.empty()) AFDG_TRY(parse_host_port(config.advertise, "--advertise").status());
  for (const auto& [what, address] : {std::pair<const char*, const std::string&>("--listen", config.listen),
                                      {"--http", config.http},
                                      {"--kafka", config.kafka}}) {
    if (address == "off" && std::string_view(what) != "--listen") continue;
    AFDG_ASSIGN(const HostPort parsed, parse_host_port(address, what));
    if (!config.insecure && !is_loopback(parsed.host)) {
      return fail(Code::kInvalidArgument,
                  std::string(what) + " " + address +
                      ": is not a loopback address, and there is neither TLS nor access control yet: use "
                      "127.0.0.1, or add --insecure on a closed network");
    }
  }
  for (const char* level : {"debug", "info", "warn", "error"}) {
    if (config.log_level == level) return {};
  }
  return fail(Code::kInvalidArgument,
              "--log-level '" + config.log_level + "' is not known: use debug, info, warn or error");
}

}  // namespace afdg::server
