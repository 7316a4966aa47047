#include "kafka/messages/offset_commit.h"

#include <memory>
#include <utility>

#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::offset_commit(Broker& broker, const CallPtr& call) {
  OffsetCommitRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto view = broker.cluster().view();
  const ErrorCode refused = broker.groups().check(request.group_id);
  log::groups::CommitRequest commit;
  commit.group = request.group_id;
  commit.generation = request.generation_id_or_member_epoch;
  commit.member_id = request.member_id;
  if (request.group_instance_id) commit.instance_id = std::string(*request.group_instance_id);
  if (request.retention_time_ms != -1)
    commit.retention = std::chrono::milliseconds(request.retention_time_ms);
  commit.group_id_not_found_known = call->version() >= 9;
  // Partitions that do not exist are answered here, the others by the coordinator, in the request's order.
  const auto response = std::make_shared<OffsetCommitResponse>();
  for (const auto& topic : request.topics) {
    auto& out = response->topics.emplace_back();
    out.name = topic.name;
    const ClusterView::Topic* known = view->find(topic.name);
    log::groups::CommitRequest::Topic wanted;
    wanted.topic = topic.name;
    for (const auto& partition : topic.partitions) {
      auto& answer = out.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      answer.error_code = refused;
      if (refused != ErrorCode::kNone) continue;
      if (known == nullptr || partition.partition_index < 0 ||
          static_cast<std::size_t>(partition.partition_index) >= known->partitions.size()) {
        answer.error_code = ErrorCode::kUnknownTopicOrPartition;
        continue;
      }
      auto& one = wanted.partitions.emplace_back();
      one.partition = partition.partition_index;
      one.offset = partition.committed_offset;
      one.leader_epoch = partition.committed_leader_epoch;
      if (partition.committed_metadata) one.metadata = std::string(*partition.committed_metadata);
      if (call->version() == 1 && partition.commit_timestamp != -1)
        one.commit_timestamp = Timestamp(std::chrono::milliseconds(partition.commit_timestamp));
    }
    if (!wanted.partitions.empty()) commit.topics.push_back(std::move(wanted));
  }
  if (refused != ErrorCode::kNone || (commit.topics.empty() && !request.topics.empty()))
    return call->reply(*response);
  const ErrorCode code =
      broker.groups().with([&](Groups::Coordinator& coordinator, log::groups::RequestToken token,
                               log::groups::Now now) { coordinator.commit(token, std::move(commit), now); },
                           [&broker, call, response, group = commit.group](Groups::Body&& body) {
                             const auto& committed = std::get<log::groups::CommitReply>(body);
                             std::size_t t = 0;
                             std::uint64_t stored = 0;
                             auto refusal = log::groups::Errors::kNone;
                             for (auto& topic : response->topics) {
                               if (t == committed.topics.size()) break;
                               const auto& part = committed.topics[t];
                               std::size_t p = 0;
                               for (auto& answer : topic.partitions) {
                                 if (answer.error_code != ErrorCode::kNone || p == part.partitions.size())
                                   continue;
                                 const auto error = part.partitions[p++].error;
                                 if (error == log::groups::Errors::kNone) {
                                   ++stored;
                                 } else {
                                   refusal = error;
                                 }
                                 answer.error_code = error_code(error);
                               }
                               if (p != 0) ++t;
                             }
                             broker.counters().offset_commits.fetch_add(stored, std::memory_order_relaxed);
                             broker.groups().note_refusal(refusal, group, call->host());
                             call->reply(*response);
                           });
  if (code == ErrorCode::kNone) return;
  for (auto& topic : response->topics)
    for (auto& answer : topic.partitions) answer.error_code = code;
  call->reply(*response);
}

}  // namespace afdg::kafka
