#include <gtest/gtest.h>

#include <functional>

#include "region/testing/region_trace.h"
#include "region/testing/simulated_region.h"

namespace afdg::region {
namespace {

using testing::repeat_line;
using testing::run_outbox_trace;
using testing::run_region_trace;
using testing::test_seed;

// Invariant 1
// Invariant 2
// Invariant 3
// Invariant 4
// Invariant 5
// Invariant 8
// Invariant 12
// Invariant 14
TEST(RegionProperty, EqualsAMapThroughCrashes) {
  std::uint64_t seed = test_seed();
  for (int i = 0; i < 100; ++i, ++seed) {
    ASSERT_EQ(run_region_trace(seed, Options{}), "")
        << repeat_line("RegionProperty.EqualsAMapThroughCrashes", seed);
  }
}

// Invariant 4
// Invariant 6
// Invariant 7
// Invariant 8
TEST(RegionProperty, MessagesBetweenRegionsArriveOnceAndInOrder) {
  std::uint64_t seed = test_seed();
  for (int i = 0; i < 100; ++i, ++seed) {
    ASSERT_EQ(run_outbox_trace(seed, Options{}, {.steps = 500, .agents = 6}), "")
        << repeat_line("RegionProperty.MessagesBetweenRegionsArriveOnceAndInOrder", seed);
  }
}

// Which of the first seeds shows the bug; 0: none does.
std::uint64_t caught_at(const Options& planted,
                        const std::function<std::string(std::uint64_t, const Options&)>& run,
                        std::string* what) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    *what = run(seed, planted);
    if (!what->empty()) return seed;
  }
  return 0;
}
std::string region_trace(std::uint64_t seed, const Options& options) {
  return run_region_trace(seed, options);
}
std::string outbox_trace(std::uint64_t seed, const Options& options) {
  return run_outbox_trace(seed, options, {.steps = 500, .agents = 6});
}

TEST(RegionPlantedBugs, RepeatsThatRunAgainAreCaught) {
  Options planted;
  planted.plant_no_dedup = true;
  std::string what;
  EXPECT_NE(caught_at(planted, region_trace, &what), 0U);
  EXPECT_NE(what.find("Invariant 8"), std::string::npos) << what;
}

TEST(RegionPlantedBugs, ProducedBatchesThatAreTakenAgainAreCaught) {
  Options planted;
  planted.plant_no_dedup = true;
  std::string what;
  EXPECT_NE(caught_at(planted, outbox_trace, &what), 0U);
  EXPECT_NE(what.find("Invariant 8: producer"), std::string::npos) << what;
}

TEST(RegionPlantedBugs, RepliesBeforeTheCommitAreCaught) {
  Options planted;
  planted.plant_reply_before_commit = true;
  std::string what;
  EXPECT_NE(caught_at(planted, region_trace, &what), 0U);
  EXPECT_NE(what.find("Invariant 4"), std::string::npos) << what;
}

TEST(RegionPlantedBugs, AWindowThatIsNotStoredIsCaught) {
  Options planted;
  planted.plant_dedup_not_stored = true;
  std::string what;
  EXPECT_NE(caught_at(planted, region_trace, &what), 0U);
}

TEST(RegionPlantedBugs, AnOutboxEntryDeletedTooEarlyIsCaught) {
  Options planted;
  planted.plant_outbox_deleted_early = true;
  std::string what;
  EXPECT_NE(caught_at(planted, outbox_trace, &what), 0U);
}

}  // namespace
}  // namespace afdg::region
