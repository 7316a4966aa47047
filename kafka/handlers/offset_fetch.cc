#include "kafka/messages/offset_fetch.h"

#include <unordered_set>
#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"

namespace afdg::kafka {
namespace {

/// Fills topics and partitions, whose types differ between versions and are alike.
template <class Topic>
void fill(const log::groups::FetchReply::Group& group, std::vector<Topic>& out) {
  for (const auto& topic : group.topics) {
    auto& t = out.emplace_back();
    t.name = topic.topic;
    for (const auto& partition : topic.partitions) {
      auto& p = t.partitions.emplace_back();
      p.partition_index = partition.partition;
      p.committed_offset = partition.offset;
      p.committed_leader_epoch = partition.leader_epoch;
      p.metadata = partition.metadata;
      p.error_code = error_code(partition.error);
    }
  }
}

/// As an answer of the whole group: older versions have the error at each partition.
void refuse_group(const log::groups::FetchRequest::Group& group, ErrorCode code, bool batched,
                  OffsetFetchResponse& response) {
  if (batched) {
    auto& out = response.groups.emplace_back();
    out.group_id = group.group;
    out.error_code = code;
    return;
  }
  response.error_code = code;
  if (!group.topics) return;
  for (const auto& topic : *group.topics) {
    auto& t = response.topics.emplace_back();
    t.name = topic.topic;
    for (const std::int32_t partition : topic.partitions) {
      auto& p = t.partitions.emplace_back();
      p.partition_index = partition;
      p.committed_offset = -1;
      p.metadata = "";
      p.error_code = code;
    }
  }
}

}  // namespace

void handlers::offset_fetch(Broker& broker, const CallPtr& call) {
  OffsetFetchRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const bool batched = call->version() >= 8;
  log::groups::FetchRequest fetch;
  fetch.require_stable = request.require_stable;
  if (batched) {
    std::unordered_set<std::string_view> told;
    for (const auto& group : request.groups) {
      told.insert(group.group_id);
      if (too_many_groups(broker, *call, told.size())) return;
      auto& one = fetch.groups.emplace_back();
      one.group = group.group_id;
      if (!group.topics) continue;
      one.topics.emplace();
      for (const auto& topic : *group.topics)
        one.topics->push_back({std::string(topic.name), topic.partition_indexes});
    }
  } else {
    auto& one = fetch.groups.emplace_back();
    one.group = request.group_id;
    if (request.topics) {
      one.topics.emplace();
      for (const auto& topic : *request.topics)
        one.topics->push_back({std::string(topic.name), topic.partition_indexes});
    }
  }
  // Groups of other coordinators are refused here.
  const auto refused =
      std::make_shared<std::vector<std::pair<log::groups::FetchRequest::Group, ErrorCode>>>();
  std::erase_if(fetch.groups, [&](const auto& group) {
    const ErrorCode code = broker.groups().check(group.group);
    if (code != ErrorCode::kNone) refused->emplace_back(group, code);
    return code != ErrorCode::kNone;
  });
  const auto answer = [call, batched, refused](const log::groups::FetchReply& fetched) {
    OffsetFetchResponse response;
    for (const auto& [group, code] : *refused) refuse_group(group, code, batched, response);
    for (const auto& group : fetched.groups) {
      if (batched) {
        auto& out = response.groups.emplace_back();
        out.group_id = group.group;
        out.error_code = error_code(group.error);
        fill(group, out.topics);
      } else {
        // Version 1 has no place for it, and nothing at all would mean that nothing is stored.
        if (group.error == log::groups::Errors::kPolicyViolation && call->version() < 2)
          return call->hang_up(
              "an OffsetFetch of too many partitions, or too much metadata: ask for fewer at once");
        response.error_code = error_code(group.error);
        fill(group, response.topics);
        if (group.error != log::groups::Errors::kNone && call->version() < 2)
          for (auto& topic : response.topics)
            for (auto& partition : topic.partitions) partition.error_code = error_code(group.error);
      }
    }
    call->reply(response);
  };
  if (fetch.groups.empty()) return answer({});
  const auto groups = fetch.groups;
  const ErrorCode code = broker.groups().with(
      [&](Groups::Coordinator& coordinator, log::groups::RequestToken token, log::groups::Now now) {
        coordinator.fetch(token, std::move(fetch), now);
      },
      [answer](Groups::Body&& body) { answer(std::get<log::groups::FetchReply>(body)); });
  if (code == ErrorCode::kNone) return;
  for (const auto& group : groups) refused->emplace_back(group, code);
  answer({});
}

}  // namespace afdg::kafka
