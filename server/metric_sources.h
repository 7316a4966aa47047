#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "afdg/v1/admin.pb.h"
#include "kafka/broker/broker.h"
#include "log/groups/coordinator.h"
#include "server/metrics.h"
#include "server/produce.h"
#include "server/region_host.h"
#include "server/stream.h"
#include "store/key_value_store.h"

namespace afdg::server {

/// Where a node's metrics come from. What a process does not have is null or absent.
struct MetricSources {
  struct Kafka {
    const kafka::Broker::Counters& counters;
    std::uint64_t connections_max;
    std::uint64_t bytes_max;
  };
  v1::ServerState state;
  const StreamCounters& streams;
  const ProduceCounters& produced;
  std::uint64_t partitions = 0;
  const log::Log* log = nullptr;
  const store::KeyValueStore* store = nullptr;  ///< with `host`
  RegionHost* host = nullptr;
  std::optional<Kafka> kafka;
  std::optional<log::groups::Stats> groups;
};
/// All of them, with names and help as /metrics shows them.
[[nodiscard]] std::vector<Metric> collect_metrics(const MetricSources& from);

}  // namespace afdg::server
