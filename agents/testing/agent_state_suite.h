#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agents/agent_state.h"
#include "base/clock.h"

// What every AgentState promises. An implementation runs it so:
//
//   struct Harness {                                  // default constructible: no items
//     AgentState& state();                            // of agent "k"; begin() may change which object it is
//     void begin(); void commit(); void abort();      // a turn that may write
//     void reopen();                                  // forget what is only in memory; committed items stay
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Region, AgentStateSuite, Harness);
namespace afdg::agents::testing {

template <typename Harness>
class AgentStateSuite : public ::testing::Test {
 protected:
  using Items = std::vector<std::pair<std::int64_t, std::string>>;

  static ItemId id(std::string_view entity, std::string_view key = {}, std::int64_t sequence = 0) {
    return {.entity = entity, .key = key, .sequence = sequence};
  }
  std::optional<std::string> get(const ItemId& item) { return harness_.state().get(item).value(); }
  Items items(std::string_view entity, std::string_view key,
              std::int64_t from = std::numeric_limits<std::int64_t>::min(), std::size_t limit = 1000) {
    Items found;
    const Status read =
        harness_.state().items(entity, key, from, [&](std::int64_t sequence, std::string_view value) {
          found.emplace_back(sequence, value);
          return found.size() < limit;
        });
    EXPECT_TRUE(read.ok()) << read.to_string();
    return found;
  }
  std::vector<std::string> keys(std::string_view entity, std::string_view from = {},
                                std::size_t limit = 1000) {
    std::vector<std::string> found;
    const Status read = harness_.state().keys(entity, from, [&](std::string_view key) {
      found.emplace_back(key);
      return found.size() < limit;
    });
    EXPECT_TRUE(read.ok()) << read.to_string();
    return found;
  }
  std::optional<std::pair<std::int64_t, std::int64_t>> bounds(std::string_view entity, std::string_view key) {
    std::vector<std::pair<std::int64_t, std::string>> seen;
    const auto found = harness_.state()
                           .bounds(entity, key,
                                   [&](std::int64_t sequence, std::string_view value) {
                                     seen.emplace_back(sequence, value);
                                   })
                           .value();
    EXPECT_EQ(seen.empty(), !found.has_value());
    if (!found) return std::nullopt;
    auto list = items(entity, key);
    EXPECT_LE(seen.size(), list.size());
    list.resize(std::min(list.size(), seen.size()));
    EXPECT_EQ(seen, list) << "what is seen is not how the list begins";
    return std::pair(found->first, found->last);
  }
  template <typename Write>
  void turn(Write&& write) {
    harness_.begin();
    write(harness_.state());
    harness_.commit();
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(AgentStateSuite);

TYPED_TEST_P(AgentStateSuite, NothingIsThereAtFirst) {
  EXPECT_EQ(this->harness_.state().key(), "k");
  EXPECT_EQ(this->get(this->id("e")), std::nullopt);
  EXPECT_EQ(this->bounds("e", ""), std::nullopt);
  EXPECT_TRUE(this->items("e", "").empty());
  EXPECT_TRUE(this->keys("e").empty());
}

TYPED_TEST_P(AgentStateSuite, TheTurnSeesItsOwnWritesAndTheyStayWhenItCommits) {
  this->harness_.begin();
  this->harness_.state().put(this->id("e", "a", 3), "one");
  EXPECT_EQ(this->get(this->id("e", "a", 3)), "one");
  EXPECT_EQ(this->keys("e"), std::vector<std::string>{"a"});
  EXPECT_EQ(this->bounds("e", "a"), std::pair(std::int64_t{3}, std::int64_t{3}));
  this->harness_.state().put(this->id("e", "a", 3), "two");
  EXPECT_EQ(this->get(this->id("e", "a", 3)), "two");
  this->harness_.commit();
  EXPECT_EQ(this->get(this->id("e", "a", 3)), "two");
  this->harness_.reopen();
  EXPECT_EQ(this->get(this->id("e", "a", 3)), "two");
}

TYPED_TEST_P(AgentStateSuite, AnAbortedTurnLeavesNoTrace) {
  this->turn([&](AgentState& state) {
    state.put(this->id("e", "a", 0), "kept");
    state.put(this->id("e", "b", 0), "kept too");
  });
  this->harness_.begin();
  this->harness_.state().put(this->id("e", "a", 0), "changed");
  this->harness_.state().put(this->id("e", "a", 1), "added");
  this->harness_.state().erase(this->id("e", "b", 0));
  this->harness_.state().put(this->id("e", "c", 0), "added");
  this->harness_.abort();
  EXPECT_EQ(this->get(this->id("e", "a", 0)), "kept");
  EXPECT_EQ(this->bounds("e", "a"), std::pair(std::int64_t{0}, std::int64_t{0}));
  EXPECT_EQ(this->keys("e"), (std::vector<std::string>{"a", "b"}));
}

TYPED_TEST_P(AgentStateSuite, ErasedItemsAreGoneAtOnceAndForGood) {
  this->turn([&](AgentState& state) {
    for (std::int64_t i = 0; i < 4; ++i) state.put(this->id("e", "a", i), std::to_string(i));
  });
  this->harness_.reopen();
  this->harness_.begin();
  this->harness_.state().erase(this->id("e", "a", 0));
  this->harness_.state().erase(this->id("e", "a", 3));
  this->harness_.state().erase(this->id("e", "absent", 0));
  EXPECT_EQ(this->bounds("e", "a"), std::pair(std::int64_t{1}, std::int64_t{2}));
  EXPECT_EQ(this->get(this->id("e", "a", 0)), std::nullopt);
  this->harness_.commit();
  this->harness_.reopen();
  EXPECT_EQ(this->bounds("e", "a"), std::pair(std::int64_t{1}, std::int64_t{2}));
  this->turn([&](AgentState& state) {
    state.erase(this->id("e", "a", 1));
    state.erase(this->id("e", "a", 2));
    EXPECT_EQ(this->bounds("e", "a"), std::nullopt);
    EXPECT_TRUE(this->keys("e").empty());
  });
  EXPECT_TRUE(this->items("e", "a").empty());
}

TYPED_TEST_P(AgentStateSuite, AnErasedItemMayBePutAgainInTheSameTurn) {
  this->turn([&](AgentState& state) { state.put(this->id("e"), "one"); });
  this->turn([&](AgentState& state) {
    state.erase(this->id("e"));
    state.put(this->id("e"), "two");
  });
  EXPECT_EQ(this->get(this->id("e")), "two");
}

TYPED_TEST_P(AgentStateSuite, SequencesSortAsSignedNumbers) {
  this->turn([&](AgentState& state) {
    for (const std::int64_t i : {2, -1, 300, -300, 0}) state.put(this->id("e", "a", i), std::to_string(i));
  });
  const typename TestFixture::Items all = {{-300, "-300"}, {-1, "-1"}, {0, "0"}, {2, "2"}, {300, "300"}};
  EXPECT_EQ(this->items("e", "a"), all);
  EXPECT_EQ(this->bounds("e", "a"), std::pair(std::int64_t{-300}, std::int64_t{300}));
  EXPECT_EQ(this->items("e", "a", 0, 2), (typename TestFixture::Items{{0, "0"}, {2, "2"}}));
  EXPECT_EQ(this->items("e", "a", 1, 1), (typename TestFixture::Items{{2, "2"}}));
  this->harness_.reopen();
  EXPECT_EQ(this->items("e", "a"), all);
}

TYPED_TEST_P(AgentStateSuite, ItemsMixesCommittedWrittenAndErased) {
  this->turn([&](AgentState& state) {
    for (std::int64_t i = 0; i < 6; ++i) state.put(this->id("e", "a", i), "old");
  });
  this->harness_.reopen();
  this->harness_.begin();
  this->harness_.state().put(this->id("e", "a", 2), "new");
  this->harness_.state().erase(this->id("e", "a", 3));
  this->harness_.state().put(this->id("e", "a", 6), "new");
  EXPECT_EQ(
      this->items("e", "a"),
      (typename TestFixture::Items{{0, "old"}, {1, "old"}, {2, "new"}, {4, "old"}, {5, "old"}, {6, "new"}}));
  this->harness_.commit();
}

TYPED_TEST_P(AgentStateSuite, EntitiesAndKeysDoNotMix) {
  const std::string zeros(3, '\0');
  const std::string high = "\xff\xff";
  const std::vector<std::string> sorted = {"", zeros, "a", "a" + zeros, "aa", "b", high};
  this->turn([&](AgentState& state) {
    for (const std::string& key : sorted) {
      state.put(this->id("e", key, 0), "e:" + key);
      state.put(this->id("ee", key, 0), "ee:" + key);
    }
    state.put(this->id("d", "z", 0), "d");
  });
  for (int round = 0; round < 2; ++round) {
    for (const std::string& key : sorted) {
      EXPECT_EQ(this->items("e", key), (typename TestFixture::Items{{0, "e:" + key}}));
      EXPECT_EQ(this->bounds("ee", key), std::pair(std::int64_t{0}, std::int64_t{0}));
    }
    EXPECT_EQ(this->keys("e"), sorted);
    EXPECT_EQ(this->keys("ee"), sorted);
    EXPECT_EQ(this->keys("e", "a", 2), (std::vector<std::string>{"a", "a" + zeros}));
    EXPECT_EQ(this->keys("e", "ab"), (std::vector<std::string>{"b", high}));
    EXPECT_EQ(this->keys("d"), std::vector<std::string>{"z"});
    this->harness_.reopen();
  }
}

TYPED_TEST_P(AgentStateSuite, ValuesMayBeEmptyOrHoldAnyBytes) {
  const std::string bytes("\0\xff\n", 3);
  this->turn([&](AgentState& state) {
    state.put(this->id("e", "a", 0), "");
    state.put(this->id("e", "a", 1), bytes);
    state.put(this->id("e", "a", 2), std::string(100'000, 'x'));
  });
  this->harness_.reopen();
  EXPECT_EQ(this->get(this->id("e", "a", 0)), "");
  EXPECT_EQ(this->get(this->id("e", "a", 1)), bytes);
  EXPECT_EQ(this->get(this->id("e", "a", 2))->size(), 100'000U);
}

TYPED_TEST_P(AgentStateSuite, BehavesLikeAMapUnderRandomTurns) {
  const char* given = std::getenv("AFDG_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : SystemRandom().next() % 1'000'000;
  SCOPED_TRACE("AFDG_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  std::map<std::pair<std::string, std::int64_t>, std::string> model;
  for (int turns = 0; turns < 150; ++turns) {
    auto next = model;
    this->harness_.begin();
    for (std::uint64_t writes = random.next() % 6; writes > 0; --writes) {
      const std::string key(1, static_cast<char>('a' + random.next() % 3));
      const auto sequence = static_cast<std::int64_t>(random.next() % 9) - 4;
      if (random.next() % 3 == 0) {
        this->harness_.state().erase(this->id("e", key, sequence));
        next.erase({key, sequence});
      } else {
        const std::string value = std::to_string(random.next());
        this->harness_.state().put(this->id("e", key, sequence), value);
        next[{key, sequence}] = value;
      }
    }
    if (random.next() % 4 == 0) {
      this->harness_.abort();
    } else {
      this->harness_.commit();
      model = next;
    }
    if (random.next() % 5 == 0) this->harness_.reopen();
    for (const char* key : {"a", "b", "c"}) {
      typename TestFixture::Items expected;
      for (const auto& [at, value] : model) {
        if (at.first == key) expected.emplace_back(at.second, value);
      }
      ASSERT_EQ(this->items("e", key), expected);
      const auto bounds = this->bounds("e", key);
      ASSERT_EQ(bounds.has_value(), !expected.empty());
      if (bounds) {
        ASSERT_EQ(*bounds, std::pair(expected.front().first, expected.back().first));
      }
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(AgentStateSuite, NothingIsThereAtFirst,
                            TheTurnSeesItsOwnWritesAndTheyStayWhenItCommits, AnAbortedTurnLeavesNoTrace,
                            ErasedItemsAreGoneAtOnceAndForGood, AnErasedItemMayBePutAgainInTheSameTurn,
                            SequencesSortAsSignedNumbers, ItemsMixesCommittedWrittenAndErased,
                            EntitiesAndKeysDoNotMix, ValuesMayBeEmptyOrHoldAnyBytes,
                            BehavesLikeAMapUnderRandomTurns);

}  // namespace afdg::agents::testing
