#pragma once

#include "server/background.h"
#include "server/gather.h"
#include "server/router.h"
#include "server/rpc.h"

namespace afdg::server {

struct DataParts {
  Router* router;
  RouteBoard* board;
  Gather* gather;
  Background* background;  ///< for nothing else: a fan-out to all agents waits there until its caller reads
  const Clock* clock;
  std::uint32_t fanout_targets_max = 1'000'000;
};

/// Data.Request and Data.Send.
RpcMethod request_method(const DataParts& parts);
RpcMethod send_method(const DataParts& parts);
/// Data.Fanout: one outcome a target, as they come. Bounds: 1,024 targets under way, 4,096 outcomes that wait
/// to be written.
RpcMethod fanout_method(const DataParts& parts);

/// When a call's agent must have begun: the caller's own timeout, gRPC's deadline, or 10 s; ms of
/// Clock::deadline_time().
[[nodiscard]] std::int64_t deadline_ms(std::int64_t timeout_ms,
                                       std::chrono::system_clock::time_point deadline, const Clock& clock);

}  // namespace afdg::server
