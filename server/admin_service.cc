#include "server/admin_service.h"

#include "afdg/v1/admin.pb.h"
#include "base/codec.h"
#include "server/convert.h"
#include "server/router.h"

namespace afdg::server {
namespace {

constexpr auto kCatalogTimeout = std::chrono::milliseconds(8000);

template <typename Call, typename Answer>
RpcMethod on_worker(const AdminParts& parts, std::function<Result<Answer>(const Call&)> serve) {
  return unary_method([parts, serve = std::move(serve)](RpcBytes bytes, std::chrono::system_clock::time_point,
                                                        RpcAnswer answer) {
    auto call = std::make_shared<Call>();
    if (!call->ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size()))) {
      return answer(fail(Code::kUndecodable,
                         "the call is no " + Call::descriptor()->full_name() + ": check the client"));
    }
    const auto unavailable = [] {
      return fail(Code::kUnavailable, "the server is starting or stopping: try again soon");
    };
    const auto run = [parts, unavailable, serve, call, answer] {
      if (!parts.serving()) return answer(unavailable());
      Result<Answer> result = serve(*call);
      answer(result.ok() ? Result<std::string>(result->SerializeAsString())
                         : Result<std::string>(result.error()));
    };
    if (parts.background->post(run)) return;
    // A stopping server takes no more work; that is not for the lack of room.
    answer(parts.serving() ? fail(Code::kOverloaded, "too many administrative calls wait: try again later")
                           : unavailable());
  });
}

std::string kind_name(OperationKind kind) {
  switch (kind) {
    case OperationKind::kAsk:
      return "ask";
    case OperationKind::kRead:
      return "read";
    case OperationKind::kTell:
      return "tell";
    case OperationKind::kTimer:
      return "timer";
  }
  return "ask";
}

class Admin {
 public:
  explicit Admin(const AdminParts& parts) : parts_(parts) {}

  /// Changes belong to the catalog's process.
  template <typename Answer, typename Call>
  Result<Answer> pass_on(const char* method, const Call& call) const {
    Answer answer;
    AFDG_TRY(parts_.peers->call_and_wait(parts_.cluster->catalog_address(), method, call, answer,
                                         kCatalogTimeout));
    return answer;
  }
  Result<v1::GridInfo> create_grid(const v1::CreateGridCall& call) const {
    if (!parts_.cluster->has_catalog()) return pass_on<v1::GridInfo>("/afdg.v1.Admin/CreateGrid", call);
    AFDG_ASSIGN(
        const catalog::Grid grid,
        parts_.cluster->create_grid(
            {.name = call.name(),
             .regions =
                 call.regions() == 0 ? 16 : static_cast<std::int32_t>(std::min(call.regions(), 1u << 30)),
             .types = {call.types().begin(), call.types().end()},
             .replication = call.replication() == 0 ? 1 : call.replication()}));
    v1::GridInfo info;
    fill_grid(grid, info);
    return info;
  }
  Result<v1::Empty> delete_grid(const v1::NamedCall& call) const {
    if (!parts_.cluster->has_catalog()) return pass_on<v1::Empty>("/afdg.v1.Admin/DeleteGrid", call);
    AFDG_TRY(parts_.cluster->delete_grid(call.name()));
    return v1::Empty();
  }
  Result<v1::TopicInfo> create_topic(const v1::CreateTopicCall& call) const {
    if (!parts_.cluster->has_catalog()) return pass_on<v1::TopicInfo>("/afdg.v1.Admin/CreateTopic", call);
    AFDG_ASSIGN(const catalog::Topic topic,
                parts_.cluster->create_topic(
                    {.name = call.name(),
                     .partitions = call.partitions() == 0
                                       ? 1
                                       : static_cast<std::int32_t>(std::min(call.partitions(), 1u << 30)),
                     .replication = call.replication() == 0 ? 1 : call.replication(),
                     .config = {call.config().begin(), call.config().end()}}));
    v1::TopicInfo info;
    fill_topic(topic, *parts_.board->get(), info);
    return info;
  }
  Result<v1::Empty> delete_topic(const v1::NamedCall& call) const {
    if (!parts_.cluster->has_catalog()) return pass_on<v1::Empty>("/afdg.v1.Admin/DeleteTopic", call);
    AFDG_TRY(parts_.cluster->delete_topic(call.name()));
    return v1::Empty();
  }
  Result<v1::TopicInfo> alter_topic(const v1::AlterTopicCall& call) const {
    if (!parts_.cluster->has_catalog()) return pass_on<v1::TopicInfo>("/afdg.v1.Admin/AlterTopic", call);
    catalog::Catalog::TopicChange change;
    for (const auto& [key, value] : call.set()) change.config.insert_or_assign(key, value);
    for (const auto& key : call.unset()) change.config.insert_or_assign(key, std::nullopt);
    change.replace = call.replace();
    if (call.partitions() != 0)
      change.partitions = static_cast<std::int32_t>(std::min(call.partitions(), 1u << 30));
    AFDG_ASSIGN(const catalog::Topic topic, parts_.cluster->change_topic(call.name(), change));
    v1::TopicInfo info;
    fill_topic(topic, *parts_.board->get(), info);
    return info;
  }
  Result<v1::GridList> list_grids(const v1::Empty&) const {
    v1::GridList list;
    const auto routes = parts_.board->get();
    for (const auto& [name, grid] : routes->grids) fill_grid(grid.grid, *list.add_grids());
    return list;
  }
  Result<v1::GridDescription> describe_grid(const v1::NamedCall& call) const {
    const auto routes = parts_.board->get();
    const GridRoutes* grid = routes->find(call.name());
    if (grid == nullptr) return fail(Code::kUnknownGrid, unknown_grid(*routes, call.name()));
    v1::GridDescription description;
    fill_grid(grid->grid, *description.mutable_grid());
    v1::RegionsCall regions;
    regions.set_grid(call.name());
    AFDG_ASSIGN(v1::RegionList list, parts_.gather->regions(regions));
    description.mutable_regions()->Swap(list.mutable_regions());
    bool known = true;
    for (const std::string& name : grid->grid.types) {
      const agents::AgentType* type = parts_.types->find(name);
      if (type == nullptr) {
        known = false;
        continue;
      }
      for (const auto& handler : type->handlers) {
        v1::MessageSchema& schema = *description.add_messages();
        schema.set_type(name);
        schema.set_message(handler.message);
        if (handler.answer_descriptor != nullptr) schema.set_answer(handler.answer_descriptor->name());
        schema.set_kind(kind_name(handler.kind));
        schema.set_example_json(agents::example_json(*handler.message_descriptor));
      }
    }
    if (!known && !grid->regions.empty()) {  // this process does not host the types: a node that leads does
      const auto node = routes->nodes.find(grid->regions.front().leader);
      v1::GridDescription theirs;
      if (node != routes->nodes.end() && node->second.alive && node->first != routes->self &&
          parts_.peers
              ->call_and_wait(node->second.address, "/afdg.v1.Admin/DescribeGrid", call, theirs,
                              kCatalogTimeout)
              .ok()) {
        description.mutable_messages()->Swap(theirs.mutable_messages());
      }
    }
    return description;
  }
  Result<v1::NodeList> nodes(const v1::Empty& call) const {
    if (!parts_.cluster->has_catalog()) {
      // The catalog knows best when it was heard of; without it, what was last known.
      if (auto list = pass_on<v1::NodeList>("/afdg.v1.Admin/Nodes", call); list.ok()) return list;
    }
    v1::NodeList list;
    const auto routes = parts_.board->get();
    for (const auto& [id, node] : routes->nodes) fill_node(id, node, *list.add_nodes());
    std::map<std::uint32_t, std::uint32_t> led;
    for (const auto& [name, grid] : routes->grids) {
      for (const auto& route : grid.regions) ++led[static_cast<std::uint32_t>(route.leader.value())];
    }
    for (auto& node : *list.mutable_nodes()) node.set_regions_led(led[node.id()]);
    return list;
  }
  static void fill_route(const Routes& routes, const GridRoutes& grid, std::size_t region, v1::Route& route) {
    const RegionRoute& of = grid.regions[region];
    route.set_grid(grid.grid.name);
    route.set_region(static_cast<std::uint32_t>(region));
    route.set_node(static_cast<std::uint32_t>(of.leader.value()));
    route.set_epoch(of.epoch.value());
    const auto node = routes.nodes.find(of.leader);
    if (node != routes.nodes.end() && node->second.alive) route.set_address(node->second.address);
  }
  Result<v1::Route> find_route(const v1::RouteCall& call) const {
    const auto routes = parts_.board->get();
    const GridRoutes* grid = routes->find(call.grid());
    if (grid == nullptr) return fail(Code::kUnknownGrid, unknown_grid(*routes, call.grid()));
    if (!call.by_region() && call.key().empty())
      return fail(Code::kInvalidArgument, "a route needs a key or a region: name one");
    if (!call.by_region() && !call.type().empty() && !grid->hosts(call.type())) {
      return fail(Code::kUnknownType, "grid '" + call.grid() + "' hosts no agent type '" + call.type() +
                                          "': 'afdg grid describe " + call.grid() + "' lists its types");
    }
    const std::size_t region = call.by_region()
                                   ? call.region()
                                   : static_cast<std::size_t>(key_partition(call.key(), grid->grid.regions));
    if (region >= grid->regions.size()) {
      return fail(Code::kNotFound, "grid '" + call.grid() + "' has no region " + std::to_string(region) +
                                       ": it has 0 to " + std::to_string(grid->regions.size() - 1));
    }
    v1::Route route;
    fill_route(*routes, *grid, region, route);
    return route;
  }
  Result<v1::RouteTable> route_table(const v1::RoutesCall& call) const {
    const auto routes = parts_.board->get();
    const GridRoutes* grid = routes->find(call.grid());
    if (grid == nullptr) return fail(Code::kUnknownGrid, unknown_grid(*routes, call.grid()));
    v1::RouteTable table;
    table.set_regions(static_cast<std::uint32_t>(grid->grid.regions));
    table.set_grid_id(grid->grid.id.value());
    table.mutable_types()->Assign(grid->grid.types.begin(), grid->grid.types.end());
    for (std::size_t i = 0; i < grid->regions.size(); ++i) fill_route(*routes, *grid, i, *table.add_routes());
    return table;
  }

 private:
  const AdminParts parts_;
};

}  // namespace

void add_admin_service(RpcServer& server, const AdminParts& parts) {
  const auto admin = std::make_shared<const Admin>(parts);
  const auto add = [&](const char* name, auto serve) {
    using Serve = decltype(serve);
    const auto bind = [&]<typename Call, typename Answer>(Result<Answer> (Admin::*)(const Call&) const) {
      server.add(std::string("/afdg.v1.Admin/") + name,
                 on_worker<Call, Answer>(
                     parts, [admin, serve](const Call& call) { return ((*admin).*serve)(call); }));
    };
    bind(static_cast<Serve>(serve));
  };
  add("CreateGrid", &Admin::create_grid);
  add("DeleteGrid", &Admin::delete_grid);
  add("ListGrids", &Admin::list_grids);
  add("DescribeGrid", &Admin::describe_grid);
  add("CreateTopic", &Admin::create_topic);
  add("DeleteTopic", &Admin::delete_topic);
  add("AlterTopic", &Admin::alter_topic);
  add("Nodes", &Admin::nodes);
  add("FindRoute", &Admin::find_route);
  add("Routes", &Admin::route_table);
  const auto gather = [&]<typename Call, typename Answer>(const char* name,
                                                          Result<Answer> (Gather::*serve)(const Call&)) {
    server.add(std::string("/afdg.v1.Admin/") + name,
               on_worker<Call, Answer>(
                   parts, [from = parts.gather, serve](const Call& call) { return (from->*serve)(call); }));
  };
  gather("Regions", &Gather::regions);
  gather("Topics", &Gather::topics);
  gather("ListAgents", &Gather::list_agents);
  gather("ShowAgent", &Gather::show_agent);
  const auto group = [&]<typename Call, typename Answer>(const char* name,
                                                         Result<Answer> (GroupAdmin::*serve)(const Call&)) {
    server.add(std::string("/afdg.v1.Admin/") + name,
               on_worker<Call, Answer>(
                   parts, [of = parts.groups, serve](const Call& call) { return (of->*serve)(call); }));
  };
  group("Groups", &GroupAdmin::list);
  group("DescribeGroup", &GroupAdmin::describe);
  group("SeekGroup", &GroupAdmin::seek);
  group("CommitGroup", &GroupAdmin::commit);
  group("DeleteGroup", &GroupAdmin::remove);
  server.add("/afdg.v1.Admin/Read", read_method(parts));
  server.add("/afdg.v1.Admin/Server",
             on_worker<v1::Empty, v1::ServerState>(
                 parts, [state = parts.server_state](const v1::Empty&) -> Result<v1::ServerState> {
                   return state();
                 }));
  server.add("/afdg.v1.Admin/Consume", consume_method(parts));
  if (parts.cluster->has_catalog()) {
    server.add("/afdg.v1.Catalog/Heartbeat",
               on_worker<v1::HeartbeatCall, v1::HeartbeatAnswer>(
                   parts, [cluster = parts.cluster](const v1::HeartbeatCall& call) {
                     return cluster->heartbeat(call);
                   }));
  }
}

}  // namespace afdg::server
