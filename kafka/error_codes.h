#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

// Kafka's error codes: kafka/error_codes.def.
namespace afdg::kafka {

/// What a client is told. ON WIRE: int16, numbers of the protocol guide.
enum class ErrorCode : std::int16_t {
#define AFDG_KAFKA_ERROR(name, number, retriable, text) name = number,
#include "kafka/error_codes.def"
#undef AFDG_KAFKA_ERROR
};

/// The guide's name, for example "NOT_LEADER_OR_FOLLOWER"; "UNKNOWN_SERVER_ERROR" for a number that is not in
/// it.
[[nodiscard]] std::string_view error_name(ErrorCode code) noexcept;
/// A client may send the same request again, some of them after asking for new metadata.
[[nodiscard]] bool error_retriable(ErrorCode code) noexcept;

/// What a client of Kafka is told of one of our errors: the Kafka column of base/errors.def. Two are a matter
/// of the call, so the caller decides: a Produce never answers kUnknownServerError (clients then write
/// twice), and kNotFound is a group here, kUnknownTopicOrPartition where a topic was asked for.
[[nodiscard]] ErrorCode error_code(Code code) noexcept;

}  // namespace afdg::kafka
