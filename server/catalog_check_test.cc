#include "server/catalog_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/testing/caller.h"
#include "store/file_system.h"
#include "store/key_value_store.h"

namespace afdg::server {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<catalog::Catalog> empty_catalog() {
  SeededRandom random(1);
  return catalog::Catalog::open(catalog::make_catalog_store(store::make_memory_store()), random).value();
}

TEST(CatalogCheckTest, ANodeThatItsOwnCatalogDoesNotKnowIsDamage) {
  const auto catalog = empty_catalog();
  EXPECT_TRUE(catalog_fits(*catalog, NodeId(0), nullptr, "DIR/catalog").ok());
  const Status lost = catalog_fits(*catalog, NodeId(1), nullptr, "DIR/catalog");
  ASSERT_EQ(lost.code(), Code::kCorrupt);
  EXPECT_THAT(lost.error().text(), HasSubstr("DIR/catalog has lost what it knew (node 1"));
}

TEST(CatalogCheckTest, ATopicWhoseIdWasNeverGivenIsDamageAndADeletedOneIsNot) {
  const testing::TemporaryDirectory directory;
  SystemClock clock;
  log::LogOptions options;
  options.directory = directory.path("log");
  options.journal_bytes = 8u << 20;
  options.journal_initial_bytes = 1u << 20;
  const auto log = log::Log::open(store::posix_file_system(), clock, options).value();

  const auto catalog = empty_catalog();
  catalog::Node node;
  node.incarnation = Incarnation(7);
  node.address = "127.0.0.1:1";
  node.roles = {"catalog", "region"};
  node.types = {"entity"};
  const NodeId self = catalog->node_started(node, clock.now()).value();
  catalog::Catalog::NewTopic words;
  words.name = "words";
  words.partitions = 1;
  const catalog::Topic topic = catalog->create_topic(words, clock.now()).value();
  ASSERT_TRUE(log->create_partition({topic.id, PartitionIndex(0)}, topic.name).ok());
  EXPECT_TRUE(catalog_fits(*catalog, self, log.get(), "DIR/catalog").ok());
  // The process may have died between the two halves of a deletion.
  ASSERT_TRUE(catalog->delete_topic("words").ok());
  EXPECT_TRUE(catalog_fits(*catalog, self, log.get(), "DIR/catalog").ok());

  ASSERT_TRUE(log->create_partition({TopicId(catalog->next_id()), PartitionIndex(0)}, "later").ok());
  const Status lost = catalog_fits(*catalog, self, log.get(), "DIR/catalog");
  ASSERT_EQ(lost.code(), Code::kCorrupt);
  EXPECT_THAT(lost.error().text(), HasSubstr("topic 'later'"));
}

}  // namespace
}  // namespace afdg::server
