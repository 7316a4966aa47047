#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "store/file_system.h"

// What every FileSystem promises. A test program includes this once and calls INSTANTIATE_TEST_SUITE_P(...,
// FileSystemSuite, ...).
namespace afdg::store {

/// A file system and an empty directory in it; the destructor cleans up.
class FileSystemUnderTest {
 public:
  virtual ~FileSystemUnderTest() = default;
  virtual FileSystem& files() = 0;
  [[nodiscard]] virtual std::string directory() const = 0;
};

struct FileSystemCase {
  std::string name;
  std::function<std::unique_ptr<FileSystemUnderTest>()> make;
};

class FileSystemSuite : public testing::TestWithParam<FileSystemCase> {
 protected:
  [[nodiscard]] std::string path(const std::string& name) const { return subject_->directory() + "/" + name; }
  FileSystem& files() { return subject_->files(); }
  std::unique_ptr<File> must_open(const std::string& name, OpenMode mode) {
    auto file = files().open(path(name), mode);
    EXPECT_TRUE(file.ok()) << file.status().to_string();
    return std::move(file).value();
  }
  static std::string must_read(const File& file, std::uint64_t at, std::size_t size) {
    std::string out(size, '?');
    const auto status = file.read_at(at, size, out.data());
    EXPECT_TRUE(status.ok()) << status.to_string();
    return out;
  }

  std::unique_ptr<FileSystemUnderTest> subject_ = GetParam().make();
};

#define AFDG_EXPECT_OK(expression)                                  \
  do {                                                              \
    const auto afdg_expected_ = (expression);                       \
    EXPECT_TRUE(afdg_expected_.ok()) << afdg_expected_.to_string(); \
  } while (false)

TEST_P(FileSystemSuite, OpenModesSayWhatMustExist) {
  EXPECT_EQ(files().open(path("a"), OpenMode::kRead).code(), Code::kNotFound);
  EXPECT_EQ(files().open(path("a"), OpenMode::kReadWrite).code(), Code::kNotFound);
  AFDG_EXPECT_OK(must_open("a", OpenMode::kCreateNew)->write_at(0, "kept"));
  EXPECT_EQ(files().open(path("a"), OpenMode::kCreateNew).code(), Code::kAlreadyExists);
  EXPECT_EQ(must_read(*must_open("a", OpenMode::kCreate), 0, 4), "kept");
  EXPECT_EQ(must_read(*must_open("a", OpenMode::kReadWrite), 0, 4), "kept");
  EXPECT_EQ(must_open("a", OpenMode::kRead)->path(), path("a"));
  EXPECT_EQ(files().open(path("no/such/a"), OpenMode::kCreate).code(), Code::kNotFound);
}

TEST_P(FileSystemSuite, ErrorsNameThePath) {
  const auto opened = files().open(path("absent"), OpenMode::kRead);
  ASSERT_FALSE(opened.ok());
  EXPECT_THAT(opened.error().text(), testing::HasSubstr(path("absent")));
}

TEST_P(FileSystemSuite, AFileOpenedForReadingRefusesWrites) {
  must_open("a", OpenMode::kCreate);
  const auto file = must_open("a", OpenMode::kRead);
  EXPECT_FALSE(file->write_at(0, std::string_view("x")).ok());
  EXPECT_FALSE(file->truncate(0).ok());
}

TEST_P(FileSystemSuite, WritesExtendOverwriteAndLeaveHoles) {
  const auto file = must_open("a", OpenMode::kCreate);
  AFDG_EXPECT_OK(file->write_at(0, std::string_view("hello")));
  AFDG_EXPECT_OK(file->write_at(8, std::string_view("you")));
  AFDG_EXPECT_OK(file->write_at(1, std::string_view("u")));
  EXPECT_EQ(file->size().value_or(0), 11u);
  EXPECT_EQ(must_read(*file, 0, 11), std::string("hullo\0\0\0you", 11));
  AFDG_EXPECT_OK(file->write_at(3, std::string_view()));
  EXPECT_EQ(file->size().value_or(0), 11u);
}

TEST_P(FileSystemSuite, ReadsPastTheEndAreOutOfRange) {
  const auto file = must_open("a", OpenMode::kCreate);
  AFDG_EXPECT_OK(file->write_at(0, std::string_view("12345")));
  std::array<char, 8> out{};
  EXPECT_EQ(file->read_at(0, 6, out.data()).code(), Code::kOutOfRange);
  EXPECT_EQ(file->read_at(5, 1, out.data()).code(), Code::kOutOfRange);
  EXPECT_EQ(file->read_at(99, 1, out.data()).code(), Code::kOutOfRange);
  AFDG_EXPECT_OK(file->read_at(5, 0, out.data()));
}

TEST_P(FileSystemSuite, PiecesAreWrittenOneAfterTheOther) {
  const auto file = must_open("a", OpenMode::kCreate);
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back(i % 7 == 0 ? std::string() : std::to_string(i) + ",");
  const std::vector<std::string_view> pieces(texts.begin(), texts.end());
  std::string all = "##";
  for (const auto piece : pieces) all.append(piece);
  AFDG_EXPECT_OK(file->write_at(0, std::string_view("##")));
  AFDG_EXPECT_OK(file->write_at(2, std::span<const std::string_view>(pieces)));
  EXPECT_EQ(file->size().value_or(0), all.size());
  EXPECT_EQ(must_read(*file, 0, all.size()), all);
  AFDG_EXPECT_OK(file->write_at(2, std::span<const std::string_view>()));
}

TEST_P(FileSystemSuite, TruncateCutsAndExtendsWithZeros) {
  const auto file = must_open("a", OpenMode::kCreate);
  AFDG_EXPECT_OK(file->write_at(0, std::string_view("abcdef")));
  AFDG_EXPECT_OK(file->truncate(2));
  EXPECT_EQ(file->size().value_or(0), 2u);
  AFDG_EXPECT_OK(file->truncate(4));
  EXPECT_EQ(must_read(*file, 0, 4), std::string("ab\0\0", 4));
  AFDG_EXPECT_OK(file->sync());
  file->start_write_back(0, 4);
}

TEST_P(FileSystemSuite, TwoHandlesSeeOneFileAndAnUnlinkedFileStays) {
  const auto writer = must_open("a", OpenMode::kCreate);
  const auto reader = must_open("a", OpenMode::kRead);
  AFDG_EXPECT_OK(writer->write_at(0, std::string_view("one")));
  EXPECT_EQ(must_read(*reader, 0, 3), "one");
  AFDG_EXPECT_OK(files().remove(path("a")));
  EXPECT_FALSE(files().exists(path("a")));
  AFDG_EXPECT_OK(must_open("a", OpenMode::kCreateNew)->write_at(0, std::string_view("two")));
  EXPECT_EQ(must_read(*reader, 0, 3), "one");
}

TEST_P(FileSystemSuite, DirectoriesAreCreatedListedAndRemoved) {
  AFDG_EXPECT_OK(files().create_directories(path("d/e/f")));
  AFDG_EXPECT_OK(files().create_directories(path("d/e/f")));
  must_open("d/e/z", OpenMode::kCreate);
  must_open("d/e/a", OpenMode::kCreate);
  const auto names = files().list(path("d/e"));
  ASSERT_TRUE(names.ok());
  EXPECT_THAT(*names, testing::ElementsAre("a", "f", "z"));
  EXPECT_EQ(files().list(path("nothing")).code(), Code::kNotFound);
  EXPECT_EQ(files().create_directories(path("d/e/a")).code(), Code::kAlreadyExists);
  AFDG_EXPECT_OK(files().sync_directory(path("d/e")));
  EXPECT_EQ(files().sync_directory(path("nothing")).code(), Code::kNotFound);
  AFDG_EXPECT_OK(files().remove_all(path("d")));
  EXPECT_FALSE(files().exists(path("d")));
  AFDG_EXPECT_OK(files().remove_all(path("d")));
  EXPECT_EQ(files().remove(path("d")).code(), Code::kNotFound);
}

TEST_P(FileSystemSuite, RenameReplacesItsTarget) {
  AFDG_EXPECT_OK(must_open("a", OpenMode::kCreate)->write_at(0, std::string_view("new")));
  AFDG_EXPECT_OK(must_open("b", OpenMode::kCreate)->write_at(0, std::string_view("old")));
  AFDG_EXPECT_OK(files().create_directories(path("d")));
  AFDG_EXPECT_OK(files().rename(path("a"), path("b")));
  EXPECT_FALSE(files().exists(path("a")));
  EXPECT_EQ(files().read_file(path("b")).value_or(""), "new");
  AFDG_EXPECT_OK(files().rename(path("b"), path("d/c")));
  EXPECT_EQ(files().read_file(path("d/c")).value_or(""), "new");
  EXPECT_EQ(files().rename(path("a"), path("b")).code(), Code::kNotFound);
  EXPECT_EQ(files().rename(path("d/c"), path("no/c")).code(), Code::kNotFound);
}

TEST_P(FileSystemSuite, ReplaceFileAndReadFile) {
  AFDG_EXPECT_OK(files().replace_file(path("point"), "first and longer"));
  AFDG_EXPECT_OK(must_open("point.tmp", OpenMode::kCreate)
                     ->write_at(0, std::string_view("left by a crash, longest of all")));
  AFDG_EXPECT_OK(files().replace_file(path("point"), "second"));
  EXPECT_EQ(files().read_file(path("point")).value_or(""), "second");
  EXPECT_EQ(files().read_file(path("point"), 5).code(), Code::kMessageTooLarge);
  EXPECT_EQ(files().read_file(path("absent")).code(), Code::kNotFound);
  EXPECT_FALSE(files().exists(path("point.tmp")));
  AFDG_EXPECT_OK(files().replace_file(path("empty"), ""));
  EXPECT_EQ(files().read_file(path("empty")).value_or("?"), "");
}

TEST_P(FileSystemSuite, ALockHasOneHolder) {
  auto lock = files().lock(path("LOCK"));
  ASSERT_TRUE(lock.ok()) << lock.status().to_string();
  const auto second = files().lock(path("LOCK"));
  ASSERT_EQ(second.code(), Code::kTaken);
  EXPECT_THAT(second.error().text(), testing::HasSubstr(path("LOCK")));
  lock.value().reset();
  EXPECT_TRUE(files().lock(path("LOCK")).ok());
}

TEST_P(FileSystemSuite, FreeBytesIsAnswered) {
  const auto free = files().free_bytes(subject_->directory());
  ASSERT_TRUE(free.ok());
  EXPECT_GT(*free, 0u);
}

}  // namespace afdg::store
