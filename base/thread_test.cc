#include "base/thread.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>

namespace afdg {
namespace {

/// Capabilities are a thread's own: the calling one, and those that it makes, may not ask for priorities.
void give_up_priorities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  ASSERT_EQ(::syscall(SYS_capget, &header, data), 0);
  data[0].effective &= ~(1u << CAP_SYS_NICE);
  ASSERT_EQ(::syscall(SYS_capset, &header, data), 0);
}

std::string own_name() {
  char name[16] = {};
  ::pthread_getname_np(::pthread_self(), name, sizeof name);
  return name;
}

TEST(Thread, TakesItsNameAndStaysAsItWasMade) {
  std::string name;
  int policy = -1;
  std::thread([&] {
    EXPECT_TRUE(begin_thread("fifteen-letters"));
    name = own_name();
    policy = ::sched_getscheduler(0);
  }).join();
  EXPECT_EQ(name, "fifteen-letters");
  EXPECT_EQ(policy, ::sched_getscheduler(0));
}

TEST(Thread, RealtimeIsOfThatThreadAndNotOfThoseItMakes) {
  bool taken = false;
  int policy = -1, made_by_it = -1;
  sched_param parameters{};
  std::thread([&] {
    taken = begin_thread("real", Scheduling::kRealtime);
    policy = ::sched_getscheduler(0);
    ::sched_getparam(0, &parameters);
    std::thread([&] { made_by_it = ::sched_getscheduler(0); }).join();
  }).join();
  if (!taken) GTEST_SKIP() << "neither CAP_SYS_NICE nor RLIMIT_RTPRIO: SCHED_RR is refused here";
  EXPECT_EQ(policy, SCHED_RR | SCHED_RESET_ON_FORK);
  EXPECT_EQ(parameters.sched_priority, 1);
  EXPECT_EQ(made_by_it, SCHED_OTHER);
}

TEST(Thread, WhoMayNotIsToldAndGoesOnAsBefore) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_RTPRIO, &limit), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_RTPRIO, &none), 0);
  std::thread([&] {
    give_up_priorities();
    EXPECT_FALSE(begin_thread("refused", Scheduling::kRealtime));
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(own_name(), "refused");
    EXPECT_EQ(::sched_getscheduler(0), SCHED_OTHER);
  }).join();
  ASSERT_EQ(::setrlimit(RLIMIT_RTPRIO, &limit), 0);
}

}  // namespace
}  // namespace afdg
