#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Topics to create; -1 partitions or replicas: the default (KIP-464).
struct CreateTopicsRequest {
  static constexpr MessageId kId{Key::kCreateTopics, "CreateTopicsRequest"};

  struct Assignment {
    std::int32_t partition_index = 0;
    std::vector<std::int32_t> broker_ids;
    static constexpr void fields(auto& v) {
      v(&Assignment::partition_index, "PartitionIndex", since(0));
      v(&Assignment::broker_ids, "BrokerIds", since(0));
    }
  };

  struct Config {
    std::string_view name;
    std::optional<std::string_view> value;
    static constexpr void fields(auto& v) {
      v(&Config::name, "Name", since(0));
      v(&Config::value, "Value", since(0).nullable(0));
    }
  };

  struct Topic {
    std::string_view name;
    std::int32_t num_partitions = 0;
    std::int16_t replication_factor = 0;
    std::vector<Assignment> assignments;
    std::vector<Config> configs;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::num_partitions, "NumPartitions", since(0));
      v(&Topic::replication_factor, "ReplicationFactor", since(0));
      v(&Topic::assignments, "Assignments", since(0));
      v(&Topic::configs, "Configs", since(0));
    }
  };

  std::vector<Topic> topics;
  std::int32_t timeout_ms = 60000;
  bool validate_only = false;
  static constexpr void fields(auto& v) {
    v(&CreateTopicsRequest::topics, "Topics", since(0));
    v(&CreateTopicsRequest::timeout_ms, "timeoutMs", since(0));
    v(&CreateTopicsRequest::validate_only, "validateOnly", since(1));
  }
};

/// What was created, and from version 5 on with which settings (KIP-525).
struct CreateTopicsResponse {
  static constexpr MessageId kId{Key::kCreateTopics, "CreateTopicsResponse"};

  struct Config {
    std::string_view name;
    std::optional<std::string_view> value;
    bool read_only = false;
    std::int8_t config_source = -1;
    bool is_sensitive = false;
    static constexpr void fields(auto& v) {
      v(&Config::name, "Name", since(5));
      v(&Config::value, "Value", since(5).nullable(5));
      v(&Config::read_only, "ReadOnly", since(5));
      v(&Config::config_source, "ConfigSource", since(5));
      v(&Config::is_sensitive, "IsSensitive", since(5));
    }
  };

  struct Topic {
    std::string_view name;
    Uuid topic_id;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> error_message;
    ErrorCode topic_config_error_code = ErrorCode::kNone;
    std::int32_t num_partitions = -1;
    std::int16_t replication_factor = -1;
    std::optional<std::vector<Config>> configs;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::topic_id, "TopicId", since(7));
      v(&Topic::error_code, "ErrorCode", since(0));
      v(&Topic::error_message, "ErrorMessage", since(1).nullable(0));
      v(&Topic::topic_config_error_code, "TopicConfigErrorCode", since(5).tagged(0));
      v(&Topic::num_partitions, "NumPartitions", since(5));
      v(&Topic::replication_factor, "ReplicationFactor", since(5));
      v(&Topic::configs, "Configs", since(5).nullable(5));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&CreateTopicsResponse::throttle_time_ms, "ThrottleTimeMs", since(2));
    v(&CreateTopicsResponse::topics, "Topics", since(0));
  }
};

AFDG_KAFKA_MESSAGE(CreateTopicsRequest)
AFDG_KAFKA_MESSAGE(CreateTopicsResponse)

}  // namespace afdg::kafka
