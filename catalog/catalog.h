#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/topic_settings.h"
#include "catalog/catalog_store.h"

namespace afdg::catalog {

/// One server process, as it presents itself.
struct Node {
  NodeId id{0};  ///< 0 at the first registration: the catalog gives one
  Incarnation incarnation{0};
  std::string address;
  std::string http_address;
  std::string kafka_address;  ///< empty: no Kafka listener
  std::vector<std::string> roles;
  std::vector<std::string> types;  ///< agent types it hosts
};

struct NodeState {
  Node node;
  bool alive = false;     ///< heard from within Limits::suspect_after
  Timestamp last_seen{};  ///< epoch: not since this catalog started
  std::uint32_t regions_led = 0;
};

struct Grid {
  GridId id;
  std::string name;
  std::int32_t regions = 0;
  std::uint32_t replication = 1;
  std::vector<std::string> types;
  Timestamp created{};
  TopicId messages;  ///< topic NAME.messages
  TopicId changes;   ///< topic NAME.changes
  TopicId dead;      ///< topic NAME.dead
};

struct Topic {
  TopicId id;
  std::string name;
  std::int32_t partitions = 0;
  std::uint32_t replication = 1;
  GridId grid{0};  ///< 0: a plain topic
  bool relaxed = false;
  std::map<std::string, std::string> config;
};

/// Who leads one region (its partitions of messages, changes and dead), or one partition of a plain topic.
struct Placement {
  NodeId leader;
  Incarnation leader_incarnation;
  Epoch epoch;
  std::vector<NodeId> replicas;
};

struct Limits {
  std::uint32_t nodes_max = 1000;
  std::uint32_t grids_max = 1000;
  std::uint32_t topics_max = 10'000;
  std::int32_t regions_max = 4096;     ///< a grid
  std::int32_t partitions_max = 4096;  ///< a topic
  /// Partitions that one node leads; a region has three. Beyond it no more are placed there.
  std::uint32_t node_partitions_max = 20'000;
  std::chrono::milliseconds suspect_after{1000};
};

/// Nodes, grids, topics, placement and routes: the catalog's decisions, on a compare-and-set store.
///
/// A pure core: no threads, no clock of its own. Every change is one transaction, durable on return, and
/// raises version(). Whether a node is alive is known from heartbeats since this object was made; it decides
/// nothing that is stored but where new regions are placed. Thread-safety: confined. Errors: kInvalidArgument
/// (names the thing, the value and the rule), kNotFound, kAlreadyExists, kUnknownGrid, kUnavailable, and
/// those of CatalogStore.
class Catalog {
 public:
  /// Reads everything; makes the store's identity when it is new. Errors: kCorrupt, kNewerFormat.
  static Result<std::unique_ptr<Catalog>> open(std::unique_ptr<CatalogStore> store, Random& random,
                                               Limits limits = {});

  /// A process started: gives it an id when it has none, and raises the epoch of every region and partition
  /// that it leads, so that whatever its earlier life left under way is fenced. Errors: kAlreadyExists when
  /// another incarnation or a live process has that id.
  Result<NodeId> node_started(const Node& node, Timestamp now);
  /// The node lives. Errors: kNotFound when the id is unknown or belongs to another incarnation: it must call
  /// node_started first.
  Status heartbeat(NodeId id, Incarnation incarnation, Timestamp now);
  [[nodiscard]] std::vector<NodeState> nodes(Timestamp now) const;
  [[nodiscard]] const Node* find_node(NodeId id) const;

  /// Makes the grid, its three topics and a placement for every region on the live nodes with role "region"
  /// that host all its types, the least loaded first. `types` empty: {"entity"}.
  struct NewGrid {
    std::string name;
    std::int32_t regions = 0;
    std::vector<std::string> types;
    std::uint32_t replication = 1;
  };
  Result<Grid> create_grid(const NewGrid& grid, Timestamp now);
  Status delete_grid(std::string_view name);
  [[nodiscard]] std::vector<Grid> grids() const;
  [[nodiscard]] const Grid* find_grid(std::string_view name) const;

  struct NewTopic {
    std::string name;
    std::int32_t partitions = 0;
    std::uint32_t replication = 1;
    TopicConfig config;
  };
  Result<Topic> create_topic(const NewTopic& topic, Timestamp now);
  /// All of it or nothing. Errors: kPermissionDenied for what a grid's topic keeps as it is.
  struct TopicChange {
    std::map<std::string, std::optional<std::string>> config;  ///< nothing: back to its default
    bool replace = false;                                      ///< what `config` does not name, too
    std::optional<std::int32_t> partitions;                    ///< in all, more than there are
  };
  Result<Topic> change_topic(std::string_view name, const TopicChange& change, Timestamp now);
  /// Errors: kPermissionDenied for a grid's topic.
  Status delete_topic(std::string_view name);
  [[nodiscard]] std::vector<Topic> topics() const;
  [[nodiscard]] const Topic* find_topic(std::string_view name) const;

  [[nodiscard]] Result<Placement> region(std::string_view grid, RegionId region) const;
  /// One entry a region, in order. Errors: kUnknownGrid.
  [[nodiscard]] Result<std::vector<Placement>> regions(std::string_view grid) const;
  [[nodiscard]] Result<std::vector<Placement>> partitions(std::string_view topic) const;

  /// Grows with every change of what is stored; starts at 1 with each process.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  /// What was refused for Limits::topics_max, and for node_partitions_max.
  struct Refusals {
    std::uint64_t topics = 0;
    std::uint64_t partitions = 0;
  };
  [[nodiscard]] Refusals refusals() const noexcept { return refusals_; }
  [[nodiscard]] std::uint64_t cluster_id() const noexcept { return cluster_id_; }
  /// Ids of grids and topics from here on were never given: whoever holds one has lost this catalog's files.
  [[nodiscard]] std::uint64_t next_id() const noexcept { return meta_.next_id; }

 private:
  struct Meta {
    std::uint32_t next_node = 1;
    std::uint64_t next_id = 1;  ///< of grids and topics
  };

  Catalog(std::unique_ptr<CatalogStore> store, Limits limits) : store_(std::move(store)), limits_(limits) {}
  Status load(Random& random);
  Status load_placements(std::string_view prefix, std::uint64_t owner, std::int32_t count,
                         std::vector<Placement>& into);
  /// Commits `transaction` together with the meta record, which serialises all changes.
  Status commit(Transaction transaction, Meta meta);
  [[nodiscard]] bool alive(NodeId id, Timestamp now) const;
  [[nodiscard]] std::map<NodeId, std::uint32_t> regions_led() const;
  /// Partitions, those of regions included.
  [[nodiscard]] std::map<NodeId, std::uint64_t> partitions_led() const;
  /// `count` leaders, of `partitions_each`, among the live region nodes that host `types` and have room, the
  /// least loaded first. Errors: kFailedPrecondition when no node has room.
  [[nodiscard]] Result<std::vector<Placement>> place(std::int32_t count, std::uint64_t partitions_each,
                                                     const std::vector<std::string>& types,
                                                     Timestamp now) const;
  [[nodiscard]] Status check_new_topic(std::string_view name, std::int32_t partitions,
                                       std::uint32_t replication) const;

  std::unique_ptr<CatalogStore> store_;
  Limits limits_;
  Meta meta_;
  std::uint64_t meta_version_ = 0;
  std::uint64_t cluster_id_ = 0;
  std::uint64_t version_ = 1;
  mutable Refusals refusals_;
  std::map<NodeId, Node> nodes_;
  std::map<NodeId, std::uint64_t> starts_;
  std::map<NodeId, Timestamp> last_seen_;
  std::map<std::string, Grid, std::less<>> grids_;
  std::map<std::string, Topic, std::less<>> topics_;
  std::map<GridId, std::vector<Placement>> region_placements_;
  std::map<TopicId, std::vector<Placement>> topic_placements_;  ///< of plain topics
};

}  // namespace afdg::catalog
