#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Asks for the cluster; endpoint_type 1 brokers, 2 controllers (KIP-919).
struct DescribeClusterRequest {
  static constexpr MessageId kId{Key::kDescribeCluster, "DescribeClusterRequest"};

  bool include_cluster_authorized_operations = false;
  std::int8_t endpoint_type = 1;
  static constexpr void fields(auto& v) {
    v(&DescribeClusterRequest::include_cluster_authorized_operations, "IncludeClusterAuthorizedOperations",
      since(0));
    v(&DescribeClusterRequest::endpoint_type, "EndpointType", since(1));
  }
};

/// The cluster's id and brokers.
struct DescribeClusterResponse {
  static constexpr MessageId kId{Key::kDescribeCluster, "DescribeClusterResponse"};

  struct Broker {
    std::int32_t broker_id = 0;
    std::string_view host;
    std::int32_t port = 0;
    std::optional<std::string_view> rack;
    static constexpr void fields(auto& v) {
      v(&Broker::broker_id, "BrokerId", since(0));
      v(&Broker::host, "Host", since(0));
      v(&Broker::port, "Port", since(0));
      v(&Broker::rack, "Rack", since(0).nullable(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string_view> error_message;
  std::int8_t endpoint_type = 1;
  std::string_view cluster_id;
  std::int32_t controller_id = -1;
  std::vector<Broker> brokers;
  std::int32_t cluster_authorized_operations = kOperationsNotAsked;
  static constexpr void fields(auto& v) {
    v(&DescribeClusterResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&DescribeClusterResponse::error_code, "ErrorCode", since(0));
    v(&DescribeClusterResponse::error_message, "ErrorMessage", since(0).nullable(0));
    v(&DescribeClusterResponse::endpoint_type, "EndpointType", since(1));
    v(&DescribeClusterResponse::cluster_id, "ClusterId", since(0));
    v(&DescribeClusterResponse::controller_id, "ControllerId", since(0));
    v(&DescribeClusterResponse::brokers, "Brokers", since(0));
    v(&DescribeClusterResponse::cluster_authorized_operations, "ClusterAuthorizedOperations", since(0));
  }
};

AFDG_KAFKA_MESSAGE(DescribeClusterRequest)
AFDG_KAFKA_MESSAGE(DescribeClusterResponse)

}  // namespace afdg::kafka
