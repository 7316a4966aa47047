#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "afdg/v1/admin.pb.h"
#include "client/cli/commands.h"

namespace afdg::client::cli {
namespace {

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ",") + text;
  return out;
}

Result<Exit> nodes(Context& context) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::NodeList list, admin.nodes());
  Table table{{"NODE", "ADDRESS", "HTTP", "ROLES", "REGIONS LED", "ALIVE", "LAST SEEN"}, {}};
  for (const v1::NodeInfo& node : list.nodes()) {
    table.rows.push_back({std::to_string(node.id()), node.address(), node.http_address(),
                          joined(node.roles()), std::to_string(node.regions_led()),
                          node.alive() ? "yes" : "no", time_text(node.last_seen_unix_ms())});
  }
  context.print(to_json(list)["nodes"], table);
  return Exit::kOk;
}

Result<Exit> route(Context& context, const std::string& text) {
  AFDG_ASSIGN(const Target target, parse_target(text));
  AFDG_ASSIGN(const std::string grid, context.grid_name());
  AFDG_ASSIGN(const Admin admin, context.admin());
  v1::RouteCall call;
  call.set_grid(grid);
  call.set_type(target.type);
  call.set_key(target.key);
  AFDG_ASSIGN(const v1::Route found, admin.route(call));
  context.print(to_json(found),
                Table{{"GRID", "REGION", "LEADER", "ADDRESS", "EPOCH"},
                      {{found.grid(), std::to_string(found.region()), std::to_string(found.node()),
                        found.address(), std::to_string(found.epoch())}}});
  return Exit::kOk;
}

std::string number(double value, int digits = 1) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string uptime_text(double seconds) {
  const auto s = static_cast<std::uint64_t>(seconds);
  if (s < 120) return std::to_string(s) + " s";
  if (s < 7200) return std::to_string(s / 60) + " min";
  return std::to_string(s / 3600) + " h " + std::to_string(s % 3600 / 60) + " min";
}

struct Sample {
  v1::ServerState state;
  std::chrono::steady_clock::time_point at;
  std::int64_t lag = 0;
  bool lag_known = false;
};

Result<Sample> sample(Context& context, const std::vector<std::string>& grids) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  Sample taken;
  AFDG_ASSIGN(taken.state, admin.server());
  taken.at = std::chrono::steady_clock::now();
  for (const std::string& grid : grids) {
    const Result<v1::RegionList> list = admin.regions(grid);
    if (!list) continue;  // deleted meanwhile
    taken.lag_known = true;
    for (const v1::RegionStatus& region : list->regions())
      taken.lag += region.messages_end() - region.applied();
  }
  return taken;
}

nlohmann::json rates(const Sample& before, const Sample& now) {
  const double seconds = std::max(1e-3, std::chrono::duration<double>(now.at - before.at).count());
  const auto rate = [&](std::uint64_t a, std::uint64_t b) {
    return b < a ? 0.0 : static_cast<double>(b - a) / seconds;
  };
  const double turns = rate(before.state.turns(), now.state.turns());
  const double commits = rate(before.state.commits(), now.state.commits());
  const double writes = rate(before.state.reply_writes(), now.state.reply_writes());
  return {{"turns_per_s", turns},
          {"reads_per_s", rate(before.state.reads(), now.state.reads())},
          {"commits_per_s", commits},
          {"turns_per_commit", commits > 0 ? turns / commits : 0.0},
          {"answers_per_write",
           writes > 0 ? rate(before.state.reply_messages(), now.state.reply_messages()) / writes : 0.0},
          {"log_bytes_per_s", rate(before.state.appended_bytes(), now.state.appended_bytes())},
          {"sync_p50_us", now.state.sync_p50_us()},
          {"sync_p99_us", now.state.sync_p99_us()},
          {"in_flight", now.state.calls_in_flight()},
          {"overloaded", now.state.refused_overloaded()},
          {"agents", now.state.live_agents()},
          {"memory_bytes", now.state.memory_bytes()},
          {"lag", now.lag}};
}

Result<Exit> top(Context& context, std::uint32_t count, const std::string& every) {
  AFDG_ASSIGN(const std::chrono::milliseconds interval, parse_duration(every));
  if (interval.count() < 100)
    return fail(Code::kInvalidArgument, "--every " + every + " is too short: give 100ms or more");
  AFDG_ASSIGN(const Admin admin, context.admin());
  std::vector<std::string> grids;
  AFDG_ASSIGN(const v1::GridList list, admin.grids());
  for (const v1::GridInfo& grid : list.grids()) grids.push_back(grid.name());
  AFDG_ASSIGN(Sample before, sample(context, grids));
  catch_interrupt();
  const bool live = is_terminal(1) && context.output() == Output::kTable;
  const char* heading =
      "  turns/s   reads/s commits/s turns/commit   log/s  sync p50  sync p99 in flight     lag   agents  "
      "memory";
  if (!live && context.output() == Output::kTable) std::cout << heading << "\n";
  for (std::uint32_t i = 0; (count == 0 || i < count) && !interrupted(); ++i) {
    for (auto waited = std::chrono::milliseconds(0); waited < interval && !interrupted();
         waited += std::chrono::milliseconds(50)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    AFDG_ASSIGN(Sample now, sample(context, grids));
    const nlohmann::json r = rates(before, now);
    if (context.output() == Output::kJson) {
      std::cout << r.dump() << std::endl;
    } else {
      if (live) {
        std::cout << "\x1b[H\x1b[2J" << context.server() << ", up " << uptime_text(now.state.uptime_seconds())
                  << ", " << now.state.grids() << " grids, " << now.state.regions() << " regions, "
                  << now.state.durability() << "\n\n"
                  << heading << "\n";
      }
      char line[256];
      std::snprintf(line, sizeof line, "%9.0f %9.0f %9.0f %12.1f %7s %6llu us %6llu us %9llu %7lld %8llu %7s",
                    r["turns_per_s"].get<double>(), r["reads_per_s"].get<double>(),
                    r["commits_per_s"].get<double>(), r["turns_per_commit"].get<double>(),
                    bytes_text(static_cast<std::uint64_t>(r["log_bytes_per_s"].get<double>())).c_str(),
                    static_cast<unsigned long long>(now.state.sync_p50_us()),
                    static_cast<unsigned long long>(now.state.sync_p99_us()),
                    static_cast<unsigned long long>(now.state.calls_in_flight()),
                    static_cast<long long>(now.lag), static_cast<unsigned long long>(now.state.live_agents()),
                    bytes_text(now.state.memory_bytes()).c_str());
      std::cout << line << std::endl;
    }
    before = std::move(now);
  }
  return interrupted() ? Exit::kInterrupted : Exit::kOk;
}

Result<Exit> state(Context& context) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::ServerState server, admin.server());
  if (context.output() != Output::kTable) {
    Table raw;
    const nlohmann::json json = to_json(server);
    for (const auto& [name, value] : json.items()) {
      raw.rows.push_back({name, value.is_string() ? value.get<std::string>() : value.dump()});
    }
    context.print(json, raw);
    return Exit::kOk;
  }
  std::cout << "afdgd " << server.version() << " at " << context.server() << ", node " << server.node()
            << " (" << joined(server.roles()) << "), up " << uptime_text(server.uptime_seconds()) << "\n"
            << "  " << server.grids() << " grids, " << server.regions() << " regions, "
            << server.live_agents() << " agents in memory, " << bytes_text(server.memory_bytes()) << "\n"
            << "  " << server.turns() << " turns, " << server.reads() << " reads in " << server.commits()
            << " commits; a sync takes " << number(static_cast<double>(server.sync_p50_us()) / 1000, 2)
            << " ms (p50), " << number(static_cast<double>(server.sync_p99_us()) / 1000, 2) << " ms (p99)\n"
            << "  durability " << server.durability()
            << (server.security().empty() ? "" : ", security " + server.security())
            << (server.data_directory().empty() ? "" : ", data in " + server.data_directory()) << "\n\n"
            << "Try next:\n";
  if (server.grids() == 0) {
    std::cout << "  afdg grid create bank --regions 8\n";
  } else {
    std::cout << "  afdg grid list\n";
  }
  std::cout << "  afdg agent request entity/alice Increment '{\"key\":\"visits\",\"by\":1}'\n"
            << "  afdg agent show entity/alice\n";
  return Exit::kOk;
}

}  // namespace

Exit show_state(Context& context) {
  return guarded(context, [&] { return state(context); });
}

void add_catalog_commands(CLI::App& app, Action& chosen) {
  CLI::App* catalog = app.add_subcommand("catalog", "Nodes, and where agents live");
  catalog->require_subcommand(1);
  catalog->add_subcommand("nodes", "Print the nodes")->callback([&chosen] {
    chosen = [](Context& c) { return guarded(c, [&] { return nodes(c); }); };
  });
  auto target = std::make_shared<std::string>();
  CLI::App* route_command = catalog->add_subcommand("route", "Print an agent's region, its leader and epoch");
  route_command->add_option("agent", *target, "TYPE/KEY")->required();
  route_command->callback([target, &chosen] {
    chosen = [target](Context& c) { return guarded(c, [&] { return route(c, *target); }); };
  });
}

void add_top_command(CLI::App& app, Action& chosen) {
  auto count = std::make_shared<std::uint32_t>(0);
  auto every = std::make_shared<std::string>("1s");
  CLI::App* command = app.add_subcommand("top", "A live view: turns, latency, lag, memory");
  command->add_option("-n,--count", *count, "stop after so many lines");
  command->add_option("--every", *every, "time between two lines (1s)");
  command->callback([=, &chosen] {
    chosen = [=](Context& c) { return guarded(c, [&] { return top(c, *count, *every); }); };
  });
}

}  // namespace afdg::client::cli
