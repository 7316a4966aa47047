#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

// CallFrame, Call and OutcomeFrame of proto/afdg/v1/data.proto by hand: a call's body is encoded once,
// outside all locks, and what is only known when it leaves (numbers) is appended. Protocol Buffers accepts
// fields in any order.
namespace afdg::client::internal {

enum class Kind : std::uint8_t { kRequest = 0, kSend = 1 };

struct CallBody {
  std::string_view type{};
  std::string_view key{};
  std::string_view message{};
  std::string_view payload{};
  std::uint8_t content = 0;
  Kind kind = Kind::kRequest;
  std::string_view request_id{};
  std::int64_t deadline_unix_ms = 0;
};

/// The fields of a Call that never change, appended to `out`.
void append_call_body(std::string& out, const CallBody& body);

/// As `sequence` and `answered_below`: the session is over, and the call runs nothing (data.proto).
inline constexpr std::uint64_t kSessionOver = ~std::uint64_t{0};

struct CallNumbers {
  std::uint64_t id = 0;
  std::uint32_t region = 0;
  std::uint64_t sequence = 0;
  std::uint64_t answered_below = 0;
};
/// The start of a CallFrame; deadlines count from `sent`.
void append_frame_head(std::string& frame, std::string_view grid, std::uint64_t session, Timestamp sent);
/// One call of a CallFrame.
void append_call(std::string& frame, std::string_view body, const CallNumbers& numbers);

/// Views into the parsed frame.
struct OutcomeView {
  std::uint64_t id = 0;
  std::uint32_t code = 0;
  std::uint32_t region = 0;
  std::string_view payload;
  std::string_view text;
  std::int64_t offset = 0;
  bool repeated = false;
};
struct RouteView {
  std::string_view grid;
  std::uint32_t region = 0;
  std::uint32_t node = 0;
  std::string_view address;
  std::int32_t epoch = 0;
};
struct OutcomeFrameView {
  std::vector<OutcomeView> outcomes;
  std::vector<RouteView> routes;
};
/// Replaces what `out` held; false when the bytes are not an OutcomeFrame. Unknown fields are skipped.
[[nodiscard]] bool parse_outcome_frame(std::string_view bytes, OutcomeFrameView& out);

}  // namespace afdg::client::internal
