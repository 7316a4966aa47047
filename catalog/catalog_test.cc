#include "catalog/catalog.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/codec.h"
#include "catalog/records.h"

namespace afdg::catalog {
namespace {

using namespace std::chrono_literals;

/// A store that many Catalog objects can open one after the other, and that can fail the next commit.
class SharedStore final : public store::KeyValueStore {
 public:
  explicit SharedStore(std::shared_ptr<store::KeyValueStore> shared) : shared_(std::move(shared)) {}
  Result<std::optional<std::string>> get(std::string_view key) const override { return shared_->get(key); }
  Result<std::vector<std::optional<std::string>>> multi_get(
      std::span<const std::string_view> keys) const override {
    return shared_->multi_get(keys);
  }
  Status scan(std::string_view from, std::string_view to, const Visit& visit) const override {
    return shared_->scan(from, to, visit);
  }
  Result<std::optional<std::string>> last_key(std::string_view from, std::string_view to) const override {
    return shared_->last_key(from, to);
  }
  Status apply(std::span<const store::Change> changes) override { return shared_->apply(changes); }
  Status remove_range(std::string_view from, std::string_view to) override {
    return shared_->remove_range(from, to);
  }
  Status flush() override { return shared_->flush(); }
  std::uint64_t memory_bytes() const override { return shared_->memory_bytes(); }

 private:
  std::shared_ptr<store::KeyValueStore> shared_;
};

class CatalogTest : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen(Limits limits = {}) {
    catalog_.reset();
    auto opened = Catalog::open(make_catalog_store(std::make_unique<SharedStore>(store_)), random_, limits);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    catalog_ = std::move(*opened);
  }
  NodeId start(std::uint64_t incarnation, std::vector<std::string> types = {"entity"}, std::int32_t id = 0) {
    auto started = catalog_->node_started({.id = NodeId(id),
                                           .incarnation = Incarnation(incarnation),
                                           .address = "127.0.0.1:" + std::to_string(7000 + incarnation),
                                           .http_address = "",
                                           .roles = {"region"},
                                           .types = std::move(types)},
                                          clock_.now());
    EXPECT_TRUE(started.ok()) << started.status().to_string();
    return started.ok() ? *started : NodeId(-1);
  }

  std::shared_ptr<store::KeyValueStore> store_ = store::make_memory_store();
  SeededRandom random_{7};
  ManualClock clock_;
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, SpreadsRegionsEvenlyOverLiveNodesAndRemembersThem) {
  const std::set<NodeId> nodes{start(1), start(2), start(3)};
  ASSERT_EQ(nodes.size(), 3u);
  auto grid =
      catalog_->create_grid({.name = "bank", .regions = 16, .types = {}, .replication = 1}, clock_.now());
  ASSERT_TRUE(grid.ok()) << grid.status().to_string();
  EXPECT_EQ(grid->types, std::vector<std::string>{"entity"});
  for (const auto& state : catalog_->nodes(clock_.now())) {
    EXPECT_GE(state.regions_led, 5u);
    EXPECT_LE(state.regions_led, 6u);
  }
  const auto before = catalog_->regions("bank").value();
  const std::uint64_t cluster = catalog_->cluster_id();
  reopen();
  EXPECT_EQ(catalog_->cluster_id(), cluster);
  const auto after = catalog_->regions("bank").value();
  ASSERT_EQ(after.size(), 16u);
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].leader, before[i].leader);
    EXPECT_EQ(after[i].epoch, before[i].epoch);
    EXPECT_EQ(after[i].leader_incarnation, before[i].leader_incarnation);
  }
  ASSERT_NE(catalog_->find_topic("bank.changes"), nullptr);
  EXPECT_EQ(catalog_->find_topic("bank.changes")->id, grid->changes);
  EXPECT_EQ(catalog_->partitions("bank.messages")->size(), 16u);
}

TEST_F(CatalogTest, TopicsOfOnePartitionSpreadOverTheNodes) {
  for (std::uint64_t i = 1; i <= 3; ++i) start(i);
  std::map<NodeId, int> led;
  for (int i = 0; i < 9; ++i) {
    const std::string name = "t" + std::to_string(i);
    ASSERT_TRUE(catalog_->create_topic({.name = name, .partitions = 1, .config = {}}, clock_.now()).ok());
    ++led[catalog_->partitions(name)->front().leader];
  }
  for (const auto& [node, count] : led) EXPECT_EQ(count, 3) << node.value();
  EXPECT_EQ(led.size(), 3u);
}

TEST_F(CatalogTest, AFullNodeGetsNoMorePartitionsAndWithoutRoomNothingIsMade) {
  reopen({.topics_max = 5, .node_partitions_max = 10});
  start(1);
  const auto topic = [&](const std::string& name, std::int32_t partitions) {
    return catalog_->create_topic({.name = name, .partitions = partitions, .config = {}}, clock_.now())
        .status();
  };
  ASSERT_TRUE(topic("a", 8).ok());
  const NodeId second = start(2);
  ASSERT_TRUE(topic("b", 9).ok());
  EXPECT_EQ(topic("c", 4).code(), Code::kFailedPrecondition) << "three have room, on two nodes";
  EXPECT_EQ(catalog_->find_topic("c"), nullptr);
  EXPECT_EQ(
      catalog_->create_grid({.name = "g", .regions = 2, .types = {}, .replication = 1}, clock_.now()).code(),
      Code::kFailedPrecondition)
      << "a region has three partitions";
  EXPECT_EQ(catalog_->refusals().partitions, 2u);
  ASSERT_TRUE(topic("c", 3).ok());
  EXPECT_EQ(catalog_->change_topic("a", {.config = {}, .partitions = 9}, clock_.now()).code(),
            Code::kFailedPrecondition);
  std::map<NodeId, int> led;
  for (const char* name : {"a", "b", "c"})
    for (const auto& placement : *catalog_->partitions(name)) ++led[placement.leader];
  EXPECT_EQ(led[second], 10);
  EXPECT_EQ(led.size(), 2u);
  ASSERT_TRUE(catalog_->delete_topic("b").ok());
  ASSERT_TRUE(topic("d", 1).ok() && topic("e", 1).ok() && topic("f", 1).ok());
  const Status many = topic("h", 1);
  EXPECT_EQ(many.code(), Code::kFailedPrecondition);
  EXPECT_NE(many.error().text().find("raise topics-max"), std::string::npos) << many.error().text();
  EXPECT_EQ(catalog_->refusals().topics, 1u);
}

TEST_F(CatalogTest, EveryStartOfANodeRaisesTheEpochsOfWhatItLeadsAndNoOther) {
  const NodeId first = start(1);
  start(2);
  ASSERT_TRUE(
      catalog_->create_grid({.name = "g", .regions = 4, .types = {}, .replication = 1}, clock_.now()).ok());
  EXPECT_EQ(start(1), first);  // the directory keeps its id
  for (const auto& placement : *catalog_->regions("g")) {
    EXPECT_EQ(placement.epoch.value(), placement.leader == first ? 2 : 1);
  }
}

TEST_F(CatalogTest, AnotherDirectoryCannotTakeANodesId) {
  start(1, {"entity"}, 5);
  auto second = catalog_->node_started({.id = NodeId(5),
                                        .incarnation = Incarnation(9),
                                        .address = "127.0.0.1:1",
                                        .http_address = "",
                                        .roles = {},
                                        .types = {}},
                                       clock_.now());
  EXPECT_EQ(second.code(), Code::kAlreadyExists);
  EXPECT_NE(second.error().text().find("node id 5"), std::string::npos);
}

TEST_F(CatalogTest, ANodeIsAliveWhileItsHeartbeatsCome) {
  const NodeId id = start(1);
  clock_.advance(900ms);
  EXPECT_TRUE(catalog_->nodes(clock_.now())[0].alive);
  clock_.advance(200ms);
  EXPECT_FALSE(catalog_->nodes(clock_.now())[0].alive);
  EXPECT_TRUE(catalog_->heartbeat(id, Incarnation(1), clock_.now()).ok());
  EXPECT_TRUE(catalog_->nodes(clock_.now())[0].alive);
  EXPECT_EQ(catalog_->heartbeat(id, Incarnation(2), clock_.now()).code(), Code::kNotFound);
}

TEST_F(CatalogTest, RefusalsNameTheThingAndChangeNothing) {
  EXPECT_EQ(
      catalog_->create_grid({.name = "g", .regions = 1, .types = {}, .replication = 1}, clock_.now()).code(),
      Code::kUnavailable);
  start(1);
  const auto create = [&](std::string name, std::int32_t regions, std::vector<std::string> types,
                          std::uint32_t replication) {
    return catalog_->create_grid(
        {.name = std::move(name), .regions = regions, .types = std::move(types), .replication = replication},
        clock_.now());
  };
  ASSERT_TRUE(create("g", 1, {}, 1).ok());
  const std::uint64_t version = catalog_->version();
  EXPECT_EQ(create("g", 1, {}, 1).code(), Code::kAlreadyExists);
  EXPECT_EQ(create("a/b", 1, {}, 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(create("", 1, {}, 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(create(std::string(201, 'x'), 1, {}, 1).code(), Code::kInvalidArgument);
  const auto create_topic = [&](std::size_t letters) {
    return catalog_->create_topic(
        {.name = std::string(letters, 't'), .partitions = 0, .replication = 1, .config = {}}, clock_.now());
  };
  EXPECT_NE(create_topic(249).error().text().find("partition count"), std::string::npos)
      << "the name is good";
  EXPECT_NE(create_topic(250).error().text().find("1 to 249"), std::string::npos);
  EXPECT_EQ(create("h", 0, {}, 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(create("h", 1 << 20, {}, 1).code(), Code::kInvalidArgument);
  EXPECT_EQ(create("h", 1, {}, 3).code(), Code::kInvalidArgument);
  auto unknown = create("h", 1, {"airport"}, 1);
  EXPECT_EQ(unknown.code(), Code::kUnknownType);
  EXPECT_NE(unknown.error().text().find("airport"), std::string::npos);
  EXPECT_NE(unknown.error().text().find("entity"), std::string::npos);
  EXPECT_EQ(catalog_->delete_grid("nope").code(), Code::kUnknownGrid);
  EXPECT_EQ(catalog_->delete_topic("g.messages").code(), Code::kPermissionDenied);
  EXPECT_EQ(catalog_->delete_topic("nope").code(), Code::kNotFound);
  EXPECT_EQ(catalog_->region("g", RegionId(1)).code(), Code::kNotFound);
  EXPECT_EQ(
      catalog_->create_topic({.name = "t", .partitions = 0, .replication = 1, .config = {}}, clock_.now())
          .code(),
      Code::kInvalidArgument);
  EXPECT_EQ(
      catalog_
          ->create_topic({.name = "t", .partitions = 1, .replication = 1, .config = {{"durability", "none"}}},
                         clock_.now())
          .code(),
      Code::kInvalidArgument);
  for (const auto& [key, value] : {std::pair("no.such", "1"), std::pair("retention.ms", "soon"),
                                   std::pair("segment.bytes", "-1"), std::pair("segment.ms", "")}) {
    const Result<Topic> refused = catalog_->create_topic(
        {.name = "t", .partitions = 1, .replication = 1, .config = {{key, value}}}, clock_.now());
    EXPECT_EQ(refused.code(), Code::kInvalidArgument) << key;
    EXPECT_NE(refused.error().text().find(key), std::string::npos) << refused.error().text();
  }
  EXPECT_EQ(catalog_->version(), version);
  EXPECT_TRUE(catalog_
                  ->create_topic({.name = "t",
                                  .partitions = 1,
                                  .replication = 1,
                                  .config = {{"retention.ms", "60000"}, {"durability", "relaxed"}}},
                                 clock_.now())
                  .ok());
}

TEST_F(CatalogTest, ATopicIsChangedWhollyOrNotAtAll) {
  start(1);
  ASSERT_TRUE(
      catalog_->create_grid({.name = "g", .regions = 2, .types = {}, .replication = 1}, clock_.now()).ok());
  ASSERT_TRUE(
      catalog_
          ->create_topic({.name = "t", .partitions = 2, .replication = 1, .config = {{"retention.ms", "5"}}},
                         clock_.now())
          .ok());
  const auto change = [&](const char* name, const Catalog::TopicChange& wanted) {
    return catalog_->change_topic(name, wanted, clock_.now());
  };
  const auto changed = change("t", {.config = {{"segment.ms", "9"}}, .replace = false, .partitions = 4});
  ASSERT_TRUE(changed.ok()) << changed.error().text();
  EXPECT_EQ(changed->config, (TopicConfig{{"retention.ms", "5"}, {"segment.ms", "9"}}));
  EXPECT_EQ(catalog_->partitions("t")->size(), 4u);
  const std::uint64_t version = catalog_->version();
  EXPECT_EQ(change("t", {.config = {{"segment.ms", "10"}}, .replace = false, .partitions = 4}).code(),
            Code::kInvalidArgument);
  EXPECT_EQ(change("t", {.config = {{"segment.ms", "10"}, {"nope", "1"}}, .replace = false, .partitions = {}})
                .code(),
            Code::kInvalidArgument);
  EXPECT_EQ(change("nope", {}).code(), Code::kNotFound);
  EXPECT_EQ(
      change("g.changes", {.config = {{"cleanup.policy", "delete"}}, .replace = false, .partitions = {}})
          .code(),
      Code::kPermissionDenied);
  EXPECT_EQ(change("g.messages", {.config = {}, .replace = false, .partitions = 3}).code(),
            Code::kPermissionDenied);
  EXPECT_EQ(catalog_->version(), version);
  EXPECT_TRUE(
      change("g.messages", {.config = {{"retention.bytes", "7"}}, .replace = false, .partitions = {}}).ok());
  EXPECT_TRUE(change("t", {.config = {{"retention.ms", std::nullopt}, {"durability", "relaxed"}},
                           .replace = false,
                           .partitions = {}})
                  .ok());
  reopen();
  EXPECT_EQ(catalog_->find_topic("t")->config, (TopicConfig{{"durability", "relaxed"}, {"segment.ms", "9"}}));
  EXPECT_TRUE(catalog_->find_topic("t")->relaxed);
  EXPECT_EQ(catalog_->find_topic("t")->partitions, 4);
  EXPECT_EQ(catalog_->partitions("t")->size(), 4u);
  EXPECT_TRUE(
      change("t", {.config = {{"segment.bytes", "2000000"}}, .replace = true, .partitions = {}}).ok());
  EXPECT_EQ(catalog_->find_topic("t")->config, (TopicConfig{{"segment.bytes", "2000000"}}));
  EXPECT_FALSE(catalog_->find_topic("t")->relaxed);
}

TEST_F(CatalogTest, IdsAreNeverUsedAgain) {
  start(1);
  std::set<std::uint64_t> seen;
  for (int round = 0; round < 3; ++round) {
    auto grid =
        catalog_->create_grid({.name = "g", .regions = 2, .types = {}, .replication = 1}, clock_.now());
    ASSERT_TRUE(grid.ok());
    for (const std::uint64_t id :
         {grid->id.value(), grid->messages.value(), grid->changes.value(), grid->dead.value()}) {
      EXPECT_TRUE(seen.insert(id).second);
    }
    ASSERT_TRUE(catalog_->delete_grid("g").ok());
    EXPECT_EQ(catalog_->find_topic("g.messages"), nullptr);
    reopen();
    ASSERT_TRUE(catalog_->heartbeat(NodeId(1), Incarnation(1), clock_.now()).ok());
  }
}

TEST_F(CatalogTest, ASecondCatalogOnTheSameStoreCannotOverwrite) {
  start(1);
  auto other = Catalog::open(make_catalog_store(std::make_unique<SharedStore>(store_)), random_);
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(
      catalog_->create_grid({.name = "g", .regions = 1, .types = {}, .replication = 1}, clock_.now()).ok());
  ASSERT_TRUE((*other)->heartbeat(NodeId(1), Incarnation(1), clock_.now()).ok());
  EXPECT_EQ(
      (*other)->create_grid({.name = "h", .regions = 1, .types = {}, .replication = 1}, clock_.now()).code(),
      Code::kFailedPrecondition);
}

TEST_F(CatalogTest, DamageAndNewerFormatsStopTheStart) {
  start(1);
  ASSERT_TRUE(
      catalog_->create_grid({.name = "g", .regions = 2, .types = {}, .replication = 1}, clock_.now()).ok());
  const auto open_with = [&](const std::string& key, std::optional<std::string> value) {
    const auto before = store_->get(key).value();
    EXPECT_TRUE(before.has_value()) << key;
    const store::Change change{key, value ? std::optional<std::string_view>(*value) : std::nullopt};
    EXPECT_TRUE(store_->apply({&change, 1}).ok());
    auto opened = Catalog::open(make_catalog_store(std::make_unique<SharedStore>(store_)), random_);
    const store::Change back{key, *before};
    EXPECT_TRUE(store_->apply({&back, 1}).ok());
    return opened.status();
  };
  const std::string version(8, '\1');
  EXPECT_EQ(open_with("meta", version + encode_meta({kFormat + 1, 1, 1, 1})).code(), Code::kNewerFormat);
  EXPECT_EQ(open_with("meta", "x").code(), Code::kCorrupt);
  EXPECT_EQ(open_with(placement_key(kRegionPrefix, 1, 1), std::nullopt).code(), Code::kCorrupt);
  EXPECT_EQ(open_with(grid_key(GridId(1)), version + "\xff\xff").code(), Code::kCorrupt);
  EXPECT_TRUE(Catalog::open(make_catalog_store(std::make_unique<SharedStore>(store_)), random_).ok());
}

TEST(CatalogStore, CommitsAllOrNothing) {
  auto store = make_catalog_store(store::make_memory_store());
  ASSERT_TRUE(store->commit({{{"a", 0}}, {{"a", "1"}, {"b", "2"}}}).ok());
  EXPECT_EQ(store->get("a").value()->version, 1u);
  EXPECT_EQ(store->commit({{{"a", 1}, {"b", 7}}, {{"a", "x"}}}).code(), Code::kFailedPrecondition);
  EXPECT_EQ(store->get("a").value()->value, "1");
  ASSERT_TRUE(store->commit({{{"a", 1}}, {{"a", "2"}, {"b", std::nullopt}}}).ok());
  EXPECT_EQ(store->get("a").value()->version, 2u);
  EXPECT_FALSE(store->get("b").value().has_value());
}

// A random trace against a trivial model: whatever was answered ok is there after reopening. AFDG_SEED
// repeats a run.
TEST_F(CatalogTest, AgreesWithAMapOnRandomTraces) {
  const char* seed_text = std::getenv("AFDG_SEED");
  const std::uint64_t seed = seed_text ? std::strtoull(seed_text, nullptr, 10) : 20260101;
  SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  start(1);
  start(2);
  std::map<std::string, std::int32_t> grids, topics;
  for (int step = 0; step < 400; ++step) {
    const std::string name = "n" + std::to_string(random.next() % 12);
    const auto count = static_cast<std::int32_t>(1 + random.next() % 5);
    switch (random.next() % 6) {
      case 0:
      case 1: {
        auto made = catalog_->create_grid({.name = name, .regions = count, .types = {}, .replication = 1},
                                          clock_.now());
        EXPECT_EQ(made.ok(), !grids.contains(name));
        if (made.ok()) grids[name] = count;
        break;
      }
      case 2:
        EXPECT_EQ(catalog_->delete_grid(name).ok(), grids.erase(name) == 1);
        break;
      case 3: {
        auto made = catalog_->create_topic(
            {.name = name, .partitions = count, .replication = 1, .config = {}}, clock_.now());
        EXPECT_EQ(made.ok(), !topics.contains(name));
        if (made.ok()) topics[name] = count;
        break;
      }
      case 4:
        EXPECT_EQ(catalog_->delete_topic(name).ok(), topics.erase(name) == 1);
        break;
      default:
        reopen();
        start(1);
        start(2);
    }
    ASSERT_EQ(catalog_->grids().size(), grids.size());
    ASSERT_EQ(catalog_->topics().size(), grids.size() * 3 + topics.size());
    for (const auto& [grid, regions] : grids)
      ASSERT_EQ(catalog_->regions(grid)->size(), static_cast<std::size_t>(regions));
    for (const auto& [topic, partitions] : topics) {
      ASSERT_EQ(catalog_->partitions(topic)->size(), static_cast<std::size_t>(partitions));
    }
  }
}

}  // namespace
}  // namespace afdg::catalog
