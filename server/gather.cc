#include "server/gather.h"

#include <algorithm>
#include <optional>
#include <set>
#include <thread>

#include "afdg/v1/admin.pb.h"
#include "base/codec.h"
#include "log/batch.h"
#include "log/codecs.h"
#include "server/convert.h"
#include "server/router.h"

namespace afdg::server {
namespace {

constexpr auto kPeerTimeout = std::chrono::milliseconds(4000);
constexpr std::uint32_t kKeysDefault = 1000;
constexpr std::uint32_t kKeysMax = 10'000;
constexpr std::size_t kShareMin = 16;
constexpr std::uint32_t kItemsDefault = 1000;
constexpr std::uint32_t kReadBytesMax = 1u << 20;

void fill_region(const RegionHost::RegionState& state, NodeId self, v1::RegionStatus& out) {
  out.set_grid(state.executor->grid_name());
  out.set_region(static_cast<std::uint32_t>(state.executor->region().value()));
  out.set_leader(static_cast<std::uint32_t>(self.value()));
  out.set_epoch(state.epoch.value());
  if (!state.info.ok()) {
    out.set_state(state.info.code() == Code::kCorrupt || state.info.code() == Code::kNewerFormat
                      ? "faulty"
                      : "recovering");
    out.set_fault(state.info.error().text());
    return;
  }
  const region::RegionInfo& info = *state.info;
  out.set_messages_start(info.messages_start.value());
  out.set_applied(info.applied.value());
  out.set_messages_end(info.messages_end.value());
  out.set_changes_end(info.changes_end.value());
  out.set_checkpointed(info.checkpointed.value());
  out.set_live_agents(info.live_agents);
  out.set_outbox(info.outbox);
  out.set_memory_bytes(info.memory_bytes);
  out.set_dead(static_cast<std::uint64_t>(std::max<std::int64_t>(0, info.dead_end.value())));
  out.set_state(!info.fault.ok() ? "faulty" : info.recovering ? "recovering" : "running");
  if (!info.fault.ok()) out.set_fault(info.fault.error().text());
}

}  // namespace

Gather::Others Gather::others(const Routes& routes, const GridRoutes& grid) {
  std::set<NodeId> leaders;
  for (const auto& route : grid.regions) leaders.insert(route.leader);
  leaders.erase(routes.self);
  Others others;
  for (const NodeId id : leaders) {
    const auto node = routes.nodes.find(id);
    (node != routes.nodes.end() && node->second.alive ? others.alive : others.dead).push_back(id);
  }
  return others;
}

Result<v1::RegionList> Gather::regions(const v1::RegionsCall& call) {
  const auto routes = parts_.board->get();
  if (!call.grid().empty() && routes->find(call.grid()) == nullptr)
    return fail(Code::kUnknownGrid, unknown_grid(*routes, call.grid()));
  std::map<std::pair<std::string, std::uint32_t>, v1::RegionStatus> all;
  if (parts_.host != nullptr) {
    for (const auto& state : parts_.host->states(call.grid())) {
      v1::RegionStatus status;
      fill_region(state, routes->self, status);
      auto key = std::pair(status.grid(), status.region());
      all.insert_or_assign(std::move(key), std::move(status));
    }
  }
  if (!call.local_only()) {
    std::set<NodeId> asked;
    for (const auto& [name, grid] : routes->grids) {
      if (!call.grid().empty() && name != call.grid()) continue;
      for (const NodeId id : others(*routes, grid).alive) {
        if (!asked.insert(id).second) continue;
        v1::RegionsCall ask = call;
        ask.set_local_only(true);
        v1::RegionList list;
        const Status answered = parts_.peers->call_and_wait(
            routes->nodes.at(id).address, "/afdg.v1.Admin/Regions", ask, list, kPeerTimeout);
        if (!answered.ok()) continue;
        for (auto& status : *list.mutable_regions()) {
          auto key = std::pair(status.grid(), status.region());
          all.insert_or_assign(std::move(key), std::move(status));
        }
      }
      for (std::size_t i = 0; i < grid.regions.size(); ++i) {
        const auto region = static_cast<std::uint32_t>(i);
        if (all.contains({name, region})) continue;
        v1::RegionStatus& status = all[{name, region}];
        status.set_grid(name);
        status.set_region(region);
        status.set_leader(static_cast<std::uint32_t>(grid.regions[i].leader.value()));
        status.set_epoch(grid.regions[i].epoch.value());
        status.set_state("unavailable");
        status.set_fault("its leader, node " + std::to_string(grid.regions[i].leader.value()) +
                         ", does not answer");
      }
    }
  }
  v1::RegionList list;
  for (auto& [key, status] : all) *list.add_regions() = std::move(status);
  return list;
}

Result<v1::TopicList> Gather::topics(const v1::TopicsCall& call) {
  const auto routes = parts_.board->get();
  v1::TopicList list;
  for (const auto& topic : routes->topics) {
    if (!call.name().empty() && topic.name != call.name()) continue;
    v1::TopicInfo& info = *list.add_topics();
    fill_topic(topic, *routes, info);
    if (parts_.log == nullptr) continue;
    for (auto& partition : *info.mutable_partition_infos()) {
      if (partition.leader() != static_cast<std::uint32_t>(routes->self.value())) continue;
      const auto described =
          parts_.log->describe({topic.id, PartitionIndex(static_cast<std::int32_t>(partition.index()))});
      if (!described.ok()) continue;
      partition.set_start(described->start.value());
      partition.set_end(described->end.value());
      partition.set_bytes(described->bytes);
      partition.set_segments(static_cast<std::uint32_t>(described->segments));
      partition.set_history_start(std::max(described->start, described->compaction.history_start).value());
      partition.set_tombstone_horizon(described->compaction.tombstone_horizon.value());
      if (!described->fault.ok()) {
        partition.set_faulty(true);
        partition.set_fault(described->fault.error().text());
      }
    }
  }
  if (list.topics().empty() && !call.name().empty())
    return fail(Code::kNotFound, "no topic is named '" + call.name() + "': list them with 'afdg topic list'");
  if (call.local_only()) return list;
  for (const auto& [id, node] : routes->nodes) {
    if (id == routes->self || !node.alive) continue;
    v1::TopicsCall ask = call;
    ask.set_local_only(true);
    v1::TopicList theirs;
    if (!parts_.peers->call_and_wait(node.address, "/afdg.v1.Admin/Topics", ask, theirs, kPeerTimeout).ok())
      continue;
    for (auto& topic : *list.mutable_topics()) {
      for (const auto& other : theirs.topics()) {
        if (other.id() != topic.id()) continue;
        for (int i = 0; i < std::min(topic.partition_infos_size(), other.partition_infos_size()); ++i) {
          if (other.partition_infos(i).leader() == static_cast<std::uint32_t>(id.value()))
            *topic.mutable_partition_infos(i) = other.partition_infos(i);
        }
      }
    }
  }
  return list;
}

Status Gather::look_at(const std::shared_ptr<region::Executor>& executor,
                       std::function<Status(const region::RegionCore&)> look) {
  struct Seen {
    const region::RegionCore* core = nullptr;
    std::uint64_t number = 0;
    Status looked;
    Status trouble;
    bool committed = false;
  };
  const auto seen = std::make_shared<Seen>();
  const auto step = [seen, look = std::move(look)](region::Executor& of) {
    const region::RegionCore* core = of.core();
    if (core == nullptr) {
      seen->trouble = of.fault().ok() ? Status(fail(Code::kUnavailable)) : of.fault();
      return;
    }
    if (seen->core == nullptr) {
      seen->core = core;
      seen->looked = look(*core);
      seen->number = core->seen();
    } else if (seen->core != core) {
      seen->trouble = fail(Code::kUnavailable, "the region started anew while it was looked at: try again");
      return;
    }
    const Result<bool> committed = core->committed(seen->number);
    if (!committed.ok()) {
      seen->trouble = committed.error();
    } else {
      seen->committed = *committed;
    }
  };
  const auto give_up = std::chrono::steady_clock::now() + kPeerTimeout;
  for (;;) {
    AFDG_TRY(parts_.host->run(executor, step));
    AFDG_TRY(seen->trouble);
    if (seen->committed) return seen->looked;
    if (std::chrono::steady_clock::now() > give_up) {
      return fail(Code::kUnavailable, "what region " + std::to_string(executor->region().value()) +
                                          " of grid '" + executor->grid_name() +
                                          "' shows is not durable yet: try again");
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500));  // about one commit
  }
}

Result<std::vector<std::string>> Gather::keys_of(const std::shared_ptr<region::Executor>& executor,
                                                 std::string_view type, std::string_view prefix,
                                                 std::string_view after, std::size_t limit) {
  const auto keys = std::make_shared<std::vector<std::string>>();
  AFDG_TRY(look_at(executor,
                   [keys, type = std::string(type), prefix = std::string(prefix), after = std::string(after),
                    limit](const region::RegionCore& core) -> Status {
                     AFDG_ASSIGN(*keys, core.list_agents(type, prefix, after, limit));
                     return {};
                   }));
  return std::move(*keys);
}

Result<v1::AgentKeys> Gather::list_agents(const v1::ListAgentsCall& call) {
  const auto routes = parts_.board->get();
  const GridRoutes* grid = routes->find(call.grid());
  if (grid == nullptr) return fail(Code::kUnknownGrid, unknown_grid(*routes, call.grid()));
  if (!grid->hosts(call.type())) {
    return fail(Code::kUnknownType, "grid '" + call.grid() + "' hosts no agent type '" + call.type() +
                                        "': 'afdg grid describe " + call.grid() + "' lists its types");
  }
  const std::size_t limit = std::min(call.limit() == 0 ? kKeysDefault : call.limit(), kKeysMax);
  // Each region is asked for its share and a little more: one that has still more bounds what is known of
  // all.
  const std::size_t share = std::min(limit + 1, limit / grid->regions.size() * 5 / 4 + kShareMin);
  std::vector<std::string> all;
  std::optional<std::string> known_to;
  const auto bounded_by = [&](const std::string& last) {
    if (!known_to || last < *known_to) known_to = last;
  };
  v1::AgentKeys answer;
  const auto miss = [&](std::size_t region, const Error& error) {
    v1::MissedRegion& missed = *answer.add_missed();
    missed.set_region(static_cast<std::uint32_t>(region));
    missed.set_code(static_cast<std::uint32_t>(error.code()));
    missed.set_text("the agents of region " + std::to_string(region) +
                    " could not be listed: " + error.text());
  };
  const auto miss_all_of = [&](NodeId node, const Error& error) {
    for (std::size_t i = 0; i < grid->regions.size(); ++i) {
      if (grid->regions[i].leader == node) miss(i, error);
    }
  };
  for (std::size_t i = 0; i < grid->regions.size(); ++i) {
    if (!grid->regions[i].local) continue;
    auto keys = keys_of(grid->regions[i].local, call.type(), call.prefix(), call.after(), share);
    if (!keys.ok()) {
      if (!call.partial()) return keys.error();
      miss(i, keys.error());
      continue;
    }
    if (keys->size() == share) bounded_by(keys->back());
    all.insert(all.end(), std::make_move_iterator(keys->begin()), std::make_move_iterator(keys->end()));
  }
  if (!call.local_only()) {
    const Others nodes = others(*routes, *grid);
    for (const NodeId id : nodes.dead) {
      const Error error = fail(Code::kUnavailable, "node " + std::to_string(id.value()) +
                                                       " leads regions of grid '" + call.grid() +
                                                       "' and does not answer: wait for it to come back, "
                                                       "then try again");
      if (!call.partial()) return error;
      miss_all_of(id, error);
    }
    for (const NodeId id : nodes.alive) {
      v1::ListAgentsCall ask = call;
      ask.set_local_only(true);
      ask.set_limit(static_cast<std::uint32_t>(limit));
      v1::AgentKeys theirs;
      const Status asked = parts_.peers->call_and_wait(
          routes->nodes.at(id).address, "/afdg.v1.Admin/ListAgents", ask, theirs, kPeerTimeout);
      if (!asked.ok()) {
        if (!call.partial()) return asked.error();
        miss_all_of(id, asked.error());
        continue;
      }
      for (auto& missed : *theirs.mutable_missed()) *answer.add_missed() = std::move(missed);
      if (theirs.more() && !theirs.keys().empty()) bounded_by(*theirs.keys().rbegin());
      for (auto& key : *theirs.mutable_keys()) all.push_back(std::move(key));
    }
  }
  std::sort(all.begin(), all.end());
  bool more = known_to.has_value();
  if (known_to) all.erase(std::upper_bound(all.begin(), all.end(), *known_to), all.end());
  if (all.size() > limit) {
    all.resize(limit);
    more = true;
  }
  for (auto& key : all) answer.add_keys(std::move(key));
  answer.set_more(more);
  return answer;
}

Result<v1::AgentState> Gather::show_agent(const v1::ShowAgentCall& call) {
  const auto routes = parts_.board->get();
  const GridRoutes* grid = routes->find(call.grid());
  if (grid == nullptr) return fail(Code::kUnknownGrid, unknown_grid(*routes, call.grid()));
  if (!grid->hosts(call.type())) {
    return fail(Code::kUnknownType, "grid '" + call.grid() + "' hosts no agent type '" + call.type() +
                                        "': 'afdg grid describe " + call.grid() + "' lists its types");
  }
  if (call.key().empty()) return fail(Code::kInvalidArgument, "an agent key is empty: write TYPE/KEY");
  const std::int32_t index = key_partition(call.key(), grid->grid.regions);
  const RegionRoute& route = grid->regions[static_cast<std::size_t>(index)];
  if (!route.local) {
    const auto node = routes->nodes.find(route.leader);
    if (node == routes->nodes.end() || !node->second.alive || route.leader == routes->self) {
      return fail(Code::kUnavailable, "region " + std::to_string(index) + " of grid '" + call.grid() +
                                          "' is led by node " + std::to_string(route.leader.value()) +
                                          ", which does not answer: wait for it to come back");
    }
    v1::AgentState state;
    AFDG_TRY(parts_.peers->call_and_wait(node->second.address, "/afdg.v1.Admin/ShowAgent", call, state,
                                         kPeerTimeout));
    return state;
  }
  struct Shown {
    std::vector<region::ShownItem> items;
    std::int64_t applied = 0;
  };
  const auto shown = std::make_shared<Shown>();
  const std::size_t limit = std::min(call.items_max() == 0 ? kItemsDefault : call.items_max(), kKeysMax);
  AFDG_TRY(
      look_at(route.local,
              [shown, type = call.type(), key = call.key(), limit](const region::RegionCore& core) -> Status {
                AFDG_ASSIGN(shown->items, core.show_agent(type, key, limit + 1));
                shown->applied = core.info().applied.value();
                return {};
              }));
  v1::AgentState state;
  state.set_region(static_cast<std::uint32_t>(index));
  state.set_applied(shown->applied);
  const agents::AgentType* type = parts_.types->find(call.type());
  for (auto& item : shown->items) {
    if (static_cast<std::size_t>(state.items_size()) == limit) {
      state.set_truncated(true);
      break;
    }
    v1::EntityItem& out = *state.add_items();
    out.set_entity(item.entity);
    out.set_entity_key(item.key);
    out.set_sequence(item.sequence);
    if (type != nullptr) {
      if (const auto entity = type->entities.find(item.entity); entity != type->entities.end()) {
        if (auto json = agents::bytes_to_json(*entity->second, item.value); json.ok())
          out.set_json(std::move(*json));
      }
    }
    out.set_value(std::move(item.value));
  }
  return state;
}

Result<v1::ReadAnswer> Gather::read(const v1::ReadCall& call) {
  const auto routes = parts_.board->get();
  const auto topic = std::find_if(routes->topics.begin(), routes->topics.end(),
                                  [&](const auto& one) { return one.name == call.topic(); });
  if (topic == routes->topics.end())
    return fail(Code::kNotFound,
                "no topic is named '" + call.topic() + "': list them with 'afdg topic list'");
  v1::TopicInfo info;
  fill_topic(*topic, *routes, info);
  if (call.partition() >= static_cast<std::uint32_t>(info.partition_infos_size())) {
    return fail(Code::kNotFound, "topic '" + call.topic() + "' has no partition " +
                                     std::to_string(call.partition()) + ": it has 0 to " +
                                     std::to_string(info.partition_infos_size() - 1));
  }
  const NodeId leader(
      static_cast<std::int32_t>(info.partition_infos(static_cast<int>(call.partition())).leader()));
  if (leader == routes->self) return read_here(*topic, call);
  const auto node = routes->nodes.find(leader);
  if (node == routes->nodes.end() || !node->second.alive) {
    return fail(Code::kUnavailable, "partition " + std::to_string(call.partition()) + " of topic '" +
                                        call.topic() + "' is led by node " + std::to_string(leader.value()) +
                                        ", which does not answer: wait for it to come back");
  }
  v1::ReadAnswer answer;
  AFDG_TRY(
      parts_.peers->call_and_wait(node->second.address, "/afdg.v1.Admin/Read", call, answer, kPeerTimeout));
  return answer;
}

Result<v1::ReadAnswer> Gather::read_here(const catalog::Topic& topic, const v1::ReadCall& call) {
  const TopicPartition partition{topic.id, PartitionIndex(static_cast<std::int32_t>(call.partition()))};
  v1::ReadAnswer answer;
  if (parts_.log == nullptr) return answer;
  const auto described = parts_.log->describe(partition);
  if (described.code() == Code::kNotFound && topic.grid.value() == 0)
    return answer;  // nothing was ever written to it
  if (!described.ok()) return described.error();
  answer.set_start(described->start.value());
  answer.set_end(described->end.value());
  Offset from(call.at_start() ? described->start.value()
              : call.at_end() ? described->end.value()
                              : call.offset());
  if (call.at_time()) {
    AFDG_ASSIGN(from,
                parts_.log->find_time(partition, Timestamp(std::chrono::milliseconds(call.time_unix_ms()))));
  }
  answer.set_next(from.value());
  if (from >= described->end || call.bytes_max() == 0) {
    if (from > described->end) {
      return fail(Code::kOutOfRange, topic.name + "[" + std::to_string(call.partition()) + "] ends at " +
                                         std::to_string(described->end.value()) + ", and " +
                                         std::to_string(from.value()) + " was asked for: read from within");
    }
    return answer;
  }
  AFDG_ASSIGN(const log::BatchBytes batches,
              parts_.log->read_batches(partition, from, std::min(call.bytes_max(), kReadBytesMax)));
  std::string_view bytes = batches.bytes;
  std::string unpacked;
  log::RecordView record;
  while (!bytes.empty()) {
    AFDG_ASSIGN(const log::BatchView batch, log::BatchView::parse(bytes));
    AFDG_ASSIGN(const std::string_view records, log::unpack_records(batch, unpacked));
    log::RecordReader reader(batch, records);
    while (reader.next(record)) {
      if (record.offset < from) continue;
      v1::ConsumedRecord& out = *answer.add_records();
      out.set_topic(topic.name);
      out.set_partition(call.partition());
      out.set_offset(record.offset.value());
      out.set_timestamp_unix_ms(record.timestamp.time_since_epoch().count());
      if (record.key) out.set_key(std::string(*record.key));
      if (record.value) out.set_value(std::string(*record.value));
      for (const auto& header : record.headers) {
        auto& to = *out.add_headers();
        to.set_key(std::string(header.key));
        to.set_value(std::string(header.value));
      }
    }
    AFDG_TRY(reader.status());
    bytes.remove_prefix(batch.size());
  }
  answer.set_next(batches.next.value());
  return answer;
}

Status Gather::each_key(const std::string& grid_name, const std::string& type,
                        const std::function<bool(std::vector<std::string>&&)>& take,
                        const std::function<void(std::uint32_t, const Error&)>& missed) {
  const auto routes = parts_.board->get();
  const GridRoutes* grid = routes->find(grid_name);
  if (grid == nullptr) return fail(Code::kUnknownGrid, unknown_grid(*routes, grid_name));
  if (!grid->hosts(type)) {
    return fail(Code::kUnknownType, "grid '" + grid_name + "' hosts no agent type '" + type +
                                        "': 'afdg grid describe " + grid_name + "' lists its types");
  }
  for (std::size_t i = 0; i < grid->regions.size(); ++i) {
    if (!grid->regions[i].local) continue;
    std::string after;
    for (;;) {
      auto keys = keys_of(grid->regions[i].local, type, {}, after, kKeysDefault);
      if (!keys.ok()) {
        missed(static_cast<std::uint32_t>(i), keys.error());
        break;
      }
      if (keys->empty()) break;
      after = keys->back();
      const bool last = keys->size() < kKeysDefault;
      if (!take(std::move(*keys))) return {};
      if (last) break;
    }
  }
  const Others nodes = others(*routes, *grid);
  const auto miss_all = [&](NodeId id, const Error& error) {
    for (std::size_t i = 0; i < grid->regions.size(); ++i) {
      if (grid->regions[i].leader == id) missed(static_cast<std::uint32_t>(i), error);
    }
  };
  for (const NodeId id : nodes.dead)
    miss_all(
        id, fail(Code::kUnavailable, "node " + std::to_string(id.value()) +
                                         " leads the region and does not answer: try again when it is back"));
  for (const NodeId id : nodes.alive) {
    v1::ListAgentsCall ask;
    ask.set_grid(grid_name);
    ask.set_type(type);
    ask.set_limit(kKeysDefault);
    ask.set_local_only(true);
    for (;;) {
      v1::AgentKeys theirs;
      const Status asked = parts_.peers->call_and_wait(
          routes->nodes.at(id).address, "/afdg.v1.Admin/ListAgents", ask, theirs, kPeerTimeout);
      if (!asked.ok()) {
        miss_all(id, asked.error());
        break;
      }
      std::vector<std::string> keys(std::make_move_iterator(theirs.mutable_keys()->begin()),
                                    std::make_move_iterator(theirs.mutable_keys()->end()));
      if (!keys.empty()) ask.set_after(keys.back());
      if (!keys.empty() && !take(std::move(keys))) return {};
      if (!theirs.more()) break;
    }
  }
  return {};
}

}  // namespace afdg::server
