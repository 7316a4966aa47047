#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// The way in which the client wants to authenticate.
struct SaslHandshakeRequest {
  static constexpr MessageId kId{Key::kSaslHandshake, "SaslHandshakeRequest"};

  std::string_view mechanism;
  static constexpr void fields(auto& v) { v(&SaslHandshakeRequest::mechanism, "Mechanism", since(0)); }
};

/// The ways that there are.
struct SaslHandshakeResponse {
  static constexpr MessageId kId{Key::kSaslHandshake, "SaslHandshakeResponse"};

  ErrorCode error_code = ErrorCode::kNone;
  std::vector<std::string_view> mechanisms;
  static constexpr void fields(auto& v) {
    v(&SaslHandshakeResponse::error_code, "ErrorCode", since(0));
    v(&SaslHandshakeResponse::mechanisms, "Mechanisms", since(0));
  }
};

AFDG_KAFKA_MESSAGE(SaslHandshakeRequest)
AFDG_KAFKA_MESSAGE(SaslHandshakeResponse)

}  // namespace afdg::kafka
