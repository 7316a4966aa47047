#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "afdg/v1/admin.pb.h"
#include "afdg/v1/data.pb.h"
#include "client/cli/bench.h"
#include "client/cli/checks.h"

namespace afdg::client::cli {
namespace {

constexpr std::uint64_t kCallsMax = 100'000;
constexpr std::uint64_t kThreadsMax = 1024;
constexpr std::uint64_t kCallBytesMax = 7u << 20;  // it fits a produce call
constexpr std::uint32_t kRecordsMax = 10'000;

struct Arguments {
  std::string topic = "bench";
  std::uint32_t callers = 50;
  bool threads = false;
  std::uint32_t in_flight = 1;
  std::uint64_t keys = 100'000;
  std::uint32_t size = 100;
  std::uint32_t records = 1;
  std::string seconds = "10s";
  std::string warmup = "1s";
  bool create = false;
  std::uint32_t partitions = 4;
};

/// Calls of records with keys k<n>, and what came of them.
class Producing {
 public:
  Producing(Admin admin, const Arguments& args) : admin_(std::move(admin)), args_(args) {}
  Meter meter;

  /// One that goes on: the end of one call begins the next.
  struct Chain {
    Producing* of;
    std::uint64_t random;
    v1::ProduceCall call;
    std::uint32_t errors_in_a_row = 0;
  };
  void begin(Chain& chain) {
    running_.add();
    fill(chain);
    next(chain);
  }
  void blocking(Chain& chain) {
    fill(chain);
    while (!over(chain)) {
      pick(chain);
      const auto at = Meter::Clock::now();
      end(chain, admin_.produce(chain.call), at);
    }
  }
  /// Waits for all that begin() began, once the meter stops.
  void wait() { running_.wait(); }

 private:
  void fill(Chain& chain) const {
    chain.call.set_topic(args_.topic);
    chain.call.set_timeout_ms(admin_.timeout().count());
    for (std::uint32_t i = 0; i < args_.records; ++i)
      chain.call.add_records()->set_value(std::string(args_.size, 'x'));
  }
  void pick(Chain& chain) const {
    for (auto& record : *chain.call.mutable_records())
      record.set_key("k" + std::to_string(bench_random(chain.random) % args_.keys));
  }
  [[nodiscard]] bool over(const Chain& chain) const {
    return meter.stopping() || chain.errors_in_a_row > kBenchErrorsInARowMax;
  }
  void next(Chain& chain) {
    pick(chain);
    const auto at = Meter::Clock::now();
    admin_.produce_async(chain.call, [this, &chain, at](const Result<v1::ProduceAnswer>& answer) {
      end(chain, answer, at);
      if (!over(chain)) return next(chain);
      running_.end_one();
    });
  }
  void end(Chain& chain, const Result<v1::ProduceAnswer>& answer, Meter::Clock::time_point at) {
    ++chain.errors_in_a_row;
    if (!answer.ok()) return meter.bad(answer.error(), args_.records);
    std::uint64_t stored = 0;
    for (const v1::ProduceReceipt& receipt : answer->receipts()) {
      if (receipt.code() == 0) {
        ++stored;
      } else {
        meter.bad(fail(code_from_number(receipt.code()), receipt.text()));
      }
    }
    if (stored == 0) return;
    chain.errors_in_a_row = 0;
    meter.good(at, stored);
  }

  const Admin admin_;
  const Arguments args_;
  Running running_;
};

Result<std::chrono::milliseconds> above_nothing(const std::string& text) {
  AFDG_ASSIGN(const std::chrono::milliseconds time, parse_duration(text));
  if (time.count() < 1) return fail(Code::kInvalidArgument, "--seconds is 0: give more");
  return time;
}

Status make_topic(const Admin& admin, const Arguments& args) {
  if (!args.create) return {};
  v1::CreateTopicCall call;
  call.set_name(args.topic);
  call.set_partitions(args.partitions);
  call.set_replication(1);
  const Result<v1::TopicInfo> made = admin.create_topic(call);
  if (!made.ok() && made.code() != Code::kAlreadyExists) return made.error();
  return {};
}
Result<v1::TopicInfo> find_topic(const Admin& admin, const Arguments& args) {
  v1::TopicsCall call;
  call.set_name(args.topic);
  const Result<v1::TopicList> found = admin.topics(call);
  if (found.code() == Code::kNotFound) {
    return fail(Code::kNotFound,
                "no topic is named '" + args.topic +
                    "': name one with --topic, or let 'afdg bench produce --create' make it");
  }
  if (!found.ok()) return found.error();
  return found->topics(0);
}

/// Warms up and measures whatever `begin` has set going until now; returns the seconds.
double measure(Meter& meter, std::chrono::milliseconds warmup, std::chrono::milliseconds time) {
  wait_for(meter, warmup, "warming up");
  const auto begin = Meter::Clock::now();
  meter.measure(true);
  wait_for(meter, time, "measuring");
  meter.measure(false);
  const double seconds = std::chrono::duration<double>(Meter::Clock::now() - begin).count();
  meter.stop();
  return seconds;
}

std::string megabytes(double bytes_per_second) { return fixed(bytes_per_second / 1e6, 1); }

Result<Exit> produce(Context& context, const Arguments& args) {
  const std::uint64_t calls = std::uint64_t{args.callers} * (args.threads ? 1 : args.in_flight);
  if (calls > (args.threads ? kThreadsMax : kCallsMax)) {
    return fail(Code::kInvalidArgument, "--callers and --in-flight make " + std::to_string(calls) +
                                            " calls at a time: give at most " +
                                            std::to_string(args.threads ? kThreadsMax : kCallsMax));
  }
  if (args.records > kRecordsMax || std::uint64_t{args.records} * (args.size + 64ULL) > kCallBytesMax) {
    return fail(Code::kInvalidArgument, "--records " + std::to_string(args.records) + " of --size " +
                                            std::to_string(args.size) + " do not fit a call of 7 MiB and " +
                                            std::to_string(kRecordsMax) + " records: give less");
  }
  AFDG_ASSIGN(const std::chrono::milliseconds time, above_nothing(args.seconds));
  AFDG_ASSIGN(const std::chrono::milliseconds warmup, parse_duration(args.warmup));
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_TRY(make_topic(admin, args));
  AFDG_TRY(find_topic(admin, args).status());
  v1::ProduceCall first;  // a topic that takes no records is said before the measuring
  first.set_topic(args.topic);
  first.add_records()->set_key("k0");
  first.mutable_records(0)->set_value(std::string(args.size, 'x'));
  AFDG_TRY(admin.with_timeout(context.timeout()).produce(first).status());
  catch_interrupt();
  Producing run(admin.with_timeout(context.timeout()), args);
  std::vector<std::unique_ptr<Producing::Chain>> chains;
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < calls; ++i) {
    chains.push_back(std::make_unique<Producing::Chain>(Producing::Chain{&run, bench_seed(i), {}, 0}));
    if (args.threads) {
      threads.emplace_back([&run, chain = chains.back().get()] { run.blocking(*chain); });
    } else {
      run.begin(*chains.back());
    }
  }
  const double seconds = measure(run.meter, warmup, time);
  for (std::thread& thread : threads) thread.join();
  run.wait();
  const double bytes = static_cast<double>(run.meter.operations()) * args.size / seconds;
  return report(context, run.meter, seconds,
                {{"bytes_per_second", bytes},
                 {"topic", args.topic},
                 {"callers", args.callers},
                 {"in_flight", args.threads ? 1 : args.in_flight},
                 {"threads", args.threads},
                 {"keys", args.keys},
                 {"size", args.size},
                 {"records", args.records}},
                {"MB/s", megabytes(bytes)});
}

Result<Exit> consume(Context& context, const Arguments& args) {
  const std::uint64_t streams = std::uint64_t{args.callers} * args.in_flight;
  if (streams > kThreadsMax) {
    return fail(Code::kInvalidArgument, "--callers and --in-flight make " + std::to_string(streams) +
                                            " readers: give at most " + std::to_string(kThreadsMax));
  }
  AFDG_ASSIGN(const std::chrono::milliseconds time, above_nothing(args.seconds));
  AFDG_ASSIGN(const std::chrono::milliseconds warmup, parse_duration(args.warmup));
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::TopicInfo topic, find_topic(admin, args));
  std::int64_t records = 0;
  for (const v1::PartitionInfo& part : topic.partition_infos()) records += part.end() - part.start();
  if (records == 0) {
    return fail(Code::kFailedPrecondition, "topic '" + args.topic +
                                               "' has no records to read: produce some, for example with "
                                               "'afdg bench produce --topic " +
                                               args.topic + "'");
  }
  catch_interrupt();
  Meter meter;
  std::atomic<std::uint64_t> bytes{0};
  std::vector<std::thread> threads;
  v1::ConsumeCall call;
  call.set_topic(args.topic);
  call.set_stop_at_end(true);
  for (std::uint64_t i = 0; i < streams; ++i) {
    threads.emplace_back([&] {
      for (std::uint32_t errors = 0; !meter.stopping() && errors <= kBenchErrorsInARowMax;) {
        auto at = Meter::Clock::now();
        const Status ended = admin.consume(
            call,
            [&](const v1::ConsumedRecords& page) {
              meter.good(at, static_cast<std::uint64_t>(page.records_size()));
              std::uint64_t size = 0;
              for (const auto& record : page.records()) size += record.value().size();
              bytes.fetch_add(size, std::memory_order_relaxed);
              at = Meter::Clock::now();
              return !meter.stopping();
            },
            [&] { return meter.stopping(); });
        errors = ended.ok() ? 0 : errors + 1;
        if (!ended.ok()) meter.bad(ended.error());
      }
    });
  }
  wait_for(meter, warmup, "warming up");
  const std::uint64_t before = bytes.load();
  const double seconds = measure(meter, std::chrono::milliseconds(0), time);
  const double per_second = static_cast<double>(bytes.load() - before) / seconds;
  for (std::thread& thread : threads) thread.join();
  return report(context, meter, seconds,
                {{"bytes_per_second", per_second},
                 {"topic", args.topic},
                 {"callers", args.callers},
                 {"in_flight", args.in_flight}},
                {"MB/s", megabytes(per_second)});
}

void add_common(CLI::App* command, Arguments& args) {
  command->add_option("--topic", args.topic, "the topic (bench)");
  command->add_option("--seconds", args.seconds, "how long to measure (10s)");
  command->add_option("--warmup", args.warmup, "how long before that (1s)");
}

}  // namespace

void add_bench_records(CLI::App& bench, Action& chosen) {
  auto producing = std::make_shared<Arguments>();
  CLI::App* produce_command =
      bench.add_subcommand("produce", "Records: each call waits until its are durable");
  add_common(produce_command, *producing);
  produce_command->add_option("--callers", producing->callers, "how many (50)")->check(above_zero());
  produce_command->add_flag("--threads", producing->threads,
                            "each caller is a thread that waits for its answer");
  produce_command->add_option("--in-flight", producing->in_flight, "calls that each caller has under way (1)")
      ->check(above_zero());
  produce_command->add_option("--keys", producing->keys, "keys: k<n>, n below this (100000)")
      ->check(above_zero());
  produce_command->add_option("--size", producing->size, "bytes of a value (100)");
  produce_command->add_option("--records", producing->records, "records in a call (1)")->check(above_zero());
  produce_command->add_flag("--create", producing->create, "create the topic when it is not there");
  produce_command->add_option("--partitions", producing->partitions, "of the topic that --create makes (4)")
      ->check(above_zero());
  produce_command->callback([producing, &chosen] {
    chosen = [producing](Context& c) { return guarded(c, [&] { return produce(c, *producing); }); };
  });

  auto consuming = std::make_shared<Arguments>();
  consuming->callers = 1;
  CLI::App* consume_command =
      bench.add_subcommand("consume", "Records: each reader goes over all that is there, again and again");
  add_common(consume_command, *consuming);
  consume_command->add_option("--callers", consuming->callers, "how many (1)")->check(above_zero());
  consume_command->add_option("--in-flight", consuming->in_flight, "streams that each caller reads (1)")
      ->check(above_zero());
  consume_command->footer("Latencies are those of the answers, of up to 256 KiB of records.");
  consume_command->callback([consuming, &chosen] {
    chosen = [consuming](Context& c) { return guarded(c, [&] { return consume(c, *consuming); }); };
  });
}

}  // namespace afdg::client::cli
