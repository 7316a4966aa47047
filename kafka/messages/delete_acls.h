#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Filters; each rule that matches is deleted.
struct DeleteAclsRequest {
  static constexpr MessageId kId{Key::kDeleteAcls, "DeleteAclsRequest"};

  struct Filter {
    std::int8_t resource_type_filter = 0;
    std::optional<std::string_view> resource_name_filter;
    std::int8_t pattern_type_filter = 3;
    std::optional<std::string_view> principal_filter;
    std::optional<std::string_view> host_filter;
    std::int8_t operation = 0;
    std::int8_t permission_type = 0;
    static constexpr void fields(auto& v) {
      v(&Filter::resource_type_filter, "ResourceTypeFilter", since(0));
      v(&Filter::resource_name_filter, "ResourceNameFilter", since(0).nullable(0));
      v(&Filter::pattern_type_filter, "PatternTypeFilter", since(1));
      v(&Filter::principal_filter, "PrincipalFilter", since(0).nullable(0));
      v(&Filter::host_filter, "HostFilter", since(0).nullable(0));
      v(&Filter::operation, "Operation", since(0));
      v(&Filter::permission_type, "PermissionType", since(0));
    }
  };

  std::vector<Filter> filters;
  static constexpr void fields(auto& v) { v(&DeleteAclsRequest::filters, "Filters", since(0)); }
};

/// For each filter, what it deleted.
struct DeleteAclsResponse {
  static constexpr MessageId kId{Key::kDeleteAcls, "DeleteAclsResponse"};

  struct MatchingAcl {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> error_message;
    std::int8_t resource_type = 0;
    std::string_view resource_name;
    std::int8_t pattern_type = 3;
    std::string_view principal;
    std::string_view host;
    std::int8_t operation = 0;
    std::int8_t permission_type = 0;
    static constexpr void fields(auto& v) {
      v(&MatchingAcl::error_code, "ErrorCode", since(0));
      v(&MatchingAcl::error_message, "ErrorMessage", since(0).nullable(0));
      v(&MatchingAcl::resource_type, "ResourceType", since(0));
      v(&MatchingAcl::resource_name, "ResourceName", since(0));
      v(&MatchingAcl::pattern_type, "PatternType", since(1));
      v(&MatchingAcl::principal, "Principal", since(0));
      v(&MatchingAcl::host, "Host", since(0));
      v(&MatchingAcl::operation, "Operation", since(0));
      v(&MatchingAcl::permission_type, "PermissionType", since(0));
    }
  };

  struct FilterResult {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> error_message;
    std::vector<MatchingAcl> matching_acls;
    static constexpr void fields(auto& v) {
      v(&FilterResult::error_code, "ErrorCode", since(0));
      v(&FilterResult::error_message, "ErrorMessage", since(0).nullable(0));
      v(&FilterResult::matching_acls, "MatchingAcls", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<FilterResult> filter_results;
  static constexpr void fields(auto& v) {
    v(&DeleteAclsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&DeleteAclsResponse::filter_results, "FilterResults", since(0));
  }
};

AFDG_KAFKA_MESSAGE(DeleteAclsRequest)
AFDG_KAFKA_MESSAGE(DeleteAclsResponse)

}  // namespace afdg::kafka
