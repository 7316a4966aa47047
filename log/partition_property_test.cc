#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "log/message_log.h"
#include "log/partition.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log {
namespace {

Timestamp ms(std::int64_t v) { return Timestamp(std::chrono::milliseconds(v)); }

struct ModelBatch {
  Offset base;
  Offset next;
  Epoch epoch;
  std::string bytes;
  std::vector<std::int64_t> times;
};

/// What the journal would hold: applied again after a crash, in order.
struct JournalEntry {
  std::string batch;   ///< or, when empty,
  Offset truncate_to;  ///< a truncation
};

/// A partition against a vector, over a file system that loses what was not synced.
class Trace {
 public:
  explicit Trace(std::uint64_t seed) : random_(seed), fs_(seed) {
    options_.segment_bytes_max = 1500 + random_.next() % 3000;
    options_.index_interval_bytes = 50 + static_cast<std::uint32_t>(random_.next() % 400);
    options_.write_back_bytes = 1000;
    options_.open_segments_max = 1 + random_.next() % 3;
    auto made = Partition::create(fs_, "/data/t-0", TopicId(9), options_);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    partition_ = std::move(*made);
  }

  void run(int steps) {
    for (step_ = 0; step_ < steps && !::testing::Test::HasFailure(); ++step_) {
      const auto dice = pick(100);
      if (dice < 45) {
        append();
      } else if (dice < 55) {
        sync();
      } else if (dice < 60) {
        truncate();
      } else if (dice < 64) {
        advance();
      } else if (dice < 80) {
        check_read();
      } else if (dice < 86) {
        check_time();
      } else if (dice < 90) {
        append_on_a_full_disk();
      } else if (dice < 93) {
        fs_.restart();
        reopen(false);
      } else if (dice < 98) {
        fs_.crash(store::Survival::kAnySubset, random_.next());
        reopen(true);
      } else {
        fs_.crash(store::Survival::kNothing, random_.next());
        reopen(true);
      }
      if (step_ % 20 == 0) check_all();
    }
    check_all();
    auto report = partition_->verify();
    EXPECT_TRUE(report.ok()) << report.status().to_string();
  }

 private:
  std::uint64_t pick(std::uint64_t below) { return random_.next() % below; }

  std::string make_batches(std::vector<ModelBatch>& made) {
    std::string all;
    Offset at = partition_->end();
    for (std::uint64_t n = 1 + pick(3); n > 0; --n) {
      if (pick(8) == 0) at = at + static_cast<std::int64_t>(pick(5));
      if (pick(25) == 0) epoch_ = Epoch(epoch_.value() + 1);
      BatchBuilder builder;
      ModelBatch batch{at, at, epoch_, {}, {}};
      for (std::uint64_t r = 1 + pick(4); r > 0; --r) {
        now_ += static_cast<std::int64_t>(pick(20)) - 6;
        builder.add(ms(now_), "k" + std::to_string(pick(9)), std::string(pick(120), 'v'));
        batch.times.push_back(now_);
      }
      batch.next = at = at + builder.records();
      batch.bytes = builder.seal(batch.base, epoch_);
      all += batch.bytes;
      made.push_back(std::move(batch));
    }
    return all;
  }

  void append() {
    std::vector<ModelBatch> made;
    const std::string bytes = make_batches(made);
    const Status s = partition_->append(bytes, ms(now_));
    ASSERT_TRUE(s.ok()) << s.to_string();
    take(std::move(made));
  }

  void take(std::vector<ModelBatch> made) {
    for (ModelBatch& b : made) {
      journal_.push_back({b.bytes, Offset(0)});
      end_ = b.next;
      model_.push_back(std::move(b));
    }
    ASSERT_EQ(partition_->end(), end_);
  }

  void append_on_a_full_disk() {
    fs_.set_capacity(fs_.bytes() + pick(200));
    std::vector<ModelBatch> made;
    const std::string bytes = make_batches(made);
    const Status s = partition_->append(bytes, ms(now_));
    fs_.set_capacity(std::nullopt);
    if (s.ok()) {
      take(std::move(made));
    } else {
      ASSERT_EQ(s.code(), Code::kDiskFull) << s.to_string();
      ASSERT_EQ(partition_->end(), end_);
    }
  }

  void sync() {
    auto ticket = partition_->begin_sync();
    ASSERT_TRUE(ticket.ok());
    const std::size_t covered = journal_.size();
    if (pick(2) == 0) append();
    if (pick(6) == 0) truncate();
    ASSERT_TRUE(ticket->run().ok());
    partition_->end_sync(*ticket);
    if (partition_->synced_end() < ticket->end()) return;  // a truncation came between
    recovery_ = partition_->synced_end();
    journal_.erase(journal_.begin(), journal_.begin() + static_cast<std::ptrdiff_t>(covered));
  }

  void truncate() {
    if (end_ == start_) return;
    const Offset to(std::max<std::int64_t>(
        0, end_.value() - static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(end_ - start_) + 3))));
    if (end_ - to > 30 && pick(4) != 0) return;
    recovery_ = std::min(recovery_, to);
    journal_.push_back({{}, to});
    ASSERT_TRUE(partition_->truncate_to(to).ok());
    if (to < end_) {
      while (!model_.empty() && model_.back().next > to) model_.pop_back();
      end_ = partition_->end();
      ASSERT_LE(end_, std::max(to, start_));
      ASSERT_GE(end_, model_.empty() ? start_ : model_.back().next);
      ASSERT_LE(partition_->synced_end(), end_);
      recovery_ = std::min(recovery_, end_);
    }
  }

  void advance() {
    if (end_ == start_) return;
    start_ = start_ + static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(end_ - start_) / 2 + 1));
    ASSERT_TRUE(partition_->advance_start(start_).ok());
    std::erase_if(model_, [&](const ModelBatch& b) { return b.next <= start_; });
    EXPECT_EQ(partition_->start(), start_);
  }

  void reopen(bool crashed) {
    partition_.reset();
    RecoveryReport report;
    auto opened = Partition::open(fs_, "/data/t-0", options_, {recovery_, start_}, report);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    partition_ = std::move(*opened);
    ASSERT_TRUE(partition_->fault().ok()) << partition_->fault().to_string();
    ASSERT_GE(partition_->end(), recovery_) << "what was synced is there";
    if (!crashed) {
      EXPECT_EQ(report.bytes_cut, 0u) << (report.warnings.empty() ? "" : report.warnings[0]);
    }
    for (const JournalEntry& entry : journal_) {
      if (entry.batch.empty()) {
        const Status s = partition_->truncate_to(entry.truncate_to);
        ASSERT_TRUE(s.ok()) << s.to_string();
      } else {
        auto replayed = partition_->replay(entry.batch, ms(now_));
        ASSERT_TRUE(replayed.ok()) << replayed.status().to_string();
      }
    }
    ASSERT_GE(partition_->end(), model_.empty() ? start_ : model_.back().next);
    ASSERT_LE(partition_->end(), std::max(end_, start_));
    end_ = partition_->end();  // a gap at the end may be forgotten
    check_all();
  }

  /// The bytes of the model's batches from the one that holds `from`, until a limit.
  void check_read() {
    const Offset from =
        start_ + static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(end_ - start_) + 1));
    const Offset limit =
        pick(2) == 0 ? end_
                     : from + static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(end_ - from) + 3));
    const std::size_t bytes_max = pick(3) == 0 ? 1 : pick(4000);
    std::string out;
    auto next = partition_->read_verified(from, bytes_max, limit, out);
    ASSERT_TRUE(next.ok()) << next.status().to_string();
    auto it = std::find_if(model_.begin(), model_.end(), [&](const ModelBatch& b) { return b.next > from; });
    std::string_view left = out;
    std::size_t count = 0;
    for (; !left.empty(); ++it, ++count) {
      ASSERT_NE(it, model_.end());
      ASSERT_TRUE(left.starts_with(it->bytes)) << "offset " << it->base.value();
      ASSERT_LE(it->next, limit);
      left.remove_prefix(it->bytes.size());
    }
    ASSERT_TRUE(count <= 1 || out.size() <= bytes_max);
    const bool more = it != model_.end() && it->next <= limit && from < limit;
    if (more) {
      ASSERT_GT(count, 0u) << "at least one batch";
    }
    if (count > 0) {
      ASSERT_GE(*next, (it - 1)->next);
      ASSERT_LE(*next, it == model_.end() ? end_ : it->base);
    }
  }

  void check_time() {
    const Timestamp at = ms(now_ - static_cast<std::int64_t>(pick(500)));
    auto found = partition_->find_time(at, {start_, end_});
    ASSERT_TRUE(found.ok()) << found.status().to_string();
    for (const ModelBatch& b : model_)
      for (std::size_t i = 0; i < b.times.size(); ++i) {
        const Offset offset = b.base + static_cast<std::int64_t>(i);
        if (offset < start_ || ms(b.times[i]) < at) continue;
        ASSERT_TRUE(found->has_value());
        ASSERT_EQ((*found)->offset, offset);
        ASSERT_EQ((*found)->timestamp, ms(b.times[i]));
        return;
      }
    ASSERT_FALSE(found->has_value());
  }

  void check_all() {
    ASSERT_EQ(partition_->start(), start_);
    ASSERT_EQ(partition_->end(), end_);
    std::string all;
    std::string out;
    for (Offset from = start_; from < end_;) {
      auto next = partition_->read_verified(from, 1000, end_, out);
      ASSERT_TRUE(next.ok()) << next.status().to_string();
      if (*next == from) break;  // a gap at the end
      from = *next;
      all += out;
    }
    std::string expected;
    for (const ModelBatch& b : model_) expected += b.bytes;
    ASSERT_EQ(all.size(), expected.size());
    ASSERT_TRUE(all == expected);
    for (const ModelBatch& b : model_) {
      const auto& entries = partition_->lineage().entries();
      auto it = std::upper_bound(entries.begin(), entries.end(), std::max(b.base, start_),
                                 [](Offset o, const EpochLineage::Entry& e) { return o < e.start; });
      ASSERT_NE(it, entries.begin());
      ASSERT_EQ((it - 1)->epoch, b.epoch) << "at offset " << b.base.value();
    }
    std::uint64_t bytes = 0;
    for (const auto& info : partition_->segments()) bytes += info.bytes;
    ASSERT_EQ(partition_->bytes(), bytes);
  }

  SeededRandom random_;
  store::FaultFileSystem fs_;
  PartitionOptions options_;
  std::unique_ptr<Partition> partition_;
  std::vector<ModelBatch> model_;
  std::vector<JournalEntry> journal_;
  Offset start_{0};
  Offset end_{0};
  Offset recovery_{0};
  Epoch epoch_{1};
  std::int64_t now_ = 1'000'000;
  int step_ = 0;
};

TEST(PartitionProperty, EqualsAVectorThroughCrashes) {
  const char* text = std::getenv("AFDG_SEED");
  const std::uint64_t first = text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
  const char* seeds = std::getenv("AFDG_SEEDS");
  const std::uint64_t count = seeds != nullptr ? std::strtoull(seeds, nullptr, 10) : text != nullptr ? 1 : 60;
  for (std::uint64_t seed = first; seed < first + count && !HasFailure(); ++seed) {
    SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed) +
                 " log_test --gtest_filter=PartitionProperty.EqualsAVectorThroughCrashes");
    Trace(seed).run(400);
  }
}

}  // namespace
}  // namespace afdg::log
