#include "server/scheduling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "server/node.h"
#include "server/testing/caller.h"

namespace afdg::server {
namespace {

using namespace std::chrono_literals;
using testing::Caller;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TemporaryDirectory;

TEST(Scheduling, ShortTurnsAreTakenOrRefusedAndPrioritiesStay) {
  bool first = false;
  bool again = false;
  int nice = -100;
  std::thread one([&] {
    first = prefer_short_turns(300us);
    again = prefer_short_turns(300us);
    nice = ::getpriority(PRIO_PROCESS, 0);
  });
  one.join();
  EXPECT_EQ(first, again);
  EXPECT_EQ(nice, ::getpriority(PRIO_PROCESS, 0));
}

TEST(Scheduling, WhatTheKernelDoesNotTakeIsSaid) { EXPECT_FALSE(prefer_short_turns(-1us)); }

Result<std::unique_ptr<RunningNode>> start(const TemporaryDirectory& directory,
                                           std::vector<std::string> more) {
  std::vector<std::string> arguments{"--data",  directory.path("node"), "--listen",    "127.0.0.1:0",
                                     "--http",  "127.0.0.1:0",          "--log-level", "error",
                                     "--kafka", "127.0.0.1:0"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return Node(arguments).start();
}

/// The names of this process's threads, by whether the kernel runs them ahead of ordinary ones.
struct Threads {
  std::set<std::string> ahead, ordinary;
  [[nodiscard]] bool has(const std::string& name) const {
    return ahead.contains(name) || ordinary.contains(name);
  }
};
Threads threads() {
  Threads found;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    const int policy = ::sched_getscheduler(std::stoi(task.path().filename()));
    if (policy >= 0) (policy == SCHED_OTHER ? found.ordinary : found.ahead).insert(name);
  }
  return found;
}

/// Those of a node that answered, once each of its own was run.
Threads threads_of(const RunningNode& node) {
  Caller caller(node.address());
  EXPECT_TRUE(caller.create_grid("g", 2).ok());
  EXPECT_TRUE(caller.request("g", "entity/a", "Increment", R"({"key":"n","by":1})").ok());
  const std::set<std::string> own{"afdg-queue",    "afdg-lane",       "afdg-journal",
                                  "afdg-segments", "afdg-tick",       "afdg-kafka",
                                  "afdg-cleaner",  "afdg-checkpoint", "afdg-http"};
  Threads found;
  const auto until = std::chrono::steady_clock::now() + 20s;
  do {
    found = threads();
    if (std::all_of(own.begin(), own.end(), [&](const auto& name) { return found.has(name); })) return found;
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < until);
  for (const auto& name : own) EXPECT_TRUE(found.has(name)) << name << " is missing";
  return found;
}

TEST(Scheduling, OnlyTheThreadsThatRequestsPassRunAhead) {
  if (const Status may = check_realtime_scheduling(); !may.ok()) GTEST_SKIP() << may.error().text();
  const TemporaryDirectory directory;
  const auto node = start(directory, {"--realtime-scheduling"});
  ASSERT_TRUE(node.ok()) << node.status().to_string();
  const Threads found = threads_of(**node);
  EXPECT_EQ(found.ahead, (std::set<std::string>{"afdg-queue", "afdg-lane", "afdg-journal"}));
}

TEST(Scheduling, NoThreadRunsAheadUnlessAsked) {
  const TemporaryDirectory directory;
  const auto node = start(directory, {});
  ASSERT_TRUE(node.ok()) << node.status().to_string();
  EXPECT_THAT(threads_of(**node).ahead, IsEmpty());
}

TEST(Scheduling, ARefusalNamesTheSettingAndWhatAllowsIt) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_RTPRIO, &limit), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_RTPRIO, &none), 0);
  const TemporaryDirectory directory;
  std::thread([&] {  // capabilities are a thread's own, and those of the threads it makes
    __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    __user_cap_data_struct data[2] = {};
    ASSERT_EQ(::syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_SYS_NICE);
    ASSERT_EQ(::syscall(SYS_capset, &header, data), 0);
    const auto node = start(directory, {"--realtime-scheduling"});
    ASSERT_EQ(node.code(), Code::kPermissionDenied);
    for (const char* words : {"--realtime-scheduling", "CAP_SYS_NICE", "LimitRTPRIO=1", "--cap-add=SYS_NICE",
                              "Operation not permitted"})
      EXPECT_THAT(node.error().text(), HasSubstr(words));
    EXPECT_FALSE(std::filesystem::exists(directory.path("node"))) << "nothing was begun";
    EXPECT_TRUE(start(directory, {}).ok()) << "an ordinary node needs no right";
  })
      .join();
  ASSERT_EQ(::setrlimit(RLIMIT_RTPRIO, &limit), 0);
}

}  // namespace
}  // namespace afdg::server
