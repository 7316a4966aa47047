#include "kafka/error_codes.h"

namespace afdg::kafka {
namespace {
constexpr bool known(int number) {
  switch (number) {
#define AFDG_KAFKA_ERROR(name, n, retriable, text) case n:
#include "kafka/error_codes.def"
#undef AFDG_KAFKA_ERROR
    return true;
    default:
      return false;
  }
}
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) \
  static_assert(known(kafka), "base/errors.def: " #name " has a Kafka code that error_codes.def has not");
#include "base/errors.def"
#undef AFDG_ERROR
}  // namespace

std::string_view error_name(ErrorCode code) noexcept {
  switch (code) {
#define AFDG_KAFKA_ERROR(name, number, retriable, text) \
  case ErrorCode::name:                                 \
    return text;
#include "kafka/error_codes.def"
#undef AFDG_KAFKA_ERROR
  }
  return "UNKNOWN_SERVER_ERROR";
}

bool error_retriable(ErrorCode code) noexcept {
  switch (code) {
#define AFDG_KAFKA_ERROR(name, number, retriable, text) \
  case ErrorCode::name:                                 \
    return retriable;
#include "kafka/error_codes.def"
#undef AFDG_KAFKA_ERROR
  }
  return false;
}

ErrorCode error_code(Code code) noexcept { return static_cast<ErrorCode>(code_kafka(code)); }

}  // namespace afdg::kafka
