#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/clock.h"
#include "store/file_system.h"
#include "store/key_value_store.h"

namespace afdg::store {
namespace {

class RocksStoreTest : public testing::Test {
 protected:
  RocksStoreTest() {
    std::string pattern = testing::TempDir() + "afdg_rocks_XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~RocksStoreTest() override { posix_file_system().remove_all(path_).ignore("only the test's own files"); }

  [[nodiscard]] std::string directory() const { return path_ + "/db"; }
  std::unique_ptr<KeyValueStore> must_open(const RocksOptions& options = {}) {
    auto store = open_rocks_store(directory(), options);
    EXPECT_TRUE(store.ok()) << store.status().to_string();
    return std::move(store).value();
  }

  std::string path_;
};

/// Step `step` of a fixed history: what it changes, large every few steps, and the mark "step" with its
/// number.
std::map<std::string, std::string> changes_of(std::uint64_t seed, std::uint64_t step) {
  SeededRandom random(seed * 1000003 + step);
  std::map<std::string, std::string> changes{{"step", std::to_string(step)}};
  const bool large = step % 7 == 3;
  for (int i = 0; i < (large ? 50 : 5); ++i) {
    changes["k" + std::to_string(random.next() % 200)] =
        std::string(large ? 100000 : 20, static_cast<char>('a' + random.next() % 26));
  }
  return changes;
}

Status apply_all(KeyValueStore& store, const std::map<std::string, std::string>& changes) {
  std::vector<Change> views;
  for (const auto& [key, value] : changes) views.push_back({key, value});
  return store.apply(views);
}

std::map<std::string, std::string> all(const KeyValueStore& store) {
  std::map<std::string, std::string> found;
  const auto status = store.scan("", "", [&](std::string_view key, std::string_view value) {
    found.emplace(key, value);
    return true;
  });
  EXPECT_TRUE(status.ok()) << status.to_string();
  return found;
}

/// What another process does with a store. It is this program again, running only RocksStoreChild: RocksDB's
/// threads do not survive a bare fork.
struct ChildTask {
  std::string directory;
  bool write_ahead_log = false;
  std::uint64_t write_buffer_bytes = 64 << 10;
  std::uint64_t seed = 1;
  std::uint64_t done = 0;  ///< steps (done, last] are run
  std::uint64_t last =
      0;  ///< equal to `done`: writes kHolding to its standard output, holds the store until its input ends
  std::uint64_t flush_at = 0;  ///< flushes after that step
};

constexpr char kHolding = 6;
constexpr const char* kTaskVariable = "AFDG_ROCKS_STORE_CHILD";

RocksOptions options_of(const ChildTask& task) {
  RocksOptions options;
  options.write_ahead_log = task.write_ahead_log;
  options.write_buffer_bytes = task.write_buffer_bytes;
  options.write_buffers_bytes_max = 4 * task.write_buffer_bytes;
  return options;
}

TEST(RocksStoreChild, RunsWhatAnotherTestAskedFor) {
  const char* text = std::getenv(kTaskVariable);
  if (text == nullptr) GTEST_SKIP() << "the part of other tests that runs in another process";
  std::istringstream in(text);
  ChildTask task;
  in >> task.directory >> task.write_ahead_log >> task.write_buffer_bytes >> task.seed >> task.done >>
      task.last >> task.flush_at;
  auto store = open_rocks_store(task.directory, options_of(task));
  if (!store.ok()) ::_exit(11);
  for (std::uint64_t step = task.done + 1; step <= task.last; ++step) {
    if (!apply_all(**store, changes_of(task.seed, step)).ok()) ::_exit(12);
    if (step == task.flush_at && !(*store)->flush().ok()) ::_exit(13);
  }
  char byte = kHolding;
  if (task.last == task.done &&
      (::write(STDOUT_FILENO, &byte, 1) != 1 || ::read(STDIN_FILENO, &byte, 1) != 0))
    ::_exit(14);
  ::_exit(10);  // without closing the store
}

constexpr const char* kSmallDiskVariable = "AFDG_ROCKS_STORE_SMALL_DISK";
constexpr int kCannotMount = 20;

/// Fills a disk of 12 MiB, frees some, goes on, and looks whether everything acknowledged is there. Returns
/// an exit code.
int fill_a_small_disk(const std::string& directory, std::size_t value_bytes) {
  const std::string disk = directory + "/disk";
  const std::string as_killed = directory + "/as_killed";
  std::filesystem::create_directories(disk);
  std::filesystem::remove_all(as_killed);
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", disk.c_str(), "tmpfs", 0, "size=12m") != 0) {
    return kCannotMount;
  }
  RocksOptions options;
  options.write_buffer_bytes = 1 << 20;
  options.write_buffers_bytes_max = 2 << 20;
  options.disk_reserve_bytes = 1 << 20;
  auto store = open_rocks_store(disk + "/db", options);
  if (!store.ok()) return 21;
  const std::string ballast = disk + "/ballast";
  std::ofstream(ballast) << std::string(8 << 20, 'b');
  SeededRandom random(1);
  std::string value(value_bytes, '\0');
  int applied = 0;
  for (;; ++applied) {
    for (auto& c : value) c = static_cast<char>(random.next());  // does not compress
    const auto status = apply_all(**store, {{"k" + std::to_string(applied), value}});
    if (status.ok()) continue;
    if (status.code() != Code::kDiskFull) return 22;
    break;
  }
  if (!(*store)->get("k0").ok()) return 23;  // still reads
  if (!posix_file_system().remove(ballast).ok()) return 24;
  if (!apply_all(**store, {{"mark", "x"}}).ok()) return 25;
  if (!(*store)->flush().ok()) return 26;
  // The disk as a kill would leave it: nothing that closing the store might add.
  std::filesystem::copy(disk + "/db", as_killed);
  const auto copy = open_rocks_store(as_killed, options);
  if (!copy.ok()) return 27;
  const auto found = all(**copy);
  if (!found.contains("mark")) return 28;
  for (int i = 0; i < applied; ++i) {
    if (!found.contains("k" + std::to_string(i))) return 29;
  }
  return found.size() == static_cast<std::size_t>(applied) + 1 ? 10 : 30;
}

TEST(RocksStoreChild, FillsASmallDisk) {
  const char* text = std::getenv(kSmallDiskVariable);
  if (text == nullptr) GTEST_SKIP() << "the part of another test that runs in another process";
  std::istringstream in(text);
  std::string disk;
  std::size_t value_bytes = 0;
  in >> disk >> value_bytes;
  ::_exit(fill_a_small_disk(disk, value_bytes));
}

/// This program again, with one variable, in another process; its standard input and output joined to the
/// pipes (-1: none).
pid_t start_child(const std::string& variable, int in, int out) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  if (in >= 0) ::dup2(in, STDIN_FILENO);
  if (out >= 0) {
    ::dup2(out, STDOUT_FILENO);
  } else {
    ::close(STDOUT_FILENO);
  }
  const std::array<const char*, 4> arguments{"store_test", "--gtest_filter=RocksStoreChild.*",
                                             "--gtest_brief=1", nullptr};
  const std::array<const char*, 2> environment{variable.c_str(), nullptr};
  ::execve("/proc/self/exe", const_cast<char* const*>(arguments.data()),
           const_cast<char* const*>(environment.data()));
  ::_exit(1);
}

pid_t start(const ChildTask& task, int in = -1, int out = -1) {
  std::ostringstream text;
  text << kTaskVariable << '=' << task.directory << ' ' << task.write_ahead_log << ' '
       << task.write_buffer_bytes << ' ' << task.seed << ' ' << task.done << ' ' << task.last << ' '
       << task.flush_at;
  return start_child(text.str(), in, out);
}

int wait_for(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The store's promise, with applies of both kinds: after the process died it holds whole applies, in order,
// at least to the last flush. Small write buffers make RocksDB flush in between on its own.
void killed_processes(ChildTask task) {
  task.seed = 11;
  std::map<std::string, std::string> model;
  std::uint64_t done = 0;
  for (std::uint64_t round = 0; round < 8; ++round) {
    const std::uint64_t last = done + 12 + round;
    const std::uint64_t flush_at = round % 2 == 0 ? done + 1 + round : 0;
    task.done = done;
    task.last = last;
    task.flush_at = flush_at;
    ASSERT_EQ(wait_for(start(task)), 10);
    auto store = open_rocks_store(task.directory, options_of(task));
    ASSERT_TRUE(store.ok()) << store.status().to_string();
    const auto mark = (*store)->get("step");
    ASSERT_TRUE(mark.ok());
    const std::uint64_t at = std::strtoull(mark->value_or("0").c_str(), nullptr, 10);
    ASSERT_GE(at, task.write_ahead_log ? last : std::max(done, flush_at)) << "round " << round;
    ASSERT_LE(at, last);
    for (std::uint64_t step = done + 1; step <= at; ++step) {
      for (const auto& [key, value] : changes_of(task.seed, step)) model[key] = value;
    }
    ASSERT_EQ(all(**store), model) << "round " << round << ", step " << at;
    done = at;
  }
  EXPECT_GT(done, 8u);
}

TEST_F(RocksStoreTest, AKilledProcessLeavesWholeAppliesInOrder) {
  ChildTask task;
  task.directory = directory();
  killed_processes(task);
}

TEST_F(RocksStoreTest, WithItsLogEachApplyIsDurable) {
  ChildTask task;
  task.directory = directory();
  task.write_ahead_log = true;
  task.write_buffer_bytes = 4 << 20;
  killed_processes(task);
}

TEST_F(RocksStoreTest, AFullDiskRefusesAndGoesOnWhenThereIsRoom) {
  for (const std::size_t value_bytes : {std::size_t{1000}, std::size_t{1500000}}) {
    for (int round = 0; round < 5; ++round) {
      const std::string variable =
          std::string(kSmallDiskVariable) + "=" + path_ + " " + std::to_string(value_bytes);
      const int code = wait_for(start_child(variable, -1, -1));
      if (code == kCannotMount) GTEST_SKIP() << "no right to mount a small disk here: run the tests as root";
      ASSERT_EQ(code, 10) << "values of " << value_bytes << " bytes, round " << round;
    }
  }
}

TEST_F(RocksStoreTest, ASecondHolderIsRefused) {
  const auto store = must_open();
  const auto second = open_rocks_store(directory());
  ASSERT_EQ(second.code(), Code::kTaken) << second.status().to_string();
  EXPECT_NE(second.error().text().find(directory()), std::string::npos);
}

TEST_F(RocksStoreTest, ReadOnlyChangesNoFileAndSeesWhatOnlyTheLogHolds) {
  const auto files = [&] {
    std::map<std::string, std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory())) {
      std::ifstream in(entry.path(), std::ios::binary);
      found[entry.path().filename()] = std::string(std::istreambuf_iterator<char>(in), {});
    }
    return found;
  };
  RocksOptions options;
  options.write_ahead_log = true;
  const std::array changes{Change{"k", "v"}};
  ASSERT_TRUE(must_open(options)->apply(changes).ok());
  const auto before = files();
  options.read_only = true;
  {
    const auto store = must_open(options);
    EXPECT_EQ(store->get("k").value(), "v");
    EXPECT_EQ(store->apply(changes).code(), Code::kFailedPrecondition);
    EXPECT_EQ(store->remove_range("", "").code(), Code::kFailedPrecondition);
  }
  EXPECT_EQ(files(), before);
  EXPECT_EQ(open_rocks_store(directory() + "-absent", options).code(), Code::kCorrupt);
  EXPECT_FALSE(std::filesystem::exists(directory() + "-absent"));
}

TEST_F(RocksStoreTest, AHolderInAnotherProcessIsRefused) {
  std::array<int, 2> opened{};
  std::array<int, 2> finish{};
  ASSERT_EQ(::pipe2(opened.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(finish.data(), O_CLOEXEC), 0);
  ChildTask task;
  task.directory = directory();
  const pid_t child = start(task, finish[0], opened[1]);
  ::close(opened[1]);
  char byte = 0;
  while (::read(opened[0], &byte, 1) == 1 && byte != kHolding) {
  }
  EXPECT_EQ(byte, kHolding);
  EXPECT_EQ(open_rocks_store(directory()).code(), Code::kTaken);
  ::close(finish[1]);
  EXPECT_EQ(wait_for(child), 10);
  ::close(opened[0]);
  ::close(finish[0]);
  EXPECT_TRUE(open_rocks_store(directory()).ok());
}

TEST_F(RocksStoreTest, DamageIsReportedAsCorruptAndCanBeDestroyed) {
  {
    const auto store = must_open();
    ASSERT_TRUE(apply_all(*store, changes_of(1, 1)).ok());
    ASSERT_TRUE(store->flush().ok());
  }
  const auto names = posix_file_system().list(directory());
  ASSERT_TRUE(names.ok());
  for (const auto& name : *names) {
    if (name.starts_with("MANIFEST")) std::ofstream(directory() + "/" + name, std::ios::trunc) << "damaged";
  }
  const auto store = open_rocks_store(directory());
  EXPECT_EQ(store.code(), Code::kCorrupt) << store.status().to_string();
  EXPECT_TRUE(destroy_rocks_store(directory()).ok());
  EXPECT_FALSE(posix_file_system().exists(directory()));
  EXPECT_TRUE(destroy_rocks_store(directory()).ok()) << "ok when absent";
  EXPECT_TRUE(all(*must_open()).empty());
}

TEST_F(RocksStoreTest, AMissingTableIsCorrupt) {
  {
    const auto store = must_open();
    ASSERT_TRUE(apply_all(*store, changes_of(1, 3)).ok());
  }
  const auto names = posix_file_system().list(directory());
  ASSERT_TRUE(names.ok());
  int removed = 0;
  for (const auto& name : *names) {
    if (!name.ends_with(".sst")) continue;
    ASSERT_TRUE(posix_file_system().remove(directory() + "/" + name).ok());
    ++removed;
  }
  EXPECT_GT(removed, 0);
  EXPECT_EQ(open_rocks_store(directory()).code(), Code::kCorrupt);
}

TEST_F(RocksStoreTest, AnUnwritableDirectorySaysSo) {
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(::chmod(path_.c_str(), 0555), 0);
  const bool root = ::geteuid() == 0;
  if (root && ::seteuid(kNobody) != 0) GTEST_SKIP() << "root here cannot become another user";
  const auto store = open_rocks_store(directory());
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  ASSERT_EQ(::chmod(path_.c_str(), 0700), 0);
  EXPECT_EQ(store.code(), Code::kUnwritable) << store.status().to_string();
}

TEST_F(RocksStoreTest, UnsortedChangesOfALargeApplyAreRefusedWhole) {
  const auto store = must_open();
  const std::string value(4 << 20, 'x');
  const std::array changes{Change{"b", value}, Change{"a", value}};
  EXPECT_EQ(store->apply(changes).code(), Code::kInvalidArgument);
  EXPECT_TRUE(all(*store).empty());
  const std::array sorted{Change{"a", value}, Change{"b", value}};
  EXPECT_TRUE(store->apply(sorted).ok());
  EXPECT_EQ(all(*store).size(), 2u);
}

TEST_F(RocksStoreTest, AnIdleStoreIsSmallAndKeepsFewLogs) {
  {
    const auto store = must_open();
    ASSERT_TRUE(apply_all(*store, changes_of(1, 3)).ok());
    ASSERT_TRUE(store->flush().ok());
  }
  for (int i = 0; i < 4; ++i) must_open();
  const auto store = must_open();
  EXPECT_LT(store->memory_bytes(), 10u << 20);
  const auto names = posix_file_system().list(directory());
  ASSERT_TRUE(names.ok());
  int logs = 0;
  for (const auto& name : *names) logs += name.starts_with("LOG") ? 1 : 0;
  EXPECT_LE(logs, 3);
}

}  // namespace
}  // namespace afdg::store
