#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// A step of the exchange that SaslHandshake chose.
struct SaslAuthenticateRequest {
  static constexpr MessageId kId{Key::kSaslAuthenticate, "SaslAuthenticateRequest"};

  Bytes auth_bytes;
  static constexpr void fields(auto& v) { v(&SaslAuthenticateRequest::auth_bytes, "AuthBytes", since(0)); }
};

/// The server's step.
struct SaslAuthenticateResponse {
  static constexpr MessageId kId{Key::kSaslAuthenticate, "SaslAuthenticateResponse"};

  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string_view> error_message;
  Bytes auth_bytes;
  std::int64_t session_lifetime_ms = 0;
  static constexpr void fields(auto& v) {
    v(&SaslAuthenticateResponse::error_code, "ErrorCode", since(0));
    v(&SaslAuthenticateResponse::error_message, "ErrorMessage", since(0).nullable(0));
    v(&SaslAuthenticateResponse::auth_bytes, "AuthBytes", since(0));
    v(&SaslAuthenticateResponse::session_lifetime_ms, "SessionLifetimeMs", since(1));
  }
};

AFDG_KAFKA_MESSAGE(SaslAuthenticateRequest)
AFDG_KAFKA_MESSAGE(SaslAuthenticateResponse)

}  // namespace afdg::kafka
