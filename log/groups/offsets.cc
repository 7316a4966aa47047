#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "log/groups/internal/impl.h"

// OffsetCommit, OffsetFetch and OffsetDelete.
namespace afdg::log::groups {

/// The length of a string as Java counts it.
std::size_t utf16_length(std::string_view text);  // coordinator.cc

namespace {

// Precondition: a >= 0.
std::int64_t add_saturated(std::int64_t a, std::int64_t b) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  return b > kMax - a ? kMax : a + b;
}

CommitReply all_failed(const CommitRequest& request, Errors error) {
  CommitReply body;
  for (const CommitRequest::Topic& t : request.topics) {
    PartitionErrors& errors = body.topics.emplace_back();
    errors.topic = t.topic;
    for (const CommitRequest::Partition& p : t.partitions) errors.partitions.push_back({p.partition, error});
  }
  return body;
}

/// At least one for each topic: what an answer to them costs.
std::size_t count_partitions(const std::vector<FetchRequest::Topic>& topics) {
  std::size_t count = 0;
  for (const FetchRequest::Topic& t : topics) count += std::max<std::size_t>(1, t.partitions.size());
  return count;
}

FetchReply::Partition found(std::int32_t partition, const OffsetValue& v) {
  return {partition, v.offset, v.leader_epoch, v.metadata, Errors::kNone};
}

/// Each topic once, and each of its partitions once.
void merge_repeats(std::vector<FetchRequest::Topic>& topics) {
  std::map<std::string, std::size_t> places;
  std::set<std::pair<std::size_t, std::int32_t>> told;
  std::vector<FetchRequest::Topic> merged;
  for (FetchRequest::Topic& topic : topics) {
    const std::size_t place = places.try_emplace(topic.topic, merged.size()).first->second;
    if (place == merged.size()) merged.push_back({std::move(topic.topic), {}});
    for (const std::int32_t partition : topic.partitions)
      if (told.emplace(place, partition).second) merged[place].partitions.push_back(partition);
  }
  topics = std::move(merged);
}

/// Each group once, with all that was asked of it.
void merge_repeats(FetchRequest& request) {
  std::map<std::string, std::size_t> places;
  std::vector<FetchRequest::Group> merged;
  for (FetchRequest::Group& asked : request.groups) {
    const auto [place, first] = places.try_emplace(asked.group, merged.size());
    if (first) {
      merged.push_back(std::move(asked));
      continue;
    }
    auto& topics = merged[place->second].topics;
    if (!topics || !asked.topics) {
      topics.reset();
    } else {
      std::move(asked.topics->begin(), asked.topics->end(), std::back_inserter(*topics));
    }
  }
  request.groups = std::move(merged);
}

}  // namespace

std::size_t Coordinator::Impl::read_all(const Group& group, FetchReply::Group& answer) const {
  std::size_t bytes = 0;
  for (const auto& [topic, slots] : group.offsets) {
    FetchReply::Topic& t = answer.topics.emplace_back();
    t.topic = topic;
    bytes += sizeof t + topic.size();
    for (const auto& [partition, value] : slots) {
      bytes += sizeof(FetchReply::Partition) + value.metadata.size();
      if (bytes > options.group_reply_bytes_max) return bytes;
      t.partitions.push_back(found(partition, value));
    }
  }
  return bytes;
}

std::size_t Coordinator::Impl::read_topics(const Group* group, const std::vector<FetchRequest::Topic>& topics,
                                           FetchReply::Group& answer) const {
  std::size_t bytes = 0;
  for (const FetchRequest::Topic& topic : topics) {
    FetchReply::Topic& t = answer.topics.emplace_back();
    t.topic = topic.topic;
    bytes += sizeof t + topic.topic.size();
    const std::map<std::int32_t, OffsetValue>* slots = nullptr;
    if (group != nullptr) {
      const auto it = group->offsets.find(topic.topic);
      if (it != group->offsets.end()) slots = &it->second;
    }
    for (const std::int32_t partition : topic.partitions) {
      bytes += sizeof(FetchReply::Partition);
      const OffsetValue* value = nullptr;
      if (slots != nullptr) {
        const auto it = slots->find(partition);
        if (it != slots->end()) value = &it->second;
      }
      if (value != nullptr) bytes += value->metadata.size();
      if (bytes > options.group_reply_bytes_max) return bytes;
      t.partitions.push_back(value != nullptr ? found(partition, *value)
                                              : FetchReply::Partition{partition, -1, -1, {}, answer.error});
    }
  }
  return bytes;
}

std::optional<Bound> Coordinator::Impl::commit_beyond(const CommitRequest& request) const {
  if (!name_fits(request.group)) return Bound::kNameBytes;
  std::size_t partitions_count = 0;
  std::size_t bytes = 0;
  for (const CommitRequest::Topic& t : request.topics) {
    if (!name_fits(t.topic)) return Bound::kNameBytes;
    partitions_count += t.partitions.size();
    constexpr std::size_t kRecordBytes = 64;  // about, beside the strings
    bytes += t.partitions.size() * (kRecordBytes + request.group.size() + t.topic.size());
    for (const CommitRequest::Partition& p : t.partitions) bytes += p.metadata ? p.metadata->size() : 0;
  }
  if (partitions_count > options.commit_partitions_max) return Bound::kCommitPartitions;
  if (bytes > options.group_bytes_max) return Bound::kGroupBytes;
  if (offset_count + offset_pending_count + partitions_count > options.offsets_max) return Bound::kOffsets;
  return std::nullopt;
}

Errors Coordinator::Impl::check_commit(const CommitRequest& request, Group** group) {
  if (home(request.group).loading) return Errors::kCoordinatorLoadInProgress;
  if (const auto beyond = commit_beyond(request)) return refused(*beyond);
  Group* g = find(request.group);
  if (g == nullptr) {
    if (request.generation >= 0)
      return request.group_id_not_found_known ? Errors::kGroupIdNotFound : Errors::kIllegalGeneration;
    return room() ? Errors::kNone : Errors::kPolicyViolation;  // becomes a simple group
  }
  if (g->deleting) return Errors::kCoordinatorNotAvailable;
  *group = g;
  if (request.generation < 0 && g->is(State::kEmpty)) return Errors::kNone;
  if (request.generation >= 0 || !request.member_id.empty() || request.instance_id) {
    if (const Errors error = g->check_member(request.member_id, request.instance_id); error != Errors::kNone)
      return error;
    if (request.generation != g->generation()) return Errors::kIllegalGeneration;
  } else if (!g->is(State::kEmpty)) {
    return Errors::kUnknownMemberId;
  }
  return g->is(State::kCompletingRebalance) ? Errors::kRebalanceInProgress : Errors::kNone;
}

void Coordinator::Impl::commit(RequestToken token, CommitRequest request, Now now) {
  Group* group = nullptr;
  if (const Errors error = check_commit(request, &group); error != Errors::kNone)
    return reply(token, all_failed(request, error));
  // A member that commits is alive.
  if (group != nullptr && (group->is(State::kStable) || group->is(State::kPreparingRebalance)))
    start_session(*group, *group->find(request.member_id), now);

  struct Write {
    OffsetKey key;
    OffsetValue value;
  };
  CommitReply body = all_failed(request, Errors::kNone);
  std::vector<Write> writes;
  std::vector<Record> records;
  const std::int64_t wall_ms = now.wall.time_since_epoch().count();
  for (std::size_t t = 0; t < request.topics.size(); ++t) {
    CommitRequest::Topic& topic = request.topics[t];
    for (std::size_t p = 0; p < topic.partitions.size(); ++p) {
      CommitRequest::Partition& partition = topic.partitions[p];
      if (partition.metadata && utf16_length(*partition.metadata) > options.offset_metadata_max) {
        body.topics[t].partitions[p].error = Errors::kOffsetMetadataTooLarge;
        continue;
      }
      Write& w = writes.emplace_back();
      w.key = {request.group, topic.topic, partition.partition};
      w.value.offset = partition.offset;
      w.value.leader_epoch = partition.leader_epoch < 0 ? -1 : partition.leader_epoch;
      w.value.metadata = std::move(partition.metadata).value_or("");
      w.value.commit_timestamp_ms =
          partition.commit_timestamp ? partition.commit_timestamp->time_since_epoch().count() : wall_ms;
      if (request.retention) w.value.expire_timestamp_ms = add_saturated(wall_ms, request.retention->count());
      // The record with an expiry has no room for the epoch: what is served must be what a restart reads.
      if (w.value.expire_timestamp_ms != -1) w.value.leader_epoch = -1;
      records.push_back({encode_key(w.key), encode_value(w.value)});
    }
  }
  if (writes.empty()) return reply(token, std::move(body));
  if (group == nullptr) group = &make(request.group);
  for (const Write& w : writes) ++group->pending_offsets[{w.key.topic, w.key.partition}];
  offset_pending_count += writes.size();
  append(partition_of(request.group), {request.group}, std::move(records),
         [this, token, id = request.group, body = std::move(body), writes = std::move(writes)](Errors error,
                                                                                               Now) mutable {
           offset_pending_count -= writes.size();
           if (Group* g = find(id)) {
             for (const Write& w : writes) {
               auto it = g->pending_offsets.find({w.key.topic, w.key.partition});
               if (it != g->pending_offsets.end() && --it->second == 0) g->pending_offsets.erase(it);
             }
           }
           for (Write& w : writes) {
             if (error == Errors::kNone) apply_offset(id, w.key.topic, w.key.partition, std::move(w.value));
           }
           for (PartitionErrors& t : body.topics) {
             for (PartitionErrors::Partition& p : t.partitions)
               p.error = p.error == Errors::kNone ? error : p.error;
           }
           reply(token, std::move(body));
         });
}

void Coordinator::Impl::apply_offset(const std::string& group, const std::string& topic,
                                     std::int32_t partition, std::optional<OffsetValue> value) {
  if (value) {
    Group& g = make(group);
    g.stored = true;
    offset_count += g.offsets[topic].insert_or_assign(partition, std::move(*value)).second ? 1 : 0;
    return;
  }
  Group* g = find(group);
  if (g == nullptr) return;
  auto it = g->offsets.find(topic);
  if (it == g->offsets.end() || it->second.erase(partition) == 0) return;
  --offset_count;
  if (it->second.empty()) g->offsets.erase(it);
}

void Coordinator::Impl::apply_tombstone(const std::string& group) {
  Group* g = find(group);
  if (g == nullptr) return;
  if (g->offsets.empty() && g->appends == 0) return erase(group);
  for (const std::string& member : g->pending_joins) stop_timer(TimerKind::kSession, *g, member);
  g->reset();
}

FetchReply Coordinator::Impl::read_offsets(const FetchRequest& request) {
  FetchReply body;
  std::size_t bytes = 0;
  for (const FetchRequest::Group& asked : request.groups) {
    FetchReply::Group& answer = body.groups.emplace_back();
    answer.group = asked.group;
    if (home(asked.group).loading) answer.error = Errors::kCoordinatorLoadInProgress;
    if (asked.topics && count_partitions(*asked.topics) > options.commit_partitions_max) {
      answer.error = refused(Bound::kCommitPartitions);
      continue;
    }
    if (bytes >= options.reply_bytes_max) {
      answer.error = refused(Bound::kReplyBytes);
      continue;
    }
    const Group* group = answer.error == Errors::kNone ? find(asked.group) : nullptr;
    const std::size_t read = asked.topics       ? read_topics(group, *asked.topics, answer)
                             : group != nullptr ? read_all(*group, answer)
                                                : 0;
    bytes += read;
    if (read <= options.group_reply_bytes_max) continue;
    static_cast<void>(refused(Bound::kReplyBytes));
    answer.error = Errors::kPolicyViolation;
    answer.topics = {};
  }
  return body;
}

void Coordinator::Impl::fetch(RequestToken token, FetchRequest request) {
  merge_repeats(request);
  for (FetchRequest::Group& asked : request.groups)
    if (asked.topics && count_partitions(*asked.topics) <= options.commit_partitions_max)
      merge_repeats(*asked.topics);
  std::set<AppendToken> waits;
  if (request.require_stable) {
    for (const FetchRequest::Group& asked : request.groups) {
      // Appends of a partition end in order: the last one of a group ends after all of them.
      const Group* group = find(asked.group);
      if (group != nullptr && group->appends != 0) waits.insert(group->last_append);
    }
  }
  if (waits.empty()) return reply(token, read_offsets(request));
  auto waiting = std::make_shared<StableFetch>(StableFetch{token, std::move(request), waits.size()});
  for (const AppendToken append : waits) stable_fetches.emplace(append, waiting);
}

void Coordinator::Impl::append_finished(AppendToken token) {
  const auto [begin, end] = stable_fetches.equal_range(token);
  for (auto it = begin; it != end; ++it) {
    if (--it->second->waits == 0) reply(it->second->token, read_offsets(it->second->request));
  }
  stable_fetches.erase(begin, end);
}

void Coordinator::Impl::delete_offsets(RequestToken token, OffsetDeleteRequest request) {
  OffsetDeleteReply body;
  std::size_t partitions_count = 0;
  for (const FetchRequest::Topic& t : request.topics) partitions_count += t.partitions.size();
  Group* group = nullptr;
  if (request.group.empty()) {
    body.error = Errors::kInvalidGroupId;
  } else if (home(request.group).loading) {
    body.error = Errors::kCoordinatorLoadInProgress;
  } else if (partitions_count > options.commit_partitions_max) {
    body.error = refused(Bound::kCommitPartitions);
  } else if (group = find(request.group); group == nullptr || group->deleting) {
    body.error = Errors::kGroupIdNotFound;
  } else if (!group->is(State::kEmpty) && !group->consumers()) {
    body.error = Errors::kNonEmptyGroup;  // what its members read is not known
  }
  if (body.error != Errors::kNone) return reply(token, std::move(body));

  std::vector<OffsetKey> keys;
  for (FetchRequest::Topic& topic : request.topics) {
    PartitionErrors& errors = body.topics.emplace_back();
    const bool subscribed = group->subscribed(topic.topic);
    const auto slots = group->offsets.find(topic.topic);
    for (const std::int32_t partition : topic.partitions) {
      errors.partitions.push_back({partition, subscribed ? Errors::kGroupSubscribedToTopic : Errors::kNone});
      const bool stored = slots != group->offsets.end() && slots->second.contains(partition);
      if (!subscribed && (stored || group->pending_offsets.contains({topic.topic, partition})))
        keys.push_back({request.group, topic.topic, partition});
    }
    errors.topic = std::move(topic.topic);
  }
  if (keys.empty()) return reply(token, std::move(body));
  append_tombstones(*group, keys, false, [this, token, body = std::move(body)](Errors error, Now) mutable {
    if (error != Errors::kNone) {
      body.error = error;
      body.topics.clear();
    }
    reply(token, std::move(body));
  });
}

}  // namespace afdg::log::groups
