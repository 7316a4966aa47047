#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "server/cluster.h"
#include "server/host.h"
#include "server/rpc.h"
#include "server/stream.h"
#include "server/workers.h"

namespace afdg::v1 {
class AgentKeys;
class ListAgentsCall;
}  // namespace afdg::v1

namespace afdg::server {

/// What Admin needs of the node. Outlives the service.
struct AdminContext {
  Host& host;
  Peers& peers;
  Workers& workers;
  StreamCounters& counters;
  std::string data_directory;
  std::string security;
  std::vector<std::string> roles;
  std::chrono::steady_clock::time_point started;
  Cluster* cluster = nullptr;         ///< set before ready
  std::atomic<bool> ready{false};     ///< before that every call is answered kUnavailable
  std::atomic<bool> stopping{false};  ///< what follows a topic ends
};

/// Adds Admin.* and Catalog.Heartbeat. What only the catalog can do is sent on to it; what all regions
/// together answer is gathered from the nodes that lead them. Each call runs on a worker.
void add_admin(RpcServer& server, AdminContext& context);
/// Admin.Consume.
void add_consume(RpcServer& server, AdminContext& context);

/// As Admin.ListAgents; also for fan-outs to all agents. Blocks.
Status list_agents(AdminContext& context, const v1::ListAgentsCall& call, v1::AgentKeys& answer);

/// Turns, reads, live agents and so on of this node's regions, summed.
struct HostTotals {
  std::uint64_t turns = 0, reads = 0, live_agents = 0, regions = 0, outbox = 0, memory_bytes = 0, faulty = 0;
};
HostTotals totals(Host& host);
std::uint64_t resident_bytes();
/// Of the durations that metrics counts: an upper bound of the share `q`, microseconds.
std::uint64_t commit_quantile_us(const log::LogMetrics& metrics, double q);

}  // namespace afdg::server
