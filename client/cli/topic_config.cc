#include "client/cli/topic_config.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "afdg/v1/admin.pb.h"
#include "base/topic_settings.h"
#include "client/cli/checks.h"

namespace afdg::client::cli {
namespace {

struct Configuring {
  std::string name;
  std::vector<std::string> set;
  std::vector<std::string> unset;
  std::uint32_t partitions = 0;
  bool all = false;
};

/// The topic's settings: those that were set, and with `all` also the defaults of the others.
void print(Context& context, const v1::TopicInfo& topic, bool all) {
  const TopicRole role = topic.grid().empty() ? TopicRole::kPlain : grid_topic_role(topic.name());
  nlohmann::json json = {{"topic", topic.name()}, {"partitions", topic.partitions()}};
  nlohmann::json& settings = json["settings"] = nlohmann::json::array();
  Table table{{"SETTING", "VALUE", "FROM", "ACTS"}, {}};
  for (const TopicSetting& setting : topic_settings()) {
    const auto found = topic.config().find(std::string(setting.key));
    const bool set = found != topic.config().end();
    if (!set && !all) continue;
    const std::string value = set ? found->second : std::string(topic_standard(setting, role));
    table.rows.push_back(
        {std::string(setting.key), value, set ? "topic" : "default", setting.acts ? "yes" : "no"});
    settings.push_back({{"key", setting.key}, {"value", value}, {"set", set}, {"acts", setting.acts}});
  }
  context.print(json, table);
  if (!all) context.note("see --all for the defaults");
}

Result<Exit> configure(Context& context, const Configuring& args) {
  AFDG_ASSIGN(const Admin admin, context.admin());
  if (args.set.empty() && args.unset.empty() && args.partitions == 0) {
    v1::TopicsCall call;
    call.set_name(args.name);
    AFDG_ASSIGN(const v1::TopicList list, admin.topics(call));
    if (list.topics().empty())
      return fail(Code::kNotFound, "topic '" + args.name + "' does not exist: see afdg topic list");
    print(context, list.topics(0), args.all);
    return Exit::kOk;
  }
  v1::AlterTopicCall call;
  call.set_name(args.name);
  call.set_partitions(args.partitions);
  AFDG_TRY(read_pairs(args.set, *call.mutable_set()));
  for (const std::string& key : args.unset) {
    if (find_topic_setting(key) == nullptr) return check_topic_setting(key, "").error();
    call.add_unset(key);
  }
  AFDG_ASSIGN(const v1::TopicInfo topic, admin.alter_topic(call));
  print(context, topic, args.all);
  return Exit::kOk;
}

}  // namespace

Status read_pairs(const std::vector<std::string>& pairs,
                  google::protobuf::Map<std::string, std::string>& out) {
  for (const std::string& pair : pairs) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Code::kInvalidArgument, "configuration '" + pair + "' is not KEY=VALUE");
    out[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return {};
}

void add_topic_config(CLI::App& topic, Action& chosen) {
  auto args = std::make_shared<Configuring>();
  CLI::App* command =
      topic.add_subcommand("config", "Print or change a topic's settings, or give it more partitions");
  command->add_option("name", args->name, "the topic")->required();
  command->add_option("-c,--config", args->set, "KEY=VALUE as in Kafka; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--unset", args->unset, "KEY goes back to its default; may be repeated")
      ->allow_extra_args(false);
  command->add_option("-p,--partitions", args->partitions, "how many in all, more than there are")
      ->check(above_zero());
  command->add_flag("-a,--all", args->all, "print the settings that have their default, too");
  command->callback([args, &chosen] {
    chosen = [args](Context& c) { return guarded(c, [&] { return configure(c, *args); }); };
  });
}

}  // namespace afdg::client::cli
