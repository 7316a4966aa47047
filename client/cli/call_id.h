#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace afdg::client::cli {

/// Names a call that was made without --id, so that it can be repeated when it ended in doubt: the client's
/// session, in which it was the only call, when it began, and what it said. The region forgets a session
/// soon, so the id holds for kRepeatable.
struct CallId {
  std::uint64_t session = 0;
  std::uint32_t begun_unix_s = 0;
  std::uint32_t content = 0;  ///< content_of()
};
inline constexpr std::chrono::minutes kRepeatable{10};

/// "cli-0123456789abcdef-65f1c2d3-1a2b3c4d".
[[nodiscard]] std::string call_id_text(const CallId& id);
/// Nothing when it is not of that form: an id of the user's own.
[[nodiscard]] std::optional<CallId> parse_call_id(std::string_view text);
/// Errors: kRequestExpired when it is too old to be repeated.
[[nodiscard]] Status check_age(const CallId& id, Timestamp now);
/// A digest of the parts of a message, in order.
[[nodiscard]] std::uint32_t content_of(std::initializer_list<std::string_view> parts);

}  // namespace afdg::client::cli
