#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "log/partition.h"
#include "log/segment.h"

// Room that a segment takes on the disk before it needs it.
namespace afdg::log {
namespace {

constexpr std::size_t kBatch = 1u << 20;

class Preallocation : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "afdg_log_XXXXXX";
    directory = ::mkdtemp(pattern.data());
    options.segment_bytes_max = 32u << 20;
    auto made = Partition::create(store::posix_file_system(), directory + "/t-0", TopicId(7), options);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    partition = std::move(made).value();
  }
  void TearDown() override {
    partition.reset();
    store::posix_file_system().remove_all(directory).ignore("only the test's own files");
  }
  void append(int batches) {
    for (int i = 0; i < batches; ++i) {
      BatchBuilder builder;
      builder.add(Timestamp(std::chrono::milliseconds(1000)), "key", std::string(kBatch, 'x'));
      ASSERT_TRUE(
          partition->append(builder.seal(partition->end(), Epoch(0)), Timestamp(std::chrono::milliseconds(1)))
              .ok());
    }
  }
  /// What the segment that begins there has on the disk, beyond its bytes.
  [[nodiscard]] std::int64_t ahead(Offset base) const {
    struct stat info {};
    EXPECT_EQ(::stat((directory + "/t-0/" + segment_stem(base) + ".log").c_str(), &info), 0);
    return std::int64_t{info.st_blocks} * 512 - info.st_size;
  }

  std::string directory;
  PartitionOptions options;
  std::unique_ptr<Partition> partition;
};

TEST_F(Preallocation, IsAShareOfTheSegmentAndIsGivenBackWithTheNext) {
  append(6);
  EXPECT_LT(ahead(Offset(0)), 256 << 10) << "a small segment takes nothing ahead";
  append(18);
  if (ahead(Offset(0)) < 256 << 10) GTEST_SKIP() << "no room can be taken ahead on this file system";
  EXPECT_LE(ahead(Offset(0)), 4 << 20);
  append(16);
  ASSERT_EQ(partition->segments().size(), 2u);
  EXPECT_LT(ahead(Offset(0)), 64 << 10);
}

TEST_F(Preallocation, OfAnEarlierLifeIsGivenBackToo) {
  append(24);
  partition.reset();
  RecoveryReport report;
  auto opened = Partition::open(store::posix_file_system(), directory + "/t-0", options, {}, report);
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  partition = std::move(opened).value();
  append(16);
  ASSERT_EQ(partition->segments().size(), 2u);
  EXPECT_LT(ahead(Offset(0)), 64 << 10);
}

}  // namespace
}  // namespace afdg::log
