#include <gtest/gtest.h>

#include <filesystem>

#include "log/batch.h"
#include "log/log.h"
#include "store/file_system.h"

namespace afdg::log {
namespace {

constexpr TopicPartition kA{TopicId(7), PartitionIndex(0)};
constexpr TopicPartition kB{TopicId(8), PartitionIndex(0)};  ///< of short segments
constexpr std::size_t kBatches = 40;

std::string batch(std::size_t number) {
  BatchBuilder builder;
  builder.add(Timestamp(std::chrono::milliseconds(1000)), "key",
              std::string(1000, static_cast<char>(33 + number)));
  return std::string(builder.seal(Offset(0), Epoch(3)));
}

const std::size_t kBatchBytes = batch(0).size();

/// On a real file system: only there a file has a descriptor.
struct LogRead : ::testing::Test {
  std::string directory =
      (std::filesystem::temp_directory_path() / ("afdg-log-read-" + std::to_string(getpid()))).string();
  store::FileSystem& fs = store::posix_file_system();
  ManualClock clock;
  LogOptions options;
  std::unique_ptr<Log> log;

  void SetUp() override {
    std::filesystem::remove_all(directory);
    options.directory = directory;
    options.journal_bytes = 256u << 10;
    options.journal_initial_bytes = 256u << 10;
    options.reserve_bytes = 16u << 10;
    options.threads = LogThreads::kNone;
    open();
  }
  void TearDown() override {
    log.reset();
    std::filesystem::remove_all(directory);
  }
  void open() {
    log = std::move(Log::open(fs, clock, options)).value();
    TopicOptions small;
    small.segment_bytes = kBatchBytes * 10;
    ASSERT_TRUE(log->create_partitions({{kA, "seven", {}}, {kB, "eight", small}}).ok());
  }
  void fill(TopicPartition id) {
    for (std::size_t i = 0; i < kBatches; ++i) ASSERT_TRUE(log->append(id, batch(i), Epoch(3), nullptr).ok());
  }
  std::string segment() const { return directory + "/topics/eight-0/00000000000000000000.log"; }
};

TEST_F(LogRead, APortionIsInMemoryOrInItsFileAndTheSameBytes) {
  fill(kA);
  ASSERT_TRUE(log->lead());
  const auto tail = log->read_portion(kA, Offset(0), 1 << 20, 1);
  ASSERT_TRUE(tail.ok());
  EXPECT_EQ(tail->range.size, 0u) << "what is not in a segment yet is in memory";
  while (log->pump()) {
  }
  const auto whole = log->read_batches(kA, Offset(0), 1 << 20);
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(tail->bytes, whole->bytes);
  const auto portion = log->read_portion(kA, Offset(2), 1 << 20, 1);
  ASSERT_TRUE(portion.ok());
  ASSERT_GT(portion->range.size, 0u);
  EXPECT_TRUE(portion->bytes.empty());
  EXPECT_EQ(portion->next, Offset(kBatches));
  std::string read(portion->range.size, '\0');
  ASSERT_TRUE(portion->range.file->read_at(portion->range.position, read.size(), read.data()).ok());
  EXPECT_EQ(read, whole->bytes.substr(whole->bytes.size() / kBatches * 2));
  const auto little = log->read_portion(kA, Offset(2), 1 << 20, 1 << 20);
  ASSERT_TRUE(little.ok());
  EXPECT_EQ(little->bytes, read) << "less than that is worth no file range";
  EXPECT_EQ(log->read_portion(kA, Offset(kBatches), 1 << 20, 1)->size(), 0u);
  EXPECT_EQ(log->read_portion(kA, Offset(kBatches + 1), 1 << 20, 1).code(), Code::kOutOfRange);
  ASSERT_TRUE(log->delete_topic(kA.topic).ok());
  ASSERT_TRUE(portion->range.file->read_at(portion->range.position, read.size(), read.data()).ok())
      << "a reader keeps the file of a topic that was deleted";
}

TEST_F(LogRead, DamageOfAnEarlierLifeIsFoundBeforeAFileIsHandedOut) {
  fill(kB);
  ASSERT_TRUE(log->close().ok());
  log.reset();
  const auto file = std::move(fs.open(segment(), store::OpenMode::kReadWrite)).value();
  ASSERT_TRUE(file->write_at(kBatchBytes * 5 + 200, "!").ok());
  open();
  // Before the damage, and behind it, nothing is wrong; each stretch is looked at for itself.
  const auto before = log->read_portion(kB, Offset(0), kBatchBytes * 3, 1);
  ASSERT_TRUE(before.ok()) << before.error().text();
  EXPECT_EQ(before->next, Offset(3));
  EXPECT_TRUE(log->read_portion(kB, Offset(20), 1 << 20, 1).ok());
  EXPECT_TRUE(log->read_portion(kB, Offset(0), kBatchBytes * 3, 1).ok());
  const auto damaged = log->read_portion(kB, Offset(3), 1 << 20, 1);
  EXPECT_EQ(damaged.code(), Code::kCorrupt);
  EXPECT_NE(damaged.status().error().text().find("000.log"), std::string::npos);
  EXPECT_EQ(log->read_portion(kB, Offset(0), 100, 1).code(), Code::kCorrupt) << "the partition is faulty now";
}

TEST_F(LogRead, EndsOfEpochsAreThoseOfSegmentsAndMemory) {
  EXPECT_EQ(log->end_of_epoch(kA, Epoch(3))->end, Offset(-1)) << "nothing was written yet";
  fill(kA);
  while (log->pump()) {
  }
  ASSERT_TRUE(log->append(kA, batch(0), Epoch(5), nullptr).ok());
  ASSERT_TRUE(log->lead());
  const auto end = [&](int epoch) { return *log->end_of_epoch(kA, Epoch(epoch)); };
  EXPECT_EQ(end(3).end, Offset(kBatches));
  EXPECT_EQ(end(4).epoch, Epoch(3)) << "the largest one that is not above";
  EXPECT_EQ(end(5).end, Offset(kBatches + 1));
  EXPECT_EQ(end(2).epoch, Epoch(2));
  EXPECT_EQ(end(2).end, Offset(0)) << "where the first known epoch begins";
  EXPECT_EQ(log->end_of_epoch({TopicId(9), PartitionIndex(0)}, Epoch(1)).code(), Code::kNotFound);
}

}  // namespace
}  // namespace afdg::log
