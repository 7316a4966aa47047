#pragma once

#include <string>

#include "catalog/catalog.h"

// The catalog's keys and stored records, see docs/formats/catalog.md. ON DISK since version 1.
namespace afdg::catalog {

inline constexpr std::uint32_t kFormat = 1;
inline constexpr std::string_view kMetaKey = "meta";
inline constexpr std::string_view kNodePrefix = "node/";
inline constexpr std::string_view kGridPrefix = "grid/";
inline constexpr std::string_view kTopicPrefix = "topic/";
inline constexpr std::string_view kRegionPrefix = "region/";
inline constexpr std::string_view kPartitionPrefix = "partition/";

struct MetaRecordView {
  std::uint32_t format;
  std::uint64_t cluster_id;
  std::uint32_t next_node;
  std::uint64_t next_id;
};

std::string node_key(NodeId id);
std::string grid_key(GridId id);
std::string topic_key(TopicId id);
/// `prefix` is kRegionPrefix (owner: a grid's id) or kPartitionPrefix (owner: a topic's id).
std::string placement_key(std::string_view prefix, std::uint64_t owner, std::int32_t index);

std::string encode_meta(const MetaRecordView& meta);
std::string encode_node(const Node& node, std::uint64_t starts);
std::string encode_grid(const Grid& grid);
std::string encode_topic(const Topic& topic);
std::string encode_placement(const Placement& placement);

/// Errors: kCorrupt, naming the key.
Result<MetaRecordView> decode_meta(std::string_view bytes);
Result<Node> decode_node(std::string_view key, std::string_view bytes, std::uint64_t& starts);
Result<Grid> decode_grid(std::string_view key, std::string_view bytes);
Result<Topic> decode_topic(std::string_view key, std::string_view bytes);
Result<Placement> decode_placement(std::string_view key, std::string_view bytes);

}  // namespace afdg::catalog
