#include "server/cluster.h"

#include <algorithm>
#include <set>

#include "afdg/v1/admin.pb.h"
#include "base/thread.h"
#include "kafka/broker/cluster.h"
#include "server/convert.h"
#include "server/logging.h"

namespace afdg::server {
namespace {

constexpr auto kBeat = std::chrono::milliseconds(250);
constexpr auto kBeatTimeout = std::chrono::milliseconds(1000);
constexpr auto kNodesWait = std::chrono::milliseconds(2000);
constexpr std::string_view kHeartbeat = "/afdg.v1.Catalog/Heartbeat";

bool same_nodes(const Routes& a, const Routes& b) {
  if (a.nodes.size() != b.nodes.size()) return false;
  return std::equal(a.nodes.begin(), a.nodes.end(), b.nodes.begin(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.alive == y.second.alive && x.second.address == y.second.address &&
           x.second.types == y.second.types;
  });
}

}  // namespace

Cluster::Cluster(Setup setup)
    : catalog_(std::move(setup.catalog)),
      catalog_address_(std::move(setup.catalog_address)),
      self_(std::move(setup.self)),
      clock_(*setup.clock),
      board_(*setup.board),
      peers_(*setup.peers),
      apply_(std::move(setup.apply)),
      named_(std::move(setup.named)),
      version_base_(static_cast<std::uint64_t>(setup.clock->now().time_since_epoch().count()) << 20) {}

Cluster::~Cluster() { stop(); }

Status Cluster::start(const std::function<bool()>& give_up) {
  if (catalog_) {
    {
      const std::lock_guard lock(mutex_);
      AFDG_ASSIGN(self_.id, catalog_->node_started(self_, clock_.now()));
    }
    AFDG_TRY(named_(self_.id));
    changed();
    return {};
  }
  for (std::uint64_t tries = 0;; ++tries) {
    const Status asked = ask(true);
    if (asked.ok()) break;
    if (code_retry(asked.code()) == Retry::kNever && asked.code() != Code::kNotFound) return asked;
    if (tries % 20 == 0)
      log_warn("waiting for the catalog", {{"catalog", catalog_address_}, {"why", asked.error().text()}});
    if (give_up())
      return fail(Code::kCancelled, "stopped while waiting for the catalog at " + catalog_address_);
    std::unique_lock lock(stop_mutex_);
    stop_changed_.wait_for(lock, kBeat, [this] { return stopping_; });
  }
  thread_ = std::thread([this] {
    begin_thread("afdg-heartbeat");
    beat();
  });
  return {};
}

void Cluster::stop() {
  {
    const std::lock_guard lock(stop_mutex_);
    stopping_ = true;
    stop_changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Cluster::tick() {
  if (!catalog_) return;
  std::shared_ptr<Routes> routes;
  {
    const std::lock_guard lock(mutex_);
    catalog_->heartbeat(self_.id, self_.incarnation, clock_.now()).ignore("it is registered");
    if (catalog_->nodes(clock_.now()).size() < 2) return;
  }
  const std::lock_guard publishing(publishing_);
  routes = picture();
  const auto present = board_.get();
  if (same_nodes(*routes, *present)) return;
  // Only the nodes differ: regions stay as they are.
  auto next = std::make_shared<Routes>(*present);
  next->nodes = routes->nodes;
  board_.publish(std::move(next));
}

std::shared_ptr<Routes> Cluster::picture() {
  auto routes = std::make_shared<Routes>();
  const std::lock_guard lock(mutex_);
  const Timestamp now = clock_.now();
  routes->version = version();
  routes->cluster = catalog_->cluster_id();
  routes->self = self_.id;
  for (const auto& state : catalog_->nodes(now)) {
    routes->nodes.insert_or_assign(state.node.id, NodeRoute{.address = state.node.address,
                                                            .http_address = state.node.http_address,
                                                            .kafka_address = state.node.kafka_address,
                                                            .roles = state.node.roles,
                                                            .types = state.node.types,
                                                            .alive = state.alive || state.node.id == self_.id,
                                                            .last_seen = state.last_seen,
                                                            .regions_led = state.regions_led,
                                                            .incarnation = state.node.incarnation});
  }
  for (auto& grid : catalog_->grids()) {
    GridRoutes of{grid, {}};
    if (auto placements = catalog_->regions(grid.name); placements.ok()) {
      for (const auto& placement : *placements)
        of.regions.push_back({placement.leader, placement.epoch, nullptr});
    }
    routes->grids.insert_or_assign(grid.name, std::move(of));
  }
  routes->topics = catalog_->topics();
  for (const auto& topic : routes->topics) {
    if (topic.grid.value() != 0) continue;
    if (auto placements = catalog_->partitions(topic.name); placements.ok())
      routes->partitions.insert_or_assign(topic.id, *placements);
  }
  return routes;
}

void Cluster::changed() {
  const std::lock_guard publishing(publishing_);
  auto routes = picture();
  apply_(*routes);
  board_.publish(std::move(routes));
}

void Cluster::apply_again() {
  if (catalog_) return changed();
  const std::lock_guard publishing(publishing_);
  auto routes = std::make_shared<Routes>(*board_.get());
  apply_(*routes);
  board_.publish(std::move(routes));
}

void Cluster::wait_for_nodes(std::uint64_t version, const std::string& grid) {
  std::unique_lock lock(mutex_);
  std::set<NodeId> leaders;
  if (auto placements = catalog_->regions(grid); placements.ok()) {
    for (const auto& placement : *placements) leaders.insert(placement.leader);
  }
  leaders.erase(self_.id);
  heard_.wait_for(lock, kNodesWait, [&] {
    return std::all_of(leaders.begin(), leaders.end(), [&](NodeId id) { return applied_[id] >= version; });
  });
}

Result<catalog::Grid> Cluster::create_grid(const catalog::Catalog::NewGrid& grid) {
  catalog::Grid made;
  std::uint64_t made_at = 0;
  {
    const std::lock_guard lock(mutex_);
    const Timestamp now = clock_.now();
    catalog_->heartbeat(self_.id, self_.incarnation, now).ignore("it is registered");
    AFDG_ASSIGN(made, catalog_->create_grid(grid, now));
    made_at = version();
  }
  changed();
  wait_for_nodes(made_at, made.name);
  return made;
}

Status Cluster::delete_grid(std::string_view name) {
  {
    const std::lock_guard lock(mutex_);
    AFDG_TRY(catalog_->delete_grid(name));
  }
  changed();
  return {};
}

Result<catalog::Topic> Cluster::create_topic(const catalog::Catalog::NewTopic& topic) {
  catalog::Topic made;
  {
    const std::lock_guard lock(mutex_);
    const Timestamp now = clock_.now();
    catalog_->heartbeat(self_.id, self_.incarnation, now).ignore("it is registered");
    AFDG_ASSIGN(made, catalog_->create_topic(topic, now));
  }
  changed();
  return made;
}

Status Cluster::delete_topic(std::string_view name) {
  if (name == kafka::kOffsetsTopic) {
    return fail(
        Code::kPermissionDenied,
        "topic '" + std::string(name) + "' keeps the offsets of all consumer groups: delete groups instead");
  }
  {
    const std::lock_guard lock(mutex_);
    AFDG_TRY(catalog_->delete_topic(name));
  }
  changed();
  return {};
}

Result<catalog::Topic> Cluster::change_topic(std::string_view name,
                                             const catalog::Catalog::TopicChange& change) {
  if (name == kafka::kOffsetsTopic && change.partitions) {
    return fail(Code::kPermissionDenied,
                "topic '" + std::string(name) +
                    "' keeps its partitions: which of them a group has depends on their number");
  }
  catalog::Topic topic;
  {
    const std::lock_guard lock(mutex_);
    const Timestamp now = clock_.now();
    catalog_->heartbeat(self_.id, self_.incarnation, now).ignore("it is registered");
    AFDG_ASSIGN(topic, catalog_->change_topic(name, change, now));
  }
  changed();
  return topic;
}

catalog::Catalog::Refusals Cluster::refusals() {
  const std::lock_guard lock(mutex_);
  return catalog_->refusals();
}

Result<v1::HeartbeatAnswer> Cluster::heartbeat(const v1::HeartbeatCall& call) {
  if (!catalog_)
    return fail(Code::kFailedPrecondition, "this node has no catalog: ask the node with the role catalog");
  catalog::Node node = node_of(call.node());
  bool moved = false;
  {
    const std::lock_guard lock(mutex_);
    const Timestamp now = clock_.now();
    if (call.starting()) {
      AFDG_ASSIGN(node.id, catalog_->node_started(node, now));
      applied_[node.id] = 0;
      moved = true;
    } else {
      AFDG_TRY(catalog_->heartbeat(node.id, node.incarnation, now));
      applied_[node.id] = call.known_version();
    }
    heard_.notify_all();
  }
  if (moved) {
    changed();
  } else {
    tick();
  }
  v1::HeartbeatAnswer answer;
  answer.set_node(static_cast<std::uint32_t>(node.id.value()));
  const auto routes = board_.get();
  const bool whole = call.starting() || call.known_version() != routes->version;
  fill_answer(*routes, whole, answer);
  return answer;
}

Status Cluster::ask(bool starting) {
  v1::HeartbeatCall call;
  fill_node(self_, *call.mutable_node());
  call.set_starting(starting);
  call.set_known_version(known_version_);
  v1::HeartbeatAnswer answer;
  AFDG_TRY(peers_.call_and_wait(catalog_address_, std::string(kHeartbeat), call, answer, kBeatTimeout));
  if (starting) {
    self_.id = NodeId(static_cast<std::int32_t>(answer.node()));
    AFDG_TRY(named_(self_.id));
  }
  const std::lock_guard publishing(publishing_);
  auto routes = std::make_shared<Routes>();
  if (starting || answer.version() != known_version_) {
    read_answer(answer, *routes);
    routes->self = self_.id;
    apply_(*routes);
    known_version_ = answer.version();
    board_.publish(std::move(routes));
    return {};
  }
  read_nodes(answer, *routes);
  const auto present = board_.get();
  if (same_nodes(*routes, *present)) return {};
  auto next = std::make_shared<Routes>(*present);
  next->nodes = std::move(routes->nodes);
  board_.publish(std::move(next));
  return {};
}

void Cluster::doubt_deaths() {
  const std::lock_guard publishing(publishing_);
  const auto present = board_.get();
  auto next = std::make_shared<Routes>(*present);
  for (auto& [id, node] : next->nodes) node.alive = true;
  if (!same_nodes(*next, *present)) board_.publish(std::move(next));
}

void Cluster::beat() {
  bool lost = false;
  bool starting = false;
  std::unique_lock lock(stop_mutex_);
  while (!stop_changed_.wait_for(lock, kBeat, [this] { return stopping_; })) {
    lock.unlock();
    const Status asked = ask(starting);
    // The catalog does not know this node (its data was made anew): register again.
    starting = asked.code() == Code::kNotFound;
    if (asked.ok() == lost) {
      if (asked.ok()) {
        log_info("the catalog answers again", {{"catalog", catalog_address_}});
      } else {
        log_warn("the catalog does not answer; regions go on",
                 {{"catalog", catalog_address_}, {"why", asked.error().text()}});
        doubt_deaths();
      }
      lost = !asked.ok();
    }
    lock.lock();
  }
}

}  // namespace afdg::server
