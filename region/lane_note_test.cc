#include "region/lane_note.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

namespace afdg::region {
namespace {

class LaneNotesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "afdg-notes-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  [[nodiscard]] std::string path() const { return directory_ + "/running"; }
  /// A process that notes a message and dies, as `die` says.
  void die(const std::function<void()>& how) const {
    const pid_t child = ::fork();
    if (child == 0) {
      auto notes = LaneNotes::open(path(), true);
      if (!notes.ok()) ::_exit(9);
      (*notes)->running(3, GridId(7), RegionId(2), Offset(41));
      (*notes)->ended(3);
      (*notes)->running(3, GridId(7), RegionId(2), Offset(42));
      how();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the mark may not keep the signal from ending the process";
  }
  [[nodiscard]] int deaths(std::int64_t offset) const {
    return LaneNotes::open(path(), false).value()->deaths(GridId(7), RegionId(2), Offset(offset));
  }
  std::string directory_;
};

TEST_F(LaneNotesTest, CountsWhatRanWhenAFatalSignalCame) {
  EXPECT_EQ(deaths(42), 0);
  die([] { ::abort(); });
  EXPECT_EQ(deaths(42), 1);
  EXPECT_EQ(deaths(42), 1) << "counted once";
  EXPECT_EQ(deaths(41), 0) << "it had ended";
  die([] { ::raise(SIGSEGV); });
  die([] { ::raise(SIGFPE); });
  EXPECT_EQ(deaths(42), 3);
}

TEST_F(LaneNotesTest, AKillCountsForNothing) {
  die([] { ::raise(SIGKILL); });
  die([] { ::raise(SIGTERM); });
  EXPECT_EQ(deaths(42), 0);
}

TEST_F(LaneNotesTest, ADamagedFileStartsEmpty) {
  die([] { ::abort(); });
  std::ofstream(path(), std::ios::trunc) << "rubbish";
  EXPECT_EQ(deaths(42), 0);
  die([] { ::abort(); });
  EXPECT_EQ(deaths(42), 1);
}

}  // namespace
}  // namespace afdg::region
