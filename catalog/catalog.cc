#include "catalog/catalog.h"

#include <algorithm>
#include <set>

#include "catalog/records.h"

namespace afdg::catalog {
namespace {

constexpr std::size_t kTopicNameBytesMax = 249;  // Kafka's limit
constexpr std::size_t kGridNameBytesMax = 200;   // leaves room for ".messages" below it

bool valid_name(std::string_view name, std::size_t bytes_max) {
  return !name.empty() && name.size() <= bytes_max && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                  c == '_' || c == '-';
         });
}

Status check_name(std::string_view what, std::string_view name, std::size_t bytes_max) {
  if (valid_name(name, bytes_max)) return {};
  return fail(Code::kInvalidArgument, std::string(what) + " name '" + std::string(name.substr(0, 300)) +
                                          "' is not valid: use 1 to " + std::to_string(bytes_max) +
                                          " of the characters a-z A-Z 0-9 . _ -");
}

constexpr std::uint64_t kTopicsOfGrid = 3;  // messages, changes, dead: each with a partition a region

Error out_of_bounds(std::string_view what, std::int64_t value, std::int64_t max) {
  return fail(Code::kInvalidArgument, std::string(what) + " " + std::to_string(value) +
                                          " is not between 1 and " + std::to_string(max) +
                                          ": choose a number in that range");
}

Error no_topic(std::string_view name) {
  return fail(Code::kNotFound, "no topic is named '" + std::string(name.substr(0, 300)) +
                                   "': list them with 'afdg topic list'");
}

Status check_replication(std::uint32_t replication) {
  if (replication == 1) return {};
  return fail(Code::kInvalidArgument, "replication factor " + std::to_string(replication) +
                                          " is not supported: this version keeps one copy, use 1");
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

Result<std::unique_ptr<Catalog>> Catalog::open(std::unique_ptr<CatalogStore> store, Random& random,
                                               Limits limits) {
  std::unique_ptr<Catalog> catalog(new Catalog(std::move(store), limits));
  AFDG_TRY(catalog->load(random));
  return catalog;
}

Status Catalog::load(Random& random) {
  AFDG_ASSIGN(auto meta, store_->get(kMetaKey));
  if (!meta) {
    cluster_id_ = random.next() | 1;
    return commit({}, meta_);
  }
  AFDG_ASSIGN(auto record, decode_meta(meta->value));
  if (record.format > kFormat) {
    return fail(Code::kNewerFormat, "the catalog has format " + std::to_string(record.format) +
                                        " and this version reads " + std::to_string(kFormat) +
                                        ": start a newer version");
  }
  meta_ = {record.next_node, record.next_id};
  meta_version_ = meta->version;
  cluster_id_ = record.cluster_id;

  Status status;
  const auto each = [&](std::string_view prefix, auto&& use) -> Status {
    AFDG_TRY(store_->list(prefix, [&](std::string_view key, const Versioned& stored) {
      if (status.ok()) status = use(key, stored.value);
    }));
    return status;
  };
  AFDG_TRY(each(kNodePrefix, [&](std::string_view key, std::string_view bytes) -> Status {
    std::uint64_t starts = 0;
    AFDG_ASSIGN(auto node, decode_node(key, bytes, starts));
    starts_[node.id] = starts;
    nodes_.emplace(node.id, std::move(node));
    return {};
  }));
  AFDG_TRY(each(kGridPrefix, [&](std::string_view key, std::string_view bytes) -> Status {
    AFDG_ASSIGN(auto grid, decode_grid(key, bytes));
    grids_.emplace(grid.name, std::move(grid));
    return {};
  }));
  AFDG_TRY(each(kTopicPrefix, [&](std::string_view key, std::string_view bytes) -> Status {
    AFDG_ASSIGN(auto topic, decode_topic(key, bytes));
    topics_.emplace(topic.name, std::move(topic));
    return {};
  }));
  for (const auto& [name, grid] : grids_) {
    AFDG_TRY(load_placements(kRegionPrefix, grid.id.value(), grid.regions, region_placements_[grid.id]));
  }
  for (const auto& [name, topic] : topics_) {
    if (topic.grid.value() != 0) continue;
    AFDG_TRY(
        load_placements(kPartitionPrefix, topic.id.value(), topic.partitions, topic_placements_[topic.id]));
  }
  return {};
}

Status Catalog::load_placements(std::string_view prefix, std::uint64_t owner, std::int32_t count,
                                std::vector<Placement>& into) {
  for (std::int32_t index = 0; index < count; ++index) {
    const std::string key = placement_key(prefix, owner, index);
    AFDG_ASSIGN(auto stored, store_->get(key));
    if (!stored) {
      return fail(Code::kCorrupt,
                  "the catalog's record '" + key + "' is missing: restore the data directory from a copy");
    }
    AFDG_ASSIGN(auto placement, decode_placement(key, stored->value));
    into.push_back(std::move(placement));
  }
  return {};
}

Status Catalog::commit(Transaction transaction, Meta meta) {
  transaction.compares.push_back({std::string(kMetaKey), meta_version_});
  transaction.writes.push_back(
      {std::string(kMetaKey), encode_meta({kFormat, cluster_id_, meta.next_node, meta.next_id})});
  AFDG_TRY(store_->commit(transaction));
  meta_ = meta;
  ++meta_version_;
  ++version_;
  return {};
}

bool Catalog::alive(NodeId id, Timestamp now) const {
  const auto found = last_seen_.find(id);
  return found != last_seen_.end() && now - found->second <= limits_.suspect_after;
}

std::map<NodeId, std::uint32_t> Catalog::regions_led() const {
  std::map<NodeId, std::uint32_t> led;
  for (const auto& [grid, placements] : region_placements_) {
    for (const auto& placement : placements) ++led[placement.leader];
  }
  return led;
}

std::map<NodeId, std::uint64_t> Catalog::partitions_led() const {
  std::map<NodeId, std::uint64_t> led;
  for (const auto& [grid, placements] : region_placements_) {
    for (const auto& placement : placements) led[placement.leader] += kTopicsOfGrid;
  }
  for (const auto& [topic, placements] : topic_placements_) {
    for (const auto& placement : placements) ++led[placement.leader];
  }
  return led;
}

Result<NodeId> Catalog::node_started(const Node& node, Timestamp now) {
  if (node.address.empty())
    return fail(Code::kInvalidArgument, "a node registered without an address: give it --listen HOST:PORT");
  if (node.incarnation.value() == 0)
    return fail(Code::kInvalidArgument,
                "a node registered without an incarnation: its data directory has no id");
  Meta meta = meta_;
  Node registered = node;
  for (const auto& [id, other] : nodes_) {
    // The same data directory keeps its id, also when the node forgot it.
    if (registered.id.value() == 0 && other.incarnation == node.incarnation) registered.id = id;
  }
  if (const auto known = nodes_.find(registered.id); known != nodes_.end()) {
    if (known->second.incarnation != node.incarnation) {
      return fail(Code::kAlreadyExists, "node id " + std::to_string(registered.id.value()) +
                                            " belongs to another data directory (" + known->second.address +
                                            "): start with another --node-id, or with that directory");
    }
    if (alive(registered.id, now) && known->second.address != node.address) {
      return fail(Code::kAlreadyExists, "node id " + std::to_string(registered.id.value()) +
                                            " is in use at " + known->second.address +
                                            ": stop that process first");
    }
  } else {
    if (nodes_.size() >= limits_.nodes_max)
      return out_of_bounds("number of nodes", static_cast<std::int64_t>(nodes_.size()) + 1,
                           limits_.nodes_max);
    if (registered.id.value() < 0)
      return fail(Code::kInvalidArgument,
                  "node id " + std::to_string(registered.id.value()) + " is negative: use 1 or more");
    if (registered.id.value() == 0) {
      while (nodes_.contains(NodeId(static_cast<std::int32_t>(meta.next_node)))) ++meta.next_node;
      registered.id = NodeId(static_cast<std::int32_t>(meta.next_node++));
    }
  }

  Transaction transaction;
  const std::uint64_t starts = starts_[registered.id] + 1;
  transaction.writes.push_back({node_key(registered.id), encode_node(registered, starts)});
  auto regions = region_placements_;
  auto partitions = topic_placements_;
  const auto raise = [&](std::string_view prefix, auto& owners) {
    for (auto& [owner, placements] : owners) {
      for (std::size_t index = 0; index < placements.size(); ++index) {
        Placement& placement = placements[index];
        if (placement.leader != registered.id) continue;
        placement.epoch = Epoch(placement.epoch.value() + 1);
        transaction.writes.push_back({placement_key(prefix, owner.value(), static_cast<std::int32_t>(index)),
                                      encode_placement(placement)});
      }
    }
  };
  raise(kRegionPrefix, regions);
  raise(kPartitionPrefix, partitions);
  AFDG_TRY(commit(std::move(transaction), meta));
  region_placements_ = std::move(regions);
  topic_placements_ = std::move(partitions);
  starts_[registered.id] = starts;
  last_seen_[registered.id] = now;
  const NodeId id = registered.id;
  nodes_.insert_or_assign(id, std::move(registered));
  return id;
}

Status Catalog::heartbeat(NodeId id, Incarnation incarnation, Timestamp now) {
  const auto known = nodes_.find(id);
  if (known == nodes_.end() || known->second.incarnation != incarnation) {
    return fail(Code::kNotFound, "node id " + std::to_string(id.value()) +
                                     " is not registered with that data directory: register first");
  }
  last_seen_[id] = now;
  return {};
}

std::vector<NodeState> Catalog::nodes(Timestamp now) const {
  const auto led = regions_led();
  std::vector<NodeState> states;
  for (const auto& [id, node] : nodes_) {
    const auto seen = last_seen_.find(id);
    const auto count = led.find(id);
    states.push_back({node, alive(id, now), seen == last_seen_.end() ? Timestamp() : seen->second,
                      count == led.end() ? 0 : count->second});
  }
  return states;
}

const Node* Catalog::find_node(NodeId id) const {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

Result<std::vector<Placement>> Catalog::place(std::int32_t count, std::uint64_t partitions_each,
                                              const std::vector<std::string>& types, Timestamp now) const {
  std::set<std::pair<std::uint64_t, NodeId>> candidates;  // by partitions led, then id
  std::set<std::string> hosted;
  const auto led = partitions_led();
  for (const auto& [id, node] : nodes_) {
    if (!alive(id, now) || std::find(node.roles.begin(), node.roles.end(), "region") == node.roles.end())
      continue;
    hosted.insert(node.types.begin(), node.types.end());
    const bool hosts_all = std::all_of(types.begin(), types.end(), [&node = node](const std::string& type) {
      return std::find(node.types.begin(), node.types.end(), type) != node.types.end();
    });
    const auto load = led.find(id);
    if (hosts_all) candidates.emplace(load == led.end() ? 0 : load->second, id);
  }
  if (candidates.empty() && hosted.empty()) {
    return fail(Code::kUnavailable,
                "no live node has the role 'region': start one with --roles region --catalog HOST:PORT");
  }
  if (candidates.empty()) {
    return fail(Code::kUnknownType, "no live node hosts agent type(s) " + join(types) +
                                        "; hosted are: " + join({hosted.begin(), hosted.end()}));
  }
  std::vector<Placement> placements;
  for (std::int32_t index = 0; index < count; ++index) {
    const auto [load, id] = *candidates.begin();
    if (load + partitions_each > limits_.node_partitions_max) {
      ++refusals_.partitions;
      return fail(
          Code::kFailedPrecondition,
          "there is no room for " + std::to_string(partitions_each * static_cast<std::uint64_t>(count)) +
              " more partitions: each node leads at most " + std::to_string(limits_.node_partitions_max) +
              ": delete topics or grids, add a node, or raise node-partitions-max");
    }
    candidates.erase(candidates.begin());
    candidates.emplace(load + partitions_each, id);
    placements.push_back({id, nodes_.at(id).incarnation, Epoch(1), {id}});
  }
  return placements;
}

Status Catalog::check_new_topic(std::string_view name, std::int32_t partitions,
                                std::uint32_t replication) const {
  if (partitions < 1 || partitions > limits_.partitions_max)
    return out_of_bounds("partition count", partitions, limits_.partitions_max);
  AFDG_TRY(check_replication(replication));
  if (topics_.contains(name))
    return fail(Code::kAlreadyExists,
                "topic '" + std::string(name) + "' exists already: choose another name");
  if (topics_.size() >= limits_.topics_max) {
    ++refusals_.topics;
    return fail(Code::kFailedPrecondition, "there are " + std::to_string(topics_.size()) +
                                               " topics, the limit is " + std::to_string(limits_.topics_max) +
                                               ", and '" + std::string(name) +
                                               "' is not made: delete some, or raise topics-max");
  }
  return {};
}

Result<Grid> Catalog::create_grid(const NewGrid& wanted, Timestamp now) {
  AFDG_TRY(check_name("grid", wanted.name, kGridNameBytesMax));
  if (grids_.contains(wanted.name))
    return fail(Code::kAlreadyExists,
                "grid '" + wanted.name + "' exists already: choose another name or delete it first");
  if (wanted.regions < 1 || wanted.regions > limits_.regions_max)
    return out_of_bounds("region count", wanted.regions, limits_.regions_max);
  if (grids_.size() >= limits_.grids_max)
    return out_of_bounds("number of grids", static_cast<std::int64_t>(grids_.size()) + 1, limits_.grids_max);
  AFDG_TRY(check_replication(wanted.replication));

  Grid grid{.id = GridId(meta_.next_id),
            .name = wanted.name,
            .regions = wanted.regions,
            .replication = wanted.replication,
            .types = wanted.types.empty() ? std::vector<std::string>{"entity"} : wanted.types,
            .created = now,
            .messages = TopicId(meta_.next_id + 1),
            .changes = TopicId(meta_.next_id + 2),
            .dead = TopicId(meta_.next_id + 3)};
  std::vector<Topic> topics;
  for (const auto& [id, suffix] : {std::pair(grid.messages, ".messages"), std::pair(grid.changes, ".changes"),
                                   std::pair(grid.dead, ".dead")}) {
    AFDG_TRY(check_new_topic(grid.name + suffix, grid.regions, grid.replication));
    topics.push_back({.id = id,
                      .name = grid.name + suffix,
                      .partitions = grid.regions,
                      .replication = grid.replication,
                      .grid = grid.id,
                      .relaxed = false,
                      .config = {}});
  }
  AFDG_ASSIGN(auto placements, place(grid.regions, kTopicsOfGrid, grid.types, now));

  Transaction transaction;
  transaction.compares.push_back({grid_key(grid.id), 0});
  transaction.writes.push_back({grid_key(grid.id), encode_grid(grid)});
  for (const auto& topic : topics) transaction.writes.push_back({topic_key(topic.id), encode_topic(topic)});
  for (std::size_t index = 0; index < placements.size(); ++index) {
    transaction.writes.push_back(
        {placement_key(kRegionPrefix, grid.id.value(), static_cast<std::int32_t>(index)),
         encode_placement(placements[index])});
  }
  Meta meta = meta_;
  meta.next_id += 4;
  AFDG_TRY(commit(std::move(transaction), meta));
  for (auto& topic : topics) topics_.emplace(topic.name, std::move(topic));
  region_placements_[grid.id] = std::move(placements);
  grids_.emplace(grid.name, grid);
  return grid;
}

Status Catalog::delete_grid(std::string_view name) {
  const auto found = grids_.find(name);
  if (found == grids_.end())
    return fail(Code::kUnknownGrid,
                "no grid is named '" + std::string(name) + "': list them with 'afdg grid list'");
  const Grid grid = found->second;
  Transaction transaction;
  transaction.writes.push_back({grid_key(grid.id), std::nullopt});
  for (const TopicId id : {grid.messages, grid.changes, grid.dead})
    transaction.writes.push_back({topic_key(id), std::nullopt});
  for (std::int32_t index = 0; index < grid.regions; ++index)
    transaction.writes.push_back({placement_key(kRegionPrefix, grid.id.value(), index), std::nullopt});
  AFDG_TRY(commit(std::move(transaction), meta_));
  for (const auto* suffix : {".messages", ".changes", ".dead"}) topics_.erase(grid.name + suffix);
  region_placements_.erase(grid.id);
  grids_.erase(found);
  return {};
}

std::vector<Grid> Catalog::grids() const {
  std::vector<Grid> all;
  for (const auto& [name, grid] : grids_) all.push_back(grid);
  return all;
}

const Grid* Catalog::find_grid(std::string_view name) const {
  const auto found = grids_.find(name);
  return found == grids_.end() ? nullptr : &found->second;
}

Result<Topic> Catalog::create_topic(const NewTopic& wanted, Timestamp now) {
  AFDG_TRY(check_name("topic", wanted.name, kTopicNameBytesMax));
  AFDG_TRY(check_new_topic(wanted.name, wanted.partitions, wanted.replication));
  AFDG_ASSIGN(const TopicSettings settings, read_topic_settings(wanted.config));
  Topic topic{.id = TopicId(meta_.next_id),
              .name = wanted.name,
              .partitions = wanted.partitions,
              .replication = wanted.replication,
              .grid = GridId(0),
              .relaxed = settings.relaxed,
              .config = wanted.config};
  AFDG_ASSIGN(auto placements, place(topic.partitions, 1, {}, now));
  Transaction transaction;
  transaction.writes.push_back({topic_key(topic.id), encode_topic(topic)});
  for (std::size_t index = 0; index < placements.size(); ++index) {
    transaction.writes.push_back(
        {placement_key(kPartitionPrefix, topic.id.value(), static_cast<std::int32_t>(index)),
         encode_placement(placements[index])});
  }
  Meta meta = meta_;
  ++meta.next_id;
  AFDG_TRY(commit(std::move(transaction), meta));
  topic_placements_[topic.id] = std::move(placements);
  topics_.emplace(topic.name, topic);
  return topic;
}

Result<Topic> Catalog::change_topic(std::string_view name, const TopicChange& change, Timestamp now) {
  const auto found = topics_.find(name);
  if (found == topics_.end()) return no_topic(name);
  Topic topic = found->second;
  const bool grids_own = topic.grid.value() != 0;
  const TopicRole role = grids_own ? grid_topic_role(topic.name) : TopicRole::kPlain;
  if (change.replace) topic.config.clear();
  for (const auto& [key, value] : change.config) {
    if (grids_own) AFDG_TRY(check_grid_setting(role, key));
    if (value) {
      topic.config.insert_or_assign(key, *value);
    } else {
      topic.config.erase(key);
    }
  }
  AFDG_ASSIGN(const TopicSettings settings, read_topic_settings(topic.config, role));
  topic.relaxed = settings.relaxed;
  std::vector<Placement> added;
  if (change.partitions) {
    if (grids_own) {
      return fail(Code::kPermissionDenied,
                  "topic '" + topic.name + "' belongs to a grid: it has a partition for each region");
    }
    if (*change.partitions <= topic.partitions || *change.partitions > limits_.partitions_max) {
      return fail(Code::kInvalidArgument,
                  "topic '" + topic.name + "': partition count " + std::to_string(*change.partitions) +
                      ": it has " + std::to_string(topic.partitions) + ", and only a larger number, up to " +
                      std::to_string(limits_.partitions_max) + ", can be given");
    }
    AFDG_ASSIGN(added, place(*change.partitions - topic.partitions, 1, {}, now));
  }
  Transaction transaction;
  for (std::size_t i = 0; i < added.size(); ++i) {
    transaction.writes.push_back(
        {placement_key(kPartitionPrefix, topic.id.value(), topic.partitions + static_cast<std::int32_t>(i)),
         encode_placement(added[i])});
  }
  topic.partitions += static_cast<std::int32_t>(added.size());
  transaction.writes.push_back({topic_key(topic.id), encode_topic(topic)});
  AFDG_TRY(commit(std::move(transaction), meta_));
  auto& placements = topic_placements_[topic.id];
  placements.insert(placements.end(), added.begin(), added.end());
  found->second = topic;
  return topic;
}

Status Catalog::delete_topic(std::string_view name) {
  const auto found = topics_.find(name);
  if (found == topics_.end()) return no_topic(name);
  const Topic topic = found->second;
  if (topic.grid.value() != 0) {
    return fail(Code::kPermissionDenied,
                "topic '" + topic.name + "' belongs to a grid: delete the grid instead");
  }
  Transaction transaction;
  transaction.writes.push_back({topic_key(topic.id), std::nullopt});
  for (std::int32_t index = 0; index < topic.partitions; ++index)
    transaction.writes.push_back({placement_key(kPartitionPrefix, topic.id.value(), index), std::nullopt});
  AFDG_TRY(commit(std::move(transaction), meta_));
  topic_placements_.erase(topic.id);
  topics_.erase(found);
  return {};
}

std::vector<Topic> Catalog::topics() const {
  std::vector<Topic> all;
  for (const auto& [name, topic] : topics_) all.push_back(topic);
  return all;
}

const Topic* Catalog::find_topic(std::string_view name) const {
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : &found->second;
}

Result<Placement> Catalog::region(std::string_view grid, RegionId region) const {
  AFDG_ASSIGN(auto placements, regions(grid));
  if (region.value() < 0 || static_cast<std::size_t>(region.value()) >= placements.size()) {
    return fail(Code::kNotFound, "grid '" + std::string(grid) + "' has no region " +
                                     std::to_string(region.value()) + ": it has regions 0 to " +
                                     std::to_string(placements.size() - 1));
  }
  return placements[static_cast<std::size_t>(region.value())];
}

Result<std::vector<Placement>> Catalog::regions(std::string_view grid) const {
  const Grid* found = find_grid(grid);
  if (found == nullptr)
    return fail(Code::kUnknownGrid,
                "no grid is named '" + std::string(grid) + "': list them with 'afdg grid list'");
  return region_placements_.at(found->id);
}

Result<std::vector<Placement>> Catalog::partitions(std::string_view topic) const {
  const Topic* found = find_topic(topic);
  if (found == nullptr)
    return fail(Code::kNotFound,
                "no topic is named '" + std::string(topic) + "': list them with 'afdg topic list'");
  if (found->grid.value() == 0) return topic_placements_.at(found->id);
  return region_placements_.at(found->grid);
}

}  // namespace afdg::catalog
