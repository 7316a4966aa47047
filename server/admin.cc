#include "server/admin.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "afdg/v1/admin.pb.h"
#include "base/codec.h"
#include "server/version.h"

namespace afdg::server {
namespace {

using namespace std::chrono_literals;
constexpr auto kPeerTimeout = 5000ms;
constexpr std::uint32_t kListedMax = 10'000;

std::string quoted(std::string_view text) { return "'" + std::string(text.substr(0, 200)) + "'"; }

/// A unary method that runs on a worker.
template <typename Call, typename Answer>
RpcMethod on_worker(AdminContext& context, std::string name,
                    Status (*serve)(AdminContext&, const Call&, Answer&)) {
  return unary_method([&context, name = std::move(name), serve](
                          RpcBytes bytes, std::chrono::system_clock::time_point, RpcAnswer answer) {
    if (!context.ready.load())
      return answer(fail(Code::kUnavailable, "the server is starting or stopping: try again soon"));
    const bool taken = context.workers.run([&context, name, serve, bytes = std::move(bytes), answer] {
      Call call;
      if (!call.ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size()))) {
        return answer(fail(Code::kUndecodable,
                           "the request of " + name + " is no " + call.GetTypeName() + ": check the client"));
      }
      Answer result;
      const Status status = serve(context, call, result);
      answer(status.ok() ? Result<std::string>(result.SerializeAsString())
                         : Result<std::string>(status.error()));
    });
    if (!taken)
      answer(fail(Code::kOverloaded, "too many administrative calls wait, or the server stops: try again"));
  });
}

template <typename Call, typename Answer>
Status ask_catalog(AdminContext& context, const char* method, const Call& call, Answer& answer) {
  return context.peers.call_and_wait(context.cluster->catalog_address(),
                                     std::string("/afdg.v1.Admin/") + method, call, answer, kPeerTimeout);
}

v1::GridInfo grid_info(const catalog::Grid& grid) {
  v1::GridInfo info;
  info.set_id(grid.id.value());
  info.set_name(grid.name);
  info.set_regions(static_cast<std::uint32_t>(grid.regions));
  info.set_replication(grid.replication);
  for (const std::string& type : grid.types) info.add_types(type);
  info.set_created_unix_ms(grid.created.time_since_epoch().count());
  info.set_state("active");
  return info;
}

Result<const GridRoutes*> find_grid(const Routes& routes, const std::string& name) {
  if (name.empty() && routes.grids.size() == 1) return &routes.grids.begin()->second;
  const GridRoutes* grid = routes.find(name);
  if (grid == nullptr) return fail(Code::kUnknownGrid, unknown_grid(routes, name));
  return grid;
}

Status create_grid(AdminContext& context, const v1::CreateGridCall& call, v1::GridInfo& answer) {
  if (!context.cluster->has_catalog()) return ask_catalog(context, "CreateGrid", call, answer);
  if (call.regions() > 1u << 20)
    return fail(Code::kInvalidArgument,
                "a grid of " + std::to_string(call.regions()) + " regions: use 1 to 4096");
  catalog::Catalog::NewGrid grid;
  grid.name = call.name();
  grid.regions = static_cast<std::int32_t>(call.regions());
  grid.types.assign(call.types().begin(), call.types().end());
  grid.replication = call.replication() == 0 ? 1 : call.replication();
  AFDG_ASSIGN(const catalog::Grid made, context.cluster->create_grid(grid));
  answer = grid_info(made);
  return {};
}

Status delete_grid(AdminContext& context, const v1::NamedCall& call, v1::Empty& answer) {
  if (!context.cluster->has_catalog()) return ask_catalog(context, "DeleteGrid", call, answer);
  return context.cluster->delete_grid(call.name());
}

Status list_grids(AdminContext& context, const v1::Empty&, v1::GridList& answer) {
  const auto routes = context.host.board().get();
  for (const auto& [name, grid] : routes->grids) *answer.add_grids() = grid_info(grid.grid);
  return {};
}

void region_status(Host& host, const GridRoutes& grid, std::size_t index, v1::RegionStatus& status) {
  const RegionRoute& region = grid.regions[index];
  status.set_grid(grid.grid.name);
  status.set_region(static_cast<std::uint32_t>(index));
  status.set_leader(static_cast<std::uint32_t>(region.leader.value()));
  status.set_epoch(region.epoch.value());
  if (!region.local) {
    status.set_state("unavailable");
    return;
  }
  Epoch epoch = region.epoch;
  const auto info = host.on_lane(region.local, [&](region::Executor& executor) {
    epoch = executor.epoch();
    return executor.info();
  });
  status.set_epoch(epoch.value());
  if (!info.ok()) {
    status.set_state(info.code() == Code::kCorrupt || info.code() == Code::kNewerFormat ? "faulty"
                                                                                        : "recovering");
    status.set_fault(info.error().text());
    return;
  }
  status.set_messages_start(info->messages_start.value());
  status.set_applied(info->applied.value());
  status.set_messages_end(info->messages_end.value());
  status.set_changes_end(info->changes_end.value());
  status.set_checkpointed(info->checkpointed.value());
  status.set_live_agents(info->live_agents);
  status.set_outbox(info->outbox);
  status.set_memory_bytes(info->memory_bytes);
  status.set_dead(static_cast<std::uint64_t>(std::max<std::int64_t>(0, info->dead_end.value())));
  status.set_state(!info->fault.ok() ? "faulty" : info->recovering ? "recovering" : "running");
  if (!info->fault.ok()) status.set_fault(info->fault.error().text());
}

Status regions(AdminContext& context, const v1::RegionsCall& call, v1::RegionList& answer) {
  const auto routes = context.host.board().get();
  std::map<std::pair<std::string, std::uint32_t>, v1::RegionStatus> found;
  std::set<NodeId> others;
  for (const auto& [name, grid] : routes->grids) {
    if (!call.grid().empty() && call.grid() != name) continue;
    for (std::size_t i = 0; i < grid.regions.size(); ++i) {
      const bool local = grid.regions[i].leader == routes->self;
      if (call.local_only() && !local) continue;
      if (!local) others.insert(grid.regions[i].leader);
      region_status(context.host, grid, i, found[{name, static_cast<std::uint32_t>(i)}]);
    }
  }
  if (!call.grid().empty() && routes->find(call.grid()) == nullptr)
    return fail(Code::kUnknownGrid, unknown_grid(*routes, call.grid()));
  for (const NodeId node : others) {
    const auto route = routes->nodes.find(node);
    if (route == routes->nodes.end() || !route->second.alive) continue;
    v1::RegionsCall local = call;
    local.set_local_only(true);
    v1::RegionList theirs;
    if (!context.peers
             .call_and_wait(route->second.address, "/afdg.v1.Admin/Regions", local, theirs, kPeerTimeout)
             .ok())
      continue;
    for (v1::RegionStatus& status : *theirs.mutable_regions())
      found[{status.grid(), status.region()}] = status;
  }
  for (auto& [key, status] : found) *answer.add_regions() = std::move(status);
  return {};
}

Status describe_grid(AdminContext& context, const v1::NamedCall& call, v1::GridDescription& answer) {
  const auto routes = context.host.board().get();
  AFDG_ASSIGN(const GridRoutes* grid, find_grid(*routes, call.name()));
  *answer.mutable_grid() = grid_info(grid->grid);
  v1::RegionsCall listed;
  listed.set_grid(grid->grid.name);
  v1::RegionList list;
  AFDG_TRY(regions(context, listed, list));
  *answer.mutable_regions() = list.regions();
  for (const std::string& name : grid->grid.types) {
    const agents::AgentType* type = context.host.types().find(name);
    if (type == nullptr) continue;
    for (const agents::HandlerInfo& handler : type->handlers) {
      v1::MessageSchema* schema = answer.add_messages();
      schema->set_type(name);
      schema->set_message(handler.message);
      if (handler.answer_descriptor != nullptr)
        schema->set_answer(std::string(handler.answer_descriptor->name()));
      schema->set_kind(handler.kind == OperationKind::kAsk    ? "ask"
                       : handler.kind == OperationKind::kRead ? "read"
                                                              : "tell");
      schema->set_example_json(agents::example_json(*handler.message_descriptor));
    }
  }
  return {};
}

Status create_topic(AdminContext& context, const v1::CreateTopicCall& call, v1::TopicInfo& answer) {
  if (!context.cluster->has_catalog()) return ask_catalog(context, "CreateTopic", call, answer);
  if (call.partitions() > 1u << 20)
    return fail(Code::kInvalidArgument,
                "a topic of " + std::to_string(call.partitions()) + " partitions: use 1 to 4096");
  catalog::Catalog::NewTopic topic;
  topic.name = call.name();
  topic.partitions = static_cast<std::int32_t>(call.partitions());
  topic.replication = call.replication() == 0 ? 1 : call.replication();
  topic.config.insert(call.config().begin(), call.config().end());
  AFDG_ASSIGN(const catalog::Topic made, context.cluster->create_topic(topic));
  answer.set_name(made.name);
  answer.set_id(made.id.value());
  answer.set_partitions(static_cast<std::uint32_t>(made.partitions));
  answer.set_replication(made.replication);
  answer.set_durability(made.relaxed ? "relaxed" : "synced");
  for (const auto& [key, value] : made.config) (*answer.mutable_config())[key] = value;
  return {};
}

Status delete_topic(AdminContext& context, const v1::NamedCall& call, v1::Empty& answer) {
  if (!context.cluster->has_catalog()) return ask_catalog(context, "DeleteTopic", call, answer);
  return context.cluster->delete_topic(call.name());
}

void describe_partition(Host& host, TopicId topic, std::uint32_t index, v1::PartitionInfo& info) {
  const auto description = host.log().describe({topic, PartitionIndex(static_cast<std::int32_t>(index))});
  if (!description.ok()) {
    info.set_faulty(description.code() == Code::kCorrupt);
    if (description.code() != Code::kNotFound) info.set_fault(description.error().text());
    return;
  }
  info.set_start(description->start.value());
  info.set_end(description->end.value());
  info.set_bytes(description->bytes);
  info.set_segments(static_cast<std::uint32_t>(description->segments));
  if (description->epoch.value() >= 0) info.set_epoch(description->epoch.value());
  if (!description->fault.ok()) {
    info.set_faulty(true);
    info.set_fault(description->fault.error().text());
  }
}

Status topics(AdminContext& context, const v1::TopicsCall& call, v1::TopicList& answer) {
  const auto routes = context.host.board().get();
  std::set<NodeId> others;
  for (const catalog::Topic& topic : routes->topics) {
    if (!call.name().empty() && call.name() != topic.name) continue;
    v1::TopicInfo* info = answer.add_topics();
    info->set_name(topic.name);
    info->set_id(topic.id.value());
    info->set_partitions(static_cast<std::uint32_t>(topic.partitions));
    info->set_replication(topic.replication);
    info->set_durability(topic.relaxed ? "relaxed" : "synced");
    for (const auto& [key, value] : topic.config) (*info->mutable_config())[key] = value;
    const GridRoutes* of = nullptr;
    for (const auto& [name, grid] : routes->grids) {
      if (grid.grid.id == topic.grid) of = &grid;
    }
    if (of != nullptr) info->set_grid(of->grid.name);
    const auto placed = routes->partitions.find(topic.id);
    for (std::int32_t i = 0; i < topic.partitions; ++i) {
      const auto at = static_cast<std::size_t>(i);
      v1::PartitionInfo* partition = info->add_partition_infos();
      partition->set_index(static_cast<std::uint32_t>(i));
      NodeId leader{0};
      Epoch epoch{0};
      if (of != nullptr && at < of->regions.size()) {
        leader = of->regions[at].leader;
        epoch = of->regions[at].epoch;
      } else if (placed != routes->partitions.end() && at < placed->second.size()) {
        leader = placed->second[at].leader;
        epoch = placed->second[at].epoch;
      }
      partition->set_leader(static_cast<std::uint32_t>(leader.value()));
      partition->set_epoch(epoch.value());
      if (leader == routes->self) {
        describe_partition(context.host, topic.id, static_cast<std::uint32_t>(i), *partition);
      } else if (!call.local_only()) {
        others.insert(leader);
      }
    }
  }
  if (!call.name().empty() && answer.topics_size() == 0)
    return fail(Code::kNotFound, "no topic is named " + quoted(call.name()) + ": see topic list");
  for (const NodeId node : others) {
    const auto route = routes->nodes.find(node);
    if (route == routes->nodes.end() || !route->second.alive) continue;
    v1::TopicsCall local = call;
    local.set_local_only(true);
    v1::TopicList theirs;
    if (!context.peers
             .call_and_wait(route->second.address, "/afdg.v1.Admin/Topics", local, theirs, kPeerTimeout)
             .ok())
      continue;
    for (const v1::TopicInfo& theirs_info : theirs.topics()) {
      for (v1::TopicInfo& info : *answer.mutable_topics()) {
        if (info.id() != theirs_info.id()) continue;
        for (int i = 0; i < std::min(info.partition_infos_size(), theirs_info.partition_infos_size()); ++i) {
          if (theirs_info.partition_infos(i).leader() == static_cast<std::uint32_t>(node.value()))
            *info.mutable_partition_infos(i) = theirs_info.partition_infos(i);
        }
      }
    }
  }
  return {};
}

Status nodes(AdminContext& context, const v1::Empty&, v1::NodeList& answer) {
  const auto routes = context.host.board().get();
  std::map<NodeId, std::uint32_t> led;
  for (const auto& [name, grid] : routes->grids) {
    for (const RegionRoute& region : grid.regions) ++led[region.leader];
  }
  for (const auto& [id, node] : routes->nodes) {
    v1::NodeInfo* info = answer.add_nodes();
    info->set_id(static_cast<std::uint32_t>(id.value()));
    info->set_address(node.address);
    info->set_http_address(node.http_address);
    for (const std::string& role : node.roles) info->add_roles(role);
    for (const std::string& type : node.types) info->add_types(type);
    info->set_alive(node.alive);
    info->set_last_seen_unix_ms(node.last_seen.time_since_epoch().count());
    info->set_regions_led(led[id]);
    info->set_incarnation(node.incarnation.value());
  }
  return {};
}

void fill_route(const Routes& routes, const GridRoutes& grid, std::size_t index, v1::Route& route) {
  const RegionRoute& region = grid.regions[index];
  route.set_grid(grid.grid.name);
  route.set_region(static_cast<std::uint32_t>(index));
  route.set_node(static_cast<std::uint32_t>(region.leader.value()));
  route.set_epoch(region.epoch.value());
  if (const auto node = routes.nodes.find(region.leader); node != routes.nodes.end())
    route.set_address(node->second.address);
}

Status find_route(AdminContext& context, const v1::RouteCall& call, v1::Route& answer) {
  const auto routes = context.host.board().get();
  AFDG_ASSIGN(const GridRoutes* grid, find_grid(*routes, call.grid()));
  std::size_t index = call.region();
  if (!call.by_region()) {
    if (call.key().empty())
      return fail(Code::kInvalidArgument, "the route of an empty key was asked for: give the agent's key");
    index = static_cast<std::size_t>(key_partition(call.key(), grid->grid.regions));
  }
  if (index >= grid->regions.size()) {
    return fail(Code::kOutOfRange, "grid " + quoted(grid->grid.name) + " has regions 0 to " +
                                       std::to_string(grid->regions.size() - 1) + ", not " +
                                       std::to_string(index) + ": name one of them");
  }
  fill_route(*routes, *grid, index, answer);
  return {};
}

Status route_table(AdminContext& context, const v1::RoutesCall& call, v1::RouteTable& answer) {
  const auto routes = context.host.board().get();
  AFDG_ASSIGN(const GridRoutes* grid, find_grid(*routes, call.grid()));
  answer.set_regions(static_cast<std::uint32_t>(grid->grid.regions));
  answer.set_grid_id(grid->grid.id.value());
  for (const std::string& type : grid->grid.types) answer.add_types(type);
  for (std::size_t i = 0; i < grid->regions.size(); ++i) fill_route(*routes, *grid, i, *answer.add_routes());
  return {};
}

}  // namespace

Status list_agents(AdminContext& context, const v1::ListAgentsCall& call, v1::AgentKeys& answer) {
  const auto routes = context.host.board().get();
  AFDG_ASSIGN(const GridRoutes* grid, find_grid(*routes, call.grid()));
  if (!grid->hosts(call.type()))
    return fail(Code::kUnknownType, "grid " + quoted(grid->grid.name) + " hosts no agent type " +
                                        quoted(call.type()) + ": see grid describe");
  const std::uint32_t limit = call.limit() == 0 ? 1000 : std::min(call.limit(), kListedMax);
  std::vector<std::string> keys;
  bool more = false;
  std::set<NodeId> others;
  for (const RegionRoute& region : grid->regions) {
    if (!region.local) {
      if (region.leader != routes->self) others.insert(region.leader);
      continue;
    }
    auto listed = context.host.on_lane(
        region.local, [&](region::Executor& executor) -> Result<std::vector<std::string>> {
          if (executor.core() == nullptr)
            return fail(Code::kUnavailable, "region " + std::to_string(executor.region().value()) +
                                                " does not run now: try again");
          return executor.core()->list_agents(call.type(), call.prefix(), call.after(), limit + 1);
        });
    if (!listed.ok()) return listed.error();
    keys.insert(keys.end(), listed->begin(), listed->end());
  }
  if (!call.local_only()) {
    for (const NodeId node : others) {
      const auto route = routes->nodes.find(node);
      if (route == routes->nodes.end())
        return fail(Code::kUnavailable, "node " + std::to_string(node.value()) +
                                            ", which leads a part of the grid, is not known: try again");
      v1::ListAgentsCall local = call;
      local.set_local_only(true);
      local.set_limit(limit);
      v1::AgentKeys theirs;
      AFDG_TRY(context.peers.call_and_wait(route->second.address, "/afdg.v1.Admin/ListAgents", local, theirs,
                                           kPeerTimeout));
      keys.insert(keys.end(), theirs.keys().begin(), theirs.keys().end());
      more = more || theirs.more();
    }
  }
  std::sort(keys.begin(), keys.end());
  if (keys.size() > limit) {
    keys.resize(limit);
    more = true;
  }
  for (std::string& key : keys) answer.add_keys(std::move(key));
  answer.set_more(more);
  return {};
}

namespace {

Status show_agent(AdminContext& context, const v1::ShowAgentCall& call, v1::AgentState& answer) {
  const auto routes = context.host.board().get();
  AFDG_ASSIGN(const GridRoutes* grid, find_grid(*routes, call.grid()));
  if (call.key().empty()) return fail(Code::kInvalidArgument, "no agent key was given: write TYPE/KEY");
  const auto index = static_cast<std::size_t>(key_partition(call.key(), grid->grid.regions));
  const RegionRoute& region = grid->regions[index];
  if (!region.local) {
    const auto node = routes->nodes.find(region.leader);
    if (node == routes->nodes.end() || region.leader == routes->self)
      return fail(Code::kUnavailable, "region " + std::to_string(index) + " has no leader now: try again");
    return context.peers.call_and_wait(node->second.address, "/afdg.v1.Admin/ShowAgent", call, answer,
                                       kPeerTimeout);
  }
  const agents::AgentType* type = context.host.types().find(call.type());
  if (type == nullptr || !grid->hosts(call.type()))
    return fail(Code::kUnknownType, "grid " + quoted(grid->grid.name) + " hosts no agent type " +
                                        quoted(call.type()) + ": see grid describe");
  const std::size_t limit =
      call.items_max() == 0 ? 1000 : std::min<std::uint32_t>(call.items_max(), kListedMax);
  auto shown = context.host.on_lane(
      region.local, [&](region::Executor& executor) -> Result<std::vector<region::ShownItem>> {
        AFDG_ASSIGN(const region::RegionInfo info, executor.info());
        answer.set_applied(info.applied.value());
        return executor.core()->show_agent(call.type(), call.key(), limit + 1);
      });
  if (!shown.ok()) return shown.error();
  answer.set_region(static_cast<std::uint32_t>(index));
  if (shown->size() > limit) {
    shown->resize(limit);
    answer.set_truncated(true);
  }
  for (const region::ShownItem& item : *shown) {
    v1::EntityItem* entity = answer.add_items();
    entity->set_entity(item.entity);
    entity->set_entity_key(item.key);
    entity->set_sequence(item.sequence);
    const std::string_view bytes = item.value;
    entity->set_value(std::string(bytes));
    const auto descriptor = type->entities.find(item.entity);
    if (descriptor == type->entities.end() || descriptor->second == nullptr) continue;
    if (auto json = agents::bytes_to_json(*descriptor->second, bytes); json.ok())
      entity->set_json(std::move(*json));
  }
  return {};
}

Status server_state(AdminContext& context, const v1::Empty&, v1::ServerState& answer) {
  const auto routes = context.host.board().get();
  answer.set_version(std::string(kVersion));
  answer.set_node(static_cast<std::uint32_t>(routes->self.value()));
  for (const std::string& role : context.roles) answer.add_roles(role);
  answer.set_uptime_seconds(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - context.started).count());
  answer.set_memory_bytes(resident_bytes());
  const log::LogMetrics metrics = context.host.log().metrics();
  answer.set_commits(metrics.commits);
  answer.set_journal_bytes(metrics.bytes_journaled);
  answer.set_appended_bytes(metrics.bytes_appended);
  answer.set_sync_p50_us(commit_quantile_us(metrics, 0.5));
  answer.set_sync_p99_us(commit_quantile_us(metrics, 0.99));
  const HostTotals sums = totals(context.host);
  answer.set_turns(sums.turns);
  answer.set_reads(sums.reads);
  answer.set_live_agents(sums.live_agents);
  answer.set_regions(sums.regions);
  answer.set_grids(routes->grids.size());
  answer.set_calls_in_flight(context.host.admission()->calls.load());
  answer.set_refused_overloaded(context.host.admission()->refused.load());
  answer.set_durability("fsync before every answer");
  answer.set_security(context.security);
  answer.set_data_directory(context.data_directory);
  answer.set_reply_writes(context.counters.reply_writes.load());
  answer.set_reply_messages(context.counters.reply_messages.load());
  return {};
}

Status heartbeat(AdminContext& context, const v1::HeartbeatCall& call, v1::HeartbeatAnswer& answer) {
  if (!context.cluster->has_catalog())
    return fail(Code::kFailedPrecondition,
                "this node is no catalog: point --catalog at " + context.cluster->catalog_address());
  AFDG_ASSIGN(answer, context.cluster->heartbeat(call));
  return {};
}

}  // namespace

HostTotals totals(Host& host) {
  HostTotals sums;
  const auto routes = host.board().get();
  for (const auto& [name, grid] : routes->grids) {
    for (const RegionRoute& region : grid.regions) {
      if (!region.local) continue;
      ++sums.regions;
      const auto info =
          host.on_lane(region.local, [](region::Executor& executor) { return executor.info(); });
      if (!info.ok()) {
        ++sums.faulty;
        continue;
      }
      sums.turns += info->turns;
      sums.reads += info->reads;
      sums.live_agents += info->live_agents;
      sums.outbox += info->outbox;
      sums.memory_bytes += info->memory_bytes;
    }
  }
  return sums;
}

std::uint64_t resident_bytes() {
  unsigned long long total = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  const int read = std::fscanf(file, "%llu %llu", &total, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

std::uint64_t commit_quantile_us(const log::LogMetrics& metrics, double q) {
  std::uint64_t all = 0;
  for (const std::uint64_t count : metrics.commit_us_log2) all += count;
  if (all == 0) return 0;
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < metrics.commit_us_log2.size(); ++i) {
    seen += metrics.commit_us_log2[i];
    if (static_cast<double>(seen) >= q * static_cast<double>(all)) return std::uint64_t{1} << i;
  }
  return std::uint64_t{1} << metrics.commit_us_log2.size();
}

void add_admin(RpcServer& server, AdminContext& context) {
  const auto add = [&]<typename Call, typename Answer>(const char* name,
                                                       Status (*serve)(AdminContext&, const Call&, Answer&)) {
    const std::string full = std::string("/afdg.v1.Admin/") + name;
    server.add(full, on_worker<Call, Answer>(context, full, serve));
  };
  add("Server", server_state);
  add("CreateGrid", create_grid);
  add("DeleteGrid", delete_grid);
  add("ListGrids", list_grids);
  add("DescribeGrid", describe_grid);
  add("Regions", regions);
  add("CreateTopic", create_topic);
  add("DeleteTopic", delete_topic);
  add("Topics", topics);
  add("Nodes", nodes);
  add("FindRoute", find_route);
  add("Routes", route_table);
  add("ListAgents", server::list_agents);
  add("ShowAgent", show_agent);
  const std::string beat = "/afdg.v1.Catalog/Heartbeat";
  server.add(beat, on_worker<v1::HeartbeatCall, v1::HeartbeatAnswer>(context, beat, heartbeat));
}

}  // namespace afdg::server
