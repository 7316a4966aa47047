#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "log/groups/coordinator.h"
#include "log/groups/internal/group.h"
#include "log/groups/internal/timers.h"

namespace afdg::log::groups {

/// The coordinator's state and flows. One .cc for each concern: coordinator.cc (events, appends, timers,
/// loading), join.cc, sync.cc (sync, heartbeat, leave), offsets.cc, retention.cc, admin.cc.
struct Coordinator::Impl {
  /// Told how an append ended: kNone, or the error that the requests which wait for it are answered with.
  using Done = std::function<void(Errors error, Now now)>;

  struct Partition {
    bool loading = true;
    std::map<std::string, std::unique_ptr<Group>, std::less<>> groups;
    std::deque<AppendToken> appends;       ///< that wait, in order
    std::set<std::string> topics_deleted;  ///< while loading
  };
  struct PendingAppend {
    std::int32_t partition = 0;
    std::vector<std::string> groups;  ///< whose `appends` count it
    Done done;
  };
  /// A fetch that waits for commits.
  struct StableFetch {
    RequestToken token = 0;
    FetchRequest request;
    std::size_t waits = 0;  ///< appends to be done first
  };

  Impl(Options options_, Random& random_)
      : options(options_), random(random_), partitions(static_cast<std::size_t>(options_.partitions)) {}

  // coordinator.cc
  [[nodiscard]] std::int32_t partition_of(std::string_view group) const;
  [[nodiscard]] Partition& home(std::string_view group) {
    return partitions[static_cast<std::size_t>(partition_of(group))];
  }
  [[nodiscard]] Group* find(std::string_view group);
  /// The group, made when it is not there. Precondition: room() for another.
  Group& make(const std::string& group);
  [[nodiscard]] bool room() const noexcept { return group_count < options.groups_max; }
  /// Removes the group when nothing of it is worth keeping or stored.
  void forget_if_void(const std::string& group);
  void erase(const std::string& group);
  template <typename T>
  void reply(RequestToken token, T body) {
    effects.replies.push_back({token, std::move(body)});
  }
  AppendToken append(std::int32_t partition, std::vector<std::string> groups, std::vector<Record> records,
                     Done done);
  /// Appends the group's record, with the members' assignments or those given.
  AppendToken append_group(Group& group, const std::map<std::string, std::string>* assignments, Done done);
  void append_done(AppendToken token, const Status& status, Now now);
  Status load(std::int32_t partition, std::string_view key, std::optional<std::string_view> value);
  void loaded(std::int32_t partition, Now now, const std::function<bool(const std::string&)>& topic_exists);
  void tick(Now now);
  /// Counts a refusal.
  Errors refused(Bound bound) noexcept {
    ++refusals[static_cast<std::size_t>(bound)];
    return bound == Bound::kReplyBytes ? Errors::kCoordinatorLoadInProgress : Errors::kPolicyViolation;
  }
  [[nodiscard]] bool name_fits(std::string_view name) const noexcept {
    return name.size() <= options.name_bytes_max;
  }

  // join.cc
  void join(RequestToken token, JoinRequest request, Now now);
  void refuse_join(RequestToken token, Errors error, const std::string& member_id);
  [[nodiscard]] std::optional<Bound> join_beyond(const JoinRequest& request) const;
  [[nodiscard]] bool accepts(Group& group, const std::string& member_id) const;
  void join_new(RequestToken token, JoinRequest& request, Group& group, Now now);
  void join_known(RequestToken token, JoinRequest& request, Group& group, Now now);
  void add_member(RequestToken token, JoinRequest& request, Group& group, const std::string& id, Now now);
  void replace_static(RequestToken token, JoinRequest& request, Group& group, const std::string& old_id,
                      const std::string& new_id, Now now);
  void store_static(const JoinRequest& request, Group& group, const std::string& old_id, Member& member,
                    std::vector<Protocol> old_protocols, Member old_settings, std::string old_leader);
  void update_member(RequestToken token, JoinRequest& request, Group& group, Member& member, Now now);
  void reply_current(RequestToken token, const Group& group, const std::string& member_id, bool with_members);
  void rebalance(Group& group, Now now);  ///< prepares one, or completes the one that runs
  void prepare_rebalance(Group& group, Now now);
  void maybe_complete_join(Group& group, Now now);
  void initial_delay_over(Group& group, Now now);
  void complete_join(Group& group, Now now);
  void answer_join(Group& group, Member& member, JoinReply body);
  void answer_sync(Member& member, SyncReply body);
  /// Answers the member's waiting requests with UNKNOWN_MEMBER_ID and removes it.
  void remove_member(Group& group, const std::string& member_id);
  void start_session(const Group& group, const Member& member, Now now);
  void start_timer(TimerKind kind, const Group& group, const std::string& member,
                   std::chrono::milliseconds after, Now now);
  void stop_timer(TimerKind kind, const Group& group, const std::string& member = {});
  [[nodiscard]] std::string make_member_id(const std::string& prefix);

  // sync.cc
  void sync(RequestToken token, const SyncRequest& request);
  void store_assignment(Group& group, const SyncRequest& request);
  void reset_assignments(Group& group, Errors error, Now now);
  void sync_received(Group& group, const std::string& member_id);
  void sync_expired(Group& group, Now now);
  void heartbeat(RequestToken token, const HeartbeatRequest& request, Now now);
  [[nodiscard]] Errors check_heartbeat(const HeartbeatRequest& request, Group** group);
  void session_expired(Group& group, const std::string& member_id, Now now);
  void leave(RequestToken token, LeaveRequest request, Now now);
  [[nodiscard]] Errors leave_one(Group& group, const LeaveRequest::Member& member);

  // offsets.cc
  void commit(RequestToken token, CommitRequest request, Now now);
  [[nodiscard]] std::optional<Bound> commit_beyond(const CommitRequest& request) const;
  [[nodiscard]] Errors check_commit(const CommitRequest& request, Group** group);
  void fetch(RequestToken token, FetchRequest request);
  [[nodiscard]] FetchReply read_offsets(const FetchRequest& request);
  /// Fill in the offsets of one group; end when they are more than group_reply_bytes_max. Return how much
  /// they are.
  [[nodiscard]] std::size_t read_all(const Group& group, FetchReply::Group& answer) const;
  [[nodiscard]] std::size_t read_topics(const Group* group, const std::vector<FetchRequest::Topic>& topics,
                                        FetchReply::Group& answer) const;
  void append_finished(AppendToken token);
  void delete_offsets(RequestToken token, OffsetDeleteRequest request);
  /// What the log says now of one offset.
  void apply_offset(const std::string& group, const std::string& topic, std::int32_t partition,
                    std::optional<OffsetValue> value);
  /// The group's tombstone took effect: its offsets, if any are left, stay as a simple group's.
  void apply_tombstone(const std::string& group);

  // retention.cc
  void retention_due(std::int32_t partition, Now now);
  /// Appends tombstones of these offsets and then, when `whole`, of the group, in batches of bounded size;
  /// `done` hears the outcome of all of them.
  void append_tombstones(Group& group, const std::vector<OffsetKey>& keys, bool whole, Done done);
  /// Every offset that is stored or being stored.
  [[nodiscard]] static std::vector<OffsetKey> all_offsets(const Group& group);
  void begin_deletion(Group& group, Done done);
  void topic_deleted(const std::string& topic);
  void drop_topic(Group& group, const std::string& topic);

  // admin.cc
  void describe(RequestToken token, const DescribeRequest& request);
  void list(RequestToken token, const ListRequest& request);
  void delete_groups(RequestToken token, const DeleteRequest& request);

  Options options;
  Random& random;
  Timers timers;
  Effects effects;
  std::vector<Partition> partitions;
  std::map<AppendToken, PendingAppend> pending;
  std::multimap<AppendToken, std::shared_ptr<StableFetch>> stable_fetches;
  AppendToken last_token = 0;
  std::size_t group_count = 0;
  std::size_t offset_count = 0;          ///< stored
  std::size_t offset_pending_count = 0;  ///< being stored
  std::uint64_t rebalances = 0;
  std::uint64_t offsets_expired = 0;
  std::uint64_t members_expired = 0;
  Refusals refusals{};
};

}  // namespace afdg::log::groups
