#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"

// What goes into the consumer-group coordinator and what comes out. Plain values; the fields mean what the
// fields of Kafka's requests mean (protocol guide), whatever version carried them.
namespace afdg::log::groups {

/// What a group request can be answered with: Kafka's errors by Kafka's names. The Kafka endpoint maps each
/// to its number with one exhaustive function.
enum class Errors : std::uint8_t {
  kNone,
  kCoordinatorNotAvailable,  ///< not stored, or the group is being deleted; nothing happened, try again
  kCoordinatorLoadInProgress,
  kIllegalGeneration,
  kInconsistentGroupProtocol,
  kInvalidGroupId,
  kUnknownMemberId,
  kInvalidSessionTimeout,
  kRebalanceInProgress,
  kOffsetMetadataTooLarge,
  kNonEmptyGroup,
  kGroupIdNotFound,
  kMemberIdRequired,
  kGroupMaxSizeReached,
  kFencedInstanceId,
  kGroupSubscribedToTopic,
  kUnknownServerError,
  kPolicyViolation,  ///< one of this coordinator's own bounds (see Options), which Kafka does not have
};

/// Kafka's name of it, for example "REBALANCE_IN_PROGRESS".
[[nodiscard]] std::string_view errors_name(Errors error) noexcept;

/// Names a request for its reply; chosen by the caller, who never uses one twice while it is unanswered.
using RequestToken = std::uint64_t;
/// Names an append for its outcome; chosen by the coordinator, growing.
using AppendToken = std::uint64_t;

/// The time of an event. `wall` goes into records and retention, `monotonic` into sessions and rebalances: a
/// jump of the wall clock ends no session.
struct Now {
  Timestamp wall;
  Monotonic monotonic;
};

/// A protocol (assignor) that a member supports, in the member's order of preference.
struct Protocol {
  std::string name;
  std::string metadata;
  friend bool operator==(const Protocol&, const Protocol&) = default;
};

struct JoinRequest {
  std::string group;
  std::string member_id;                   ///< empty: a new member
  std::optional<std::string> instance_id;  ///< a static member (KIP-345)
  std::string client_id;                   ///< of the request header
  std::string client_host;                 ///< as describe shall show it; Kafka writes "/127.0.0.1"
  std::string protocol_type;               ///< "consumer", "connect"...
  std::vector<Protocol> protocols;
  std::chrono::milliseconds session_timeout{};
  std::chrono::milliseconds rebalance_timeout{-1};  ///< negative (JoinGroup v0): the session timeout
  bool member_id_required = false;                  ///< v4+: a new dynamic member gets its id first (KIP-394)
  bool skip_assignment_known = false;               ///< v9+: the client understands skip_assignment (KIP-814)
};
struct JoinedMember {
  std::string member_id;
  std::optional<std::string> instance_id;
  std::string metadata;
};
struct JoinReply {
  Errors error = Errors::kNone;
  std::int32_t generation = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<JoinedMember> members;  ///< for the leader only
};

struct MemberAssignment {
  std::string member_id;
  std::string assignment;
};
struct SyncRequest {
  std::string group;
  std::int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<std::string> protocol_type;  ///< v5+
  std::optional<std::string> protocol_name;  ///< v5+
  std::vector<MemberAssignment> assignments;
};
struct SyncReply {
  Errors error = Errors::kNone;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::string assignment;
};

struct HeartbeatRequest {
  std::string group;
  std::int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
};
struct HeartbeatReply {
  Errors error = Errors::kNone;
};

/// LeaveGroup v3+; an older request is one with a single member, and the answer is that member's error unless
/// the reply has one of its own.
struct LeaveRequest {
  struct Member {
    std::string member_id;  ///< empty: whoever has the instance id
    std::optional<std::string> instance_id;
  };
  std::string group;
  std::vector<Member> members;
};
struct LeaveReply {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    Errors error = Errors::kNone;
  };
  Errors error = Errors::kNone;
  std::vector<Member> members;  ///< in the request's order; empty when `error` is set
};

/// The caller has already removed topics and partitions that do not exist.
struct CommitRequest {
  struct Partition {
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::int32_t leader_epoch = -1;
    std::optional<std::string> metadata;
    std::optional<Timestamp> commit_timestamp;  ///< v1 only
  };
  struct Topic {
    std::string topic;
    std::vector<Partition> partitions;
  };
  std::string group;
  std::int32_t generation = -1;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::optional<std::chrono::milliseconds> retention;  ///< v2-v4 when it is not -1
  bool group_id_not_found_known = false;               ///< v9+: else ILLEGAL_GENERATION is said
  std::vector<Topic> topics;
};
/// Per partition of a topic, in the request's order. An error of the whole request stands at every partition.
struct PartitionErrors {
  struct Partition {
    std::int32_t partition = 0;
    Errors error = Errors::kNone;
  };
  std::string topic;
  std::vector<Partition> partitions;
};
struct CommitReply {
  std::vector<PartitionErrors> topics;
};

struct FetchRequest {
  struct Topic {
    std::string topic;
    std::vector<std::int32_t> partitions;
  };
  struct Group {
    std::string group;
    std::optional<std::vector<Topic>> topics;  ///< absent: every topic that has an offset
  };
  std::vector<Group> groups;    ///< several from v8 on
  bool require_stable = false;  ///< v7+: waits for commits that are being stored
};
struct FetchReply {
  struct Partition {
    std::int32_t partition = 0;
    std::int64_t offset = -1;
    std::int32_t leader_epoch = -1;
    std::string metadata;
    Errors error = Errors::kNone;
  };
  struct Topic {
    std::string topic;
    std::vector<Partition> partitions;
  };
  struct Group {
    std::string group;
    Errors error = Errors::kNone;
    std::vector<Topic> topics;  ///< those asked for, also when the group is loading; none at another error
  };
  std::vector<Group> groups;
};

struct OffsetDeleteRequest {
  std::string group;
  std::vector<FetchRequest::Topic> topics;
};
struct OffsetDeleteReply {
  Errors error = Errors::kNone;
  std::vector<PartitionErrors> topics;  ///< empty when `error` is set
};

struct DescribeRequest {
  std::vector<std::string> groups;
};
struct DescribeReply {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    std::string metadata;  ///< in Stable only
    std::string assignment;
  };
  struct Group {
    std::string group;
    Errors error = Errors::kNone;
    std::string state;  ///< "Dead" for a group that does not exist, without an error
    std::string protocol_type;
    std::string protocol_name;  ///< in Stable only
    std::vector<Member> members;
  };
  std::vector<Group> groups;
};

struct ListRequest {
  std::vector<std::string> states;  ///< empty: all; case and outer blanks do not matter
  std::vector<std::string> types;   ///< empty: all; every group here is of type "classic"
};
struct ListReply {
  struct Group {
    std::string group;
    std::string protocol_type;
    std::string state;
  };
  Errors error = Errors::kNone;
  std::vector<Group> groups;
};

struct DeleteRequest {
  std::vector<std::string> groups;
};
struct DeleteReply {
  struct Group {
    std::string group;
    Errors error = Errors::kNone;
  };
  std::vector<Group> groups;
};

/// The answer to the request with that token. A request of type XRequest is answered with an XReply, exactly
/// once.
struct Reply {
  RequestToken token = 0;
  std::variant<JoinReply, SyncReply, HeartbeatReply, LeaveReply, CommitReply, FetchReply, OffsetDeleteReply,
               DescribeReply, ListReply, DeleteReply>
      body;
};

/// A record of `__consumer_offsets`; without a value it is a tombstone.
struct Record {
  std::string key;
  std::optional<std::string> value;
  friend bool operator==(const Record&, const Record&) = default;
};

/// Records to be appended to one partition of `__consumer_offsets`: all of them, in one batch, or none.
struct Append {
  std::int32_t partition = 0;
  AppendToken token = 0;
  std::vector<Record> records;
};

/// What the caller must do after an event.
struct Effects {
  std::vector<Reply> replies;
  std::vector<Append> appends;  ///< in this order
  /// When tick() is due at the latest, until the next event says otherwise. Absent: no timer runs.
  std::optional<Monotonic> next_deadline;
};

}  // namespace afdg::log::groups
