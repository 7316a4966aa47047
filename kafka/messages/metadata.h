#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Topics to describe. All of them: null, and in version 0 an empty list.
struct MetadataRequest {
  static constexpr MessageId kId{Key::kMetadata, "MetadataRequest"};

  struct Topic {
    Uuid topic_id;
    std::optional<std::string_view> name;
    static constexpr void fields(auto& v) {
      v(&Topic::topic_id, "TopicId", since(10));
      v(&Topic::name, "Name", since(0).nullable(10));
    }
  };

  std::optional<std::vector<Topic>> topics;
  bool allow_auto_topic_creation = true;
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;
  static constexpr void fields(auto& v) {
    v(&MetadataRequest::topics, "Topics", since(0).nullable(1));
    v(&MetadataRequest::allow_auto_topic_creation, "AllowAutoTopicCreation", since(4));
    v(&MetadataRequest::include_cluster_authorized_operations, "IncludeClusterAuthorizedOperations",
      versions(8, 10));
    v(&MetadataRequest::include_topic_authorized_operations, "IncludeTopicAuthorizedOperations", since(8));
  }
};

/// The brokers, and for each topic its partitions with leader and replicas.
struct MetadataResponse {
  static constexpr MessageId kId{Key::kMetadata, "MetadataResponse"};

  struct Broker {
    std::int32_t node_id = 0;
    std::string_view host;
    std::int32_t port = 0;
    std::optional<std::string_view> rack;
    static constexpr void fields(auto& v) {
      v(&Broker::node_id, "NodeId", since(0));
      v(&Broker::host, "Host", since(0));
      v(&Broker::port, "Port", since(0));
      v(&Broker::rack, "Rack", since(1).nullable(1));
    }
  };

  struct Partition {
    ErrorCode error_code = ErrorCode::kNone;
    std::int32_t partition_index = 0;
    std::int32_t leader_id = 0;
    std::int32_t leader_epoch = -1;
    std::vector<std::int32_t> replica_nodes;
    std::vector<std::int32_t> isr_nodes;
    std::vector<std::int32_t> offline_replicas;
    static constexpr void fields(auto& v) {
      v(&Partition::error_code, "ErrorCode", since(0));
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::leader_id, "LeaderId", since(0));
      v(&Partition::leader_epoch, "LeaderEpoch", since(7));
      v(&Partition::replica_nodes, "ReplicaNodes", since(0));
      v(&Partition::isr_nodes, "IsrNodes", since(0));
      v(&Partition::offline_replicas, "OfflineReplicas", since(5));
    }
  };

  struct Topic {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> name;
    Uuid topic_id;
    bool is_internal = false;
    std::vector<Partition> partitions;
    std::int32_t topic_authorized_operations = kOperationsNotAsked;
    static constexpr void fields(auto& v) {
      v(&Topic::error_code, "ErrorCode", since(0));
      v(&Topic::name, "Name", since(0).nullable(12));
      v(&Topic::topic_id, "TopicId", since(10));
      v(&Topic::is_internal, "IsInternal", since(1));
      v(&Topic::partitions, "Partitions", since(0));
      v(&Topic::topic_authorized_operations, "TopicAuthorizedOperations", since(8));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Broker> brokers;
  std::optional<std::string_view> cluster_id;
  std::int32_t controller_id = -1;
  std::vector<Topic> topics;
  std::int32_t cluster_authorized_operations = kOperationsNotAsked;
  static constexpr void fields(auto& v) {
    v(&MetadataResponse::throttle_time_ms, "ThrottleTimeMs", since(3));
    v(&MetadataResponse::brokers, "Brokers", since(0));
    v(&MetadataResponse::cluster_id, "ClusterId", since(2).nullable(2));
    v(&MetadataResponse::controller_id, "ControllerId", since(1));
    v(&MetadataResponse::topics, "Topics", since(0));
    v(&MetadataResponse::cluster_authorized_operations, "ClusterAuthorizedOperations", versions(8, 10));
  }
};

AFDG_KAFKA_MESSAGE(MetadataRequest)
AFDG_KAFKA_MESSAGE(MetadataResponse)

}  // namespace afdg::kafka
