// Any bytes: parse_outcome_frame neither reads outside of them nor gives views outside of them.
#include <cstdint>
#include <cstdlib>

#include "client/internal/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  afdg::client::internal::OutcomeFrameView view;
  if (!afdg::client::internal::parse_outcome_frame(bytes, view)) return 0;
  const auto inside = [&](std::string_view part) {
    return part.empty() ||
           (part.data() >= bytes.data() && part.data() + part.size() <= bytes.data() + bytes.size());
  };
  for (const auto& outcome : view.outcomes) {
    if (!inside(outcome.payload) || !inside(outcome.text)) std::abort();
  }
  for (const auto& route : view.routes) {
    if (!inside(route.grid) || !inside(route.address)) std::abort();
  }
  return 0;
}
