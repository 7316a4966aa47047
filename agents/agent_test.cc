#include "agents/agent.h"

#include <gmock/gmock.h>

#include <stdexcept>

#include "afdg/v1/entity.pb.h"
#include "agents/testing/fake_state.h"

namespace afdg::agents {
namespace {
using namespace v1::entity;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::Solo;

using Other = Protocol<"other", Tell<Remove>, Ask<Put, PutAnswer>, Read<Length, LengthAnswer>>;
using Shop = Protocol<"shop", Ask<Increment, IncrementAnswer>, Ask<Append, AppendAnswer>,
                      Read<Get, GetAnswer>, Tell<Remove>>;

class ShopAgent : public Agent<Shop> {
  Value<std::int64_t> total_{*this, "total"};
  Value<IncrementAnswer> last_{*this, "last"};
  Entity<Get> log_{*this, "log", {.items_max = 3}};
  int made_ = 0;

 public:
  Result<IncrementAnswer> on(const Increment& m, Turn& turn) {
    if (m.key() == "throw") throw std::runtime_error("boom");
    if (m.key() == "throw int") throw 5;
    ++made_;
    total_.set(*total_ + m.by());
    last_.edit().set_value(*total_);
    Get entry;
    entry.set_key(m.key());
    log_["day"].append(entry);
    turn.send<Other>("peer", Remove());
    if (m.key() == "refuse") return fail(Code::kInvalidArgument, "not that one");
    if (m.key() == "lost") return fail(Code::kNotLeader, "another service said so");
    if (m.key() == "two sends") {
      AFDG_TRY(turn.send<Other>(turn.key(), Put()));
    }
    return *last_;
  }
  Result<AppendAnswer> on(const Append& m, Turn& turn) {
    AppendAnswer answer;
    if (m.key() == "past the end") answer.set_length(log_["day"].at(99).key().size());
    if (m.key() == "made") answer.set_length(static_cast<std::uint64_t>(made_));
    if (m.key() == "time")
      answer.set_length(static_cast<std::uint64_t>(turn.now().time_since_epoch().count()));
    if (m.key() == "try") answer.set_length(turn.try_send<Other>("x", Remove()).ok() ? 1 : 2);
    if (m.key() == "offset") answer.set_length(static_cast<std::uint64_t>(turn.offset().value()));
    return answer;
  }
  Result<GetAnswer> on(const Get& m, const ReadTurn& turn) const {
    GetAnswer answer;
    answer.set_bytes(std::string(turn.key()) + " " + std::to_string(*total_) + " " +
                     std::to_string(log_["day"].size()));
    if (m.key() == "cheat") {
      // NOLINTNEXTLINE: what an author should not do
      const_cast<ShopAgent*>(this)->total_.set(0);
    }
    return answer;
  }
  Status on(const Remove& m, Turn&) {
    log_.erase(m.key());
    total_.erase();
    return {};
  }
};

Increment increment(std::string key, std::int64_t by) {
  Increment m;
  m.set_key(std::move(key));
  m.set_by(by);
  return m;
}
template <typename M>
M keyed(std::string key) {
  M m;
  m.set_key(std::move(key));
  return m;
}

// The checks at compile time: what is a handler and what is not.
class NoHandlers : public Agent<Shop> {};
class WrongHandlers : public Agent<Shop> {
 public:
  Result<GetAnswer> on(const Increment&, Turn&);        // another answer
  Result<AppendAnswer> on(const Append&, Turn&) const;  // const is allowed
  Result<GetAnswer> on(const Get&, const ReadTurn&);    // not const
  Status on(const Remove&, const ReadTurn&);            // needs less than it gets
};
static_assert(has_handler<ShopAgent, Ask<Increment, IncrementAnswer>>);
static_assert(has_handler<ShopAgent, Read<Get, GetAnswer>>);
static_assert(has_handler<ShopAgent, Tell<Remove>>);
static_assert(!handles_message<NoHandlers, Ask<Increment, IncrementAnswer>>);
static_assert(!handles_message<NoHandlers, Tell<Remove>>);
static_assert(handles_message<WrongHandlers, Ask<Increment, IncrementAnswer>>);
static_assert(!has_handler<WrongHandlers, Ask<Increment, IncrementAnswer>>);
static_assert(has_handler<WrongHandlers, Ask<Append, AppendAnswer>>);
static_assert(!handles_message<WrongHandlers, Read<Get, GetAnswer>>);
static_assert(has_handler<WrongHandlers, Tell<Remove>>);
template <typename V>
concept ValueWrites = requires(V value) {
  value.edit();
}
|| requires(V value) { value.set(1); }
|| requires(V value) { value.erase(); };
template <typename E>
concept EntityWrites = requires(E entity) {
  entity["k"].append(Get());
}
|| requires(E entity) { entity["k"].set(0, Get()); }
|| requires(E entity) { entity["k"].clear(); }
|| requires(E entity) { entity.erase("k"); };
static_assert(ValueWrites<Value<std::int64_t>&> && !ValueWrites<const Value<std::int64_t>&>);
static_assert(EntityWrites<Entity<Get>&> && !EntityWrites<const Entity<Get>&>);
static_assert(!Storable<int>);

TEST(Agent, IsDescribedWithItsHandlersAndEntities) {
  const AgentType type = describe<ShopAgent>();
  EXPECT_EQ(type.name, "shop");
  ASSERT_EQ(type.handlers.size(), 4U);
  const HandlerInfo* increments = type.find("Increment");
  ASSERT_NE(increments, nullptr);
  EXPECT_EQ(increments->kind, OperationKind::kAsk);
  EXPECT_EQ(increments->message_descriptor, Increment::descriptor());
  EXPECT_EQ(increments->answer_descriptor, IncrementAnswer::descriptor());
  EXPECT_EQ(type.find("Get")->kind, OperationKind::kRead);
  EXPECT_EQ(type.find("Remove")->kind, OperationKind::kTell);
  EXPECT_EQ(type.find("Remove")->answer_descriptor, nullptr);
  EXPECT_EQ(type.find("Keys"), nullptr);
  ASSERT_EQ(type.entities.size(), 3U);
  EXPECT_EQ(type.entities.at("log"), Get::descriptor());
  EXPECT_EQ(type.entities.at("total")->full_name(), "google.protobuf.Int64Value");
}

TEST(Agent, AnswersSendsAndRemembersAcrossEviction) {
  Solo shop(describe<ShopAgent>(), "PHX");
  EXPECT_EQ(shop.ask<IncrementAnswer>(increment("a", 2))->value(), 2);
  EXPECT_EQ(shop.ask<IncrementAnswer>(increment("two sends", 3))->value(), 5);
  ASSERT_EQ(shop.turn().sent.size(), 3U);
  EXPECT_EQ(shop.turn().sent[0].type, "other");
  EXPECT_EQ(shop.turn().sent[0].key, "peer");
  EXPECT_EQ(shop.turn().sent[0].message, "Remove");
  EXPECT_EQ(shop.turn().sent[2].key, "PHX");
  EXPECT_EQ(shop.turn().sent[2].message, "Put");
  shop.evict();
  EXPECT_EQ(shop.ask<GetAnswer>(Get())->bytes(), "PHX 5 2");
  EXPECT_TRUE(shop.tell(keyed<Remove>("day")).ok());
  EXPECT_EQ(shop.ask<GetAnswer>(Get())->bytes(), "PHX 0 0");
}

TEST(Agent, AFailedTurnLeavesNoTrace) {
  Solo shop(describe<ShopAgent>(), "PHX");
  ASSERT_TRUE(shop.ask<IncrementAnswer>(increment("a", 2)).ok());
  const auto refused = shop.ask<IncrementAnswer>(increment("refuse", 3));
  EXPECT_EQ(refused.error(), fail(Code::kInvalidArgument, "not that one"));
  EXPECT_EQ(shop.turn().sent.size(), 1U);
  EXPECT_EQ(shop.ask<GetAnswer>(Get())->bytes(), "PHX 2 1");
  EXPECT_EQ(shop.ask<AppendAnswer>(keyed<Append>("made"))->length(), 0U);  // plain members are a cache
}

TEST(Agent, WhatAHandlerThrowsIsAnError) {
  Solo shop(describe<ShopAgent>(), "PHX");
  const auto thrown = shop.ask<IncrementAnswer>(increment("throw", 1));
  EXPECT_EQ(thrown.code(), Code::kHandlerFailed);
  EXPECT_THAT(thrown.error().text(), HasSubstr("the handler of Increment of agent 'PHX' threw: boom"));
  EXPECT_EQ(shop.ask<IncrementAnswer>(increment("throw int", 1)).code(), Code::kHandlerFailed);
  EXPECT_EQ(shop.ask<IncrementAnswer>(increment("a", 1))->value(), 1);
}

TEST(Agent, AHandlerCannotSpeakInTheGridsName) {
  Solo shop(describe<ShopAgent>(), "PHX");
  const auto lost = shop.ask<IncrementAnswer>(increment("lost", 1));
  EXPECT_EQ(lost.error(), fail(Code::kApplication, "another service said so"));
}

TEST(Agent, BytesThatAreNotTheMessageAreRefused) {
  Solo shop(describe<ShopAgent>(), "PHX");
  const auto refused = shop.run("Increment", "\xff\xff\xff");
  EXPECT_EQ(refused.code(), Code::kUndecodable);
  EXPECT_THAT(refused.error().text(),
              HasSubstr("Increment: these 3 bytes are not a afdg.v1.entity.Increment"));
}

TEST(Agent, AnIgnoredSendErrorFailsTheTurn) {
  Solo shop(describe<ShopAgent>(), "PHX");
  shop.turn().send_error = fail(Code::kOverloaded, "full");
  EXPECT_EQ(shop.ask<IncrementAnswer>(increment("a", 1)).code(), Code::kOverloaded);
  EXPECT_EQ(shop.ask<AppendAnswer>(keyed<Append>("try"))->length(), 2U);  // try_send leaves it to the handler
}

TEST(Agent, AnIgnoredReadErrorFailsTheTurn) {
  Solo shop(describe<ShopAgent>(), "PHX");
  ASSERT_TRUE(shop.ask<IncrementAnswer>(increment("a", 1)).ok());
  shop.evict();
  shop.state().fail_reads(fail(Code::kIo, "the disk is gone"));
  EXPECT_EQ(shop.ask<IncrementAnswer>(increment("a", 1)).error(), fail(Code::kIo, "the disk is gone"));
  EXPECT_EQ(shop.run("Get", "").code(), Code::kIo);
  shop.state().fail_reads(std::nullopt);
  EXPECT_EQ(shop.ask<IncrementAnswer>(increment("a", 1))->value(), 2);
}

TEST(Agent, AnIndexPastTheEndFailsTheTurn) {
  Solo shop(describe<ShopAgent>(), "PHX");
  const auto failed = shop.ask<AppendAnswer>(keyed<Append>("past the end"));
  EXPECT_EQ(failed.code(), Code::kHandlerFailed);
  EXPECT_THAT(failed.error().text(),
              HasSubstr("entity 'log', key 'day', of agent 'PHX': the handler read item 99 of 0"));
}

TEST(Agent, AReadThatWritesAgainstTheTypesFails) {
  Solo shop(describe<ShopAgent>(), "PHX");
  ASSERT_TRUE(shop.ask<IncrementAnswer>(increment("a", 2)).ok());
  EXPECT_EQ(shop.ask<GetAnswer>(keyed<Get>("cheat")).code(), Code::kHandlerFailed);
  EXPECT_EQ(shop.ask<GetAnswer>(Get())->bytes(), "PHX 2 1");
}

TEST(Agent, TimeAndOffsetAreTheTurns) {
  Solo shop(describe<ShopAgent>(), "PHX");
  EXPECT_EQ(shop.ask<AppendAnswer>(keyed<Append>("time"))->length(), 978307200000U);
  EXPECT_EQ(shop.ask<AppendAnswer>(keyed<Append>("offset"))->length(), 1U);
}

TEST(Agent, AnswersAreAppended) {
  const AgentType type = describe<ShopAgent>();
  testing::FakeState state("PHX");
  testing::FakeTurn turn;
  const auto agent = type.create(state);
  std::string answer = "before";
  ASSERT_TRUE(type.find("Increment")->run(*agent, increment("a", 1).SerializeAsString(), turn, answer).ok());
  EXPECT_EQ(answer.substr(0, 6), "before");
  EXPECT_EQ(answer.size(), 8U);
  ASSERT_FALSE(
      type.find("Increment")->run(*agent, increment("refuse", 1).SerializeAsString(), turn, answer).ok());
  EXPECT_EQ(answer.size(), 8U);
  EXPECT_GE(agent->memory_bytes(), sizeof(ShopAgent));
}

TEST(AgentTypes, KeepsEachTypeOnce) {
  AgentTypes types;
  ASSERT_TRUE(types.add(describe<ShopAgent>()).ok());
  EXPECT_EQ(types.add(describe<ShopAgent>()).code(), Code::kAlreadyExists);
  EXPECT_EQ(types.names(), std::vector<std::string>{"shop"});
  EXPECT_NE(types.find("shop"), nullptr);
  EXPECT_EQ(types.find("ship"), nullptr);
  AgentType bad;
  bad.name = "with space";
  EXPECT_EQ(types.add(bad).code(), Code::kInvalidArgument);
  AgentType twice = describe<ShopAgent>();
  twice.name = "twice";
  twice.handlers.push_back(twice.handlers.front());
  EXPECT_EQ(types.add(twice).code(), Code::kAlreadyExists);
}

class TwiceNamed : public Agent<Protocol<"twice">> {
  Value<bool> a_{*this, "same"};
  Value<bool> b_{*this, "same"};
};
class ReadsTooEarly : public Agent<Protocol<"early">> {
  Value<bool> a_{*this, "a"};

 public:
  ReadsTooEarly() { static_cast<void>(*a_); }
};

TEST(AgentDeathTest, DeclarationsThatCannotBeStoredEndTheProgram) {
  EXPECT_DEATH(TwiceNamed(), "two entities of an agent have the same name");
  EXPECT_DEATH(ReadsTooEarly(), "constructor may not use its entities");
}

}  // namespace
}  // namespace afdg::agents
