#pragma once

#include <string>
#include <utility>
#include <vector>

#include "log/groups/testing/driver.h"

namespace afdg::log::groups::testing {

/// A client of one group that keeps what a client keeps: its id, its generation, and the request it waits
/// for.
class TestMember {
 public:
  TestMember(Driver& driver, std::string group, std::string client_id,
             std::optional<std::string> instance = {})
      : d(driver),
        group_id(std::move(group)),
        client(std::move(client_id)),
        instance_id(std::move(instance)) {}

  JoinRequest join_request() const {
    JoinRequest r;
    r.group = group_id;
    r.member_id = id;
    r.instance_id = instance_id;
    r.client_id = client;
    r.client_host = "/127.0.0.1";
    r.protocol_type = protocol_type;
    r.protocols = protocols;
    r.session_timeout = session_timeout;
    r.rebalance_timeout = rebalance_timeout;
    r.member_id_required = member_id_required;
    r.skip_assignment_known = skip_assignment_known;
    return r;
  }
  void join() {
    join_token = d.join(join_request());
    look();
  }
  /// Takes the answer to join(), if there is one.
  void look() {
    if (join_token == 0 || !d.answered(join_token)) return;
    const JoinReply& r = d.reply<JoinReply>(join_token);
    if (r.error == Errors::kMemberIdRequired || r.error == Errors::kNone) id = r.member_id;
    if (r.error != Errors::kNone) return;
    generation = r.generation;
    leader = r.leader;
    members = r.members;
  }
  /// The answer to join() came, and it was not an error.
  bool joined() {
    look();
    return d.answered(join_token) && d.reply<JoinReply>(join_token).error == Errors::kNone;
  }
  Errors error() { return d.reply<JoinReply>(join_token).error; }
  Errors error_or_none() { return d.answered(join_token) ? error() : Errors::kNone; }
  const JoinReply& join_reply() { return d.reply<JoinReply>(join_token); }
  bool leads() {
    look();
    return leader == id;
  }

  SyncRequest sync_request(std::vector<MemberAssignment> assignments = {}) {
    look();
    return {group_id, generation, id, instance_id, protocol_type, std::nullopt, std::move(assignments)};
  }
  void sync(std::vector<MemberAssignment> assignments = {}) {
    sync_token = d.sync(sync_request(std::move(assignments)));
  }
  bool synced() const { return d.answered(sync_token); }
  Errors sync_error() const { return d.reply<SyncReply>(sync_token).error; }
  std::string assignment() const {
    EXPECT_EQ(sync_error(), Errors::kNone);
    return d.reply<SyncReply>(sync_token).assignment;
  }

  Errors heartbeat() {
    look();
    return d.heartbeat({group_id, generation, id, instance_id});
  }
  Errors leave() {
    const RequestToken token = d.leave({group_id, {{id, instance_id}}});
    const LeaveReply& r = d.reply<LeaveReply>(token);
    return r.error != Errors::kNone ? r.error : r.members.at(0).error;
  }

  CommitRequest commit_request(const std::string& topic, std::int32_t partition, std::int64_t offset) {
    look();
    CommitRequest r;
    r.group = group_id;
    r.generation = generation;
    r.member_id = id;
    r.instance_id = instance_id;
    r.topics.push_back({topic, {{partition, offset, -1, "", std::nullopt}}});
    return r;
  }
  Errors commit(const std::string& topic, std::int32_t partition, std::int64_t offset) {
    const RequestToken token = d.commit(commit_request(topic, partition, offset));
    return d.reply<CommitReply>(token).topics.at(0).partitions.at(0).error;
  }
  std::int64_t committed(const std::string& topic, std::int32_t partition) {
    const RequestToken token = d.fetch({{{group_id, {{{topic, {partition}}}}}}, false});
    return d.reply<FetchReply>(token).groups.at(0).topics.at(0).partitions.at(0).offset;
  }

  Driver& d;
  std::string group_id;
  std::string client;
  std::optional<std::string> instance_id;
  std::string protocol_type = "consumer";
  std::vector<Protocol> protocols{{"range", std::string("\0\1\0\0\0\1\0\1t\xff\xff\xff\xff", 13)}};
  milliseconds session_timeout{10'000};
  milliseconds rebalance_timeout{60'000};
  bool member_id_required = true;
  bool skip_assignment_known = true;

  std::string id;
  std::int32_t generation = -1;
  std::string leader;
  std::vector<JoinedMember> members;
  RequestToken join_token = 0;
  RequestToken sync_token = 0;
};

}  // namespace afdg::log::groups::testing
