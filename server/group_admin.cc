#include "server/group_admin.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "afdg/v1/admin.pb.h"
#include "base/codec.h"
#include "kafka/broker/broker.h"
#include "kafka/broker/groups.h"

namespace afdg::server {

namespace groups = log::groups;
using groups::Errors;
using std::chrono::steady_clock;

namespace {

/// While the coordinator reads its log or its topic is made.
constexpr std::chrono::milliseconds kReadyWithin{3000};
constexpr std::chrono::milliseconds kLook{20};
constexpr std::chrono::milliseconds kAnswerWithin{4000};
constexpr std::chrono::milliseconds kPeerTimeout{8000};
constexpr std::size_t kOffsetsMax = 50'000;  // as the coordinator takes in one commit
constexpr std::uint32_t kPageBytes = 256u << 10;
constexpr int kPagesMax = 64;
constexpr std::uint32_t kAssignedMax = 100'000;  // partitions of one member, as shown

Error not_ready() {
  return fail(Code::kUnavailable,
              "the groups' coordinator is not ready: it reads its log or its topic is being made; try again");
}
Error no_group(const std::string& name) {
  return fail(Code::kNotFound, "no group is named '" + name + "': list them with 'afdg group list'");
}

/// What the coordinator refused.
Status status_of(Errors error, const std::string& group) {
  switch (error) {
    case Errors::kNone:
      return {};
    case Errors::kCoordinatorNotAvailable:
    case Errors::kCoordinatorLoadInProgress:
      return not_ready();
    case Errors::kUnknownMemberId:
    case Errors::kIllegalGeneration:
    case Errors::kRebalanceInProgress:
    case Errors::kFencedInstanceId:
    case Errors::kNonEmptyGroup:
    case Errors::kGroupSubscribedToTopic:
      return fail(Code::kFailedPrecondition,
                  "group '" + group +
                      "' has members, who keep its offsets themselves: stop its consumers first; 'afdg group "
                      "describe " +
                      group + "' lists them");
    case Errors::kGroupIdNotFound:
      return no_group(group);
    case Errors::kInvalidGroupId:
      return fail(Code::kInvalidArgument, "'" + group + "' cannot be the name of a group: choose another");
    case Errors::kPolicyViolation:
    case Errors::kOffsetMetadataTooLarge:
    case Errors::kGroupMaxSizeReached:
      return fail(Code::kOverloaded, "group '" + group + "' would go beyond a limit of the coordinator (" +
                                         std::string(errors_name(error)) +
                                         "): delete groups that nobody needs, or commit less at once");
    case Errors::kInconsistentGroupProtocol:
    case Errors::kInvalidSessionTimeout:
    case Errors::kMemberIdRequired:
    case Errors::kUnknownServerError:
      break;
  }
  return fail(Code::kInternal, "the coordinator answered " + std::string(errors_name(error)) +
                                   " for group '" + group + "': report it");
}
bool loads(Errors error) {
  return error == Errors::kCoordinatorLoadInProgress || error == Errors::kCoordinatorNotAvailable;
}

/// ConsumerProtocolAssignment, all versions: version, [topic, [partition]], user data. Whatever it is, as far
/// as it can be read: a group may speak another protocol.
void read_assignment(std::string_view bytes, v1::GroupMember& member) {
  ByteReader in(bytes);
  in.be16();
  const std::uint32_t topics = in.be32();
  std::uint32_t left = kAssignedMax;
  for (std::uint32_t t = 0; t < topics && !in.failed(); ++t) {
    const std::string topic(in.bytes(in.be16()));
    const std::uint32_t partitions = in.be32();
    if (in.failed() || partitions > in.left() / 4 || partitions > left) return;
    left -= partitions;
    auto& assigned = *member.add_assigned();
    assigned.set_topic(topic);
    for (std::uint32_t p = 0; p < partitions; ++p) assigned.add_partitions(in.be32());
  }
}

}  // namespace

/// What the coordinator is asked, on its loop.
struct GroupAdmin::Ask {
  std::function<void(kafka::Groups::Coordinator&, groups::RequestToken, groups::Now)> ask;
};

bool GroupAdmin::any() const { return parts_.cluster->view()->find(kafka::kOffsetsTopic) != nullptr; }

template <typename Reply>
Result<Reply> GroupAdmin::ask(const Ask& ask, const std::function<bool(const Reply&)>& ready) {
  using Answer = std::optional<Body>;  // nothing: the coordinator is not there yet
  const auto until = steady_clock::now() + kReadyWithin;
  for (;;) {
    auto body = ask_broker<Answer>(
        parts_.on_broker,
        [ask](kafka::Broker& broker, const std::function<void(Answer)>& answer) {
          const kafka::ErrorCode code =
              broker.groups().with(ask.ask, [answer](Body&& told) { answer(std::move(told)); });
          if (code != kafka::ErrorCode::kNone) answer(std::nullopt);
        },
        kAnswerWithin);
    if (body.code() == Code::kDeadlineExceeded) return not_ready();
    if (!body.ok()) return body.error();
    const bool late = steady_clock::now() >= until;
    if (*body && (late || ready(std::get<Reply>(**body)))) return std::get<Reply>(std::move(**body));
    if (late) return not_ready();
    std::this_thread::sleep_for(kLook);
  }
}

Result<NodeId> GroupAdmin::coordinator_of(const std::string& group) {
  if (!parts_.on_broker([](kafka::Broker&) {})) {  // no broker here: any node that has one knows
    const auto routes = parts_.board->get();
    for (const auto& [id, node] : routes->nodes)
      if (id != routes->self && node.alive && !node.kafka_address.empty()) return id;
    return fail(
        Code::kUnavailable,
        "no node of this cluster serves Kafka clients, so nobody keeps groups: start afdgd with --kafka");
  }
  const auto until = steady_clock::now() + kReadyWithin;
  for (;;) {
    const auto node = ask_broker<NodeId>(
        parts_.on_broker,
        [group](kafka::Broker& broker, const std::function<void(NodeId)>& answer) {
          const auto place = broker.groups().find(group);
          answer(place.error == kafka::ErrorCode::kNone ? place.node->id : NodeId(0));
        },
        kAnswerWithin);
    if (node.code() == Code::kDeadlineExceeded) return not_ready();
    if (!node.ok() || *node != NodeId(0)) return node;
    if (steady_clock::now() >= until) return not_ready();
    std::this_thread::sleep_for(kLook);
  }
}

template <typename Call, typename Answer>
Result<Answer> GroupAdmin::at_coordinator(const char* method, const Call& call,
                                          const std::function<Result<Answer>()>& here) {
  if (call.name().empty()) return fail(Code::kInvalidArgument, "a group without a name: give one");
  AFDG_ASSIGN(const NodeId node, coordinator_of(call.name()));
  const auto routes = parts_.board->get();
  if (node == routes->self) return here();
  const auto at = routes->nodes.find(node);
  const bool knows = parts_.on_broker([](kafka::Broker&) {});
  if (call.forwarded() || at == routes->nodes.end() || !at->second.alive) {
    return fail(Code::kUnavailable, "group '" + call.name() + "' is coordinated by node " +
                                        std::to_string(node.value()) +
                                        ", which does not answer: wait for it to come back");
  }
  Call forwarded = call;
  forwarded.set_forwarded(knows);  // a node without a broker only knows who will know
  Answer answer;
  AFDG_TRY(parts_.peers->call_and_wait(at->second.address, method, forwarded, answer, kPeerTimeout));
  return answer;
}

Result<v1::GroupList> GroupAdmin::list(const v1::GroupsCall& call) {
  v1::GroupList list;
  if (!any()) return list;
  const auto routes = parts_.board->get();
  if (parts_.on_broker([](kafka::Broker&) {})) {
    const auto reply = ask<groups::ListReply>(
        {[](auto& coordinator, auto token, auto now) { coordinator.list(token, {}, now); }},
        [](const groups::ListReply& got) { return !loads(got.error); });
    if (!reply.ok()) return reply.error();
    AFDG_TRY(status_of(reply->error, "*"));
    for (const auto& group : reply->groups) {
      v1::GroupSummary& out = *list.add_groups();
      out.set_name(group.group);
      out.set_state(group.state);
      out.set_protocol_type(group.protocol_type);
      out.set_coordinator(static_cast<std::uint32_t>(routes->self.value()));
    }
  }
  if (!call.local_only()) {
    for (const auto& [id, node] : routes->nodes) {
      if (id == routes->self || node.kafka_address.empty()) continue;
      if (!node.alive) {
        return fail(Code::kUnavailable, "node " + std::to_string(id.value()) +
                                            " does not answer, and its groups are not known: wait for it to "
                                            "come back");
      }
      v1::GroupsCall theirs;
      theirs.set_local_only(true);
      v1::GroupList more;
      AFDG_TRY(
          parts_.peers->call_and_wait(node.address, "/afdg.v1.Admin/Groups", theirs, more, kPeerTimeout));
      for (auto& group : *more.mutable_groups()) list.add_groups()->Swap(&group);
    }
  }
  std::sort(list.mutable_groups()->begin(), list.mutable_groups()->end(),
            [](const auto& a, const auto& b) { return a.name() < b.name(); });
  return list;
}

Result<v1::GroupInfo> GroupAdmin::describe(const v1::GroupCall& call) {
  if (!call.name().empty() && !any()) return no_group(call.name());
  return at_coordinator<v1::GroupCall, v1::GroupInfo>("/afdg.v1.Admin/DescribeGroup", call,
                                                      [&] { return describe_here(call); });
}

Result<v1::GroupInfo> GroupAdmin::describe_here(const v1::GroupCall& call) {
  const auto described = ask<groups::DescribeReply>(
      {[name = call.name()](auto& coordinator, auto token, auto now) {
        coordinator.describe(token, {{name}}, now);
      }},
      [](const groups::DescribeReply& got) { return !loads(got.groups.at(0).error); });
  if (!described.ok()) return described.error();
  const groups::DescribeReply::Group& group = described->groups.at(0);
  AFDG_TRY(status_of(group.error, call.name()));
  if (group.state == "Dead") return no_group(call.name());
  v1::GroupInfo info;
  info.set_name(group.group);
  info.set_state(group.state);
  info.set_protocol_type(group.protocol_type);
  info.set_protocol(group.protocol_name);
  info.set_coordinator(static_cast<std::uint32_t>(parts_.board->get()->self.value()));
  using Place = std::pair<std::string, std::uint32_t>;
  std::map<Place, v1::GroupOffset> offsets;
  const auto at = [&](const std::string& topic, std::uint32_t partition) -> v1::GroupOffset& {
    v1::GroupOffset& one = offsets[{topic, partition}];
    if (one.topic().empty()) {
      one.set_topic(topic);
      one.set_partition(partition);
      one.set_committed(-1);
    }
    return one;
  };
  const auto wanted = [&](const std::string& topic) { return call.topic().empty() || call.topic() == topic; };
  for (const auto& member : group.members) {
    v1::GroupMember& out = *info.add_members();
    out.set_id(member.member_id);
    out.set_instance_id(member.instance_id.value_or(""));
    out.set_client_id(member.client_id);
    out.set_host(member.client_host);
    if (group.protocol_type == "consumer") read_assignment(member.assignment, out);
    for (const auto& assigned : out.assigned()) {
      if (!wanted(assigned.topic())) continue;
      for (const std::uint32_t partition : assigned.partitions())
        at(assigned.topic(), partition).set_member(member.member_id);
    }
  }
  const auto fetched =
      ask<groups::FetchReply>({[name = call.name()](auto& coordinator, auto token, auto now) {
                                groups::FetchRequest request;
                                request.groups.push_back({name, std::nullopt});
                                coordinator.fetch(token, std::move(request), now);
                              }},
                              [](const groups::FetchReply& got) { return !loads(got.groups.at(0).error); });
  if (!fetched.ok()) return fetched.error();
  AFDG_TRY(status_of(fetched->groups.at(0).error, call.name()));
  for (const auto& topic : fetched->groups.at(0).topics) {
    if (!wanted(topic.topic)) continue;
    for (const auto& partition : topic.partitions) {
      if (partition.error != Errors::kNone || partition.offset < 0) continue;
      v1::GroupOffset& one = at(topic.topic, static_cast<std::uint32_t>(partition.partition));
      one.set_committed(partition.offset);
      one.set_metadata(partition.metadata);
    }
  }
  for (auto& [place, offset] : offsets) info.add_offsets()->Swap(&offset);
  fill_ends(info);
  return info;
}

/// Where the partitions begin and end, and how far behind the group is.
void GroupAdmin::fill_ends(v1::GroupInfo& info) {
  const auto routes = parts_.board->get();
  std::map<std::string, v1::TopicInfo> topics;
  for (v1::GroupOffset& offset : *info.mutable_offsets()) {
    offset.set_start(-1);
    offset.set_end(-1);
    offset.set_lag(-1);
    const auto [topic, first] = topics.try_emplace(offset.topic());
    if (first) {
      v1::TopicsCall call;
      call.set_name(offset.topic());
      if (auto found = parts_.gather->topics(call); found.ok()) topic->second.Swap(found->mutable_topics(0));
    }
    if (offset.partition() >= static_cast<std::uint32_t>(topic->second.partition_infos_size())) continue;
    const v1::PartitionInfo& partition = topic->second.partition_infos(static_cast<int>(offset.partition()));
    const auto node = routes->nodes.find(NodeId(static_cast<std::int32_t>(partition.leader())));
    if (node == routes->nodes.end() || !node->second.alive) continue;
    offset.set_start(partition.start());
    offset.set_end(partition.end());
    if (offset.committed() >= 0)
      offset.set_lag(std::max<std::int64_t>(0, partition.end() - offset.committed()));
  }
}

Status GroupAdmin::commit_here(const groups::CommitRequest& request) {
  const auto reply = ask<groups::CommitReply>(
      {[request](auto& coordinator, auto token, auto now) { coordinator.commit(token, request, now); }},
      [](const groups::CommitReply& got) {
        return got.topics.empty() || !loads(got.topics.front().partitions.at(0).error);
      });
  if (!reply.ok()) return reply.error();
  for (const auto& topic : reply->topics)
    for (const auto& partition : topic.partitions) AFDG_TRY(status_of(partition.error, request.group));
  return {};
}

Result<v1::Empty> GroupAdmin::commit(const v1::CommitGroupCall& call) {
  return at_coordinator<v1::CommitGroupCall, v1::Empty>(
      "/afdg.v1.Admin/CommitGroup", call, [&]() -> Result<v1::Empty> {
        const auto view = parts_.cluster->view();
        groups::CommitRequest request;
        request.group = call.name();
        std::map<std::string, std::size_t> topics;
        for (const auto& offset : call.offsets()) {
          const auto* topic = view->find(offset.topic());
          if (topic == nullptr || offset.partition() >= topic->partitions.size()) {
            return fail(Code::kNotFound, "topic '" + offset.topic() + "' has no partition " +
                                             std::to_string(offset.partition()) +
                                             ": see 'afdg topic describe'");
          }
          if (offset.offset() < 0) {
            return fail(Code::kInvalidArgument,
                        "offset " + std::to_string(offset.offset()) + " of " + offset.topic() + "[" +
                            std::to_string(offset.partition()) + "] cannot be committed: give 0 or more");
          }
          const auto [at, first] = topics.try_emplace(offset.topic(), request.topics.size());
          if (first) request.topics.push_back({offset.topic(), {}});
          request.topics[at->second].partitions.push_back({static_cast<std::int32_t>(offset.partition()),
                                                           offset.offset(), -1, std::nullopt, std::nullopt});
        }
        if (request.topics.empty())
          return fail(Code::kInvalidArgument,
                      "nothing to commit for group '" + call.name() + "': give offsets");
        AFDG_TRY(commit_here(request));
        return v1::Empty();
      });
}

Result<std::int64_t> GroupAdmin::find_time(const std::string& topic, std::uint32_t partition,
                                           std::int64_t time_ms) {
  v1::ReadCall read;
  read.set_topic(topic);
  read.set_partition(partition);
  read.set_at_time(true);
  read.set_time_unix_ms(time_ms);
  // What is found is never behind it: the record itself is at most a few batches on.
  AFDG_ASSIGN(v1::ReadAnswer at, parts_.gather->read(read));
  read.set_at_time(false);
  read.set_bytes_max(kPageBytes);
  for (int page = 0; page < kPagesMax && at.next() < at.end(); ++page) {
    read.set_offset(at.next());
    AFDG_ASSIGN(at, parts_.gather->read(read));
    for (const auto& record : at.records())
      if (record.timestamp_unix_ms() >= time_ms) return record.offset();
  }
  return at.next();
}

Result<v1::GroupInfo> GroupAdmin::seek(const v1::SeekGroupCall& call) {
  return at_coordinator<v1::SeekGroupCall, v1::GroupInfo>("/afdg.v1.Admin/SeekGroup", call,
                                                          [&] { return seek_here(call); });
}

Result<v1::GroupInfo> GroupAdmin::seek_here(const v1::SeekGroupCall& call) {
  const auto view = parts_.cluster->view();
  const auto* topic = view->find(call.topic());
  if (topic == nullptr) {
    return fail(Code::kNotFound,
                "no topic is named '" + call.topic() + "': list them with 'afdg topic list'");
  }
  std::vector<std::uint32_t> partitions(call.partitions().begin(), call.partitions().end());
  std::sort(partitions.begin(), partitions.end());
  partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
  if (partitions.empty()) {
    for (std::uint32_t i = 0; i < topic->partitions.size(); ++i) partitions.push_back(i);
  }
  if (partitions.size() > kOffsetsMax)
    return fail(Code::kInvalidArgument, "a seek of " + std::to_string(partitions.size()) +
                                            " partitions, the limit is " + std::to_string(kOffsetsMax) +
                                            ": name fewer");
  groups::CommitRequest request;
  request.group = call.name();
  request.topics.push_back({call.topic(), {}});
  for (const std::uint32_t partition : partitions) {
    v1::ReadCall read;
    read.set_topic(call.topic());
    read.set_partition(partition);
    read.set_at_start(call.to() == v1::SeekGroupCall::TO_START);
    read.set_at_end(call.to() == v1::SeekGroupCall::TO_END);
    if (call.to() == v1::SeekGroupCall::TO_OFFSET) read.set_offset(call.offset());
    std::int64_t offset = 0;
    if (call.to() == v1::SeekGroupCall::TO_TIME) {
      AFDG_ASSIGN(offset, find_time(call.topic(), partition, call.time_unix_ms()));
    } else {
      AFDG_ASSIGN(const v1::ReadAnswer at, parts_.gather->read(read));
      if (at.next() < at.start() || at.next() > at.end()) {
        return fail(Code::kOutOfRange, call.topic() + "[" + std::to_string(partition) + "] has " +
                                           std::to_string(at.start()) + " to " + std::to_string(at.end()) +
                                           ", and " + std::to_string(at.next()) +
                                           " was asked for: seek within, or name a partition that has it");
      }
      offset = at.next();
    }
    request.topics[0].partitions.push_back(
        {static_cast<std::int32_t>(partition), offset, -1, std::nullopt, std::nullopt});
  }
  AFDG_TRY(commit_here(request));
  v1::GroupInfo info;
  info.set_name(call.name());
  info.set_state("Empty");
  info.set_coordinator(static_cast<std::uint32_t>(parts_.board->get()->self.value()));
  for (const auto& partition : request.topics[0].partitions) {
    v1::GroupOffset& offset = *info.add_offsets();
    offset.set_topic(call.topic());
    offset.set_partition(static_cast<std::uint32_t>(partition.partition));
    offset.set_committed(partition.offset);
  }
  fill_ends(info);
  return info;
}

Result<v1::Empty> GroupAdmin::remove(const v1::GroupCall& call) {
  if (!call.name().empty() && !any()) return no_group(call.name());
  return at_coordinator<v1::GroupCall, v1::Empty>(
      "/afdg.v1.Admin/DeleteGroup", call, [&]() -> Result<v1::Empty> {
        const auto reply = ask<groups::DeleteReply>(
            {[name = call.name()](auto& coordinator, auto token, auto now) {
              coordinator.delete_groups(token, {{name}}, now);
            }},
            [](const groups::DeleteReply& got) { return !loads(got.groups.at(0).error); });
        if (!reply.ok()) return reply.error();
        AFDG_TRY(status_of(reply->groups.at(0).error, call.name()));
        return v1::Empty();
      });
}

}  // namespace afdg::server
