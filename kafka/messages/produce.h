#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Record batches to append, for each topic and partition. acks: 0 no answer at all, 1 or -1 (all) once it is
/// durable.
struct ProduceRequest {
  static constexpr MessageId kId{Key::kProduce, "ProduceRequest"};

  struct Partition {
    std::int32_t index = 0;
    Records records;
    static constexpr void fields(auto& v) {
      v(&Partition::index, "Index", since(0));
      v(&Partition::records, "Records", since(0).nullable(0));
    }
  };

  struct Topic {
    std::string_view name;
    std::vector<Partition> partition_data;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::partition_data, "PartitionData", since(0));
    }
  };

  std::optional<std::string_view> transactional_id;
  std::int16_t acks = 0;
  std::int32_t timeout_ms = 0;
  std::vector<Topic> topic_data;
  static constexpr void fields(auto& v) {
    v(&ProduceRequest::transactional_id, "TransactionalId", since(3).nullable(3));
    v(&ProduceRequest::acks, "Acks", since(0));
    v(&ProduceRequest::timeout_ms, "TimeoutMs", since(0));
    v(&ProduceRequest::topic_data, "TopicData", since(0));
  }
};

/// The offset that each partition's first record got, or its error. Not sent at all for acks 0.
struct ProduceResponse {
  static constexpr MessageId kId{Key::kProduce, "ProduceResponse"};

  struct RecordError {
    std::int32_t batch_index = 0;
    std::optional<std::string_view> batch_index_error_message;
    static constexpr void fields(auto& v) {
      v(&RecordError::batch_index, "BatchIndex", since(8));
      v(&RecordError::batch_index_error_message, "BatchIndexErrorMessage", since(8).nullable(8));
    }
  };

  struct Leader {
    std::int32_t leader_id = -1;
    std::int32_t leader_epoch = -1;
    friend constexpr bool operator==(const Leader&, const Leader&) noexcept = default;
    static constexpr void fields(auto& v) {
      v(&Leader::leader_id, "LeaderId", since(10));
      v(&Leader::leader_epoch, "LeaderEpoch", since(10));
    }
  };

  struct Partition {
    std::int32_t index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::int64_t base_offset = 0;
    std::int64_t log_append_time_ms = -1;
    std::int64_t log_start_offset = -1;
    std::vector<RecordError> record_errors;
    std::optional<std::string_view> error_message;
    Leader current_leader;
    static constexpr void fields(auto& v) {
      v(&Partition::index, "Index", since(0));
      v(&Partition::error_code, "ErrorCode", since(0));
      v(&Partition::base_offset, "BaseOffset", since(0));
      v(&Partition::log_append_time_ms, "LogAppendTimeMs", since(2));
      v(&Partition::log_start_offset, "LogStartOffset", since(5));
      v(&Partition::record_errors, "RecordErrors", since(8));
      v(&Partition::error_message, "ErrorMessage", since(8).nullable(8));
      v(&Partition::current_leader, "CurrentLeader", since(10).tagged(0));
    }
  };

  struct Topic {
    std::string_view name;
    std::vector<Partition> partition_responses;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::partition_responses, "PartitionResponses", since(0));
    }
  };

  struct NodeEndpoint {
    std::int32_t node_id = 0;
    std::string_view host;
    std::int32_t port = 0;
    std::optional<std::string_view> rack;
    static constexpr void fields(auto& v) {
      v(&NodeEndpoint::node_id, "NodeId", since(10));
      v(&NodeEndpoint::host, "Host", since(10));
      v(&NodeEndpoint::port, "Port", since(10));
      v(&NodeEndpoint::rack, "Rack", since(10).nullable(10));
    }
  };

  std::vector<Topic> responses;
  std::int32_t throttle_time_ms = 0;
  std::vector<NodeEndpoint> node_endpoints;
  static constexpr void fields(auto& v) {
    v(&ProduceResponse::responses, "Responses", since(0));
    v(&ProduceResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&ProduceResponse::node_endpoints, "NodeEndpoints", since(10).tagged(0));
  }
};

AFDG_KAFKA_MESSAGE(ProduceRequest)
AFDG_KAFKA_MESSAGE(ProduceResponse)

}  // namespace afdg::kafka
