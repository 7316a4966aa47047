#pragma once

#include <chrono>

#include "base/result.h"

namespace afdg::server {

/// Asks the kernel to run this thread, and those it makes later, in short turns: it is then run sooner after
/// it was woken, and gets no more of the processors than before. For a server whose threads wait for each
/// other. Linux since 6.12 (sched_setattr(2), sched_runtime of an ordinary thread); before that, and where it
/// is refused, it does nothing. False then.
bool prefer_short_turns(std::chrono::microseconds turn) noexcept;

/// Whether threads of this process may be Scheduling::kRealtime; changes none that runs. Errors:
/// kPermissionDenied, with the setting and what allows it.
Status check_realtime_scheduling();

}  // namespace afdg::server
