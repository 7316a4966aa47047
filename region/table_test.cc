#include "region/table.h"

#include <gtest/gtest.h>

#include <map>

#include "base/clock.h"
#include "region/state_key.h"
#include "region/testing/simulated_region.h"
#include "store/key_value_store.h"

namespace afdg::region {
namespace {

using testing::repeat_line;
using testing::test_seed;

std::string item(std::string_view entity, std::string_view key, std::int64_t sequence) {
  std::string out;
  put_list_prefix(out, "t", "a", entity, key);
  put_sequence(out, sequence);
  return out;
}

TEST(StateTable, KnowsWhichItemsFollowEachOther) {
  EXPECT_TRUE(follows(item("e", "k", 0), item("e", "k", -1)));
  EXPECT_TRUE(follows(item("e", "k", 256), item("e", "k", 255)));
  EXPECT_FALSE(follows(item("e", "k", 2), item("e", "k", 0)));
  EXPECT_FALSE(follows(item("e", "k", 0), item("e", "k", 1)));
  EXPECT_FALSE(follows(item("e", "l", 1), item("e", "k", 0)));
  EXPECT_FALSE(follows("", item("e", "k", 0)));
}

// One entity whose items are put, erased, frozen, written and refused at random; its layers read as one map.
TEST(StateTable, ReadsItsLayersAsOneMap) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(repeat_line("StateTable.ReadsItsLayersAsOneMap", seed));
  SeededRandom random(seed);
  const auto store = store::make_memory_store();
  StateTable table(*store, "r0/");
  std::map<std::string, std::string> model;
  const std::string single = item("e", "", 0);
  const auto any = [&] {
    static constexpr const char* kKeys[] = {"", "", "k", "k", "l"};
    return item("e", kKeys[random.next() % 5], static_cast<std::int64_t>(random.next() % 12) - 4);
  };
  for (int step = 0; step < 20'000; ++step) {
    const std::string key = any();
    switch (random.next() % 8) {
      case 0:
        if (!table.frozen()) {
          table.freeze();
        } else if (random.next() % 4 == 0) {
          table.thaw(false);
        } else {
          ASSERT_TRUE(StateTable::write(
                          {{table.frozen_layer().get(), table.prefix(), {Offset(step), Epoch(1)}}}, *store)
                          .ok());
          table.thaw(true);
        }
        break;
      case 1:
      case 2:
        table.put(key, std::to_string(step));
        model[key] = std::to_string(step);
        break;
      case 3:
      case 4:
      case 5:
        table.erase(key);
        model.erase(key);
        break;
      default: {
        std::string from = key, to = any();
        if (to < from) std::swap(from, to);
        if (random.next() % 2 == 0) {
          from = item("e", "k", INT64_MIN);
          to = prefix_end(std::string_view(from).substr(0, from.size() - 8));
        }
        std::map<std::string, std::string> seen;
        ASSERT_TRUE(
            table
                .scan_items(from, to, single,
                            [&](std::string_view k, std::string_view v) { return seen.emplace(k, v).second; })
                .ok());
        const std::map<std::string, std::string> expected(model.lower_bound(from), model.lower_bound(to));
        ASSERT_EQ(seen, expected) << "step " << step;
        const auto last = table.last_item(from, to, single).value();
        ASSERT_EQ(last, expected.empty() ? std::nullopt : std::optional(expected.rbegin()->first))
            << "step " << step;
        const auto found = model.find(key);
        ASSERT_EQ(table.get(key).value(), found == model.end() ? std::nullopt : std::optional(found->second));
      }
    }
  }
}

}  // namespace
}  // namespace afdg::region
