#include "catalog/records.h"

#include "afdg/v1/catalog.pb.h"

namespace afdg::catalog {
namespace {

namespace pb = ::afdg::v1::catalog;

std::string hex(std::uint64_t value, int digits) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(static_cast<std::size_t>(digits), '0');
  for (int at = digits - 1; at >= 0; --at, value >>= 4)
    text[static_cast<std::size_t>(at)] = kDigits[value & 0xf];
  return text;
}

Error damaged(std::string_view key) {
  return fail(Code::kCorrupt, "the catalog's record '" + std::string(key) +
                                  "' is damaged: restore the data directory from a copy");
}

template <typename Record>
bool parse(Record& record, std::string_view bytes) {
  return record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

std::string node_key(NodeId id) {
  return std::string(kNodePrefix) + hex(static_cast<std::uint32_t>(id.value()), 8);
}
std::string grid_key(GridId id) { return std::string(kGridPrefix) + hex(id.value(), 16); }
std::string topic_key(TopicId id) { return std::string(kTopicPrefix) + hex(id.value(), 16); }
std::string placement_key(std::string_view prefix, std::uint64_t owner, std::int32_t index) {
  return std::string(prefix) + hex(owner, 16) + "/" + hex(static_cast<std::uint32_t>(index), 8);
}

std::string encode_meta(const MetaRecordView& meta) {
  pb::MetaRecord record;
  record.set_format(meta.format);
  record.set_cluster_id(meta.cluster_id);
  record.set_next_node(meta.next_node);
  record.set_next_id(meta.next_id);
  return record.SerializeAsString();
}

std::string encode_node(const Node& node, std::uint64_t starts) {
  pb::NodeRecord record;
  record.set_id(static_cast<std::uint32_t>(node.id.value()));
  record.set_incarnation(node.incarnation.value());
  record.set_address(node.address);
  record.set_http_address(node.http_address);
  record.set_kafka_address(node.kafka_address);
  for (const auto& role : node.roles) record.add_roles(role);
  for (const auto& type : node.types) record.add_types(type);
  record.set_starts(starts);
  return record.SerializeAsString();
}

std::string encode_grid(const Grid& grid) {
  pb::GridRecord record;
  record.set_id(grid.id.value());
  record.set_name(grid.name);
  record.set_regions(static_cast<std::uint32_t>(grid.regions));
  record.set_replication(grid.replication);
  for (const auto& type : grid.types) record.add_types(type);
  record.set_created_unix_ms(grid.created.time_since_epoch().count());
  record.set_messages_topic(grid.messages.value());
  record.set_changes_topic(grid.changes.value());
  record.set_dead_topic(grid.dead.value());
  return record.SerializeAsString();
}

std::string encode_topic(const Topic& topic) {
  pb::TopicRecord record;
  record.set_id(topic.id.value());
  record.set_name(topic.name);
  record.set_partitions(static_cast<std::uint32_t>(topic.partitions));
  record.set_replication(topic.replication);
  record.set_grid(topic.grid.value());
  record.set_relaxed(topic.relaxed);
  for (const auto& [key, value] : topic.config) (*record.mutable_config())[key] = value;
  return record.SerializeAsString();
}

std::string encode_placement(const Placement& placement) {
  pb::PlacementRecord record;
  record.set_leader(static_cast<std::uint32_t>(placement.leader.value()));
  record.set_epoch(placement.epoch.value());
  auto* replica = record.add_in_sync();
  replica->set_node(static_cast<std::uint32_t>(placement.leader.value()));
  replica->set_incarnation(placement.leader_incarnation.value());
  for (const NodeId id : placement.replicas) record.add_replicas(static_cast<std::uint32_t>(id.value()));
  return record.SerializeAsString();
}

Result<MetaRecordView> decode_meta(std::string_view bytes) {
  pb::MetaRecord record;
  if (!parse(record, bytes) || record.format() == 0) return damaged(kMetaKey);
  return MetaRecordView{record.format(), record.cluster_id(), record.next_node(), record.next_id()};
}

Result<Node> decode_node(std::string_view key, std::string_view bytes, std::uint64_t& starts) {
  pb::NodeRecord record;
  if (!parse(record, bytes) || record.id() == 0) return damaged(key);
  starts = record.starts();
  return Node{.id = NodeId(static_cast<std::int32_t>(record.id())),
              .incarnation = Incarnation(record.incarnation()),
              .address = record.address(),
              .http_address = record.http_address(),
              .kafka_address = record.kafka_address(),
              .roles = {record.roles().begin(), record.roles().end()},
              .types = {record.types().begin(), record.types().end()}};
}

Result<Grid> decode_grid(std::string_view key, std::string_view bytes) {
  pb::GridRecord record;
  if (!parse(record, bytes) || record.id() == 0 || record.regions() == 0) return damaged(key);
  return Grid{.id = GridId(record.id()),
              .name = record.name(),
              .regions = static_cast<std::int32_t>(record.regions()),
              .replication = record.replication(),
              .types = {record.types().begin(), record.types().end()},
              .created = Timestamp(std::chrono::milliseconds(record.created_unix_ms())),
              .messages = TopicId(record.messages_topic()),
              .changes = TopicId(record.changes_topic()),
              .dead = TopicId(record.dead_topic())};
}

Result<Topic> decode_topic(std::string_view key, std::string_view bytes) {
  pb::TopicRecord record;
  if (!parse(record, bytes) || record.id() == 0 || record.partitions() == 0) return damaged(key);
  return Topic{.id = TopicId(record.id()),
               .name = record.name(),
               .partitions = static_cast<std::int32_t>(record.partitions()),
               .replication = record.replication(),
               .grid = GridId(record.grid()),
               .relaxed = record.relaxed(),
               .config = {record.config().begin(), record.config().end()}};
}

Result<Placement> decode_placement(std::string_view key, std::string_view bytes) {
  pb::PlacementRecord record;
  if (!parse(record, bytes) || record.leader() == 0) return damaged(key);
  Placement placement{.leader = NodeId(static_cast<std::int32_t>(record.leader())),
                      .leader_incarnation = Incarnation(0),
                      .epoch = Epoch(record.epoch()),
                      .replicas = {}};
  for (const auto& replica : record.in_sync()) {
    if (replica.node() == record.leader()) placement.leader_incarnation = Incarnation(replica.incarnation());
  }
  for (const std::uint32_t id : record.replicas())
    placement.replicas.emplace_back(static_cast<std::int32_t>(id));
  return placement;
}

}  // namespace afdg::catalog
