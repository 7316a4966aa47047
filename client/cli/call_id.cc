#include "client/cli/call_id.h"

#include <charconv>
#include <cstdio>

#include "base/codec.h"

namespace afdg::client::cli {
namespace {

constexpr std::string_view kPrefix = "cli-";

/// Takes `digits` lower-case hexadecimal digits and, unless it is the last, the dash behind them.
template <typename T>
bool take_hex(std::string_view& text, std::size_t digits, bool last, T& into) {
  if (text.size() < digits) return false;
  const char* const end = text.data() + digits;
  for (const char* at = text.data(); at != end; ++at) {
    if (!(*at >= '0' && *at <= '9') && !(*at >= 'a' && *at <= 'f')) return false;
  }
  std::from_chars(text.data(), end, into, 16);
  text.remove_prefix(digits);
  if (last) return text.empty();
  if (text.empty() || text.front() != '-') return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::string call_id_text(const CallId& id) {
  char text[64];
  std::snprintf(text, sizeof text, "cli-%016llx-%08x-%08x", static_cast<unsigned long long>(id.session),
                id.begun_unix_s, id.content);
  return text;
}

std::optional<CallId> parse_call_id(std::string_view text) {
  if (!text.starts_with(kPrefix)) return std::nullopt;
  text.remove_prefix(kPrefix.size());
  CallId id;
  const bool good = take_hex(text, 16, false, id.session) && take_hex(text, 8, false, id.begun_unix_s) &&
                    take_hex(text, 8, true, id.content) && id.session != 0;
  return good ? std::optional(id) : std::nullopt;
}

Status check_age(const CallId& id, Timestamp now) {
  const Timestamp begun{std::chrono::seconds(id.begun_unix_s)};
  if (now - begun <= kRepeatable) return {};
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(now - begun).count();
  return fail(Code::kRequestExpired,
              "id '" + call_id_text(id) + "' is of a call " + std::to_string(minutes) +
                  " minutes ago, and can be repeated for " + std::to_string(kRepeatable.count()) +
                  ": look at the agent with 'afdg agent show' before you send it anew");
}

std::uint32_t content_of(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) {
    all += std::to_string(part.size());
    all += ' ';
    all += part;
  }
  return crc32c(all);
}

}  // namespace afdg::client::cli
