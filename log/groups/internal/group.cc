#include "log/groups/internal/group.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/codec.h"

namespace afdg::log::groups {
namespace {

// The topics of a consumer's subscription (ConsumerProtocolSubscription version 0, which every later version
// begins with): int16 version, array of strings.
bool read_topics(std::string_view metadata, std::set<std::string, std::less<>>& topics) {
  ByteReader in(metadata);
  static_cast<void>(in.be16());
  const std::uint32_t count = in.be32();
  if (in.failed() || count > in.left() / 2) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint16_t size = in.be16();
    const std::string_view topic = in.bytes(size);
    if (in.failed()) return false;
    topics.emplace(topic);
  }
  return true;
}

constexpr std::size_t kMemberBytes = 32;  // its numbers in the group's record

std::int32_t clamp_ms(std::chrono::milliseconds ms) {
  return static_cast<std::int32_t>(
      std::clamp<std::int64_t>(ms.count(), 0, std::numeric_limits<std::int32_t>::max()));
}

}  // namespace

std::string_view state_name(State state) noexcept {
  switch (state) {
    case State::kEmpty:
      return "Empty";
    case State::kPreparingRebalance:
      return "PreparingRebalance";
    case State::kCompletingRebalance:
      return "CompletingRebalance";
    case State::kStable:
      return "Stable";
  }
  return "Dead";
}

const std::string& Member::metadata(const std::string& protocol) const {
  const auto it =
      std::find_if(protocols.begin(), protocols.end(), [&](const Protocol& p) { return p.name == protocol; });
  AFDG_ASSERT(it != protocols.end(), "a member does not support its group's protocol");
  return it->metadata;
}

std::size_t protocols_bytes(const std::vector<Protocol>& protocols) {
  std::size_t bytes = 0;
  for (const Protocol& p : protocols) bytes += sizeof p + p.name.size() + p.metadata.size();
  return bytes;
}

std::size_t Member::bytes() const {
  return kMemberBytes + id.size() + client_id.size() + client_host.size() +
         (instance_id ? instance_id->size() : 0) + protocols_bytes(protocols) + assignment.size();
}

void Group::transition(State to, Timestamp now) {
  const bool possible = (to == State::kEmpty && is(State::kPreparingRebalance)) ||
                        (to == State::kPreparingRebalance && !is(State::kPreparingRebalance)) ||
                        (to == State::kCompletingRebalance && is(State::kPreparingRebalance)) ||
                        (to == State::kStable && is(State::kCompletingRebalance));
  AFDG_ASSERT(possible, "a group changed between states that do not follow each other");
  previous_state_ = state_;
  state_ = to;
  state_timestamp_ms_ = now.time_since_epoch().count();
}

Member* Group::find(const std::string& member) {
  auto it = members_.find(member);
  return it == members_.end() ? nullptr : &it->second;
}

const std::string* Group::static_member(const std::string& instance_id) const {
  auto it = static_members_.find(instance_id);
  return it == static_members_.end() ? nullptr : &it->second;
}

Errors Group::check_member(const std::string& member, const std::optional<std::string>& instance_id) const {
  if (instance_id) {
    const std::string* current = static_member(*instance_id);
    if (current == nullptr) return Errors::kUnknownMemberId;
    if (*current != member) return Errors::kFencedInstanceId;
  }
  return members_.contains(member) ? Errors::kNone : Errors::kUnknownMemberId;
}

bool Group::supports(const std::string& protocol_type, const std::vector<Protocol>& protocols) const {
  if (is(State::kEmpty)) return !protocol_type.empty() && !protocols.empty();
  if (protocol_type_ != protocol_type) return false;
  return std::any_of(protocols.begin(), protocols.end(), [&](const Protocol& p) {
    auto it = support_.find(p.name);
    return (it == support_.end() ? 0 : it->second) == members_.size();
  });
}

std::chrono::milliseconds Group::rebalance_timeout() const {
  std::chrono::milliseconds longest{0};
  for (const auto& [id, m] : members_) longest = std::max(longest, m.rebalance_timeout);
  return longest;
}

void Group::count(const Member& member, int by) {
  std::set<std::string_view> names;
  for (const Protocol& p : member.protocols) {
    if (!names.insert(p.name).second) continue;
    auto it = support_.try_emplace(p.name, 0).first;
    it->second += static_cast<std::size_t>(by);
    if (it->second == 0) support_.erase(it);
  }
  bytes_ += static_cast<std::size_t>(by) * member.bytes();
}

std::size_t Group::bytes_with(const JoinRequest& request) const {
  const std::string* id = &request.member_id;
  if (id->empty() && request.instance_id) id = static_member(*request.instance_id);
  const auto present = id == nullptr ? members_.end() : members_.find(*id);
  if (present != members_.end())
    return bytes_ - protocols_bytes(present->second.protocols) + protocols_bytes(request.protocols);
  constexpr std::size_t kUuidBytes = 37;  // of an id that it is given
  return bytes_ + kMemberBytes + request.instance_id.value_or(request.client_id).size() + kUuidBytes +
         request.client_id.size() + request.client_host.size() +
         (request.instance_id ? request.instance_id->size() : 0) + protocols_bytes(request.protocols);
}

void Group::add(Member member, const std::string& protocol_type, std::optional<RequestToken> join) {
  if (members_.empty()) protocol_type_ = protocol_type;
  if (member.instance_id) {
    const bool added = static_members_.emplace(*member.instance_id, member.id).second;
    AFDG_ASSERT(added, "two members of a group have one instance id");
  }
  if (!leader_) leader_ = member.id;
  pending_joins.erase(member.id);
  count(member, 1);
  std::string id = member.id;
  auto [it, added] = members_.emplace(std::move(id), std::move(member));
  AFDG_ASSERT(added, "two members of a group have one id");
  set_join(it->second, join);
}

void Group::remove(const std::string& member) {
  pending_joins.erase(member);
  pending_syncs.erase(member);
  auto it = members_.find(member);
  if (it != members_.end()) {
    AFDG_ASSERT(!it->second.join && !it->second.sync, "a member was removed whose request waits");
    count(it->second, -1);
    if (it->second.instance_id) static_members_.erase(*it->second.instance_id);
    members_.erase(it);
  }
  if (is_leader(member)) {
    leader_.reset();
    if (!members_.empty()) leader_ = members_.begin()->first;
  }
}

void Group::update(Member& member, std::vector<Protocol> protocols, std::chrono::milliseconds session_timeout,
                   std::chrono::milliseconds rebalance_timeout) {
  count(member, -1);
  member.protocols = std::move(protocols);
  member.session_timeout = session_timeout;
  member.rebalance_timeout = rebalance_timeout;
  count(member, 1);
}

Member& Group::replace(const std::string& old_id, const std::string& new_id) {
  auto node = members_.extract(old_id);
  AFDG_ASSERT(!node.empty(), "a member that is replaced is not in its group");
  Member& old = node.mapped();
  AFDG_ASSERT(!old.join && !old.sync && old.instance_id, "only a static member without requests is replaced");
  count(old, -1);
  old.id = new_id;
  old.is_new = false;
  count(old, 1);
  node.key() = new_id;
  Member& member = members_.insert(std::move(node)).position->second;
  static_members_[*member.instance_id] = new_id;
  if (is_leader(old_id)) leader_ = new_id;
  if (pending_syncs.erase(old_id) != 0) pending_syncs.insert(new_id);
  return member;
}

void Group::set_join(Member& member, std::optional<RequestToken> token) {
  awaiting_join_ -= member.join ? 1 : 0;
  member.join = token;
  awaiting_join_ += member.join ? 1 : 0;
}

void Group::set_assignment(Member& member, std::string assignment) {
  bytes_ -= member.assignment.size();
  member.assignment = std::move(assignment);
  bytes_ += member.assignment.size();
}

bool Group::elect_joined_leader() {
  if (!leader_) return false;
  const Member* leader = find(*leader_);
  if (leader != nullptr && leader->join) return true;
  for (const auto& [id, m] : members_) {
    if (!m.join) continue;
    leader_ = id;
    return true;
  }
  return false;
}

std::string Group::vote() const {
  AFDG_ASSERT(!members_.empty(), "a group without members cannot vote");
  std::map<std::string_view, std::size_t> votes;
  for (const auto& [id, m] : members_) {
    const auto choice = std::find_if(m.protocols.begin(), m.protocols.end(), [&](const Protocol& p) {
      return support_.find(p.name)->second == members_.size();
    });
    AFDG_ASSERT(choice != m.protocols.end(), "the members of a group have no protocol in common");
    ++votes[choice->name];
  }
  const auto best = std::max_element(votes.begin(), votes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return std::string(best->first);
}

void Group::begin_generation(Timestamp now) {
  generation_ = generation_ == std::numeric_limits<std::int32_t>::max() ? 0 : generation_ + 1;
  if (members_.empty()) {
    protocol_.reset();
    transition(State::kEmpty, now);
  } else {
    protocol_ = vote();
    transition(State::kCompletingRebalance, now);
  }
  find_subscriptions();
  pending_syncs.clear();
  assignment_pending = false;
}

void Group::find_subscriptions() {
  subscriptions_.reset();
  if (!consumers()) return;
  std::set<std::string, std::less<>> topics;
  for (const auto& [id, m] : members_) {
    if (!protocol_ || !read_topics(m.metadata(*protocol_), topics)) return;
  }
  subscriptions_ = std::move(topics);
}

bool Group::subscribed(const std::string& topic) const {
  return subscriptions_ ? subscriptions_->contains(topic) : consumers();
}

bool Group::restore(const GroupValue& value) {
  Group fresh(id_);
  fresh.generation_ = value.generation;
  fresh.state_timestamp_ms_ = value.state_timestamp_ms;
  if (!value.protocol_type.empty()) fresh.protocol_type_ = value.protocol_type;
  fresh.protocol_ = value.protocol;
  fresh.leader_ = value.leader;
  if (value.generation < 0) return false;
  if (!value.members.empty() && (!value.protocol || value.protocol_type.empty())) return false;
  // The written version's strings are shorter than those of version 4 may be.
  const auto fits = [](const std::string& s) { return s.size() <= std::numeric_limits<std::int16_t>::max(); };
  if (!fits(value.protocol_type) || !fits(value.protocol.value_or("")) || !fits(value.leader.value_or("")))
    return false;
  for (const GroupValue::Member& m : value.members) {
    if (!fits(m.member_id) || !fits(m.instance_id.value_or("")) || !fits(m.client_id) || !fits(m.client_host))
      return false;
    if (fresh.members_.contains(m.member_id)) return false;
    if (m.instance_id && fresh.static_members_.contains(*m.instance_id)) return false;
    const std::chrono::milliseconds session(std::max(m.session_timeout_ms, 0));
    const std::chrono::milliseconds rebalance(m.rebalance_timeout_ms);
    fresh.add(Member{m.member_id,
                     m.instance_id,
                     m.client_id,
                     m.client_host,
                     session,
                     rebalance.count() < 0 ? session : rebalance,
                     {Protocol{*value.protocol, m.subscription}},
                     m.assignment,
                     false,
                     std::nullopt,
                     std::nullopt},
              value.protocol_type, std::nullopt);
  }
  if (!fresh.members_.empty()) {
    fresh.state_ = fresh.previous_state_ = State::kStable;
    if (!fresh.members_.contains(*fresh.leader_)) fresh.leader_ = fresh.members_.begin()->first;
  }
  fresh.find_subscriptions();
  fresh.stored = true;
  fresh.offsets = std::move(offsets);
  *this = std::move(fresh);
  return true;
}

void Group::reset() {
  Group fresh(id_);
  fresh.offsets = std::move(offsets);
  fresh.stored = !fresh.offsets.empty();
  fresh.pending_offsets = std::move(pending_offsets);
  fresh.last_append = last_append;
  fresh.appends = appends;
  fresh.static_appends = static_appends;
  *this = std::move(fresh);
}

GroupValue Group::snapshot(const std::map<std::string, std::string>* assignments) const {
  GroupValue value;
  value.protocol_type = protocol_type_.value_or("");
  value.generation = generation_;
  value.protocol = protocol_;
  value.leader = leader_;
  value.state_timestamp_ms = state_timestamp_ms_;
  for (const auto& [id, m] : members_) {
    std::string assignment = m.assignment;
    if (assignments != nullptr) {
      auto it = assignments->find(id);
      assignment = it == assignments->end() ? std::string() : it->second;
    }
    value.members.push_back({id, m.instance_id, m.client_id, m.client_host, clamp_ms(m.rebalance_timeout),
                             clamp_ms(m.session_timeout), m.metadata(*protocol_), std::move(assignment)});
  }
  return value;
}

}  // namespace afdg::log::groups
