#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// A member lives, and asks whether a rebalance is under way.
struct HeartbeatRequest {
  static constexpr MessageId kId{Key::kHeartbeat, "HeartbeatRequest"};

  std::string_view group_id;
  std::int32_t generation_id = 0;
  std::string_view member_id;
  std::optional<std::string_view> group_instance_id;
  static constexpr void fields(auto& v) {
    v(&HeartbeatRequest::group_id, "GroupId", since(0));
    v(&HeartbeatRequest::generation_id, "GenerationId", since(0));
    v(&HeartbeatRequest::member_id, "MemberId", since(0));
    v(&HeartbeatRequest::group_instance_id, "GroupInstanceId", since(3).nullable(3));
  }
};

/// ErrorCode::kRebalanceInProgress asks the member to join again.
struct HeartbeatResponse {
  static constexpr MessageId kId{Key::kHeartbeat, "HeartbeatResponse"};

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  static constexpr void fields(auto& v) {
    v(&HeartbeatResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&HeartbeatResponse::error_code, "ErrorCode", since(0));
  }
};

AFDG_KAFKA_MESSAGE(HeartbeatRequest)
AFDG_KAFKA_MESSAGE(HeartbeatResponse)

}  // namespace afdg::kafka
