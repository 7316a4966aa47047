#include <algorithm>
#include <utility>

#include "log/groups/internal/impl.h"

// What removes offsets and groups: retention (KIP-211), deletion, and the end of a topic.
namespace afdg::log::groups {
namespace {

constexpr std::size_t kBatchBytes = 1 << 20;  // of tombstones in one append, about

// Whether offsets of the group expire now, and since when each counts: from the commit, or, in a group that
// had members, from when the last one left. -1 there: from the commit.
struct Expiry {
  bool possible = false;
  std::int64_t since_ms = -1;
};

Expiry expiry_of(const Group& group) {
  if (!group.protocol_type()) return {true, -1};
  if (group.is(State::kEmpty)) return {true, group.state_timestamp_ms()};
  // Topics that a stable group of consumers no longer reads.
  if (group.is(State::kStable) && group.consumers() && group.knows_subscriptions()) return {true, -1};
  return {};
}

bool expired(const OffsetValue& value, const Expiry& expiry, std::int64_t now_ms, std::int64_t retention_ms) {
  if (value.expire_timestamp_ms != -1) return now_ms >= value.expire_timestamp_ms;
  return (expiry.since_ms != -1 ? expiry.since_ms : value.commit_timestamp_ms) <= now_ms - retention_ms;
}

}  // namespace

void Coordinator::Impl::retention_due(std::int32_t partition, Now now) {
  timers.set({TimerKind::kRetention, {}, {}, partition}, now.monotonic + options.retention_check_interval);
  const std::int64_t now_ms = now.wall.time_since_epoch().count();
  for (auto& [id, group] : partitions[static_cast<std::size_t>(partition)].groups) {
    if (group->deleting) continue;
    const Expiry expiry = expiry_of(*group);
    std::vector<OffsetKey> keys;
    bool kept = !group->pending_offsets.empty() || !group->pending_joins.empty();
    for (const auto& [topic, slots] : group->offsets) {
      if (!expiry.possible || group->subscribed(topic)) {
        kept = true;
        continue;
      }
      for (const auto& [index, value] : slots) {
        if (expired(value, expiry, now_ms, options.offset_retention.count()) &&
            !group->pending_offsets.contains({topic, index})) {
          keys.push_back({id, topic, index});
        } else {
          kept = true;
        }
      }
    }
    const bool whole = !kept && group->is(State::kEmpty);
    auto count = [this, n = keys.size()](Errors error, Now) {
      offsets_expired += error == Errors::kNone ? n : 0;
    };
    if (whole) {
      begin_deletion(*group, std::move(count));
    } else if (!keys.empty()) {
      append_tombstones(*group, keys, false, std::move(count));
    }
  }
}

std::vector<OffsetKey> Coordinator::Impl::all_offsets(const Group& group) {
  std::vector<OffsetKey> keys;
  for (const auto& [topic, slots] : group.offsets) {
    for (const auto& [partition, value] : slots) keys.push_back({group.id(), topic, partition});
  }
  for (const auto& [slot, count] : group.pending_offsets) {
    auto it = group.offsets.find(slot.first);
    if (it == group.offsets.end() || !it->second.contains(slot.second))
      keys.push_back({group.id(), slot.first, slot.second});
  }
  return keys;
}

void Coordinator::Impl::append_tombstones(Group& group, const std::vector<OffsetKey>& keys, bool whole,
                                          Done done) {
  struct Outcome {
    std::size_t waits = 0;
    Errors error = Errors::kNone;
  };
  auto outcome = std::make_shared<Outcome>();
  auto shared_done = std::make_shared<Done>(std::move(done));
  std::size_t at = 0;
  bool last = false;
  while (!last) {
    std::vector<Record> records;
    std::vector<OffsetKey> batch;
    std::size_t bytes = 0;
    for (; at < keys.size() && bytes < kBatchBytes; ++at) {
      records.push_back({encode_key(keys[at]), std::nullopt});
      constexpr std::size_t kRecordBytes = 16;
      bytes += records.back().key.size() + kRecordBytes;
      batch.push_back(keys[at]);
    }
    last = at == keys.size();
    if (last && whole) records.push_back({encode_key(GroupKey{group.id()}), std::nullopt});
    ++outcome->waits;
    append(partition_of(group.id()), {group.id()}, std::move(records),
           [this, outcome, shared_done, batch = std::move(batch), id = group.id(), ends = last && whole](
               Errors error, Now now) {
             if (error == Errors::kNone) {
               for (const OffsetKey& key : batch) apply_offset(id, key.topic, key.partition, std::nullopt);
               if (ends) apply_tombstone(id);
             } else {
               outcome->error = error;
               if (Group* g = find(id); ends && g != nullptr) g->deleting = false;
             }
             if (--outcome->waits == 0) (*shared_done)(outcome->error, now);
           });
  }
}

void Coordinator::Impl::begin_deletion(Group& group, Done done) {
  group.deleting = true;
  append_tombstones(group, all_offsets(group), true, std::move(done));
}

void Coordinator::Impl::drop_topic(Group& group, const std::string& topic) {
  std::vector<OffsetKey> keys;
  std::set<std::int32_t> indexes;
  if (auto it = group.offsets.find(topic); it != group.offsets.end()) {
    for (const auto& [partition, value] : it->second) indexes.insert(partition);
  }
  for (auto it = group.pending_offsets.lower_bound({topic, 0});
       it != group.pending_offsets.end() && it->first.first == topic; ++it)
    indexes.insert(it->first.second);
  for (const std::int32_t partition : indexes) keys.push_back({group.id(), topic, partition});
  if (!keys.empty()) append_tombstones(group, keys, false, [](Errors, Now) {});
}

void Coordinator::Impl::topic_deleted(const std::string& topic) {
  for (Partition& partition : partitions) {
    if (partition.loading) {
      partition.topics_deleted.insert(topic);
      continue;
    }
    for (auto& [id, group] : partition.groups) drop_topic(*group, topic);
  }
}

}  // namespace afdg::log::groups
