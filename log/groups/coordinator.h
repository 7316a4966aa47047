#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "log/groups/messages.h"

// log/groups/coordinator.h: consumer groups and their offsets, as a pure core.
namespace afdg::log::groups {

/// How the coordinator behaves and what it bounds. Where Kafka has the setting, its name is given and the
/// default is Kafka's. Every bound refuses before anything changes.
struct Options {
  std::int32_t partitions = 50;                              ///< offsets.topic.num.partitions; never changes
  std::chrono::milliseconds initial_rebalance_delay{3000};   ///< group.initial.rebalance.delay.ms; 0: none
  std::chrono::milliseconds session_timeout_min{6000};       ///< group.min.session.timeout.ms
  std::chrono::milliseconds session_timeout_max{1'800'000};  ///< group.max.session.timeout.ms
  std::chrono::milliseconds new_member_timeout{300'000};     ///< a new member's join waits at most so long
  std::chrono::milliseconds offset_retention{std::chrono::hours(24 * 7)};  ///< offsets.retention.minutes
  std::chrono::milliseconds retention_check_interval{600'000};  ///< offsets.retention.check.interval.ms
  std::size_t offset_metadata_max =
      4096;                          ///< offset.metadata.max.bytes; counted as Kafka does, in UTF-16 units
  std::size_t members_max = 10'000;  ///< group.max.size, members a group: GROUP_MAX_SIZE_REACHED
  /// Kafka has no such bounds; POLICY_VIOLATION is said.
  std::size_t groups_max = 100'000;
  std::size_t name_bytes_max = 1024;         ///< of a group, instance, client, protocol or type
  std::size_t protocols_max = 64;            ///< that one member offers
  std::size_t metadata_bytes_max = 1 << 20;  ///< of all protocols of one member
  /// Of a group's members with all their protocols: its record, with one of them, must fit a batch (16 MiB).
  std::size_t group_bytes_max = 8 << 20;
  std::size_t commit_partitions_max = 50'000;  ///< in one commit, offset delete, or fetch of a group
  std::size_t offsets_max = 5'000'000;         ///< stored or being stored, all groups together

  /// An answer that has so much gets no more groups: COORDINATOR_LOAD_IN_PROGRESS, which clients ask again
  /// for.
  std::size_t reply_bytes_max = 64 << 20;
  /// Of the offsets of one group in an answer: POLICY_VIOLATION, for it would not fit the next one either.
  std::size_t group_reply_bytes_max = 64 << 20;

  /// Whether these can hold together: what fits the bounds must fit a record. Errors: kInvalidArgument.
  [[nodiscard]] Status validate() const;
};

/// What was refused: with POLICY_VIOLATION where Options does not say otherwise.
enum class Bound : std::uint8_t {
  kNameBytes,         ///< Options::name_bytes_max
  kProtocols,         ///< protocols_max
  kMetadataBytes,     ///< metadata_bytes_max
  kGroupBytes,        ///< group_bytes_max: of a group's members, or of one commit
  kCommitPartitions,  ///< commit_partitions_max
  kOffsets,           ///< offsets_max
  kReplyBytes,        ///< reply_bytes_max, group_reply_bytes_max: a group was left out of an answer
};
inline constexpr std::size_t kBounds = static_cast<std::size_t>(Bound::kReplyBytes) + 1;
using Refusals = std::array<std::uint64_t, kBounds>;

/// Sizes of what is held, for metrics.
struct Stats {
  std::size_t groups = 0;
  std::size_t groups_empty = 0;
  std::size_t groups_preparing = 0;   ///< a rebalance that waits for its members
  std::size_t groups_completing = 0;  ///< one that waits for the leader's assignment
  std::size_t groups_stable = 0;
  std::size_t members = 0;
  std::size_t members_pending = 0;  ///< given an id, and not joined yet (KIP-394)
  std::size_t offsets = 0;
  std::size_t appends_pending = 0;
  std::uint64_t rebalances = 0;  ///< generations begun
  std::uint64_t offsets_expired = 0;
  std::uint64_t members_expired = 0;
};

/// The coordinator of all consumer groups of a node: Kafka's classic protocol (KIP-345, 394, 429, 814) and
/// the offsets (KIP-211), over the partitions of `__consumer_offsets`. Events go in as calls; take() hands
/// out what to do.
///
///     coordinator.join(token, request, now);
///     Effects effects = coordinator.take();   // send replies, begin appends, set the timer
///     ...
///     coordinator.append_done(append.token, status, now);
///     effects = coordinator.take();           // what waited for the append
///
/// A partition answers COORDINATOR_LOAD_IN_PROGRESS until loaded() was called for it.
/// The caller's duties, by number, are in README.md.
/// Thread-safety: confined. Ownership: owns its state; takes requests by value.
/// Errors: in the replies. Bounds: Options.
class Coordinator {
 public:
  /// All partitions are loading. `random` makes member ids and must outlive this. Precondition:
  /// options.validate().
  Coordinator(Options options, Random& random);
  ~Coordinator();
  Coordinator(const Coordinator&) = delete;
  Coordinator& operator=(const Coordinator&) = delete;

  /// The partition of `__consumer_offsets` that holds the group: Java's String.hashCode() of the id, modulo.
  [[nodiscard]] std::int32_t partition_of(std::string_view group) const;
  [[nodiscard]] const Options& options() const noexcept;

  // At start, before loaded(partition).
  /// Takes one record of the partition, in the order of its offsets. Records of other kinds, which Kafka's
  /// newer groups write, are passed over. Errors: kCorrupt (cannot be decoded; the state is as if it were not
  /// there).
  [[nodiscard]] Status load(std::int32_t partition, std::string_view key,
                            std::optional<std::string_view> value);
  /// The end of the partition was reached: it serves from now on, and the sessions of its members begin anew.
  /// Offsets of topics that `topic_exists` denies, and of those for which topic_deleted() was called
  /// meanwhile, are dropped. Without it all exist.
  void loaded(std::int32_t partition, Now now,
              const std::function<bool(const std::string& topic)>& topic_exists = {});

  // Requests. Each is answered once: in the effects of this event or of a later one.
  void join(RequestToken token, JoinRequest request, Now now);
  void sync(RequestToken token, SyncRequest request, Now now);
  void heartbeat(RequestToken token, HeartbeatRequest request, Now now);
  void leave(RequestToken token, LeaveRequest request, Now now);
  void commit(RequestToken token, CommitRequest request, Now now);
  void fetch(RequestToken token, FetchRequest request, Now now);
  void delete_offsets(RequestToken token, OffsetDeleteRequest request, Now now);
  void describe(RequestToken token, const DescribeRequest& request, Now now);
  void list(RequestToken token, const ListRequest& request, Now now);
  void delete_groups(RequestToken token, DeleteRequest request, Now now);

  // What else happens.
  /// The append with that token is durable, or (a status that is not ok) certainly left nothing in the log.
  /// Outcomes of one partition arrive in the order of its appends.
  void append_done(AppendToken token, const Status& status, Now now);
  /// A topic is gone: its offsets are dropped from every group of the partitions that are loaded.
  void topic_deleted(const std::string& topic, Now now);
  /// Ends sessions, rebalances and retentions that are due. Early or needless calls do nothing.
  void tick(Now now);

  /// Hands out, and forgets, what the events since the last call demand.
  [[nodiscard]] Effects take();

  [[nodiscard]] Stats stats() const;
  /// How often each Bound refused a request.
  [[nodiscard]] const Refusals& refusals() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace afdg::log::groups
