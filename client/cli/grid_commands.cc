#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "afdg/v1/admin.pb.h"
#include "client/cli/checks.h"
#include "client/cli/commands.h"

namespace afdg::client::cli {
namespace {

std::string joined(const google::protobuf::RepeatedPtrField<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ",") + text;
  return out;
}

Table table_of(const std::vector<v1::GridInfo>& grids) {
  Table table{{"GRID", "REGIONS", "REPLICATION", "TYPES", "STATE", "CREATED"}, {}};
  for (const v1::GridInfo& grid : grids) {
    table.rows.push_back({grid.name(), std::to_string(grid.regions()), std::to_string(grid.replication()),
                          joined(grid.types()), grid.state(), time_text(grid.created_unix_ms())});
  }
  return table;
}

Result<Exit> create(Context& context, const v1::CreateGridCall& call) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::GridInfo grid, admin.create_grid(call));
  context.print(to_json(grid), table_of({grid}));
  return Exit::kOk;
}

Result<Exit> list(Context& context) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::GridList list, admin.grids());
  context.print(to_json(list)["grids"], table_of({list.grids().begin(), list.grids().end()}));
  return Exit::kOk;
}

Result<Exit> describe(Context& context, const std::string& given) {
  std::string name = given;
  if (name.empty()) {
    AFDG_ASSIGN(name, context.grid_name());
  }
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::GridDescription grid, admin.describe_grid(name));
  if (context.output() == Output::kTable) {
    context.print({}, table_of({grid.grid()}));
    std::cout << "\n";
  }
  Table regions{{"REGION", "LEADER", "EPOCH", "STATE", "APPLIED", "END", "AGENTS"}, {}};
  for (const v1::RegionStatus& region : grid.regions()) {
    regions.rows.push_back({std::to_string(region.region()), std::to_string(region.leader()),
                            std::to_string(region.epoch()), region.state(), std::to_string(region.applied()),
                            std::to_string(region.messages_end()), std::to_string(region.live_agents())});
  }
  context.print(to_json(grid), regions);
  if (context.output() != Output::kTable || grid.messages().empty()) return Exit::kOk;
  std::cout << "\n";
  Table messages{{"TYPE", "MESSAGE", "ANSWER", "KIND", "EXAMPLE"}, {}};
  for (const v1::MessageSchema& message : grid.messages()) {
    messages.rows.push_back(
        {message.type(), message.message(), message.answer(), message.kind(), message.example_json()});
  }
  context.print({}, messages);
  return Exit::kOk;
}

Result<Exit> remove(Context& context, const std::string& name) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_TRY(admin.delete_grid(name));
  context.print({{"deleted", name}}, Table{{"DELETED"}, {{name}}});
  return Exit::kOk;
}

Result<Exit> regions(Context& context, bool lag) {
  AFDG_ASSIGN(const std::string grid, context.grid_name());
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::RegionList list, admin.regions(grid));
  nlohmann::json json = to_json(list)["regions"];
  Table table;
  table.heading =
      lag ? std::vector<std::string>{"REGION", "APPLIED", "END", "LAG", "OUTBOX", "CHECKPOINT LAG"}
          : std::vector<std::string>{"REGION", "LEADER", "EPOCH",  "STATE", "APPLIED",
                                     "END",    "AGENTS", "MEMORY", "DEAD",  "FAULT"};
  for (int i = 0; i < list.regions_size(); ++i) {
    const v1::RegionStatus& region = list.regions(i);
    const std::int64_t behind = region.messages_end() - region.applied();
    json[static_cast<std::size_t>(i)]["lag"] = behind;
    const std::string number = std::to_string(region.region());
    const std::string applied = std::to_string(region.applied());
    const std::string end = std::to_string(region.messages_end());
    if (lag) {
      table.rows.push_back({number, applied, end, std::to_string(behind), std::to_string(region.outbox()),
                            std::to_string(region.changes_end() - region.checkpointed())});
    } else {
      table.rows.push_back({number, std::to_string(region.leader()), std::to_string(region.epoch()),
                            region.state(), applied, end, std::to_string(region.live_agents()),
                            bytes_text(region.memory_bytes()), std::to_string(region.dead()),
                            region.fault()});
    }
  }
  context.print(json, table);
  return Exit::kOk;
}

}  // namespace

void add_grid_commands(CLI::App& app, Action& chosen) {
  CLI::App* grid = app.add_subcommand("grid", "Named sets of regions");
  grid->require_subcommand(1);

  struct Creating {
    std::string name;
    std::uint32_t regions = 16;
    std::uint32_t replication = 1;
    std::vector<std::string> types;
  };
  auto creating = std::make_shared<Creating>();
  CLI::App* create_command = grid->add_subcommand("create", "Create a grid");
  create_command->add_option("name", creating->name, "the grid's name")->required();
  create_command->add_option("--regions", creating->regions, "how many; never changes (16)")
      ->check(above_zero());
  create_command
      ->add_option("--type", creating->types, "an agent type that it hosts; may be repeated (entity)")
      ->allow_extra_args(false);
  create_command->add_option("--replication", creating->replication, "copies of each region (1)")
      ->check(above_zero());
  create_command->callback([creating, &chosen] {
    chosen = [creating](Context& c) {
      v1::CreateGridCall call;
      call.set_name(creating->name);
      call.set_regions(creating->regions);
      call.set_replication(creating->replication);
      for (const std::string& type : creating->types) call.add_types(type);
      return guarded(c, [&] { return create(c, call); });
    };
  });

  grid->add_subcommand("list", "Print the grids")->callback([&chosen] {
    chosen = [](Context& c) { return guarded(c, [&] { return list(c); }); };
  });

  auto described = std::make_shared<std::string>();
  CLI::App* describe_command =
      grid->add_subcommand("describe", "Print a grid, its regions and the messages it takes");
  describe_command->add_option("name", *described, "the grid (that of -g, or the only one)");
  describe_command->callback([described, &chosen] {
    chosen = [described](Context& c) { return guarded(c, [&] { return describe(c, *described); }); };
  });

  auto removed = std::make_shared<std::string>();
  CLI::App* delete_command = grid->add_subcommand("delete", "Delete a grid with all its agents and messages");
  delete_command->add_option("name", *removed, "the grid")->required();
  delete_command->callback([removed, &chosen] {
    chosen = [removed](Context& c) { return guarded(c, [&] { return remove(c, *removed); }); };
  });
}

void add_region_commands(CLI::App& app, Action& chosen) {
  CLI::App* region = app.add_subcommand("region", "The shards of a grid");
  region->require_subcommand(1);
  region->add_subcommand("list", "Print each region's leader, state and offsets")->callback([&chosen] {
    chosen = [](Context& c) { return guarded(c, [&] { return regions(c, false); }); };
  });
  region->add_subcommand("lag", "Print how far each region is behind its log")->callback([&chosen] {
    chosen = [](Context& c) { return guarded(c, [&] { return regions(c, true); }); };
  });
}

}  // namespace afdg::client::cli
