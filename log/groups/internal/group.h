#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "log/groups/messages.h"
#include "log/groups/records.h"

namespace afdg::log::groups {

enum class State : std::uint8_t { kEmpty, kPreparingRebalance, kCompletingRebalance, kStable };
/// Kafka's name of it, as describe and list show it.
[[nodiscard]] std::string_view state_name(State state) noexcept;

struct Member {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  std::chrono::milliseconds session_timeout{};
  std::chrono::milliseconds rebalance_timeout{};
  std::vector<Protocol> protocols;
  std::string assignment;
  bool is_new = false;               ///< until its first generation begins: it cannot send heartbeats yet
  std::optional<RequestToken> join;  ///< the request that waits; set by Group only
  std::optional<RequestToken> sync;  ///< the request that waits

  /// The metadata for the protocol. Precondition: the member supports it.
  [[nodiscard]] const std::string& metadata(const std::string& protocol) const;
  /// About what it keeps, all of its protocols included; no less than it takes in the group's record, which
  /// has one of them.
  [[nodiscard]] std::size_t bytes() const;
};
[[nodiscard]] std::size_t protocols_bytes(const std::vector<Protocol>& protocols);

/// One consumer group: members, votes, state and offsets, and the rules that bind them. Knows no requests,
/// timers or records; the flows (impl.h) drive it. Thread-safety: confined.
class Group {
 public:
  explicit Group(std::string id) : id_(std::move(id)) {}

  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] State previous_state() const noexcept { return previous_state_; }
  [[nodiscard]] bool is(State state) const noexcept { return state_ == state; }
  /// Precondition: Kafka's state machine has that transition.
  void transition(State to, Timestamp now);
  /// When the present state was entered, -1 when that is not known.
  [[nodiscard]] std::int64_t state_timestamp_ms() const noexcept { return state_timestamp_ms_; }

  [[nodiscard]] std::int32_t generation() const noexcept { return generation_; }
  [[nodiscard]] const std::optional<std::string>& protocol_type() const noexcept { return protocol_type_; }
  [[nodiscard]] const std::optional<std::string>& protocol() const noexcept { return protocol_; }
  [[nodiscard]] const std::optional<std::string>& leader() const noexcept { return leader_; }
  [[nodiscard]] bool is_leader(const std::string& member) const { return leader_ == member; }

  [[nodiscard]] const std::map<std::string, Member>& members() const noexcept { return members_; }
  [[nodiscard]] Member* find(const std::string& member);
  [[nodiscard]] std::size_t awaiting_join() const noexcept { return awaiting_join_; }
  /// The member with that instance id, or null.
  [[nodiscard]] const std::string* static_member(const std::string& instance_id) const;
  /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or none.
  [[nodiscard]] Errors check_member(const std::string& member,
                                    const std::optional<std::string>& instance_id) const;
  [[nodiscard]] bool supports(const std::string& protocol_type, const std::vector<Protocol>& protocols) const;
  [[nodiscard]] std::chrono::milliseconds rebalance_timeout() const;
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// What bytes() would be with this member instead of the one with its id, or beside the others.
  [[nodiscard]] std::size_t bytes_with(const JoinRequest& request) const;

  /// Precondition: supports() its protocols, neither its id nor its instance id is taken.
  void add(Member member, const std::string& protocol_type, std::optional<RequestToken> join);
  /// Precondition: no request of the member waits.
  void remove(const std::string& member);
  void update(Member& member, std::vector<Protocol> protocols, std::chrono::milliseconds session_timeout,
              std::chrono::milliseconds rebalance_timeout);
  /// Gives the member with that instance id another id. Precondition: no request of it waits.
  Member& replace(const std::string& old_id, const std::string& new_id);
  void set_join(Member& member, std::optional<RequestToken> token);
  void set_assignment(Member& member, std::string assignment);
  void set_leader(const std::string& member) { leader_ = member; }
  /// All members, and all that were told an id, wait for the next generation.
  [[nodiscard]] bool all_joined() const { return members_.size() == awaiting_join_ && pending_joins.empty(); }
  /// Makes sure that the leader is one of those that joined. False when nobody did.
  bool elect_joined_leader();
  /// The protocol that most members prefer among those all support. Precondition: there are members.
  [[nodiscard]] std::string vote() const;
  void begin_generation(Timestamp now);

  /// Takes over what a record says. False, and nothing changed, when the members contradict each other.
  [[nodiscard]] bool restore(const GroupValue& value);
  /// Forgets all but the offsets.
  void reset();
  [[nodiscard]] GroupValue snapshot(const std::map<std::string, std::string>* assignments) const;

  [[nodiscard]] bool consumers() const { return protocol_type_ == "consumer"; }
  /// Whether members of the present generation read the topic; true in doubt, for consumers.
  [[nodiscard]] bool subscribed(const std::string& topic) const;
  [[nodiscard]] bool knows_subscriptions() const noexcept { return subscriptions_.has_value(); }

  std::set<std::string> pending_joins;  ///< ids that were given out and did not join yet
  std::set<std::string> pending_syncs;
  bool new_member_added = false;                  ///< since the initial delay was last extended
  std::chrono::milliseconds initial_delay{};      ///< the one that runs
  std::chrono::milliseconds initial_remaining{};  ///< by which it may be extended
  bool assignment_pending = false;                ///< the leader's assignment is being stored
  bool deleting = false;                          ///< its tombstone is being stored: Kafka's state Dead
  bool stored = false;                            ///< the log has a record of it
  std::size_t static_appends = 0;  ///< records with new ids of static members that are being stored
  AppendToken last_append = 0;
  std::size_t appends = 0;  ///< that wait

  std::map<std::string, std::map<std::int32_t, OffsetValue>> offsets;
  std::map<std::pair<std::string, std::int32_t>, std::uint32_t> pending_offsets;  ///< commits being stored

 private:
  void count(const Member& member, int by);
  void find_subscriptions();

  std::string id_;
  State state_ = State::kEmpty;
  State previous_state_ = State::kEmpty;
  std::int64_t state_timestamp_ms_ = -1;
  std::int32_t generation_ = 0;
  std::optional<std::string> protocol_type_;
  std::optional<std::string> protocol_;
  std::optional<std::string> leader_;
  std::map<std::string, Member> members_;
  std::map<std::string, std::string> static_members_;        // instance id -> member id
  std::map<std::string, std::size_t, std::less<>> support_;  // protocol -> members
  std::size_t awaiting_join_ = 0;
  std::size_t bytes_ = 0;
  std::optional<std::set<std::string, std::less<>>> subscriptions_;
};

}  // namespace afdg::log::groups
