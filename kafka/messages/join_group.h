#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// A member with the protocols it speaks. An empty member_id asks for one (KIP-394).
struct JoinGroupRequest {
  static constexpr MessageId kId{Key::kJoinGroup, "JoinGroupRequest"};

  struct Protocol {
    std::string_view name;
    Bytes metadata;
    static constexpr void fields(auto& v) {
      v(&Protocol::name, "Name", since(0));
      v(&Protocol::metadata, "Metadata", since(0));
    }
  };

  std::string_view group_id;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = -1;
  std::string_view member_id;
  std::optional<std::string_view> group_instance_id;
  std::string_view protocol_type;
  std::vector<Protocol> protocols;
  std::optional<std::string_view> reason;
  static constexpr void fields(auto& v) {
    v(&JoinGroupRequest::group_id, "GroupId", since(0));
    v(&JoinGroupRequest::session_timeout_ms, "SessionTimeoutMs", since(0));
    v(&JoinGroupRequest::rebalance_timeout_ms, "RebalanceTimeoutMs", since(1));
    v(&JoinGroupRequest::member_id, "MemberId", since(0));
    v(&JoinGroupRequest::group_instance_id, "GroupInstanceId", since(5).nullable(5));
    v(&JoinGroupRequest::protocol_type, "ProtocolType", since(0));
    v(&JoinGroupRequest::protocols, "Protocols", since(0));
    v(&JoinGroupRequest::reason, "Reason", since(8).nullable(8));
  }
};

/// The generation's protocol and leader; for the leader, what each member said.
struct JoinGroupResponse {
  static constexpr MessageId kId{Key::kJoinGroup, "JoinGroupResponse"};

  struct Member {
    std::string_view member_id;
    std::optional<std::string_view> group_instance_id;
    Bytes metadata;
    static constexpr void fields(auto& v) {
      v(&Member::member_id, "MemberId", since(0));
      v(&Member::group_instance_id, "GroupInstanceId", since(5).nullable(5));
      v(&Member::metadata, "Metadata", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::int32_t generation_id = -1;
  std::optional<std::string_view> protocol_type;
  std::optional<std::string_view> protocol_name;
  std::string_view leader;
  bool skip_assignment = false;
  std::string_view member_id;
  std::vector<Member> members;
  static constexpr void fields(auto& v) {
    v(&JoinGroupResponse::throttle_time_ms, "ThrottleTimeMs", since(2));
    v(&JoinGroupResponse::error_code, "ErrorCode", since(0));
    v(&JoinGroupResponse::generation_id, "GenerationId", since(0));
    v(&JoinGroupResponse::protocol_type, "ProtocolType", since(7).nullable(7));
    v(&JoinGroupResponse::protocol_name, "ProtocolName", since(0).nullable(7));
    v(&JoinGroupResponse::leader, "Leader", since(0));
    v(&JoinGroupResponse::skip_assignment, "SkipAssignment", since(9));
    v(&JoinGroupResponse::member_id, "MemberId", since(0));
    v(&JoinGroupResponse::members, "Members", since(0));
  }
};

AFDG_KAFKA_MESSAGE(JoinGroupRequest)
AFDG_KAFKA_MESSAGE(JoinGroupResponse)

}  // namespace afdg::kafka
