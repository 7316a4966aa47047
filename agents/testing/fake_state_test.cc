#include "agents/testing/fake_state.h"

#include "agents/testing/agent_state_suite.h"

namespace afdg::agents::testing {
namespace {
struct FakeHarness {
  AgentState& state() { return fake; }
  void begin() {}
  void commit() { fake.commit(); }
  void abort() { fake.abort(); }
  void reopen() {}
  FakeState fake{"k"};
};
}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, AgentStateSuite, FakeHarness);

}  // namespace afdg::agents::testing
