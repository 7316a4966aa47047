#include "region/sessions.h"

#include <gtest/gtest.h>

#include "region/state_key.h"

namespace afdg::region {
namespace {

using Verdict = Sessions::Verdict;

class SessionsTest : public ::testing::Test {
 protected:
  static Identity call(std::uint64_t session, std::uint64_t sequence, std::uint64_t below = 1) {
    Identity identity;
    identity.session = session;
    identity.sequence = sequence;
    identity.answered_below = below;
    return identity;
  }
  void record(const Identity& identity, std::string text) {
    ASSERT_EQ(sessions_.look(identity, clock_.now()).verdict, Verdict::kNew);
    sessions_.record(identity, {.offset = Offset(0), .text = std::move(text)}, clock_.now());
  }
  void seal() {
    ++batch_;
    sessions_.seal(batch_, [&](std::string_view key, std::optional<std::string_view> value) {
      if (value) {
        stored_[std::string(key)] = *value;
      } else {
        EXPECT_EQ(stored_.erase(std::string(key)), 1U);
      }
    });
    EXPECT_FALSE(sessions_.dirty());
    EXPECT_EQ(sessions_.open_bytes(), 0U);
  }
  std::size_t count(KeyKind kind) const {
    std::size_t found = 0;
    for (const auto& [key, value] : stored_) found += key[0] == static_cast<char>(kind);
    return found;
  }
  Status load(Sessions& into) {
    for (const auto& [key, value] : stored_) {
      if (key[0] == static_cast<char>(KeyKind::kSession))
        AFDG_TRY(into.load_session(key, value, clock_.now()));
    }
    for (const auto& [key, value] : stored_) {
      if (key[0] == static_cast<char>(KeyKind::kChunk)) AFDG_TRY(into.load_chunk(key, value));
    }
    return {};
  }

  ManualClock clock_;
  Options options_{.session_window_max = 4, .sessions_max = 2};
  Sessions sessions_{options_};
  std::map<std::string, std::string> stored_;
  std::int64_t batch_ = 0;
};

TEST_F(SessionsTest, RepeatsGetTheirAnswerInAnyOrder) {
  record(call(1, 2), "two");
  record(call(1, 1), "one");
  EXPECT_EQ(sessions_.look(call(1, 2), clock_.now()).outcome->text, "two");
  seal();
  EXPECT_EQ(count(KeyKind::kChunk), 1U);
  Sessions again(options_);
  ASSERT_TRUE(load(again).ok());
  EXPECT_EQ(again.look(call(1, 1), clock_.now()).outcome->text, "one");
  EXPECT_EQ(again.look(call(1, 3), clock_.now()).verdict, Verdict::kNew);
}

TEST_F(SessionsTest, WholeChunksGoWhenTheyAreAcknowledged) {
  record(call(1, 1), "one");
  record(call(1, 2), "two");
  seal();
  record(call(1, 3, 2), "three");
  seal();
  EXPECT_EQ(count(KeyKind::kChunk), 2U);  // "two" is still wanted
  EXPECT_EQ(sessions_.look(call(1, 1, 2), clock_.now()).verdict, Verdict::kExpired);
  EXPECT_EQ(sessions_.look(call(1, 2, 2), clock_.now()).verdict, Verdict::kRepeat);
  record(call(1, 4, 4), "four");
  seal();
  EXPECT_EQ(count(KeyKind::kChunk), 1U);
  Sessions again(options_);
  ASSERT_TRUE(load(again).ok());
  EXPECT_EQ(again.look(call(1, 3, 1), clock_.now()).verdict, Verdict::kExpired);
}

TEST_F(SessionsTest, BoundsRefuse) {
  for (std::uint64_t i = 1; i <= 4; ++i) record(call(1, i), "x");
  EXPECT_EQ(sessions_.look(call(1, 5), clock_.now()).verdict, Verdict::kFull);
  EXPECT_EQ(sessions_.look(call(1, 5, 2), clock_.now()).verdict, Verdict::kNew);
  record(call(2, 1), "x");
  EXPECT_EQ(sessions_.look(call(3, 1), clock_.now()).verdict, Verdict::kFull);
}

TEST_F(SessionsTest, AnAnswerThatIsAcknowledgedBeforeItsTurnIsNotKept) {
  ASSERT_EQ(sessions_.look(call(1, 1), clock_.now()).verdict, Verdict::kNew);
  record(call(1, 2), "two");
  ASSERT_EQ(sessions_.look(call(1, 3, 3), clock_.now()).verdict, Verdict::kNew);
  sessions_.record(call(1, 1), {.text = "one"}, clock_.now());
  sessions_.record(call(1, 1u << 30), {.text = "far"}, clock_.now());
  seal();
  EXPECT_EQ(count(KeyKind::kChunk), 0U);
  EXPECT_EQ(sessions_.look(call(1, 1, 3), clock_.now()).verdict, Verdict::kExpired);
}

// After a crash the stored `below` may lie further back than the one with which a queued message was
// admitted.
TEST_F(SessionsTest, AnAnswerBeyondTheLimitIsKeptWhenItsMessageWasLogged) {
  record(call(1, 1), "one");
  sessions_.record(call(1, 1 + options_.session_window_max), {.text = "late"}, clock_.now());
  EXPECT_EQ(sessions_.look(call(1, 1 + options_.session_window_max), clock_.now()).verdict, Verdict::kRepeat);
}

// A window that moves on against a map, over every alignment of its ring.
TEST_F(SessionsTest, AWindowIsAMapThatMovesOn) {
  std::map<std::uint64_t, std::string> model;
  AnswerWindow window;
  SeededRandom random(7);
  std::uint64_t low = 1;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t sequence = low + random.next() % 40;
    if (random.next() % 4 != 0) {
      window.put(sequence, {.text = std::to_string(step)});
      model[sequence] = std::to_string(step);
    } else {
      low += random.next() % (step % 100 == 0 ? 2000 : 9);
      std::size_t removed = 0;
      window.raise(low, [&](const Outcome&) { ++removed; });
      const auto end = model.lower_bound(low);
      ASSERT_EQ(removed, static_cast<std::size_t>(std::distance(model.begin(), end)));
      model.erase(model.begin(), end);
    }
    ASSERT_EQ(window.takes(low - 1), false);
    const std::uint64_t probe = low + random.next() % 64;
    const Outcome* found = window.find(probe);
    ASSERT_EQ(found != nullptr, model.contains(probe));
    if (found != nullptr) ASSERT_EQ(found->text, model[probe]);
  }
}

TEST_F(SessionsTest, AForgottenSessionIsToldFromANewOne) {
  record(call(1, 1), "one");
  seal();
  clock_.advance(options_.session_expiry);
  sessions_.expire(clock_.now());
  EXPECT_EQ(sessions_.look(call(1, 2, 2), clock_.now()).verdict, Verdict::kExpired);
  seal();
  EXPECT_EQ(stored_.size(), 0U);
  EXPECT_EQ(sessions_.size(), 0U);
  EXPECT_EQ(sessions_.look(call(1, 2, 2), clock_.now()).verdict, Verdict::kExpired);
  EXPECT_EQ(sessions_.look(call(5, 1), clock_.now()).verdict, Verdict::kNew);
}

TEST_F(SessionsTest, ASessionThatSaysFarewellIsForgottenAtOnce) {
  record(call(1, 1), "one");
  record(call(2, 1), "other");
  seal();
  EXPECT_EQ(sessions_.look(call(3, 1), clock_.now()).verdict, Verdict::kFull);
  EXPECT_EQ(sessions_.look(call(1, kSessionOver, kSessionOver), clock_.now()).verdict, Verdict::kExpired);
  EXPECT_TRUE(sessions_.dirty());
  seal();
  EXPECT_EQ(sessions_.size(), 1U);
  EXPECT_EQ(count(KeyKind::kChunk), 1U);  // the other session's
  EXPECT_EQ(sessions_.look(call(1, 2, 2), clock_.now()).verdict, Verdict::kExpired);
  EXPECT_EQ(sessions_.look(call(2, 1), clock_.now()).outcome->text, "other");
  // One that is not known is neither run nor remembered.
  EXPECT_EQ(sessions_.look(call(9, kSessionOver, kSessionOver), clock_.now()).verdict, Verdict::kExpired);
  EXPECT_FALSE(sessions_.dirty());
  EXPECT_EQ(sessions_.look(call(3, 1), clock_.now()).verdict, Verdict::kNew);
}

TEST_F(SessionsTest, DamagedRecordsAreRefused) {
  record(call(1, 1), "one");
  seal();
  for (const auto& [key, value] : stored_) {
    for (std::size_t size = 0; size < value.size(); ++size) {
      Sessions again(options_);
      const Status status =
          key[0] == static_cast<char>(KeyKind::kChunk)
              ? again.load_chunk(key, std::string_view(value).substr(0, size))
              : again.load_session(key, std::string_view(value).substr(0, size), clock_.now());
      EXPECT_EQ(status.code(), Code::kCorrupt) << size;
    }
  }
}

}  // namespace
}  // namespace afdg::region
