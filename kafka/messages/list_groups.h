#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Which groups to list: those in one of the states (KIP-518) and of one of the types (KIP-848); empty: all.
struct ListGroupsRequest {
  static constexpr MessageId kId{Key::kListGroups, "ListGroupsRequest"};

  std::vector<std::string_view> states_filter;
  std::vector<std::string_view> types_filter;
  static constexpr void fields(auto& v) {
    v(&ListGroupsRequest::states_filter, "StatesFilter", since(4));
    v(&ListGroupsRequest::types_filter, "TypesFilter", since(5));
  }
};

/// The groups that this broker coordinates.
struct ListGroupsResponse {
  static constexpr MessageId kId{Key::kListGroups, "ListGroupsResponse"};

  struct Group {
    std::string_view group_id;
    std::string_view protocol_type;
    std::string_view group_state;
    std::string_view group_type;
    static constexpr void fields(auto& v) {
      v(&Group::group_id, "GroupId", since(0));
      v(&Group::protocol_type, "ProtocolType", since(0));
      v(&Group::group_state, "GroupState", since(4));
      v(&Group::group_type, "GroupType", since(5));
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Group> groups;
  static constexpr void fields(auto& v) {
    v(&ListGroupsResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&ListGroupsResponse::error_code, "ErrorCode", since(0));
    v(&ListGroupsResponse::groups, "Groups", since(0));
  }
};

AFDG_KAFKA_MESSAGE(ListGroupsRequest)
AFDG_KAFKA_MESSAGE(ListGroupsResponse)

}  // namespace afdg::kafka
