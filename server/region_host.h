#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "log/log.h"
#include "region/lane.h"
#include "server/routes.h"

namespace afdg::server {

/// Where a region's state stands in the node's store.
[[nodiscard]] std::string region_store_prefix(TopicId changes, RegionId region);

/// RocksOptions::group_size of that store: the items of one agent are a group.
[[nodiscard]] std::size_t region_store_group_size(std::string_view key);

struct HostLimits {
  region::Options region;
  std::uint64_t checkpoint_bytes = 64u << 20;
  std::uint64_t live_bytes_max = 128u << 20;
};

/// The regions that this node leads: makes, opens and closes their executors, and writes their checkpoints.
/// Thread-safety: safe; apply() and stop() one at a time.
class RegionHost {
 public:
  struct Parts {
    log::Log* log;
    store::KeyValueStore* store;
    const agents::AgentTypes* types;
    const Clock* clock;
    region::Lanes* lanes;
    region::LaneNotes* notes;
    region::Carrier* carrier;
  };
  /// `store_damaged` is called when a region stopped because the store is damaged and its log is not: the
  /// store is derived, and is to be made anew.
  RegionHost(const Parts& parts, HostLimits limits, std::function<void()> store_damaged = {});
  ~RegionHost();

  /// Opens what `routes` says that this node leads and closes what it does not; fills in RegionRoute::local.
  /// Blocks while regions are opened. A region that cannot be opened answers with its error.
  void apply(Routes& routes);
  /// Forgets partitions of grids that `routes` does not know: they were deleted while this node was down.
  void forget_unknown(const Routes& routes);
  /// Whether the log could not make some of the partitions (a full disk): apply() tries again.
  [[nodiscard]] bool lacks_partitions() const;
  /// Once a second. Cheap.
  void tick();
  /// Checkpoints everything, closes every region. Nothing may be dispatched any more.
  void stop();

  struct RegionState {
    std::shared_ptr<region::Executor> executor;
    Epoch epoch;
    Result<region::RegionInfo> info;
  };
  /// The state of this node's regions of a grid (empty: all), in order. A lane that does not answer in time
  /// shows as kUnavailable.
  [[nodiscard]] std::vector<RegionState> states(std::string_view grid);
  /// Runs on the region's lane and waits. Errors: kUnavailable when the lane is too slow.
  Status run(const std::shared_ptr<region::Executor>& executor, std::function<void(region::Executor&)> task);
  [[nodiscard]] std::size_t size() const;
  /// Records of changes that were folded when regions were opened.
  [[nodiscard]] std::uint64_t replayed() const noexcept { return replayed_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t checkpoints() const noexcept {
    return checkpoints_.load(std::memory_order_relaxed);
  }

 private:
  struct Written {
    std::shared_ptr<region::Executor> executor;
    std::uint64_t life;
    region::Checkpoint checkpoint;
  };
  void write_checkpoints();
  void close(const std::shared_ptr<region::Executor>& executor);
  void report(const region::Executor& executor, const Status& status);
  /// The damage that the log knows of one of the region's partitions.
  Status log_fault(const region::Executor& executor);
  std::shared_ptr<region::Executor> make(const GridRoutes& grid, RegionId region, std::size_t led);

  const Parts parts_;
  const HostLimits limits_;
  const std::function<void()> store_damaged_;
  region::ExecutorContext context_;
  std::atomic<bool> disk_full_{false};
  std::atomic<std::uint64_t> sealed_bytes_{0};
  std::atomic<std::uint64_t> checkpoints_{0};
  std::atomic<std::uint64_t> replayed_{0};
  std::uint64_t checkpointed_at_ = 0;
  mutable std::mutex mutex_;
  std::map<std::pair<GridId, RegionId>, std::shared_ptr<region::Executor>> executors_;
  std::map<GridId, catalog::Grid> grids_;
  struct Stored {
    TopicConfig config;
    std::size_t partitions = 0;
    bool plain = false;  ///< no grid's
    friend bool operator==(const Stored&, const Stored&) = default;
  };
  std::map<TopicId, Stored> stored_;  ///< topics with partitions here, as the log was told of them
  std::set<TopicId> unmade_;          ///< of those, the ones that the log could not make

  std::mutex queue_mutex_;
  std::condition_variable queue_changed_;
  std::deque<Written> queue_;
  bool busy_ = false;
  bool stopping_ = false;
  std::thread writer_;
};

}  // namespace afdg::server
