#include "agents/entity_agent.h"

#include <gmock/gmock.h>

#include <limits>

#include "agents/testing/fake_state.h"
#include "proto/entity_store.h"

namespace afdg::agents {
namespace {
using namespace v1::entity;
using ::testing::HasSubstr;

class EntityAgentTest : public ::testing::Test {
 protected:
  std::string json(std::string_view message, std::string_view body) {
    const auto answer = agent_.json(message, body);
    return answer.ok() ? *answer : std::string(code_name(answer.code())) + ": " + answer.error().text();
  }
  testing::Solo agent_{entity_agent_type(), "alice"};
};

TEST_F(EntityAgentTest, CountsAsTheGuideShows) {
  EXPECT_EQ(json("Increment", R"({"key":"visits","by":1})"), R"({"value":"1"})");
  EXPECT_EQ(json("Increment", R"({"key":"visits"})"), R"({"value":"2"})");
  EXPECT_EQ(json("Increment", R"({"key":"visits","by":0})"), R"({"value":"2"})");
  EXPECT_EQ(json("Increment", R"({"key":"visits","by":-5})"), R"({"value":"-3"})");
  agent_.evict();
  EXPECT_EQ(json("Get", R"({"key":"visits"})"), R"({"found":true,"value":-3})");
}

TEST_F(EntityAgentTest, CountsExactlyTo64BitsAndRefusesOverflow) {
  Increment most;
  most.set_key("n");
  most.set_by(std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(agent_.ask<IncrementAnswer>(most)->value(), most.by());
  EXPECT_THAT(
      json("Increment", R"({"key":"n"})"),
      HasSubstr("kApplication: key 'n' holds 9223372036854775807; adding 1 leaves the 64-bit integers"));
  EXPECT_EQ(json("Increment", R"({"key":"n","by":-1})"), R"({"value":"9223372036854775806"})");
}

TEST_F(EntityAgentTest, CountsOnWholeNumbersOnly) {
  EXPECT_EQ(json("Put", R"({"key":"n","value":41})"), "{}");
  EXPECT_EQ(json("Increment", R"({"key":"n"})"), R"({"value":"42"})");
  for (const char* value : {"1.5", "\"1\"", "null", "true", "{}", "[1]", "1e300"}) {
    ASSERT_EQ(json("Put", std::string(R"({"key":"n","value":)") + value + "}"), "{}");
    EXPECT_THAT(json("Increment", R"({"key":"n"})"), HasSubstr("kApplication: key 'n' holds ")) << value;
  }
  EXPECT_EQ(json("Put", R"({"key":"n","value":-0.0})"), "{}");
  EXPECT_EQ(json("Increment", R"({"key":"n"})"), R"({"value":"1"})");
  EXPECT_EQ(json("Put", R"({"key":"n","bytes":"AAE="})"), "{}");
  EXPECT_THAT(json("Increment", R"({"key":"n"})"), HasSubstr("holds bytes"));
  EXPECT_EQ(json("Append", R"({"key":"l","values":[1,2]})"), R"({"length":"2"})");
  EXPECT_THAT(json("Increment", R"({"key":"l"})"),
              HasSubstr("key 'l' holds a list of 2 values, and Increment needs a single one"));
}

TEST_F(EntityAgentTest, KeepsAnyJsonAndBytes) {
  EXPECT_EQ(json("Get", R"({"key":"a"})"), R"({"found":false})");
  for (const char* value :
       {"null", "true", "1.5", "\"text\"", R"({"b":[1,{"c":null}]})", "[]", "-7", "9007199254740993"}) {
    ASSERT_EQ(json("Put", std::string(R"({"key":"a","value":)") + value + "}"), "{}");
    agent_.evict();
    const std::string shown = std::string(value) == "9007199254740993" ? "9007199254740992" : value;
    EXPECT_EQ(json("Get", R"({"key":"a"})"), R"({"found":true,"value":)" + shown + "}");
  }
  EXPECT_EQ(json("Put", R"({"key":"a","bytes":"AAE="})"), "{}");
  EXPECT_EQ(json("Get", R"({"key":"a"})"), R"({"found":true,"bytes":"AAE="})");
  EXPECT_EQ(json("Put", R"({"key":"a","bytes":""})"), "{}");
  EXPECT_EQ(json("Get", R"({"key":"a"})"), R"({"found":true,"bytes":""})");
}

TEST_F(EntityAgentTest, PutsIfAbsentOnce) {
  EXPECT_EQ(json("PutIfAbsent", R"({"key":"a","value":1})"), R"({"stored":true})");
  EXPECT_EQ(json("PutIfAbsent", R"({"key":"a","value":2})"), R"({"stored":false})");
  EXPECT_EQ(json("Get", R"({"key":"a"})"), R"({"found":true,"value":1})");
}

TEST_F(EntityAgentTest, ComparesByStructureAndSets) {
  const auto set = [&](std::string_view rest) {
    return json("CompareAndSet", R"({"key":"a",)" + std::string(rest) + "}");
  };
  EXPECT_EQ(set(R"("expected":1,"value":2)"), R"({"stored":false})");
  EXPECT_EQ(set(R"("expected":null,"value":2)"), R"({"stored":false})");  // null is a value, absent is not
  EXPECT_EQ(set(R"("value":{"x":1,"y":[2]})"), R"({"stored":true,"value":{"x":1,"y":[2]}})");
  EXPECT_EQ(set(R"("value":5)"), R"({"stored":false,"value":{"x":1,"y":[2]}})");
  EXPECT_EQ(set(R"("expected":{"y":[2],"x":1.0},"value":7)"), R"({"stored":true,"value":7})");
  EXPECT_EQ(set(R"("expected":8,"value":9)"), R"({"stored":false,"value":7})");
  EXPECT_EQ(set(R"("expected":7.0,"bytes":"AAE=")"), R"({"stored":true,"bytes":"AAE="})");
  EXPECT_EQ(set(R"("expected":"AAE=","value":1)"), R"({"stored":false,"bytes":"AAE="})");
  EXPECT_EQ(set(R"("expected_bytes":"AAE=","value":null)"), R"({"stored":true,"value":null})");
  EXPECT_EQ(set(R"("expected":null,"value":1)"), R"({"stored":true,"value":1})");
}

TEST_F(EntityAgentTest, AppendsAndRanges) {
  EXPECT_EQ(json("Append", R"({"key":"l","values":[1,"two",{"three":3}]})"), R"({"length":"3"})");
  EXPECT_EQ(json("Append", R"({"key":"l","values":[null]})"), R"({"length":"4"})");
  agent_.evict();
  EXPECT_EQ(json("Length", R"({"key":"l"})"), R"({"length":"4"})");
  EXPECT_EQ(json("Length", R"({"key":"none"})"), R"({"length":"0"})");
  EXPECT_EQ(json("Range", R"({"key":"l"})"), R"({"values":[1,"two",{"three":3},null],"length":"4"})");
  EXPECT_EQ(json("Range", R"({"key":"l","from":1,"to":3})"),
            R"({"values":["two",{"three":3}],"length":"4"})");
  EXPECT_EQ(json("Range", R"({"key":"l","from":3,"to":99})"), R"({"values":[null],"length":"4"})");
  EXPECT_EQ(json("Range", R"({"key":"l","from":9})"), R"({"values":[],"length":"4"})");
  EXPECT_THAT(json("Range", R"({"key":"l","from":3,"to":1})"),
              HasSubstr("kInvalidArgument: to: 1 is before from, 3"));
  EXPECT_THAT(json("Get", R"({"key":"l"})"),
              HasSubstr("kApplication: key 'l' holds a list of 4 values, and Get needs"));
  EXPECT_EQ(json("Put", R"({"key":"l","bytes":"AAE="})"), "{}");  // replaces the list
  EXPECT_EQ(json("Range", R"({"key":"l"})"), R"({"values":["AAE="],"length":"1"})");
  EXPECT_EQ(agent_.state().size(), 1U);
}

TEST_F(EntityAgentTest, ALongRangeIsAnsweredInParts) {
  Append append;
  append.set_key("l");
  for (int i = 0; i < 20; ++i)
    append.add_values()->set_string_value(std::string(60'000, static_cast<char>('a' + i)));
  ASSERT_EQ(agent_.ask<AppendAnswer>(append)->length(), 20U);
  Range range;
  range.set_key("l");
  std::string seen;
  while (range.from() < 20) {
    const auto part = agent_.ask<RangeAnswer>(range);
    ASSERT_GT(part->values_size(), 0);
    ASSERT_LT(part->ByteSizeLong(), 600'000U);
    EXPECT_EQ(part->length(), 20U);
    for (const auto& value : part->values()) seen += value.string_value().front();
    range.set_from(range.from() + static_cast<std::uint64_t>(part->values_size()));
  }
  EXPECT_EQ(seen, "abcdefghijklmnopqrst");
}

TEST_F(EntityAgentTest, RemovesAndListsKeys) {
  for (const char* key : {"a", "ab", "abc", "b"}) {
    ASSERT_EQ(json("Put", std::string(R"({"value":1,"key":")") + key + "\"}"), "{}");
  }
  EXPECT_EQ(json("Keys", "{}"), R"({"keys":["a","ab","abc","b"],"more":false})");
  EXPECT_EQ(json("Keys", R"({"prefix":"a","limit":2})"), R"({"keys":["a","ab"],"more":true})");
  EXPECT_EQ(json("Keys", R"({"prefix":"a","limit":2,"after":"ab"})"), R"({"keys":["abc"],"more":false})");
  EXPECT_EQ(json("Remove", R"({"key":"ab"})"), R"({"removed":true})");
  EXPECT_EQ(json("Remove", R"({"key":"ab"})"), R"({"removed":false})");
  EXPECT_EQ(json("Keys", R"({"prefix":"a"})"), R"({"keys":["a","abc"],"more":false})");
}

TEST_F(EntityAgentTest, BoundsRefuseBeforeAnythingChanges) {
  EXPECT_THAT(json("Put", R"({"value":1})"), HasSubstr("kInvalidArgument: key: empty"));
  EXPECT_THAT(json("Put", R"({"key":"a"})"), HasSubstr("kInvalidArgument: value: missing"));
  EXPECT_THAT(json("Append", R"({"key":"a"})"), HasSubstr("kInvalidArgument: values: empty"));
  Put put;
  put.set_key(std::string(1025, 'k'));
  put.mutable_value()->set_bool_value(true);
  EXPECT_EQ(agent_.ask<PutAnswer>(put).code(), Code::kInvalidArgument);
  put.set_key(std::string(1024, 'k'));
  EXPECT_TRUE(agent_.ask<PutAnswer>(put).ok());

  EXPECT_EQ(entity_list_items_max(5, 1), 45590U);
  EXPECT_EQ(entity_list_items_max(0, 1024), 1971U);
  Append append;
  append.set_key(std::string(1000, 'k'));
  const auto limit = static_cast<int>(entity_list_items_max(5, 1000));
  for (int i = 0; i <= limit; ++i) append.add_values()->set_null_value(google::protobuf::NULL_VALUE);
  const std::size_t before = agent_.state().size();
  EXPECT_EQ(agent_.ask<AppendAnswer>(append).code(), Code::kApplication);
  EXPECT_EQ(agent_.state().size(), before);
  append.mutable_values()->RemoveLast();
  EXPECT_EQ(agent_.ask<AppendAnswer>(append)->length(), static_cast<std::uint64_t>(limit));
  Append nested;
  nested.set_key("n");
  nested.add_values()->set_bool_value(true);
  nested.add_values();  // of no kind: the whole message is refused
  EXPECT_EQ(agent_.ask<AppendAnswer>(nested).code(), Code::kInvalidArgument);
  EXPECT_EQ(json("Length", R"({"key":"n"})"), R"({"length":"0"})");
}

TEST_F(EntityAgentTest, IncrementReadsNothingOnceTheAgentIsLive) {
  Increment increment;
  increment.set_key("n");
  ASSERT_TRUE(agent_.ask<IncrementAnswer>(increment).ok());
  const std::size_t reads = agent_.state().reads();
  const std::size_t writes = agent_.state().writes();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(agent_.ask<IncrementAnswer>(increment).ok());
  EXPECT_EQ(agent_.state().reads(), reads);
  EXPECT_EQ(agent_.state().writes(), writes + 10);
}

TEST_F(EntityAgentTest, TheContractIsTheOneThatClientsShare) {
  EXPECT_EQ(agent_.type().name, EntityStore::type);
  EXPECT_EQ(agent_.type().handlers.size(), 10U);
  EXPECT_EQ(agent_.type().entities.at("items"), Stored::descriptor());
}

}  // namespace
}  // namespace afdg::agents
