#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "afdg/v1/admin.pb.h"
#include "client/cli/checks.h"
#include "client/cli/commands.h"
#include "client/cli/topic_config.h"
#include "client/cli/topic_consume.h"
#include "client/cli/topic_produce.h"

namespace afdg::client::cli {
namespace {

struct Creating {
  std::string name;
  std::uint32_t partitions = 1;
  std::uint32_t replication = 1;
  std::vector<std::string> config;
};

Table table_of(const std::vector<v1::TopicInfo>& topics) {
  Table table{{"TOPIC", "PARTITIONS", "REPLICATION", "DURABILITY", "GRID"}, {}};
  for (const v1::TopicInfo& topic : topics) {
    table.rows.push_back({topic.name(), std::to_string(topic.partitions()),
                          std::to_string(topic.replication()), topic.durability(), topic.grid()});
  }
  return table;
}

Result<Exit> create(Context& context, const Creating& args) {
  v1::CreateTopicCall call;
  call.set_name(args.name);
  call.set_partitions(args.partitions);
  call.set_replication(args.replication);
  AFDG_TRY(read_pairs(args.config, *call.mutable_config()));
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::TopicInfo topic, admin.create_topic(call));
  context.print(to_json(topic), table_of({topic}));
  return Exit::kOk;
}

Result<Exit> list(Context& context) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::TopicList list, admin.topics({}));
  context.print(to_json(list)["topics"], table_of({list.topics().begin(), list.topics().end()}));
  return Exit::kOk;
}

Result<Exit> describe(Context& context, const std::string& name) {
  v1::TopicsCall call;
  call.set_name(name);
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::TopicList list, admin.topics(call));
  if (list.topics().empty()) {
    return fail(Code::kNotFound, "topic '" + name + "' does not exist: see afdg topic list");
  }
  const v1::TopicInfo& topic = list.topics(0);
  if (context.output() == Output::kTable) {
    context.print({}, table_of({topic}));
    for (const auto& [key, value] : topic.config()) std::cout << "  " << key << "=" << value << "\n";
    std::cout << "\n";
  }
  Table table{{"PARTITION", "LEADER", "EPOCH", "START", "HISTORY", "END", "SIZE", "SEGMENTS", "FAULT"}, {}};
  for (const v1::PartitionInfo& part : topic.partition_infos()) {
    table.rows.push_back({std::to_string(part.index()), std::to_string(part.leader()),
                          std::to_string(part.epoch()), std::to_string(part.start()),
                          std::to_string(part.history_start()), std::to_string(part.end()),
                          bytes_text(part.bytes()), std::to_string(part.segments()), part.fault()});
  }
  context.print(to_json(topic), table);
  return Exit::kOk;
}

Result<Exit> remove(Context& context, const std::string& name) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_TRY(admin.delete_topic(name));
  context.print({{"deleted", name}}, Table{{"DELETED"}, {{name}}});
  return Exit::kOk;
}

}  // namespace

void add_topic_commands(CLI::App& app, Action& chosen) {
  CLI::App* topic = app.add_subcommand("topic", "Topics, those of grids included");
  topic->require_subcommand(1);

  auto creating = std::make_shared<Creating>();
  CLI::App* create_command = topic->add_subcommand("create", "Create a topic");
  create_command->add_option("name", creating->name, "the topic's name")->required();
  create_command->add_option("-p,--partitions", creating->partitions, "how many (1)")->check(above_zero());
  create_command->add_option("-r,--replication", creating->replication, "copies (1)")->check(above_zero());
  create_command->add_option("-c,--config", creating->config, "KEY=VALUE as in Kafka; may be repeated")
      ->allow_extra_args(false);
  create_command->callback([creating, &chosen] {
    chosen = [creating](Context& c) { return guarded(c, [&] { return create(c, *creating); }); };
  });

  topic->add_subcommand("list", "Print the topics")->callback([&chosen] {
    chosen = [](Context& c) { return guarded(c, [&] { return list(c); }); };
  });

  auto described = std::make_shared<std::string>();
  CLI::App* describe_command =
      topic->add_subcommand("describe", "Print a topic's partitions: leaders, offsets, sizes");
  describe_command->add_option("name", *described, "the topic")->required();
  describe_command->callback([described, &chosen] {
    chosen = [described](Context& c) { return guarded(c, [&] { return describe(c, *described); }); };
  });

  auto removed = std::make_shared<std::string>();
  CLI::App* delete_command = topic->add_subcommand("delete", "Delete a topic and its records");
  delete_command->add_option("name", *removed, "the topic")->required();
  delete_command->callback([removed, &chosen] {
    chosen = [removed](Context& c) { return guarded(c, [&] { return remove(c, *removed); }); };
  });

  add_topic_config(*topic, chosen);
  add_topic_produce(*topic, chosen);
  add_topic_consume(*topic, chosen);
}

}  // namespace afdg::client::cli
