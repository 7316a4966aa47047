#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/assert.h"
#include "log/groups/internal/impl.h"

// JoinGroup, and the rebalance until the members of a generation are known.
namespace afdg::log::groups {

void Coordinator::Impl::refuse_join(RequestToken token, Errors error, const std::string& member_id) {
  JoinReply body;
  body.error = error;
  body.member_id = member_id;
  reply(token, std::move(body));
}

std::optional<Bound> Coordinator::Impl::join_beyond(const JoinRequest& request) const {
  if (!name_fits(request.group) || !name_fits(request.client_id) || !name_fits(request.client_host) ||
      !name_fits(request.protocol_type) || (request.instance_id && !name_fits(*request.instance_id)))
    return Bound::kNameBytes;
  if (request.protocols.size() > options.protocols_max) return Bound::kProtocols;
  std::size_t bytes = 0;
  for (const Protocol& p : request.protocols) {
    if (!name_fits(p.name)) return Bound::kNameBytes;
    bytes += p.metadata.size();
  }
  if (bytes > options.metadata_bytes_max) return Bound::kMetadataBytes;
  return std::nullopt;
}

bool Coordinator::Impl::accepts(Group& group, const std::string& member_id) const {
  const Member* member = group.find(member_id);
  switch (group.state()) {
    case State::kEmpty:
      return true;
    case State::kPreparingRebalance:
      // Those who wait are counted, not the members: so the last to rejoin an overfull group are put out.
      return (member != nullptr && member->join) || group.awaiting_join() < options.members_max;
    case State::kCompletingRebalance:
    case State::kStable:
      return member != nullptr || group.members().size() < options.members_max;
  }
  return false;
}

void Coordinator::Impl::join(RequestToken token, JoinRequest request, Now now) {
  if (request.group.empty()) return refuse_join(token, Errors::kInvalidGroupId, request.member_id);
  if (request.session_timeout < options.session_timeout_min ||
      request.session_timeout > options.session_timeout_max)
    return refuse_join(token, Errors::kInvalidSessionTimeout, request.member_id);
  if (home(request.group).loading) return refuse_join(token, Errors::kCoordinatorLoadInProgress, {});
  if (const auto beyond = join_beyond(request))
    return refuse_join(token, refused(*beyond), request.member_id);
  if (request.rebalance_timeout.count() < 0) request.rebalance_timeout = request.session_timeout;

  const bool is_new = request.member_id.empty();
  Group* group = find(request.group);
  if (group == nullptr) {
    if (!is_new) return refuse_join(token, Errors::kUnknownMemberId, request.member_id);
    if (request.protocol_type.empty() || request.protocols.empty())
      return refuse_join(token, Errors::kInconsistentGroupProtocol, {});
    if (!room()) return refuse_join(token, Errors::kPolicyViolation, {});
    group = &make(request.group);
    join_new(token, request, *group, now);
    // What makes the group known after a restart, until a generation is stored.
    GroupValue empty;
    empty.state_timestamp_ms = group->state_timestamp_ms();
    append(partition_of(group->id()), {group->id()},
           {{encode_key(GroupKey{group->id()}), encode_value(empty)}},
           [this, id = group->id()](Errors error, Now) {
             if (Group* g = find(id); g != nullptr && error == Errors::kNone) g->stored = true;
           });
    return;
  }
  if (group->deleting) return refuse_join(token, Errors::kCoordinatorNotAvailable, request.member_id);
  if (!accepts(*group, request.member_id)) {
    remove_member(*group, request.member_id);
    return refuse_join(token, Errors::kGroupMaxSizeReached, {});
  }
  if (!group->supports(request.protocol_type, request.protocols))
    return refuse_join(token, Errors::kInconsistentGroupProtocol, request.member_id);
  if (group->bytes_with(request) > options.group_bytes_max)
    return refuse_join(token, refused(Bound::kGroupBytes), request.member_id);
  is_new ? join_new(token, request, *group, now) : join_known(token, request, *group, now);
}

void Coordinator::Impl::join_new(RequestToken token, JoinRequest& request, Group& group, Now now) {
  const std::string id = make_member_id(request.instance_id.value_or(request.client_id));
  if (request.instance_id) {
    const std::string* existing = group.static_member(*request.instance_id);
    if (existing == nullptr) return add_member(token, request, group, id, now);
    return replace_static(token, request, group, std::string(*existing), id, now);
  }
  if (!request.member_id_required) return add_member(token, request, group, id, now);
  if (group.pending_joins.size() >= options.members_max)
    return refuse_join(token, Errors::kGroupMaxSizeReached, {});
  group.pending_joins.insert(id);
  start_timer(TimerKind::kSession, group, id, request.session_timeout, now);
  refuse_join(token, Errors::kMemberIdRequired, id);
}

void Coordinator::Impl::join_known(RequestToken token, JoinRequest& request, Group& group, Now now) {
  const std::string& id = request.member_id;
  if (group.pending_joins.contains(id)) {
    // Ids are given out beforehand to dynamic members only.
    if (request.instance_id) return refuse_join(token, Errors::kUnknownServerError, id);
    return add_member(token, request, group, id, now);
  }
  if (const Errors error = group.check_member(id, request.instance_id); error != Errors::kNone)
    return refuse_join(token, error, id);
  Member& member = *group.find(id);
  const bool same = member.protocols == request.protocols;
  switch (group.state()) {
    case State::kPreparingRebalance:
      return update_member(token, request, group, member, now);
    case State::kCompletingRebalance:
      // The same again: its answer was lost.
      if (same) return reply_current(token, group, id, group.is_leader(id));
      return update_member(token, request, group, member, now);
    case State::kStable:
      // The leader asks for a rebalance by joining, for reasons that its metadata does not show.
      if (group.is_leader(id) || !same) return update_member(token, request, group, member, now);
      if (member.join) {
        // Its id is still being stored; that answer serves the later request.
        refuse_join(*std::exchange(member.join, token), Errors::kRebalanceInProgress, id);
        return;
      }
      return reply_current(token, group, id, false);
    case State::kEmpty:
      break;
  }
  refuse_join(token, Errors::kUnknownMemberId, id);
}

void Coordinator::Impl::reply_current(RequestToken token, const Group& group, const std::string& member_id,
                                      bool with_members) {
  JoinReply body;
  body.generation = group.generation();
  body.protocol_type = group.protocol_type();
  body.protocol_name = group.protocol();
  body.leader = group.leader().value_or("");
  body.member_id = member_id;
  if (with_members) {
    for (const auto& [id, m] : group.members())
      body.members.push_back({id, m.instance_id, m.metadata(*group.protocol())});
  }
  reply(token, std::move(body));
}

void Coordinator::Impl::add_member(RequestToken token, JoinRequest& request, Group& group,
                                   const std::string& id, Now now) {
  if (group.is(State::kPreparingRebalance) && group.previous_state() == State::kEmpty)
    group.new_member_added = true;
  Member member;
  member.id = id;
  member.instance_id = request.instance_id;
  member.client_id = request.client_id;
  member.client_host = request.client_host;
  member.session_timeout = request.session_timeout;
  member.rebalance_timeout = request.rebalance_timeout;
  member.protocols = std::move(request.protocols);
  member.is_new = true;
  group.add(std::move(member), request.protocol_type, token);
  // It knows no id yet and cannot send heartbeats; a join that nobody waits for any more ends with this.
  start_timer(TimerKind::kSession, group, id, options.new_member_timeout, now);
  rebalance(group, now);
}

void Coordinator::Impl::update_member(RequestToken token, JoinRequest& request, Group& group, Member& member,
                                      Now now) {
  group.update(member, std::move(request.protocols), request.session_timeout, request.rebalance_timeout);
  if (member.join) refuse_join(*member.join, Errors::kRebalanceInProgress, member.id);
  group.set_join(member, token);
  rebalance(group, now);
}

// A static member that starts again: it takes the place, the assignment and the leadership of its older self,
// who is fenced. Only when the group's protocol would change is there a rebalance (KIP-345).
void Coordinator::Impl::replace_static(RequestToken token, JoinRequest& request, Group& group,
                                       const std::string& old_id, const std::string& new_id, Now now) {
  Member& old = *group.find(old_id);
  JoinReply fenced;
  fenced.error = Errors::kFencedInstanceId;
  fenced.member_id = old_id;
  answer_join(group, old, std::move(fenced));
  answer_sync(old, {Errors::kFencedInstanceId, {}, {}, {}});
  stop_timer(TimerKind::kSession, group, old_id);
  const std::string old_leader = group.leader().value_or("");
  Member& member = group.replace(old_id, new_id);
  Member old_settings;
  old_settings.session_timeout = member.session_timeout;
  old_settings.rebalance_timeout = member.rebalance_timeout;
  std::vector<Protocol> old_protocols = member.protocols;
  start_session(group, member, now);
  group.update(member, std::move(request.protocols), request.session_timeout, request.rebalance_timeout);
  group.set_join(member, token);
  switch (group.state()) {
    case State::kStable:
      if (group.protocol() == group.vote())
        return store_static(request, group, old_id, member, std::move(old_protocols), std::move(old_settings),
                            old_leader);
      return rebalance(group, now);
    case State::kCompletingRebalance:
      // The leader may have made an assignment for the old id.
      return prepare_rebalance(group, now);
    case State::kPreparingRebalance:
    case State::kEmpty:
      return maybe_complete_join(group, now);
  }
}

void Coordinator::Impl::store_static(const JoinRequest& request, Group& group, const std::string& old_id,
                                     Member& member, std::vector<Protocol> old_protocols, Member old_settings,
                                     std::string old_leader) {
  const bool alone = group.static_appends++ == 0;
  auto done = [this, id = group.id(), alone, old_id, new_id = member.id,
               old_protocols = std::move(old_protocols), old_settings = std::move(old_settings),
               old_leader = std::move(old_leader),
               skip_known = request.skip_assignment_known](Errors error, Now now) mutable {
    Group* g = find(id);
    if (g == nullptr) return;
    --g->static_appends;
    Member* m = g->find(new_id);
    // Whoever changed the group since answers the join.
    if (m == nullptr || !m->join || !g->is(State::kStable)) return;
    JoinReply body;
    body.error = error;
    body.generation = g->generation();
    body.protocol_type = g->protocol_type();
    body.protocol_name = g->protocol();
    body.leader = old_leader;
    if (error != Errors::kNone) {
      answer_join(*g, *m, std::move(body));
      // What the log says of the group is known only when no other such record is under way.
      if (!alone || g->static_appends != 0) {
        start_session(*g, *m, now);
        return prepare_rebalance(*g, now);
      }
      stop_timer(TimerKind::kSession, *g, new_id);
      g->update(*m, std::move(old_protocols), old_settings.session_timeout, old_settings.rebalance_timeout);
      return start_session(*g, g->replace(new_id, old_id), now);
    }
    body.member_id = new_id;
    if (skip_known) {
      // Without KIP-814 the leader is named by its old id, so that no one assigns.
      body.leader = g->leader().value_or("");
      body.skip_assignment = g->is_leader(new_id);
      if (body.skip_assignment) {
        for (const auto& [member_id, other] : g->members())
          body.members.push_back({member_id, other.instance_id, other.metadata(*g->protocol())});
      }
    }
    answer_join(*g, *m, std::move(body));
    start_session(*g, *m, now);
  };
  append_group(group, nullptr, std::move(done));
}

void Coordinator::Impl::rebalance(Group& group, Now now) {
  group.is(State::kPreparingRebalance) ? maybe_complete_join(group, now) : prepare_rebalance(group, now);
}

void Coordinator::Impl::prepare_rebalance(Group& group, Now now) {
  if (group.is(State::kCompletingRebalance)) reset_assignments(group, Errors::kRebalanceInProgress, now);
  group.pending_syncs.clear();
  stop_timer(TimerKind::kSync, group);
  const bool initial = group.is(State::kEmpty);
  group.transition(State::kPreparingRebalance, now.wall);
  if (initial) {
    group.new_member_added = false;
    group.initial_delay = options.initial_rebalance_delay;
    group.initial_remaining =
        std::max(group.rebalance_timeout() - options.initial_rebalance_delay, std::chrono::milliseconds(0));
    if (group.initial_delay.count() == 0) return complete_join(group, now);
    return start_timer(TimerKind::kJoin, group, {}, group.initial_delay, now);
  }
  if (group.all_joined()) return complete_join(group, now);
  start_timer(TimerKind::kJoin, group, {}, group.rebalance_timeout(), now);
}

void Coordinator::Impl::maybe_complete_join(Group& group, Now now) {
  // A first rebalance waits for its delay.
  if (!group.is(State::kPreparingRebalance) || group.previous_state() == State::kEmpty) return;
  if (group.all_joined()) complete_join(group, now);
}

void Coordinator::Impl::initial_delay_over(Group& group, Now now) {
  if (!group.new_member_added || group.initial_remaining.count() == 0) return complete_join(group, now);
  group.new_member_added = false;
  const auto delay = std::min(options.initial_rebalance_delay, group.initial_remaining);
  group.initial_remaining =
      std::max(group.initial_remaining - group.initial_delay, std::chrono::milliseconds(0));
  group.initial_delay = delay;
  start_timer(TimerKind::kJoin, group, {}, delay, now);
}

void Coordinator::Impl::complete_join(Group& group, Now now) {
  AFDG_ASSERT(group.is(State::kPreparingRebalance), "a rebalance ended that was not begun");
  stop_timer(TimerKind::kJoin, group);
  std::vector<std::string> absent;  // static members keep their place until their session ends
  for (const auto& [id, m] : group.members()) {
    if (!m.join && !m.instance_id) absent.push_back(id);
  }
  for (const std::string& id : absent) remove_member(group, id);
  if (!group.elect_joined_leader() && !group.members().empty()) {
    // Only absent static members are left, until their sessions end. Clients choose the timeout, and 0 is
    // one.
    constexpr std::chrono::milliseconds kAgainMin{1000};
    return start_timer(TimerKind::kJoin, group, {}, std::max(group.rebalance_timeout(), kAgainMin), now);
  }
  group.begin_generation(now.wall);
  ++rebalances;
  if (group.is(State::kEmpty)) {
    append_group(group, nullptr, nullptr);
    return;
  }
  std::vector<std::string> ids;
  for (const auto& [id, m] : group.members()) ids.push_back(id);
  for (const std::string& id : ids) {
    Member& member = *group.find(id);
    if (member.join) {
      const RequestToken token = *member.join;
      group.set_join(member, std::nullopt);
      reply_current(token, group, id, group.is_leader(id));
    }
    start_session(group, member, now);
    member.is_new = false;
    group.pending_syncs.insert(id);
  }
  start_timer(TimerKind::kSync, group, {}, group.rebalance_timeout(), now);
}

void Coordinator::Impl::answer_join(Group& group, Member& member, JoinReply body) {
  if (!member.join) return;
  const RequestToken token = *member.join;
  group.set_join(member, std::nullopt);
  reply(token, std::move(body));
}

void Coordinator::Impl::answer_sync(Member& member, SyncReply body) {
  if (!member.sync) return;
  reply(*std::exchange(member.sync, std::nullopt), std::move(body));
}

void Coordinator::Impl::remove_member(Group& group, const std::string& member_id) {
  if (Member* member = group.find(member_id)) {
    JoinReply gone;
    gone.error = Errors::kUnknownMemberId;
    answer_join(group, *member, std::move(gone));
    answer_sync(*member, {Errors::kUnknownMemberId, {}, {}, {}});
  }
  stop_timer(TimerKind::kSession, group, member_id);
  group.remove(member_id);
}

void Coordinator::Impl::start_session(const Group& group, const Member& member, Now now) {
  start_timer(TimerKind::kSession, group, member.id, member.session_timeout, now);
}

void Coordinator::Impl::start_timer(TimerKind kind, const Group& group, const std::string& member,
                                    std::chrono::milliseconds after, Now now) {
  timers.set({kind, group.id(), member}, now.monotonic + after);
}

void Coordinator::Impl::stop_timer(TimerKind kind, const Group& group, const std::string& member) {
  timers.cancel({kind, group.id(), member});
}

std::string Coordinator::Impl::make_member_id(const std::string& prefix) {
  // The form of a random UUID (RFC 4122, version 4).
  const std::uint64_t high = (random.next() & ~0xf000ull) | 0x4000ull;
  const std::uint64_t low = (random.next() & ~(3ull << 62)) | 1ull << 63;
  char uuid[37];
  std::snprintf(
      uuid, sizeof uuid, "%08llx-%04llx-%04llx-%04llx-%012llx", static_cast<unsigned long long>(high >> 32),
      static_cast<unsigned long long>(high >> 16 & 0xffff), static_cast<unsigned long long>(high & 0xffff),
      static_cast<unsigned long long>(low >> 48), static_cast<unsigned long long>(low & 0xffffffffffffull));
  return prefix + "-" + uuid;
}

}  // namespace afdg::log::groups
