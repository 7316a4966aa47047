#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// A filter of access rules; a null name matches each.
struct DescribeAclsRequest {
  static constexpr MessageId kId{Key::kDescribeAcls, "DescribeAclsRequest"};

  std::int8_t resource_type_filter = 0;
  std::optional<std::string_view> resource_name_filter;
  std::int8_t pattern_type_filter = 3;
  std::optional<std::string_view> principal_filter;
  std::optional<std::string_view> host_filter;
  std::int8_t operation = 0;
  std::int8_t permission_type = 0;
  static constexpr void fields(auto& v) {
    v(&DescribeAclsRequest::resource_type_filter, "ResourceTypeFilter", since(0));
    v(&DescribeAclsRequest::resource_name_filter, "ResourceNameFilter", since(0).nullable(0));
    v(&DescribeAclsRequest::pattern_type_filter, "PatternTypeFilter", since(1));
    v(&DescribeAclsRequest::principal_filter, "PrincipalFilter", since(0).nullable(0));
    v(&DescribeAclsRequest::host_filter, "HostFilter", since(0).nullable(0));
    v(&DescribeAclsRequest::operation, "Operation", since(0));
    v(&DescribeAclsRequest::permission_type, "PermissionType", since(0));
  }
};

/// The rules that match.
struct DescribeAclsResponse {
  static constexpr MessageId kId{Key::kDescribeAcls, "DescribeAclsResponse"};

  struct Acl {
    std::string_view principal;
    std::string_view host;
    std::int8_t operation = 0;
    std::int8_t permission_type = 0;
    static constexpr void fields(auto& v) {
      v(&Acl::principal, "Principal", since(0));
      v(&Acl::host, "Host", since(0));
      v(&Acl::operation, "Operation", since(0));
      v(&Acl::permission_type, "PermissionType", since(0));
    }
  };

  struct Resource {
    std::int8_t resource_type = 0;
    std::string_view resource_name;
    std::int8_t pattern_type = 3;
    std::vector<Acl> acls;
    static constexpr void fields(auto& v) {
      v(&Resource::resource_type, "ResourceType", since(0));
      v(&Resource::resource_name, "ResourceName", since(0));
      v(&Resource::pattern_type, "PatternType", since(1));
      v(&Resource::acls, "Acls", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string_view> error_message;
  std::vector<Resource> resources;
  static constexpr void fields(auto& v) {
    v(&DescribeAclsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&DescribeAclsResponse::error_code, "ErrorCode", since(0));
    v(&DescribeAclsResponse::error_message, "ErrorMessage", since(0).nullable(0));
    v(&DescribeAclsResponse::resources, "Resources", since(0));
  }
};

AFDG_KAFKA_MESSAGE(DescribeAclsRequest)
AFDG_KAFKA_MESSAGE(DescribeAclsResponse)

}  // namespace afdg::kafka
