#include "kafka/handlers/topics.h"

#include <algorithm>

#include "kafka/broker/broker.h"
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

Status check_request_partitions(Broker& broker, std::string_view host, std::int64_t partitions) {
  const std::int32_t most = broker.options().request_partitions_max;
  if (partitions <= most) return {};
  std::string why = "Excessively large number of partitions per request: " + std::to_string(partitions) +
                    " are to be made, the limit is " + std::to_string(most) +
                    ": use several requests, or raise kafka-request-partitions-max";
  broker.refused(Limit::kRequestPartitions, host, why);
  return fail(Code::kFailedPrecondition, std::move(why));
}

bool too_many_groups(Broker& broker, Call& call, std::size_t groups) {
  const std::size_t most = broker.options().groups.groups_max;
  if (groups <= most) return false;
  call.hang_up("a request that names more than " + std::to_string(most) +
               " groups, which is kafka-groups-max: name fewer at once");
  broker.counters().refused.add(Limit::kGroups);
  return true;
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
    case Code::kFailedPrecondition:  // a limit of the cluster or of a node is reached
      return ErrorCode::kPolicyViolation;
    default:
      return error_code(code);
  }
}

}  // namespace afdg::kafka
