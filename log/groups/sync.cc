#include <algorithm>
#include <utility>

#include "log/groups/internal/impl.h"

// SyncGroup, Heartbeat and LeaveGroup: a generation's assignment, its life, and the members' ends.
namespace afdg::log::groups {
namespace {

bool differs(const std::optional<std::string>& asked, const std::optional<std::string>& has) {
  return asked && has && *asked != *has;
}

}  // namespace

void Coordinator::Impl::sync(RequestToken token, const SyncRequest& request) {
  const auto refuse = [&](Errors error) { reply(token, SyncReply{error, {}, {}, {}}); };
  if (request.group.empty()) return refuse(Errors::kInvalidGroupId);
  if (home(request.group).loading) return refuse(Errors::kCoordinatorLoadInProgress);
  Group* group = find(request.group);
  if (group == nullptr) return refuse(Errors::kUnknownMemberId);
  if (group->deleting) return refuse(Errors::kCoordinatorNotAvailable);
  if (group->is(State::kEmpty)) return refuse(Errors::kUnknownMemberId);
  if (const Errors error = group->check_member(request.member_id, request.instance_id);
      error != Errors::kNone)
    return refuse(error);
  if (request.generation != group->generation()) return refuse(Errors::kIllegalGeneration);
  if (differs(request.protocol_type, group->protocol_type()) ||
      differs(request.protocol_name, group->protocol()))
    return refuse(Errors::kInconsistentGroupProtocol);

  Member& member = *group->find(request.member_id);
  switch (group->state()) {
    case State::kPreparingRebalance:
      return refuse(Errors::kRebalanceInProgress);
    case State::kCompletingRebalance: {
      const bool assigns = group->is_leader(member.id) && !group->assignment_pending;
      if (assigns) {
        std::size_t bytes = group->bytes();
        for (const auto& [id, m] : group->members()) bytes -= m.assignment.size();
        for (const MemberAssignment& a : request.assignments) bytes += a.assignment.size();
        if (bytes > options.group_bytes_max) return refuse(refused(Bound::kGroupBytes));
      }
      answer_sync(member, {Errors::kRebalanceInProgress, {}, {}, {}});
      member.sync = token;
      sync_received(*group, member.id);
      if (assigns) store_assignment(*group, request);
      return;
    }
    case State::kStable:
      sync_received(*group, member.id);
      return reply(token,
                   SyncReply{Errors::kNone, group->protocol_type(), group->protocol(), member.assignment});
    case State::kEmpty:
      break;
  }
}

void Coordinator::Impl::store_assignment(Group& group, const SyncRequest& request) {
  std::map<std::string, std::string> assignments;
  for (const MemberAssignment& a : request.assignments) assignments[a.member_id] = a.assignment;
  group.assignment_pending = true;
  auto stored = [this, id = group.id(), generation = group.generation(), assignments](Errors error, Now now) {
    Group* g = find(id);
    // A rebalance that began meanwhile has told everybody to join again.
    if (g == nullptr || !g->is(State::kCompletingRebalance) || g->generation() != generation) return;
    g->assignment_pending = false;
    if (error != Errors::kNone) {
      reset_assignments(*g, error, now);
      return rebalance(*g, now);
    }
    for (const auto& [member_id, m] : g->members()) {
      Member& member = *g->find(member_id);
      auto it = assignments.find(member_id);
      g->set_assignment(member, it == assignments.end() ? std::string() : it->second);
      if (!member.sync) continue;
      answer_sync(member, {Errors::kNone, g->protocol_type(), g->protocol(), member.assignment});
      start_session(*g, member, now);
    }
    g->transition(State::kStable, now.wall);
  };
  append_group(group, &assignments, std::move(stored));
}

void Coordinator::Impl::reset_assignments(Group& group, Errors error, Now now) {
  for (const auto& [member_id, m] : group.members()) {
    Member& member = *group.find(member_id);
    group.set_assignment(member, {});
    if (!member.sync) continue;
    answer_sync(member, {error, {}, {}, {}});
    start_session(group, member, now);
  }
}

void Coordinator::Impl::sync_received(Group& group, const std::string& member_id) {
  group.pending_syncs.erase(member_id);
  if (group.pending_syncs.empty()) stop_timer(TimerKind::kSync, group);
}

void Coordinator::Impl::sync_expired(Group& group, Now now) {
  if (!group.is(State::kCompletingRebalance) && !group.is(State::kStable)) return;
  if (group.pending_syncs.empty()) return;
  const std::set<std::string> silent = group.pending_syncs;
  for (const std::string& id : silent) {
    remove_member(group, id);
    ++members_expired;
  }
  prepare_rebalance(group, now);
}

Errors Coordinator::Impl::check_heartbeat(const HeartbeatRequest& request, Group** group) {
  if (request.group.empty()) return Errors::kInvalidGroupId;
  // Kafka says that all is well while it cannot know better.
  if (home(request.group).loading) return Errors::kNone;
  Group* g = find(request.group);
  if (g == nullptr) return Errors::kUnknownMemberId;
  if (g->deleting) return Errors::kCoordinatorNotAvailable;
  if (const Errors error = g->check_member(request.member_id, request.instance_id); error != Errors::kNone)
    return error;
  if (request.generation != g->generation()) return Errors::kIllegalGeneration;
  *group = g;
  return g->is(State::kPreparingRebalance) ? Errors::kRebalanceInProgress : Errors::kNone;
}

void Coordinator::Impl::heartbeat(RequestToken token, const HeartbeatRequest& request, Now now) {
  Group* group = nullptr;
  const Errors error = check_heartbeat(request, &group);
  if (group != nullptr) start_session(*group, *group->find(request.member_id), now);
  reply(token, HeartbeatReply{error});
}

void Coordinator::Impl::session_expired(Group& group, const std::string& member_id, Now now) {
  if (group.pending_joins.erase(member_id) != 0) {
    if (group.is(State::kPreparingRebalance) && group.all_joined()) complete_join(group, now);
    return;
  }
  const Member* member = group.find(member_id);
  if (member == nullptr) return;
  // One whose request waits here is alive; its session begins anew with the answer. Not so a new one, who may
  // be gone.
  if (!member->is_new && (member->join || member->sync)) return;
  ++members_expired;
  remove_member(group, member_id);
  if (!group.is(State::kPreparingRebalance)) return prepare_rebalance(group, now);
  if (group.all_joined()) complete_join(group, now);
}

Errors Coordinator::Impl::leave_one(Group& group, const LeaveRequest::Member& member) {
  if (member.member_id.empty()) {
    const std::string* id = member.instance_id ? group.static_member(*member.instance_id) : nullptr;
    if (id == nullptr) return Errors::kUnknownMemberId;
    remove_member(group, std::string(*id));
    return Errors::kNone;
  }
  if (!group.pending_joins.contains(member.member_id)) {
    if (const Errors error = group.check_member(member.member_id, member.instance_id); error != Errors::kNone)
      return error;
  }
  remove_member(group, member.member_id);
  return Errors::kNone;
}

void Coordinator::Impl::leave(RequestToken token, LeaveRequest request, Now now) {
  LeaveReply body;
  Group* group = nullptr;
  if (request.group.empty()) {
    body.error = Errors::kInvalidGroupId;
  } else if (home(request.group).loading) {
    body.error = Errors::kCoordinatorLoadInProgress;
  } else if (group = find(request.group); group != nullptr && group->deleting) {
    body.error = Errors::kCoordinatorNotAvailable;
  }
  if (body.error != Errors::kNone) return reply(token, std::move(body));

  bool left = false;
  for (LeaveRequest::Member& member : request.members) {
    const Errors error = group == nullptr ? Errors::kUnknownMemberId : leave_one(*group, member);
    left |= error == Errors::kNone;
    body.members.push_back({std::move(member.member_id), std::move(member.instance_id), error});
  }
  if (!left) return reply(token, std::move(body));
  const AppendToken before = last_token;
  if (group->is(State::kPreparingRebalance)) {
    maybe_complete_join(*group, now);
  } else if (!group->is(State::kEmpty)) {
    prepare_rebalance(*group, now);
  }
  if (last_token == before) return reply(token, std::move(body));
  // The last one left: whoever is told so may rely on it.
  pending.at(last_token).done = [this, token, body = std::move(body),
                                 done = std::move(pending.at(last_token).done)](Errors error,
                                                                                Now then) mutable {
    done(error, then);
    if (error != Errors::kNone) {
      body.error = error;
      body.members.clear();
    }
    reply(token, std::move(body));
  };
}

}  // namespace afdg::log::groups
