#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "kafka/messages/produce.h"
#include "kafka/testing/broker.h"
#include "log/codecs.h"

// Which records of a batch a topic does not take, and why (KIP-467).
namespace afdg::kafka {
namespace {

namespace at = log::batch_layout;
using std::chrono::hours;

struct KafkaRecordErrors : testing::BrokerTest {
  struct Record {
    bool has_key = true;
    hours after{0};
  };
  [[nodiscard]] std::string batch(const std::vector<Record>& records) const {
    log::BatchBuilder builder;
    for (const Record& r : records) {
      std::optional<std::string_view> key;
      if (r.has_key) key = "key";
      builder.add(memory.clock.now() + r.after, key, "value");
    }
    return std::string(builder.seal(Offset(0), Epoch(-1)));
  }
  static void mend(std::string& batch) {
    store_be32(batch.data() + at::kLength, static_cast<std::uint32_t>(batch.size() - at::kOverheadBytes));
    store_be32(batch.data() + at::kCrc, crc32c(std::string_view(batch).substr(at::kAttributes)));
  }
  static std::string packed(const std::string& batch) {
    std::string out = batch.substr(0, at::kHeaderBytes);
    std::string payload;
    EXPECT_TRUE(
        log::compress(log::Codec::kGzip, std::string_view(batch).substr(at::kHeaderBytes), payload).ok());
    out += payload;
    store_be16(out.data() + at::kAttributes, static_cast<std::uint16_t>(log::Codec::kGzip));
    mend(out);
    return out;
  }
  ProduceResponse::Partition produce(std::string_view topic, const std::string& batch,
                                     std::int16_t version = 8) {
    ProduceRequest request;
    request.acks = -1;
    request.topic_data.push_back({topic, {{0, std::string_view(batch)}}});
    last_ = ask<ProduceResponse>(version, request);
    EXPECT_TRUE(last_);
    return last_ ? last_->responses.at(0).partition_responses.at(0) : ProduceResponse::Partition();
  }
  static std::vector<std::int32_t> places(const ProduceResponse::Partition& answer) {
    std::vector<std::int32_t> out;
    for (const auto& error : answer.record_errors) out.push_back(error.batch_index);
    return out;
  }
  [[nodiscard]] std::int64_t stored(TopicId topic) const {
    return memory.log->ends({topic, PartitionIndex(0)})->end.value();
  }

 private:
  std::optional<ProduceResponse> last_;
};

using Places = std::vector<std::int32_t>;

TEST_F(KafkaRecordErrors, RecordsWithoutAKeyAreNamed) {
  const std::string plain = batch({{}, {false}, {}, {false}, {}});
  for (const std::string& bytes : {plain, packed(plain)}) {
    const auto answer = produce("compacted", bytes);
    EXPECT_EQ(answer.error_code, ErrorCode::kInvalidRecord);
    EXPECT_EQ(places(answer), (Places{1, 3}));
    for (const auto& error : answer.record_errors) {
      ASSERT_TRUE(error.batch_index_error_message);
      EXPECT_NE(error.batch_index_error_message->find("without a key"), std::string_view::npos);
    }
    ASSERT_TRUE(answer.error_message);
    EXPECT_EQ(answer.error_message->find("2 of the batch's records"), 0u) << *answer.error_message;
    EXPECT_EQ(answer.base_offset, -1);
  }
  EXPECT_EQ(stored(testing::kCompactedTopic), 0);
  EXPECT_EQ(produce("t", plain).error_code, ErrorCode::kNone) << "a topic that is not compacted takes them";
  const auto older = produce("compacted", plain, 7);
  EXPECT_EQ(older.error_code, ErrorCode::kInvalidRecord);
  EXPECT_TRUE(older.record_errors.empty());
}

TEST_F(KafkaRecordErrors, RecordsOfAWrongTimeAreNamed) {
  const auto answer = produce("t", batch({{}, {true, hours(2)}, {}, {true, hours(3)}}));
  EXPECT_EQ(answer.error_code, ErrorCode::kInvalidTimestamp);
  EXPECT_EQ(places(answer), (Places{1, 3}));
  const std::string time =
      std::to_string((memory.clock.now() + hours(3)).time_since_epoch() / std::chrono::milliseconds(1));
  EXPECT_NE(answer.record_errors.at(1).batch_index_error_message.value_or("").find(time),
            std::string_view::npos);
  EXPECT_EQ(stored(testing::kTopic), 0);
}

TEST_F(KafkaRecordErrors, AWrongTimeDecidesTheCodeAsInKafka) {
  const auto answer = produce("compacted", batch({{false}, {true, hours(2)}, {false, hours(2)}}));
  EXPECT_EQ(answer.error_code, ErrorCode::kInvalidTimestamp);
  EXPECT_EQ(places(answer), (Places{0, 1, 2}));
}

TEST_F(KafkaRecordErrors, WhatIsWrongWithTheWholeBatchNamesNoRecord) {
  std::string control = batch({{false}, {false}});
  store_be16(control.data() + at::kAttributes, 1u << 5);
  mend(control);
  const auto answer = produce("compacted", control);
  EXPECT_EQ(answer.error_code, ErrorCode::kInvalidRecord);
  EXPECT_TRUE(answer.record_errors.empty());
  std::string cut = batch({{false}, {}});
  cut.resize(cut.size() - 3);
  mend(cut);
  EXPECT_TRUE(produce("compacted", cut).record_errors.empty()) << "it cannot be read to its end";
  const auto sound = produce("compacted", batch({{}, {}}));
  EXPECT_EQ(sound.error_code, ErrorCode::kNone);
  EXPECT_TRUE(sound.record_errors.empty());
  EXPECT_EQ(stored(testing::kCompactedTopic), 2);
}

// Compressed, a million of them would fit a request.
TEST_F(KafkaRecordErrors, AnAnswerNamesAThousandRecordsAndCountsTheOthers) {
  const std::string many = packed(batch(std::vector<Record>(3000, {false})));
  ProduceRequest request;
  request.acks = -1;
  request.topic_data.push_back({"compacted", {{0, std::string_view(many)}, {0, std::string_view(many)}}});
  const auto response = ask<ProduceResponse>(8, request).value();
  const auto& parts = response.responses.at(0).partition_responses;
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].record_errors.size(), 1000u);
  EXPECT_TRUE(parts[1].record_errors.empty());
  for (const auto& part : parts) EXPECT_EQ(part.error_message.value_or("").find("3000 of the batch's"), 0u);
}

}  // namespace
}  // namespace afdg::kafka
