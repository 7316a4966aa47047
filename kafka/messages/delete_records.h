#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Offsets below which records are dropped; -1: all of them.
struct DeleteRecordsRequest {
  static constexpr MessageId kId{Key::kDeleteRecords, "DeleteRecordsRequest"};

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t offset = 0;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::offset, "Offset", since(0));
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

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;
  static constexpr void fields(auto& v) {
    v(&DeleteRecordsRequest::topics, "Topics", since(0));
    v(&DeleteRecordsRequest::timeout_ms, "TimeoutMs", since(0));
  }
};

/// The new first offset of each partition.
struct DeleteRecordsResponse {
  static constexpr MessageId kId{Key::kDeleteRecords, "DeleteRecordsResponse"};

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t low_watermark = 0;
    ErrorCode error_code = ErrorCode::kNone;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::low_watermark, "LowWatermark", since(0));
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

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&DeleteRecordsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&DeleteRecordsResponse::topics, "Topics", since(0));
  }
};

AFDG_KAFKA_MESSAGE(DeleteRecordsRequest)
AFDG_KAFKA_MESSAGE(DeleteRecordsResponse)

}  // namespace afdg::kafka
