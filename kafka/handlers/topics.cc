#include "kafka/handlers/topics.h"

#include <algorithm>

#include "kafka/schema.h"

namespace afdg::kafka {

std::string cluster_id(const ClusterView& view) {
  return Uuid{0x6166'6467'0000'0000, view.cluster}.to_string();
}

Status check_topic_name(std::string_view name) {
  constexpr std::size_t kNameBytesMax = 249;
  const bool sound = !name.empty() && name.size() <= kNameBytesMax && name != "." && name != ".." &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                              c == '.' || c == '_' || c == '-';
                     });
  if (sound) return {};
  return fail(Code::kInvalidArgument,
              "topic name '" + std::string(name.substr(0, 80)) +
                  "': take 1 to 249 letters, digits, dots, underscores and dashes, not '.' nor '..'");
}

ErrorCode topic_error(Code code) noexcept {
  switch (code) {
    case Code::kNotFound:
      return ErrorCode::kUnknownTopicOrPartition;
    case Code::kAlreadyExists:
      return ErrorCode::kTopicAlreadyExists;
    case Code::kPermissionDenied:
      return ErrorCode::kTopicAuthorizationFailed;
    case Code::kUnavailable:
      return ErrorCode::kRequestTimedOut;
    default:
      return error_code(code);
  }
}

}  // namespace afdg::kafka
