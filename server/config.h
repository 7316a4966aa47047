#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/version.h"

namespace afdg::server {

/// What a node is told from outside: flags, AFDGD_X variables and a TOML file; flags win over variables,
/// variables over the file.
struct Config {
  std::string program = "afdgd";  ///< what the user called; its messages say so
  std::string data;
  std::string listen = "127.0.0.1:7400";
  std::string advertise;  ///< empty: as listen
  std::string kafka = "127.0.0.1:9092";
  std::string kafka_advertise;  ///< empty: as kafka
  std::string http = "127.0.0.1:7480";
  std::string roles = "catalog,region";
  std::string catalog;
  std::uint32_t node_id = 0;
  bool dev = false;
  bool insecure = false;
  bool check_config = false;
  std::string config;
  std::string log_level = "info";

  std::uint64_t message_bytes_max = 1u << 20;
  std::uint64_t turn_bytes_max = 4u << 20;
  std::uint64_t in_flight_bytes_max = 64u << 20;
  std::uint32_t agent_queue_max = 1'024;
  std::uint32_t lane_queue_max = 16'384;
  std::uint64_t journal_bytes = 128u << 20;
  std::uint64_t checkpoint_bytes = 64u << 20;
  std::uint64_t live_bytes_max = 128u << 20;
  std::uint64_t store_cache_bytes = 64u << 20;
  std::uint32_t cleaner_interval_ms = 15'000;
  std::uint32_t fanout_targets_max = 1'000'000;
  std::uint32_t lanes = 0;
  std::uint32_t topics_max = 10'000;
  std::uint32_t node_partitions_max = 20'000;
  std::uint32_t kafka_connections_max = 10'000;
  std::uint32_t kafka_idle_ms = 600'000;
  std::uint32_t kafka_half_request_ms = 30'000;
  std::uint32_t kafka_unread_ms = 60'000;
  std::uint32_t kafka_send_buffer_bytes = 256u << 10;
  std::uint32_t kafka_requests_max = 100'000;
  std::uint32_t kafka_connection_requests_max = 128;
  std::uint64_t kafka_connection_bytes_max = 64u << 20;
  std::uint64_t kafka_request_bytes_max = 32u << 20;
  std::uint64_t kafka_bytes_max = 512u << 20;
  std::uint32_t kafka_partitions_default = 1;
  std::uint32_t kafka_auto_create = 1;
  std::uint32_t kafka_request_partitions_max = 10'000;
  std::uint32_t kafka_groups_max = 100'000;
  std::uint32_t kafka_group_members_max = 10'000;
  std::uint32_t kafka_members_max = 100'000;
  std::uint32_t partition_producers_max = 10'000;
  std::uint32_t node_producers_max = 500'000;
  std::uint32_t drain_seconds = 10;
  bool realtime_scheduling = false;

  [[nodiscard]] bool has_role(std::string_view role) const;
};

/// One configuration key, for --help, docs/configuration.md and the three sources.
struct ConfigKey {
  std::string name;   ///< the flag without dashes, and the TOML key
  std::string value;  ///< what it takes, as in --help; empty: a switch
  std::string help;   ///< with unit and reason
  std::function<Status(Config&, const std::string&)> set;
  std::function<std::string(const Config&)> get;
};
[[nodiscard]] const std::vector<ConfigKey>& config_keys();

/// What the command line asks for.
struct CommandLine {
  enum class Verb : std::uint8_t { kServe, kVerify, kHelp, kShowVersion };
  Verb verb = Verb::kServe;
  Config config;
  std::string text;  ///< kHelp, kShowVersion: what to print
};
/// What messages call the program: the last part of its path, "afdgd" when that is empty.
[[nodiscard]] std::string program_name(const std::string& path);
/// Reads flags, variables and the file, and judges them; argv[0] names the program. Errors: kInvalidArgument
/// (exit 2), a sentence that names key, value and remedy.
Result<CommandLine> read_command_line(int argc, const char* const* argv);
/// The rules between keys: addresses, roles, --insecure. Errors: kInvalidArgument.
Status check_config(const Config& config);

}  // namespace afdg::server
