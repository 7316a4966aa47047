#include "kafka/broker/groups.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kafka/broker/broker.h"
#include "log/batch.h"

namespace afdg::kafka {
namespace {

constexpr std::size_t kLoadBytes = std::size_t{1} << 20;  // read in one round
constexpr std::size_t kGroupsFew = 1000;                  // counting their members costs next to nothing
constexpr auto kStatsAge = std::chrono::milliseconds(100);
using log::groups::Errors;

}  // namespace

ErrorCode error_code(Errors error) noexcept {
  switch (error) {
    case Errors::kNone:
      return ErrorCode::kNone;
    case Errors::kCoordinatorNotAvailable:
      return ErrorCode::kCoordinatorNotAvailable;
    case Errors::kCoordinatorLoadInProgress:
      return ErrorCode::kCoordinatorLoadInProgress;
    case Errors::kIllegalGeneration:
      return ErrorCode::kIllegalGeneration;
    case Errors::kInconsistentGroupProtocol:
      return ErrorCode::kInconsistentGroupProtocol;
    case Errors::kInvalidGroupId:
      return ErrorCode::kInvalidGroupId;
    case Errors::kUnknownMemberId:
      return ErrorCode::kUnknownMemberId;
    case Errors::kInvalidSessionTimeout:
      return ErrorCode::kInvalidSessionTimeout;
    case Errors::kRebalanceInProgress:
      return ErrorCode::kRebalanceInProgress;
    case Errors::kOffsetMetadataTooLarge:
      return ErrorCode::kOffsetMetadataTooLarge;
    case Errors::kNonEmptyGroup:
      return ErrorCode::kNonEmptyGroup;
    case Errors::kGroupIdNotFound:
      return ErrorCode::kGroupIdNotFound;
    case Errors::kMemberIdRequired:
      return ErrorCode::kMemberIdRequired;
    case Errors::kGroupMaxSizeReached:
      return ErrorCode::kGroupMaxSizeReached;
    case Errors::kFencedInstanceId:
      return ErrorCode::kFencedInstanceId;
    case Errors::kGroupSubscribedToTopic:
      return ErrorCode::kGroupSubscribedToTopic;
    case Errors::kUnknownServerError:
      return ErrorCode::kUnknownServerError;
    case Errors::kPolicyViolation:
      return ErrorCode::kPolicyViolation;
  }
  return ErrorCode::kUnknownServerError;
}

Groups::Groups(Broker& broker) : broker_(broker) {}
Groups::~Groups() { stop(); }

void Groups::stop() {
  if (timer_ != 0) broker_.loop().cancel(std::exchange(timer_, 0));
  waiting_.clear();
  loading_.clear();
  absent_.clear();
}

log::groups::Now Groups::now() const { return {broker_.clock().now(), broker_.clock().monotonic()}; }

bool Groups::ensure() {
  const auto view = broker_.cluster().view();
  const ClusterView::Topic* topic = view->find(kOffsetsTopic);
  if (topic == nullptr || topic->partitions.empty()) {
    if (std::exchange(creating_, true)) return false;
    broker_.cluster().create_topic(
        {std::string(kOffsetsTopic), broker_.options().offsets_partitions, {{"cleanup.policy", "compact"}}},
        [this](const Status& made) {
          broker_.later([this, made] {
            creating_ = false;
            if (!made.ok() && made.code() != Code::kAlreadyExists)
              broker_.report("groups", "their topic cannot be made: " + made.error().text());
          });
        });
    return false;
  }
  if (coordinator_ == nullptr) {
    topic_ = topic->id;
    log::groups::Options options = broker_.options().groups;
    options.partitions = static_cast<std::int32_t>(topic->partitions.size());
    coordinator_ = std::make_unique<Coordinator>(options, broker_.random());
    seen_ = view;
    for (std::int32_t i = 0; i < options.partitions; ++i) {
      if (topic->partitions[static_cast<std::size_t>(i)].leader != view->self) {
        coordinator_->loaded(i, now());  // its groups are another node's, see check(): none is listed here
        continue;
      }
      const auto ends = broker_.log().ends({topic_, PartitionIndex(i)});
      if (ends.ok()) {
        loading_.push_back({i, ends->start, ends->end});
      } else {
        absent_.push_back(i);
        broker_.report("groups", "a partition of theirs is not served: " + ends.error().text());
      }
    }
    load_some();
  } else if (!absent_.empty()) {
    load_absent();
  }
  look_at_topics(view);
  return true;
}

/// The log could not make them at first, for instance on a full disk.
void Groups::load_absent() {
  const bool idle = loading_.empty();
  std::erase_if(absent_, [this](std::int32_t partition) {
    const auto ends = broker_.log().ends({topic_, PartitionIndex(partition)});
    if (ends.ok()) loading_.push_back({partition, ends->start, ends->end});
    return ends.ok();
  });
  if (idle && !loading_.empty()) load_some();
}

void Groups::load_some() {
  std::size_t read = 0;
  while (!loading_.empty() && read < kLoadBytes) {
    Loading& at = loading_.back();
    if (at.next < at.end) {
      const auto batches =
          broker_.log().read_batches({topic_, PartitionIndex(at.partition)}, at.next, kLoadBytes);
      if (!batches.ok()) {
        broker_.report("groups", "a partition of theirs is not served: " + batches.error().text());
        loading_.pop_back();  // stays loading: its groups are refused, not forgotten
        continue;
      }
      read += batches->bytes.size();
      std::string_view left = batches->bytes;
      while (!left.empty()) {
        const auto batch = log::BatchView::parse(left);
        if (!batch.ok()) break;  // read_batches() gives whole ones
        left.remove_prefix(batch->size());
        log::RecordReader records(*batch);
        log::RecordView record;
        while (records.next(record)) {
          if (!record.key) continue;
          const Status taken = coordinator_->load(at.partition, *record.key, record.value);
          if (!taken.ok()) broker_.report("groups", "a record is passed over: " + taken.error().text());
        }
      }
      at.next = std::max(batches->next, at.next + 1);
      continue;
    }
    coordinator_->loaded(at.partition, now(),
                         [this](const std::string& topic) { return seen_->find(topic) != nullptr; });
    loading_.pop_back();
  }
  members_.reset();
  recent_at_.reset();
  run();
  if (!loading_.empty()) broker_.loop().post([this] { load_some(); });
}

void Groups::cluster_changed() {
  // Without their topic there is nothing to read, and nobody asked for it to be made.
  if (coordinator_ == nullptr && broker_.cluster().view()->find(kOffsetsTopic) == nullptr) return;
  if (ensure()) run();
}

void Groups::look_at_topics(const std::shared_ptr<const ClusterView>& view) {
  if (view == seen_) return;
  const auto before = std::exchange(seen_, view);
  for (const auto& [name, topic] : before->topics) {
    const ClusterView::Topic* still = view->find(name);
    if (still == nullptr || still->id != topic.id) coordinator_->topic_deleted(name, now());
  }
}

ErrorCode Groups::with(const Ask& ask, Answer reply) {
  if (!ensure()) return ErrorCode::kCoordinatorNotAvailable;
  const auto token = ++last_token_;
  waiting_.emplace(token, std::move(reply));
  ask(*coordinator_, token, now());
  run();
  return ErrorCode::kNone;
}

Groups::Place Groups::find(std::string_view group) {
  Place place;
  place.view = broker_.cluster().view();
  if (!ensure()) return place;
  const ClusterView::Topic* topic = place.view->find(kOffsetsTopic);
  if (topic == nullptr) return place;
  const auto partition = static_cast<std::size_t>(coordinator_->partition_of(group));
  if (partition >= topic->partitions.size()) return place;
  const NodeId leader = topic->partitions[partition].leader;
  for (const auto& node : place.view->nodes) {
    if (node.id != leader) continue;
    place.node = &node;
    place.error = ErrorCode::kNone;
  }
  return place;
}

ErrorCode Groups::check(std::string_view group) {
  const Place place = find(group);
  if (place.error != ErrorCode::kNone) return place.error;
  return place.node->id == place.view->self ? ErrorCode::kNone : ErrorCode::kNotCoordinator;
}

const log::groups::Stats& Groups::recent_stats() {
  const Monotonic time = broker_.clock().monotonic();
  if (!recent_at_ || recent_.groups < kGroupsFew || time - *recent_at_ >= kStatsAge) {
    recent_ = stats();
    recent_at_ = time;
    members_ = recent_.members + recent_.members_pending;
  }
  return recent_;
}

ErrorCode Groups::admit_member(std::string_view host) {
  const std::size_t most = broker_.options().members_max;
  if (!members_ || *members_ >= most) recent_stats();
  if (members_.value_or(0) < most) {
    members_ = members_.value_or(0) + 1;
    return ErrorCode::kNone;
  }
  broker_.refused(Limit::kMembers, host,
                  "the consumer groups have " + std::to_string(*members_) + " members, the limit is " +
                      std::to_string(most) + ": end some consumers, or raise kafka-members-max");
  return ErrorCode::kGroupMaxSizeReached;
}

void Groups::note_refusal(Errors error, std::string_view group, std::string_view host) {
  const auto& options = broker_.options().groups;
  if (error == Errors::kGroupMaxSizeReached) {
    broker_.refused(Limit::kGroupMembers, host,
                    "group '" + std::string(group.substr(0, 300)) + "' has " +
                        std::to_string(options.members_max) +
                        " members, which is the limit: end some of its consumers, or raise "
                        "kafka-group-members-max");
  } else if (error == Errors::kPolicyViolation && recent_stats().groups >= options.groups_max) {
    broker_.refused(Limit::kGroups, host,
                    "there are " + std::to_string(recent_.groups) + " consumer groups, the limit is " +
                        std::to_string(options.groups_max) + ", and group '" +
                        std::string(group.substr(0, 300)) +
                        "' is not made: delete some (afdg group delete), or raise kafka-groups-max");
  }
}

void Groups::note_bounds() {
  struct Fixed {
    Limit limit;
    std::size_t most;
    std::string_view what;
  };
  const auto& options = coordinator_->options();
  // In the order of log::groups::Bound.
  const std::array<Fixed, log::groups::kBounds> bounds{{
      {Limit::kGroupNameBytes, options.name_bytes_max, "bytes of a name: shorten it"},
      {Limit::kMemberProtocols, options.protocols_max, "protocols of one member: configure fewer assignors"},
      {Limit::kMemberMetadataBytes, options.metadata_bytes_max,
       "bytes of metadata of one member: subscribe it to fewer topics"},
      {Limit::kGroupBytes, options.group_bytes_max,
       "bytes of one group, or of one commit: make smaller groups, or commit less at once"},
      {Limit::kCommitPartitions, options.commit_partitions_max,
       "partitions in one commit: commit fewer at once"},
      {Limit::kGroupOffsets, options.offsets_max,
       "offsets of all groups: delete groups that nobody needs (afdg group delete)"},
      {Limit::kReplyBytes, options.reply_bytes_max,
       "bytes of one answer: ask for fewer groups at once, or for "
       "some topics of one"},
  }};
  const auto& refusals = coordinator_->refusals();
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    for (; noted_[i] < refusals[i]; ++noted_[i])
      broker_.refused(bounds[i].limit, "groups",
                      "a consumer group's request is refused, the limit is " +
                          std::to_string(bounds[i].most) + " " + std::string(bounds[i].what) + " (" +
                          std::string(limit_key(bounds[i].limit)) + ")");
  }
}

void Groups::run() {
  note_bounds();
  log::groups::Effects effects = coordinator_->take();
  for (const auto& one : effects.appends) append(one);
  for (auto& reply : effects.replies) {
    const auto found = waiting_.find(reply.token);
    if (found == waiting_.end()) continue;
    const Answer answer = std::move(found->second);
    waiting_.erase(found);
    answer(std::move(reply.body));
  }
  if (timer_ != 0) broker_.loop().cancel(std::exchange(timer_, 0));
  if (!effects.next_deadline) return;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*effects.next_deadline - now().monotonic);
  timer_ = broker_.loop().after(std::max(left, std::chrono::milliseconds(0)), [this] {
    timer_ = 0;
    coordinator_->tick(now());
    run();
  });
}

void Groups::append(const log::groups::Append& append) {
  log::BatchBuilder batch;
  for (const auto& record : append.records) {
    std::optional<std::string_view> value;
    if (record.value) value = *record.value;
    batch.add(now().wall, record.key, value);
  }
  const auto view = broker_.cluster().view();
  const kafka::Place place = find_partition(*view, kOffsetsTopic, append.partition);
  const auto token = append.token;
  outcomes_.begin(append.partition, token);
  const auto tell = [this, partition = append.partition, token](Status status) {
    broker_.later([this, partition, token, status = std::move(status)]() mutable {
      auto due = outcomes_.ended(partition, token, std::move(status));
      for (const auto& [ended, outcome] : due) coordinator_->append_done(ended, outcome, now());
      if (!due.empty()) run();
    });
  };
  if (place.error != ErrorCode::kNone || place.partition.topic != topic_)
    return tell(fail(Code::kNotLeader, "this node does not lead the group's partition any more"));
  const auto appended = broker_.log().append(
      place.partition, batch.seal(Offset(0), place.epoch), place.epoch, [tell](log::AppendOutcome outcome) {
        tell(outcome == log::AppendOutcome::kCommitted ? Status() : fail(Code::kIo, "the log stopped"));
      });
  if (!appended.ok()) return tell(appended.error());
  broker_.appended();
}

}  // namespace afdg::kafka
