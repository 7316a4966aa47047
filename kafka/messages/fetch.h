#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// From which offset to read, and how long to wait for min_bytes of it. session_id 0 and epoch -1: no session
/// (KIP-227).
struct FetchRequest {
  static constexpr MessageId kId{Key::kFetch, "FetchRequest"};

  struct Partition {
    std::int32_t partition = 0;
    std::int32_t current_leader_epoch = -1;
    std::int64_t fetch_offset = 0;
    std::int32_t last_fetched_epoch = -1;
    std::int64_t log_start_offset = -1;
    std::int32_t partition_max_bytes = 0;
    Uuid replica_directory_id;
    static constexpr void fields(auto& v) {
      v(&Partition::partition, "Partition", since(0));
      v(&Partition::current_leader_epoch, "CurrentLeaderEpoch", since(9));
      v(&Partition::fetch_offset, "FetchOffset", since(0));
      v(&Partition::last_fetched_epoch, "LastFetchedEpoch", since(12));
      v(&Partition::log_start_offset, "LogStartOffset", since(5));
      v(&Partition::partition_max_bytes, "PartitionMaxBytes", since(0));
      v(&Partition::replica_directory_id, "ReplicaDirectoryId", since(17).tagged(0));
    }
  };

  struct Topic {
    std::string_view topic;
    Uuid topic_id;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::topic, "Topic", versions(0, 12));
      v(&Topic::topic_id, "TopicId", since(13));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  struct ForgottenTopic {
    std::string_view topic;
    Uuid topic_id;
    std::vector<std::int32_t> partitions;
    static constexpr void fields(auto& v) {
      v(&ForgottenTopic::topic, "Topic", versions(7, 12));
      v(&ForgottenTopic::topic_id, "TopicId", since(13));
      v(&ForgottenTopic::partitions, "Partitions", since(7));
    }
  };

  struct ReplicaState {
    std::int32_t replica_id = -1;
    std::int64_t replica_epoch = -1;
    friend constexpr bool operator==(const ReplicaState&, const ReplicaState&) noexcept = default;
    static constexpr void fields(auto& v) {
      v(&ReplicaState::replica_id, "ReplicaId", since(15));
      v(&ReplicaState::replica_epoch, "ReplicaEpoch", since(15));
    }
  };

  std::optional<std::string_view> cluster_id;
  std::int32_t replica_id = -1;
  ReplicaState replica_state;
  std::int32_t max_wait_ms = 0;
  std::int32_t min_bytes = 0;
  std::int32_t max_bytes = 0x7fff'ffff;
  std::int8_t isolation_level = 0;
  std::int32_t session_id = 0;
  std::int32_t session_epoch = -1;
  std::vector<Topic> topics;
  std::vector<ForgottenTopic> forgotten_topics_data;
  std::string_view rack_id;
  static constexpr void fields(auto& v) {
    v(&FetchRequest::cluster_id, "ClusterId", since(12).nullable(12).tagged(0));
    v(&FetchRequest::replica_id, "ReplicaId", versions(0, 14));
    v(&FetchRequest::replica_state, "ReplicaState", since(15).tagged(1));
    v(&FetchRequest::max_wait_ms, "MaxWaitMs", since(0));
    v(&FetchRequest::min_bytes, "MinBytes", since(0));
    v(&FetchRequest::max_bytes, "MaxBytes", since(3));
    v(&FetchRequest::isolation_level, "IsolationLevel", since(4));
    v(&FetchRequest::session_id, "SessionId", since(7));
    v(&FetchRequest::session_epoch, "SessionEpoch", since(7));
    v(&FetchRequest::topics, "Topics", since(0));
    v(&FetchRequest::forgotten_topics_data, "ForgottenTopicsData", since(7));
    v(&FetchRequest::rack_id, "RackId", since(11));
  }
};

/// Record batches from the offset asked for on. The first may begin below it, the last may be cut.
/// Size what a partition gets before encoding: `records` may be an external piece, which is not copied.
struct FetchResponse {
  static constexpr MessageId kId{Key::kFetch, "FetchResponse"};

  struct DivergingEpoch {
    std::int32_t epoch = -1;
    std::int64_t end_offset = -1;
    friend constexpr bool operator==(const DivergingEpoch&, const DivergingEpoch&) noexcept = default;
    static constexpr void fields(auto& v) {
      v(&DivergingEpoch::epoch, "Epoch", since(12));
      v(&DivergingEpoch::end_offset, "EndOffset", since(12));
    }
  };

  struct Leader {
    std::int32_t leader_id = -1;
    std::int32_t leader_epoch = -1;
    friend constexpr bool operator==(const Leader&, const Leader&) noexcept = default;
    static constexpr void fields(auto& v) {
      v(&Leader::leader_id, "LeaderId", since(12));
      v(&Leader::leader_epoch, "LeaderEpoch", since(12));
    }
  };

  struct SnapshotId {
    std::int64_t end_offset = -1;
    std::int32_t epoch = -1;
    friend constexpr bool operator==(const SnapshotId&, const SnapshotId&) noexcept = default;
    static constexpr void fields(auto& v) {
      v(&SnapshotId::end_offset, "EndOffset", since(0));
      v(&SnapshotId::epoch, "Epoch", since(0));
    }
  };

  struct AbortedTransaction {
    std::int64_t producer_id = 0;
    std::int64_t first_offset = 0;
    static constexpr void fields(auto& v) {
      v(&AbortedTransaction::producer_id, "ProducerId", since(4));
      v(&AbortedTransaction::first_offset, "FirstOffset", since(4));
    }
  };

  struct Partition {
    std::int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::int64_t high_watermark = 0;
    std::int64_t last_stable_offset = -1;
    std::int64_t log_start_offset = -1;
    DivergingEpoch diverging_epoch;
    Leader current_leader;
    SnapshotId snapshot_id;
    std::optional<std::vector<AbortedTransaction>> aborted_transactions;
    std::int32_t preferred_read_replica = -1;
    Records records;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::error_code, "ErrorCode", since(0));
      v(&Partition::high_watermark, "HighWatermark", since(0));
      v(&Partition::last_stable_offset, "LastStableOffset", since(4));
      v(&Partition::log_start_offset, "LogStartOffset", since(5));
      v(&Partition::diverging_epoch, "DivergingEpoch", since(12).tagged(0));
      v(&Partition::current_leader, "CurrentLeader", since(12).tagged(1));
      v(&Partition::snapshot_id, "SnapshotId", since(12).tagged(2));
      v(&Partition::aborted_transactions, "AbortedTransactions", since(4).nullable(4));
      v(&Partition::preferred_read_replica, "PreferredReadReplica", since(11));
      v(&Partition::records, "Records", since(0).nullable(0));
    }
  };

  struct Topic {
    std::string_view topic;
    Uuid topic_id;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::topic, "Topic", versions(0, 12));
      v(&Topic::topic_id, "TopicId", since(13));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  struct NodeEndpoint {
    std::int32_t node_id = 0;
    std::string_view host;
    std::int32_t port = 0;
    std::optional<std::string_view> rack;
    static constexpr void fields(auto& v) {
      v(&NodeEndpoint::node_id, "NodeId", since(16));
      v(&NodeEndpoint::host, "Host", since(16));
      v(&NodeEndpoint::port, "Port", since(16));
      v(&NodeEndpoint::rack, "Rack", since(16).nullable(16));
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::int32_t session_id = 0;
  std::vector<Topic> responses;
  std::vector<NodeEndpoint> node_endpoints;
  static constexpr void fields(auto& v) {
    v(&FetchResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&FetchResponse::error_code, "ErrorCode", since(7));
    v(&FetchResponse::session_id, "SessionId", since(7));
    v(&FetchResponse::responses, "Responses", since(0));
    v(&FetchResponse::node_endpoints, "NodeEndpoints", since(16).tagged(0));
  }
};

AFDG_KAFKA_MESSAGE(FetchRequest)
AFDG_KAFKA_MESSAGE(FetchResponse)

}  // namespace afdg::kafka
