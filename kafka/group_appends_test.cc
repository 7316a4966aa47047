#include "kafka/broker/group_appends.h"

#include <gtest/gtest.h>

namespace afdg::kafka {
namespace {

std::vector<GroupAppends::Token> tokens(const GroupAppends::Ended& ended) {
  std::vector<GroupAppends::Token> out;
  for (const auto& [token, status] : ended) out.push_back(token);
  return out;
}
using Tokens = std::vector<GroupAppends::Token>;

TEST(GroupAppends, ARefusalWaitsForEarlierAppendsOfItsPartition) {
  GroupAppends appends;
  for (const GroupAppends::Token token : {1, 2, 3, 4}) appends.begin(0, token);
  appends.begin(1, 5);
  EXPECT_TRUE(appends.ended(0, 2, fail(Code::kOverloaded, "the log is full")).empty());
  EXPECT_TRUE(appends.ended(0, 3, fail(Code::kOverloaded, "the log is full")).empty());
  EXPECT_EQ(tokens(appends.ended(1, 5, fail(Code::kOverloaded, "the log is full"))), Tokens{5})
      << "another partition waits for nobody";
  const auto first = appends.ended(0, 1, {});
  EXPECT_EQ(tokens(first), (Tokens{1, 2, 3}));
  EXPECT_TRUE(first[0].second.ok());
  EXPECT_EQ(first[1].second.code(), Code::kOverloaded);
  EXPECT_EQ(tokens(appends.ended(0, 4, {})), Tokens{4});
}

TEST(GroupAppends, WhatNobodyPrecedesIsToldAtOnce) {
  GroupAppends appends;
  appends.begin(7, 1);
  EXPECT_EQ(tokens(appends.ended(7, 1, fail(Code::kNotLeader, "led elsewhere"))), Tokens{1});
  appends.begin(7, 2);
  EXPECT_EQ(tokens(appends.ended(7, 2, {})), Tokens{2});
}

}  // namespace
}  // namespace afdg::kafka
