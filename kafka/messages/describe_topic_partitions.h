#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Where a page begins.
struct TopicCursor {
  std::string_view topic_name;
  std::int32_t partition_index = 0;
  static constexpr void fields(auto& v) {
    v(&TopicCursor::topic_name, "TopicName", since(0));
    v(&TopicCursor::partition_index, "PartitionIndex", since(0));
  }
};

/// Topics in pages of response_partition_limit partitions, from the cursor on (KIP-966).
struct DescribeTopicPartitionsRequest {
  static constexpr MessageId kId{Key::kDescribeTopicPartitions, "DescribeTopicPartitionsRequest"};

  struct Topic {
    std::string_view name;
    static constexpr void fields(auto& v) { v(&Topic::name, "Name", since(0)); }
  };

  std::vector<Topic> topics;
  std::int32_t response_partition_limit = 2000;
  std::optional<TopicCursor> cursor;
  static constexpr void fields(auto& v) {
    v(&DescribeTopicPartitionsRequest::topics, "Topics", since(0));
    v(&DescribeTopicPartitionsRequest::response_partition_limit, "ResponsePartitionLimit", since(0));
    v(&DescribeTopicPartitionsRequest::cursor, "Cursor", since(0).nullable(0));
  }
};

/// A page, and the cursor of the next one; null: that was the last.
struct DescribeTopicPartitionsResponse {
  static constexpr MessageId kId{Key::kDescribeTopicPartitions, "DescribeTopicPartitionsResponse"};

  struct Partition {
    ErrorCode error_code = ErrorCode::kNone;
    std::int32_t partition_index = 0;
    std::int32_t leader_id = 0;
    std::int32_t leader_epoch = -1;
    std::vector<std::int32_t> replica_nodes;
    std::vector<std::int32_t> isr_nodes;
    std::optional<std::vector<std::int32_t>> eligible_leader_replicas;
    std::optional<std::vector<std::int32_t>> last_known_elr;
    std::vector<std::int32_t> offline_replicas;
    static constexpr void fields(auto& v) {
      v(&Partition::error_code, "ErrorCode", since(0));
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::leader_id, "LeaderId", since(0));
      v(&Partition::leader_epoch, "LeaderEpoch", since(0));
      v(&Partition::replica_nodes, "ReplicaNodes", since(0));
      v(&Partition::isr_nodes, "IsrNodes", since(0));
      v(&Partition::eligible_leader_replicas, "EligibleLeaderReplicas", since(0).nullable(0));
      v(&Partition::last_known_elr, "LastKnownElr", since(0).nullable(0));
      v(&Partition::offline_replicas, "OfflineReplicas", since(0));
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
      v(&Topic::name, "Name", since(0).nullable(0));
      v(&Topic::topic_id, "TopicId", since(0));
      v(&Topic::is_internal, "IsInternal", since(0));
      v(&Topic::partitions, "Partitions", since(0));
      v(&Topic::topic_authorized_operations, "TopicAuthorizedOperations", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  std::optional<TopicCursor> next_cursor;
  static constexpr void fields(auto& v) {
    v(&DescribeTopicPartitionsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&DescribeTopicPartitionsResponse::topics, "Topics", since(0));
    v(&DescribeTopicPartitionsResponse::next_cursor, "NextCursor", since(0).nullable(0));
  }
};

AFDG_KAFKA_MESSAGE(DescribeTopicPartitionsRequest)
AFDG_KAFKA_MESSAGE(DescribeTopicPartitionsResponse)

}  // namespace afdg::kafka
