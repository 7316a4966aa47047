#include "log/gather.h"

#include <gtest/gtest.h>

#include <random>

namespace afdg::log {
namespace {

TEST(Gather, GivesWhatWasAddedInItsOrderAndPointsAtWhatIsLarge) {
  std::mt19937 random(7);
  Gather gather;
  for (int round = 0; round < 200; ++round) {
    gather.clear();
    std::vector<std::string> added(random() % 20);
    std::string all;
    for (std::size_t i = 0; i < added.size(); ++i) {
      const std::size_t sizes[] = {0, 1, 100, Gather::kCopiedBytes - 1, Gather::kCopiedBytes, 40'000};
      added[i].assign(sizes[random() % std::size(sizes)], static_cast<char>('a' + i));
      gather.add(added[i]);
      all += added[i];
    }
    std::string got;
    for (const std::string_view piece : gather.pieces()) {
      got += piece;
      if (piece.empty() || piece.size() < Gather::kCopiedBytes) continue;
      const auto owner = static_cast<std::size_t>(piece.front() - 'a');
      EXPECT_TRUE(piece.data() == added[owner].data() || added[owner].size() < Gather::kCopiedBytes)
          << "a large one was copied";
    }
    ASSERT_EQ(got, all);
  }
}

}  // namespace
}  // namespace afdg::log
