#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Groups (key_type 0) or transactional ids (1) whose broker is looked for. From version 4 on several keys.
struct FindCoordinatorRequest {
  static constexpr MessageId kId{Key::kFindCoordinator, "FindCoordinatorRequest"};

  std::string_view key;
  std::int8_t key_type = 0;
  std::vector<std::string_view> coordinator_keys;
  static constexpr void fields(auto& v) {
    v(&FindCoordinatorRequest::key, "Key", versions(0, 3));
    v(&FindCoordinatorRequest::key_type, "KeyType", since(1));
    v(&FindCoordinatorRequest::coordinator_keys, "CoordinatorKeys", since(4));
  }
};

/// The broker to send the group's requests to.
struct FindCoordinatorResponse {
  static constexpr MessageId kId{Key::kFindCoordinator, "FindCoordinatorResponse"};

  struct Coordinator {
    std::string_view key;
    std::int32_t node_id = 0;
    std::string_view host;
    std::int32_t port = 0;
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string_view> error_message;
    static constexpr void fields(auto& v) {
      v(&Coordinator::key, "Key", since(4));
      v(&Coordinator::node_id, "NodeId", since(4));
      v(&Coordinator::host, "Host", since(4));
      v(&Coordinator::port, "Port", since(4));
      v(&Coordinator::error_code, "ErrorCode", since(4));
      v(&Coordinator::error_message, "ErrorMessage", since(4).nullable(4));
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string_view> error_message;
  std::int32_t node_id = 0;
  std::string_view host;
  std::int32_t port = 0;
  std::vector<Coordinator> coordinators;
  static constexpr void fields(auto& v) {
    v(&FindCoordinatorResponse::throttle_time_ms, "ThrottleTimeMs", since(1));
    v(&FindCoordinatorResponse::error_code, "ErrorCode", versions(0, 3));
    v(&FindCoordinatorResponse::error_message, "ErrorMessage", versions(1, 3).nullable(1));
    v(&FindCoordinatorResponse::node_id, "NodeId", versions(0, 3));
    v(&FindCoordinatorResponse::host, "Host", versions(0, 3));
    v(&FindCoordinatorResponse::port, "Port", versions(0, 3));
    v(&FindCoordinatorResponse::coordinators, "Coordinators", since(4));
  }
};

AFDG_KAFKA_MESSAGE(FindCoordinatorRequest)
AFDG_KAFKA_MESSAGE(FindCoordinatorResponse)

}  // namespace afdg::kafka
