#include "kafka/frame.h"

namespace afdg::kafka {
namespace {

constexpr std::size_t kHeaderBytesMin = 8;  // key, version, correlation id

void skip_tagged(Reader& in) {
  std::uint32_t count = in.varint();
  if (count > in.left() / 2)
    return in.fail(std::to_string(count) + " tagged fields do not fit into the " + std::to_string(in.left()) +
                   " bytes left");
  for (; count > 0 && !in.failed(); --count) {
    in.varint();
    in.bytes(in.varint());
  }
}

}  // namespace

Result<std::size_t> frame_size(std::string_view first_four_bytes, std::size_t bytes_max) {
  Reader in(first_four_bytes);
  const std::int32_t size = in.i32();
  if (in.failed()) return fail(Code::kInvalidArgument, "the size of a Kafka request " + in.problem());
  if (size < static_cast<std::int32_t>(kHeaderBytesMin))
    return fail(Code::kInvalidArgument,
                "a Kafka request of " + std::to_string(size) +
                    " bytes: a header has at least 8; is another protocol spoken here?");
  if (static_cast<std::size_t>(size) > bytes_max)
    return fail(Code::kMessageTooLarge,
                "a Kafka request of " + std::to_string(size) + " bytes is above the limit of " +
                    std::to_string(bytes_max) +
                    " bytes: send smaller requests, or raise kafka-request-bytes-max");
  return static_cast<std::size_t>(size);
}

Result<Request> parse_request(std::string_view frame) {
  Reader in(frame);
  const std::int16_t key = in.i16();
  Request out;
  out.version = in.i16();
  out.correlation_id = in.i32();
  if (in.failed()) return fail(Code::kInvalidArgument, "the header of a Kafka request " + in.problem());
  out.api = find_api(key);
  if (out.api != nullptr && out.api->key == Key::kApiVersions && !out.api->accepts(out.version)) {
    out.unknown_version = true;
    out.version = 0;
    return out;
  }
  const Result<const Api*> checked = check_api(key, out.version);
  if (!checked.ok()) return checked.error();
  // A classic string even in the flexible header, so that old brokers can read it.
  const std::int64_t size = in.string_length(false);
  if (size >= 0)
    out.client_id = in.bytes(static_cast<std::uint64_t>(size));
  else if (size < -1)
    in.fail("a length of " + std::to_string(size) + " for ClientId");
  if (out.api->request_header_version(out.version) == 2) skip_tagged(in);
  if (in.failed())
    return fail(Code::kInvalidArgument,
                "the header of a " + std::string(out.api->name) + " request " + in.problem());
  out.body = frame.substr(in.position());
  return out;
}

void begin_response(Writer& out, const Request& request) {
  out.begin_frame();
  out.i32(request.correlation_id);
  if (request.api->response_header_version(request.version) == 1) out.varint(0);
}

void begin_request(Writer& out, const Api& api, std::int16_t version, std::int32_t correlation_id,
                   std::optional<std::string_view> client_id) {
  out.begin_frame();
  out.i16(static_cast<std::int16_t>(api.key));
  out.i16(version);
  out.i32(correlation_id);
  client_id ? out.string(*client_id, false) : out.null_string(false);
  if (api.request_header_version(version) == 2) out.varint(0);
}

}  // namespace afdg::kafka
