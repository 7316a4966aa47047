#include "store/file_system.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "store/testing/fault_file_system.h"
#include "store/testing/file_system_suite.h"

namespace afdg::store {
namespace {

class PosixUnderTest final : public FileSystemUnderTest {
 public:
  PosixUnderTest() {
    std::string pattern = testing::TempDir() + "afdg_files_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~PosixUnderTest() override {
    posix_file_system().remove_all(directory_).ignore("only the test's own files");
  }
  FileSystem& files() override { return posix_file_system(); }
  [[nodiscard]] std::string directory() const override { return directory_; }

 private:
  std::string directory_;
};

class FaultUnderTest final : public FileSystemUnderTest {
 public:
  FaultUnderTest() { AFDG_EXPECT_OK(files_.create_directories(directory())); }
  FileSystem& files() override { return files_; }
  [[nodiscard]] std::string directory() const override { return "/data/node"; }

 private:
  FaultFileSystem files_;
};

INSTANTIATE_TEST_SUITE_P(
    Each, FileSystemSuite,
    testing::Values(FileSystemCase{"Posix", [] { return std::make_unique<PosixUnderTest>(); }},
                    FileSystemCase{"Fault", [] { return std::make_unique<FaultUnderTest>(); }}),
    [](const auto& chosen) { return chosen.param.name; });

TEST(PosixFileSystem, GivesADescriptorForSendfile) {
  PosixUnderTest subject;
  const auto file = subject.files().open(subject.directory() + "/a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  EXPECT_GE((*file)->descriptor(), 0);
}

TEST(PosixFileSystem, WritesPastThePageCacheAndThroughItAreOneFile) {
  PosixUnderTest subject;
  const auto file = subject.files().open(subject.directory() + "/a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  AFDG_EXPECT_OK((*file)->write_at(0, std::string(3 * kDirectBytes, 'z')));
  (*file)->bypass_cache();
  alignas(kDirectBytes) static char block[2 * kDirectBytes];
  std::fill(std::begin(block), std::end(block), 'd');
  AFDG_EXPECT_OK((*file)->write_at(kDirectBytes, std::string_view(block, sizeof block)));
  AFDG_EXPECT_OK((*file)->write_at(kDirectBytes + 10, std::string_view("cached")));            // not aligned
  AFDG_EXPECT_OK((*file)->write_at(3 * kDirectBytes, std::string_view(block, kDirectBytes)));  // at the end
  AFDG_EXPECT_OK((*file)->sync());
  std::string all(4 * kDirectBytes, '\0');
  AFDG_EXPECT_OK((*file)->read_at(0, all.size(), all.data()));
  std::string expected = std::string(kDirectBytes, 'z') + std::string(3 * kDirectBytes, 'd');
  expected.replace(kDirectBytes + 10, 6, "cached");
  EXPECT_TRUE(all == expected);
}

TEST(PosixFileSystem, PreallocatesBehindTheEnd) {
  PosixUnderTest subject;
  const std::string path = subject.directory() + "/a";
  const auto file = subject.files().open(path, OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  const auto on_disk = [&path] {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
  };
  AFDG_EXPECT_OK((*file)->write_at(0, std::string(10'000, 'a')));
  (*file)->preallocate(10'000, 1u << 20);
  EXPECT_EQ(*(*file)->size(), 10'000);
  AFDG_EXPECT_OK((*file)->sync());
  if (on_disk() < 1u << 20) GTEST_SKIP() << "no room can be taken ahead on this file system";
  AFDG_EXPECT_OK((*file)->write_at(10'000, std::string(10'000, 'b')));
  AFDG_EXPECT_OK((*file)->truncate(20'000));
  EXPECT_LE(on_disk(), 64u << 10);
  std::string all(20'000, '\0');
  AFDG_EXPECT_OK((*file)->read_at(0, all.size(), all.data()));
  EXPECT_TRUE(all == std::string(10'000, 'a') + std::string(10'000, 'b'));
}

TEST(PosixFileSystem, SaysThatADirectoryIsUnwritable) {
  constexpr uid_t kNobody = 65534;
  PosixUnderTest subject;
  ASSERT_EQ(::chmod(subject.directory().c_str(), 0555), 0);
  const bool root = ::geteuid() == 0;  // who may write everywhere
  if (root && ::seteuid(kNobody) != 0) GTEST_SKIP() << "root here cannot become another user";
  const auto file = subject.files().open(subject.directory() + "/a", OpenMode::kCreate);
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  ASSERT_EQ(::chmod(subject.directory().c_str(), 0700), 0);
  ASSERT_EQ(file.code(), Code::kUnwritable);
  EXPECT_NE(file.error().text().find("Permission denied"), std::string::npos);
}

TEST(PosixFileSystem, SaysThatTheDeviceIsFull) {
  const auto file = posix_file_system().open("/dev/full", OpenMode::kReadWrite);
  if (!file.ok()) GTEST_SKIP() << "no /dev/full here: " << file.status().to_string();
  const auto status = (*file)->write_at(0, std::string_view("x"));
  EXPECT_EQ(status.code(), Code::kDiskFull) << status.to_string();
  EXPECT_NE(status.to_string().find("/dev/full"), std::string::npos);
  EXPECT_NE(status.to_string().find("free space"), std::string::npos);
}

}  // namespace
}  // namespace afdg::store
