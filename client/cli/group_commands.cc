#include <CLI/CLI.hpp>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "afdg/v1/admin.pb.h"
#include "client/cli/commands.h"
#include "client/cli/position.h"

namespace afdg::client::cli {
namespace {

struct Seeking {
  std::string group;
  std::string topic;
  std::vector<std::uint32_t> partitions;
  std::string to;
};
struct Describing {
  std::string group;
  std::string topic;
};

std::string number(std::int64_t value) { return value < 0 ? "-" : std::to_string(value); }

Result<Exit> list(Context& context) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::GroupList list, admin.groups());
  Table table{{"GROUP", "STATE", "TYPE", "COORDINATOR"}, {}};
  for (const v1::GroupSummary& group : list.groups()) {
    table.rows.push_back(
        {group.name(), group.state(), group.protocol_type(), std::to_string(group.coordinator())});
  }
  context.print(to_json(list)["groups"], table);
  return Exit::kOk;
}

Result<Exit> describe(Context& context, const Describing& args) {
  v1::GroupCall call;
  call.set_name(args.group);
  call.set_topic(args.topic);
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::GroupInfo group, admin.describe_group(call));
  std::map<std::string, const v1::GroupMember*> members;
  Table people{{"MEMBER", "CLIENT", "HOST", "PARTITIONS"}, {}};
  for (const v1::GroupMember& member : group.members()) {
    members.emplace(member.id(), &member);
    std::string assigned;
    for (const auto& topic : member.assigned()) {
      assigned += (assigned.empty() ? "" : " ") + topic.topic() + "[";
      for (int i = 0; i < topic.partitions_size(); ++i)
        assigned += (i == 0 ? "" : ",") + std::to_string(topic.partitions(i));
      assigned += "]";
    }
    people.rows.push_back({member.instance_id().empty() ? member.id() : member.instance_id(),
                           member.client_id(), member.host(), assigned});
  }
  if (context.output() == Output::kTable) {
    context.print({}, Table{{"GROUP", "STATE", "TYPE", "PROTOCOL", "COORDINATOR", "MEMBERS"},
                            {{group.name(), group.state(), group.protocol_type(), group.protocol(),
                              std::to_string(group.coordinator()), std::to_string(group.members_size())}}});
    std::cout << "\n";
    if (!people.rows.empty()) {
      context.print({}, people);
      std::cout << "\n";
    }
  }
  Table table{{"TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"}, {}};
  for (const v1::GroupOffset& offset : group.offsets()) {
    const auto member = members.find(offset.member());
    const bool named = member != members.end() && !member->second->instance_id().empty();
    table.rows.push_back({offset.topic(), std::to_string(offset.partition()), number(offset.committed()),
                          number(offset.end()), number(offset.lag()),
                          named ? member->second->instance_id() : offset.member()});
  }
  context.print(to_json(group), table);
  return Exit::kOk;
}

Result<Exit> seek(Context& context, const Seeking& args) {
  AFDG_ASSIGN(const Position to, parse_position("--to", args.to));
  v1::SeekGroupCall call;
  call.set_name(args.group);
  call.set_topic(args.topic);
  for (const std::uint32_t partition : args.partitions) call.add_partitions(partition);
  switch (to.kind) {
    case Position::Kind::kStart:
      call.set_to(v1::SeekGroupCall::TO_START);
      break;
    case Position::Kind::kEnd:
      call.set_to(v1::SeekGroupCall::TO_END);
      break;
    case Position::Kind::kOffset:
      call.set_to(v1::SeekGroupCall::TO_OFFSET);
      call.set_offset(to.value);
      break;
    case Position::Kind::kTime:
      call.set_to(v1::SeekGroupCall::TO_TIME);
      call.set_time_unix_ms(to.value);
      break;
  }
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::GroupInfo group, admin.seek_group(call));
  Table table{{"TOPIC", "PARTITION", "COMMITTED", "END", "LAG"}, {}};
  for (const v1::GroupOffset& offset : group.offsets()) {
    table.rows.push_back({offset.topic(), std::to_string(offset.partition()), number(offset.committed()),
                          number(offset.end()), number(offset.lag())});
  }
  context.print(to_json(group)["offsets"], table);
  return Exit::kOk;
}

Result<Exit> remove(Context& context, const std::string& name) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_TRY(admin.delete_group(name));
  context.print({{"deleted", name}}, Table{{"DELETED"}, {{name}}});
  return Exit::kOk;
}

}  // namespace

void add_group_commands(CLI::App& app, Action& chosen) {
  CLI::App* group = app.add_subcommand("group", "Consumer groups, those of Kafka's clients");
  group->require_subcommand(1);

  group->add_subcommand("list", "Print the groups")->callback([&chosen] {
    chosen = [](Context& c) { return guarded(c, [&] { return list(c); }); };
  });

  auto described = std::make_shared<Describing>();
  CLI::App* describe_command =
      group->add_subcommand("describe", "Print a group's members, and its offsets and lag by partition");
  describe_command->add_option("group", described->group, "the group")->required();
  describe_command->add_option("--topic", described->topic, "only its offsets of this topic");
  describe_command->callback([described, &chosen] {
    chosen = [described](Context& c) { return guarded(c, [&] { return describe(c, *described); }); };
  });

  auto seeking = std::make_shared<Seeking>();
  CLI::App* seek_command =
      group->add_subcommand("seek", "Move a group in a topic; refused while the group has members");
  seek_command->add_option("group", seeking->group, "the group; it is made when it is not there")->required();
  seek_command->add_option("--topic", seeking->topic, "the topic")->required();
  seek_command->add_option("-p,--partition", seeking->partitions, "only this partition; may be repeated")
      ->allow_extra_args(false);
  seek_command->add_option("--to", seeking->to, "start, end, an offset or @TIME")->required();
  seek_command->callback([seeking, &chosen] {
    chosen = [seeking](Context& c) { return guarded(c, [&] { return seek(c, *seeking); }); };
  });

  auto removed = std::make_shared<std::string>();
  CLI::App* delete_command =
      group->add_subcommand("delete", "Forget a group and its offsets; refused while it has members");
  delete_command->add_option("group", *removed, "the group")->required();
  delete_command->callback([removed, &chosen] {
    chosen = [removed](Context& c) { return guarded(c, [&] { return remove(c, *removed); }); };
  });
}

}  // namespace afdg::client::cli
