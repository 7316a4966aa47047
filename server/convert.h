#pragma once

#include "catalog/catalog.h"
#include "server/routes.h"

namespace afdg::v1 {
class GridInfo;
class HeartbeatAnswer;
class NodeInfo;
class RegionStatus;
class TopicInfo;
}  // namespace afdg::v1

// Between the catalog's types and the messages of admin.proto.
namespace afdg::server {

[[nodiscard]] catalog::Node node_of(const v1::NodeInfo& info);
void fill_node(const catalog::Node& node, v1::NodeInfo& info);
void fill_node(NodeId id, const NodeRoute& node, v1::NodeInfo& info);
void fill_grid(const catalog::Grid& grid, v1::GridInfo& info);
void fill_topic(const catalog::Topic& topic, const Routes& routes, v1::TopicInfo& info);
/// `whole`: grids, topics and placements too; else only the nodes.
void fill_answer(const Routes& routes, bool whole, v1::HeartbeatAnswer& answer);
void read_answer(const v1::HeartbeatAnswer& answer, Routes& routes);
void read_nodes(const v1::HeartbeatAnswer& answer, Routes& routes);

}  // namespace afdg::server
