#include "store/testing/fault_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

namespace afdg::store {
namespace {

std::uint64_t first_seed() {
  const char* text = std::getenv("AFDG_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
}

std::unique_ptr<File> create(FaultFileSystem& files, const std::string& path) {
  auto file = files.open(path, OpenMode::kCreate);
  EXPECT_TRUE(file.ok()) << file.status().to_string();
  return std::move(file).value();
}

/// A file that survives, with `content` synced.
std::unique_ptr<File> create_durable(FaultFileSystem& files, const std::string& path,
                                     std::string_view content) {
  auto file = create(files, path);
  EXPECT_TRUE(file->write_at(0, content).ok());
  EXPECT_TRUE(file->sync().ok());
  EXPECT_TRUE(files.sync_directory("/").ok());
  return file;
}

TEST(FaultFileSystem, ACrashLosesWhatWasNotSynced) {
  FaultFileSystem files;
  const auto file = create_durable(files, "/a", "synced");
  EXPECT_TRUE(file->write_at(0, std::string_view("SYNCED, and more")).ok());
  files.crash(Survival::kNothing);
  EXPECT_EQ(files.read_file("/a").value_or("?"), "synced");
}

TEST(FaultFileSystem, ACrashCanKeepEverything) {
  FaultFileSystem files;
  EXPECT_TRUE(create(files, "/a")->write_at(0, std::string_view("unsynced")).ok());
  files.crash(Survival::kEverything);
  EXPECT_EQ(files.read_file("/a").value_or("?"), "unsynced");
}

TEST(FaultFileSystem, ARestartKeepsWhatWasWrittenAndALaterCrashDoesNot) {
  FaultFileSystem files;
  const auto file = create_durable(files, "/a", "one");
  EXPECT_TRUE(file->write_at(0, std::string_view("two")).ok());
  files.restart();
  EXPECT_FALSE(file->sync().ok());
  EXPECT_EQ(files.read_file("/a").value_or("?"), "two");
  files.crash(Survival::kNothing);
  EXPECT_EQ(files.read_file("/a").value_or("?"), "one");
}

TEST(FaultFileSystem, NamesNeedTheirDirectorySynced) {
  FaultFileSystem files;
  EXPECT_TRUE(create(files, "/a")->sync().ok());
  files.crash(Survival::kNothing);
  EXPECT_FALSE(files.exists("/a"));

  create_durable(files, "/a", "a");
  EXPECT_TRUE(files.rename("/a", "/b").ok());
  files.crash(Survival::kNothing);
  EXPECT_TRUE(files.exists("/a"));
  EXPECT_FALSE(files.exists("/b"));

  EXPECT_TRUE(files.remove("/a").ok());
  files.crash(Survival::kNothing);
  EXPECT_TRUE(files.exists("/a"));
  EXPECT_TRUE(files.remove("/a").ok());
  EXPECT_TRUE(files.sync_directory("/").ok());
  files.crash(Survival::kNothing);
  EXPECT_FALSE(files.exists("/a"));
}

TEST(FaultFileSystem, CreatedDirectoriesAreDurable) {
  FaultFileSystem files;
  EXPECT_TRUE(files.create_directories("/x/y/z").ok());
  files.crash(Survival::kNothing);
  EXPECT_TRUE(files.exists("/x/y/z"));
}

TEST(FaultFileSystem, ANameWithoutASyncedFileIsAnEmptyFile) {
  FaultFileSystem files;
  EXPECT_TRUE(create(files, "/a")->write_at(0, std::string_view("lost")).ok());
  EXPECT_TRUE(files.sync_directory("/").ok());
  files.crash(Survival::kNothing);
  EXPECT_EQ(files.read_file("/a").value_or("?"), "");
}

// Every subset of four sector writes shows up, and nothing that is no mixture of old and new sectors.
TEST(FaultFileSystem, AnySubsetOfUnsyncedWritesSurvives) {
  std::set<std::string> seen;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 600; ++seed) {
    FaultFileSystem files;
    const auto file = create_durable(files, "/a", std::string(4 * 512, '.'));
    for (int i = 0; i < 4; ++i) {
      const std::string sector(512, static_cast<char>('0' + i));
      ASSERT_TRUE(file->write_at(static_cast<std::uint64_t>(i) * 512, sector).ok());
    }
    files.crash(Survival::kAnySubset, seed);
    const auto content = files.read_file("/a").value_or("");
    ASSERT_EQ(content.size(), 2048u) << "AFDG_SEED=" << seed;
    std::string shape;
    for (std::size_t i = 0; i < 4; ++i) {
      const char first = content[i * 512];
      ASSERT_EQ(content.substr(i * 512, 512), std::string(512, first)) << "AFDG_SEED=" << seed;
      ASSERT_TRUE(first == '.' || first == static_cast<char>('0' + i)) << "AFDG_SEED=" << seed;
      shape.push_back(first);
    }
    seen.insert(shape);
  }
  EXPECT_EQ(seen.size(), 16u);
}

TEST(FaultFileSystem, AWriteIsTornOnlyBetweenSectorsAndTheSizeMaySurviveItsData) {
  std::set<std::size_t> sizes;
  bool torn = false;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 300; ++seed) {
    FaultFileSystem files;
    const auto file = create_durable(files, "/a", std::string(100, 'o'));
    ASSERT_TRUE(file->write_at(50, std::string(2000, 'n')).ok());
    files.crash(Survival::kAnySubset, seed);
    const auto content = files.read_file("/a").value_or("");
    sizes.insert(content.size());
    ASSERT_EQ(content.substr(0, 50), std::string(50, 'o')) << "AFDG_SEED=" << seed;
    for (std::size_t at = 512; at + 512 <= content.size(); at += 512) {
      const std::string sector = content.substr(at, 512);
      ASSERT_TRUE(sector == std::string(512, 'n') || sector == std::string(512, '\0'))
          << "AFDG_SEED=" << seed;
      torn = torn || (sector[0] == 'n' && content[50] == 'o');
    }
  }
  EXPECT_TRUE(torn);
  EXPECT_THAT(sizes, testing::IsSupersetOf({100u, 512u, 1024u, 2050u}));
}

TEST(FaultFileSystem, APrefixOfTheChangesOfNamesSurvives) {
  std::set<std::size_t> seen;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 100; ++seed) {
    FaultFileSystem files;
    for (int i = 0; i < 5; ++i) create(files, "/f" + std::to_string(i));
    ASSERT_TRUE(files.rename("/f0", "/g").ok());
    ASSERT_TRUE(files.remove("/f1").ok());
    files.crash(Survival::kAnySubset, seed);
    const auto names = files.list("/");
    ASSERT_TRUE(names.ok());
    const std::vector<std::vector<std::string>> prefixes = {{},
                                                            {"f0"},
                                                            {"f0", "f1"},
                                                            {"f0", "f1", "f2"},
                                                            {"f0", "f1", "f2", "f3"},
                                                            {"f0", "f1", "f2", "f3", "f4"},
                                                            {"f1", "f2", "f3", "f4", "g"},
                                                            {"f2", "f3", "f4", "g"}};
    const auto at = std::find(prefixes.begin(), prefixes.end(), *names);
    ASSERT_NE(at, prefixes.end()) << "AFDG_SEED=" << seed << " " << testing::PrintToString(*names);
    seen.insert(static_cast<std::size_t>(at - prefixes.begin()));
  }
  EXPECT_EQ(seen.size(), 8u);
}

TEST(FaultFileSystem, ARenameBetweenDirectoriesSurvivesInBothOrNeither) {
  std::set<std::string> seen;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 100; ++seed) {
    FaultFileSystem files;
    ASSERT_TRUE(files.create_directories("/d").ok());
    ASSERT_TRUE(files.create_directories("/e").ok());
    create(files, "/d/a");
    ASSERT_TRUE(files.sync_directory("/d").ok());
    create(files, "/e/first");
    ASSERT_TRUE(files.rename("/d/a", "/e/a").ok());
    create(files, "/d/last");
    if (seed % 3 == 0) {
      ASSERT_TRUE(files.sync_directory("/e").ok());
    }
    files.crash(Survival::kAnySubset, seed);
    ASSERT_NE(files.exists("/d/a"), files.exists("/e/a")) << "AFDG_SEED=" << seed;
    if (files.exists("/e/a")) {
      EXPECT_TRUE(files.exists("/e/first"));
    }
    if (files.exists("/d/last")) {
      EXPECT_TRUE(files.exists("/e/a"));
    }
    if (seed % 3 == 0) {
      EXPECT_TRUE(files.exists("/e/a"));
    }
    seen.insert(files.exists("/d/a") ? "kept" : "moved");
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST(FaultFileSystem, TheSameSeedGivesTheSameBytes) {
  const auto run = [](std::uint64_t seed) {
    FaultFileSystem files(7);
    const auto file = create_durable(files, "/a", "");
    for (std::uint64_t i = 0; i < 20; ++i) {
      EXPECT_TRUE(file->write_at(i * 300, std::string(700, static_cast<char>('a' + i))).ok());
    }
    files.crash(Survival::kAnySubset, seed);
    return files.read_file("/a").value_or("?");
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

TEST(FaultFileSystem, TheChosenOperationFails) {
  FaultFileSystem files;
  const auto file = create(files, "/a");
  EXPECT_EQ(files.operations(), 1u);
  files.fail_at(3, Fault::kIo);
  files.fail_at(5, Fault::kDiskFull);
  EXPECT_TRUE(file->write_at(0, std::string_view("1")).ok());
  EXPECT_EQ(file->write_at(1, std::string_view("2")).code(), Code::kIo);
  EXPECT_TRUE(file->write_at(1, std::string_view("2")).ok());
  EXPECT_EQ(file->truncate(0).code(), Code::kDiskFull);
  EXPECT_EQ(file->size().value_or(0), 2u);
  EXPECT_TRUE(files.rename("/a", "/b").ok());
  files.fail_next(Operation::kRename, "b", Fault::kIo);
  EXPECT_EQ(files.rename("/b", "/c").code(), Code::kIo);
  EXPECT_TRUE(files.exists("/b"));
  EXPECT_TRUE(files.rename("/b", "/c").ok());
}

TEST(FaultFileSystem, ReadsAreNotCounted) {
  FaultFileSystem files;
  create_durable(files, "/a", "x");
  const auto before = files.operations();
  EXPECT_TRUE(files.read_file("/a").ok());
  EXPECT_TRUE(files.exists("/a"));
  EXPECT_TRUE(files.list("/").ok());
  EXPECT_EQ(files.operations(), before);
}

TEST(FaultFileSystem, AfterAPlannedCrashNothingWorksUntilItCameBack) {
  FaultFileSystem files;
  const auto file = create_durable(files, "/a", "old");
  files.fail_at(files.operations() + 1, Fault::kCrash);
  EXPECT_EQ(file->write_at(0, std::string_view("new")).code(), Code::kIo);
  EXPECT_TRUE(files.stopped());
  EXPECT_FALSE(file->sync().ok());
  EXPECT_FALSE(files.read_file("/a").ok());
  EXPECT_FALSE(files.open("/b", OpenMode::kCreate).ok());
  EXPECT_FALSE(files.exists("/a"));
  const auto again = files.clone();
  files.crash(Survival::kNothing);
  EXPECT_EQ(files.read_file("/a").value_or("?"), "old");
  again->crash(Survival::kEverything);
  EXPECT_EQ(again->read_file("/a").value_or("?"), "new");
  EXPECT_FALSE(file->sync().ok()) << "a file from before the crash is void";
}

TEST(FaultFileSystem, LocksAreReleasedByACrashAndOldOnesDoNotFreeNewOnes) {
  FaultFileSystem files;
  auto old = files.lock("/LOCK");
  ASSERT_TRUE(old.ok());
  files.crash(Survival::kEverything);
  const auto lock = files.lock("/LOCK");
  ASSERT_TRUE(lock.ok());
  old.value().reset();
  EXPECT_EQ(files.lock("/LOCK").code(), Code::kTaken);
}

// What Linux does (fsync errors are reported once and the pages count as clean): a retried sync keeps
// nothing.
TEST(FaultFileSystem, AFailedSyncLosesWritesForEver) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    FaultFileSystem files(seed);
    const auto file = create_durable(files, "/a", "old");
    ASSERT_TRUE(file->write_at(0, std::string_view("new")).ok());
    files.fail_next(Operation::kSync, "", Fault::kIo);
    ASSERT_EQ(file->sync().code(), Code::kIo);
    ASSERT_TRUE(file->sync().ok());
    files.crash(Survival::kEverything);
    seen.insert(files.read_file("/a").value_or("?"));
  }
  EXPECT_THAT(seen, testing::ElementsAre("new", "old"));
}

TEST(FaultFileSystem, FillsUpAndGoesOnWhenThereIsRoom) {
  FaultFileSystem files;
  files.set_capacity(10);
  const auto file = create(files, "/a");
  EXPECT_TRUE(file->write_at(0, std::string_view("123456")).ok());
  EXPECT_EQ(files.free_bytes("/").value_or(0), 4u);
  EXPECT_EQ(file->write_at(6, std::string_view("abcdefgh")).code(), Code::kDiskFull);
  EXPECT_EQ(files.bytes(), 10u);
  EXPECT_EQ(file->truncate(11).code(), Code::kDiskFull);
  EXPECT_TRUE(file->write_at(0, std::string_view("over")).ok());
  EXPECT_EQ(create(files, "/b")->write_at(0, std::string_view("x")).code(), Code::kDiskFull);
  EXPECT_TRUE(files.remove("/a").ok());
  EXPECT_TRUE(create(files, "/b")->write_at(0, std::string_view("x")).ok());
}

TEST(FaultFileSystem, APlantedSyncThatDoesNothingIsSeen) {
  FaultFileSystem files;
  create_durable(files, "/a", "old");
  files.plant(Planted::kSyncDoesNothing);
  create_durable(files, "/a", "new");
  files.crash(Survival::kNothing);
  EXPECT_EQ(files.read_file("/a").value_or("?"), "old");
  files.plant(Planted::kSyncDirectoryDoesNothing);
  create_durable(files, "/b", "new");
  files.crash(Survival::kNothing);
  EXPECT_FALSE(files.exists("/b"));
}

TEST(FaultFileSystem, FlippedBytesStayFlipped) {
  FaultFileSystem files;
  const auto file = create_durable(files, "/a", "abc");
  EXPECT_TRUE(files.flip("/a", 1, 0x20).ok());
  EXPECT_EQ(files.read_file("/a").value_or("?"), "aBc");
  files.crash(Survival::kNothing);
  EXPECT_EQ(files.read_file("/a").value_or("?"), "aBc");
  EXPECT_EQ(files.flip("/a", 3).code(), Code::kOutOfRange);
}

TEST(FaultFileSystem, AFullRenameOverUnsyncedContentCanLeaveAnEmptyFile) {
  FaultFileSystem files;
  create_durable(files, "/a", "old");
  EXPECT_TRUE(create(files, "/a.tmp")->write_at(0, std::string_view("new")).ok());
  EXPECT_TRUE(files.rename("/a.tmp", "/a").ok());
  EXPECT_TRUE(files.sync_directory("/").ok());
  files.crash(Survival::kNothing);
  EXPECT_EQ(files.read_file("/a").value_or("?"), "");
}

// The promise of replace_file, at every boundary, by both ways of trying them.
TEST(FaultFileSystem, ReplaceFileIsOldOrNewAtEveryBoundary) {
  const auto check = [](FaultFileSystem& files, bool returned, const std::string& where) {
    const auto content = files.read_file("/d/p").value_or("?");
    EXPECT_TRUE(content == std::string(1500, 'n') || (!returned && content == std::string(1000, 'o')))
        << where;
    EXPECT_TRUE(files.replace_file("/d/p", "third").ok()) << where;
  };
  const auto prepare = [](FaultFileSystem& files) {
    ASSERT_TRUE(files.create_directories("/d").ok());
    ASSERT_TRUE(files.replace_file("/d/p", std::string(1000, 'o')).ok());
  };
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 40; ++seed) {
    for (std::uint64_t n = 1;; ++n) {
      FaultFileSystem files;
      prepare(files);
      files.fail_at(files.operations() + n, Fault::kCrash);
      const bool returned = files.replace_file("/d/p", std::string(1500, 'n')).ok();
      const bool done = !files.stopped();
      files.crash(Survival::kAnySubset, seed);
      check(files, returned, "operation " + std::to_string(n) + " AFDG_SEED=" + std::to_string(seed));
      if (done) {
        EXPECT_EQ(n, 7u) << "create, truncate, write, sync, rename, sync of the directory";
        break;
      }
    }
  }
  FaultFileSystem files;
  prepare(files);
  std::uint64_t observed = 0;
  files.observe([&](std::uint64_t number, Operation, const std::string&) {
    ++observed;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      const auto copy = files.clone();
      copy->crash(Survival::kAnySubset, seed);
      check(*copy, false, "before operation " + std::to_string(number) + " seed " + std::to_string(seed));
    }
  });
  EXPECT_TRUE(files.replace_file("/d/p", std::string(1500, 'n')).ok());
  EXPECT_EQ(observed, 6u);
}

}  // namespace
}  // namespace afdg::store
