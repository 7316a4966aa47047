#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// The complete settings of resources; what is not named goes back to its default.
struct AlterConfigsRequest {
  static constexpr MessageId kId{Key::kAlterConfigs, "AlterConfigsRequest"};

  struct Config {
    std::string_view name;
    std::optional<std::string_view> value;
    static constexpr void fields(auto& v) {
      v(&Config::name, "Name", since(0));
      v(&Config::value, "Value", since(0).nullable(0));
    }
  };

  struct Resource {
    std::int8_t resource_type = 0;
    std::string_view resource_name;
    std::vector<Config> configs;
    static constexpr void fields(auto& v) {
      v(&Resource::resource_type, "ResourceType", since(0));
      v(&Resource::resource_name, "ResourceName", since(0));
      v(&Resource::configs, "Configs", since(0));
    }
  };

  std::vector<Resource> resources;
  bool validate_only = false;
  static constexpr void fields(auto& v) {
    v(&AlterConfigsRequest::resources, "Resources", since(0));
    v(&AlterConfigsRequest::validate_only, "ValidateOnly", since(0));
  }
};

/// For each resource, whether it was changed.
struct AlterConfigsResponse {
  static constexpr MessageId kId{Key::kAlterConfigs, "AlterConfigsResponse"};

  struct Resource {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> error_message;
    std::int8_t resource_type = 0;
    std::string_view resource_name;
    static constexpr void fields(auto& v) {
      v(&Resource::error_code, "ErrorCode", since(0));
      v(&Resource::error_message, "ErrorMessage", since(0).nullable(0));
      v(&Resource::resource_type, "ResourceType", since(0));
      v(&Resource::resource_name, "ResourceName", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> responses;
  static constexpr void fields(auto& v) {
    v(&AlterConfigsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&AlterConfigsResponse::responses, "Responses", since(0));
  }
};

AFDG_KAFKA_MESSAGE(AlterConfigsRequest)
AFDG_KAFKA_MESSAGE(AlterConfigsResponse)

}  // namespace afdg::kafka
