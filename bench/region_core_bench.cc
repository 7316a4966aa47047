// The region core alone: increments of a value over many agents, on the log in memory, which commits inside
// append(). Prints JSON. Arguments: [turns] [agents] [session: 0 or 1].
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "afdg/v1/entity.pb.h"
#include "agents/agent.h"
#include "log/memory_log.h"
#include "region/region_core.h"

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace afdg;
using v1::entity::Increment;
using v1::entity::IncrementAnswer;
using Counter = Protocol<"counter", Ask<Increment, IncrementAnswer>>;

class CounterAgent : public Agent<Counter> {
  Value<std::int64_t> total_{*this, "total"};

 public:
  Result<IncrementAnswer> on(const Increment& m, Turn&) {
    total_.edit() += m.by();
    IncrementAnswer answer;
    answer.set_value(*total_);
    return answer;
  }
};

class CountingShell final : public region::Shell {
 public:
  void release(region::ReplyBatch&& batch) override {
    for (const auto& entry : batch.entries) ++(entry.code == Code::kOk ? ok : bad);
  }
  void wake() override {}
  void deliver(const region::OutboxEntry&) override {}
  std::uint64_t ok = 0, bad = 0;
};

// Of this thread, so that what else the machine does counts less.
double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::uint64_t argument(int argc, char** argv, int at, std::uint64_t otherwise) {
  return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t turns = argument(argc, argv, 1, 3'000'000);
  const std::uint64_t agent_count = argument(argc, argv, 2, 1'000'000);
  const bool session = argument(argc, argv, 3, 0) != 0;

  agents::AgentTypes types;
  if (!types.add(agents::describe<CounterAgent>()).ok()) return 1;
  const SystemClock clock;
  CountingShell shell;
  const auto store = store::make_memory_store();
  const auto storage = std::make_shared<log::MemoryLogStorage>();
  region::Options options;
  options.live_bytes_max = 1u << 30;
  options.dirty_bytes_max = std::size_t{8} << 30;  // no checkpoints: the core, not the store
  region::RegionCore core(RegionId(0), options, types, std::make_unique<log::MemoryLog>(storage), *store,
                          "r/", clock, shell);
  if (!core.open(Epoch(1)).ok()) return 1;

  Increment message;
  message.set_by(1);
  const std::string payload = message.SerializeAsString();
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < agent_count; ++i) keys.push_back("user-" + std::to_string(i));
  SeededRandom random(1);
  const region::Inbound blank{.type = "counter", .message = "Increment", .payload = payload};
  std::uint64_t sequence = 0;
  std::vector<region::Inbound> slice;
  const auto run = [&](std::uint64_t count, bool each_once) {
    constexpr std::uint64_t kSlice = 64, kAhead = 4;
    for (std::uint64_t i = 0; i < count; ++i) {
      if (i % kSlice == 0) {  // slices, as lanes run them
        slice.assign(std::min(kSlice, count - i), blank);
        for (std::uint64_t n = 0; n < slice.size(); ++n)
          slice[n].key = keys[each_once ? i + n : random.next() % agent_count];
      }
      const std::uint64_t at = i % kSlice;
      for (std::uint64_t step = 0; step < region::RegionCore::kPrefetchSteps; ++step) {
        const std::uint64_t ahead = kAhead * (region::RegionCore::kPrefetchSteps - step);
        // The first message of a slice brings those that have none before them.
        for (std::uint64_t n = at == 0 ? 0 : at + ahead; n <= at + ahead && n < slice.size(); ++n)
          core.prefetch(slice[n], static_cast<int>(step));
      }
      region::Inbound& m = slice[at];
      if (session) {
        m.identity.session = 1;
        m.identity.sequence = ++sequence;
        m.identity.answered_below = sequence > 1000 ? sequence - 1000 : 1;
      }
      core.handle(m);
      if (core.open_bytes() >= options.seal_bytes) core.seal();
      if (i % 100'000 == 0) {  // what is in the log is not the core's memory
        storage->set_start(log::Stream::kMessages, storage->committed_end(log::Stream::kMessages));
        storage->set_start(log::Stream::kChanges, storage->committed_end(log::Stream::kChanges));
      }
    }
    core.seal();
  };
  run(agent_count, true);  // brings the agents to life
  const std::uint64_t allocated = allocations.load(), logged = storage->bytes_appended(),
                      appends = storage->appends();
  const double cpu_begin = cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  run(turns, false);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const double cpu = cpu_seconds() - cpu_begin;
  if (shell.bad != 0 || shell.ok != turns + agent_count) {
    std::fprintf(stderr, "%llu calls failed\n", static_cast<unsigned long long>(shell.bad));
    return 1;
  }
  const auto per_turn = [&](std::uint64_t count) {
    return static_cast<double>(count) / static_cast<double>(turns);
  };
  std::printf(
      "{\"bench\":\"region_core\",\"agents\":%llu,\"session\":%s,\"turns\":%llu,\"seconds\":%.3f,"
      "\"cpu_seconds\":%.3f,\"per_second\":%.0f,\"per_cpu_second\":%.0f,\"allocations_per_turn\":%.2f,"
      "\"log_bytes_per_turn\":%.1f,\"turns_per_append\":%.1f}\n",
      static_cast<unsigned long long>(agent_count), session ? "true" : "false",
      static_cast<unsigned long long>(turns), seconds.count(), cpu,
      static_cast<double>(turns) / seconds.count(), static_cast<double>(turns) / cpu,
      per_turn(allocations.load() - allocated), per_turn(storage->bytes_appended() - logged),
      static_cast<double>(turns) / static_cast<double>(storage->appends() - appends));
  return 0;
}
