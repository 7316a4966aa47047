#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Resources (2: topic, 4: broker) and which of their settings; null: all.
struct DescribeConfigsRequest {
  static constexpr MessageId kId{Key::kDescribeConfigs, "DescribeConfigsRequest"};

  struct Resource {
    std::int8_t resource_type = 0;
    std::string_view resource_name;
    std::optional<std::vector<std::string_view>> configuration_keys;
    static constexpr void fields(auto& v) {
      v(&Resource::resource_type, "ResourceType", since(0));
      v(&Resource::resource_name, "ResourceName", since(0));
      v(&Resource::configuration_keys, "ConfigurationKeys", since(0).nullable(0));
    }
  };

  std::vector<Resource> resources;
  bool include_synonyms = false;
  bool include_documentation = false;
  static constexpr void fields(auto& v) {
    v(&DescribeConfigsRequest::resources, "Resources", since(0));
    v(&DescribeConfigsRequest::include_synonyms, "IncludeSynonyms", since(1));
    v(&DescribeConfigsRequest::include_documentation, "IncludeDocumentation", since(3));
  }
};

/// The settings, where each value is from, and its synonyms.
struct DescribeConfigsResponse {
  static constexpr MessageId kId{Key::kDescribeConfigs, "DescribeConfigsResponse"};

  struct Synonym {
    std::string_view name;
    std::optional<std::string_view> value;
    std::int8_t source = 0;
    static constexpr void fields(auto& v) {
      v(&Synonym::name, "Name", since(1));
      v(&Synonym::value, "Value", since(1).nullable(0));
      v(&Synonym::source, "Source", since(1));
    }
  };

  struct Config {
    std::string_view name;
    std::optional<std::string_view> value;
    bool read_only = false;
    bool is_default = false;
    std::int8_t config_source = -1;
    bool is_sensitive = false;
    std::vector<Synonym> synonyms;
    std::int8_t config_type = 0;
    std::optional<std::string_view> documentation;
    static constexpr void fields(auto& v) {
      v(&Config::name, "Name", since(0));
      v(&Config::value, "Value", since(0).nullable(0));
      v(&Config::read_only, "ReadOnly", since(0));
      v(&Config::is_default, "IsDefault", versions(0, 0));
      v(&Config::config_source, "ConfigSource", since(1));
      v(&Config::is_sensitive, "IsSensitive", since(0));
      v(&Config::synonyms, "Synonyms", since(1));
      v(&Config::config_type, "ConfigType", since(3));
      v(&Config::documentation, "Documentation", since(3).nullable(0));
    }
  };

  struct Resource {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> error_message;
    std::int8_t resource_type = 0;
    std::string_view resource_name;
    std::vector<Config> configs;
    static constexpr void fields(auto& v) {
      v(&Resource::error_code, "ErrorCode", since(0));
      v(&Resource::error_message, "ErrorMessage", since(0).nullable(0));
      v(&Resource::resource_type, "ResourceType", since(0));
      v(&Resource::resource_name, "ResourceName", since(0));
      v(&Resource::configs, "Configs", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Resource> results;
  static constexpr void fields(auto& v) {
    v(&DescribeConfigsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&DescribeConfigsResponse::results, "Results", since(0));
  }
};

AFDG_KAFKA_MESSAGE(DescribeConfigsRequest)
AFDG_KAFKA_MESSAGE(DescribeConfigsResponse)

}  // namespace afdg::kafka
