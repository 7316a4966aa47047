#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "kafka/broker/cluster.h"
#include "log/log.h"
#include "server/background.h"
#include "server/peer.h"
#include "server/routes.h"
#include "server/rpc.h"

namespace afdg::server {

/// What produce calls hold, for metrics and the limit.
struct ProduceCounters {
  std::atomic<std::uint64_t> calls{0};    ///< under way
  std::atomic<std::uint64_t> bytes{0};    ///< of those
  std::atomic<std::uint64_t> records{0};  ///< stored, since the start
  std::atomic<std::uint64_t> refused{0};  ///< calls, since the start
};

struct ProduceParts {
  RouteBoard* board = nullptr;
  const kafka::Cluster* cluster = nullptr;
  log::Log* log = nullptr;  ///< absent in a process that is only the catalog
  Peers* peers = nullptr;
  Background* background = nullptr;
  const Clock* clock = nullptr;
  ProduceCounters* counters = nullptr;
  std::function<bool()> serving;
  std::uint64_t bytes_max = 64u << 20;  ///< of the calls under way; more is kOverloaded
};

inline constexpr int kProduceRecordsMax = 10'000;  ///< in one call
inline constexpr std::size_t kProduceCallBytesMax = std::size_t{8} << 20;

/// Data.Produce: records for a plain topic, one batch a partition (several where max.message.bytes demands
/// it), answered once all that can be stored is durable. What other nodes lead goes there. An error of the
/// call means that nothing was stored; else each record has its receipt. Bounds: the constants above;
/// bytes_max.
RpcMethod produce_method(const ProduceParts& parts);

}  // namespace afdg::server
