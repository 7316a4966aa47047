#include "base/thread.h"

#include <pthread.h>
#include <sched.h>

namespace afdg {

bool begin_thread(ThreadName name, Scheduling scheduling) noexcept {
  ::pthread_setname_np(::pthread_self(), name.text());
  if (scheduling == Scheduling::kOrdinary) return true;
  sched_param parameters{};
  parameters.sched_priority = ::sched_get_priority_min(SCHED_RR);
  return ::sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &parameters) == 0;  // 0: this thread
}

}  // namespace afdg
