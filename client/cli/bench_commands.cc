#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "afdg/v1/admin.pb.h"
#include "afdg/v1/entity.pb.h"
#include "client/cli/bench.h"
#include "client/cli/checks.h"
#include "client/cli/commands.h"

namespace afdg::client::cli {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct BenchArguments {
  std::uint32_t callers = 50;
  bool threads = false;
  bool once = false;
  std::uint32_t in_flight = 1;
  std::uint64_t keys = 100'000;
  std::uint32_t size = 0;
  std::string seconds = "10s";
  std::string warmup = "1s";
  double rate = 0;
  bool create = false;
  std::uint32_t regions = 8;
};

constexpr std::uint32_t kOutstandingMax = 1'000'000;
constexpr std::uint32_t kThreadsMax = 4096;

/// Increments of random agents, and what came of them. Thread-safety: as each member says.
class Bench : public Meter {
 public:
  Bench(Grid grid, bool send, const BenchArguments& args, std::chrono::milliseconds timeout)
      : grid_(std::move(grid)), send_(send), args_(args) {
    options_.deadline = timeout;
    v1::entity::Increment increment;
    increment.set_by(1);
    const std::size_t rest = increment.ByteSizeLong() + 2;  // 2: the key's tag and length
    increment.set_key(std::string(args.size > rest + 1 ? args.size - rest : 1, 'n'));
    message_ = {"Increment", increment.SerializeAsString(), Content::kProtobuf};
  }

  /// Begins one operation; `done` gets whether it worked. Any thread.
  template <typename Done>
  void begin(Target& to, std::uint64_t& random, SteadyClock::time_point at, Done done) {
    pick(to, random);
    if (send_) {
      grid_.send_async(to, message_, options_,
                       [this, at, done](const Result<SendReceipt>& r) { done(end(r, at)); });
    } else {
      grid_.request_async(to, message_, options_,
                          [this, at, done](const Result<Reply>& r) { done(end(r, at)); });
    }
  }
  bool blocking(Target& to, std::uint64_t& random) {
    pick(to, random);
    const auto at = SteadyClock::now();
    return send_ ? end(grid_.send(to, message_, options_), at)
                 : end(grid_.request(to, message_, options_), at);
  }

 private:
  void pick(Target& to, std::uint64_t& random) {
    if (args_.once) {
      const std::uint64_t n = next_.fetch_add(1, std::memory_order_relaxed);
      if (n + 1 >= args_.keys) stop();
      to.key = "k" + std::to_string(n % args_.keys);
      return;
    }
    to.key.assign("k");
    to.key += std::to_string(bench_random(random) % args_.keys);
  }
  template <typename T>
  bool end(const Result<T>& result, SteadyClock::time_point at) {
    if (!result.ok()) [[unlikely]] {
      bad(result.error());
      return false;
    }
    good(at);
    return true;
  }

  const Grid grid_;
  const bool send_;
  const BenchArguments args_;
  CallOptions options_;
  Message message_;
  std::atomic<std::uint64_t> next_{0};  // key, with --once
};

/// One asynchronous caller: the end of one operation begins the next.
struct Chain {
  Bench* bench;
  Running* running;
  std::uint64_t random;
  Target to{"entity", {}};
  std::uint32_t errors_in_a_row = 0;

  void next() {
    bench->begin(to, random, SteadyClock::now(), [this](bool ok) {
      errors_in_a_row = ok ? 0 : errors_in_a_row + 1;
      if (bench->stopping() || errors_in_a_row > kBenchErrorsInARowMax) return running->end_one();
      next();
    });
  }
};

/// Whoever makes the load, on the bench's terms: started, told to stop by the bench, and waited for.
class Load {
 public:
  Load(Bench& bench, const BenchArguments& args) : bench_(bench) {
    if (args.rate > 0) {
      threads_.emplace_back([this, rate = args.rate] { paced(rate); });
    } else if (args.threads) {
      for (std::uint32_t i = 0; i < args.callers; ++i) threads_.emplace_back([this, i] { caller(i); });
    } else {
      const std::uint32_t chains = args.callers * args.in_flight;
      running_.add(chains);
      for (std::uint32_t i = 0; i < chains; ++i) {
        chains_.push_back(std::make_unique<Chain>(Chain{&bench, &running_, bench_seed(i)}));
      }
      for (auto& chain : chains_) chain->next();
    }
  }
  ~Load() {
    bench_.stop();
    for (std::thread& thread : threads_) thread.join();
    running_.wait();
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

 private:
  void caller(std::uint32_t index) {
    std::uint64_t random = bench_seed(index);
    Target to{"entity", {}};
    std::uint32_t errors = 0;
    while (!bench_.stopping() && errors <= kBenchErrorsInARowMax)
      errors = bench_.blocking(to, random) ? 0 : errors + 1;
  }
  /// Latency counts from the moment at which an operation should have begun.
  void paced(double rate) {
    std::uint64_t random = bench_seed(0);
    Target to{"entity", {}};
    const auto start = SteadyClock::now();
    const std::chrono::duration<double> gap(1.0 / rate);
    for (std::uint64_t n = 0; !bench_.stopping(); ++n) {
      const auto due =
          start + std::chrono::duration_cast<SteadyClock::duration>(gap * static_cast<double>(n));
      std::this_thread::sleep_until(due);  // returns at once when it is late
      running_.add();
      bench_.begin(to, random, due, [this](bool) { running_.end_one(); });
    }
  }

  Bench& bench_;
  Running running_;
  std::vector<std::unique_ptr<Chain>> chains_;
  std::vector<std::thread> threads_;
};

Result<std::string> grid_for(Context& context, const BenchArguments& args, const std::string& given) {
  if (!args.create) return context.grid_name();
  const std::string name = given.empty() ? "bench" : given;
  AFDG_ASSIGN(const Admin admin, context.admin());
  AFDG_ASSIGN(const v1::GridList list, admin.grids());
  for (const v1::GridInfo& grid : list.grids()) {
    if (grid.name() == name) return name;
  }
  v1::CreateGridCall call;
  call.set_name(name);
  call.set_regions(args.regions);
  call.set_replication(1);
  call.add_types("entity");
  const Result<v1::GridInfo> made = admin.create_grid(call);
  if (!made && made.code() != Code::kAlreadyExists) return made.error();
  return name;
}

Result<Exit> bench(Context& context, bool send, const BenchArguments& args, const std::string& given_grid) {
  const std::uint64_t outstanding = std::uint64_t{args.callers} * (args.threads ? 1 : args.in_flight);
  if (outstanding > (args.threads ? kThreadsMax : kOutstandingMax)) {
    return fail(Code::kInvalidArgument, "--callers and --in-flight make " + std::to_string(outstanding) +
                                            " calls at a time: give at most " +
                                            std::to_string(args.threads ? kThreadsMax : kOutstandingMax));
  }
  AFDG_ASSIGN(const std::chrono::milliseconds time, parse_duration(args.seconds));
  AFDG_ASSIGN(const std::chrono::milliseconds warmup, parse_duration(args.warmup));
  if (time.count() < 1) return fail(Code::kInvalidArgument, "--seconds is 0: give more");
  ClientOptions options;
  options.calls_max = std::max<std::uint32_t>(options.calls_max, static_cast<std::uint32_t>(outstanding) + 1);
  options.bytes_max = std::max<std::uint64_t>(options.bytes_max, outstanding * (args.size + 256ULL));
  options.window_max = std::max(options.window_max, options.calls_max * 4);
  AFDG_ASSIGN(Client * client, context.client(options));
  AFDG_ASSIGN(const std::string name, grid_for(context, args, given_grid));
  AFDG_ASSIGN(const Admin admin, context.admin());
  v1::RouteCall somewhere;  // an unknown grid or type is said before the measuring
  somewhere.set_grid(name);
  somewhere.set_type("entity");
  somewhere.set_key("k0");
  AFDG_TRY(admin.route(somewhere).status());
  catch_interrupt();
  Bench run(client->grid(name), send, args, context.timeout());
  double seconds = 0;
  ClientStats before;
  ClientStats after;
  {
    auto begin = SteadyClock::now();
    run.measure(args.once);
    const Load load(run, args);
    if (!args.once) {
      wait_for(run, warmup, "warming up");
      before = client->stats();
      begin = SteadyClock::now();
      run.measure(true);
    }
    wait_for(run, time, "measuring");
    if (!args.once) run.measure(false);
    seconds = std::chrono::duration<double>(SteadyClock::now() - begin).count();
    after = client->stats();
  }
  const std::uint64_t frames = after.frames_written - before.frames_written;
  const double per_write = frames == 0 ? 0
                                       : static_cast<double>(after.calls_written - before.calls_written) /
                                             static_cast<double>(frames);
  return report(context, run, seconds,
                {{"messages_per_write", per_write},
                 {"callers", args.callers},
                 {"in_flight", args.threads ? 1 : args.in_flight},
                 {"threads", args.threads},
                 {"keys", args.keys},
                 {"rate", args.rate}},
                {"PER WRITE", fixed(per_write, 1)});
}

void add_one(CLI::App* group, const char* name, const char* what, bool send, Action& chosen,
             const CLI::App& app) {
  auto args = std::make_shared<BenchArguments>();
  CLI::App* command = group->add_subcommand(name, what);
  command->add_option("--callers", args->callers, "how many (50)")->check(above_zero());
  command->add_flag("--threads", args->threads, "each caller is a thread that waits for its answer");
  command->add_option("--in-flight", args->in_flight, "calls that each caller has under way (1)")
      ->check(above_zero());
  command->add_option("--keys", args->keys, "agents: entity/k<n>, n below this (100000)")
      ->check(above_zero());
  command->add_flag("--once", args->once, "each key once, in order; ends with the last, or after --seconds");
  command->add_option("--size", args->size, "bytes of a message, at least");
  command->add_option("--seconds", args->seconds, "how long to measure (10s)");
  command->add_option("--warmup", args->warmup, "how long before that (1s)");
  command->add_option("--rate", args->rate, "so many a second, whatever the answers take")
      ->check(above_zero());
  command->add_flag("--create", args->create, "create the grid (that of -g, or bench) when it is not there");
  command->add_option("--regions", args->regions, "of the grid that --create makes (8)")->check(above_zero());
  command->callback([args, send, &chosen, &app] {
    const std::string grid = app.get_option("--grid")->as<std::string>();
    chosen = [args, send, grid](Context& c) {
      return guarded(c, [&] { return bench(c, send, *args, grid); });
    };
  });
}

}  // namespace

void add_bench_commands(CLI::App& app, Action& chosen) {
  CLI::App* group =
      app.add_subcommand("bench", "Measure: Increment on entity/k<n>, n at random; records of a topic");
  group->require_subcommand(1);
  add_one(group, "request", "Requests: each waits for its durable answer", false, chosen, app);
  add_one(group, "send", "One-way messages: each waits until it is durable", true, chosen, app);
  add_bench_records(*group, chosen);
}

}  // namespace afdg::client::cli
