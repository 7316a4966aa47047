#pragma once

#include <optional>
#include <string>
#include <utility>

#include "log/groups/testing/member.h"

namespace afdg::log::groups::testing {

/// Two members of group "g" in Stable, static ones when they are given instance ids.
struct Pair {
  Pair(Driver& driver, std::optional<std::string> instance_a = {}, std::optional<std::string> instance_b = {})
      : d(driver), a(d, "g", "a", std::move(instance_a)), b(d, "g", "b", std::move(instance_b)) {
    for (TestMember* m : {&a, &b}) {
      m->join();
      if (m->error_or_none() == Errors::kMemberIdRequired) m->join();
    }
    d.pass(milliseconds(10'000));
    EXPECT_TRUE(a.joined() && b.joined());
    leader = a.leads() ? &a : &b;
    follower = a.leads() ? &b : &a;
    settle();
  }
  void settle() {
    follower->sync();
    leader->sync({{a.id, "for a"}, {b.id, "for b"}});
    EXPECT_EQ(d.describe("g").state, "Stable");
  }
  Driver& d;
  TestMember a, b;
  TestMember* leader;
  TestMember* follower;
};

}  // namespace afdg::log::groups::testing
