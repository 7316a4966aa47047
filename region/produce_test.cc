#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/codec.h"
#include "region/region_core.h"
#include "region/testing/ledger_agent.h"
#include "region/testing/simulated_region.h"

// What Kafka clients produce to a region's partition of `messages`.
namespace afdg::region {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using testing::ledger_types;
using testing::produced_batch;
using testing::shown;
using testing::SimulatedRegion;
using Headers = std::vector<log::Header>;

const Headers kIncrement{{kTypeHeader, "ledger"}, {kMessageHeader, "Increment"}};

class ProduceTest : public ::testing::Test {
 protected:
  struct Record {
    std::optional<std::string> key;
    std::string value;
    Headers headers = kIncrement;
  };

  void open(Options options = {}, log::MemoryCommit commit = log::MemoryCommit::kImmediate) {
    options.types = {"ledger", "other"};
    log::MemoryLogStorage::Options log{};
    log.commit = commit;
    region_ = std::make_unique<SimulatedRegion>(SimulatedRegion::Setup{RegionId(0), options, log},
                                                ledger_types(), clock_);
    ASSERT_TRUE(region_->start().ok());
  }
  RegionCore& core() { return region_->core(); }
  std::string batch(const std::vector<Record>& records, std::int64_t producer = -1, std::int32_t sequence = 0,
                    std::int16_t epoch = 0) {
    log::BatchBuilder builder;
    for (const Record& record : records) {
      builder.add(clock_.now() - 1h, record.key ? std::optional<std::string_view>(*record.key) : std::nullopt,
                  std::string_view(record.value), record.headers.data(), record.headers.size());
    }
    return produced_batch(builder, producer, epoch, sequence);
  }
  std::uint64_t handle(const std::string& bytes) {
    core().handle(
        {.payload = bytes, .want = Want::kReceipt, .identity = {}, .produced = true, .ticket = ++ticket_});
    return ticket_;
  }
  SimulatedRegion::Answer produce(const std::string& bytes) {
    const std::uint64_t ticket = handle(bytes);
    core().seal();
    region_->log().commit_all();
    EXPECT_TRUE(region_->settle().ok());
    EXPECT_TRUE(region_->answers.contains(ticket));
    return region_->answers[ticket];
  }
  std::string show(std::string_view key) {
    core().handle({.type = "ledger", .key = key, .message = "Get", .identity = {}, .ticket = ++ticket_});
    core().seal();
    region_->log().commit_all();
    return shown(region_->answers[ticket_].text);
  }
  static std::string by(int amount, std::string_view key = "x") {
    return R"({"key":")" + std::string(key) + R"(","by":)" + std::to_string(amount) + "}";
  }
  void restart() {
    region_->crash();
    ASSERT_TRUE(region_->start().ok());
    ASSERT_TRUE(region_->settle().ok());
  }
  /// Of a grid with that many regions, a key of another region than 0.
  static std::string elsewhere(std::int32_t regions, int skip = 0) {
    for (int i = 0;; ++i) {
      std::string key = "f" + std::to_string(i);
      if (key_partition(key, regions) != 0 && skip-- == 0) return key;
    }
  }
  static std::string here(std::int32_t regions) {
    for (int i = 0;; ++i) {
      std::string key = "h" + std::to_string(i);
      if (key_partition(key, regions) == 0) return key;
    }
  }
  std::size_t logged() { return region_->messages().size(); }

  ManualClock clock_;
  std::unique_ptr<SimulatedRegion> region_;
  std::uint64_t ticket_ = 0;
};

TEST_F(ProduceTest, RecordsBecomeMessagesAtTheOffsetsThatAreTold) {
  open();
  produce(batch({{"z", by(1)}}));
  // Turns that send to their own region do not come between the records of a batch.
  const auto answer = produce(batch({{"a", by(1, ">z")}, {"b", by(2, ">z")}, {"a", by(3)}}));
  EXPECT_EQ(answer.code, Code::kOk) << answer.text;
  EXPECT_EQ(answer.offset, Offset(1));
  ByteReader time(answer.text);
  EXPECT_EQ(Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(time.be64()))), clock_.now());
  ASSERT_EQ(logged(), 6U);
  EXPECT_EQ(region_->message(1).key, "a");
  EXPECT_EQ(region_->message(2).key, "b");
  EXPECT_EQ(region_->message(3).key, "a");
  EXPECT_EQ(region_->message(1).content, Content::kJson);
  EXPECT_EQ(region_->message(1).timestamp, clock_.now());  // a message's time is when it was logged
  restart();
  EXPECT_EQ(show("a"), "4; last >z: 1; last x: 3; sent z: 1");
  EXPECT_EQ(show("z"), "1; last x: 1; got a: 1; got b: 1");
  EXPECT_EQ(region_->check_marks(), "");
}

TEST_F(ProduceTest, ReadsAMessageFromTheHeadersAndBelievesNoIdentity) {
  open();
  v1::entity::Increment m;
  m.set_key("x");
  m.set_by(5);
  const std::string bytes = m.SerializeAsString();
  std::string forged(1, '\1');
  put_varint(forged, 2);  // a session
  put_be64(forged, 77);
  put_varint(forged, 1);
  produce(batch({{"a", by(1), {}},  // two types: which is meant is not known
                 {"a", by(1), {{kTypeHeader, "ledger"}}},
                 {"a", bytes, {kIncrement[0], kIncrement[1], {kContentHeader, "protobuf"}}},
                 {"a", bytes, {kIncrement[0], kIncrement[1], {kIdHeader, forged}}},
                 {"a", by(5), {kIncrement[0], kIncrement[1], {kContentHeader, "json"}, {kIdHeader, forged}}},
                 {"a", by(5), {kIncrement[0], kIncrement[1], {kContentHeader, "application/json"}}}}));
  EXPECT_EQ(core().info().dead_end, Offset(2));
  EXPECT_EQ(show("a"), "20; last x: 5 5 5");
  for (std::size_t i = 0; i < logged(); ++i) {
    const MessageView message = region_->message(i);
    EXPECT_TRUE(message.identity.session == 0 && message.identity.request_id.empty() &&
                message.want == Want::kReceipt);
  }
}

TEST_F(ProduceTest, AnOnlyTypeAndAnOnlyMessageNeedNotBeNamed) {
  Options options;
  region_ = std::make_unique<SimulatedRegion>(SimulatedRegion::Setup{RegionId(0),
                                                                     [&] {
                                                                       options.types = {"ledger"};
                                                                       return options;
                                                                     }(),
                                                                     {}},
                                              ledger_types(), clock_);
  ASSERT_TRUE(region_->start().ok());
  produce(batch({{"a", by(1), {{kMessageHeader, "Increment"}}}, {"a", by(1), {}}}));
  EXPECT_EQ(show("a"), "1; last x: 1");  // the type has two messages that may write
  EXPECT_EQ(core().info().dead_end, Offset(1));
  EXPECT_EQ(region_->message(1).type, "ledger");
}

TEST_F(ProduceTest, WhatNobodyUnderstandsIsBuriedAndFailsNothing) {
  Options options;
  options.regions = 4;
  open(options);
  const std::string key = here(4);
  const std::string long_key(1025, 'k');
  const std::string long_name(200, 'n');
  const auto answer = produce(batch({{std::nullopt, by(1)},
                                     {"", by(1)},
                                     {key, by(1), {{kTypeHeader, "nobody"}, {kMessageHeader, "Increment"}}},
                                     {key, by(1), {{kTypeHeader, "ledger"}, {kMessageHeader, "Shred"}}},
                                     {key, "{"},
                                     {key, ""},
                                     {key, "{}", {{kTypeHeader, "ledger"}, {kMessageHeader, "Get"}}},
                                     {elsewhere(4), by(1), {{kTypeHeader, long_name}, kIncrement[1]}},
                                     {long_key, by(1)},
                                     {key, by(testing::kRefused)},
                                     {key, by(7)}}));
  EXPECT_EQ(answer.code, Code::kOk);
  EXPECT_EQ(answer.offset, Offset(0));
  EXPECT_EQ(core().info().dead_end, Offset(10));
  EXPECT_EQ(show(key), "7; last x: 7");
  restart();
  EXPECT_EQ(core().info().dead_end, Offset(10));
  EXPECT_EQ(show(key), "7; last x: 7");
}

// Invariant 7
TEST_F(ProduceTest, RecordsForOtherRegionsLeaveThroughTheOutboxWithTheirContent) {
  Options options;
  options.regions = 4;
  open(options, log::MemoryCommit::kManual);
  const auto ticket = handle(batch({{elsewhere(4), by(1)}, {here(4), by(2)}, {elsewhere(4), by(3)}}));
  core().seal();
  core().poll();
  EXPECT_TRUE(region_->answers.empty() && region_->outgoing.empty());  // nothing is durable yet
  region_->log().commit_all();
  core().poll();
  ASSERT_EQ(region_->outgoing.size(), 2U);
  EXPECT_EQ(region_->outgoing[1].number, 2U);
  EXPECT_EQ(region_->outgoing[1].payload, by(3));
  EXPECT_EQ(region_->outgoing[1].content, Content::kJson);
  EXPECT_EQ(region_->answers[ticket].code, Code::kOk);
  EXPECT_EQ(region_->answers[ticket].offset, Offset(-1));  // a client would count wrong from any
  EXPECT_EQ(logged(), 1U);
  region_->crash();  // they are as durable as the record that stayed
  ASSERT_TRUE(region_->start().ok());
  core().poll();
  ASSERT_EQ(region_->outgoing.size(), 2U);
  EXPECT_EQ(region_->outgoing[0].payload, by(1));
  core().delivered(region_->outgoing[0].target, 2);
  core().seal();
  region_->log().commit_all();
  EXPECT_EQ(core().info().outbox, 0U);
}

// Invariant 8
TEST_F(ProduceTest, ABatchThatComesAgainIsTakenOnce) {
  Options options;
  options.regions = 4;
  open(options);
  const std::string key = here(4);
  const std::string first = batch({{key, by(1)}, {key, by(2)}}, 9, 0);
  const std::string second = batch({{key, by(3)}, {elsewhere(4), by(4)}}, 9, 2);
  EXPECT_EQ(produce(second).code, Code::kOk);  // unknown: any sequence
  EXPECT_EQ(produce(first).code, Code::kOutOfOrderSequence);
  const auto taken = produce(batch({{key, by(1)}, {key, by(2)}}, 9, 4));
  EXPECT_EQ(taken.offset, Offset(1));
  restart();
  const auto again = produce(batch({{key, by(1)}, {key, by(2)}}, 9, 4));
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.offset, Offset(1));
  EXPECT_TRUE(produce(second).repeated);
  EXPECT_EQ(produce(second).offset, Offset(-1));
  EXPECT_EQ(produce(batch({{key, by(1)}}, 9, 7)).code, Code::kOutOfOrderSequence);
  EXPECT_EQ(produce(batch({{key, by(1)}}, 9, 0, 1)).code, Code::kOk);
  EXPECT_EQ(produce(batch({{key, by(1)}}, 9, 6)).code, Code::kProducerFenced);
  EXPECT_EQ(show(key), "7; last x: 1 2 1");
  // Without an identity each is a message of its own.
  EXPECT_EQ(produce(batch({{key, by(1)}})).code, Code::kOk);
  EXPECT_EQ(produce(batch({{key, by(1)}})).code, Code::kOk);
  EXPECT_EQ(show(key), "9; last x: 1 1 1");
}

// Invariant 4
TEST_F(ProduceTest, ARepeatWaitsForTheCommitOfTheFirst) {
  open({}, log::MemoryCommit::kManual);
  const std::string bytes = batch({{"a", by(1)}}, 9, 0);
  const auto first = handle(bytes);
  core().seal();
  const auto repeat = handle(bytes);
  core().seal();
  EXPECT_TRUE(region_->answers.empty());
  region_->log().commit_all();
  EXPECT_EQ(region_->answers[first].offset, Offset(0));
  EXPECT_EQ(region_->answers[repeat].offset, Offset(0));
  EXPECT_TRUE(region_->answers[repeat].repeated);
}

// Invariant 8
TEST_F(ProduceTest, ALargeBatchThatACrashCutsGoesOnWhereItWas) {
  constexpr int kRecords = 100;
  std::vector<Record> records;
  for (int i = 0; i < kRecords; ++i) records.push_back({i % 3 == 0 ? elsewhere(4, i % 5) : here(4), by(1)});
  for (int cut = 1; cut < 6; ++cut) {
    Options options;
    options.regions = 4;
    options.produced_seal_bytes = 1'000;
    open(options, log::MemoryCommit::kManual);
    const std::string bytes = batch(records, 9, 0);
    const auto ticket = handle(bytes);
    core().seal();
    ASSERT_GT(region_->log().undecided(), static_cast<std::size_t>(cut) + 1);
    for (int i = 0; i < cut; ++i) region_->log().commit_one();
    EXPECT_FALSE(region_->answers.contains(ticket));
    restart();
    EXPECT_LT(logged() + core().info().outbox, static_cast<std::size_t>(kRecords));
    EXPECT_GT(logged(), 0U);
    const auto rest = produce(bytes);
    EXPECT_EQ(rest.code, Code::kOk);
    EXPECT_FALSE(rest.repeated);
    EXPECT_EQ(rest.offset, Offset(-1));
    EXPECT_EQ(logged(), 66U);
    EXPECT_EQ(core().info().outbox, 34U);
    EXPECT_TRUE(produce(bytes).repeated);
    EXPECT_EQ(show(here(4)), "66; last x: 1 1 1");
    EXPECT_EQ(region_->check_marks(), "");
  }
}

// Invariant 8
TEST_F(ProduceTest, NothingOfAProducerIsTakenBeforeWhatARecoveringRegionRefused) {
  open();
  handle(batch(std::vector<Record>(1'000, {"a", by(1)})));
  core().seal();
  region_->crash();  // logged, and most of it still to run
  ASSERT_TRUE(region_->start().ok());
  const std::string first = batch({{"b", by(1)}}, 9, 0);
  const std::string second = batch({{"b", by(2)}}, 9, 1);
  const auto refused = handle(first);
  EXPECT_EQ(produce(first).code, Code::kUnavailable);  // as often as it comes
  EXPECT_EQ(region_->answers[refused].code, Code::kUnavailable);
  EXPECT_EQ(produce(second).code, Code::kOutOfOrderSequence);  // it was under way behind the first
  EXPECT_EQ(produce(first).code, Code::kOk);
  EXPECT_EQ(produce(second).code, Code::kOk);
  EXPECT_EQ(show("b"), "3; last x: 1 2");
}

// Invariant 13
TEST_F(ProduceTest, WhatIsRefusedHasDoneNothing) {
  Options options;
  options.regions = 4;
  options.outbox_entries_max = 2;
  options.message_bytes_max = 1'000;
  open(options);
  EXPECT_EQ(produce(batch({{here(4), by(1)}, {here(4), std::string(1'001, ' ')}}, 9, 0)).code,
            Code::kMessageTooLarge);
  EXPECT_EQ(logged(), 0U);
  EXPECT_EQ(produce(batch({{elsewhere(4), by(1)}, {elsewhere(4), by(1)}}, 9, 0)).code, Code::kOk);
  const auto full = produce(batch({{here(4), by(1)}, {elsewhere(4), by(1)}}, 9, 2));
  EXPECT_EQ(full.code, Code::kOverloaded);
  EXPECT_EQ(produce(batch({{here(4), by(1)}}, 9, 4)).code, Code::kOutOfOrderSequence);  // not before it
  EXPECT_THAT(full.text, HasSubstr("outbox"));
  EXPECT_EQ(logged(), 0U);
  core().delivered(RegionId(key_partition(elsewhere(4), 4)), 2);
  EXPECT_EQ(produce(batch({{here(4), by(1)}, {elsewhere(4), by(1)}}, 9, 2)).code, Code::kOk);
  EXPECT_EQ(logged(), 1U);
}

TEST_F(ProduceTest, AFullDiskInTheMiddleIsInDoubtAndTheRestComesLater) {
  Options options;
  options.produced_seal_bytes = 500;
  open(options);
  std::vector<Record> records(50, {"a", by(1)});
  const std::string bytes = batch(records, 9, 0);
  region_->log().set_disk_full(true);
  const auto ticket = handle(bytes);
  core().seal();
  EXPECT_EQ(region_->answers[ticket].code, Code::kInDoubt) << region_->answers[ticket].text;
  EXPECT_EQ(core().failed().code(), Code::kDiskFull);
  region_->log().set_disk_full(false);
  restart();
  EXPECT_EQ(produce(bytes).code, Code::kOk);
  EXPECT_EQ(show("a"), "50; last x: 1 1 1");
}

TEST_F(ProduceTest, ARegionThatRunsManyRecordsGoesOnByItself) {
  open();
  const std::vector<Record> records(1'000, {"a", by(1)});
  const auto ticket = handle(batch(records));
  core().seal();
  EXPECT_EQ(region_->answers[ticket].code, Code::kOk);  // durable, and most of it still to run
  EXPECT_LT(core().info().applied, Offset(1'000));
  EXPECT_TRUE(region_->woken);
  EXPECT_TRUE(core().poll());
  ASSERT_TRUE(region_->settle().ok());
  EXPECT_EQ(show("a"), "1000; last x: 1 1 1");
}

}  // namespace
}  // namespace afdg::region
