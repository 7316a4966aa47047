#pragma once

#include "server/background.h"
#include "server/cluster.h"
#include "server/gather.h"
#include "server/group_admin.h"
#include "server/rpc.h"
#include "server/tails.h"

namespace afdg::v1 {
class ServerState;
}

namespace afdg::server {

struct AdminParts {
  RouteBoard* board;
  Cluster* cluster;
  Gather* gather;
  Peers* peers;
  Background* background;
  Tails* tails;
  GroupAdmin* groups;
  const agents::AgentTypes* types;
  std::function<v1::ServerState()> server_state;
  std::function<bool()> serving;
};

/// Registers service Admin and, where there is a catalog, service Catalog. Each call runs on a worker.
void add_admin_service(RpcServer& server, const AdminParts& parts);
/// Admin.Consume: records as they come. A consumer at the end costs nothing until a commit. Bounds: a page of
/// 1 MiB a consumer.
RpcMethod consume_method(const AdminParts& parts);
/// Admin.Read: a page, waited for when the call says so. Bounds: kReadWaitMax.
RpcMethod read_method(const AdminParts& parts);
/// grpc.health.v1.Health and the reflection service, in both of its versions.
void add_standard_services(RpcServer& server, const AdminParts& parts);

}  // namespace afdg::server
