#include "region/state_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "region/message.h"
#include "region/sessions.h"
#include "region/table.h"
#include "region/testing/simulated_region.h"

namespace afdg::region {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    static constexpr char kHex[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    text.append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
  }
  return text;
}
std::string item(std::string_view type, std::string_view agent, std::string_view entity, std::string_view key,
                 std::int64_t sequence) {
  std::string out;
  put_list_prefix(out, type, agent, entity, key);
  put_sequence(out, sequence);
  return out;
}

// The golden bytes of docs/formats/region-state.md.
TEST(StateKey, GoldenBytes) {
  EXPECT_EQ(hex(item("t", "a", "e", "k", 1)),
            "61"
            "740001"
            "610001"
            "650001"
            "6b0001"
            "8000000000000001");
  EXPECT_EQ(hex(item("t", std::string("a\0b", 3), "e", "", -1)),
            "61"
            "740001"
            "6100ff620001"
            "650001"
            "0001"
            "7fffffffffffffff");
  EXPECT_EQ(hex(control_key(KeyKind::kMark)), "6d");
  EXPECT_EQ(hex(control_key(KeyKind::kInbox, 3)), "6900000003");
  EXPECT_EQ(hex(control_key(KeyKind::kOutboxNext, 3)), "6e00000003");
  EXPECT_EQ(hex(outbox_key(3, 258)),
            "6f00000003"
            "0000000000000102");
  EXPECT_EQ(hex(session_key(258)),
            "73"
            "0000000000000102");
  EXPECT_EQ(hex(chunk_key(258, 7)),
            "64"
            "0000000000000102"
            "0000000000000007");
  EXPECT_EQ(hex(request_id_key("t", "a", "id")),
            "72"
            "740001"
            "610001"
            "69640001");
}

TEST(StateKey, GoldenValues) {
  std::string outcome;
  put_outcome(outcome,
              {.code = Code::kApplication, .content = Content::kJson, .offset = Offset(300), .text = "no"});
  EXPECT_EQ(hex(outcome),
            "05"
            "01"
            "ad02"
            "026e6f");
  ByteReader reader(outcome);
  const Outcome read = get_outcome(reader);
  EXPECT_TRUE(reader.finished());
  EXPECT_EQ(read.code, Code::kApplication);
  EXPECT_EQ(read.offset, Offset(300));
  EXPECT_EQ(read.text, "no");

  MessageView message{.type = "t", .key = "a", .message = "M"};
  message.want = Want::kReceipt;
  message.identity.session = 258;
  message.identity.sequence = 3;
  message.deadline = Timestamp(std::chrono::milliseconds(5));
  std::string id;
  std::vector<log::Header> headers;
  message_headers(message, id, headers);
  EXPECT_EQ(hex(id),
            "01"
            "13"
            "0000000000000102"
            "03"
            "05");
  ASSERT_EQ(headers.size(), 3U);
  EXPECT_EQ(headers[0].key, "afdg-type");
  EXPECT_EQ(headers[1].key, "afdg-message");
  EXPECT_EQ(headers[2].key, "afdg-id");
  message.identity = {};
  message.identity.source_region = 2;
  message.identity.source_number = 9;
  message.deadline = {};
  message.content = Content::kJson;
  message_headers(message, id, headers);
  EXPECT_EQ(hex(id),
            "01"
            "09"
            "02"
            "09");
  EXPECT_EQ(headers[2].key, "afdg-content");
  EXPECT_EQ(headers[2].value, "json");
}

TEST(StateKey, SortsByItsParts) {
  using Parts = std::tuple<std::string, std::string, std::string, std::string, std::int64_t>;
  const std::uint64_t seed = testing::test_seed();
  SeededRandom random(seed);
  const auto text = [&] {
    std::string out;
    for (std::uint64_t n = random.next() % 3; n > 0; --n)
      out.push_back(
          "\0\1\xff"
          "a"[random.next() % 4]);
    return out;
  };
  std::vector<std::pair<Parts, std::string>> keys;
  for (int i = 0; i < 2000; ++i) {
    Parts p{text(), text(), text(), text(), static_cast<std::int64_t>(random.next() % 5) - 2};
    keys.emplace_back(p,
                      item(std::get<0>(p), std::get<1>(p), std::get<2>(p), std::get<3>(p), std::get<4>(p)));
  }
  const auto repeat = testing::repeat_line("StateKey.SortsByItsParts", seed);
  for (std::size_t i = 1; i < keys.size(); ++i) {
    const auto& [a, a_bytes] = keys[i - 1];
    const auto& [b, b_bytes] = keys[i];
    ASSERT_EQ(a < b, a_bytes < b_bytes) << repeat;
    const auto parsed = parse_item_key(b_bytes);
    ASSERT_TRUE(parsed) << repeat;
    ASSERT_EQ(Parts(parsed->type, parsed->agent, parsed->entity, parsed->key, parsed->sequence), b) << repeat;
    ASSERT_EQ(is_list_item(b_bytes), !std::get<3>(b).empty() || std::get<4>(b) != 0) << repeat;
  }
}

TEST(StateKey, MalformedKeysAreNotParsed) {
  const std::string good = item("t", "a", "e", "k", 1);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_item_key(good.substr(0, size))) << size;
  EXPECT_FALSE(parse_item_key("x" + good.substr(1)));
  EXPECT_FALSE(parse_item_key(good + "x"));
}

TEST(Message, ARecordWithoutHeadersIsAOneWayMessageOfTheDefaultType) {
  log::RecordView record;
  record.offset = Offset(4);
  record.key = "a";
  record.value = "v";
  MessageView view;
  ASSERT_TRUE(parse_message(record, "entity", view).ok());
  EXPECT_EQ(view.type, "entity");
  EXPECT_EQ(view.want, Want::kReceipt);
  EXPECT_EQ(view.key, "a");
  EXPECT_EQ(view.payload, "v");
  const std::string bad("\1\2\3", 3);
  record.headers = {{kTypeHeader, "t"}, {kIdHeader, bad}};
  EXPECT_EQ(parse_message(record, "entity", view).code(), Code::kUndecodable);
  EXPECT_EQ(view.key, "a");
  EXPECT_EQ(view.identity.session, 0U);
}

}  // namespace
}  // namespace afdg::region
