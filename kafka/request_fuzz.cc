#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kafka/api_versions.h"
#include "kafka/messages/all.h"

namespace afdg::kafka {
namespace {

/// Whatever a decoder accepts is a message: written and read again it says the same.
template <class M>
void read_and_write(const Request& request) {
  M message;
  if (!decode(message, request.version, request.body, {.array_bytes_max = array_bytes_max(M::kId.key)}).ok())
    return;
  const std::string text = dump(message, request.version);
  Writer out;
  encode(message, request.version, out);
  std::string again;
  for (const Piece& piece : out.pieces())
    again += piece.kind == Piece::Kind::kOwned ? out.owned(piece) : std::string_view(piece.data, piece.size);
  M second;
  if (!decode(second, request.version, again, {.refuse_rest = true}).ok()) std::abort();
  if (dump(second, request.version) != text) std::abort();
}

}  // namespace
}  // namespace afdg::kafka

// Any bytes as the frame of a request (its first bytes are key and version): a request that was read, or an
// error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace afdg::kafka;
  const auto request = parse_request({reinterpret_cast<const char*>(data), size});
  if (!request.ok()) return 0;
  if (request->api->key == Key::kApiVersions) {
    const auto answer = answer_api_versions(*request, [](Key) { return true; });
    Writer out;
    if (answer.ok() && !write_response(out, *request, *answer).ok()) std::abort();
  }
  if (request->unknown_version) return 0;
  with_messages(request->api->key, [&](const auto& message, const auto&) {
    read_and_write<std::decay_t<decltype(message)>>(*request);
  });
  return 0;
}
