#pragma once

#include "server/router.h"
#include "server/rpc.h"

namespace afdg::server {

/// Counters of all streams of a node. Thread-safety: safe.
struct StreamCounters {
  std::atomic<std::uint64_t> streams{0};  ///< now
  std::atomic<std::uint64_t> frames_read{0};
  std::atomic<std::uint64_t> reply_writes{0};
  std::atomic<std::uint64_t> reply_messages{0};
};

struct StreamLimits {
  std::size_t frame_bytes_max = 256u << 10;       ///< of a reply frame, about
  std::size_t outstanding_bytes_max = 16u << 20;  ///< of replies that wait; above it nothing more is read
  std::uint32_t outstanding_calls_max = 65'536;   ///< above it nothing more is read
};

/// Data.Stream: frames of calls in, frames of outcomes out, one write under way, which whoever releases
/// replies starts.
RpcMethod stream_method(Router& router, StreamCounters& counters, StreamLimits limits = {});

}  // namespace afdg::server
