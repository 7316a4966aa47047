#pragma once

#include "server/rpc.h"

namespace afdg::server {

/// grpc.health.v1.Health and grpc.reflection.v1alpha.ServerReflection, so that grpcurl and load balancers
/// work.
void add_reflection(RpcServer& server);

}  // namespace afdg::server
