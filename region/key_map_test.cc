#include "region/internal/key_map.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/clock.h"
#include "region/testing/simulated_region.h"

namespace afdg::region {
namespace {

TEST(HashSlots, FindsWhatIsThereThroughErasures) {
  const std::uint64_t seed = testing::test_seed();
  SCOPED_TRACE(testing::repeat_line("HashSlots.FindsWhatIsThereThroughErasures", seed));
  SeededRandom random(seed);
  HashSlots<const std::uint64_t> slots;
  std::map<std::uint64_t, const std::uint64_t*> model;
  std::vector<std::unique_ptr<std::uint64_t>> owned;
  const auto hash = [](std::uint64_t key) { return key % 7 == 0 ? 3 : key * 5; };  // many collide
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t key = random.next() % 200;
    const auto* found = slots.find(hash(key), [&](std::uint64_t at) { return at == key; });
    const auto at = model.find(key);
    ASSERT_EQ(found, at == model.end() ? nullptr : at->second);
    if (found == nullptr) {
      owned.push_back(std::make_unique<std::uint64_t>(key));
      slots.insert(hash(key), owned.back().get());
      model[key] = owned.back().get();
    } else if (random.next() % 3 == 0) {
      owned.push_back(std::make_unique<std::uint64_t>(key));
      slots.replace(hash(key), found, owned.back().get());
      model[key] = owned.back().get();
    } else {
      slots.erase(hash(key), found);
      model.erase(at);
    }
    ASSERT_EQ(slots.size(), model.size());
  }
  std::size_t visited = 0;
  slots.for_each([&](std::uint64_t key) { visited += model.contains(key); });
  EXPECT_EQ(visited, model.size());
}

TEST(KeyMap, HoldsWhatWasPutLast) {
  const std::uint64_t seed = testing::test_seed();
  SCOPED_TRACE(testing::repeat_line("KeyMap.HoldsWhatWasPutLast", seed));
  SeededRandom random(seed);
  KeyMap map;
  std::map<std::string, std::optional<std::string>> model;
  for (int step = 0; step < 20'000; ++step) {
    const std::string key(random.next() % 20, static_cast<char>('a' + random.next() % 9));
    std::optional<std::string> value;
    if (random.next() % 4 != 0) value = std::string(random.next() % 100, 'v');
    const bool known = model.contains(key);
    const void* going = nullptr;
    const auto put = map.put(key, value, [&](const KeyMap::Entry& old) {
      EXPECT_EQ(old.key(), key);
      going = &old;
    });
    EXPECT_EQ(put.inserted, !known);
    EXPECT_EQ(put.moved, going != nullptr);
    model[key] = value;
    ASSERT_EQ(put.entry, map.find(key));
    ASSERT_EQ(put.entry->key(), key);
    ASSERT_EQ(put.entry->value(), value);
  }
  EXPECT_EQ(map.size(), model.size());
  KeyMap moved = std::move(map);
  EXPECT_EQ(map.size(), 0U);
  moved.for_each(
      [&](const KeyMap::Entry& entry) { EXPECT_EQ(entry.value(), model.at(std::string(entry.key()))); });
}

}  // namespace
}  // namespace afdg::region
