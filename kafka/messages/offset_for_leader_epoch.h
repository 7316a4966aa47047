#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Leader epochs whose end is looked for (KIP-320).
struct OffsetForLeaderEpochRequest {
  static constexpr MessageId kId{Key::kOffsetForLeaderEpoch, "OffsetForLeaderEpochRequest"};

  struct Partition {
    std::int32_t partition = 0;
    std::int32_t current_leader_epoch = -1;
    std::int32_t leader_epoch = 0;
    static constexpr void fields(auto& v) {
      v(&Partition::partition, "Partition", since(0));
      v(&Partition::current_leader_epoch, "CurrentLeaderEpoch", since(2));
      v(&Partition::leader_epoch, "LeaderEpoch", since(0));
    }
  };

  struct Topic {
    std::string_view topic;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::topic, "Topic", since(0));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  std::int32_t replica_id = -2;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&OffsetForLeaderEpochRequest::replica_id, "ReplicaId", since(3));
    v(&OffsetForLeaderEpochRequest::topics, "Topics", since(0));
  }
};

/// The largest epoch at or below it, and its end offset; -1 when unknown.
struct OffsetForLeaderEpochResponse {
  static constexpr MessageId kId{Key::kOffsetForLeaderEpoch, "OffsetForLeaderEpochResponse"};

  struct Partition {
    ErrorCode error_code = ErrorCode::kNone;
    std::int32_t partition = 0;
    std::int32_t leader_epoch = -1;
    std::int64_t end_offset = -1;
    static constexpr void fields(auto& v) {
      v(&Partition::error_code, "ErrorCode", since(0));
      v(&Partition::partition, "Partition", since(0));
      v(&Partition::leader_epoch, "LeaderEpoch", since(1));
      v(&Partition::end_offset, "EndOffset", since(0));
    }
  };

  struct Topic {
    std::string_view topic;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::topic, "Topic", since(0));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&OffsetForLeaderEpochResponse::throttle_time_ms, "ThrottleTimeMs", since(2));
    v(&OffsetForLeaderEpochResponse::topics, "Topics", since(0));
  }
};

AFDG_KAFKA_MESSAGE(OffsetForLeaderEpochRequest)
AFDG_KAFKA_MESSAGE(OffsetForLeaderEpochResponse)

}  // namespace afdg::kafka
