#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Asks for a producer id, or for a new epoch of one (KIP-360).
struct InitProducerIdRequest {
  static constexpr MessageId kId{Key::kInitProducerId, "InitProducerIdRequest"};

  std::optional<std::string_view> transactional_id;
  std::int32_t transaction_timeout_ms = 0;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  static constexpr void fields(auto& v) {
    v(&InitProducerIdRequest::transactional_id, "TransactionalId", since(0).nullable(0));
    v(&InitProducerIdRequest::transaction_timeout_ms, "TransactionTimeoutMs", since(0));
    v(&InitProducerIdRequest::producer_id, "ProducerId", since(3));
    v(&InitProducerIdRequest::producer_epoch, "ProducerEpoch", since(3));
  }
};

/// The producer's id and epoch.
struct InitProducerIdResponse {
  static constexpr MessageId kId{Key::kInitProducerId, "InitProducerIdResponse"};

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = 0;
  static constexpr void fields(auto& v) {
    v(&InitProducerIdResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&InitProducerIdResponse::error_code, "ErrorCode", since(0));
    v(&InitProducerIdResponse::producer_id, "ProducerId", since(0));
    v(&InitProducerIdResponse::producer_epoch, "ProducerEpoch", since(0));
  }
};

AFDG_KAFKA_MESSAGE(InitProducerIdRequest)
AFDG_KAFKA_MESSAGE(InitProducerIdResponse)

}  // namespace afdg::kafka
