#include "server/scheduling.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <thread>

namespace afdg::server {
namespace {

using namespace std::chrono_literals;

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

}  // namespace
}  // namespace afdg::server
