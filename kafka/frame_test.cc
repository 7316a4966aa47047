#include "kafka/frame.h"

#include <gtest/gtest.h>

#include "kafka/api_versions.h"
#include "kafka/messages/all.h"
#include "kafka/testing/golden.h"
#include "kafka/texts.h"

namespace afdg::kafka {
namespace {

/// A request's frame without its size.
template <class M>
std::string frame(const M& message, std::int16_t version, std::optional<std::string_view> client_id = "me") {
  Writer out;
  EXPECT_TRUE(write_request(out, version, 42, client_id, message).ok());
  EXPECT_EQ(frame_size(out.view().substr(0, 4), 1 << 20).value_or(0), out.size() - 4);
  return std::string(out.view().substr(4));
}

TEST(Frame, SizesOutsideTheLimitsAreNamed) {
  EXPECT_EQ(frame_size(from_hex("00000008"), 100).value_or(0), 8u);
  EXPECT_EQ(frame_size(from_hex("00000064"), 100).value_or(0), 100u);
  for (const char* hex : {"00000065", "7fffffff"})
    EXPECT_EQ(frame_size(from_hex(hex), 100).code(), Code::kMessageTooLarge) << hex;
  for (const char* hex : {"80000000", "ffffffff", "00000000", "00000007", "0000"}) {
    const auto size = frame_size(from_hex(hex), 100);
    EXPECT_EQ(size.code(), Code::kInvalidArgument) << hex;
  }
  EXPECT_NE(frame_size(from_hex("00000065"), 100).error().text().find("101 bytes is above the limit of 100"),
            std::string::npos);
  // What a browser sends: "GET ".
  EXPECT_EQ(frame_size("GET ", 32 << 20).code(), Code::kMessageTooLarge);
}

TEST(Frame, HeadersOfBothFormsAreRead) {
  HeartbeatRequest message;
  message.group_id = "g";
  for (const std::int16_t version : {std::int16_t{3}, std::int16_t{4}})
    for (const std::optional<std::string_view> client :
         {std::optional<std::string_view>("me"), std::optional<std::string_view>("")}) {
      const std::string bytes = frame(message, version, client);
      const auto request = parse_request(bytes);
      ASSERT_TRUE(request.ok()) << request.status().to_string();
      EXPECT_EQ(request->api->key, Key::kHeartbeat);
      EXPECT_EQ(request->version, version);
      EXPECT_EQ(request->correlation_id, 42);
      EXPECT_EQ(request->client_id, client);
      HeartbeatRequest again;
      ASSERT_TRUE(decode(again, request->version, request->body, {.refuse_rest = true}).ok());
      EXPECT_EQ(again.group_id, "g");
    }
  EXPECT_EQ(parse_request(frame(message, 4, std::nullopt))->client_id, std::nullopt);
}

TEST(Frame, TaggedFieldsOfAHeaderAreSkipped) {
  // Heartbeat 4, correlation 1, client "a", two tagged fields.
  const std::string bytes = from_hex(
      "000c000400000001"
      "000161"
      "02"
      "00020102"
      "e80700"
      "ab");
  const auto request = parse_request(bytes);
  ASSERT_TRUE(request.ok()) << request.status().to_string();
  EXPECT_EQ(request->body, "\xab");
  for (const char* hex : {"000c000400000001"
                          "000161"
                          "02"
                          "00020102",
                          "000c000400000001"
                          "000161"
                          "ffffffff0f"
                          "00",
                          "000c000400000001"
                          "fffe",
                          "000c000400000001"
                          "000561",
                          "000c000400000001"
                          "000161"
                          "01"
                          "00ff0f"
                          "00",
                          "000c0004000000", "000c"}) {
    const std::string cut = from_hex(hex);
    EXPECT_EQ(parse_request(cut).code(), Code::kInvalidArgument) << hex;
  }
}

TEST(Frame, UnknownKeysAndVersionsAreRefusedByName) {
  const auto key = parse_request(from_hex("0018000000000001ffff"));
  ASSERT_EQ(key.code(), Code::kUnsupported);
  EXPECT_NE(key.error().text().find("API key 24"), std::string::npos) << key.error().text();
  const auto version = parse_request(from_hex("0000000200000001ffff"));
  ASSERT_EQ(version.code(), Code::kUnsupported);
  EXPECT_EQ(version.error().text(), "Produce (key 0) version 2 is not served here: use 3 to 11");
  for (const char* hex :
       {"ffff000000000001ffff", "0001001200000001ffff", "0003ffff00000001ffff", "7fff000000000001ffff"})
    EXPECT_EQ(parse_request(from_hex(hex)).code(), Code::kUnsupported) << hex;
}

TEST(Frame, ResponseHeadersAreThoseOfTheVersion) {
  const auto header = [](Key key, std::int16_t version) {
    Request request;
    request.api = &api(key);
    request.version = version;
    request.correlation_id = 7;
    Writer out;
    begin_response(out, request);
    EXPECT_TRUE(out.end_frame().ok());
    return to_hex(out.view());
  };
  EXPECT_EQ(header(Key::kHeartbeat, 3), "0000000400000007");
  EXPECT_EQ(header(Key::kHeartbeat, 4), "000000050000000700");
  EXPECT_EQ(header(Key::kApiVersions, 0), "0000000400000007");
  EXPECT_EQ(header(Key::kApiVersions, 4), "0000000400000007") << "always header 0 (KIP-511)";
}

TEST(ApiVersions, ListsTheRowsThatAreServed) {
  ApiVersionsRequest message{"librdkafka", "2.0.2-rc.1"};
  const std::string bytes = frame(message, 3);
  const auto request = parse_request(bytes);
  ASSERT_TRUE(request.ok());
  const auto answer = answer_api_versions(*request, [](Key key) { return key != Key::kFetch; });
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->error_code, ErrorCode::kNone);
  ASSERT_EQ(answer->api_keys.size(), apis().size() - 1);
  EXPECT_EQ(answer->api_keys[0].api_key, 0);
  EXPECT_EQ(answer->api_keys[0].min_version, 0) << "librdkafka compresses only if it sees Produce 0";
  EXPECT_EQ(answer->api_keys[0].max_version, 11);
  EXPECT_EQ(answer->api_keys[1].api_key, 2);
}

TEST(ApiVersions, AVersionOfTheFutureIsAnsweredAsVersionZero) {
  // Version 99 with a body that nobody can read.
  const std::string bytes = from_hex(
      "0012006300000005"
      "ffffffff");
  const auto request = parse_request(bytes);
  ASSERT_TRUE(request.ok());
  EXPECT_TRUE(request->unknown_version);
  const auto answer = answer_api_versions(*request, [](Key) { return true; });
  ASSERT_TRUE(answer.ok());
  Writer out;
  ASSERT_TRUE(write_response(out, *request, *answer).ok());
  ApiVersionsResponse read;
  ASSERT_TRUE(decode(read, 0, out.view().substr(8), {.refuse_rest = true}).ok());
  EXPECT_EQ(read.error_code, ErrorCode::kUnsupportedVersion);
  EXPECT_EQ(read.api_keys.size(), apis().size());
}

TEST(ApiVersions, ASoftwareNameIsLettersDigitsDotsAndDashes) {
  const auto code = [](std::string_view name, std::string_view version) {
    const std::string bytes = frame(ApiVersionsRequest{name, version}, 3);
    return answer_api_versions(*parse_request(bytes), [](Key) { return true; })->error_code;
  };
  EXPECT_EQ(code("apache-kafka-java", "4.3.0"), ErrorCode::kNone);
  for (const char* name : {"", "-a", "a-", "a b", "a\n", "\xc3\xa4"}) {
    EXPECT_EQ(code(name, "1"), ErrorCode::kInvalidRequest) << name;
    EXPECT_EQ(code("a", name), ErrorCode::kInvalidRequest) << name;
  }
}

TEST(Codec, AnArrayMustFitIntoTheBytesThatAreLeft) {
  MetadataRequest message;
  // Version 1: 0x01000000 topics in 2 bytes.
  const Status classic = decode(message, 1, from_hex("010000000000"));
  ASSERT_EQ(classic.code(), Code::kInvalidArgument);
  EXPECT_EQ(classic.error().text(),
            "cannot read MetadataRequest version 1, field Topics at byte 4: 16777216 elements of at least 2 "
            "bytes do not fit "
            "into the 2 bytes left");
  const Status compact = decode(message, 12, from_hex("ffffffff0f00"));
  EXPECT_EQ(compact.code(), Code::kInvalidArgument);
  for (const char* negative : {"fffffffe", "80000000"})
    EXPECT_NE(decode(message, 1, from_hex(negative)).to_string().find("which is negative"),
              std::string::npos);
  EXPECT_NE(decode(message, 0, from_hex("ffffffff")).to_string().find("no null here"), std::string::npos);
  EXPECT_TRUE(decode(message, 1, from_hex("ffffffff")).ok());
  EXPECT_FALSE(message.topics.has_value());
}

TEST(Codec, NullIsRefusedInVersionsThatHaveNone) {
  MetadataRequest message;
  // One topic with a null name and its tagged fields; then three flags and the tagged fields of the request.
  const Status refused = decode(message, 9,
                                from_hex("02"
                                         "00"
                                         "00"
                                         "010000"
                                         "00"));
  ASSERT_EQ(refused.code(), Code::kInvalidArgument);
  EXPECT_EQ(refused.error().text(),
            "cannot read MetadataRequest version 9, field Topics[0].Name at byte 2: null, but this version "
            "has no null here");
  const std::string accepted = from_hex(
      "02"
      "00000000000000000000000000000001"
      "00"
      "00"
      "0100"
      "00");
  EXPECT_TRUE(decode(message, 12, accepted, {.refuse_rest = true}).ok());
  EXPECT_EQ(message.topics->at(0).name, std::nullopt);
  EXPECT_EQ(message.topics->at(0).topic_id, (Uuid{0, 1}));
  // A transactional id may be null, a topic's name not; nor may bytes.
  ProduceRequest produce;
  const Status name = decode(produce, 3,
                             from_hex("ffff"
                                      "0001"
                                      "00000000"
                                      "00000001"
                                      "ffff"
                                      "00000000"));
  EXPECT_NE(name.to_string().find("TopicData[0].Name"), std::string::npos) << name.to_string();
  SaslAuthenticateRequest sasl;
  EXPECT_NE(decode(sasl, 0, from_hex("ffffffff")).to_string().find("AuthBytes"), std::string::npos);
}

TEST(Codec, TheMemoryOfTheArraysOfARequestIsBounded) {
  // A million empty strings: two bytes each on the wire, sixteen in memory.
  std::string bytes = from_hex("000f4240");
  bytes.resize(4 + 2'000'000);
  bytes += '\0';
  DescribeGroupsRequest message;
  EXPECT_TRUE(decode(message, 3, bytes).ok());
  EXPECT_EQ(message.groups.size(), 1'000'000u);
  const Status refused = decode(message, 3, bytes, {.array_bytes_max = 8 << 20});
  ASSERT_EQ(refused.code(), Code::kInvalidArgument);
  EXPECT_NE(refused.error().text().find(
                "field Groups at byte 4: 1000000 elements need 16000000 bytes of memory, but 8388608"),
            std::string::npos)
      << refused.error().text();
}

TEST(Codec, TheArraysOfARequestShareOneBound) {
  OffsetForLeaderEpochRequest message;
  message.topics.resize(100);
  for (auto& topic : message.topics) topic.partitions.resize(100);
  Writer out;
  encode(message, 4, out);
  const std::size_t wanted =
      100 * sizeof(message.topics[0]) + 10'000 * sizeof(message.topics[0].partitions[0]);
  EXPECT_TRUE(decode(message, 4, out.view(), {.array_bytes_max = wanted}).ok());
  const Status refused = decode(message, 4, out.view(), {.array_bytes_max = wanted - 1});
  EXPECT_NE(refused.to_string().find("field Topics[99].Partitions at byte"), std::string::npos)
      << refused.to_string();
}

TEST(Codec, ACompactStringHasTheBoundOfAClassicOne) {
  FindCoordinatorRequest message;
  for (const std::size_t size : {std::size_t{32'767}, std::size_t{32'768}}) {
    Writer out;
    out.varint(static_cast<std::uint32_t>(size + 1));
    out.bytes(std::string(size, 'k'));
    out.bytes(std::string_view("\0\0", 2));
    const Status read = decode(message, 3, out.view(), {.refuse_rest = true});
    EXPECT_EQ(read.ok(), size <= Writer::kStringBytesMax) << read.to_string();
    if (!read.ok()) {
      EXPECT_NE(read.to_string().find("a length of 32768, above the limit of 32767"), std::string::npos);
    }
  }
}

TEST(Codec, AProblemDeepInsideIsNamedByItsPath) {
  ProduceRequest message;
  message.topic_data.resize(2);
  for (auto& topic : message.topic_data) topic.partition_data.resize(3);
  Writer out;
  encode(message, 8, out);
  std::string bytes(out.view());
  bytes.back() = 5;  // the length of the last records
  EXPECT_EQ(decode(message, 8, bytes).to_string(),
            "kInvalidArgument: cannot read ProduceRequest version 8, field "
            "TopicData[1].PartitionData[2].Records at byte " +
                std::to_string(bytes.size()) + ": needs 5 bytes, but 0 are left");
}

TEST(Codec, AKnownTaggedFieldMustHaveItsSize) {
  Writer out;
  encode(FetchRequest(), 12, out);
  // After it: how many tagged fields, then tag, size and value of ClusterId, a compact string.
  const auto with = [&](std::string_view tagged) {
    std::string bytes(out.view());
    bytes.pop_back();
    return bytes += from_hex(tagged);
  };
  FetchRequest message;
  const std::string good = with("0100020278");
  EXPECT_TRUE(decode(message, 12, good, {.refuse_rest = true}).ok());
  EXPECT_EQ(message.cluster_id, "x");
  const std::string null = with("01000100");
  EXPECT_TRUE(decode(message, 12, null, {.refuse_rest = true}).ok());
  EXPECT_EQ(message.cluster_id, std::nullopt);
  for (const char* bad : {"010003027800", "0100010278", "01000502", "010002", "02000100", "ff01"}) {
    const std::string bytes = with(bad);
    EXPECT_EQ(decode(message, 12, bytes).code(), Code::kInvalidArgument) << bad;
  }
  const std::string longer = with("010003027800");
  EXPECT_NE(decode(message, 12, longer).to_string().find("field ClusterId at byte"), std::string::npos);
}

TEST(Codec, NullIsWrittenAsEmptyWhereTheVersionHasNone) {
  JoinGroupResponse response;
  Writer out;
  encode(response, 6, out);
  ASSERT_TRUE(decode(response, 6, out.view()).ok());
  EXPECT_EQ(response.protocol_name, "");
  out.clear();
  encode(JoinGroupResponse(), 7, out);
  ASSERT_TRUE(decode(response, 7, out.view()).ok());
  EXPECT_EQ(response.protocol_name, std::nullopt);
}

TEST(Codec, TextsStayUntilTheirResponseIsEncoded) {
  Texts texts;
  CreateTopicsResponse response;
  for (int i = 0; i < 1000; ++i) {
    auto& topic = response.topics.emplace_back();
    topic.error_message = texts.keep("no " + std::to_string(i));
  }
  Writer out;
  encode(response, 7, out);
  texts.clear();
  ASSERT_TRUE(decode(response, 7, out.view()).ok());
  for (std::size_t i = 0; i < 1000; ++i)
    ASSERT_EQ(response.topics[i].error_message, "no " + std::to_string(i));
}

TEST(Codec, AVersionOutsideTheTableIsNotDecoded) {
  ProduceRequest message;
  EXPECT_EQ(decode(message, 2, "").code(), Code::kUnsupported);
  EXPECT_EQ(decode(message, 12, "").code(), Code::kUnsupported);
  EXPECT_EQ(decode(message, -1, "").code(), Code::kUnsupported);
}

TEST(Codec, TheRecordsOfAFetchResponseAreNotCopied) {
  Request request;
  request.api = &api(Key::kFetch);
  request.version = 12;
  FetchResponse response;
  auto& topic = response.responses.emplace_back();
  topic.topic = "t";
  for (std::uint32_t i = 0; i < 3; ++i) {
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index = static_cast<std::int32_t>(i);
    partition.records = Records::external(i, 1'000'000 * (i + 1));
  }
  topic.partitions.emplace_back().error_code = ErrorCode::kOffsetOutOfRange;
  Writer out;
  ASSERT_TRUE(write_response(out, request, response).ok());
  // Put together as a sender does it, it is the message that was meant.
  std::string sent;
  std::vector<std::uint32_t> sources;
  for (const Piece& piece : out.pieces()) {
    if (piece.kind == Piece::Kind::kExternal) {
      sources.push_back(piece.source);
      sent.append(piece.size, static_cast<char>('a' + piece.source));
    } else {
      sent += out.owned(piece);
    }
  }
  EXPECT_EQ(sources, (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(frame_size(std::string_view(sent).substr(0, 4), 1 << 30).value_or(0), sent.size() - 4);
  FetchResponse read;
  ASSERT_TRUE(decode(read, 12, std::string_view(sent).substr(9), {.refuse_rest = true}).ok());
  ASSERT_EQ(read.responses.at(0).partitions.size(), 4u);
  EXPECT_EQ(read.responses[0].partitions[1].records.bytes(), std::string(2'000'000, 'b'));
  EXPECT_EQ(read.responses[0].partitions[2].records.bytes(), std::string(3'000'000, 'c'));
  EXPECT_EQ(read.responses[0].partitions[3].error_code, ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(read.responses[0].partitions[3].records.size(), 0u);
  EXPECT_LT(out.view().size(), 400u);
}

}  // namespace
}  // namespace afdg::kafka
