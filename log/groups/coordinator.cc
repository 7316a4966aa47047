#include "log/groups/coordinator.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "log/groups/internal/impl.h"

namespace afdg::log::groups {
namespace {

// Goes over UTF-8 as Java would after decoding it: calls `unit` with each UTF-16 code unit.
template <typename Unit>
void each_utf16(std::string_view text, Unit unit) {
  constexpr std::uint32_t kReplacement = 0xfffd;
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<std::uint8_t>(text[i++]);
    std::uint32_t point = first;
    const int more = first < 0x80   ? 0
                     : first < 0xc2 ? -1
                     : first < 0xe0 ? 1
                     : first < 0xf0 ? 2
                     : first < 0xf5 ? 3
                                    : -1;
    if (more > 0) {
      point = first & (0x3fu >> more);
      for (int k = 0; k < more; ++k) {
        if (i == text.size() || (static_cast<std::uint8_t>(text[i]) & 0xc0) != 0x80) {
          point = kReplacement;
          break;
        }
        point = point << 6 | (static_cast<std::uint8_t>(text[i++]) & 0x3f);
      }
    } else if (more < 0) {
      point = kReplacement;
    }
    if (point >= 0x10000) {
      unit(0xd800 + ((point - 0x10000) >> 10));
      unit(0xdc00 + ((point - 0x10000) & 0x3ff));
    } else {
      unit(point);
    }
  }
}

// What requests are told of an append that failed: nothing happened and trying again may help, unless the
// records are such that it never can (the protocol's COORDINATOR_NOT_AVAILABLE and UNKNOWN_SERVER_ERROR).
Errors append_error(const Status& status) {
  if (status.ok()) return Errors::kNone;
  return status.code() == Code::kMessageTooLarge ? Errors::kUnknownServerError
                                                 : Errors::kCoordinatorNotAvailable;
}

}  // namespace

std::string_view errors_name(Errors error) noexcept {
  switch (error) {
    case Errors::kNone:
      return "NONE";
    case Errors::kCoordinatorNotAvailable:
      return "COORDINATOR_NOT_AVAILABLE";
    case Errors::kCoordinatorLoadInProgress:
      return "COORDINATOR_LOAD_IN_PROGRESS";
    case Errors::kIllegalGeneration:
      return "ILLEGAL_GENERATION";
    case Errors::kInconsistentGroupProtocol:
      return "INCONSISTENT_GROUP_PROTOCOL";
    case Errors::kInvalidGroupId:
      return "INVALID_GROUP_ID";
    case Errors::kUnknownMemberId:
      return "UNKNOWN_MEMBER_ID";
    case Errors::kInvalidSessionTimeout:
      return "INVALID_SESSION_TIMEOUT";
    case Errors::kRebalanceInProgress:
      return "REBALANCE_IN_PROGRESS";
    case Errors::kOffsetMetadataTooLarge:
      return "OFFSET_METADATA_TOO_LARGE";
    case Errors::kNonEmptyGroup:
      return "NON_EMPTY_GROUP";
    case Errors::kGroupIdNotFound:
      return "GROUP_ID_NOT_FOUND";
    case Errors::kMemberIdRequired:
      return "MEMBER_ID_REQUIRED";
    case Errors::kGroupMaxSizeReached:
      return "GROUP_MAX_SIZE_REACHED";
    case Errors::kFencedInstanceId:
      return "FENCED_INSTANCE_ID";
    case Errors::kGroupSubscribedToTopic:
      return "GROUP_SUBSCRIBED_TO_TOPIC";
    case Errors::kUnknownServerError:
      return "UNKNOWN_SERVER_ERROR";
    case Errors::kPolicyViolation:
      return "POLICY_VIOLATION";
  }
  return "UNKNOWN_SERVER_ERROR";
}

std::size_t utf16_length(std::string_view text) {
  std::size_t units = 0;
  each_utf16(text, [&](std::uint32_t) { ++units; });
  return units;
}

std::int32_t Coordinator::Impl::partition_of(std::string_view group) const {
  std::uint32_t hash = 0;
  each_utf16(group, [&](std::uint32_t unit) { hash = 31 * hash + unit; });
  return static_cast<std::int32_t>(hash & 0x7fffffff) % options.partitions;
}

Group* Coordinator::Impl::find(std::string_view group) {
  auto& groups = home(group).groups;
  auto it = groups.find(group);
  return it == groups.end() ? nullptr : it->second.get();
}

Group& Coordinator::Impl::make(const std::string& group) {
  auto [it, added] = home(group).groups.try_emplace(group);
  if (added) {
    it->second = std::make_unique<Group>(group);
    ++group_count;
  }
  return *it->second;
}

void Coordinator::Impl::forget_if_void(const std::string& group) {
  const Group* g = find(group);
  if (g == nullptr || !g->is(State::kEmpty) || g->stored || g->appends != 0 || !g->pending_joins.empty() ||
      !g->offsets.empty())
    return;
  erase(group);
}

void Coordinator::Impl::erase(const std::string& group) {
  Group* g = find(group);
  for (const std::string& member : g->pending_joins) stop_timer(TimerKind::kSession, *g, member);
  home(group).groups.erase(group);
  --group_count;
}

AppendToken Coordinator::Impl::append(std::int32_t partition, std::vector<std::string> groups,
                                      std::vector<Record> records, Done done) {
  const AppendToken token = ++last_token;
  for (const std::string& id : groups) {
    Group* group = find(id);
    group->last_append = token;
    ++group->appends;
  }
  partitions[static_cast<std::size_t>(partition)].appends.push_back(token);
  pending.emplace(token, PendingAppend{partition, std::move(groups), std::move(done)});
  effects.appends.push_back({partition, token, std::move(records)});
  return token;
}

AppendToken Coordinator::Impl::append_group(Group& group,
                                            const std::map<std::string, std::string>* assignments,
                                            Done done) {
  Record record{encode_key(GroupKey{group.id()}), encode_value(group.snapshot(assignments))};
  return append(partition_of(group.id()), {group.id()}, {std::move(record)},
                [this, id = group.id(), done = std::move(done)](Errors error, Now now) {
                  if (Group* g = find(id); g != nullptr && error == Errors::kNone) g->stored = true;
                  if (done) done(error, now);
                });
}

void Coordinator::Impl::append_done(AppendToken token, const Status& status, Now now) {
  auto it = pending.find(token);
  AFDG_ASSERT(it != pending.end(), "an append ended that was not begun, or ended twice");
  PendingAppend ended = std::move(it->second);
  pending.erase(it);
  Partition& partition = partitions[static_cast<std::size_t>(ended.partition)];
  AFDG_ASSERT(partition.appends.front() == token, "appends of a partition ended out of order");
  partition.appends.pop_front();
  for (const std::string& id : ended.groups) {
    if (Group* group = find(id)) --group->appends;
  }
  ended.done(append_error(status), now);
  for (const std::string& id : ended.groups) forget_if_void(id);
  append_finished(token);
}

Status Coordinator::Impl::load(std::int32_t partition, std::string_view key,
                               std::optional<std::string_view> value) {
  AFDG_ASSERT(partition >= 0 && partition < options.partitions, "no such partition of __consumer_offsets");
  AFDG_ASSERT(partitions[static_cast<std::size_t>(partition)].loading, "a partition was loaded already");
  AFDG_ASSIGN(const Key decoded, decode_key(key));
  const auto at_home = [&](const std::string& group) -> Status {
    if (partition_of(group) == partition) return {};
    return fail(Code::kCorrupt, "group '" + group + "' is recorded in partition " +
                                    std::to_string(partition) + " of __consumer_offsets but belongs to " +
                                    std::to_string(partition_of(group)) +
                                    ": the record is passed over; was offsets.topic.num.partitions changed?");
  };
  if (const auto* offset = std::get_if<OffsetKey>(&decoded)) {
    AFDG_TRY(at_home(offset->group));
    std::optional<OffsetValue> decoded_value;
    if (value) {
      AFDG_ASSIGN(decoded_value, decode_offset_value(*value));
    }
    apply_offset(offset->group, offset->topic, offset->partition, std::move(decoded_value));
  } else if (const auto* group = std::get_if<GroupKey>(&decoded)) {
    AFDG_TRY(at_home(group->group));
    if (!value) {
      apply_tombstone(group->group);
      return {};
    }
    AFDG_ASSIGN(const GroupValue decoded_value, decode_group_value(*value));
    const bool known = find(group->group) != nullptr;
    if (!make(group->group).restore(decoded_value)) {
      if (!known) erase(group->group);
      return fail(Code::kCorrupt,
                  "the record of group '" + group->group + "' contradicts itself: it is passed over");
    }
  }
  return {};
}

void Coordinator::Impl::loaded(std::int32_t partition, Now now,
                               const std::function<bool(const std::string&)>& topic_exists) {
  AFDG_ASSERT(partition >= 0 && partition < options.partitions, "no such partition of __consumer_offsets");
  Partition& p = partitions[static_cast<std::size_t>(partition)];
  AFDG_ASSERT(p.loading, "a partition was loaded already");
  p.loading = false;
  for (auto& [id, group] : p.groups) {
    for (const auto& [member_id, member] : group->members()) start_session(*group, member, now);
    if (group->members().size() > options.members_max) prepare_rebalance(*group, now);
    for (const auto& [topic, offsets] : group->offsets) {
      if (p.topics_deleted.contains(topic) || (topic_exists && !topic_exists(topic)))
        drop_topic(*group, topic);
    }
  }
  p.topics_deleted.clear();
  // The partitions' checks are spread over the interval, so that none holds up the others.
  const auto share = options.retention_check_interval * (partition + 1) / options.partitions;
  timers.set({TimerKind::kRetention, {}, {}, partition}, now.monotonic + share);
}

void Coordinator::Impl::tick(Now now) {
  while (auto key = timers.pop(now.monotonic)) {
    if (key->kind == TimerKind::kRetention) {
      retention_due(key->partition, now);
      continue;
    }
    Group* group = find(key->group);
    if (group == nullptr) continue;
    switch (key->kind) {
      case TimerKind::kJoin:
        // The delay of a first rebalance may be extended; any other rebalance is over now.
        group->previous_state() == State::kEmpty ? initial_delay_over(*group, now)
                                                 : complete_join(*group, now);
        break;
      case TimerKind::kSync:
        sync_expired(*group, now);
        break;
      case TimerKind::kSession:
        session_expired(*group, key->member, now);
        break;
      case TimerKind::kRetention:
        break;
    }
    forget_if_void(key->group);
  }
}

Status Options::validate() const {
  const auto bound = [](std::string_view name, std::size_t value, std::size_t least,
                        std::size_t most) -> Status {
    if (value >= least && value <= most) return {};
    return fail(Code::kInvalidArgument, "the groups' " + std::string(name) + " is " + std::to_string(value) +
                                            ", it must be between " + std::to_string(least) + " and " +
                                            std::to_string(most));
  };
  // A string of a record has at most 32767 bytes: a name and a UUID, or UTF-16 units of three bytes each.
  AFDG_TRY(bound("partitions", static_cast<std::size_t>(std::max(partitions, 0)), 1, 10'000));
  AFDG_TRY(bound("name_bytes_max", name_bytes_max, 1, 32'000));
  AFDG_TRY(bound("offset_metadata_max", offset_metadata_max, 0, 10'000));
  AFDG_TRY(bound("group_bytes_max", group_bytes_max, 1, 15 << 20));
  AFDG_TRY(bound("metadata_bytes_max", metadata_bytes_max, 0, group_bytes_max));
  AFDG_TRY(bound("members_max", members_max, 1, 1'000'000));
  const std::pair<std::string_view, std::chrono::milliseconds> times[] = {
      {"session_timeout_min", session_timeout_min},
      {"session_timeout_max", session_timeout_max},
      {"new_member_timeout", new_member_timeout},
      {"offset_retention", offset_retention},
      {"retention_check_interval", retention_check_interval}};
  for (const auto& [name, time] : times) {
    if (time.count() > 0) continue;
    return fail(Code::kInvalidArgument, "the groups' " + std::string(name) + " is " +
                                            std::to_string(time.count()) + " ms, it must be above 0");
  }
  if (initial_rebalance_delay.count() < 0)
    return fail(Code::kInvalidArgument, "the groups' initial_rebalance_delay is below 0 ms: 0 is the least");
  if (session_timeout_min > session_timeout_max)
    return fail(Code::kInvalidArgument, "the groups' session_timeout_min is above session_timeout_max");
  return {};
}

Coordinator::Coordinator(Options options, Random& random) : impl_(std::make_unique<Impl>(options, random)) {
  AFDG_ASSERT(options.validate().ok(), "the coordinator's options contradict each other");
}
Coordinator::~Coordinator() = default;

std::int32_t Coordinator::partition_of(std::string_view group) const { return impl_->partition_of(group); }
const Options& Coordinator::options() const noexcept { return impl_->options; }
Status Coordinator::load(std::int32_t partition, std::string_view key,
                         std::optional<std::string_view> value) {
  return impl_->load(partition, key, value);
}
void Coordinator::loaded(std::int32_t partition, Now now,
                         const std::function<bool(const std::string&)>& topic_exists) {
  impl_->loaded(partition, now, topic_exists);
}
void Coordinator::join(RequestToken token, JoinRequest request, Now now) {
  impl_->join(token, std::move(request), now);
}
void Coordinator::sync(RequestToken token, SyncRequest request, Now) { impl_->sync(token, request); }
void Coordinator::heartbeat(RequestToken token, HeartbeatRequest request, Now now) {
  impl_->heartbeat(token, request, now);
}
void Coordinator::leave(RequestToken token, LeaveRequest request, Now now) {
  impl_->leave(token, std::move(request), now);
}
void Coordinator::commit(RequestToken token, CommitRequest request, Now now) {
  impl_->commit(token, std::move(request), now);
}
void Coordinator::fetch(RequestToken token, FetchRequest request, Now) {
  impl_->fetch(token, std::move(request));
}
void Coordinator::delete_offsets(RequestToken token, OffsetDeleteRequest request, Now) {
  impl_->delete_offsets(token, std::move(request));
}
void Coordinator::describe(RequestToken token, const DescribeRequest& request, Now) {
  impl_->describe(token, request);
}
void Coordinator::list(RequestToken token, const ListRequest& request, Now) { impl_->list(token, request); }
void Coordinator::delete_groups(RequestToken token, DeleteRequest request, Now) {
  impl_->delete_groups(token, request);
}
void Coordinator::append_done(AppendToken token, const Status& status, Now now) {
  impl_->append_done(token, status, now);
}
void Coordinator::topic_deleted(const std::string& topic, Now) { impl_->topic_deleted(topic); }
void Coordinator::tick(Now now) { impl_->tick(now); }

Effects Coordinator::take() {
  Effects effects = std::exchange(impl_->effects, {});
  effects.next_deadline = impl_->timers.next();
  return effects;
}

const Refusals& Coordinator::refusals() const noexcept { return impl_->refusals; }

Stats Coordinator::stats() const {
  Stats stats;
  stats.groups = impl_->group_count;
  stats.offsets = impl_->offset_count;
  stats.appends_pending = impl_->pending.size();
  stats.rebalances = impl_->rebalances;
  stats.offsets_expired = impl_->offsets_expired;
  stats.members_expired = impl_->members_expired;
  for (const Impl::Partition& p : impl_->partitions) {
    for (const auto& [id, group] : p.groups) {
      stats.members += group->members().size();
      stats.members_pending += group->pending_joins.size();
      switch (group->state()) {
        case State::kEmpty:
          ++stats.groups_empty;
          break;
        case State::kPreparingRebalance:
          ++stats.groups_preparing;
          break;
        case State::kCompletingRebalance:
          ++stats.groups_completing;
          break;
        case State::kStable:
          ++stats.groups_stable;
          break;
      }
    }
  }
  return stats;
}

}  // namespace afdg::log::groups
