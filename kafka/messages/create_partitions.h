#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Topics and how many partitions they are to have in all.
struct CreatePartitionsRequest {
  static constexpr MessageId kId{Key::kCreatePartitions, "CreatePartitionsRequest"};

  struct Assignment {
    std::vector<std::int32_t> broker_ids;
    static constexpr void fields(auto& v) { v(&Assignment::broker_ids, "BrokerIds", since(0)); }
  };

  struct Topic {
    std::string_view name;
    std::int32_t count = 0;
    std::optional<std::vector<Assignment>> assignments;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::count, "Count", since(0));
      v(&Topic::assignments, "Assignments", since(0).nullable(0));
    }
  };

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 0;
  bool validate_only = false;
  static constexpr void fields(auto& v) {
    v(&CreatePartitionsRequest::topics, "Topics", since(0));
    v(&CreatePartitionsRequest::timeout_ms, "TimeoutMs", since(0));
    v(&CreatePartitionsRequest::validate_only, "ValidateOnly", since(0));
  }
};

/// For each topic, whether it has them.
struct CreatePartitionsResponse {
  static constexpr MessageId kId{Key::kCreatePartitions, "CreatePartitionsResponse"};

  struct Topic {
    std::string_view name;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> error_message;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::error_code, "ErrorCode", since(0));
      v(&Topic::error_message, "ErrorMessage", since(0).nullable(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> results;
  static constexpr void fields(auto& v) {
    v(&CreatePartitionsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&CreatePartitionsResponse::results, "Results", since(0));
  }
};

AFDG_KAFKA_MESSAGE(CreatePartitionsRequest)
AFDG_KAFKA_MESSAGE(CreatePartitionsResponse)

}  // namespace afdg::kafka
