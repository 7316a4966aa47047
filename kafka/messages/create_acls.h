#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Access rules to add.
struct CreateAclsRequest {
  static constexpr MessageId kId{Key::kCreateAcls, "CreateAclsRequest"};

  struct Creation {
    std::int8_t resource_type = 0;
    std::string_view resource_name;
    std::int8_t resource_pattern_type = 3;
    std::string_view principal;
    std::string_view host;
    std::int8_t operation = 0;
    std::int8_t permission_type = 0;
    static constexpr void fields(auto& v) {
      v(&Creation::resource_type, "ResourceType", since(0));
      v(&Creation::resource_name, "ResourceName", since(0));
      v(&Creation::resource_pattern_type, "ResourcePatternType", since(1));
      v(&Creation::principal, "Principal", since(0));
      v(&Creation::host, "Host", since(0));
      v(&Creation::operation, "Operation", since(0));
      v(&Creation::permission_type, "PermissionType", since(0));
    }
  };

  std::vector<Creation> creations;
  static constexpr void fields(auto& v) { v(&CreateAclsRequest::creations, "Creations", since(0)); }
};

/// For each rule, whether it was added.
struct CreateAclsResponse {
  static constexpr MessageId kId{Key::kCreateAcls, "CreateAclsResponse"};

  struct Result {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> error_message;
    static constexpr void fields(auto& v) {
      v(&Result::error_code, "ErrorCode", since(0));
      v(&Result::error_message, "ErrorMessage", since(0).nullable(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Result> results;
  static constexpr void fields(auto& v) {
    v(&CreateAclsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&CreateAclsResponse::results, "Results", since(0));
  }
};

AFDG_KAFKA_MESSAGE(CreateAclsRequest)
AFDG_KAFKA_MESSAGE(CreateAclsResponse)

}  // namespace afdg::kafka
