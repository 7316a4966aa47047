#include "kafka/messages/describe_cluster.h"

#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"

namespace afdg::kafka {

void handlers::describe_cluster(Broker& broker, const CallPtr& call) {
  DescribeClusterRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto view = broker.cluster().view();
  DescribeClusterResponse response;
  response.endpoint_type = request.endpoint_type;
  if (request.endpoint_type != 1) {
    response.error_code =
        request.endpoint_type == 2 ? ErrorCode::kMismatchedEndpointType : ErrorCode::kUnsupportedEndpointType;
    response.error_message = "only brokers are described here, not controllers: ask with endpoint type 1";
    return call->reply(response);
  }
  const std::string id = cluster_id(*view);
  response.cluster_id = id;
  response.controller_id = view->self.value();
  for (const auto& node : view->nodes)
    response.brokers.push_back({node.id.value(), node.host, node.port, {}});
  if (request.include_cluster_authorized_operations)
    response.cluster_authorized_operations = kClusterOperations;
  call->reply(response);
}

}  // namespace afdg::kafka
