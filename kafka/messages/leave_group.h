#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Members that leave; from version 3 on several, by static names too (KIP-345).
struct LeaveGroupRequest {
  static constexpr MessageId kId{Key::kLeaveGroup, "LeaveGroupRequest"};

  struct Member {
    std::string_view member_id;
    std::optional<std::string_view> group_instance_id;
    std::optional<std::string_view> reason;
    static constexpr void fields(auto& v) {
      v(&Member::member_id, "MemberId", since(3));
      v(&Member::group_instance_id, "GroupInstanceId", since(3).nullable(3));
      v(&Member::reason, "Reason", since(5).nullable(5));
    }
  };

  std::string_view group_id;
  std::string_view member_id;
  std::vector<Member> members;
  static constexpr void fields(auto& v) {
    v(&LeaveGroupRequest::group_id, "GroupId", since(0));
    v(&LeaveGroupRequest::member_id, "MemberId", versions(0, 2));
    v(&LeaveGroupRequest::members, "Members", since(3));
  }
};

/// For each member, whether it was one.
struct LeaveGroupResponse {
  static constexpr MessageId kId{Key::kLeaveGroup, "LeaveGroupResponse"};

  struct Member {
    std::string_view member_id;
    std::optional<std::string_view> group_instance_id;
    ErrorCode error_code = ErrorCode::kNone;
    static constexpr void fields(auto& v) {
      v(&Member::member_id, "MemberId", since(3));
      v(&Member::group_instance_id, "GroupInstanceId", since(3).nullable(3));
      v(&Member::error_code, "ErrorCode", since(3));
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Member> members;
  static constexpr void fields(auto& v) {
    v(&LeaveGroupResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&LeaveGroupResponse::error_code, "ErrorCode", since(0));
    v(&LeaveGroupResponse::members, "Members", since(3));
  }
};

AFDG_KAFKA_MESSAGE(LeaveGroupRequest)
AFDG_KAFKA_MESSAGE(LeaveGroupResponse)

}  // namespace afdg::kafka
