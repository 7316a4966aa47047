#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Partitions whose stored offsets a group gives up.
struct OffsetDeleteRequest {
  static constexpr MessageId kId{Key::kOffsetDelete, "OffsetDeleteRequest"};

  struct Partition {
    std::int32_t partition_index = 0;
    static constexpr void fields(auto& v) { v(&Partition::partition_index, "PartitionIndex", since(0)); }
  };

  struct Topic {
    std::string_view name;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  std::string_view group_id;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&OffsetDeleteRequest::group_id, "GroupId", since(0));
    v(&OffsetDeleteRequest::topics, "Topics", since(0));
  }
};

/// For each partition, whether it is deleted.
struct OffsetDeleteResponse {
  static constexpr MessageId kId{Key::kOffsetDelete, "OffsetDeleteResponse"};

  struct Partition {
    std::int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::error_code, "ErrorCode", since(0));
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

  ErrorCode error_code = ErrorCode::kNone;
  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&OffsetDeleteResponse::error_code, "ErrorCode", since(0));
    v(&OffsetDeleteResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&OffsetDeleteResponse::topics, "Topics", since(0));
  }
};

AFDG_KAFKA_MESSAGE(OffsetDeleteRequest)
AFDG_KAFKA_MESSAGE(OffsetDeleteResponse)

}  // namespace afdg::kafka
