#include "agents/entity.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <deque>
#include <map>

#include "afdg/v1/entity.pb.h"
#include "agents/item_time.h"
#include "agents/testing/fake_state.h"

namespace afdg::agents {
namespace {
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Holder : AgentBase {
  explicit Holder(EntityLimits limits) : list(*this, "list", limits) {}
  Entity<std::int64_t> list;
};

class EntityTest : public ::testing::Test {
 protected:
  void reopen(EntityLimits limits = {}) {
    holder_ = std::make_unique<Holder>(limits);
    holder_->bind(state_, sizeof(Holder));
  }
  template <typename Body>
  Status turn(Body&& body) {
    if (!holder_) reopen();
    holder_->begin_turn(port_, true);
    body(holder_->list);
    Status status = holder_->end_turn(true);
    if (status.ok()) {
      state_.commit();
    } else {
      state_.abort();
      holder_.reset();
    }
    return status;
  }
  std::vector<std::int64_t> all(std::string_view key = "k") {
    std::vector<std::int64_t> found;
    const Status status = turn([&](const auto& list) {
      for (const std::int64_t item : list[key]) found.push_back(item);
    });
    EXPECT_TRUE(status.ok()) << status.to_string();
    return found;
  }
  void append(std::initializer_list<std::int64_t> items) {
    const Status status = turn([&](auto& list) {
      for (const std::int64_t item : items) list["k"].append(item);
    });
    ASSERT_TRUE(status.ok()) << status.to_string();
  }

  testing::FakeState state_{"me"};
  testing::FakeTurn port_;
  std::unique_ptr<Holder> holder_;
};

TEST_F(EntityTest, IsAListPerKey) {
  append({1, 2, 3});
  ASSERT_TRUE(turn([](auto& list) {
                auto k = list["k"];
                EXPECT_EQ(k.size(), 3U);
                EXPECT_EQ(k.front(), 1);
                EXPECT_EQ(k.back(), 3);
                EXPECT_EQ(k[1], 2);
                k.prepend(0);
                k.set(3, 30);
                EXPECT_THAT(k.last(2), ElementsAre(2, 30));
                EXPECT_THAT(k.last(9), ElementsAre(0, 1, 2, 30));
                EXPECT_TRUE(list["other"].empty());
                EXPECT_TRUE(list.contains("k"));
                EXPECT_FALSE(list.contains("other"));
              }).ok());
  reopen();
  EXPECT_THAT(all(), ElementsAre(0, 1, 2, 30));
  ASSERT_TRUE(turn([](auto& list) {
                list["k"].erase(1);
                list["k"].erase(2);
              }).ok());
  reopen();
  EXPECT_THAT(all(), ElementsAre(0, 2));
  ASSERT_TRUE(turn([](auto& list) { list.erase("k"); }).ok());
  EXPECT_THAT(all(), IsEmpty());
  EXPECT_EQ(state_.size(), 0U);
}

TEST_F(EntityTest, ListsKeys) {
  ASSERT_TRUE(turn([](auto& list) {
                for (const char* key : {"", "a", "ab", "abc", "b", "ba"}) list[key].append(1);
              }).ok());
  ASSERT_TRUE(turn([](const auto& list) {
                EXPECT_THAT(list.keys(), ElementsAre("", "a", "ab", "abc", "b", "ba"));
                EXPECT_THAT(list.keys("ab"), ElementsAre("ab", "abc"));
                EXPECT_THAT(list.keys("", 2), ElementsAre("", "a"));
                EXPECT_THAT(list.keys({.prefix = "a", .after = "ab", .limit = 9}), ElementsAre("abc"));
                EXPECT_THAT(list.keys({.prefix = "b", .after = "a", .limit = 9}), ElementsAre("b", "ba"));
                EXPECT_THAT(list.keys({.prefix = "a", .after = "b", .limit = 9}), IsEmpty());
                EXPECT_THAT(list.keys("", 0), IsEmpty());
              }).ok());
}

TEST_F(EntityTest, AppendingDoesNotLoadTheList) {
  ASSERT_TRUE(turn([](auto& list) {
                for (int i = 0; i < 500; ++i) list["k"].append(i);
              }).ok());
  reopen();
  const std::size_t reads = state_.reads();
  append({500});
  EXPECT_EQ(state_.reads() - reads, 1U);  // bounds
  append({501, 502});
  EXPECT_EQ(state_.reads() - reads, 1U);
}

TEST_F(EntityTest, ALongListIsNotKeptWhole) {
  struct Texts : AgentBase {
    Entity<std::string> list{*this, "list"};
  } agent;
  agent.bind(state_, sizeof(agent));
  agent.begin_turn(port_, true);
  for (int i = 0; i < 300; ++i) {
    agent.list["k"].append(std::string(1000, 'x'));
    ASSERT_LT(agent.memory_bytes(), Lists::kCacheBytesMax + Lists::kCachedItemBytesMax + 4096);
  }
  std::size_t seen = 0;
  for (const std::string& item : agent.list["k"]) {
    ++seen;
    ASSERT_EQ(item.size(), 1000U);
    ASSERT_LT(agent.memory_bytes(), Lists::kCacheBytesMax + Lists::kCachedItemBytesMax + 4096);
  }
  EXPECT_EQ(seen, 300U);
  agent.list["k"].erase(140);
  EXPECT_LT(agent.memory_bytes(), Lists::kCacheBytesMax + Lists::kCachedItemBytesMax + 4096);
  ASSERT_TRUE(agent.end_turn(true).ok());
}

TEST_F(EntityTest, ALiveAgentAnswersFromMemory) {
  append({1, 2, 3});
  reopen();
  EXPECT_THAT(all(), ElementsAre(1, 2, 3));
  const std::size_t reads = state_.reads();
  EXPECT_THAT(all(), ElementsAre(1, 2, 3));
  ASSERT_TRUE(turn([](const auto& list) { EXPECT_EQ(list["k"].back(), 3); }).ok());
  EXPECT_EQ(state_.reads(), reads);
}

TEST_F(EntityTest, TheCountLimitRemovesAtTheOtherEnd) {
  reopen({.items_max = 3, .age_max = {}});
  append({1, 2, 3, 4, 5});
  EXPECT_THAT(all(), ElementsAre(3, 4, 5));
  ASSERT_TRUE(turn([](auto& list) { list["k"].prepend(0); }).ok());
  EXPECT_THAT(all(), ElementsAre(0, 3, 4));
  EXPECT_EQ(state_.size(), 3U);
}

TEST_F(EntityTest, ALowerCountLimitTakesEffectAThousandItemsAtATime) {
  ASSERT_TRUE(turn([](auto& list) {
                for (int i = 0; i < 1500; ++i) list["k"].append(i);
              }).ok());
  reopen({.items_max = 10, .age_max = {}});
  append({1500});
  EXPECT_EQ(all().size(), 1501 - Lists::kTrimMax);
  append({1501});
  EXPECT_EQ(all().size(), 10U);
  EXPECT_EQ(all().back(), 1501);
}

TEST_F(EntityTest, TheAgeLimitRemovesWhatIsOldWhenAnItemIsAdded) {
  reopen({.items_max = 0, .age_max = 1h});
  append({1});
  port_.time += 40min;
  append({2});
  port_.time += 40min;
  EXPECT_THAT(all(), ElementsAre(1, 2));  // only an append removes
  append({3});
  EXPECT_THAT(all(), ElementsAre(2, 3));
  port_.time += 20min;
  append({4});
  EXPECT_THAT(all(), ElementsAre(2, 3, 4));  // exactly as old as allowed
  port_.time += 24h;
  append({5});
  EXPECT_THAT(all(), ElementsAre(5));
  EXPECT_EQ(state_.size(), 1U);
}

TEST_F(EntityTest, SetAndEraseKeepTheItemsTimes) {
  reopen({.items_max = 0, .age_max = 1h});
  append({1, 2});
  port_.time += 40min;
  append({3});
  ASSERT_TRUE(turn([](auto& list) {
                list["k"].set(1, 20);
                list["k"].erase(0);
              }).ok());
  port_.time += 30min;
  append({4});
  EXPECT_THAT(all(), ElementsAre(3, 4));
}

TEST_F(EntityTest, ItemsFromBeforeTheAgeLimitGoWithTheFirstThatIsTimed) {
  append({1, 2, 3, 4, 5});
  reopen({.items_max = 0, .age_max = 1h});
  append({6});
  port_.time += 30min;
  append({7});
  EXPECT_THAT(all(), ElementsAre(1, 2, 3, 4, 5, 6, 7));
  port_.time += 40min;
  append({8});
  EXPECT_THAT(all(), ElementsAre(7, 8));
  reopen();  // without the limit again: what is stored still reads
  EXPECT_THAT(all(), ElementsAre(7, 8));
}

TEST_F(EntityTest, AnItemsTimeIsHiddenFromItsMessage) {
  struct Messages : AgentBase {
    Entity<v1::entity::Get> list{*this, "list", {.items_max = 0, .age_max = 1h}};
  } agent;
  agent.bind(state_, sizeof(agent));
  agent.begin_turn(port_, true);
  v1::entity::Get message;
  message.set_key("x");
  agent.list["k"].append(message);
  EXPECT_EQ(agent.list["k"].front().SerializeAsString(), message.SerializeAsString());
  ASSERT_TRUE(agent.end_turn(true).ok());
  const std::string stored = *state_.get({.entity = "list", .key = "k", .sequence = 0}).value();
  EXPECT_EQ(stored.size(), message.ByteSizeLong() + kItemTimeBytes);
  EXPECT_EQ(item_time(stored), port_.time);
  v1::entity::Get read;
  ASSERT_TRUE(read.ParseFromString(stored));  // who does not know of the time reads it all the same
  EXPECT_EQ(read.key(), "x");
}

TEST(ItemTime, IsNotMistakenForTheEndOfAField) {
  std::string tail;
  append_item_time(tail, ManualClock().now());
  EXPECT_EQ(item_time(tail), ManualClock().now());
  v1::entity::Stored message;
  message.set_bytes("x" + tail);
  std::string item = message.SerializeAsString();
  EXPECT_TRUE(may_end_in_time(item));
  EXPECT_EQ(item_time(item), std::nullopt);
  v1::entity::Stored read;
  ASSERT_TRUE(ItemCodec<v1::entity::Stored>::decode(item, read));
  EXPECT_EQ(read.bytes(), message.bytes());
  append_item_time(item, ManualClock().now() + 1s);
  EXPECT_EQ(item_time(item), ManualClock().now() + 1s);
  EXPECT_EQ(item_time(""), std::nullopt);
  EXPECT_EQ(item_time("\xff" + tail), std::nullopt);
}

TEST_F(EntityTest, DamageFailsTheTurnAndNamesTheItem) {
  append({1, 2, 3});
  state_.put({.entity = "list", .key = "k", .sequence = 1}, "\xff");
  state_.commit();
  reopen();
  const Status damaged = turn([](const auto& list) {
    for (const std::int64_t item : list["k"]) static_cast<void>(item);
  });
  EXPECT_EQ(damaged.code(), Code::kCorrupt);
  EXPECT_THAT(damaged.error().text(),
              HasSubstr("entity 'list', key 'k', of agent 'me': item 1 is not a google.protobuf.Int64Value"));
  EXPECT_EQ(turn([](const auto& list) { EXPECT_EQ(list["k"].at(1), 0); }).code(), Code::kCorrupt);

  state_.erase({.entity = "list", .key = "k", .sequence = 1});
  state_.commit();
  EXPECT_EQ(turn([](const auto& list) { EXPECT_EQ(list["k"].at(1), 0); }).code(), Code::kCorrupt);
  const Status hole = turn([](const auto& list) {
    for (const std::int64_t item : list["k"]) static_cast<void>(item);
  });
  EXPECT_EQ(hole.code(), Code::kCorrupt);
}

TEST_F(EntityTest, MisuseFailsTheTurn) {
  append({1});
  EXPECT_EQ(turn([](auto& list) { list["k"].set(1, 5); }).code(), Code::kHandlerFailed);
  EXPECT_EQ(turn([](auto& list) { list["k"].erase(1); }).code(), Code::kHandlerFailed);
  EXPECT_EQ(turn([](auto& list) { EXPECT_EQ(list["none"].front(), 0); }).code(), Code::kHandlerFailed);
  EXPECT_EQ(turn([](auto& list) { EXPECT_EQ(list["none"].back(), 0); }).code(), Code::kHandlerFailed);
  const Status long_key = turn([](auto& list) { list[std::string(1025, 'x')].append(1); });
  EXPECT_EQ(long_key.code(), Code::kInvalidArgument);
  EXPECT_THAT(long_key.error().text(), HasSubstr("a key of 1025 bytes; the limit is 1024"));
  EXPECT_THAT(all(), ElementsAre(1));
}

TEST_F(EntityTest, ALoopThatAppendsEnds) {
  append({1, 2});
  ASSERT_TRUE(turn([](auto& list) {
                for (const std::int64_t item : list["k"]) list["k"].append(item + 10);
              }).ok());
  EXPECT_THAT(all(), ElementsAre(1, 2, 11, 12));
}

/// What Entity promises, in the simplest words.
struct Model {
  EntityLimits limits;
  std::map<std::string, std::deque<std::pair<std::int64_t, Timestamp>>> lists;

  void add(const std::string& key, bool back, std::int64_t item, Timestamp now) {
    auto& list = lists[key];
    if (back) {
      list.emplace_back(item, now);
    } else {
      list.emplace_front(item, now);
    }
    const auto drop = [&] {
      if (back) {
        list.pop_front();
      } else {
        list.pop_back();
      }
    };
    while (limits.items_max > 0 && list.size() > limits.items_max) drop();
    while (limits.age_max.count() > 0 && list.size() > 1 &&
           (back ? list.front() : list.back()).second < now - limits.age_max) {
      drop();
    }
  }
};

TEST_F(EntityTest, BehavesLikeADequeUnderRandomTurns) {
  const char* given = std::getenv("AFDG_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : SystemRandom().next() % 1'000'000;
  SCOPED_TRACE("AFDG_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  const auto below = [&](std::uint64_t n) { return random.next() % n; };
  for (const EntityLimits limits :
       {EntityLimits{}, EntityLimits{.items_max = 7, .age_max = {}},
        EntityLimits{.items_max = 0, .age_max = 50ms}, EntityLimits{.items_max = 9, .age_max = 30ms}}) {
    state_ = testing::FakeState("me");
    Model model{.limits = limits, .lists = {}};
    reopen(limits);
    for (int turns = 0; turns < 600; ++turns) {
      port_.time += std::chrono::milliseconds(below(8));
      const bool fails = below(6) == 0;
      Model next = model;
      holder_->begin_turn(port_, true);
      for (std::uint64_t steps = below(5); steps > 0; --steps) {
        const std::string key(1, static_cast<char>('a' + below(3)));
        auto list = holder_->list[key];
        auto& expected = next.lists[key];
        const auto item = static_cast<std::int64_t>(random.next());
        switch (below(9)) {
          case 0:
            list.prepend(item);
            next.add(key, false, item, port_.time);
            break;
          case 1:
            if (expected.empty()) break;
            list.set(item % expected.size(), item);
            expected[static_cast<std::uint64_t>(item) % expected.size()].first = item;
            break;
          case 2: {
            if (expected.empty()) break;
            const std::uint64_t index = below(expected.size());
            list.erase(index);
            expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(index));
            break;
          }
          case 3:
            if (below(8) != 0) break;
            list.clear();
            expected.clear();
            break;
          default:
            list.append(item);
            next.add(key, true, item, port_.time);
        }
        ASSERT_EQ(list.size(), next.lists[key].size());
      }
      ASSERT_TRUE(holder_->end_turn(!fails).ok());
      if (fails) {
        state_.abort();
      } else {
        state_.commit();
        model = next;
      }
      if (fails || below(10) == 0) reopen(limits);
      std::vector<std::string> keys;
      for (const auto& [key, list] : model.lists) {
        std::vector<std::int64_t> expected;
        for (const auto& [item, time] : list) expected.push_back(item);
        if (!expected.empty()) keys.push_back(key);
        ASSERT_EQ(all(key), expected) << "turn " << turns;
        if (expected.empty()) continue;
        const std::uint64_t index = below(expected.size());
        ASSERT_TRUE(turn([&, &name = key](const auto& lists) {
                      EXPECT_EQ(lists[name].at(index), expected[index]);
                    }).ok());
      }
      ASSERT_TRUE(turn([&](const auto& lists) { EXPECT_EQ(lists.keys(), keys); }).ok());
    }
  }
}

}  // namespace
}  // namespace afdg::agents
