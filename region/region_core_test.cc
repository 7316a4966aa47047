#include "region/region_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agents/entity_agent.h"
#include "region/testing/ledger_agent.h"
#include "region/testing/simulated_region.h"

namespace afdg::region {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::ledger_types;
using testing::shown;
using testing::SimulatedRegion;

class RegionCoreTest : public ::testing::Test {
 protected:
  using Answer = SimulatedRegion::Answer;

  void open(Options options = {}, log::MemoryLogStorage::Options log = {}) {
    region_ = std::make_unique<SimulatedRegion>(SimulatedRegion::Setup{RegionId(0), options, log},
                                                ledger_types(), clock_);
    ASSERT_TRUE(region_->start().ok());
  }
  RegionCore& core() { return region_->core(); }
  static std::string increment(std::string_view key, std::int64_t by) {
    v1::entity::Increment m;
    m.set_key(std::string(key));
    m.set_by(by);
    return m.SerializeAsString();
  }
  static std::int64_t value(const Answer& answer) {
    v1::entity::IncrementAnswer parsed;
    EXPECT_EQ(answer.code, Code::kOk) << answer.text;
    EXPECT_TRUE(parsed.ParseFromString(answer.text));
    return parsed.value();
  }
  /// Handles without sealing; the ticket.
  std::uint64_t handle(std::string_view key, std::string_view payload, Identity identity = {},
                       Want want = Want::kAnswer) {
    Inbound m{.type = "ledger",
              .key = key,
              .message = "Increment",
              .payload = payload,
              .want = want,
              .identity = identity,
              .ticket = ++ticket_};
    core().handle(m);
    return ticket_;
  }
  Answer ask(std::string_view key, std::string_view payload, Identity identity = {},
             Want want = Want::kAnswer) {
    const std::uint64_t ticket = handle(key, payload, identity, want);
    core().seal();
    region_->log().commit_all();
    EXPECT_TRUE(region_->answers.contains(ticket));
    return region_->answers[ticket];
  }
  Answer raw(Inbound m) {
    m.ticket = ++ticket_;
    core().handle(m);
    core().seal();
    region_->log().commit_all();
    EXPECT_TRUE(region_->answers.contains(m.ticket));
    return region_->answers[m.ticket];
  }
  std::string show(std::string_view key) {
    return shown(raw({.type = "ledger", .key = key, .message = "Get", .identity = {}}).text);
  }
  static Identity session(std::uint64_t id, std::uint64_t sequence, std::uint64_t below = 1) {
    Identity identity;
    identity.session = id;
    identity.sequence = sequence;
    identity.answered_below = below;
    return identity;
  }
  static Identity id(std::string_view request_id) {
    Identity identity;
    identity.request_id = request_id;
    return identity;
  }
  void restart() {
    region_->crash();
    ASSERT_TRUE(region_->start().ok());
  }
  std::size_t logged() { return region_->messages().size(); }

  ManualClock clock_;
  std::unique_ptr<SimulatedRegion> region_;
  std::uint64_t ticket_ = 0;
};

constexpr log::MemoryLogStorage::Options kManual{.commit = log::MemoryCommit::kManual};

TEST_F(RegionCoreTest, AnswersARequestAndKeepsItsState) {
  open();
  EXPECT_EQ(value(ask("alice", increment("x", 5))), 5);
  EXPECT_EQ(value(ask("alice", increment("x", 6))), 11);
  restart();
  EXPECT_EQ(show("alice"), "11; last x: 5 6");
  EXPECT_EQ(region_->check_marks(), "");
}

// Invariant 4
TEST_F(RegionCoreTest, NothingLeavesBeforeItsCommit) {
  open({}, kManual);
  const auto first = handle("alice", increment("x", 5), id("one"));
  const auto failing = handle("alice", increment("x", testing::kRefused));
  const auto repeat = handle("alice", increment("x", 5), id("one"));
  core().handle({.type = "ledger", .key = "alice", .message = "Get", .identity = {}, .ticket = ++ticket_});
  const auto read = ticket_;
  core().seal();
  EXPECT_TRUE(region_->answers.empty());
  core().handle({.type = "ledger", .key = "alice", .message = "Get", .identity = {}, .ticket = ++ticket_});
  core().seal();  // nothing to log, but the read saw what is not committed
  EXPECT_TRUE(region_->answers.empty());
  region_->log().commit_all();
  EXPECT_EQ(region_->answers.size(), 5U);
  EXPECT_EQ(value(region_->answers[first]), 5);
  EXPECT_EQ(region_->answers[failing].code, Code::kApplication);
  EXPECT_TRUE(region_->answers[repeat].repeated);
  EXPECT_EQ(shown(region_->answers[read].text), "5; last x: 5");
  // Nothing is under way: a read is answered when it is sealed.
  core().handle({.type = "ledger", .key = "alice", .message = "Get", .identity = {}, .ticket = ++ticket_});
  core().seal();
  EXPECT_TRUE(region_->answers.contains(ticket_));
}

// Invariant 14
TEST_F(RegionCoreTest, AFailedTurnLeavesNoTrace) {
  open();
  EXPECT_EQ(value(ask("alice", increment("x", 5))), 5);
  for (const std::int64_t by : {testing::kRefused, testing::kThrows}) {
    const Answer failed = ask("alice", increment(">bob", by));
    EXPECT_EQ(failed.code, by == testing::kRefused ? Code::kApplication : Code::kHandlerFailed);
    EXPECT_EQ(show("alice"), "5; last x: 5");
    EXPECT_EQ(show("bob"), "0");
  }
  EXPECT_EQ(value(ask("alice", increment("x", 1))), 6);  // its members are clean
  EXPECT_EQ(logged(), 4U);
}

// Invariant 8
TEST_F(RegionCoreTest, ARequestIdTakesEffectOnceAndGivesTheSameAnswer) {
  open();
  const Answer first = ask("alice", increment("x", 5), id("one"));
  const Answer failed = ask("alice", increment("x", testing::kRefused), id("bad"));
  for (int round = 0; round < 3; ++round) {
    const Answer again = ask("alice", increment("x", 5), id("one"));
    EXPECT_EQ(again.text, first.text);
    EXPECT_EQ(again.offset, first.offset);
    EXPECT_TRUE(again.repeated);
    const Answer failed_again = ask("alice", increment("x", testing::kRefused), id("bad"));
    EXPECT_EQ(failed_again.code, Code::kApplication);
    EXPECT_EQ(failed_again.text, failed.text);
    if (round == 0) restart();
    if (round == 1) region_->checkpoint();
  }
  EXPECT_EQ(ask("alice", increment("x", 6), id("one")).code, Code::kRequestIdReused);
  EXPECT_EQ(value(ask("bob", increment("x", 6), id("one"))), 6);  // scoped to the agent
  EXPECT_EQ(logged(), 3U);
}

TEST_F(RegionCoreTest, RequestIdsAreForgottenAfterTheirTime) {
  open();
  EXPECT_EQ(value(ask("alice", increment("x", 5), id("one"))), 5);
  region_->checkpoint();
  clock_.advance(24h);
  EXPECT_EQ(value(ask("alice", increment("x", 5), id("one"))), 10);
  region_->checkpoint();
  clock_.advance(25h);
  core().poll();
  region_->checkpoint();
  for (const auto& [key, stored] : region_->fold()) EXPECT_NE(key[0], 'r');
  EXPECT_EQ(region_->check_store(), "");
}

// Invariant 8
TEST_F(RegionCoreTest, ASessionsWindowIsKeptAndAcknowledged) {
  open();
  const Answer one = ask("alice", increment("x", 1), session(7, 1));
  ask("alice", increment("x", 1), session(7, 2));
  EXPECT_EQ(ask("alice", increment("x", 1), session(7, 1)).text, one.text);
  restart();
  EXPECT_EQ(ask("alice", increment("x", 1), session(7, 1)).text, one.text);
  EXPECT_EQ(value(ask("alice", increment("x", 1), session(7, 3, 3))), 3);
  EXPECT_EQ(ask("alice", increment("x", 1), session(7, 1, 3)).code, Code::kRequestExpired);
  EXPECT_EQ(logged(), 3U);
  std::size_t chunks = 0;
  for (const auto& [key, stored] : region_->fold()) chunks += key[0] == 'd';
  EXPECT_EQ(chunks, 1U);
}

TEST_F(RegionCoreTest, AnExpiredSessionIsRefusedAndItsRecordsGo) {
  open();
  ask("alice", increment("x", 1), session(7, 1));
  clock_.advance(16min);
  core().poll();
  EXPECT_EQ(core().info().sessions, 0U);
  EXPECT_EQ(ask("alice", increment("x", 1), session(7, 2, 2)).code, Code::kRequestExpired);
  EXPECT_EQ(logged(), 1U);
  for (const auto& [key, stored] : region_->fold()) EXPECT_TRUE(key[0] != 'd' && key[0] != 's');
}

TEST_F(RegionCoreTest, OneWayMessagesGetReceiptsAndFailedOnesGoToTheDead) {
  open();
  const Answer fine = ask("alice", increment("x", 1), {}, Want::kReceipt);
  EXPECT_EQ(fine.code, Code::kOk);
  EXPECT_EQ(fine.offset, Offset(0));
  const Answer failing = ask("alice", increment("x", testing::kRefused), {}, Want::kReceipt);
  EXPECT_EQ(failing.code, Code::kOk);
  EXPECT_EQ(failing.offset, Offset(1));
  EXPECT_EQ(core().info().dead_end, Offset(1));
}

TEST_F(RegionCoreTest, RefusesBeforeLogging) {
  Options options;
  options.message_bytes_max = 1000;
  open(options);
  const std::string payload = increment("x", 1);
  EXPECT_EQ(
      raw({.type = "nobody", .key = "a", .message = "Increment", .payload = payload, .identity = {}}).code,
      Code::kUnknownType);
  EXPECT_EQ(
      raw({.type = "ledger", .key = "a", .message = "Nothing", .payload = payload, .identity = {}}).code,
      Code::kUnknownMessage);
  EXPECT_EQ(
      raw({.type = "ledger", .key = "", .message = "Increment", .payload = payload, .identity = {}}).code,
      Code::kInvalidArgument);
  EXPECT_EQ(raw({.type = "ledger",
                 .key = std::string(1025, 'k'),
                 .message = "Increment",
                 .payload = payload,
                 .identity = {}})
                .code,
            Code::kInvalidArgument);
  EXPECT_EQ(ask("a", std::string(1001, 'x')).code, Code::kMessageTooLarge);
  EXPECT_EQ(ask("a", payload, id(std::string(257, 'i'))).code, Code::kInvalidArgument);
  EXPECT_EQ(
      raw({.type = "ledger", .key = "a", .message = "Get", .want = Want::kReceipt, .identity = {}}).code,
      Code::kInvalidArgument);
  EXPECT_EQ(raw({.type = "ledger",
                 .key = "a",
                 .message = "Increment",
                 .payload = payload,
                 .identity = {},
                 .deadline = clock_.deadline_time()})
                .code,
            Code::kDeadlineExceeded);
  const Answer json = raw({.type = "ledger",
                           .key = "a",
                           .message = "Increment",
                           .payload = R"({"nokey":1})",
                           .content = Content::kJson,
                           .identity = {}});
  EXPECT_EQ(json.code, Code::kUndecodable);
  EXPECT_THAT(json.text, HasSubstr("nokey"));
  const Answer odd =
      raw({.type = "l\xff", .key = "a", .message = "Increment", .payload = payload, .identity = {}});
  EXPECT_THAT(odd.text, HasSubstr("l\\xff"));
  EXPECT_EQ(logged(), 0U);
}

TEST_F(RegionCoreTest, ADeadlineStaysWhereItIsWhenTheWallClockJumps) {
  open();
  const std::string payload = increment("x", 1);
  const auto ask_until = [&](Timestamp deadline) {
    return raw({.type = "ledger",
                .key = "a",
                .message = "Increment",
                .payload = payload,
                .identity = {},
                .deadline = deadline})
        .code;
  };
  const Timestamp deadline = clock_.deadline_time() + std::chrono::seconds(2);
  clock_.jump(std::chrono::hours(24));
  EXPECT_EQ(ask_until(deadline), Code::kOk);
  clock_.jump(-std::chrono::hours(72));
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(ask_until(deadline), Code::kOk);
  clock_.advance(std::chrono::seconds(1));
  EXPECT_EQ(ask_until(deadline), Code::kDeadlineExceeded);
}

TEST_F(RegionCoreTest, UndecodableBytesAreALoggedAndRememberedError) {
  open();
  const Answer first = ask("a", "\xff\xff", id("bad"));
  EXPECT_EQ(first.code, Code::kUndecodable);
  EXPECT_EQ(ask("a", "\xff\xff", id("bad")).text, first.text);
  EXPECT_EQ(logged(), 1U);
}

TEST_F(RegionCoreTest, SpeaksJson) {
  open();
  const Answer answer = raw({.type = "ledger",
                             .key = "a",
                             .message = "Increment",
                             .payload = R"({"key":"x","by":"3"})",
                             .content = Content::kJson,
                             .identity = {}});
  EXPECT_EQ(answer.text, R"({"value":"3"})");
}

// Invariant 13
TEST_F(RegionCoreTest, RefusesWhatIsTooMuchBeforeAnythingChanges) {
  Options options;
  options.in_flight_bytes_max = 2000;
  open(options, kManual);
  std::uint64_t refused = 0;
  for (int i = 0; i < 100; ++i) {
    handle("a", increment("x", 1));
    core().seal();
  }
  region_->log().commit_all();
  for (const auto& [ticket, answer] : region_->answers) refused += answer.code == Code::kOverloaded;
  EXPECT_GT(refused, 50U);
  EXPECT_LT(refused, 100U);
  EXPECT_EQ(logged(), 100 - refused);
  EXPECT_EQ(value(ask("a", increment("x", 1))), static_cast<std::int64_t>(101 - refused));
}

// Invariant 13
TEST_F(RegionCoreTest, ATurnThatIsTooLargeLeavesNoTrace) {
  Options options;
  options.turn_bytes_max = 200;
  open(options);
  EXPECT_EQ(value(ask("a", increment("x", 1))), 1);
  const Answer large = ask("a", increment(std::string(200, 'k'), 1));
  EXPECT_EQ(large.code, Code::kMessageTooLarge);
  EXPECT_EQ(show("a"), "1; last x: 1");
}

// Invariant 13
TEST_F(RegionCoreTest, AFullOutboxRefusesTheTurn) {
  Options options;
  options.regions = 2;
  options.outbox_entries_max = 3;
  open(options);
  std::string here, there;
  for (int i = 0; here.empty() || there.empty(); ++i) {
    const std::string key = "a" + std::to_string(i);
    (key_partition(key, 2) == 0 ? here : there) = key;
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(here, increment(">" + there, 1)).code, Code::kOk);
  EXPECT_EQ(ask(here, increment(">" + there, 1)).code, Code::kOverloaded);
  EXPECT_EQ(show(here), "3; last >" + there + ": 1 1 1; sent " + there + ": 3");
  core().poll();
  ASSERT_EQ(region_->outgoing.size(), 3U);
  core().delivered(RegionId(1), 3);
  EXPECT_EQ(core().info().outbox, 0U);
  EXPECT_EQ(ask(here, increment(">" + there, 1)).code, Code::kOk);
  EXPECT_EQ(region_->check_marks(), "");
  // Invariant 6
  EXPECT_EQ(ask(there, increment("x", 1)).code, Code::kNotLeader);
}

// Invariant 7
TEST_F(RegionCoreTest, RepeatsFromASourceAreSkippedAndGapsRefused) {
  Options options;
  options.regions = 2;
  open(options);
  std::string here;
  for (int i = 0; here.empty(); ++i) {
    if (key_partition("a" + std::to_string(i), 2) == 0) here = "a" + std::to_string(i);
  }
  const auto from = [&](std::uint64_t number) {
    Identity identity;
    identity.source_region = 1;
    identity.source_number = number;
    return ask(here, increment("x", 1), identity, Want::kReceipt);
  };
  EXPECT_EQ(from(2).code, Code::kFailedPrecondition);
  EXPECT_EQ(from(1).code, Code::kOk);
  EXPECT_TRUE(from(1).repeated);
  EXPECT_EQ(from(2).code, Code::kOk);
  restart();
  EXPECT_TRUE(from(2).repeated);
  EXPECT_EQ(from(4).code, Code::kFailedPrecondition);
  EXPECT_EQ(logged(), 2U);
}

TEST_F(RegionCoreTest, MessagesToOwnAgentsRunInTheSameCommit) {
  open({}, kManual);
  handle("alice", increment(">bob", 1));
  core().seal();
  EXPECT_EQ(region_->log().undecided(), 1U);
  region_->log().commit_all();
  EXPECT_EQ(logged(), 2U);
  EXPECT_EQ(show("bob"), "0; got alice: 1");
}

TEST_F(RegionCoreTest, AnUnknownAppendIsInDoubtAndEndsTheCore) {
  open({}, kManual);
  for (const auto fate : {log::MemoryLogStorage::Unknown::kLost, log::MemoryLogStorage::Unknown::kKept}) {
    const std::size_t before = logged();
    const auto first = handle("a", increment("x", 1), id("one"));
    core().seal();
    const auto second = handle("a", increment("x", 1), id("two"));
    core().seal();
    const auto third = handle("a", increment("x", 1), id("three"));  // never appended
    region_->log().answer_unknown(fate);
    EXPECT_EQ(region_->answers[first].code, Code::kInDoubt);
    EXPECT_EQ(region_->answers[second].code, Code::kFenced);
    EXPECT_TRUE(region_->woken);
    core().poll();
    EXPECT_EQ(core().failed().code(), Code::kInDoubt);
    EXPECT_EQ(region_->answers[third].code, Code::kUnavailable);
    EXPECT_EQ(raw({.type = "ledger", .key = "a", .message = "Get", .identity = {}}).code, Code::kUnavailable);
    restart();
    EXPECT_EQ(logged(), before + (fate == log::MemoryLogStorage::Unknown::kKept ? 1 : 0));
  }
  EXPECT_EQ(value(ask("a", increment("x", 1), id("one"))), 1);
  EXPECT_EQ(value(ask("a", increment("x", 1), id("two"))), 2);
}

TEST_F(RegionCoreTest, AFullDiskRefusesAndNothingHappened) {
  open();
  EXPECT_EQ(value(ask("a", increment("x", 1))), 1);
  region_->log().set_disk_full(true);
  EXPECT_EQ(ask("a", increment("x", 1)).code, Code::kDiskFull);
  EXPECT_EQ(core().failed().code(), Code::kDiskFull);
  restart();
  EXPECT_EQ(show("a"), "1; last x: 1");  // reads go on
  region_->log().set_disk_full(false);
  EXPECT_EQ(value(ask("a", increment("x", 1))), 2);
}

TEST_F(RegionCoreTest, AStoreAheadOfTheLogIsRebuilt) {
  open();
  EXPECT_EQ(value(ask("a", increment("x", 1))), 1);
  const std::string mark("\1\xff\x7f\1", 4);  // says it holds changes up to 16383
  const store::Change changes[] = {{"r0/", mark}, {"r0/ajunk", "junk"}};
  region_->crash();
  ASSERT_TRUE(region_->store().apply(changes).ok());
  ASSERT_TRUE(region_->start().ok());
  EXPECT_EQ(show("a"), "1; last x: 1");
  region_->checkpoint();
  EXPECT_EQ(region_->check_store(), "");
}

TEST_F(RegionCoreTest, AStoreBelowTheTombstoneHorizonIsRebuilt) {
  open();
  ask("a", increment("x", 1));
  region_->checkpoint();
  ask("a", increment("x", 1));
  logged();  // the test has read it
  region_->log().set_tombstone_horizon(Offset(5));
  restart();
  EXPECT_EQ(core().info().checkpointed, Offset(0));
  EXPECT_EQ(show("a"), "2; last x: 1 1");
}

TEST_F(RegionCoreTest, AMessageThatEndsTheProcessThreeTimesIsPoison) {
  open({}, kManual);
  region_->deaths_at[0] = 1;  // it was not durable then, so it had no offset of its own
  restart();
  const auto ticket = handle("a", increment("x", 1), id("one"), Want::kReceipt);
  const auto repeat = handle("a", increment("x", 1), id("one"), Want::kReceipt);
  core().seal();
  core().poll();
  EXPECT_EQ(region_->running_now, -1);
  EXPECT_EQ(core().info().turns, 0U);  // durable first
  region_->log().commit_all();
  EXPECT_EQ(region_->answers.size(), 1U);  // the repeat has its receipt; the first waits for the turn
  EXPECT_TRUE(region_->answers.contains(repeat));
  region_->deaths_at[0] = 2;
  restart();
  // Its repeat finds it queued, and does not run again.
  core().poll();
  EXPECT_TRUE(core().info().turns == 1 && !region_->answers.contains(ticket));
  region_->crash();  // the turn was not committed
  region_->deaths_at[0] = 3;
  ASSERT_TRUE(region_->start().ok());
  ASSERT_TRUE(region_->settle().ok());
  EXPECT_EQ(core().info().dead_end, Offset(1));
  EXPECT_EQ(show("a"), "0");
  EXPECT_TRUE(ask("a", increment("x", 1), id("one"), Want::kReceipt).repeated);
  EXPECT_EQ(logged(), 1U);
}

// Invariant 8
TEST_F(RegionCoreTest, ARepeatOfALoggedButUnappliedMessageWaitsForItsTurn) {
  open({}, kManual);
  region_->deaths_at[0] = 1;
  restart();
  handle("a", increment("x", 5), id("one"));
  core().seal();
  region_->log().commit_all();  // logged; then the process dies before the turn
  restart();
  EXPECT_TRUE(core().info().recovering);
  EXPECT_EQ(raw({.type = "ledger", .key = "a", .message = "Get", .identity = {}}).code, Code::kUnavailable);
  ASSERT_TRUE(region_->settle().ok());
  EXPECT_EQ(value(ask("a", increment("x", 5), id("one"))), 5);
  EXPECT_EQ(logged(), 1U);
  EXPECT_EQ(show("a"), "5; last x: 5");
}

// Invariant 8
TEST_F(RegionCoreTest, ARepeatOfARecoveredMessageThatStillWaitsRunsOnce) {
  constexpr int kMessages = 600;  // more than one poll runs
  open({}, kManual);
  region_->deaths_at[kMessages - 1] = 1;  // so all of them are logged before they run
  restart();
  for (int i = 0; i < kMessages; ++i) handle("a", increment("x", 1), id("id " + std::to_string(i)));
  core().seal();
  region_->log().commit_all();
  region_->deaths_at.clear();
  restart();
  EXPECT_TRUE(core().poll());
  EXPECT_LT(core().info().applied, Offset(kMessages));
  const auto repeat = handle("a", increment("x", 1), id("id " + std::to_string(kMessages - 1)));
  const auto reused = handle("a", increment("x", 2), id("id " + std::to_string(kMessages - 1)));
  ASSERT_TRUE(region_->settle().ok());
  EXPECT_EQ(logged(), static_cast<std::size_t>(kMessages));
  EXPECT_EQ(value(region_->answers[repeat]), kMessages);
  EXPECT_EQ(region_->answers[reused].code, Code::kRequestIdReused);
  EXPECT_EQ(value(ask("a", increment("x", 0))), kMessages);
}

TEST_F(RegionCoreTest, IdleAgentsLeaveMemoryAndComeBack) {
  Options options;
  options.live_bytes_max = 20'000;
  open(options);
  for (int i = 0; i < 1000; ++i) ask("a" + std::to_string(i), increment("x", i));
  EXPECT_LT(core().info().live_agents, 100U);
  EXPECT_EQ(show("a7"), "7; last x: 7");
  region_->checkpoint();
  EXPECT_EQ(show("a8"), "8; last x: 8");
}

TEST_F(RegionCoreTest, ListsAndShowsAgents) {
  open();
  for (const char* key : {"b", "a", "ab", "c"}) ask(key, increment("x", 1));
  region_->checkpoint();
  ask("aa", increment("x", 1));
  EXPECT_EQ(core().list_agents("ledger", "", "", 10).value(),
            (std::vector<std::string>{"a", "aa", "ab", "b", "c"}));
  EXPECT_EQ(core().list_agents("ledger", "a", "a", 1).value(), (std::vector<std::string>{"aa"}));
  EXPECT_EQ(core().list_agents("ledger", "b", "", 10).value(), (std::vector<std::string>{"b"}));
  const auto items = core().show_agent("ledger", "a", 10).value();
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].entity, "last");
  EXPECT_EQ(items[0].key, "x");
  EXPECT_EQ(items[1].entity, "total");
  EXPECT_EQ(core().show_agent("ledger", "nobody", 10).code(), Code::kNotFound);
}

TEST_F(RegionCoreTest, ACheckpointHoldsCommittedStateOnly) {
  open({}, kManual);
  handle("a", increment("x", 1));
  EXPECT_FALSE(core().begin_checkpoint(true));  // appended, not committed
  region_->log().commit_all();
  handle("a", increment("x", 2));
  ASSERT_TRUE(region_->checkpoint());  // without the turn that came after it was frozen
  EXPECT_EQ(region_->check_store(), "");
  core().seal();
  region_->store().refuse_writes(fail(Code::kDiskFull));
  region_->log().commit_all();
  EXPECT_FALSE(region_->checkpoint());  // refused by the store: it is tried again
  region_->store().refuse_writes(std::nullopt);
  EXPECT_TRUE(region_->checkpoint());
  EXPECT_EQ(region_->check_store(), "");
  EXPECT_EQ(show("a"), "3; last x: 1 2");
}

}  // namespace
}  // namespace afdg::region
