#include "server/scheduling.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>

#include "base/thread.h"

namespace afdg::server {
namespace {

/// The first version of struct sched_attr, which glibc does not have before 2.41 (sched_setattr(2)).
struct Attributes {
  std::uint32_t size = sizeof(Attributes);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};
static_assert(sizeof(Attributes) == 48);

}  // namespace

bool prefer_short_turns(std::chrono::microseconds turn) noexcept {
  Attributes attributes;
  if (::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return false;
  if (attributes.policy != 0) return false;  // somebody chose another one for it
  const auto asked = static_cast<std::uint64_t>(std::chrono::nanoseconds(turn).count());
  attributes.size = sizeof attributes;
  attributes.runtime = asked;
  if (::syscall(SYS_sched_setattr, 0, &attributes, 0) != 0) return false;
  return ::syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) == 0 &&
         attributes.runtime == asked;
}

Status check_realtime_scheduling() {
  int refused = 0;
  std::thread([&] {  // a thread cannot always go back to what it was
    if (!begin_thread("afdg-probe", Scheduling::kRealtime)) refused = errno;
  })
      .join();
  if (refused == 0) return {};
  return fail(
      Code::kPermissionDenied,
      "--realtime-scheduling: the kernel refuses SCHED_RR to this process (" +
          std::string(std::strerror(refused)) +
          "): allow it by CAP_SYS_NICE or a limit of real-time priority of at least 1 (LimitRTPRIO=1 in "
          "the systemd unit, 'ulimit -r 1' in a shell, --cap-add=SYS_NICE or --ulimit rtprio=1 for a "
          "container), or leave the setting out");
}

}  // namespace afdg::server
