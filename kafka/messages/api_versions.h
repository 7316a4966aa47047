#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Sent first. The answer to a version that is not known is that of version 0 (see kafka::Request).
struct ApiVersionsRequest {
  static constexpr MessageId kId{Key::kApiVersions, "ApiVersionsRequest"};

  std::string_view client_software_name;
  std::string_view client_software_version;
  static constexpr void fields(auto& v) {
    v(&ApiVersionsRequest::client_software_name, "ClientSoftwareName", since(3));
    v(&ApiVersionsRequest::client_software_version, "ClientSoftwareVersion", since(3));
  }
};

/// Which APIs and versions are served: answer_api_versions() makes it from kafka/api.def.
struct ApiVersionsResponse {
  static constexpr MessageId kId{Key::kApiVersions, "ApiVersionsResponse"};

  struct Version {
    std::int16_t api_key = 0;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    static constexpr void fields(auto& v) {
      v(&Version::api_key, "ApiKey", since(0));
      v(&Version::min_version, "MinVersion", since(0));
      v(&Version::max_version, "MaxVersion", since(0));
    }
  };

  struct SupportedFeature {
    std::string_view name;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    static constexpr void fields(auto& v) {
      v(&SupportedFeature::name, "Name", since(3));
      v(&SupportedFeature::min_version, "MinVersion", since(3));
      v(&SupportedFeature::max_version, "MaxVersion", since(3));
    }
  };

  struct FinalizedFeature {
    std::string_view name;
    std::int16_t max_version_level = 0;
    std::int16_t min_version_level = 0;
    static constexpr void fields(auto& v) {
      v(&FinalizedFeature::name, "Name", since(3));
      v(&FinalizedFeature::max_version_level, "MaxVersionLevel", since(3));
      v(&FinalizedFeature::min_version_level, "MinVersionLevel", since(3));
    }
  };

  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Version> api_keys;
  std::int32_t throttle_time_ms = 0;
  std::vector<SupportedFeature> supported_features;
  std::int64_t finalized_features_epoch = -1;
  std::vector<FinalizedFeature> finalized_features;
  bool zk_migration_ready = false;
  static constexpr void fields(auto& v) {
    v(&ApiVersionsResponse::error_code, "ErrorCode", since(0));
    v(&ApiVersionsResponse::api_keys, "ApiKeys", since(0));
    v(&ApiVersionsResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&ApiVersionsResponse::supported_features, "SupportedFeatures", since(3).tagged(0));
    v(&ApiVersionsResponse::finalized_features_epoch, "FinalizedFeaturesEpoch", since(3).tagged(1));
    v(&ApiVersionsResponse::finalized_features, "FinalizedFeatures", since(3).tagged(2));
    v(&ApiVersionsResponse::zk_migration_ready, "ZkMigrationReady", since(3).tagged(3));
  }
};

AFDG_KAFKA_MESSAGE(ApiVersionsRequest)
AFDG_KAFKA_MESSAGE(ApiVersionsResponse)

}  // namespace afdg::kafka
