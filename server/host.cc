#include "server/host.h"

#include <algorithm>
#include <charconv>
#include <future>
#include <set>

#include "base/codec.h"
#include "server/logging.h"

namespace afdg::server {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kTickEvery = 8u << 20;
constexpr std::size_t kDirtyMin = 4u << 20;
constexpr std::size_t kLiveMin = 8u << 20;
constexpr std::uint64_t kFreeAgain = 96u << 20;

/// Kafka's names of a topic's settings.
log::TopicOptions topic_options(const catalog::Topic& topic) {
  log::TopicOptions options;
  const auto number = [&](const char* name) -> std::optional<std::int64_t> {
    const auto found = topic.config.find(name);
    if (found == topic.config.end()) return std::nullopt;
    std::int64_t value = 0;
    const char* end = found->second.data() + found->second.size();
    const auto parsed = std::from_chars(found->second.data(), end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end || value < 0) return std::nullopt;
    return value;
  };
  if (const auto bytes = number("segment.bytes"))
    options.segment_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(*bytes, 1 << 20));
  if (const auto age = number("segment.ms"))
    options.segment_age = std::chrono::milliseconds(std::max<std::int64_t>(*age, 1000));
  if (const auto age = number("retention.ms")) options.retention_age = std::chrono::milliseconds(*age);
  if (const auto bytes = number("retention.bytes"))
    options.retention_bytes = static_cast<std::uint64_t>(*bytes);
  return options;
}

}  // namespace

std::string Host::store_prefix(TopicId changes) {
  std::string prefix;
  put_be64(prefix, changes.value());
  return prefix;
}
std::string Host::store_prefix(TopicId changes, RegionId region) {
  std::string prefix = store_prefix(changes);
  put_be32(prefix, static_cast<std::uint32_t>(region.value()));
  return prefix;
}

Host::Host(HostSetup setup) : setup_(std::move(setup)) {}

Result<std::unique_ptr<Host>> Host::open(HostSetup setup) {
  std::unique_ptr<Host> host(new Host(std::move(setup)));
  AFDG_TRY(host->begin());
  return host;
}

Status Host::begin() {
  for (const agents::AgentType& type : setup_.types) AFDG_TRY(types_.add(type));
  log::LogOptions options;
  options.directory = setup_.directory + "/log";
  options.journal_bytes = setup_.journal_bytes;
  AFDG_ASSIGN(log_, log::Log::open(store::posix_file_system(), clock_, options));
  for (const auto& faulty : log_->recovery().faulty) start_.warnings.push_back(faulty.sentence);
  for (const std::string& warning : log_->recovery().warnings) start_.warnings.push_back(warning);
  const std::string path = setup_.directory + "/store";
  store::RocksOptions rocks;
  rocks.cache_bytes = setup_.store_cache_bytes;
  auto opened = store::open_rocks_store(path, rocks);
  if (!opened.ok() && opened.error().code() == Code::kCorrupt) {
    // It holds nothing that the log does not: made anew from the changes.
    start_.warnings.push_back("the store was damaged and is rebuilt from the log: " + opened.error().text());
    AFDG_TRY(store::destroy_rocks_store(path));
    opened = store::open_rocks_store(path, rocks);
  }
  if (!opened.ok()) return opened.error();
  store_ = std::move(opened).value();
  AFDG_ASSIGN(notes_, region::LaneNotes::open(setup_.directory + "/running", setup_.handle_signals));
  const std::size_t lanes =
      setup_.lanes != 0 ? setup_.lanes : std::max<std::size_t>(1, std::thread::hardware_concurrency() / 2);
  lanes_ = std::make_unique<region::Lanes>(lanes);
  checkpoint_thread_ = std::thread([this] { run_checkpoints(); });
  tick_thread_ = std::thread([this] { run_ticks(); });
  return {};
}

Host::~Host() { stop().ignore("whoever cares has called stop()"); }

void Host::each_executor(const std::function<void(const std::shared_ptr<region::Executor>&)>& use) const {
  const auto routes = board_.get();
  for (const auto& [name, grid] : routes->grids) {
    for (const RegionRoute& region : grid.regions) {
      if (region.local) use(region.local);
    }
  }
}

HostStart Host::start_report() const {
  const std::lock_guard lock(mutex_);
  return start_;
}

Host::GridContext& Host::context_of(const catalog::Grid& grid) {
  auto& slot = contexts_[grid.id];
  if (slot) return *slot;
  slot = std::make_unique<GridContext>();
  for (const agents::AgentType& type : setup_.types) {
    if (std::find(grid.types.begin(), grid.types.end(), type.name) != grid.types.end())
      slot->types.add(type).ignore("names of types_ are unique");
  }
  region::ExecutorContext& context = slot->context;
  context.types = &slot->types;
  context.store = store_.get();
  context.clock = &clock_;
  context.lanes = lanes_.get();
  context.notes = notes_.get();
  context.carrier = carrier_;
  context.disk_full = &disk_full_;
  context.sealed_bytes = &sealed_bytes_;
  context.write_checkpoint = [this](std::shared_ptr<region::Executor> executor, std::uint64_t life,
                                    region::Checkpoint checkpoint) {
    const std::lock_guard lock(checkpoint_mutex_);
    checkpoints_.push_back({std::move(executor), life, std::move(checkpoint)});
    checkpoint_wake_.notify_all();
  };
  context.report = [this](const region::Executor& executor, const Status& status) {
    report(executor, status);
  };
  return *slot;
}

void Host::report(const region::Executor& executor, const Status& status) {
  const std::string what = "region " + std::to_string(executor.region().value()) + " of grid '" +
                           executor.grid_name() + "': " + status.to_string();
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  if (reported_.size() > 1000) reported_.clear();
  auto& last = reported_[what];
  if (last.time_since_epoch().count() != 0 && now - last < 10s) return;
  last = now;
  log_warn("region", {{"what", what}});
}

std::shared_ptr<region::Executor> Host::start_executor(const catalog::Grid& grid, RegionId region,
                                                       Epoch epoch) {
  const PartitionIndex index(region.value());
  const log::RegionStreams streams{{grid.messages, index}, {grid.changes, index}, {grid.dead, index}};
  // Never below an epoch that the log has seen: a new core after a failed one counts up by itself.
  for (const TopicPartition& partition : {streams.messages, streams.changes, streams.dead}) {
    auto description = log_->describe(partition);
    if (description.ok()) epoch = std::max(epoch, Epoch(description->epoch.value() + 1));
  }
  GridContext& context = context_of(grid);
  region::Executor::Setup setup;
  setup.grid = grid.id;
  setup.grid_name = grid.name;
  setup.region = region;
  setup.options.regions = grid.regions;
  const std::size_t led = std::max<std::size_t>(1, led_.load());
  setup.options.dirty_bytes_max = std::max<std::size_t>(kDirtyMin, setup_.checkpoint_bytes * 2 / led);
  setup.options.live_bytes_max = std::max<std::size_t>(kLiveMin, setup_.live_bytes_max / led);
  setup.options.message_bytes_max = setup_.message_bytes_max;
  setup.options.turn_bytes_max = setup_.turn_bytes_max;
  setup.options.plant_no_dedup = setup_.plant_no_dedup;
  setup.store_prefix = store_prefix(grid.changes, region);
  setup.lane = lanes_->lane_of(grid.id, region);
  setup.open_log = [this, streams] { return log_->region_log(streams); };
  auto executor = std::make_shared<region::Executor>(std::move(setup), context.context);
  if (Status opened = executor->open(epoch); !opened.ok()) report(*executor, opened);
  return executor;
}

void Host::give_up(const std::shared_ptr<region::Executor>& executor) {
  lanes_->remove(executor);
  run_and_wait(*executor, [&] { executor->close(); });
}

void Host::run_and_wait(region::Executor& executor, const std::function<void()>& work) {
  auto done = std::make_shared<std::promise<void>>();
  auto future = done->get_future();
  lanes_->post(executor.lane(), [&work, done] {
    work();
    done->set_value();
  });
  future.wait();
}

Status Host::drop_grid(const GridRoutes& grid) {
  for (const RegionRoute& region : grid.regions) {
    if (region.local) give_up(region.local);
  }
  {
    // A checkpoint under way would write after the removal.
    std::unique_lock lock(checkpoint_mutex_);
    checkpoint_wake_.wait(lock, [this] { return checkpoints_.empty() && checkpoints_busy_ == 0; });
  }
  for (const TopicId topic : {grid.grid.messages, grid.grid.changes, grid.grid.dead})
    AFDG_TRY(log_->delete_topic(topic));
  AFDG_TRY(store_->remove_range(store_prefix(grid.grid.changes),
                                store_prefix(TopicId(grid.grid.changes.value() + 1))));
  return store_->flush();
}

Status Host::create_partitions(const Routes& wanted) {
  std::vector<log::Log::NewPartition> partitions;
  for (const auto& [name, grid] : wanted.grids) {
    for (std::size_t i = 0; i < grid.regions.size(); ++i) {
      if (grid.regions[i].leader != wanted.self) continue;
      const PartitionIndex index(static_cast<std::int32_t>(i));
      partitions.push_back({{grid.grid.messages, index}, name + ".messages", {}});
      partitions.push_back({{grid.grid.changes, index}, name + ".changes", {}});
      partitions.push_back({{grid.grid.dead, index}, name + ".dead", {}});
    }
  }
  for (const catalog::Topic& topic : wanted.topics) {
    const auto placed = wanted.partitions.find(topic.id);
    if (placed == wanted.partitions.end()) continue;
    for (std::size_t i = 0; i < placed->second.size(); ++i) {
      if (placed->second[i].leader == wanted.self)
        partitions.push_back(
            {{topic.id, PartitionIndex(static_cast<std::int32_t>(i))}, topic.name, topic_options(topic)});
    }
  }
  std::erase_if(partitions, [this](const auto& p) {
    const auto known = log_->describe(p.partition);
    return known.ok() || known.error().code() != Code::kNotFound;
  });
  return partitions.empty() ? Status() : log_->create_partitions(partitions);
}

Status Host::apply(Routes& wanted) {
  const std::lock_guard applying(apply_mutex_);
  AFDG_TRY(create_partitions(wanted));
  const std::shared_ptr<const Routes> before = board_.get();
  const bool first = before->version == 0;
  Status first_error;
  const auto note = [&](const Status& status) {
    if (!status.ok() && first_error.ok()) first_error = status;
  };
  std::size_t regions = 0, led = 0;
  std::uint64_t replayed = 0;
  for (const auto& [name, grid] : wanted.grids) {
    for (const RegionRoute& region : grid.regions) led += region.leader == wanted.self ? 1 : 0;
  }
  led_.store(led);
  std::vector<std::shared_ptr<region::Executor>> lost;
  for (auto& [name, grid] : wanted.grids) {
    const GridRoutes* old = before->find(name);
    if (old != nullptr && old->grid.id != grid.grid.id) old = nullptr;
    for (std::size_t i = 0; i < grid.regions.size(); ++i) {
      RegionRoute& region = grid.regions[i];
      std::shared_ptr<region::Executor> present = old != nullptr ? old->regions[i].local : nullptr;
      if (region.leader != wanted.self) {
        if (present) lost.push_back(std::move(present));
        continue;
      }
      ++regions;
      if (!present) {
        present = start_executor(grid.grid, RegionId(static_cast<std::int32_t>(i)), region.epoch);
        if (const auto info = present->info(); info.ok()) replayed += info->replayed;
        lanes_->add(present);
      }
      region.local = std::move(present);
    }
  }
  std::set<TopicId> known;
  for (const catalog::Topic& topic : wanted.topics) known.insert(topic.id);
  for (const auto& [name, grid] : wanted.grids)
    known.insert({grid.grid.messages, grid.grid.changes, grid.grid.dead});
  {
    const std::lock_guard lock(mutex_);
    start_.topics = known.size();
    start_.regions = regions;
    start_.changes_replayed += replayed;
  }
  for (const auto& executor : lost) give_up(executor);
  if (first) return first_error;
  for (const auto& [name, grid] : before->grids) {
    const GridRoutes* still = wanted.find(name);
    if (still == nullptr || still->grid.id != grid.grid.id) note(drop_grid(grid));
  }
  for (const catalog::Topic& topic : before->topics) {
    if (known.count(topic.id) == 0 && topic.grid == GridId(0)) note(log_->delete_topic(topic.id));
  }
  return first_error;
}

void Host::run_checkpoints() {
  std::unique_lock lock(checkpoint_mutex_);
  for (;;) {
    checkpoint_wake_.wait(lock, [this] { return checkpoints_end_ || !checkpoints_.empty(); });
    if (checkpoints_.empty()) return;
    std::vector<Written> work = std::exchange(checkpoints_, {});
    checkpoints_busy_ = work.size();
    lock.unlock();
    std::vector<Status> written;
    bool any = false;
    for (const Written& one : work) {
      written.push_back(one.checkpoint.write(*store_));
      any = any || written.back().ok();
    }
    if (any) {
      const Status flushed = store_->flush();
      for (Status& status : written) {
        if (status.ok() && !flushed.ok()) status = flushed;
      }
    }
    for (std::size_t i = 0; i < work.size(); ++i) {
      region::Executor* executor = work[i].executor.get();
      lanes_->post(executor->lane(), [executor = std::move(work[i].executor), life = work[i].life,
                                      status = written[i]] { executor->checkpoint_written(life, status); });
    }
    work.clear();
    lock.lock();
    checkpoints_busy_ = 0;
    checkpoint_wake_.notify_all();
  }
}

void Host::run_ticks() {
  std::uint64_t ticked = 0, frozen = 0;
  auto last = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const bool busy = sealed_bytes_.load(std::memory_order_relaxed) != ticked || disk_full_.load();
    wake_.wait_for(lock, busy ? 200ms : 1000ms, [this] { return stopping_; });
    if (stopping_) return;
    lock.unlock();
    const std::uint64_t sealed = sealed_bytes_.load(std::memory_order_relaxed);
    const auto now = std::chrono::steady_clock::now();
    if (sealed - ticked >= kTickEvery || now - last >= 900ms) {
      const bool checkpoint = sealed - frozen >= setup_.checkpoint_bytes;
      if (checkpoint) frozen = sealed;
      ticked = sealed;
      last = now;
      lanes_->tick(checkpoint);
    }
    if (disk_full_.load()) {
      const auto space = store::posix_file_system().free_bytes(setup_.directory);
      if (!log_->metrics().disk_full && space.ok() && *space > kFreeAgain) disk_full_.store(false);
    }
    lock.lock();
  }
}

void Host::drain() {
  each_executor([this](const auto& executor) { run_and_wait(*executor, [&] { executor->seal(); }); });
  log_->drain().ignore("stop() reports what the log has to say");
}

void Host::checkpoint_all() {
  for (int round = 0; round < 4; ++round) {
    bool any = false;
    const auto freeze = [&](const std::shared_ptr<region::Executor>& executor) {
      run_and_wait(*executor, [&] {
        executor->seal();
        if (executor->checkpoint(true)) any = true;
      });
    };
    each_executor(freeze);
    const bool drained = log_->drain().ok();
    each_executor(freeze);
    {
      std::unique_lock lock(checkpoint_mutex_);
      checkpoint_wake_.wait(lock, [this] { return checkpoints_.empty() && checkpoints_busy_ == 0; });
    }
    if (!any || !drained) return;
  }
}

Status Host::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return {};
    stopped_ = stopping_ = true;
    wake_.notify_all();
  }
  if (tick_thread_.joinable()) tick_thread_.join();
  Status closed;
  if (lanes_) {
    checkpoint_all();
    each_executor([this](const auto& executor) { give_up(executor); });
  }
  {
    const std::lock_guard lock(checkpoint_mutex_);
    checkpoints_end_ = true;
    checkpoint_wake_.notify_all();
  }
  if (checkpoint_thread_.joinable()) checkpoint_thread_.join();
  if (lanes_) lanes_->stop();
  board_.publish(std::make_shared<const Routes>());
  if (log_) closed = log_->close();
  if (store_) {
    const Status flushed = store_->flush();
    if (closed.ok()) closed = flushed;
  }
  return closed;
}

}  // namespace afdg::server
