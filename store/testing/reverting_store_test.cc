#include "store/testing/reverting_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

namespace afdg::store {
namespace {

std::map<std::string, std::string> all(const KeyValueStore& store) {
  std::map<std::string, std::string> found;
  EXPECT_TRUE(store
                  .scan("", "",
                        [&](std::string_view key, std::string_view value) {
                          found.emplace(key, value);
                          return true;
                        })
                  .ok());
  return found;
}

void put(KeyValueStore& store, std::string_view key, std::optional<std::string_view> value) {
  EXPECT_TRUE(store.apply(std::array{Change{key, value}}).ok());
}

TEST(RevertingStore, GoesBackToAnyRememberedState) {
  RevertingStore store;
  SeededRandom random(3);
  std::vector<std::map<std::string, std::string>> states{{}};
  for (int i = 0; i < 200; ++i) {
    const std::string key = std::to_string(random.next() % 20);
    if (random.next() % 10 == 0) {
      EXPECT_TRUE(store.remove_range(key, key + "~").ok());
    } else if (random.next() % 3 == 0) {
      put(store, key, std::nullopt);
    } else {
      put(store, key, std::to_string(i));
    }
    states.push_back(all(store));
  }
  for (std::uint64_t state = store.state() + 1; state-- > 0;) {
    ASSERT_TRUE(store.revert_to(state).ok());
    ASSERT_EQ(all(store), states[state]) << state;
  }
  EXPECT_EQ(store.revert_to(1).code(), Code::kOutOfRange) << "later states are forgotten";
}

TEST(RevertingStore, ACrashKeepsWhatWasFlushedAndAnyApplyAfterIt) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    RevertingStore store;
    put(store, "a", "1");
    put(store, "a", "2");
    EXPECT_TRUE(store.flush().ok());
    put(store, "a", "3");
    put(store, "a", "4");
    SeededRandom random(seed);
    const auto state = store.crash(random);
    EXPECT_EQ(all(store).at("a"), std::to_string(state));
    EXPECT_EQ(store.flushed_state(), state);
    seen.insert(state);
  }
  EXPECT_THAT(seen, testing::ElementsAre(2, 3, 4));
}

TEST(RevertingStore, HistoryIsBounded) {
  RevertingStore store(10);
  for (int i = 0; i < 100; ++i) put(store, "a", std::to_string(i));
  EXPECT_EQ(store.oldest_state(), 90u);
  EXPECT_EQ(store.revert_to(89).code(), Code::kOutOfRange);
  EXPECT_TRUE(store.revert_to(90).ok());
  EXPECT_EQ(all(store).at("a"), "89");
}

TEST(RevertingStore, PlantedFaults) {
  RevertingStore store;
  put(store, "a", "1");
  store.refuse_writes(fail(Code::kDiskFull));
  const std::array changes{Change{"a", "2"}};
  EXPECT_EQ(store.apply(changes).code(), Code::kDiskFull);
  EXPECT_EQ(store.flush().code(), Code::kDiskFull);
  EXPECT_EQ(store.remove_range("", "").code(), Code::kDiskFull);
  EXPECT_EQ(all(store).at("a"), "1");
  store.refuse_writes(std::nullopt);
  EXPECT_TRUE(store.apply(changes).ok());
  store.plant_flush_does_nothing(true);
  EXPECT_TRUE(store.flush().ok());
  EXPECT_EQ(store.flushed_state(), 0u);
}

}  // namespace
}  // namespace afdg::store
