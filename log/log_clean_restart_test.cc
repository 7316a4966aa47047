#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "log/batch.h"
#include "log/log.h"
#include "log/testing/compacted_log.h"
#include "log/verify.h"

// What is left of compaction when a node stops, in order or not: the records, and how far it came.
namespace afdg::log {
namespace {

using store::Survival;
using testing::Cleaned;
using testing::first_seed;
using testing::kA;
using testing::read_all;

struct Restarted : Cleaned {
  explicit Restarted(std::uint64_t seed) : Cleaned(seed) { topic.min_cleanable_dirty_ratio = 0; }
  /// Committed, with no checkpoint behind it.
  Status append_without_point(int batches) {
    for (int i = 0; i < batches; ++i) {
      AFDG_TRY(log->append(kA, batch(), Epoch(1), nullptr).status());
      log->pump();
    }
    return {};
  }
  bool clean() {
    bool any = false;
    while (log->clean()) any = true;
    return any;
  }
  void kill(Survival survival) {
    fs.fail_at(fs.operations() + 1, store::Fault::kCrash);
    log.reset();
    fs.crash(survival, random.next());
  }
};

TEST(LogCleanRestart, AKillAfterACleaningFindsWhereTheJournalGoesOn) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 20; ++seed) {
    SCOPED_TRACE("repeat with AFDG_SEED=" + std::to_string(seed));
    Restarted c(seed);
    ASSERT_TRUE(c.open().ok() && c.append(40).ok() && c.append_without_point(60).ok());
    ASSERT_TRUE(c.clean());
    c.kill(seed % 2 == 0 ? Survival::kNothing : Survival::kEverything);
    ASSERT_TRUE(c.open().ok());
    ASSERT_TRUE(c.log->describe(kA)->fault.ok()) << c.log->describe(kA)->fault.to_string();
    ASSERT_EQ(read_all(*c.log)->fold, c.model);
  }
}

}  // namespace
}  // namespace afdg::log
