#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Groups to describe.
struct DescribeGroupsRequest {
  static constexpr MessageId kId{Key::kDescribeGroups, "DescribeGroupsRequest"};

  std::vector<std::string_view> groups;
  bool include_authorized_operations = false;
  static constexpr void fields(auto& v) {
    v(&DescribeGroupsRequest::groups, "Groups", since(0));
    v(&DescribeGroupsRequest::include_authorized_operations, "IncludeAuthorizedOperations", since(3));
  }
};

/// State and members; a group that does not exist is Dead, without an error (before KIP-1043).
struct DescribeGroupsResponse {
  static constexpr MessageId kId{Key::kDescribeGroups, "DescribeGroupsResponse"};

  struct Member {
    std::string_view member_id;
    std::optional<std::string_view> group_instance_id;
    std::string_view client_id;
    std::string_view client_host;
    Bytes member_metadata;
    Bytes member_assignment;
    static constexpr void fields(auto& v) {
      v(&Member::member_id, "MemberId", since(0));
      v(&Member::group_instance_id, "GroupInstanceId", since(4).nullable(4));
      v(&Member::client_id, "ClientId", since(0));
      v(&Member::client_host, "ClientHost", since(0));
      v(&Member::member_metadata, "MemberMetadata", since(0));
      v(&Member::member_assignment, "MemberAssignment", since(0));
    }
  };

  struct Group {
    ErrorCode error_code = ErrorCode::kNone;
    std::string_view group_id;
    std::string_view group_state;
    std::string_view protocol_type;
    std::string_view protocol_data;
    std::vector<Member> members;
    std::int32_t authorized_operations = kOperationsNotAsked;
    static constexpr void fields(auto& v) {
      v(&Group::error_code, "ErrorCode", since(0));
      v(&Group::group_id, "GroupId", since(0));
      v(&Group::group_state, "GroupState", since(0));
      v(&Group::protocol_type, "ProtocolType", since(0));
      v(&Group::protocol_data, "ProtocolData", since(0));
      v(&Group::members, "Members", since(0));
      v(&Group::authorized_operations, "AuthorizedOperations", since(3));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Group> groups;
  static constexpr void fields(auto& v) {
    v(&DescribeGroupsResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&DescribeGroupsResponse::groups, "Groups", since(0));
  }
};

AFDG_KAFKA_MESSAGE(DescribeGroupsRequest)
AFDG_KAFKA_MESSAGE(DescribeGroupsResponse)

}  // namespace afdg::kafka
