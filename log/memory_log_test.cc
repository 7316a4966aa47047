#include "log/memory_log.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "log/testing/message_log_suite.h"

namespace afdg::log {
namespace {

using testing::at_ms;
using testing::read_all;

template <MemoryCommit kMode, int kGap>
class MemoryHarness {
 public:
  MemoryHarness() { reopen(); }
  MessageLog& log() { return *log_; }
  void reopen() {
    settle();
    log_ = std::make_unique<MemoryLog>(storage_);
  }
  void crash() {
    storage_->crash();
    log_ = std::make_unique<MemoryLog>(storage_);
  }
  void settle() { storage_->commit_all(); }
  MessageLog* rival() {
    rival_ = std::make_unique<MemoryLog>(storage_);
    return rival_.get();
  }
  bool set_disk_full(bool full) {
    storage_->set_disk_full(full);
    return true;
  }
  bool raise_tombstone_horizon(Offset to) {
    storage_->set_tombstone_horizon(to);
    return true;
  }

 private:
  static MemoryLogStorage::Options options() {
    MemoryLogStorage::Options options;
    options.commit = kMode;
    options.offset_gap = kGap;
    options.trim_applied = kGap > 0;
    return options;
  }
  std::shared_ptr<MemoryLogStorage> storage_ = std::make_shared<MemoryLogStorage>(options());
  std::unique_ptr<MemoryLog> log_;
  std::unique_ptr<MemoryLog> rival_;
};

}  // namespace

namespace testing {
using ImmediateHarness = log::MemoryHarness<MemoryCommit::kImmediate, 0>;
using ManualHarness = log::MemoryHarness<MemoryCommit::kManual, 0>;
using SparseHarness = log::MemoryHarness<MemoryCommit::kManual, 3>;
INSTANTIATE_TYPED_TEST_SUITE_P(MemoryLogImmediate, MessageLogSuite, ImmediateHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(MemoryLogManual, MessageLogSuite, ManualHarness);
INSTANTIATE_TYPED_TEST_SUITE_P(MemoryLogSparse, MessageLogSuite, SparseHarness);
}  // namespace testing

namespace {

class MemoryLogTest : public ::testing::Test {
 protected:
  Status append(std::string_view value) {
    builder_.clear();
    builder_.add(at_ms(1), "k", value);
    return log_.append(Epoch(1), {&builder_, nullptr, nullptr},
                       [this](AppendOutcome o) { outcomes_.push_back(o); });
  }
  static MemoryLogStorage::Options manual() {
    MemoryLogStorage::Options options;
    options.commit = MemoryCommit::kManual;
    options.in_flight_bytes_max = 1000;
    return options;
  }
  std::shared_ptr<MemoryLogStorage> storage_ = std::make_shared<MemoryLogStorage>(manual());
  MemoryLog log_{storage_};
  BatchBuilder builder_;
  std::vector<AppendOutcome> outcomes_;
};

TEST_F(MemoryLogTest, CommitsOneAtATime) {
  ASSERT_TRUE(log_.open(Epoch(1)).ok());
  ASSERT_TRUE(append("a").ok());
  ASSERT_TRUE(append("b").ok());
  EXPECT_EQ(log_.committed_end(Stream::kMessages), Offset(0));
  EXPECT_TRUE(storage_->commit_one());
  EXPECT_EQ(log_.committed_end(Stream::kMessages), Offset(1));
  EXPECT_EQ(outcomes_.size(), 1u);
  EXPECT_EQ(storage_->commit_all(), 1u);
  EXPECT_FALSE(storage_->commit_one());
}

TEST_F(MemoryLogTest, RefusesMoreThanItsBytesInFlight) {
  ASSERT_TRUE(log_.open(Epoch(1)).ok());
  ASSERT_TRUE(append(std::string(700, 'x')).ok());
  EXPECT_EQ(append(std::string(700, 'x')).code(), Code::kOverloaded);
  storage_->commit_all();
  EXPECT_TRUE(append(std::string(700, 'x')).ok());
}

TEST_F(MemoryLogTest, AnUnknownAppendIsKeptOrLostAndNothingFollowsIt) {
  for (const auto fate : {MemoryLogStorage::Unknown::kKept, MemoryLogStorage::Unknown::kLost}) {
    ASSERT_TRUE(log_.open(Epoch(1)).ok());
    outcomes_.clear();
    const std::size_t before = read_all(log_, Stream::kMessages).size();
    ASSERT_TRUE(append("first").ok());
    ASSERT_TRUE(append("second").ok());
    storage_->answer_unknown(fate);
    EXPECT_EQ(outcomes_, (std::vector{AppendOutcome::kUnknown, AppendOutcome::kFenced}));
    EXPECT_EQ(append("third").code(), Code::kFenced);
    ASSERT_TRUE(log_.open(Epoch(1)).ok());
    EXPECT_EQ(read_all(log_, Stream::kMessages).size() - before,
              fate == MemoryLogStorage::Unknown::kKept ? 1u : 0u);
  }
}

TEST_F(MemoryLogTest, TheNextAppendCanBeAnsweredUnknown) {
  ASSERT_TRUE(log_.open(Epoch(1)).ok());
  storage_->set_commit(MemoryCommit::kImmediate);
  storage_->answer_unknown(MemoryLogStorage::Unknown::kKept);
  ASSERT_TRUE(append("a").ok());
  EXPECT_EQ(outcomes_, std::vector{AppendOutcome::kUnknown});
  EXPECT_EQ(append("b").code(), Code::kFenced);
  EXPECT_EQ(read_all(log_, Stream::kMessages).size(), 1u);
}

TEST_F(MemoryLogTest, FencingAnswersWhatIsUndecided) {
  ASSERT_TRUE(log_.open(Epoch(1)).ok());
  ASSERT_TRUE(append("a").ok());
  storage_->fence(Epoch(7));
  EXPECT_EQ(outcomes_, std::vector{AppendOutcome::kFenced});
  EXPECT_EQ(log_.next(Stream::kMessages), Offset(0));
  EXPECT_EQ(append("b").code(), Code::kFenced);
  EXPECT_EQ(log_.open(Epoch(6)).code(), Code::kFenced);
  EXPECT_TRUE(log_.open(Epoch(7)).ok());
}

TEST_F(MemoryLogTest, ACrashCallsNoCompletion) {
  ASSERT_TRUE(log_.open(Epoch(1)).ok());
  ASSERT_TRUE(append("a").ok());
  storage_->crash();
  EXPECT_TRUE(outcomes_.empty());
  EXPECT_EQ(storage_->undecided(), 0u);
  EXPECT_EQ(append("b").code(), Code::kFenced);
}

TEST_F(MemoryLogTest, CorruptIsAnsweredEverywhere) {
  ASSERT_TRUE(log_.open(Epoch(1)).ok());
  storage_->set_corrupt();
  EXPECT_EQ(append("a").code(), Code::kCorrupt);
  EXPECT_EQ(log_.open(Epoch(2)).code(), Code::kCorrupt);
  EXPECT_EQ(log_.read(Stream::kMessages, Offset(0), {}, [](const RecordView&) {}).code(), Code::kCorrupt);
}

TEST_F(MemoryLogTest, TheStartMovesUp) {
  ASSERT_TRUE(log_.open(Epoch(1)).ok());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(append(std::to_string(i)).ok());
  storage_->commit_all();
  storage_->set_start(Stream::kMessages, Offset(4));
  EXPECT_EQ(log_.start(Stream::kMessages), Offset(4));
  EXPECT_EQ(log_.read(Stream::kMessages, Offset(3), {}, [](const RecordView&) {}).code(), Code::kOutOfRange);
  EXPECT_EQ(read_all(log_, Stream::kMessages).front().value, "4");
}

}  // namespace
}  // namespace afdg::log
