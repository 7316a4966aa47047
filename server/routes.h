#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "catalog/catalog.h"
#include "region/executor.h"

namespace afdg::server {

/// What a node knows of one region: who leads it, and its executor when that is this node.
struct RegionRoute {
  NodeId leader;
  Epoch epoch;
  std::shared_ptr<region::Executor> local;
};
struct GridRoutes {
  catalog::Grid grid;
  std::vector<RegionRoute> regions;
  [[nodiscard]] bool hosts(std::string_view type) const noexcept {
    for (const auto& hosted : grid.types)
      if (hosted == type) return true;
    return false;
  }
};
struct NodeRoute {
  std::string address;
  std::string http_address;
  std::string kafka_address;  ///< empty: no Kafka listener
  std::vector<std::string> roles;
  std::vector<std::string> types;
  bool alive = false;
  Timestamp last_seen{};
  std::uint32_t regions_led = 0;
  Incarnation incarnation;
};
/// A picture of the cluster at one version of the catalog. Never changed once it is published.
struct Routes {
  std::uint64_t version = 0;
  std::uint64_t cluster = 0;  ///< the catalog's identity
  NodeId self;
  std::map<std::string, GridRoutes, std::less<>> grids;
  std::map<NodeId, NodeRoute> nodes;
  std::vector<catalog::Topic> topics;
  std::map<TopicId, std::vector<catalog::Placement>> partitions;  ///< of plain topics

  [[nodiscard]] const GridRoutes* find(std::string_view grid) const {
    const auto found = grids.find(grid);
    return found == grids.end() ? nullptr : &found->second;
  }
};

/// Where the present Routes are kept. Thread-safety: safe.
class RouteBoard {
 public:
  [[nodiscard]] std::shared_ptr<const Routes> get() const {
    const std::lock_guard lock(mutex_);
    return routes_;
  }
  void publish(std::shared_ptr<const Routes> routes) {
    {
      const std::lock_guard lock(mutex_);
      routes_.swap(routes);  // the one before goes when the lock is free
    }
    const std::lock_guard lock(watcher_mutex_);
    if (watcher_) watcher_();
  }
  /// `changed` runs after each publish(), on its thread, and must not block; an empty one ends that, and none
  /// is running any more on return.
  void watch(std::function<void()> changed) {
    const std::lock_guard lock(watcher_mutex_);
    watcher_ = std::move(changed);
  }

 private:
  // Held for moments. Not std::atomic<std::shared_ptr>: that of GCC 12 is a lock, too, and its load() gives
  // the lock back without release, so that a store may overtake it on other processors than x86.
  mutable std::mutex mutex_;
  std::shared_ptr<const Routes> routes_ = std::make_shared<const Routes>();
  std::mutex watcher_mutex_;
  std::function<void()> watcher_;
};

}  // namespace afdg::server
