#include "agents/value.h"

#include <gmock/gmock.h>
#include <google/protobuf/wrappers.pb.h>

#include "afdg/v1/entity.pb.h"
#include "agents/testing/fake_state.h"

namespace afdg::agents {
namespace {
using ::testing::HasSubstr;
using v1::entity::GetAnswer;

/// An agent outside a node: turns are begun and ended by hand.
template <typename T>
struct Holder : AgentBase {
  Value<T> value{*this, "v"};
};

template <typename T>
class Held {
 public:
  Held() { reopen(); }
  void reopen() {
    holder_ = std::make_unique<Holder<T>>();
    holder_->bind(state, sizeof(Holder<T>));
  }
  template <typename Body>
  Status turn(Body&& body, bool may_write = true) {
    holder_->begin_turn(port, may_write);
    body(holder_->value);
    Status status = holder_->end_turn(true);
    if (status.ok()) {
      state.commit();
    } else {
      state.abort();
      reopen();
    }
    return status;
  }
  std::optional<std::string> stored() { return state.get({.entity = "v", .key = {}, .sequence = 0}).value(); }

  testing::FakeState state{"k"};
  testing::FakeTurn port;

 private:
  std::unique_ptr<Holder<T>> holder_;
};

TEST(Value, IsTheDefaultWhenNothingIsStored) {
  Held<GetAnswer> held;
  ASSERT_TRUE(held.turn([](auto& value) {
                    EXPECT_FALSE(value.has());
                    EXPECT_FALSE(value->found());
                  })
                  .ok());
  EXPECT_EQ(held.stored(), std::nullopt);
}

TEST(Value, IsPutOncePerTurnAndReadOnce) {
  Held<GetAnswer> held;
  ASSERT_TRUE(held.turn([](auto& value) {
                    value.edit().set_found(true);
                    value.edit().set_bytes("x");
                    EXPECT_TRUE(value.has());
                  })
                  .ok());
  EXPECT_EQ(held.state.writes(), 1U);
  EXPECT_EQ(held.state.reads(), 1U);
  held.reopen();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(held.turn([](const auto& value) { EXPECT_EQ(value->bytes(), "x"); }).ok());
  }
  EXPECT_EQ(held.state.reads(), 2U);
}

TEST(Value, AnEditThatChangesNothingIsNotPut) {
  Held<GetAnswer> held;
  ASSERT_TRUE(held.turn([](auto& value) { value.edit().set_found(true); }).ok());
  ASSERT_TRUE(held.turn([](auto& value) { value.edit().set_found(true); }).ok());
  EXPECT_EQ(held.state.writes(), 1U);
  held.reopen();
  ASSERT_TRUE(held.turn([](auto& value) { value.set(*value); }).ok());
  EXPECT_EQ(held.state.writes(), 1U);
  ASSERT_TRUE(held.turn([](auto& value) { value.edit().set_found(false); }).ok());
  EXPECT_EQ(held.state.writes(), 2U);
}

TEST(Value, AnEmptyValueThatWasSetIsThere) {
  Held<GetAnswer> held;
  ASSERT_TRUE(held.turn([](auto& value) { value.set({}); }).ok());
  EXPECT_EQ(held.stored(), "");
  held.reopen();
  ASSERT_TRUE(held.turn([](auto& value) { EXPECT_TRUE(value.has()); }).ok());
}

TEST(Value, ErasesWhatIsStoredOnly) {
  Held<std::int64_t> held;
  ASSERT_TRUE(held.turn([](auto& value) { value.erase(); }).ok());
  EXPECT_EQ(held.state.writes(), 0U);
  ASSERT_TRUE(held.turn([](auto& value) { value.set(7); }).ok());
  ASSERT_TRUE(held.turn([](auto& value) {
                    value.erase();
                    EXPECT_FALSE(value.has());
                    EXPECT_EQ(*value, 0);
                  })
                  .ok());
  EXPECT_EQ(held.stored(), std::nullopt);
  ASSERT_TRUE(held.turn([](auto& value) {
                    value.set(8);
                    value.erase();
                    value.set(9);
                  })
                  .ok());
  held.reopen();
  ASSERT_TRUE(held.turn([](auto& value) { EXPECT_EQ(*value, 9); }).ok());
}

TEST(Value, LargeValuesAreKeptToo) {
  Held<std::string> held;
  const std::string large(100'000, 'x');
  ASSERT_TRUE(held.turn([&](auto& value) { value.set(large); }).ok());
  ASSERT_TRUE(held.turn([&](auto& value) { value.edit() += "y"; }).ok());
  held.reopen();
  ASSERT_TRUE(held.turn([&](auto& value) { EXPECT_EQ(*value, large + "y"); }).ok());
}

TEST(Value, DamagedBytesFailTheTurnAndNameTheValue) {
  Held<GetAnswer> held;
  held.state.put({.entity = "v", .key = {}, .sequence = 0}, "\xff\xff");
  held.state.commit();
  const Status status = held.turn([](auto& value) { EXPECT_FALSE(value->found()); });
  EXPECT_EQ(status.code(), Code::kCorrupt);
  EXPECT_THAT(status.error().text(),
              HasSubstr("value 'v' of agent 'k' holds bytes that are not a afdg.v1.entity.GetAnswer"));
}

TEST(Value, SimpleTypesAreStoredAsWellKnownWrappers) {
  Held<std::int64_t> number;
  ASSERT_TRUE(number.turn([](auto& value) { value.set(-5); }).ok());
  google::protobuf::Int64Value wrapped;
  ASSERT_TRUE(wrapped.ParseFromString(*number.stored()));
  EXPECT_EQ(wrapped.value(), -5);

  Held<std::string> text;
  const std::string bytes("\xff\0z", 3);
  ASSERT_TRUE(text.turn([&](auto& value) { value.set(bytes); }).ok());
  text.reopen();
  ASSERT_TRUE(text.turn([&](auto& value) { EXPECT_EQ(*value, bytes); }).ok());

  Held<double> real;
  ASSERT_TRUE(real.turn([](auto& value) { value.set(0.25); }).ok());
  real.reopen();
  ASSERT_TRUE(real.turn([](auto& value) { EXPECT_EQ(*value, 0.25); }).ok());

  Held<bool> flag;
  ASSERT_TRUE(flag.turn([](auto& value) { value.set(true); }).ok());
  flag.reopen();
  ASSERT_TRUE(flag.turn([](auto& value) { EXPECT_TRUE(*value); }).ok());
}

}  // namespace
}  // namespace afdg::agents
