#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// The leader's assignment for each member; the others send none and wait.
struct SyncGroupRequest {
  static constexpr MessageId kId{Key::kSyncGroup, "SyncGroupRequest"};

  struct Assignment {
    std::string_view member_id;
    Bytes assignment;
    static constexpr void fields(auto& v) {
      v(&Assignment::member_id, "MemberId", since(0));
      v(&Assignment::assignment, "Assignment", since(0));
    }
  };

  std::string_view group_id;
  std::int32_t generation_id = 0;
  std::string_view member_id;
  std::optional<std::string_view> group_instance_id;
  std::optional<std::string_view> protocol_type;
  std::optional<std::string_view> protocol_name;
  std::vector<Assignment> assignments;
  static constexpr void fields(auto& v) {
    v(&SyncGroupRequest::group_id, "GroupId", since(0));
    v(&SyncGroupRequest::generation_id, "GenerationId", since(0));
    v(&SyncGroupRequest::member_id, "MemberId", since(0));
    v(&SyncGroupRequest::group_instance_id, "GroupInstanceId", since(3).nullable(3));
    v(&SyncGroupRequest::protocol_type, "ProtocolType", since(5).nullable(5));
    v(&SyncGroupRequest::protocol_name, "ProtocolName", since(5).nullable(5));
    v(&SyncGroupRequest::assignments, "Assignments", since(0));
  }
};

/// The member's own part.
struct SyncGroupResponse {
  static constexpr MessageId kId{Key::kSyncGroup, "SyncGroupResponse"};

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string_view> protocol_type;
  std::optional<std::string_view> protocol_name;
  Bytes assignment;
  static constexpr void fields(auto& v) {
    v(&SyncGroupResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&SyncGroupResponse::error_code, "ErrorCode", since(0));
    v(&SyncGroupResponse::protocol_type, "ProtocolType", since(5).nullable(5));
    v(&SyncGroupResponse::protocol_name, "ProtocolName", since(5).nullable(5));
    v(&SyncGroupResponse::assignment, "Assignment", since(0));
  }
};

AFDG_KAFKA_MESSAGE(SyncGroupRequest)
AFDG_KAFKA_MESSAGE(SyncGroupResponse)

}  // namespace afdg::kafka
