#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Single settings to change; config_operation 0 set, 1 delete, 2 append, 3 subtract (KIP-339).
struct IncrementalAlterConfigsRequest {
  static constexpr MessageId kId{Key::kIncrementalAlterConfigs, "IncrementalAlterConfigsRequest"};

  struct Config {
    std::string_view name;
    std::int8_t config_operation = 0;
    std::optional<std::string_view> value;
    static constexpr void fields(auto& v) {
      v(&Config::name, "Name", since(0));
      v(&Config::config_operation, "ConfigOperation", since(0));
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
    v(&IncrementalAlterConfigsRequest::resources, "Resources", since(0));
    v(&IncrementalAlterConfigsRequest::validate_only, "ValidateOnly", since(0));
  }
};

/// For each resource, whether it was changed.
struct IncrementalAlterConfigsResponse {
  static constexpr MessageId kId{Key::kIncrementalAlterConfigs, "IncrementalAlterConfigsResponse"};

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
    v(&IncrementalAlterConfigsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&IncrementalAlterConfigsResponse::responses, "Responses", since(0));
  }
};

AFDG_KAFKA_MESSAGE(IncrementalAlterConfigsRequest)
AFDG_KAFKA_MESSAGE(IncrementalAlterConfigsResponse)

}  // namespace afdg::kafka
