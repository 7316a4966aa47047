#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace afdg {

void assertion_failed(const char* condition, const char* file, int line, const char* why) noexcept {
  std::fprintf(stderr, "afdg: broken invariant at %s:%d: %s (%s)\n", file, line, condition, why);
  std::fflush(stderr);
  std::abort();
}

std::string_view code_name(Code code) noexcept {
  switch (code) {
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) \
  case Code::name:                                         \
    return #name;
#include "base/errors.def"
#undef AFDG_ERROR
  }
  return "kInternal";
}

std::string_view code_text(Code code) noexcept {
  switch (code) {
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) \
  case Code::name:                                         \
    return text;
#include "base/errors.def"
#undef AFDG_ERROR
  }
  return "";
}

Retry code_retry(Code code) noexcept {
  switch (code) {
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) \
  case Code::name:                                         \
    return Retry::retry;
#include "base/errors.def"
#undef AFDG_ERROR
  }
  return Retry::kNever;
}

namespace {
// google.rpc.Code, as gRPC's status codes are numbered.
enum GrpcNumber : int {
  OK = 0,
  CANCELLED = 1,
  UNKNOWN = 2,
  INVALID_ARGUMENT = 3,
  DEADLINE_EXCEEDED = 4,
  NOT_FOUND = 5,
  ALREADY_EXISTS = 6,
  PERMISSION_DENIED = 7,
  RESOURCE_EXHAUSTED = 8,
  FAILED_PRECONDITION = 9,
  ABORTED = 10,
  OUT_OF_RANGE = 11,
  UNIMPLEMENTED = 12,
  INTERNAL = 13,
  UNAVAILABLE = 14,
  DATA_LOSS = 15,
};
}  // namespace

int code_grpc(Code code) noexcept {
  switch (code) {
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) \
  case Code::name:                                         \
    return grpc;
#include "base/errors.def"
#undef AFDG_ERROR
  }
  return INTERNAL;
}

int code_kafka(Code code) noexcept {
  switch (code) {
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) \
  case Code::name:                                         \
    return kafka;
#include "base/errors.def"
#undef AFDG_ERROR
  }
  return -1;
}

Code code_from_number(std::uint32_t wanted) noexcept {
  switch (wanted) {
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) \
  case number:                                             \
    return Code::name;
#include "base/errors.def"
#undef AFDG_ERROR
    default:
      return Code::kInternal;
  }
}

std::optional<Code> code_from_name(std::string_view wanted) noexcept {
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) \
  if (wanted == #name) return Code::name;
#include "base/errors.def"
#undef AFDG_ERROR
  return std::nullopt;
}

}  // namespace afdg
