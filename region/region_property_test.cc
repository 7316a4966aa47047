#include <gtest/gtest.h>

#include "region/testing/region_trace.h"
#include "region/testing/simulated_region.h"

namespace afdg::region {
namespace {

using testing::repeat_line;
using testing::run_region_trace;

// Invariant 1
// Invariant 2
// Invariant 3
// Invariant 4
// Invariant 5
// Invariant 8
// Invariant 12
// Invariant 14
TEST(RegionProperty, EqualsAMapThroughCrashes) {
  std::uint64_t seed = testing::test_seed();
  for (int i = 0; i < 60; ++i, ++seed) {
    const std::string violation = run_region_trace(seed, Options{});
    ASSERT_EQ(violation, "") << repeat_line("RegionProperty.EqualsAMapThroughCrashes", seed);
  }
}

}  // namespace
}  // namespace afdg::region
