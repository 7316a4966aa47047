#include "kafka/api_versions.h"

#include <algorithm>

namespace afdg::kafka {
namespace {

constexpr bool letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool software_name(std::string_view name) {
  return !name.empty() && letter_or_digit(name.front()) && letter_or_digit(name.back()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return letter_or_digit(c) || c == '-' || c == '.'; });
}

}  // namespace

Result<ApiVersionsResponse> answer_api_versions(const Request& request,
                                                const std::function<bool(Key)>& served) {
  ApiVersionsResponse out;
  if (request.unknown_version) {
    out.error_code = ErrorCode::kUnsupportedVersion;
  } else {
    ApiVersionsRequest message;
    AFDG_TRY(decode(message, request.version, request.body));
    if (request.version >= 3 &&
        !(software_name(message.client_software_name) && software_name(message.client_software_version))) {
      out.error_code = ErrorCode::kInvalidRequest;
      return out;
    }
  }
  for (const Api& row : apis())
    if (served(row.key))
      out.api_keys.push_back({static_cast<std::int16_t>(row.key), row.advertised_min, row.max});
  return out;
}

}  // namespace afdg::kafka
