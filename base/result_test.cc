#include "base/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

namespace afdg {
namespace {

struct Listed {
  Code code;
  std::string_view name;
  std::uint32_t number;
};

const std::vector<Listed>& listed() {
  static const std::vector<Listed> list = {
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) {Code::name, #name, number},
#include "base/errors.def"
#undef AFDG_ERROR
  };
  return list;
}

TEST(Errors, TheListIsAppendOnly) {
  // Numbers are ON WIRE and ON DISK: the list may only grow at its end, one by one. A released line never
  // changes its number.
  const auto& list = listed();
  for (std::size_t i = 0; i < list.size(); ++i) EXPECT_EQ(list[i].number, i) << list[i].name;
  EXPECT_LE(list.size(), 200u);
  EXPECT_EQ(static_cast<int>(Code::kNotFound), 2);
  EXPECT_EQ(static_cast<int>(Code::kRequestIdReused), 15);
  EXPECT_EQ(static_cast<int>(Code::kInDoubt), 22);
  EXPECT_EQ(static_cast<int>(Code::kDiskFull), 26);
  EXPECT_EQ(static_cast<int>(Code::kUnsupported), 34);
}

TEST(Errors, EachHasAUniqueNameASentenceAndItsMaps) {
  std::set<std::string_view> names;
  std::set<std::string_view> texts;
  for (const auto& [code, name, number] : listed()) {
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_TRUE(texts.insert(code_text(code)).second) << name << ": two codes with one sentence";
    EXPECT_EQ(code_name(code), name);
    EXPECT_EQ(code_from_number(number), code);
    EXPECT_EQ(code_from_name(name), code);
    EXPECT_TRUE(name.starts_with("k")) << name;
    if (code == Code::kOk) continue;
    EXPECT_GT(code_text(code).size(), 20u) << name;
    EXPECT_NE(code_text(code).find(':'), std::string_view::npos)
        << name << ": what happened, a colon, what to do";
    EXPECT_GE(code_grpc(code), 1) << name;
    EXPECT_LE(code_grpc(code), 16) << name;
    EXPECT_NE(code_kafka(code), 0) << name;
    EXPECT_GE(code_kafka(code), -1) << name;
    EXPECT_LE(code_kafka(code), 150) << name;
  }
}

TEST(Errors, MapsOfWhatCallersRelyOn) {
  EXPECT_EQ(code_grpc(Code::kOk), 0);
  EXPECT_EQ(code_kafka(Code::kOk), 0);
  EXPECT_EQ(code_grpc(Code::kNotFound), 5);
  EXPECT_EQ(code_grpc(Code::kDeadlineExceeded), 4);
  EXPECT_EQ(code_grpc(Code::kOverloaded), 8);
  EXPECT_EQ(code_kafka(Code::kMessageTooLarge), 10);
  EXPECT_EQ(code_kafka(Code::kNotLeader), 6);
  EXPECT_EQ(code_kafka(Code::kOutOfRange), 1);
  EXPECT_EQ(code_kafka(Code::kDiskFull), 56);
  EXPECT_EQ(code_retry(Code::kNotFound), Retry::kNever);
  EXPECT_EQ(code_retry(Code::kOverloaded), Retry::kSameCall);
  EXPECT_EQ(code_retry(Code::kNotLeader), Retry::kRefreshRoute);
  EXPECT_EQ(code_retry(Code::kInDoubt), Retry::kInDoubt);
}

TEST(Errors, UnknownNumbersAndNamesAreToldApart) {
  EXPECT_EQ(code_from_number(60000), Code::kInternal);
  EXPECT_EQ(code_from_name("kNoSuchCode"), std::nullopt);
  EXPECT_EQ(code_name(static_cast<Code>(60000)), "kInternal");
}

TEST(Status, OkAndError) {
  const Status ok;
  EXPECT_TRUE(ok.ok());
  EXPECT_EQ(ok.code(), Code::kOk);
  EXPECT_EQ(ok.to_string(), "ok");
  const Status bad = fail(Code::kNotFound, "no grid named x: list them");
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.to_string(), "kNotFound: no grid named x: list them");
  EXPECT_EQ(Status(fail(Code::kIo)).error().text(), code_text(Code::kIo));
  EXPECT_EQ(bad, Status(fail(Code::kNotFound, "no grid named x: list them")));
  EXPECT_FALSE(bad == ok);
}

TEST(Result, HoldsAValueOrAnError) {
  Result<std::string> value(std::string("v"));
  EXPECT_TRUE(value.ok());
  EXPECT_EQ(*value, "v");
  EXPECT_EQ(value->size(), 1u);
  EXPECT_TRUE(value.status().ok());
  const Result<std::string> error = fail(Code::kIo, "why");
  EXPECT_EQ(error.code(), Code::kIo);
  EXPECT_EQ(error.value_or("other"), "other");
  EXPECT_EQ(error.status().error().text(), "why");
}

struct Base {
  virtual ~Base() = default;
};
struct Derived : Base {};

TEST(Result, ConvertsAndMoves) {
  Result<std::unique_ptr<Base>> owner = std::make_unique<Derived>();
  ASSERT_TRUE(owner.ok());
  const std::unique_ptr<Base> taken = std::move(owner).value();
  EXPECT_NE(taken, nullptr);
}

Result<int> half(int n) {
  if (n % 2 != 0) return fail(Code::kInvalidArgument, "odd");
  return n / 2;
}
Result<int> quarter(int n) {
  AFDG_ASSIGN(const int h, half(n));
  AFDG_ASSIGN(const int q, half(h));
  return q;
}
Status check(int n) {
  AFDG_TRY(quarter(n));
  AFDG_TRY(Status());
  return {};
}

TEST(Result, MacrosPassErrorsOn) {
  EXPECT_EQ(quarter(8).value_or(-1), 2);
  EXPECT_EQ(quarter(6).code(), Code::kInvalidArgument);
  EXPECT_TRUE(check(4).ok());
  EXPECT_EQ(check(5).code(), Code::kInvalidArgument);
}

TEST(ResultDeathTest, ReadingWhatIsAbsentAborts) {
  const Result<int> error = fail(Code::kIo, "the disk said no");
  EXPECT_DEATH((void)error.value(), "the disk said no");
  EXPECT_DEATH((void)Status().error(), "broken invariant");
}

}  // namespace
}  // namespace afdg
