#pragma once

#include <cstddef>
#include <cstdint>

namespace afdg {

/// A thread's name, as `top -H`, perf and /proc/PID/task/TID/comm show it. At most 15 characters, the
/// kernel's limit, which the compiler checks.
class ThreadName {
 public:
  template <std::size_t N>
  consteval ThreadName(const char (&text)[N]) : text_(text) {  // NOLINT: as text is
    static_assert(N <= 16, "the kernel keeps 15 characters of a thread's name");
  }
  [[nodiscard]] const char* text() const noexcept { return text_; }

 private:
  const char* text_;
};

/// How the kernel shares processors with a thread.
enum class Scheduling : std::uint8_t {
  kOrdinary,  ///< as the thread that made it, or ordinary when that is kRealtime
  kRealtime,  ///< SCHED_RR at the lowest real-time priority: ahead of every ordinary thread of the machine
};

/// What each thread of the node does first: takes its name and its scheduling. False when the kernel refuses
/// the scheduling (no CAP_SYS_NICE, and RLIMIT_RTPRIO is 0): the thread goes on as an ordinary one, errno
/// says why. Threads that a kRealtime thread makes are ordinary ones (SCHED_RESET_ON_FORK).
bool begin_thread(ThreadName name, Scheduling scheduling = Scheduling::kOrdinary) noexcept;

}  // namespace afdg
