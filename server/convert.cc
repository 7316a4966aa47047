#include "server/convert.h"

#include "afdg/v1/admin.pb.h"

namespace afdg::server {
namespace {

std::int64_t ms(Timestamp time) { return time.time_since_epoch().count(); }
Timestamp time_of(std::int64_t value) { return Timestamp(std::chrono::milliseconds(value)); }

}  // namespace

catalog::Node node_of(const v1::NodeInfo& info) {
  return {.id = NodeId(static_cast<std::int32_t>(info.id())),
          .incarnation = Incarnation(info.incarnation()),
          .address = info.address(),
          .http_address = info.http_address(),
          .kafka_address = info.kafka_address(),
          .roles = {info.roles().begin(), info.roles().end()},
          .types = {info.types().begin(), info.types().end()}};
}

void fill_node(const catalog::Node& node, v1::NodeInfo& info) {
  info.set_id(static_cast<std::uint32_t>(node.id.value()));
  info.set_incarnation(node.incarnation.value());
  info.set_address(node.address);
  info.set_http_address(node.http_address);
  info.set_kafka_address(node.kafka_address);
  info.mutable_roles()->Assign(node.roles.begin(), node.roles.end());
  info.mutable_types()->Assign(node.types.begin(), node.types.end());
}

void fill_node(NodeId id, const NodeRoute& node, v1::NodeInfo& info) {
  info.set_id(static_cast<std::uint32_t>(id.value()));
  info.set_incarnation(node.incarnation.value());
  info.set_address(node.address);
  info.set_http_address(node.http_address);
  info.set_kafka_address(node.kafka_address);
  info.mutable_roles()->Assign(node.roles.begin(), node.roles.end());
  info.mutable_types()->Assign(node.types.begin(), node.types.end());
  info.set_alive(node.alive);
  info.set_last_seen_unix_ms(ms(node.last_seen));
  info.set_regions_led(node.regions_led);
}

void fill_grid(const catalog::Grid& grid, v1::GridInfo& info) {
  info.set_id(grid.id.value());
  info.set_name(grid.name);
  info.set_regions(static_cast<std::uint32_t>(grid.regions));
  info.set_replication(grid.replication);
  info.mutable_types()->Assign(grid.types.begin(), grid.types.end());
  info.set_created_unix_ms(ms(grid.created));
  info.set_state("active");
}

void fill_topic(const catalog::Topic& topic, const Routes& routes, v1::TopicInfo& info) {
  info.set_name(topic.name);
  info.set_id(topic.id.value());
  info.set_partitions(static_cast<std::uint32_t>(topic.partitions));
  info.set_replication(topic.replication);
  info.set_durability(topic.relaxed ? "relaxed" : "synced");
  for (const auto& [key, value] : topic.config) (*info.mutable_config())[key] = value;
  const auto add = [&](NodeId leader, Epoch epoch) {
    auto& partition = *info.add_partition_infos();
    partition.set_index(static_cast<std::uint32_t>(info.partition_infos_size() - 1));
    partition.set_leader(static_cast<std::uint32_t>(leader.value()));
    partition.set_epoch(epoch.value());
  };
  for (const auto& [name, grid] : routes.grids) {
    if (grid.grid.id != topic.grid) continue;
    info.set_grid(name);
    for (const auto& route : grid.regions) add(route.leader, route.epoch);
  }
  if (const auto found = routes.partitions.find(topic.id); found != routes.partitions.end()) {
    for (const auto& placement : found->second) add(placement.leader, placement.epoch);
  }
}

void fill_answer(const Routes& routes, bool whole, v1::HeartbeatAnswer& answer) {
  answer.set_version(routes.version);
  answer.set_cluster(routes.cluster);
  for (const auto& [id, node] : routes.nodes) fill_node(id, node, *answer.add_nodes());
  if (!whole) return;
  for (const auto& [name, grid] : routes.grids) {
    fill_grid(grid.grid, *answer.add_grids());
    for (std::size_t i = 0; i < grid.regions.size(); ++i) {
      auto& region = *answer.add_regions();
      region.set_grid(name);
      region.set_region(static_cast<std::uint32_t>(i));
      region.set_leader(static_cast<std::uint32_t>(grid.regions[i].leader.value()));
      region.set_epoch(grid.regions[i].epoch.value());
    }
  }
  for (const auto& topic : routes.topics) fill_topic(topic, routes, *answer.add_topics());
}

void read_nodes(const v1::HeartbeatAnswer& answer, Routes& routes) {
  for (const auto& info : answer.nodes()) {
    routes.nodes.insert_or_assign(NodeId(static_cast<std::int32_t>(info.id())),
                                  NodeRoute{.address = info.address(),
                                            .http_address = info.http_address(),
                                            .kafka_address = info.kafka_address(),
                                            .roles = {info.roles().begin(), info.roles().end()},
                                            .types = {info.types().begin(), info.types().end()},
                                            .alive = info.alive(),
                                            .last_seen = time_of(info.last_seen_unix_ms()),
                                            .regions_led = info.regions_led(),
                                            .incarnation = Incarnation(info.incarnation())});
  }
}

void read_answer(const v1::HeartbeatAnswer& answer, Routes& routes) {
  routes.version = answer.version();
  routes.cluster = answer.cluster();
  read_nodes(answer, routes);
  for (const auto& info : answer.grids()) {
    GridRoutes grid;
    grid.grid = {.id = GridId(info.id()),
                 .name = info.name(),
                 .regions = static_cast<std::int32_t>(info.regions()),
                 .replication = info.replication(),
                 .types = {info.types().begin(), info.types().end()},
                 .created = time_of(info.created_unix_ms()),
                 .messages = {},
                 .changes = {},
                 .dead = {}};
    grid.regions.resize(info.regions());
    routes.grids.insert_or_assign(info.name(), std::move(grid));
  }
  for (const auto& info : answer.regions()) {
    const auto found = routes.grids.find(info.grid());
    if (found == routes.grids.end() || info.region() >= found->second.regions.size()) continue;
    found->second.regions[info.region()] = {NodeId(static_cast<std::int32_t>(info.leader())),
                                            Epoch(info.epoch()), nullptr};
  }
  for (const auto& info : answer.topics()) {
    catalog::Topic topic{.id = TopicId(info.id()),
                         .name = info.name(),
                         .partitions = static_cast<std::int32_t>(info.partitions()),
                         .replication = info.replication(),
                         .grid = GridId(0),
                         .relaxed = info.durability() == "relaxed",
                         .config = {info.config().begin(), info.config().end()}};
    if (const auto grid = routes.grids.find(info.grid()); grid != routes.grids.end()) {
      catalog::Grid& of = grid->second.grid;
      topic.grid = of.id;
      if (topic.name == of.name + ".messages") of.messages = topic.id;
      if (topic.name == of.name + ".changes") of.changes = topic.id;
      if (topic.name == of.name + ".dead") of.dead = topic.id;
    } else {
      auto& placements = routes.partitions[topic.id];
      for (const auto& partition : info.partition_infos()) {
        placements.push_back({NodeId(static_cast<std::int32_t>(partition.leader())),
                              Incarnation(0),
                              Epoch(partition.epoch()),
                              {}});
      }
    }
    routes.topics.push_back(std::move(topic));
  }
}

}  // namespace afdg::server
