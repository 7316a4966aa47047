// Random idempotent producers against a log on a disk that loses what was not synced, and against a list.
//
// AFDG_SEED=n repeats one trace, AFDG_SEEDS=n runs that many.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/codec.h"
#include "log/batch.h"
#include "log/log.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log {
namespace {

using store::FaultFileSystem;
using store::Survival;
namespace at = batch_layout;

constexpr TopicPartition kTopic{TopicId(7), PartitionIndex(0)};
constexpr std::int64_t kSequences = std::int64_t{1} << 31;

/// A batch, as its producer made it and as the list keeps it.
struct Made {
  std::int64_t id = -1;
  std::int16_t epoch = -1;
  std::int64_t first = -1;
  std::int64_t count = 1;
  std::string tag;  ///< another one for each batch that was made
  std::int64_t base = 0;
  [[nodiscard]] std::int64_t last() const { return (first + count - 1) % kSequences; }
  [[nodiscard]] std::int64_t next() const { return base + count; }
  [[nodiscard]] std::string text() const {
    return "producer " + std::to_string(id) + " epoch " + std::to_string(epoch) + " seq " +
           std::to_string(first) + " x" + std::to_string(count) + " @" + std::to_string(base) + " '" +
           tag.substr(0, 8) + "'";
  }
};

std::string bytes_of(const Made& made) {
  BatchBuilder builder;
  for (std::int64_t i = 0; i < made.count; ++i)
    builder.add(Timestamp(std::chrono::milliseconds(1000)), "key", made.tag);
  std::string out(builder.seal(Offset(0), Epoch(0)));
  store_be64(out.data() + at::kProducerId, static_cast<std::uint64_t>(made.id));
  store_be16(out.data() + at::kProducerEpoch, static_cast<std::uint16_t>(made.epoch));
  store_be32(out.data() + at::kBaseSequence, static_cast<std::uint32_t>(made.first));
  store_be32(out.data() + at::kCrc, crc32c(std::string_view(out).substr(at::kAttributes)));
  return out;
}

/// The trivial model: all batches in order, and the rules read off them each time anew.
struct Model {
  std::vector<Made> batches;
  [[nodiscard]] std::int64_t end() const { return batches.empty() ? 0 : batches.back().next(); }
  /// "ok", "dup OFFSET" or the code's name.
  [[nodiscard]] std::string verdict(const Made& made) const {
    if (made.id < 0) return "ok";
    std::vector<const Made*> mine;
    for (const Made& b : batches)
      if (b.id == made.id) mine.push_back(&b);
    if (mine.empty()) return "ok";
    const std::int16_t epoch = mine.back()->epoch;
    if (made.epoch < epoch) return "kProducerFenced";
    if (made.epoch > epoch) return made.first == 0 ? "ok" : "kOutOfOrderSequence";
    std::erase_if(mine, [&](const Made* b) { return b->epoch != epoch; });
    for (std::size_t i = mine.size() - std::min<std::size_t>(mine.size(), 5); i < mine.size(); ++i)
      if (mine[i]->first == made.first && mine[i]->last() == made.last())
        return "dup " + std::to_string(mine[i]->base);
    return made.first == (mine.back()->last() + 1) % kSequences ? "ok" : "kOutOfOrderSequence";
  }
};

class Trace {
 public:
  explicit Trace(std::uint64_t seed) : seed_(seed), random_(seed), moves_start_(seed % 3 == 0) {}
  ~Trace() { kill(); }

  void run() {
    open();
    for (int step = 0; step < 140 && !::testing::Test::HasFailure(); ++step) one(step);
    if (::testing::Test::HasFailure()) return;
    crash();
    open();
  }
  static std::size_t crashes, repeats, snapshots;

 private:
  std::uint64_t pick(std::uint64_t n) { return random_.next() % n; }

  LogOptions options() {
    LogOptions o;
    o.directory = "/log";
    o.journal_bytes = 20 * 4096;
    o.journal_initial_bytes = 14 * 4096;
    o.reserve_bytes = 4096;
    o.threads = LogThreads::kNone;
    o.fatal = [](const Error&) {};
    o.journal_id = 4711;
    o.producer_scan_bytes = 64 << (seed_ % 8);
    return o;
  }

  Status try_open() {
    AFDG_ASSIGN(log_, Log::open(fs_, clock_, options()));
    TopicOptions topic;
    topic.segment_bytes = 3000;
    return log_->create_partition(kTopic, "t", topic);
  }

  void open() {
    Status opened = try_open();
    while (!opened.ok() && fs_.stopped()) {  // a planned fault met the start itself
      crash();
      opened = try_open();
    }
    ASSERT_TRUE(opened.ok()) << opened.to_string();
    for (const std::string& warning : log_->recovery().warnings)
      EXPECT_TRUE(warning.find(".producers") == std::string::npos || damaged_) << warning;
    compare();
  }

  /// What the log holds is a beginning of what was made, and no less than what was acknowledged.
  void compare() {
    const auto about = log_->describe(kTopic);
    ASSERT_TRUE(about.ok());
    ASSERT_TRUE(about->fault.ok()) << about->fault.to_string();
    const std::int64_t end = about->end.value();
    ASSERT_GE(end, acknowledged_) << "an acknowledged batch is lost";
    std::erase_if(model_.batches, [&](const Made& b) { return b.next() > end; });
    ASSERT_EQ(model_.end(), end) << "the log ends inside a batch, or behind all that was made";
    acknowledged_ = end;
    std::set<std::string> tags;
    for (Offset from = about->start; from < about->end;) {
      const auto read = log_->read_batches(kTopic, from, 1u << 20);
      ASSERT_TRUE(read.ok()) << read.status().to_string();
      std::string_view bytes = read->bytes;
      ASSERT_FALSE(bytes.empty());
      while (!bytes.empty()) {
        const auto batch = BatchView::parse(bytes);
        ASSERT_TRUE(batch.ok());
        RecordReader reader(*batch);
        RecordView record;
        ASSERT_TRUE(reader.next(record));
        ASSERT_TRUE(tags.insert(std::string(*record.value)).second) << "stored twice: " << *record.value;
        const auto made = std::find_if(model_.batches.begin(), model_.batches.end(),
                                       [&](const Made& b) { return b.base == batch->base().value(); });
        ASSERT_NE(made, model_.batches.end());
        ASSERT_EQ(made->tag, *record.value) << "another batch is at that offset";
        bytes.remove_prefix(batch->size());
      }
      from = read->next;
    }
  }

  void kill() {
    if (!log_) return;
    fs_.fail_at(fs_.operations() + 1, store::Fault::kCrash);
    log_.reset();
    fs_.restart();
  }

  void crash() {
    ++crashes;
    fs_.fail_at(fs_.operations() + 1, store::Fault::kCrash);
    log_.reset();
    constexpr Survival kKinds[] = {Survival::kNothing, Survival::kEverything, Survival::kAnySubset};
    fs_.crash(kKinds[pick(3)], random_.next());
  }

  Made new_batch() {
    Made made;
    made.id = static_cast<std::int64_t>(pick(4));
    made.count = 1 + static_cast<std::int64_t>(pick(4));
    const Made* last = nullptr;
    for (const Made& b : model_.batches)
      if (b.id == made.id) last = &b;
    made.epoch = last == nullptr ? static_cast<std::int16_t>(pick(3)) : last->epoch;
    // A producer that nobody knows begins anywhere; half of them just before the wrap.
    made.first = last != nullptr ? (last->last() + 1) % kSequences
                                 : (pick(2) == 0 ? kSequences - 1 - static_cast<std::int64_t>(pick(8)) : 0);
    switch (pick(12)) {
      case 0:
        made.id = made.epoch = -1;
        made.first = -1;
        break;
      case 1:  // a new life of the producer
        ++made.epoch;
        made.first = 0;
        break;
      case 2:  // one that should have begun at 0
        ++made.epoch;
        break;
      case 3:  // a batch is missing before it, or it overlaps
        made.first = (made.first + kSequences + static_cast<std::int64_t>(pick(9)) - 4) % kSequences;
        break;
      case 4:
        if (made.epoch > 0) --made.epoch;
        break;
      default:
        break;
    }
    made.tag = "b" + std::to_string(++made_) + " ";
    made.tag.resize(pick(9) == 0 ? 1500 + pick(3000) : 8 + pick(200),
                    '.');  // some go straight to their segment
    return made;
  }

  /// One of a producer's last, as a client that heard nothing sends it again; of more than five at times.
  std::optional<Made> old_batch() {
    if (model_.batches.empty()) return std::nullopt;
    const std::size_t back = pick(std::min<std::size_t>(model_.batches.size(), 24));
    Made made = model_.batches[model_.batches.size() - 1 - back];
    if (made.id < 0) return std::nullopt;  // without a producer a repeat is another batch
    return made;
  }

  void send(Made made, int step) {
    const std::string expected = model_.verdict(made);
    const std::int64_t end_of_first = expected.starts_with("dup ")
                                          ? std::stoll(expected.substr(4)) + made.count
                                          : model_.end() + made.count;
    const std::uint64_t number = ++sent_;
    const auto appended = log_->append(
        kTopic, bytes_of(made), Epoch(0), [this, end_of_first, number, life = life_](AppendOutcome outcome) {
          if (life != life_ || outcome != AppendOutcome::kCommitted) return;
          EXPECT_GT(number, told_) << "completions are out of order";
          told_ = number;
          acknowledged_ = std::max(acknowledged_, end_of_first);
          const auto ends = log_->ends(kTopic);
          if (ends.ok()) {
            EXPECT_GE(ends->end.value(), end_of_first) << "told before it was committed";
          }
        });
    if (!appended.ok() && (appended.code() == Code::kIo || appended.code() == Code::kOverloaded)) return;
    std::string got = appended.ok() ? "ok" : std::string(code_name(appended.code()));
    if (appended.ok() && appended->duplicate) got = "dup " + std::to_string(appended->base.value());
    ASSERT_EQ(got, expected) << "step " << step << ": " << made.text() << ": "
                             << appended.status().to_string();
    if (got.starts_with("dup")) ++repeats;
    if (got != "ok") return;
    made.base = model_.end();
    ASSERT_EQ(appended->base.value(), made.base);
    model_.batches.push_back(std::move(made));
  }

  void count_snapshots() {
    const auto names = fs_.list("/log/topics/t-0");
    if (!names.ok()) return;
    const auto count = std::count_if(names->begin(), names->end(),
                                     [](const std::string& name) { return name.ends_with(".producers"); });
    snapshots = std::max(snapshots, static_cast<std::size_t>(count));
    const auto about = log_->describe(kTopic);
    if (about.ok()) {
      EXPECT_LE(static_cast<std::size_t>(count), about->segments + 2);
    }
  }

  void reopen(bool orderly) {
    ++life_;
    if (orderly) {
      const Status closed = log_->close();
      log_.reset();
      if (!closed.ok()) crash();  // a planned fault came meanwhile
    } else {
      crash();
    }
    // A snapshot that the disk damages is made anew from the log, where all of that is there.
    if (!moves_start_ && pick(3) == 0) damage_snapshot();
    open();
  }

  void damage_snapshot() {
    const auto names = fs_.list("/log/topics/t-0");
    if (!names.ok()) return;
    for (const std::string& name : *names)
      if (name.ends_with(".producers") && pick(2) == 0)
        damaged_ = fs_.flip("/log/topics/t-0/" + name, pick(22)).ok() || damaged_;
  }

  void one(int step) {
    if (fs_.stopped()) return reopen(false);
    switch (pick(30)) {
      case 0:
        return reopen(true);
      case 1:
        return reopen(false);
      case 2:
        // The machine stops at some write not far from here.
        fs_.fail_at(fs_.operations() + 1 + pick(25), store::Fault::kCrash);
        return;
      case 3:
      case 4:
        log_->checkpoint().ignore("a planned fault");
        return count_snapshots();
      case 5: {
        if (model_.batches.empty() || !log_->drain().ok()) return;
        if (moves_start_) {
          const std::int64_t to = model_.batches[pick(model_.batches.size())].base;
          log_->advance_start(kTopic, Offset(to)).ignore("a planned fault");
        } else {
          const std::int64_t back = static_cast<std::int64_t>(pick(8));
          const std::int64_t to = std::max<std::int64_t>(model_.end() - back, 0);
          std::int64_t floor = model_.end();
          for (const Made& b : model_.batches)
            if (b.next() > to) {
              floor = b.base;
              break;
            }
          acknowledged_ = std::min(acknowledged_, floor);
          const auto cut = log_->truncate(kTopic, Offset(to));
          if (!cut.ok()) return;
          ASSERT_EQ(cut->value(), floor);
          std::erase_if(model_.batches, [&](const Made& b) { return b.next() > floor; });
        }
        return;
      }
      case 6:
      case 7:
      case 8:
        log_->pump();
        return;
      case 9:
      case 10:
      case 11:
      case 12:
      case 13:
      case 14:
      case 15:
      case 16:
        if (const auto made = old_batch()) send(*made, step);
        return;
      default:
        send(new_batch(), step);
    }
  }

  const std::uint64_t seed_;
  SeededRandom random_;
  const bool moves_start_;  ///< else it truncates
  FaultFileSystem fs_{1};
  ManualClock clock_;
  std::unique_ptr<Log> log_;
  Model model_;
  std::int64_t acknowledged_ = 0;  ///< all below was promised
  std::uint64_t sent_ = 0;
  std::uint64_t told_ = 0;
  std::uint64_t made_ = 0;
  std::uint64_t life_ = 0;
  bool damaged_ = false;  ///< some snapshot, at some time
};
std::size_t Trace::crashes = 0;
std::size_t Trace::repeats = 0;
std::size_t Trace::snapshots = 0;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Invariant 5.
TEST(ProducersProperty, NoBatchTwiceNoneLostEachProducerInOrder) {
  const std::uint64_t only = number_from("AFDG_SEED", 0);
  const std::uint64_t seeds = number_from("AFDG_SEEDS", 300);
  for (std::uint64_t seed = only == 0 ? 1 : only; seed <= (only == 0 ? seeds : only); ++seed) {
    Trace(seed).run();
    ASSERT_FALSE(HasFailure()) << "repeat: AFDG_SEED=" << seed
                               << " log_test --gtest_filter=ProducersProperty.*";
  }
  if (only != 0 || seeds < 100) return;
  EXPECT_GT(Trace::crashes, 300u);
  EXPECT_GT(Trace::repeats, 1000u);
  EXPECT_GT(Trace::snapshots, 2u) << "the traces do not reach what they should";
}

}  // namespace
}  // namespace afdg::log
