#include "client/cli/topic_consume.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>

#include "afdg/v1/admin.pb.h"
#include "client/cli/checks.h"
#include "client/cli/position.h"
#include "client/cli/record_format.h"

namespace afdg::client::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kCommitEvery{1000};

struct Consuming {
  std::string topic;
  std::vector<std::uint32_t> partitions;
  std::string from = "start";
  std::uint64_t count = 0;
  bool stop_at_end = false;
  std::string format;
  std::string group;
};

Status set_from(const std::string& from, v1::ConsumeCall& call) {
  AFDG_ASSIGN(const Position position, parse_position("--from", from));
  switch (position.kind) {
    case Position::Kind::kStart:
      call.set_from(v1::ConsumeCall::FROM_START);
      break;
    case Position::Kind::kEnd:
      call.set_from(v1::ConsumeCall::FROM_END);
      break;
    case Position::Kind::kOffset:
      call.set_from(v1::ConsumeCall::FROM_OFFSET);
      call.set_offset(position.value);
      break;
    case Position::Kind::kTime:
      call.set_from(v1::ConsumeCall::FROM_TIME);
      call.set_time_unix_ms(position.value);
      break;
  }
  return {};
}

/// The place of a group in a topic, which goes on with what was printed. Nothing happens without a group.
/// Thread-safety: safe.
class Place {
 public:
  Place(Admin admin, const Consuming& args) : admin_(std::move(admin)), args_(args) {}

  /// Where the group is. Errors: kFailedPrecondition while it has members.
  Status find(v1::ConsumeCall& call) const {
    if (args_.group.empty()) return {};
    v1::GroupCall ask;
    ask.set_name(args_.group);
    ask.set_topic(args_.topic);
    const Result<v1::GroupInfo> group = admin_.describe_group(ask);
    if (group.code() == Code::kNotFound) return {};  // a new one
    if (!group.ok()) return group.error();
    if (group->members_size() > 0) {
      return fail(Code::kFailedPrecondition,
                  "group '" + args_.group +
                      "' has members, who keep its offsets themselves: stop them, or choose another group");
    }
    for (const v1::GroupOffset& offset : group->offsets()) {
      if (offset.committed() < 0) continue;
      v1::PartitionOffset& start = *call.add_starts();
      start.set_topic(args_.topic);
      start.set_partition(offset.partition());
      start.set_offset(offset.committed());
    }
    return {};
  }
  /// These were printed.
  void passed(const v1::ConsumedRecords& records, int count) {
    if (args_.group.empty()) return;
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < count; ++i) next_[records.records(i).partition()] = records.records(i).offset() + 1;
  }
  /// Commits now and then. False when that failed, and reading should end.
  bool keep() {
    if (args_.group.empty()) return true;
    if (SteadyClock::now() - kept_ < kCommitEvery) return true;
    kept_ = SteadyClock::now();
    return commit().ok();
  }
  /// Commits what has been printed since. Errors: the first of any commit.
  Status commit() {
    v1::CommitGroupCall call;
    {
      const std::lock_guard lock(mutex_);
      if (!failed_.ok() || next_.empty()) return failed_;
      for (const auto& [partition, next] : next_) {
        v1::PartitionOffset& offset = *call.add_offsets();
        offset.set_topic(args_.topic);
        offset.set_partition(partition);
        offset.set_offset(next);
      }
      next_.clear();
    }
    call.set_name(args_.group);
    const Status done = admin_.commit_group(call);
    const std::lock_guard lock(mutex_);
    if (!done.ok()) {
      failed_ = fail(done.code(), "what was read is not kept in group '" + args_.group +
                                      "', so the next reader gets it again: " + done.error().text());
    }
    return failed_;
  }

 private:
  const Admin admin_;
  const Consuming& args_;
  std::mutex mutex_;
  std::map<std::uint32_t, std::int64_t> next_;
  SteadyClock::time_point kept_ = SteadyClock::now();
  Status failed_;
};

Result<Exit> consume(Context& context, const Consuming& args) {
  v1::ConsumeCall call;
  call.set_topic(args.topic);
  for (const std::uint32_t partition : args.partitions) call.add_partitions(partition);
  AFDG_TRY(set_from(args.from, call));
  call.set_count_max(args.count);
  call.set_stop_at_end(args.stop_at_end);
  AFDG_TRY(check_record_format(args.format));
  const std::string format = !args.format.empty()               ? args.format
                             : context.output() == Output::kRaw ? "%v\n"
                                                                : "%p@%o\t%k\t%v\n";
  AFDG_ASSIGN(const Admin admin, context.admin());
  Place place(admin.with_timeout(context.timeout()), args);
  AFDG_TRY(place.find(call));
  catch_interrupt();
  std::uint64_t seen = 0;
  std::string out;
  const Status ended = admin.consume(
      call,
      [&](const v1::ConsumedRecords& records) {
        out.clear();
        int taken = 0;
        for (const v1::ConsumedRecord& record : records.records()) {
          if (context.output() == Output::kJson) {  // one object a line: it may never end
            out += to_json(record).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
          } else {
            format_record(format, record, out);
          }
          ++seen;
          ++taken;
          if (args.count > 0 && seen == args.count) break;
        }
        std::cout << out << std::flush;
        if (!std::cout.good()) return false;
        place.passed(records, taken);
        return args.count == 0 || seen < args.count;
      },
      [&] { return interrupted() || !place.keep(); });
  const Status kept = place.commit();
  AFDG_TRY(ended);
  AFDG_TRY(kept);
  context.note(std::to_string(seen) + " records");
  return interrupted() ? Exit::kInterrupted : Exit::kOk;
}

}  // namespace

void add_topic_consume(CLI::App& topic, Action& chosen) {
  auto args = std::make_shared<Consuming>();
  CLI::App* command = topic.add_subcommand("consume", "Print records as they come");
  command->add_option("topic", args->topic, "the topic, such as bank.messages")->required();
  command->add_option("-p,--partition", args->partitions, "only this partition; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--from", args->from, "start, end, an offset or @TIME (start)");
  command->add_option("-n,--count", args->count, "stop after so many records")->check(above_zero());
  command->add_flag("-e,--exit-at-end", args->stop_at_end, "stop at the end of what there is");
  command->add_option(
      "-G,--group", args->group,
      "go on where this group is, and keep what was printed there; --from counts where it has "
      "no place");
  command->add_option("-f,--format", args->format,
                      "%t topic %p partition %o offset %k key %v value %T time %h headers \\n \\t");
  command->callback([args, &chosen] {
    chosen = [args](Context& c) { return guarded(c, [&] { return consume(c, *args); }); };
  });
}

}  // namespace afdg::client::cli
