// Every write boundary of random traces through the embedded log on a disk that loses what was not synced.
//
// The journal orders everything that happens on a node, so one rule covers all: what a crash leaves is the
// state after a prefix of the submitted steps, and that prefix includes every acknowledged one.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/clock.h"
#include "log/batch.h"
#include "log/log.h"
#include "log/verify.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log {
namespace {

using store::FaultFileSystem;
using store::Survival;

constexpr int kRegions = 3;
constexpr std::uint64_t kPlainTopic = 50;
constexpr int kPlain = 2;

TopicPartition stream_of(int region, Stream stream) {
  return {TopicId(1 + static_cast<std::uint64_t>(stream)), PartitionIndex(region)};
}
TopicPartition plain(std::uint64_t topic, int partition) {
  return {TopicId(topic), PartitionIndex(partition)};
}

/// What a reader sees of a partition: the values of its batches.
struct PartitionModel {
  struct Batch {
    std::int64_t base;
    std::vector<std::string> values;
    friend bool operator==(const Batch&, const Batch&) = default;
    [[nodiscard]] std::int64_t next() const { return base + static_cast<std::int64_t>(values.size()); }
  };
  std::vector<Batch> batches;
  std::int64_t start = 0;
  std::int64_t end = 0;
};
using State = std::map<TopicPartition, PartitionModel>;

/// One submitted step, as the model knows it.
struct Step {
  enum class Kind { kAppend, kTruncate, kStart, kCreate, kDelete, kNothing } kind = Kind::kAppend;
  std::map<TopicPartition, std::vector<std::string>> records;
  TopicPartition partition;
  std::int64_t offset = 0;
  std::string text;
};

void take(State& state, const Step& step) {
  switch (step.kind) {
    case Step::Kind::kAppend:
      for (const auto& [id, values] : step.records) {
        PartitionModel& p = state[id];
        p.batches.push_back({p.end, values});
        p.end += static_cast<std::int64_t>(values.size());
      }
      break;
    case Step::Kind::kTruncate: {
      PartitionModel& p = state[step.partition];
      while (!p.batches.empty() && p.batches.back().next() > step.offset) {
        p.end = p.batches.back().base;
        p.batches.pop_back();
      }
      break;
    }
    case Step::Kind::kStart:
      state[step.partition].start = step.offset;
      break;
    case Step::Kind::kCreate:
      state[step.partition];
      break;
    case Step::Kind::kDelete:
      std::erase_if(state, [&](const auto& entry) { return entry.first.topic == step.partition.topic; });
      break;
    case Step::Kind::kNothing:
      break;
  }
}

std::string show(const State& state) {
  std::ostringstream out;
  for (const auto& [id, p] : state) {
    out << "  " << id.topic.value() << "-" << id.partition.value() << " [" << p.start << "," << p.end << ")";
    for (const auto& b : p.batches)
      if (b.next() > p.start)
        out << " " << b.base << ":" << b.values.front().substr(0, 8) << "x" << b.values.size();
    out << "\n";
  }
  return out.str();
}

/// Equal for a reader: batches wholly below the start may be there or not.
bool same(const State& a, const State& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [id, p] : a) {
    const auto it = b.find(id);
    if (it == b.end() || it->second.start != p.start || it->second.end != p.end) return false;
    const auto visible = [](const PartitionModel& m) {
      std::vector<PartitionModel::Batch> out;
      for (const auto& batch : m.batches)
        if (batch.next() > m.start) out.push_back(batch);
      return out;
    };
    if (visible(p) != visible(it->second)) return false;
  }
  return true;
}

/// Reads everything back through the public interface.
Result<State> observe(Log& log) {
  State state;
  for (const TopicPartition id : log.partitions()) {
    AFDG_ASSIGN(const PartitionDescription about, log.describe(id));
    AFDG_TRY(about.fault);
    PartitionModel p;
    p.start = about.start.value();
    p.end = about.end.value();
    for (Offset at = about.start; at < about.end;) {
      AFDG_ASSIGN(const BatchBytes read, log.read_batches(id, at, 3000));
      std::string_view bytes = read.bytes;
      if (bytes.empty()) return fail(Code::kInternal, "nothing read below the end");
      while (!bytes.empty()) {
        AFDG_ASSIGN(const BatchView batch, BatchView::parse(bytes));
        AFDG_TRY(batch.validate());
        PartitionModel::Batch b{batch.base().value(), {}};
        RecordReader reader(batch);
        RecordView record;
        while (reader.next(record)) b.values.emplace_back(record.value.value_or(""));
        AFDG_TRY(reader.status());
        p.batches.push_back(std::move(b));
        bytes.remove_prefix(batch.size());
      }
      at = read.next;
    }
    state[id] = std::move(p);
  }
  return state;
}

struct Config {
  std::uint64_t seed = 1;
  int steps = 110;
  PlantedBugs planted;
  int crash_seeds = 2;
  /// Only this boundary and crash seed, for repeating.
  std::uint64_t only_boundary = 0;
  bool again = true;
};

LogOptions options_of(const PlantedBugs& planted) {
  LogOptions o;
  o.directory = "/log";
  o.journal_bytes = 20 * 4096;
  o.journal_initial_bytes = 14 * 4096;
  o.reserve_bytes = 4096;
  o.threads = LogThreads::kNone;
  o.fatal = [](const Error&) {};
  o.journal_id = 4711;
  o.planted = planted;
  return o;
}

/// Drives one log and its model. The same seed makes the same trace.
class Trace {
 public:
  Trace(FaultFileSystem& fs, const Config& config, std::uint64_t seed)
      : fs_(fs), config_(config), random_(seed) {}
  ~Trace() {
    for (auto& region : regions_) region.reset();
    fs_.observe(nullptr);
    fs_.fail_at(fs_.operations() + 1, store::Fault::kCrash);  // no last word
    log_.reset();
    fs_.restart();
  }

  /// The state from which this trace's steps begin.
  State base;
  std::vector<Step> steps;
  std::size_t acknowledged = 0;

  Status open() {
    AFDG_ASSIGN(log_, Log::open(fs_, clock_, options_of(config_.planted)));
    TopicOptions small;
    small.segment_bytes = 6000;
    for (int r = 0; r < kRegions; ++r)
      for (const Stream s : {Stream::kMessages, Stream::kChanges, Stream::kDead})
        AFDG_TRY(create(stream_of(r, s),
                        s == Stream::kMessages  ? "g.messages"
                        : s == Stream::kChanges ? "g.changes"
                                                : "g.dead",
                        small));
    for (int p = 0; p < kPlain; ++p) AFDG_TRY(create(plain(kPlainTopic, p), "plain", small));
    for (int r = 0; r < kRegions; ++r) AFDG_TRY(take_over(r));
    return {};
  }

  Status run(int count) {
    for (int i = 0; i < count; ++i) AFDG_TRY(one());
    return {};
  }

  /// The state after the first `count` steps.
  [[nodiscard]] State state_after(std::size_t count) const {
    State state = base;
    for (std::size_t i = 0; i < count; ++i) take(state, steps[i]);
    return state;
  }

  Log& log() { return *log_; }

  /// The last steps, for whoever looks for the cause.
  [[nodiscard]] std::string last_steps() const {
    std::ostringstream out;
    for (std::size_t i = steps.size() > 8 ? steps.size() - 8 : 0; i < steps.size(); ++i) {
      const Step& step = steps[i];
      out << "step " << i + 1 << " " << step.text;
      if (step.kind != Step::Kind::kAppend) {
        out << " " << step.partition.topic.value() << "-" << step.partition.partition.value() << " "
            << step.offset;
      }
      for (const auto& [id, values] : step.records) {
        std::size_t bytes = 0;
        for (const auto& v : values) bytes += v.size();
        out << " " << id.topic.value() << "-" << id.partition.value() << ":" << values.size() << " in "
            << bytes;
      }
      out << "\n";
    }
    return out.str();
  }

 private:
  Status create(TopicPartition id, const std::string& name, const TopicOptions& options) {
    if (state_after(steps.size()).contains(id)) return {};
    steps.push_back({Step::Kind::kCreate, {}, id, 0, "create"});
    AFDG_TRY(log_->create_partition(id, name, options));
    acknowledged = steps.size();
    return {};
  }

  Status take_over(int r) {
    auto& region = regions_[static_cast<std::size_t>(r)];
    region.reset();
    AFDG_ASSIGN(region, log_->region_log({stream_of(r, Stream::kMessages), stream_of(r, Stream::kChanges),
                                          stream_of(r, Stream::kDead)}));
    AFDG_ASSIGN(const auto about, log_->describe(stream_of(r, Stream::kMessages)));
    epochs_[static_cast<std::size_t>(r)] = Epoch(about.epoch.value() + 1);
    return region->open(epochs_[static_cast<std::size_t>(r)]);
  }

  std::string value() {
    const std::uint64_t kind = random_.next() % 10;
    const std::size_t size = kind == 0 ? 4500 : kind < 3 ? 900 : 20;
    return "v" + std::to_string(++values_) + std::string(random_.next() % size, '.');
  }

  AppendDone done() {
    return [this, number = steps.size()](AppendOutcome outcome) {
      if (outcome == AppendOutcome::kCommitted) acknowledged = std::max(acknowledged, number);
    };
  }

  Status append_region(int r) {
    Step step;
    std::array<BatchBuilder, kStreams> builders;
    for (const Stream s : {Stream::kMessages, Stream::kChanges, Stream::kDead}) {
      const std::uint64_t count = s == Stream::kDead ? random_.next() % 4 / 3 : 1 + random_.next() % 3;
      for (std::uint64_t i = 0; i < count; ++i) {
        step.records[stream_of(r, s)].push_back(value());
        builders[static_cast<std::size_t>(s)].add(clock_.now(), "k", step.records[stream_of(r, s)].back());
      }
    }
    steps.push_back(std::move(step));
    auto& region = regions_[static_cast<std::size_t>(r)];
    Status taken = region->append(epochs_[static_cast<std::size_t>(r)],
                                  {&builders[0], &builders[1], &builders[2]}, done());
    if (!taken.ok()) steps.pop_back();
    return taken;
  }

  Status append_plain(int p) {
    Step step;
    BatchBuilder builder;
    const std::uint64_t count = 1 + random_.next() % 4;
    const TopicPartition id = plain(kPlainTopic, p);
    for (std::uint64_t i = 0; i < count; ++i) {
      step.records[id].push_back(value());
      builder.add(clock_.now(), std::nullopt, step.records[id].back());
    }
    steps.push_back(std::move(step));
    const auto taken = log_->append(id, builder.seal(Offset(0), Epoch(0)), Epoch(0), done());
    if (!taken.ok()) steps.pop_back();
    return taken.status();
  }

  Status one() {
    clock_.advance(std::chrono::milliseconds(700));
    const std::uint64_t what = random_.next() % 100;
    const int r = static_cast<int>(random_.next() % kRegions);
    const int p = static_cast<int>(random_.next() % kPlain);
    if (what < 45) return append_region(r);
    if (what < 63) return append_plain(p);
    if (what < 78) {
      log_->lead();
      return alive();
    }
    if (what < 88) {
      log_->pump();
      return alive();
    }
    if (what < 90) return log_->checkpoint();
    if (what < 93) {
      const TopicPartition id = plain(kPlainTopic, p);
      const PartitionModel model = state_after(steps.size())[id];
      const std::int64_t to =
          model.start + static_cast<std::int64_t>(random_.next() % 100) * (model.end - model.start) / 99;
      Step step{Step::Kind::kTruncate, {}, id, to, "truncate"};
      // A batch goes whole, but never one below the start.
      State after{{id, model}};
      take(after, step);
      if (after[id].end < model.start) return {};
      steps.push_back(step);
      AFDG_TRY(log_->truncate(id, Offset(to)).status());
      acknowledged = steps.size();
      return {};
    }
    if (what < 95) {
      log_->pump();
      AFDG_TRY(alive());
      const TopicPartition id = plain(kPlainTopic, p);
      const PartitionModel model = state_after(steps.size())[id];
      const std::int64_t to =
          model.start + static_cast<std::int64_t>(random_.next() % 100) * (model.end - model.start) / 99;
      steps.push_back({Step::Kind::kStart, {}, id, to, "start"});
      AFDG_TRY(log_->advance_start(id, Offset(to)));
      acknowledged = steps.size();
      return {};
    }
    if (what < 97) {
      steps.push_back({Step::Kind::kNothing, {}, {}, 0, "epoch"});
      AFDG_TRY(take_over(r));
      acknowledged = steps.size();
      return {};
    }
    if (what < 99) {
      log_->pump();
      AFDG_TRY(alive());
      TopicOptions small;
      small.segment_bytes = 2000;
      ++extra_;
      return create(plain(kPlainTopic + extra_, 0), "extra" + std::to_string(extra_), small);
    }
    // A topic that is gone is nothing to delete, and acknowledges nothing that was appended before.
    if (extra_ == 0 || !state_after(steps.size()).contains(plain(kPlainTopic + extra_, 0))) return {};
    steps.push_back({Step::Kind::kDelete, {}, plain(kPlainTopic + extra_, 0), 0, "delete"});
    AFDG_TRY(log_->delete_topic(TopicId(kPlainTopic + extra_)));
    acknowledged = steps.size();
    return {};
  }

  Status alive() { return fs_.stopped() ? Status(fail(Code::kIo)) : Status(); }

  FaultFileSystem& fs_;
  const Config& config_;
  SeededRandom random_;
  ManualClock clock_;
  std::unique_ptr<Log> log_;
  std::array<std::unique_ptr<MessageLog>, kRegions> regions_;
  std::array<Epoch, kRegions> epochs_;
  std::uint64_t values_ = 0;
  std::uint64_t extra_ = 0;
};

/// Recovers the disk and says what is wrong, if anything. `found`: how many steps survived.
std::optional<std::string> check(FaultFileSystem& fs, const Trace& trace, const PlantedBugs& planted,
                                 std::size_t lowest, std::size_t highest, std::size_t& found) {
  ManualClock clock;
  auto log = Log::open(fs, clock, options_of(planted));
  if (!log.ok()) return "recovery failed: " + log.error().text();
  auto seen = observe(**log);
  fs.fail_at(fs.operations() + 1, store::Fault::kCrash);  // the log gets no last word
  log = fail(Code::kCancelled);
  if (!seen.ok()) return "reading failed: " + seen.error().text();
  for (std::size_t k = lowest; k <= highest; ++k) {
    if (!same(trace.state_after(k), *seen)) continue;
    found = k;
    return std::nullopt;
  }
  return "no prefix of the steps fits; acknowledged " + std::to_string(lowest) + ", submitted " +
         std::to_string(highest) + "\nseen:\n" + show(*seen) + "after the acknowledged:\n" +
         show(trace.state_after(lowest)) + "after all:\n" + show(trace.state_after(highest)) +
         trace.last_steps();
}

std::string repeat_line(const Config& config, std::uint64_t boundary) {
  return "repeat with AFDG_SEED=" + std::to_string(config.seed) +
         " AFDG_CRASH_AT=" + std::to_string(boundary) + " log_test --gtest_filter=LogCrash.EveryBoundary";
}

/// On a full disk the same steps are there, from memory where the segments cannot take them; also after
/// another kill, and when there is space again, without a restart and after one.
std::optional<std::string> recover_on_full_disk(FaultFileSystem& fs, const Trace& trace, const Config& config,
                                                std::size_t expected, std::uint64_t room) {
  if (!fs.exists("/log/recovery-point")) return std::nullopt;  // a new log needs room to be made
  const std::string which = std::to_string(room) + " bytes free: ";
  std::size_t found = 0;
  fs.set_capacity(fs.bytes() + room);
  if (auto wrong = check(fs, trace, config.planted, expected, expected, found)) return which + *wrong;
  fs.restart();
  {
    ManualClock clock;
    auto log = Log::open(fs, clock, options_of(config.planted));
    if (!log.ok()) return which + "the second start: " + log.error().text();
    fs.set_capacity(std::nullopt);
    (*log)->pump();
    const Status done = (*log)->checkpoint();
    if (!done.ok()) return which + "with space again: " + done.error().text();
    const auto seen = observe(**log);
    if (!seen.ok() || !same(trace.state_after(expected), *seen))
      return which + "with space again: " + (seen.ok() ? show(*seen) : seen.error().text());
    fs.fail_at(fs.operations() + 1, store::Fault::kCrash);
  }
  fs.crash(Survival::kNothing);
  if (auto wrong = check(fs, trace, config.planted, expected, expected, found))
    return which + "after a restart with space: " + *wrong;
  return std::nullopt;
}

/// Crashes a copy of the disk in all ways before one operation; the first failure.
std::optional<std::string> crash_here(const FaultFileSystem& fs, const Trace& trace, const Config& config,
                                      std::uint64_t boundary) {
  struct Way {
    Survival survival;
    std::uint64_t seed;
  };
  std::vector<Way> ways{{Survival::kNothing, 1}, {Survival::kEverything, 1}};
  for (int i = 0; i < config.crash_seeds; ++i)
    ways.push_back({Survival::kAnySubset, boundary * 31 + static_cast<std::uint64_t>(i)});
  for (const Way& way : ways) {
    auto copy = fs.clone();
    copy->crash(way.survival, way.seed);
    // A crash alone is never damage, and looking changes nothing.
    if (copy->exists("/log/recovery-point")) {
      const std::uint64_t before = copy->operations();
      const auto verified = verify_log(*copy, "/log");
      if (!verified.ok() || !verified->sound() || copy->operations() != before) {
        std::string what = verified.ok() ? "" : verified.error().text();
        if (verified.ok())
          for (const Finding& f : verified->findings) what += "\n" + f.file + ": " + f.sentence;
        return repeat_line(config, boundary) + "\nsurvival " +
               std::to_string(static_cast<int>(way.survival)) + " seed " + std::to_string(way.seed) +
               ": verify: " + what;
      }
    }
    std::size_t found = 0;
    const auto full = boundary % 2 == 0 ? copy->clone() : nullptr;
    if (auto wrong = check(*copy, trace, config.planted, trace.acknowledged, trace.steps.size(), found)) {
      return repeat_line(config, boundary) + "\nsurvival " + std::to_string(static_cast<int>(way.survival)) +
             " seed " + std::to_string(way.seed) + ": " + *wrong;
    }
    constexpr std::uint64_t kRooms[] = {0, 700, 4300, 6000};
    if (full) {
      if (auto wrong = recover_on_full_disk(*full, trace, config, found, kRooms[boundary / 2 % 4])) {
        return repeat_line(config, boundary) + "\nsurvival " +
               std::to_string(static_cast<int>(way.survival)) + " seed " + std::to_string(way.seed) +
               ", on a full disk: " + *wrong;
      }
    }
    // Recovery has told readers of that state: neither another crash nor another replay may change it.
    copy->crash(Survival::kAnySubset, way.seed + 7);
    if (auto wrong = check(*copy, trace, config.planted, found, found, found)) {
      return repeat_line(config, boundary) + "\nsecond recovery, survival " +
             std::to_string(static_cast<int>(way.survival)) + " seed " + std::to_string(way.seed) + ": " +
             *wrong;
    }
    if (!config.again || way.survival != Survival::kAnySubset || boundary % 5 != 0) continue;
    // Life goes on, and ends again.
    Trace next(*copy, config, boundary * 1009 + way.seed);
    next.base = trace.state_after(found);
    SeededRandom random(boundary + 3);
    copy->fail_at(copy->operations() + 20 + random.next() % 120, store::Fault::kCrash);
    Status ran = next.open();
    if (ran.ok()) ran = next.run(40);
    if (!ran.ok() && !copy->stopped()) {
      return repeat_line(config, boundary) + "\nthe second life failed: " + ran.error().text();
    }
    auto second = copy->clone();
    second->crash(Survival::kAnySubset, way.seed + 13);
    if (auto wrong = check(*second, next, config.planted, next.acknowledged, next.steps.size(), found)) {
      return repeat_line(config, boundary) + "\nthe second life, seed " + std::to_string(way.seed) + ": " +
             *wrong;
    }
  }
  return std::nullopt;
}

/// How much of the machinery a trace went through.
struct Covered {
  std::uint64_t boundaries = 0;
  LogMetrics metrics;
};

std::optional<std::string> run_all(const Config& config, Covered* covered = nullptr) {
  FaultFileSystem fs(config.seed);
  Trace trace(fs, config, config.seed);
  std::optional<std::string> wrong;
  fs.observe([&](std::uint64_t number, store::Operation, const std::string&) {
    if (covered != nullptr) covered->boundaries = number;
    if (wrong || (config.only_boundary != 0 && config.only_boundary != number)) return;
    wrong = crash_here(fs, trace, config, number);
  });
  Status ran = trace.open();
  if (ran.ok()) ran = trace.run(config.steps);
  if (ran.ok() && covered != nullptr) covered->metrics = trace.log().metrics();
  if (!ran.ok() && !wrong)
    wrong = "the trace itself failed (AFDG_SEED=" + std::to_string(config.seed) + "): " + ran.error().text();
  return wrong;
}

std::uint64_t env(const char* name, std::uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

// Invariants 3, 5 and 10 of the architecture.
TEST(LogCrash, EveryBoundary) {
  const std::uint64_t first = env("AFDG_SEED", 1);
  const std::uint64_t runs = std::getenv("AFDG_SEED") != nullptr ? 1 : env("AFDG_RUNS", 2);
  for (std::uint64_t i = 0; i < runs; ++i) {
    Config config;
    config.seed = first + i;
    config.only_boundary = env("AFDG_CRASH_AT", 0);
    Covered covered;
    const auto wrong = run_all(config, &covered);
    ASSERT_FALSE(wrong) << *wrong;
    EXPECT_GT(covered.boundaries, 200u);
    EXPECT_GT(covered.metrics.bytes_journaled, 20u * 4096) << "the journal never went round";
    EXPECT_GT(covered.metrics.checkpoints, 2u);
  }
}

std::optional<std::string> with_bug(const PlantedBugs& planted) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Config config;
    config.seed = seed;
    config.planted = planted;
    config.again = false;
    if (auto wrong = run_all(config)) return wrong;
  }
  return std::nullopt;
}

void expect_caught(const PlantedBugs& planted) {
  const auto wrong = with_bug(planted);
  ASSERT_TRUE(wrong) << "the checker did not see the planted bug";
  std::printf("caught: %s\n", wrong->substr(0, 300).c_str());
}

TEST(LogCrash, AMissingSyncIsCaught) { expect_caught({.skip_sync = true}); }
TEST(LogCrash, AnAcknowledgementBeforeTheSyncIsCaught) { expect_caught({.ack_before_sync = true}); }
TEST(LogCrash, ReuseOfTheJournalBeforeSegmentsAreSyncedIsCaught) {
  expect_caught({.reuse_before_segment_sync = true});
}

}  // namespace
}  // namespace afdg::log
