#include "server/region_host.h"

#include <algorithm>
#include <charconv>
#include <future>
#include <iterator>
#include <set>

#include "base/codec.h"
#include "base/thread.h"
#include "region/state_key.h"
#include "server/logging.h"

namespace afdg::server {
namespace {

constexpr std::uint64_t kDirtyBytesMin = 4u << 20;
constexpr std::chrono::milliseconds kCheckpointsGather{50};
constexpr std::size_t kCheckpointsMax = 256;  // written together

TopicSettings settings_of(const catalog::Topic& topic, TopicRole role) {
  const auto read = read_topic_settings(topic.config, role);
  if (read.ok()) return *read;
  TopicSettings kept;  // it is of another version, which may want everything kept
  kept.retention_ms = std::nullopt;
  return kept;
}

log::TopicOptions topic_options(const catalog::Topic& topic) {
  const TopicRole role = topic.grid == GridId(0) ? TopicRole::kPlain : grid_topic_role(topic.name);
  const TopicSettings settings = settings_of(topic, role);
  using std::chrono::milliseconds;
  log::TopicOptions options;
  options.segment_bytes = static_cast<std::uint64_t>(settings.segment_bytes);
  options.segment_age = milliseconds(settings.segment_ms);
  options.held_by_region = role == TopicRole::kMessages || role == TopicRole::kChanges;
  options.cleanup_delete = settings.cleanup_delete;
  options.cleanup_compact = settings.cleanup_compact;
  options.min_cleanable_dirty_ratio = settings.min_cleanable_dirty_ratio;
  options.min_compaction_lag = milliseconds(settings.min_compaction_lag_ms);
  if (settings.max_compaction_lag_ms != INT64_MAX)
    options.max_compaction_lag = milliseconds(settings.max_compaction_lag_ms);
  options.delete_retention = milliseconds(settings.delete_retention_ms);
  if (settings.retention_ms) options.retention_age = milliseconds(*settings.retention_ms);
  if (settings.retention_bytes)
    options.retention_bytes = static_cast<std::uint64_t>(*settings.retention_bytes);
  return options;
}

constexpr auto kLaneAnswer = std::chrono::seconds(3);

}  // namespace

// ON DISK since version 1: 'r', the id of the grid's topic of changes, the region; both big endian.
std::string region_store_prefix(TopicId changes, RegionId region) {
  std::string prefix(1, 'r');
  put_be64(prefix, changes.value());
  put_be32(prefix, static_cast<std::uint32_t>(region.value()));
  return prefix;
}

std::size_t region_store_group_size(std::string_view key) {
  constexpr std::size_t kPrefix = 1 + 8 + 4;
  if (key.size() <= kPrefix || key[0] != 'r' || key[kPrefix] != static_cast<char>(region::KeyKind::kItem))
    return 0;
  const std::size_t agent = region::agent_prefix_size(key.substr(kPrefix));
  return agent == 0 ? 0 : kPrefix + agent;
}

RegionHost::RegionHost(const Parts& parts, HostLimits limits, std::function<void()> store_damaged)
    : parts_(parts), limits_(std::move(limits)), store_damaged_(std::move(store_damaged)) {
  context_.types = parts_.types;
  context_.store = parts_.store;
  context_.clock = parts_.clock;
  context_.lanes = parts_.lanes;
  context_.notes = parts_.notes;
  context_.carrier = parts_.carrier;
  context_.disk_full = &disk_full_;
  context_.sealed_bytes = &sealed_bytes_;
  context_.write_checkpoint = [this](std::shared_ptr<region::Executor> executor, std::uint64_t life,
                                     region::Checkpoint checkpoint) {
    const std::lock_guard lock(queue_mutex_);
    queue_.push_back({std::move(executor), life, std::move(checkpoint)});
    queue_changed_.notify_all();
  };
  context_.report = [this](const region::Executor& executor, const Status& status) {
    report(executor, status);
  };
  writer_ = std::thread([this] {
    begin_thread("afdg-checkpoint");
    write_checkpoints();
  });
}

RegionHost::~RegionHost() { stop(); }

void RegionHost::report(const region::Executor& executor, const Status& status) {
  log_warn("region stopped", {{"grid", executor.grid_name()},
                              {"region", std::to_string(executor.region().value())},
                              {"code", std::string(code_name(status.code()))},
                              {"why", status.ok() ? "" : status.error().text()}});
  if (status.code() != Code::kCorrupt || !store_damaged_) return;
  if (log_fault(executor).ok()) store_damaged_();
}

Status RegionHost::log_fault(const region::Executor& executor) {
  catalog::Grid grid;
  {
    const std::lock_guard lock(mutex_);
    const auto found = grids_.find(executor.grid());
    if (found == grids_.end())
      return fail(Code::kUnknownGrid, "grid '" + executor.grid_name() + "' is being deleted");
    grid = found->second;
  }
  const PartitionIndex index(executor.region().value());
  for (const TopicId topic : {grid.messages, grid.changes, grid.dead}) {
    AFDG_ASSIGN(const auto description, parts_.log->describe({topic, index}));
    AFDG_TRY(description.fault);
  }
  return {};
}

void RegionHost::write_checkpoints() {
  std::unique_lock lock(queue_mutex_);
  for (;;) {
    queue_changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    busy_ = true;
    // Those of a tick() come together and make one file of the store: each read looks at fewer.
    queue_changed_.wait_for(lock, kCheckpointsGather, [this] { return stopping_; });
    std::vector<Written> now;
    std::vector<region::StateTable::Part> parts;
    while (!queue_.empty() && now.size() < kCheckpointsMax) {
      now.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    lock.unlock();
    for (const Written& one : now) parts.push_back(one.checkpoint.part());
    Status result = region::StateTable::write(std::move(parts), *parts_.store);
    if (result.ok()) result = parts_.store->flush();
    if (result.ok()) checkpoints_.fetch_add(now.size(), std::memory_order_relaxed);
    std::vector<std::future<void>> taken;
    for (std::size_t i = 0; i < now.size(); ++i) {
      auto told = std::make_shared<std::promise<void>>();
      taken.push_back(told->get_future());
      parts_.lanes->post(now[i].executor->lane(),
                         [executor = now[i].executor, life = now[i].life, result, told] {
                           executor->checkpoint_written(life, result);
                           told->set_value();
                         });
    }
    // The last to hold a written layer frees it, entry by entry: this thread, so that no lane pauses for it.
    for (const auto& one : taken) one.wait();
    now.clear();
    lock.lock();
    busy_ = false;
    queue_changed_.notify_all();
  }
}

std::shared_ptr<region::Executor> RegionHost::make(const GridRoutes& grid, RegionId region, std::size_t led) {
  region::Executor::Setup setup;
  setup.grid = grid.grid.id;
  setup.grid_name = grid.grid.name;
  setup.region = region;
  setup.options = limits_.region;
  setup.options.regions = grid.grid.regions;
  setup.options.types = grid.grid.types;
  setup.options.dirty_bytes_max =
      std::max<std::uint64_t>(kDirtyBytesMin, 2 * limits_.checkpoint_bytes / std::max<std::size_t>(1, led));
  setup.options.live_bytes_max =
      std::max<std::uint64_t>(1u << 20, limits_.live_bytes_max / std::max<std::size_t>(1, led));
  setup.store_prefix = region_store_prefix(grid.grid.changes, region);
  setup.lane = parts_.lanes->lane_of(grid.grid.id, region);
  const PartitionIndex index(region.value());
  const log::RegionStreams streams{
      {grid.grid.messages, index}, {grid.grid.changes, index}, {grid.grid.dead, index}};
  setup.open_log = [log = parts_.log, streams] { return log->region_log(streams); };
  return std::make_shared<region::Executor>(std::move(setup), context_);
}

void RegionHost::apply(Routes& routes) {
  std::size_t led = 0;
  for (const auto& [name, grid] : routes.grids) {
    for (const auto& route : grid.regions) led += route.leader == routes.self ? 1 : 0;
  }
  // Partitions that are new or have other settings, in one durable step.
  std::vector<log::Log::NewPartition> partitions;
  struct Opening {
    std::shared_ptr<region::Executor> executor;
    Epoch epoch;
  };
  std::vector<Opening> opening;
  std::vector<TopicId> plain_gone;
  std::map<TopicId, std::vector<PartitionIndex>> led_here;
  std::set<std::pair<GridId, RegionId>> wanted;
  std::vector<std::shared_ptr<region::Executor>> dropped;
  std::map<GridId, catalog::Grid> gone;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, grid] : routes.grids) {
      grids_.insert_or_assign(grid.grid.id, grid.grid);
      for (std::size_t i = 0; i < grid.regions.size(); ++i) {
        RegionRoute& route = grid.regions[i];
        route.local.reset();
        if (route.leader != routes.self) continue;
        const RegionId region(static_cast<std::int32_t>(i));
        wanted.emplace(grid.grid.id, region);
        for (const TopicId topic : {grid.grid.messages, grid.grid.changes, grid.grid.dead})
          led_here[topic].emplace_back(region.value());
        auto& executor = executors_[{grid.grid.id, region}];
        if (!executor) {
          executor = make(grid, region, led);
          opening.push_back({executor, route.epoch});
        } else {
          parts_.lanes->post(executor->lane(), [executor, epoch = route.epoch] { executor->reopen(epoch); });
        }
        route.local = executor;
      }
    }
    for (const auto& [topic, placements] : routes.partitions) {
      for (std::size_t i = 0; i < placements.size(); ++i) {
        if (placements[i].leader == routes.self) led_here[topic].emplace_back(static_cast<std::int32_t>(i));
      }
    }
    for (const catalog::Topic& topic : routes.topics) {
      const auto here = led_here.find(topic.id);
      if (here == led_here.end()) continue;
      Stored now{topic.config, here->second.size(), topic.grid == GridId(0)};
      Stored& before = stored_[topic.id];
      if (now == before && !unmade_.contains(topic.id)) continue;
      before = std::move(now);
      for (const PartitionIndex index : here->second)
        partitions.push_back({{topic.id, index}, topic.name, topic_options(topic)});
    }
    for (auto at = stored_.begin(); at != stored_.end();) {
      const bool here = led_here.contains(at->first);
      if (!here && at->second.plain) plain_gone.push_back(at->first);
      at = here ? std::next(at) : stored_.erase(at);
    }
    for (auto at = executors_.begin(); at != executors_.end();) {
      if (wanted.contains(at->first)) {
        ++at;
        continue;
      }
      dropped.push_back(at->second);
      at = executors_.erase(at);
    }
    for (auto at = grids_.begin(); at != grids_.end();) {
      const bool known = std::any_of(routes.grids.begin(), routes.grids.end(),
                                     [&](const auto& one) { return one.second.grid.id == at->first; });
      if (!known) gone.insert(*at);
      at = known ? std::next(at) : grids_.erase(at);
    }
  }
  Status made;
  if (!partitions.empty()) made = parts_.log->create_partitions(partitions);
  if (!made.ok()) log_error("partitions not created, it is tried again", {{"why", made.error().text()}});
  {
    const std::lock_guard lock(mutex_);
    unmade_.clear();  // also of topics that were deleted meanwhile
    if (!made.ok())
      for (const auto& one : partitions) unmade_.insert(one.partition.topic);
  }
  // Opening reads; a thread a core does it.
  std::atomic<std::size_t> next{0};
  const auto open_some = [&] {
    for (std::size_t i = next.fetch_add(1); i < opening.size(); i = next.fetch_add(1)) {
      const Opening& one = opening[i];
      if (const Status opened = one.executor->open(one.epoch); !opened.ok())
        context_.report(*one.executor, opened);
    }
  };
  std::vector<std::thread> helpers;
  const std::size_t threads =
      std::min<std::size_t>(opening.size(), std::max(1u, std::thread::hardware_concurrency()));
  for (std::size_t i = 1; i < threads; ++i) {
    helpers.emplace_back([&] {
      begin_thread("afdg-open");
      open_some();
    });
  }
  open_some();
  for (auto& helper : helpers) helper.join();
  for (const Opening& one : opening) {
    if (const auto info = one.executor->info(); info.ok())
      replayed_.fetch_add(info->replayed, std::memory_order_relaxed);
    parts_.lanes->add(one.executor);
  }

  for (const auto& executor : dropped) close(executor);
  for (const TopicId topic : plain_gone) {
    if (const Status deleted = parts_.log->delete_topic(topic); !deleted.ok())
      log_error("topic not deleted", {{"why", deleted.error().text()}});
  }
  for (const auto& [id, grid] : gone) {
    for (const TopicId topic : {grid.messages, grid.changes, grid.dead}) {
      if (const Status deleted = parts_.log->delete_topic(topic); !deleted.ok())
        log_error("topic not deleted", {{"why", deleted.error().text()}});
    }
    std::string from(1, 'r'), to(1, 'r');
    put_be64(from, grid.changes.value());
    put_be64(to, grid.changes.value() + 1);
    if (const Status removed = parts_.store->remove_range(from, to); !removed.ok())
      log_error("state not removed", {{"why", removed.error().text()}});
  }
}

void RegionHost::forget_unknown(const Routes& routes) {
  std::set<TopicId> known;
  for (const auto& topic : routes.topics) known.insert(topic.id);
  std::set<TopicId> unknown;
  for (const TopicPartition& partition : parts_.log->partitions()) {
    if (!known.contains(partition.topic)) unknown.insert(partition.topic);
  }
  for (const TopicId topic : unknown) {
    log_warn("topic is not in the catalog any more and is removed",
             {{"topic", std::to_string(topic.value())}});
    if (const Status deleted = parts_.log->delete_topic(topic); !deleted.ok())
      log_error("topic not deleted", {{"why", deleted.error().text()}});
    std::string from(1, 'r'), to(1, 'r');
    put_be64(from, topic.value());
    put_be64(to, topic.value() + 1);
    parts_.store->remove_range(from, to).ignore("what stays is removed at the next start");
  }
}

void RegionHost::close(const std::shared_ptr<region::Executor>& executor) {
  parts_.lanes->remove(executor);
  std::promise<void> closed;
  auto done = closed.get_future();
  parts_.lanes->post(executor->lane(), [&executor, &closed] {
    executor->close();
    closed.set_value();
  });
  done.wait();
}

bool RegionHost::lacks_partitions() const {
  const std::lock_guard lock(mutex_);
  return !unmade_.empty();
}

void RegionHost::tick() {
  const std::uint64_t sealed = sealed_bytes_.load(std::memory_order_relaxed);
  const bool due = sealed - checkpointed_at_ >= limits_.checkpoint_bytes;
  if (due) checkpointed_at_ = sealed;
  parts_.lanes->tick(due);
  if (disk_full_.load() && !parts_.log->metrics().disk_full) disk_full_.store(false);
}

Status RegionHost::run(const std::shared_ptr<region::Executor>& executor,
                       std::function<void(region::Executor&)> task) {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  auto cancelled = std::make_shared<std::atomic<int>>(0);  // 1: running, 2: given up
  parts_.lanes->post(executor->lane(), [executor, task = std::move(task), done, cancelled] {
    int expected = 0;
    if (!cancelled->compare_exchange_strong(expected, 1)) return;
    task(*executor);
    done->set_value();
  });
  if (future.wait_for(kLaneAnswer) == std::future_status::timeout) {
    int expected = 0;
    if (cancelled->compare_exchange_strong(expected, 2)) {
      return fail(Code::kUnavailable, "region " + std::to_string(executor->region().value()) + " of grid '" +
                                          executor->grid_name() + "' is too busy to answer: try again");
    }
    future.wait();
  }
  return {};
}

std::vector<RegionHost::RegionState> RegionHost::states(std::string_view grid) {
  std::vector<std::shared_ptr<region::Executor>> executors;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, executor] : executors_) {
      if (grid.empty() || executor->grid_name() == grid) executors.push_back(executor);
    }
  }
  // All lanes at once, then wait.
  struct Asked {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::optional<Result<region::RegionInfo>>> infos;
    std::vector<Epoch> epochs;
    std::size_t left;
  };
  auto asked = std::make_shared<Asked>();
  asked->infos.resize(executors.size());
  asked->epochs.resize(executors.size());
  asked->left = executors.size();
  for (std::size_t i = 0; i < executors.size(); ++i) {
    parts_.lanes->post(executors[i]->lane(), [asked, i, executor = executors[i]] {
      auto info = executor->info();
      const std::lock_guard lock(asked->mutex);
      asked->infos[i] = std::move(info);
      asked->epochs[i] = executor->epoch();
      if (--asked->left == 0) asked->changed.notify_all();
    });
  }
  std::vector<RegionState> states;
  std::unique_lock lock(asked->mutex);
  asked->changed.wait_for(lock, kLaneAnswer, [&] { return asked->left == 0; });
  for (std::size_t i = 0; i < executors.size(); ++i) {
    // Damage that a reader found stops the region at its next append; it is said before.
    if (const Status fault = log_fault(*executors[i]); !fault.ok()) {
      states.push_back({executors[i], asked->epochs[i], fault.error()});
      continue;
    }
    states.push_back(
        {executors[i], asked->epochs[i],
         asked->infos[i] ? *asked->infos[i]
                         : Result<region::RegionInfo>(fail(
                               Code::kUnavailable, "the region's lane is busy and did not answer in time"))});
  }
  return states;
}

std::size_t RegionHost::size() const {
  const std::lock_guard lock(mutex_);
  return executors_.size();
}

void RegionHost::stop() {
  {
    const std::lock_guard lock(queue_mutex_);
    if (stopping_) return;
  }
  std::map<std::pair<GridId, RegionId>, std::shared_ptr<region::Executor>> executors;
  {
    const std::lock_guard lock(mutex_);
    executors.swap(executors_);
  }
  // Twice: what a checkpoint under way had left open, and then nothing.
  for (int round = 0; round < 2; ++round) {
    for (const auto& [id, executor] : executors) {
      parts_.lanes->post(executor->lane(), [executor = executor] { executor->seal(); });
    }
    std::vector<std::future<void>> waits;
    const auto barrier = [&] {
      std::vector<std::shared_ptr<std::promise<void>>> promises;
      for (std::size_t i = 0; i < parts_.lanes->size(); ++i) {
        promises.push_back(std::make_shared<std::promise<void>>());
        parts_.lanes->post(i, [promise = promises.back()] { promise->set_value(); });
      }
      for (auto& promise : promises) promise->get_future().wait();
    };
    barrier();
    parts_.log->drain().ignore("what is not durable is replayed or was never acknowledged");
    for (const auto& [id, executor] : executors) {
      parts_.lanes->post(executor->lane(), [executor = executor] { executor->checkpoint(true); });
    }
    barrier();
    {
      std::unique_lock lock(queue_mutex_);
      queue_changed_.wait(lock, [this] { return queue_.empty() && !busy_; });
    }
    barrier();
  }
  for (const auto& [id, executor] : executors) close(executor);
  {
    const std::lock_guard lock(queue_mutex_);
    stopping_ = true;
    queue_changed_.notify_all();
  }
  writer_.join();
}

}  // namespace afdg::server
