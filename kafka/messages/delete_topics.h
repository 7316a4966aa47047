#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Topics to delete, from version 6 on by name or by id.
struct DeleteTopicsRequest {
  static constexpr MessageId kId{Key::kDeleteTopics, "DeleteTopicsRequest"};

  struct Topic {
    std::optional<std::string_view> name;
    Uuid topic_id;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(6).nullable(6));
      v(&Topic::topic_id, "TopicId", since(6));
    }
  };

  std::vector<Topic> topics;
  std::vector<std::string_view> topic_names;
  std::int32_t timeout_ms = 0;
  static constexpr void fields(auto& v) {
    v(&DeleteTopicsRequest::topics, "Topics", since(6));
    v(&DeleteTopicsRequest::topic_names, "TopicNames", versions(0, 5));
    v(&DeleteTopicsRequest::timeout_ms, "TimeoutMs", since(0));
  }
};

/// For each topic, whether it is deleted.
struct DeleteTopicsResponse {
  static constexpr MessageId kId{Key::kDeleteTopics, "DeleteTopicsResponse"};

  struct Topic {
    std::optional<std::string_view> name;
    Uuid topic_id;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> error_message;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0).nullable(6));
      v(&Topic::topic_id, "TopicId", since(6));
      v(&Topic::error_code, "ErrorCode", since(0));
      v(&Topic::error_message, "ErrorMessage", since(5).nullable(5));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> responses;
  static constexpr void fields(auto& v) {
    v(&DeleteTopicsResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&DeleteTopicsResponse::responses, "Responses", since(0));
  }
};

AFDG_KAFKA_MESSAGE(DeleteTopicsRequest)
AFDG_KAFKA_MESSAGE(DeleteTopicsResponse)

}  // namespace afdg::kafka
