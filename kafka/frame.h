#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "kafka/codec.h"
#include "kafka/error_codes.h"

// Frames: a size, a header, a message. ON WIRE: big endian; headers 1 and 2 of requests, 0 and 1 of
// responses.
namespace afdg::kafka {

/// The size of a frame, from its first 4 bytes.
/// Errors: kInvalidArgument when it is negative or too small for a header, kMessageTooLarge when it is above
/// `bytes_max`; then close.
[[nodiscard]] Result<std::size_t> frame_size(std::string_view first_four_bytes, std::size_t bytes_max);

/// A request as it came, its header read.
/// Ownership: looks into the frame.
struct Request {
  const Api* api = nullptr;
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string_view> client_id;
  std::string_view body;
  /// ApiVersions of a version that is not served: the body is not to be read, the answer is that of version 0
  /// with UNSUPPORTED_VERSION (KIP-511), see answer_api_versions(). `version` is 0 then.
  bool unknown_version = false;
};

/// Reads the header of a frame (without its size).
/// Errors, after each of which the connection is to be closed: kUnsupported for a key or version that
/// kafka/api.def does not accept (names it), kInvalidArgument for a header that is cut short or malformed.
[[nodiscard]] Result<Request> parse_request(std::string_view frame);

/// Starts the frame of a response: room for the size, then the header. Writer::end_frame() ends it.
void begin_response(Writer& out, const Request& request);

/// Appends the whole frame of a response.
/// Errors: those of Writer::end_frame(); nothing is appended then.
template <class M>
[[nodiscard]] Status write_response(Writer& out, const Request& request, const M& response) {
  AFDG_ASSERT(request.api->key == M::kId.key, "a response of another API than the request's");
  begin_response(out, request);
  encode(response, request.version, out);
  return out.end_frame();
}

/// Appends the whole frame of a request, for clients and tests.
/// Errors: as write_response().
void begin_request(Writer& out, const Api& api, std::int16_t version, std::int32_t correlation_id,
                   std::optional<std::string_view> client_id);
template <class M>
[[nodiscard]] Status write_request(Writer& out, std::int16_t version, std::int32_t correlation_id,
                                   std::optional<std::string_view> client_id, const M& request) {
  begin_request(out, api(M::kId.key), version, correlation_id, client_id);
  encode(request, version, out);
  return out.end_frame();
}

}  // namespace afdg::kafka
