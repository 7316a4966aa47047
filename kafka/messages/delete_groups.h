#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Groups to delete; each must have no member.
struct DeleteGroupsRequest {
  static constexpr MessageId kId{Key::kDeleteGroups, "DeleteGroupsRequest"};

  std::vector<std::string_view> groups_names;
  static constexpr void fields(auto& v) { v(&DeleteGroupsRequest::groups_names, "GroupsNames", since(0)); }
};

/// For each group, whether it is deleted.
struct DeleteGroupsResponse {
  static constexpr MessageId kId{Key::kDeleteGroups, "DeleteGroupsResponse"};

  struct Group {
    std::string_view group_id;
    ErrorCode error_code = ErrorCode::kNone;
    static constexpr void fields(auto& v) {
      v(&Group::group_id, "GroupId", since(0));
      v(&Group::error_code, "ErrorCode", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Group> results;
  static constexpr void fields(auto& v) {
    v(&DeleteGroupsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&DeleteGroupsResponse::results, "Results", since(0));
  }
};

AFDG_KAFKA_MESSAGE(DeleteGroupsRequest)
AFDG_KAFKA_MESSAGE(DeleteGroupsResponse)

}  // namespace afdg::kafka
