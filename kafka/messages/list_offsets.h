#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Timestamps to find offsets for: -1 the end, -2 the start, -3 the largest timestamp (KIP-734), else the
/// first at or after it.
struct ListOffsetsRequest {
  static constexpr MessageId kId{Key::kListOffsets, "ListOffsetsRequest"};

  struct Partition {
    std::int32_t partition_index = 0;
    std::int32_t current_leader_epoch = -1;
    std::int64_t timestamp = 0;
    std::int32_t max_num_offsets = 1;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::current_leader_epoch, "CurrentLeaderEpoch", since(4));
      v(&Partition::timestamp, "Timestamp", since(0));
      v(&Partition::max_num_offsets, "MaxNumOffsets", versions(0, 0));
    }
  };

  struct Topic {
    std::string_view name;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  std::int32_t replica_id = 0;
  std::int8_t isolation_level = 0;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&ListOffsetsRequest::replica_id, "ReplicaId", since(0));
    v(&ListOffsetsRequest::isolation_level, "IsolationLevel", since(2));
    v(&ListOffsetsRequest::topics, "Topics", since(0));
  }
};

/// The offset and its timestamp, -1 when there is none. Version 0 has a list of offsets, newest first,
/// instead.
struct ListOffsetsResponse {
  static constexpr MessageId kId{Key::kListOffsets, "ListOffsetsResponse"};

  struct Partition {
    std::int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::vector<std::int64_t> old_style_offsets;
    std::int64_t timestamp = -1;
    std::int64_t offset = -1;
    std::int32_t leader_epoch = -1;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::error_code, "ErrorCode", since(0));
      v(&Partition::old_style_offsets, "OldStyleOffsets", versions(0, 0));
      v(&Partition::timestamp, "Timestamp", since(1));
      v(&Partition::offset, "Offset", since(1));
      v(&Partition::leader_epoch, "LeaderEpoch", since(4));
    }
  };

  struct Topic {
    std::string_view name;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&ListOffsetsResponse::throttle_time_ms, "ThrottleTimeMs", since(2));
    v(&ListOffsetsResponse::topics, "Topics", since(0));
  }
};

AFDG_KAFKA_MESSAGE(ListOffsetsRequest)
AFDG_KAFKA_MESSAGE(ListOffsetsResponse)

}  // namespace afdg::kafka
