#include <gtest/gtest.h>

#include <set>

#include "region/testing/ledger_agent.h"
#include "region/testing/simulated_region.h"

namespace afdg::region {
namespace {

using testing::LedgerModel;
using testing::SimulatedRegion;

enum class Fate : std::uint8_t { kLost, kCommittedUnanswered, kUnknownKept, kUnknownLost, kDiskFull, kCount };

/// One fixed trace; at append number `at` the fate strikes, and the store goes back to its state number
/// `store_state`. Every call is tried again until it is answered. Returns what is wrong; counts appends and
/// store states.
class Trace {
 public:
  std::string run(int at, Fate fate, std::uint64_t store_state) {
    at_ = at;
    fate_ = fate;
    store_state_ = store_state;
    if (!region_.start().ok()) return "it does not open";
    for (int i = 0; i < kCalls && problem_.empty(); ++i) {
      ask(i);
      if (i % 3 == 2) settle();
      if (i % 5 == 4) region_.checkpoint();
    }
    for (int round = 0; round < 5 && problem_.empty(); ++round) {
      settle();
      for (int i = 0; i < kCalls; ++i) {
        if (!answered_.contains(i)) ask(i);
      }
    }
    if (!problem_.empty()) return problem_;
    if (answered_.size() != kCalls) return "a call was not answered";
    return judge();
  }
  [[nodiscard]] int appends() const { return appends_; }
  [[nodiscard]] std::uint64_t store_states() { return region_.store().state(); }

 private:
  static constexpr int kCalls = 24;

  static SimulatedRegion::Setup setup() {
    SimulatedRegion::Setup setup{RegionId(0), Options{}, {}};
    setup.log.commit = log::MemoryCommit::kManual;
    return setup;
  }
  static std::string agent(int i) { return "a" + std::to_string(i % 3); }
  static std::string payload(int i) {
    v1::entity::Increment m;
    m.set_key(i % 4 == 0 ? ">a" + std::to_string((i + 1) % 3) : "x");
    m.set_by(i);  // 13 and 14 fail
    return m.SerializeAsString();
  }
  void ask(int i) {
    const std::string bytes = payload(i), key = agent(i), id = "id " + std::to_string(i);
    Inbound m{.type = "ledger", .key = key, .message = "Increment", .payload = bytes};
    if (i % 2 == 0) {
      m.identity.request_id = id;
    } else {
      m.identity.session = 9;
      m.identity.sequence = static_cast<std::uint64_t>(i / 2 + 1);
    }
    m.ticket = ++ticket_;
    calls_[ticket_] = i;
    region_.core().handle(m);
  }
  void settle() {
    for (int i = 0; i < 3 && problem_.empty(); ++i) {
      if (fate_ == Fate::kDiskFull && appends_ == at_) {
        region_.log().set_disk_full(true);
        ++appends_;
      }
      region_.core().poll();
      region_.log().set_disk_full(false);
      while (region_.log().undecided() > 0 && problem_.empty()) {
        if (appends_++ != at_) {
          region_.log().commit_one();
        } else if (fate_ == Fate::kLost) {
          crash();
        } else if (fate_ == Fate::kCommittedUnanswered) {
          region_.log().commit_one();
          region_.answers.clear();
          crash();
        } else {
          region_.log().answer_unknown(fate_ == Fate::kUnknownKept ? log::MemoryLogStorage::Unknown::kKept
                                                                   : log::MemoryLogStorage::Unknown::kLost);
        }
      }
      if (!region_.core().failed().ok()) {
        region_.core().poll();
        crash();
      }
      take_answers();
    }
  }
  void crash() {
    take_answers();
    region_.crash();
    if (!region_.store().revert_to(std::min(store_state_, region_.store().state())).ok())
      problem_ = "no such state";
    if (!region_.start().ok()) problem_ = "it does not open again";
  }
  void take_answers() {
    for (const auto& [ticket, answer] : region_.answers) {
      if (answer.offset.value() < 0) continue;
      const int call = calls_.at(ticket);
      const auto [at, inserted] = answered_.emplace(call, answer.text);
      if (!inserted && at->second != answer.text) problem_ = "two answers";
    }
    region_.answers.clear();
    if (!region_.violation.empty()) problem_ = region_.violation;
  }
  std::string judge() {
    LedgerModel model;
    std::set<std::string> seen;
    const std::size_t count = region_.messages().size();
    for (std::size_t i = 0; i < count; ++i) {
      const MessageView message = region_.message(i);
      std::string identity(message.identity.request_id);
      if (message.identity.session != 0) identity = std::to_string(message.identity.sequence);
      if (!identity.empty() && !seen.insert(identity).second) return "'" + identity + "' ran twice";
      model.apply(message);
    }
    if (seen.size() != kCalls) return "an answered call is not in the log";
    if (const std::string marks = region_.check_marks(); !marks.empty()) return marks;
    if (const std::string store = region_.check_store(); !store.empty()) return store;
    for (int i = 0; i < 3; ++i) {
      const std::string key = agent(i);
      region_.core().handle({.type = "ledger", .key = key, .message = "Get", .ticket = ++ticket_});
      region_.core().seal();
      if (testing::shown(region_.answers[ticket_].text) != model.show(key))
        return key + " holds something else";
    }
    return {};
  }

  int at_ = -1;
  Fate fate_ = Fate::kLost;
  std::uint64_t store_state_ = 0;
  ManualClock clock_;
  SimulatedRegion region_{setup(), testing::ledger_types(), clock_};
  std::map<std::uint64_t, int> calls_;
  std::map<int, std::string> answered_;
  std::uint64_t ticket_ = 0;
  int appends_ = 0;
  std::string problem_;
};

// Invariant 2
// Invariant 3
// Invariant 5
// Invariant 8
TEST(RegionCrash, AtEveryAppendWithTheStoreAtAnyState) {
  Trace undisturbed;
  ASSERT_EQ(undisturbed.run(-1, Fate::kLost, 0), "");
  ASSERT_GT(undisturbed.appends(), 8);
  ASSERT_GE(undisturbed.store_states(), 3U);
  for (int at = 0; at < undisturbed.appends(); ++at) {
    for (std::uint8_t fate = 0; fate < static_cast<std::uint8_t>(Fate::kCount); ++fate) {
      for (std::uint64_t state = 0; state <= undisturbed.store_states(); ++state) {
        ASSERT_EQ(Trace().run(at, static_cast<Fate>(fate), state), "")
            << "append " << at << ", fate " << int{fate} << ", store state " << state;
      }
    }
  }
}

}  // namespace
}  // namespace afdg::region
