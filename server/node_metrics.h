#pragma once

#include <vector>

#include "afdg/v1/admin.pb.h"
#include "catalog/catalog.h"
#include "log/log.h"
#include "server/cluster.h"
#include "server/config.h"
#include "server/kafka_cluster.h"
#include "server/kafka_listener.h"
#include "server/metrics.h"
#include "server/produce.h"
#include "server/region_host.h"
#include "server/stream.h"

namespace afdg::server {

/// What the metrics of a node are read from; what the node does not have is null.
struct MetricSources {
  v1::ServerState state;
  const Config* config = nullptr;
  const StreamCounters* streams = nullptr;
  const ProduceCounters* produced = nullptr;
  const log::Log* log = nullptr;
  const store::KeyValueStore* store = nullptr;
  RegionHost* host = nullptr;
  Cluster* cluster = nullptr;
  const KafkaCluster* kafka_cluster = nullptr;
  KafkaListener* kafka = nullptr;
};

/// The time, in microseconds, within which that part of the journal's commits was synced; a power of two.
[[nodiscard]] std::uint64_t sync_percentile(const log::LogMetrics& metrics, double part);

/// All that /metrics shows. Waits up to half a second for the Kafka endpoint's thread, which tells of its
/// groups. Thread-safety: as its sources, which are safe.
[[nodiscard]] std::vector<Metric> node_metrics(const MetricSources& node);

}  // namespace afdg::server
