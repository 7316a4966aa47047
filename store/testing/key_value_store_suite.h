#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "store/key_value_store.h"

// What every KeyValueStore promises. A test program includes this once and calls
// INSTANTIATE_TEST_SUITE_P(..., KeyValueStoreSuite, ...).
namespace afdg::store {

/// A store, and how to close and open it again; the destructor cleans up.
class KeyValueStoreUnderTest {
 public:
  virtual ~KeyValueStoreUnderTest() = default;
  virtual KeyValueStore& store() = 0;
  /// Closes and opens it. What was flushed is there; a store that lives only as an object does nothing.
  virtual void reopen() = 0;
};

struct KeyValueStoreCase {
  std::string name;
  std::function<std::unique_ptr<KeyValueStoreUnderTest>()> make;
  int trace_steps = 2000;
};

class KeyValueStoreSuite : public testing::TestWithParam<KeyValueStoreCase> {
 protected:
  using Model = std::map<std::string, std::string>;

  KeyValueStore& store() { return subject_->store(); }

  void must_apply(const std::vector<std::pair<std::string, std::optional<std::string>>>& changes) {
    std::vector<Change> views;
    for (const auto& [key, value] : changes) {
      Change change{key, std::nullopt};
      if (value) change.value = *value;
      views.push_back(change);
    }
    const auto status = store().apply(views);
    ASSERT_TRUE(status.ok()) << status.to_string();
  }

  Model all(std::string_view from = {}, std::string_view to = {}) {
    Model found;
    std::string last;
    const auto status = store().scan(from, to, [&](std::string_view key, std::string_view value) {
      EXPECT_TRUE(found.empty() || last < key) << "out of order";
      last = key;
      found.emplace(key, value);
      return true;
    });
    EXPECT_TRUE(status.ok()) << status.to_string();
    return found;
  }

  std::string value_of(std::string_view key) {
    const auto value = store().get(key);
    if (!value.ok()) return value.status().to_string();
    return value->value_or("(absent)");
  }

  std::unique_ptr<KeyValueStoreUnderTest> subject_ = GetParam().make();
};

TEST_P(KeyValueStoreSuite, AnEmptyStoreHasNothing) {
  EXPECT_EQ(value_of("a"), "(absent)");
  EXPECT_TRUE(all().empty());
  EXPECT_TRUE(store().apply({}).ok());
  EXPECT_TRUE(store().remove_range("a", "b").ok());
  EXPECT_TRUE(store().remove_range("", "").ok());
  EXPECT_TRUE(store().flush().ok());
}

TEST_P(KeyValueStoreSuite, PutReplaceAndDelete) {
  must_apply({{"a", "1"}, {"b", "2"}, {"c", ""}});
  EXPECT_EQ(value_of("a"), "1");
  EXPECT_EQ(value_of("c"), "") << "an empty value is a value";
  must_apply({{"a", "one"}, {"b", std::nullopt}, {"nothing", std::nullopt}});
  EXPECT_EQ(all(), (Model{{"a", "one"}, {"c", ""}}));
}

TEST_P(KeyValueStoreSuite, KeysAreBytes) {
  const std::string zero("a\0b", 3);
  const std::string high("\xff\xfe", 2);
  const std::string value("\0\xff", 2);
  must_apply({{"", "empty key"}, {zero, value}, {high, "h"}});
  EXPECT_EQ(value_of(zero), value);
  EXPECT_EQ(value_of("a"), "(absent)");
  EXPECT_EQ(all(), (Model{{"", "empty key"}, {zero, value}, {high, "h"}}));
  EXPECT_EQ(all("b"), (Model{{high, "h"}})) << "bytes compare unsigned";
}

TEST_P(KeyValueStoreSuite, ScanIsHalfOpenAndStopsWhenTold) {
  must_apply({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}});
  EXPECT_EQ(all("b", "d"), (Model{{"b", "2"}, {"c", "3"}}));
  EXPECT_EQ(all("bb", "cc"), (Model{{"c", "3"}}));
  EXPECT_EQ(all("c", ""), (Model{{"c", "3"}, {"d", "4"}}));
  EXPECT_TRUE(all("b", "b").empty());
  EXPECT_TRUE(all("d", "b").empty());
  EXPECT_TRUE(all("e").empty());
  int visited = 0;
  EXPECT_TRUE(store().scan("", "", [&](std::string_view, std::string_view) { return ++visited < 2; }).ok());
  EXPECT_EQ(visited, 2);
}

TEST_P(KeyValueStoreSuite, TheLastKeyOfARangeIsFound) {
  EXPECT_EQ(store().last_key("", "").value(), std::nullopt);
  must_apply({{"", "empty key"}, {"b", "2"}, {"c", "3"}, {"d", "4"}});
  EXPECT_EQ(store().last_key("", "").value(), "d");
  EXPECT_EQ(store().last_key("b", "d").value(), "c") << "the end is not in the range";
  EXPECT_EQ(store().last_key("b", "cc").value(), "c");
  EXPECT_EQ(store().last_key("c", "d").value(), "c") << "the start is";
  EXPECT_EQ(store().last_key("cc", "d").value(), std::nullopt);
  EXPECT_EQ(store().last_key("", "b").value(), "");
  EXPECT_EQ(store().last_key("e", "").value(), std::nullopt);
  EXPECT_EQ(store().last_key("b", "b").value(), std::nullopt);
  EXPECT_EQ(store().last_key("d", "b").value(), std::nullopt) << "an empty range";
  must_apply({{"c", std::nullopt}});
  EXPECT_EQ(store().last_key("b", "d").value(), "b");
}

TEST_P(KeyValueStoreSuite, MultiGetAnswersEachKeyInOrder) {
  must_apply({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  const std::vector<std::string_view> keys{"c", "x", "a", "a", "b"};
  const auto values = store().multi_get(keys);
  ASSERT_TRUE(values.ok());
  EXPECT_THAT(*values, testing::ElementsAre("3", std::nullopt, "1", "1", "2"));
  EXPECT_TRUE(store().multi_get({}).ok());
}

TEST_P(KeyValueStoreSuite, RemoveRangeIsHalfOpen) {
  must_apply({{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}, {"e", "5"}});
  EXPECT_TRUE(store().remove_range("b", "d").ok());
  EXPECT_EQ(all(), (Model{{"a", "1"}, {"d", "4"}, {"e", "5"}}));
  EXPECT_TRUE(store().remove_range("d", "a").ok()) << "an empty range";
  must_apply({{"c", "again"}});
  EXPECT_EQ(value_of("c"), "again");
  EXPECT_TRUE(store().remove_range("c", "").ok());
  EXPECT_EQ(all(), (Model{{"a", "1"}}));
}

TEST_P(KeyValueStoreSuite, WhatWasFlushedIsThereAfterReopening) {
  must_apply({{"a", "1"}, {"b", "2"}});
  must_apply({{"a", std::nullopt}, {"c", "3"}});
  EXPECT_TRUE(store().flush().ok());
  subject_->reopen();
  EXPECT_EQ(all(), (Model{{"b", "2"}, {"c", "3"}}));
}

// Large applies may take another way than small ones; they must be one history.
TEST_P(KeyValueStoreSuite, LargeAndSmallAppliesAreOneHistory) {
  std::vector<std::pair<std::string, std::optional<std::string>>> large;
  for (int i = 0; i < 3000; ++i)
    large.emplace_back("key" + std::to_string(10000 + i), std::string(2000, 'l'));
  must_apply({{"key10001", "small before"}, {"zzz", "kept"}});
  must_apply(large);
  EXPECT_EQ(value_of("key10001"), std::string(2000, 'l'));
  EXPECT_EQ(value_of("zzz"), "kept");
  must_apply({{"key10001", "small after"}, {"key10002", std::nullopt}});
  EXPECT_EQ(value_of("key10001"), "small after");
  EXPECT_EQ(value_of("key10002"), "(absent)");
  for (std::size_t i = 0; i < large.size(); i += 2) large[i].second.reset();
  for (std::size_t i = 1; i < large.size(); i += 2) large[i].second = std::string(3000, 'm');
  must_apply(large);
  EXPECT_EQ(all().size(), 1501u);
  EXPECT_TRUE(store().flush().ok());
  subject_->reopen();
  EXPECT_EQ(all().size(), 1501u);
  EXPECT_EQ(value_of("key10000"), "(absent)");
  EXPECT_EQ(value_of("key10001"), std::string(3000, 'm'));
  EXPECT_EQ(value_of("zzz"), "kept");
}

TEST_P(KeyValueStoreSuite, BehavesAsAMap) {
  const char* text = std::getenv("AFDG_SEED");
  const std::uint64_t seed = text != nullptr ? std::strtoull(text, nullptr, 10) : 20240917;
  SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed));
  SeededRandom random(seed);
  const auto any_key = [&] { return "k" + std::to_string(random.next() % 300); };
  Model model;
  for (int step = 0; step < GetParam().trace_steps; ++step) {
    switch (random.next() % 16) {
      case 0:
        ASSERT_TRUE(store().flush().ok());
        if (random.next() % 8 == 0) subject_->reopen();
        break;
      case 1: {
        auto from = any_key();
        auto to = any_key();
        if (random.next() % 2 == 0 && to < from) std::swap(from, to);
        ASSERT_TRUE(store().remove_range(from, to).ok());
        if (from < to) model.erase(model.lower_bound(from), model.lower_bound(to));
        break;
      }
      case 2:
      case 3: {
        const auto from = any_key();
        const auto to = random.next() % 4 == 0 ? std::string() : any_key();
        Model expected;
        for (const auto& [key, value] : model) {
          if (key >= from && (to.empty() || key < to)) expected.emplace(key, value);
        }
        ASSERT_EQ(all(from, to), expected) << "step " << step;
        const auto last = store().last_key(from, to);
        ASSERT_TRUE(last.ok()) << last.status().to_string();
        ASSERT_EQ(*last, expected.empty() ? std::nullopt : std::optional(expected.rbegin()->first))
            << "step " << step;
        break;
      }
      case 4: {
        std::vector<std::string> keys(random.next() % 20);
        for (auto& key : keys) key = any_key();
        const std::vector<std::string_view> views(keys.begin(), keys.end());
        const auto values = store().multi_get(views);
        ASSERT_TRUE(values.ok());
        for (std::size_t i = 0; i < keys.size(); ++i) {
          const auto at = model.find(keys[i]);
          ASSERT_EQ((*values)[i], at == model.end() ? std::nullopt : std::optional(at->second))
              << "step " << step;
        }
        break;
      }
      default: {
        std::map<std::string, std::optional<std::string>> changes;
        for (std::uint64_t i = random.next() % 12; i > 0; --i) {
          auto& change = changes[any_key()];
          if (random.next() % 3 != 0)
            change = std::string(random.next() % 200, static_cast<char>('a' + random.next() % 26));
        }
        ASSERT_NO_FATAL_FAILURE(must_apply({changes.begin(), changes.end()}));
        for (const auto& [key, value] : changes) {
          if (value) {
            model[key] = *value;
          } else {
            model.erase(key);
          }
        }
        break;
      }
    }
  }
  EXPECT_EQ(all(), model);
}

TEST_P(KeyValueStoreSuite, ReadersSeeAllOfAnApplyOrNothing) {
  constexpr int kKeys = 40;
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back("key" + std::to_string(100 + i));
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) {
      std::string first;
      int count = 0;
      const auto status = store().scan("key", "kez", [&](std::string_view, std::string_view value) {
        if (count++ == 0) first = value;
        EXPECT_EQ(first, value);
        return first == value;
      });
      EXPECT_TRUE(status.ok());
      EXPECT_TRUE(count == 0 || count == kKeys) << count;
    }
  });
  for (int round = 0; round < 100; ++round) {
    // Some are large enough for the way of large applies.
    std::string value = std::to_string(round);
    if (round % 20 == 7) value.append(128 << 10, '.');
    std::vector<Change> changes;
    for (const auto& key : keys) changes.push_back({key, value});
    EXPECT_TRUE(store().apply(changes).ok());
    if (round % 10 == 3) {
      EXPECT_TRUE(store().remove_range("key", "kez").ok());
    }
  }
  done = true;
  reader.join();
}

// Regions that are opened beside each other all write, large and small.
TEST_P(KeyValueStoreSuite, WritersMayBeMany) {
  constexpr int kWriters = 3, kRounds = 6, kKeys = 40;
  const auto key_of = [](int writer, int key) {
    return "w" + std::to_string(writer) + "/" + std::to_string(100 + key);
  };
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      std::vector<std::string> keys;
      for (int i = 0; i < kKeys; ++i) keys.push_back(key_of(writer, i));
      for (int round = 0; round < kRounds; ++round) {
        std::string value = std::to_string(writer) + " " + std::to_string(round);
        if (round % 3 != 1) value.append(128 << 10, '.');
        std::vector<Change> changes;
        for (const auto& key : keys) changes.push_back({key, value});
        EXPECT_TRUE(store().apply(changes).ok());
        if (round == 2) {
          EXPECT_TRUE(store().remove_range(keys[0], keys[kKeys / 2]).ok());
        }
        if (round == 4) {
          EXPECT_TRUE(store().flush().ok());
        }
      }
    });
  }
  for (auto& writer : writers) writer.join();
  ASSERT_TRUE(store().flush().ok());
  subject_->reopen();
  for (int writer = 0; writer < kWriters; ++writer) {
    for (int i = 0; i < kKeys; ++i) {
      const std::string value = value_of(key_of(writer, i));
      EXPECT_EQ(value.substr(0, 3), std::to_string(writer) + " 5") << i;
      EXPECT_EQ(value.size(), 3u + (128u << 10));
    }
  }
}

TEST_P(KeyValueStoreSuite, MemoryIsAnswered) {
  must_apply({{"a", std::string(100000, 'x')}});
  EXPECT_GT(store().memory_bytes(), 100000u);
}

}  // namespace afdg::store
