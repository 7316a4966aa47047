#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include "afdg/v1/entity.pb.h"
#include "agents/agent_type.h"
#include "agents/json_value.h"
#include "proto/entity_store.h"

namespace afdg::agents {
namespace {
using namespace v1::entity;
using google::protobuf::Value;

std::string error(const google::protobuf::Descriptor& message, std::string_view json) {
  const auto bytes = json_to_bytes(message, json);
  if (bytes.ok()) return "accepted";
  EXPECT_EQ(bytes.code(), Code::kUndecodable);
  return bytes.error().text();
}
std::string increment_error(std::string_view json) { return error(*Increment::descriptor(), json); }

TEST(Json, GoesToBytesAndBack) {
  const auto bytes = json_to_bytes(*Increment::descriptor(), R"({"key":"visits","by":"-3"})");
  Increment message;
  ASSERT_TRUE(message.ParseFromString(bytes.value()));
  EXPECT_EQ(message.key(), "visits");
  EXPECT_EQ(message.by(), -3);
  EXPECT_EQ(bytes_to_json(*Increment::descriptor(), *bytes).value(), R"({"key":"visits","by":"-3"})");
}

TEST(Json, ShowsDefaultsUnderTheNamesOfTheProtoFile) {
  EXPECT_EQ(bytes_to_json(*IncrementAnswer::descriptor(), "").value(), R"({"value":"0"})");
  EXPECT_EQ(bytes_to_json(*GetAnswer::descriptor(), "").value(), R"({"found":false})");
  EXPECT_EQ(bytes_to_json(*KeysAnswer::descriptor(), "").value(), R"({"keys":[],"more":false})");
  CompareAndSet message;
  message.set_expected_bytes("x");
  EXPECT_EQ(bytes_to_json(*CompareAndSet::descriptor(), message.SerializeAsString()).value(),
            R"({"key":"","expected_bytes":"eA=="})");
  EXPECT_TRUE(json_to_bytes(*CompareAndSet::descriptor(), R"({"expectedBytes":"eA=="})")
                  .ok());  // both names are read
}

TEST(Json, ObjectsPrintInTheOrderOfTheirNames) {
  for (int i = 0; i < 20; ++i) {
    const auto bytes = json_to_bytes(*Value::descriptor(), R"({"z":1,"m":{"b":2,"a":3},"a":4})");
    EXPECT_EQ(bytes_to_json(*Value::descriptor(), bytes.value()).value(),
              R"({"a":4,"m":{"a":3,"b":2},"z":1})");
  }
}

TEST(Json, ErrorsNameTheMessageTheFieldAndTheValue) {
  EXPECT_EQ(increment_error(R"({"key":"a","bye":1})"),
            "Increment: there is no field 'bye'; the fields are: key, by");
  EXPECT_EQ(increment_error(R"({"by":"x"})"), R"(Increment: field 'by': invalid value "x" for type int64)");
  EXPECT_EQ(increment_error(R"({"by":1.5})"), "Increment: field 'by': invalid value 1.5 for type int64");
  EXPECT_EQ(increment_error(R"({"key":5})"), "Increment: field 'key': invalid value 5 for type string");
  EXPECT_EQ(increment_error(R"({"key":{"a":1}})"),
            "Increment: field 'key': an object where a single value is expected");
  EXPECT_EQ(increment_error("[1]"), "Increment: the JSON is not an object: write {\"field\": value}");
  EXPECT_EQ(increment_error(" "), "Increment: the JSON is empty: write {} for a message without fields");
  EXPECT_THAT(increment_error(R"({"key":)"),
              ::testing::StartsWith("Increment: not JSON: Unexpected end of string"));
  EXPECT_THAT(increment_error(R"({"key":"a"} x)"),
              ::testing::StartsWith("Increment: not JSON: Parsing terminated"));
  EXPECT_THAT(increment_error(R"({"by":[1]})"), ::testing::HasSubstr("by"));
  EXPECT_THAT(error(*Put::descriptor(), R"({"key":"a","value":1,"bytes":"eA=="})"),
              ::testing::HasSubstr("content"));
  EXPECT_THAT(error(*Put::descriptor(), R"({"bytes":"!"})"), ::testing::HasSubstr("field 'bytes'"));
}

TEST(Json, BytesThatAreNotTheMessageAreRefused) {
  EXPECT_EQ(bytes_to_json(*Increment::descriptor(), "\xff").code(), Code::kUndecodable);
}

TEST(Json, ExamplesAreAccepted) {
  EXPECT_EQ(example_json(*Increment::descriptor()), R"({"key":"text","by":"1"})");
  EXPECT_EQ(example_json(*Put::descriptor()), R"({"key":"text","value":"text"})");
  EXPECT_EQ(example_json(*PutAnswer::descriptor()), "{}");
  for (const google::protobuf::Descriptor* message :
       {Put::descriptor(), CompareAndSet::descriptor(), Append::descriptor(), Range::descriptor(),
        Keys::descriptor(), google::protobuf::FileDescriptorProto::descriptor(),
        google::protobuf::Struct::descriptor()}) {
    const auto bytes = json_to_bytes(*message, example_json(*message));
    EXPECT_TRUE(bytes.ok()) << example_json(*message) << bytes.status().to_string();
  }
}

TEST(Json, TypesKnownOnlyAtRunTimeWork) {
  google::protobuf::FileDescriptorProto file;
  file.set_name("later.proto");
  file.set_syntax("proto3");
  auto& type = *file.add_message_type();
  type.set_name("Later");
  auto& field = *type.add_field();
  field.set_name("some_count");
  field.set_number(1);
  field.set_type(google::protobuf::FieldDescriptorProto::TYPE_INT32);
  field.set_label(google::protobuf::FieldDescriptorProto::LABEL_OPTIONAL);
  google::protobuf::DescriptorPool pool;
  const auto* built = pool.BuildFile(file);
  ASSERT_NE(built, nullptr);
  const auto bytes = json_to_bytes(*built->message_type(0), R"({"some_count":5})");
  EXPECT_EQ(bytes_to_json(*built->message_type(0), bytes.value()).value(), R"({"some_count":5})");
}

Value json_value(const std::string& json) {
  Value value;
  EXPECT_TRUE(value.ParseFromString(json_to_bytes(*Value::descriptor(), json).value()));
  return value;
}

TEST(JsonValue, IsComparedByStructure) {
  EXPECT_TRUE(equal(json_value(R"({"a":1,"b":[true,null]})"), json_value(R"({"b":[true,null],"a":1.0})")));
  for (const auto& [left, right] :
       std::initializer_list<std::pair<const char*, const char*>>{{R"({"a":1})", R"({"a":2})"},
                                                                  {R"({"a":1})", R"({"b":1})"},
                                                                  {R"({"a":1})", R"({"a":1,"b":1})"},
                                                                  {"[1,2]", "[2,1]"},
                                                                  {"[1]", "[1,1]"},
                                                                  {"1", "\"1\""},
                                                                  {"null", "false"},
                                                                  {"[]", "{}"},
                                                                  {"\"a\"", "\"b\""}}) {
    EXPECT_FALSE(equal(json_value(left), json_value(right))) << left << right;
    EXPECT_TRUE(equal(json_value(left), json_value(left)));
  }
}

TEST(JsonValue, RefusesWhatJsonCannotSay) {
  Value value;
  EXPECT_EQ(check_json(value).code(), Code::kInvalidArgument);
  value.set_number_value(std::numeric_limits<double>::infinity());
  EXPECT_EQ(check_json(value).code(), Code::kInvalidArgument);
  EXPECT_TRUE(check_json(json_value(R"({"a":[1,"x",null,true]})")).ok());
  value.set_null_value(google::protobuf::NULL_VALUE);
  for (int depth = 0; depth < 33; ++depth) {
    EXPECT_TRUE(check_json(value).ok()) << depth;
    Value outer;
    *outer.mutable_list_value()->add_values() = value;
    value = outer;
  }
  EXPECT_EQ(check_json(value).code(), Code::kInvalidArgument);
}

TEST(JsonValue, KnowsWhichNumbersAreExact) {
  EXPECT_TRUE(is_exact_integer(0));
  EXPECT_TRUE(is_exact_integer(-5));
  EXPECT_TRUE(is_exact_integer(kExactDoubleMax));
  EXPECT_FALSE(is_exact_integer(kExactDoubleMax * 2));
  EXPECT_FALSE(is_exact_integer(0.5));
  EXPECT_FALSE(is_exact_integer(-0.0));
}

TEST(JsonValue, Base64HasTheVectorsOfRfc4648) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe"), "//4=");
}

}  // namespace
}  // namespace afdg::agents
