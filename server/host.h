#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agents/agent_type.h"
#include "log/log.h"
#include "region/executor.h"
#include "region/lane.h"
#include "server/routes.h"
#include "store/file_system.h"

namespace afdg::server {

/// How fast a start was.
struct HostStart {
  std::size_t topics = 0;
  std::size_t regions = 0;
  std::uint64_t changes_replayed = 0;
  std::vector<std::string> warnings;
};

struct HostSetup {
  std::string directory;
  std::vector<agents::AgentType> types;  ///< that this program hosts
  bool plant_no_dedup = false;
  bool handle_signals = false;  ///< note the message that a crash came from
  std::size_t lanes = 0;        ///< 0: max(1, cores / 2)
  std::uint64_t journal_bytes = 128u << 20;
  std::uint64_t checkpoint_bytes = 64u << 20;  ///< log between checkpoints
  std::uint64_t live_bytes_max = 128u << 20;   ///< memory of live agents, of all regions
  std::uint64_t store_cache_bytes = 64u << 20;
  std::size_t message_bytes_max = 1u << 20;
  std::size_t turn_bytes_max = 4u << 20;
};

/// The data of one node and what runs on it: log, store, lanes and executors.
///
///     apply(routes) -> partitions -> executors (open: fold the changes) -> board(): an immutable picture
///
/// Thread-safety: safe. Blocks: open, apply and stop read and write files.
class Host {
 public:
  /// Errors: kCorrupt, kNewerFormat, kDiskFull, kUnwritable, kIo: the node must not start.
  static Result<std::unique_ptr<Host>> open(HostSetup setup);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  /// Takes over what this node leads now, and gives up what it does not. Errors: kDiskFull, kIo; what could
  /// be done is done, and the next call tries the rest again.
  Status apply(Routes& wanted);
  /// What is served now, with the executors that run here.
  [[nodiscard]] RouteBoard& board() noexcept { return board_; }
  [[nodiscard]] HostStart start_report() const;

  [[nodiscard]] log::Log& log() noexcept { return *log_; }
  [[nodiscard]] store::KeyValueStore& store() noexcept { return *store_; }
  [[nodiscard]] region::Lanes& lanes() noexcept { return *lanes_; }
  [[nodiscard]] const std::shared_ptr<region::Admission>& admission() noexcept { return admission_; }
  [[nodiscard]] const agents::AgentTypes& types() const noexcept { return types_; }
  [[nodiscard]] const Clock& clock() const noexcept { return clock_; }
  [[nodiscard]] bool disk_full() const noexcept { return disk_full_.load(); }
  void set_carrier(region::Carrier* carrier) noexcept { carrier_ = carrier; }

  /// Runs on the executor's lane and waits for it. Not from a lane.
  template <typename F>
  auto on_lane(const std::shared_ptr<region::Executor>& executor, F&& work) -> decltype(work(*executor)) {
    decltype(work(*executor)) result = fail(Code::kUnavailable, "the node stops");
    run_and_wait(*executor, [&] { result = work(*executor); });
    return result;
  }

  /// Returns when every call that a lane has is durable, and answered.
  void drain();
  /// Everything committed is checkpointed, the log closed in order. No calls may come any more.
  Status stop();

  /// The prefix of a region's keys in the store, and of all of its grid's: the id of the topic of changes,
  /// then the region, big endian. ON DISK since version 1.
  static std::string store_prefix(TopicId changes);
  static std::string store_prefix(TopicId changes, RegionId region);

 private:
  struct GridContext {
    agents::AgentTypes types;
    region::ExecutorContext context;
  };
  struct Written {
    std::shared_ptr<region::Executor> executor;
    std::uint64_t life;
    region::Checkpoint checkpoint;
  };

  explicit Host(HostSetup setup);
  Status begin();
  GridContext& context_of(const catalog::Grid& grid);
  std::shared_ptr<region::Executor> start_executor(const catalog::Grid& grid, RegionId region, Epoch epoch);
  void give_up(const std::shared_ptr<region::Executor>& executor);
  Status create_partitions(const Routes& wanted);
  Status drop_grid(const GridRoutes& grid);
  void each_executor(const std::function<void(const std::shared_ptr<region::Executor>&)>& use) const;
  void run_and_wait(region::Executor& executor, const std::function<void()>& work);
  void run_checkpoints();
  void run_ticks();
  void report(const region::Executor& executor, const Status& status);
  void checkpoint_all();

  const HostSetup setup_;
  SystemClock clock_;
  agents::AgentTypes types_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<store::KeyValueStore> store_;
  std::unique_ptr<region::LaneNotes> notes_;
  std::shared_ptr<region::Admission> admission_ = std::make_shared<region::Admission>();
  std::unique_ptr<region::Lanes> lanes_;
  region::Carrier* carrier_ = nullptr;
  std::atomic<bool> disk_full_{false};
  std::atomic<std::uint64_t> sealed_bytes_{0};

  std::mutex apply_mutex_;  ///< one apply at a time
  std::map<GridId, std::unique_ptr<GridContext>> contexts_;

  RouteBoard board_;
  mutable std::mutex mutex_;
  HostStart start_;
  std::map<std::string, std::chrono::steady_clock::time_point> reported_;
  std::atomic<std::size_t> led_{1};  ///< regions, for what they share

  std::condition_variable wake_;
  bool stopping_ = false;
  bool stopped_ = false;
  std::mutex checkpoint_mutex_;
  std::condition_variable checkpoint_wake_;
  std::vector<Written> checkpoints_;
  std::size_t checkpoints_busy_ = 0;
  bool checkpoints_end_ = false;
  std::thread checkpoint_thread_;
  std::thread tick_thread_;
};

}  // namespace afdg::server
