#include "kafka/messages/describe_groups.h"

#include <unordered_set>
#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"

namespace afdg::kafka {

void handlers::describe_groups(Broker& broker, const CallPtr& call) {
  DescribeGroupsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto response = std::make_shared<DescribeGroupsResponse>();
  log::groups::DescribeRequest wanted;
  std::unordered_set<std::string_view> told;
  for (const std::string_view group : request.groups) {
    if (!told.insert(group).second) continue;  // once, however often it is asked for
    if (too_many_groups(broker, *call, told.size())) return;
    const ErrorCode code = broker.groups().check(group);
    if (code == ErrorCode::kNone) {
      wanted.groups.emplace_back(group);
      continue;
    }
    auto& out = response->groups.emplace_back();
    out.group_id = group;
    out.error_code = code;
  }
  if (wanted.groups.empty()) return call->reply(*response);
  const auto groups = wanted.groups;
  const bool operations = request.include_authorized_operations;
  const ErrorCode code =
      broker.groups().with([&](Groups::Coordinator& coordinator, log::groups::RequestToken token,
                               log::groups::Now now) { coordinator.describe(token, wanted, now); },
                           [call, response, operations](Groups::Body&& body) {
                             const auto& described = std::get<log::groups::DescribeReply>(body);
                             for (const auto& group : described.groups) {
                               auto& out = response->groups.emplace_back();
                               out.group_id = group.group;
                               out.error_code = error_code(group.error);
                               out.group_state = group.state;
                               out.protocol_type = group.protocol_type;
                               out.protocol_data = group.protocol_name;
                               if (operations) out.authorized_operations = kGroupOperations;
                               for (const auto& member : group.members) {
                                 auto& m = out.members.emplace_back();
                                 m.member_id = member.member_id;
                                 if (member.instance_id) m.group_instance_id = *member.instance_id;
                                 m.client_id = member.client_id;
                                 m.client_host = member.client_host;
                                 m.member_metadata = member.metadata;
                                 m.member_assignment = member.assignment;
                               }
                             }
                             call->reply(*response);
                           });
  if (code == ErrorCode::kNone) return;
  for (const std::string& group : groups) {
    auto& out = response->groups.emplace_back();
    out.group_id = call->keep(group);
    out.error_code = code;
  }
  call->reply(*response);
}

}  // namespace afdg::kafka
