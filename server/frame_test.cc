#include "server/frame.h"

#include <gtest/gtest.h>

#include "afdg/v1/data.pb.h"
#include "base/clock.h"

// The hand-written encoding against Protocol Buffers' own.
namespace afdg::server {
namespace {

TEST(FrameTest, ReadsWhatProtocolBuffersWrites) {
  v1::CallFrame written;
  written.set_grid("g");
  written.set_session(~0ULL);
  written.set_forwarded(true);
  written.set_sent_unix_ms(1'699'999'999'000);
  v1::Call& call = *written.add_calls();
  call.set_id(300);
  call.set_region(5);
  call.set_type("entity");
  call.set_key(std::string("a\0b", 3));
  call.set_message("Put");
  call.set_payload(std::string(70'000, 'p'));
  call.set_content(v1::CONTENT_JSON);
  call.set_kind(v1::KIND_SEND);
  call.set_sequence(1ULL << 40);
  call.set_answered_below(7);
  call.set_request_id("id");
  call.set_deadline_unix_ms(1'700'000'000'000);
  written.add_calls();
  FrameView read;
  const std::string bytes = written.SerializeAsString();
  ASSERT_TRUE(parse_call_frame(bytes, read));
  EXPECT_EQ(read.grid, "g");
  EXPECT_EQ(read.session, ~0ULL);
  EXPECT_TRUE(read.forwarded);
  ASSERT_EQ(read.calls.size(), 2u);
  EXPECT_EQ(read.calls[0].key, std::string_view("a\0b", 3));
  EXPECT_EQ(read.calls[0].payload.size(), 70'000u);
  EXPECT_EQ(read.calls[0].want, region::Want::kReceipt);

  std::string again;
  append_frame_head(again, read.grid, read.session, read.forwarded,
                    Timestamp(std::chrono::milliseconds(read.sent_unix_ms)));
  for (const CallView& one : read.calls) append_call(again, one);
  v1::CallFrame parsed;
  ASSERT_TRUE(parsed.ParseFromString(again));
  EXPECT_EQ(parsed.SerializeAsString(), bytes);
}

TEST(FrameTest, DeadlinesCountFromTheReceiversClock) {
  const Timestamp now(std::chrono::milliseconds(5'000'000));
  const auto counted = [&](std::int64_t sent, std::int64_t deadline) {
    FrameView frame;
    frame.sent_unix_ms = sent;
    frame.calls.push_back({});
    frame.calls[0].deadline_unix_ms = deadline;
    count_deadlines_from(frame, now);
    return frame.calls[0].deadline_unix_ms;
  };
  EXPECT_EQ(counted(86'400'000, 86'402'000), 5'002'000) << "a sender a day ahead";
  EXPECT_EQ(counted(1'000, 3'000), 5'002'000) << "one that is behind";
  EXPECT_EQ(counted(86'400'000, 86'399'000), 4'999'000) << "it was over when it was sent";
  EXPECT_EQ(counted(9'000'000, 1'000), 1) << "long over is not none";
  EXPECT_EQ(counted(86'400'000, 0), 0) << "there is none";
  EXPECT_EQ(counted(0, 3'000), 3'000) << "a sender who does not tell its time";
  for (const std::int64_t odd : {INT64_MIN, std::int64_t{-1}, INT64_MAX}) {
    EXPECT_EQ(counted(odd, 3'000), 3'000);
    EXPECT_EQ(counted(3'000, odd), odd);
  }
}

TEST(FrameTest, WritesWhatProtocolBuffersReads) {
  std::string bytes;
  append_outcome(bytes,
                 {.id = 9, .region = 3, .code = Code::kOk, .repeated = true, .offset = 12, .text = "answer"});
  append_outcome(bytes, {.id = 10, .region = 0, .code = Code::kOverloaded, .offset = -1, .text = "why"});
  append_route(bytes, {.grid = "g", .region = 3, .node = 2, .address = "h:1", .epoch = 4});
  v1::OutcomeFrame frame;
  ASSERT_TRUE(frame.ParseFromString(bytes));
  ASSERT_EQ(frame.outcomes_size(), 2);
  EXPECT_EQ(frame.outcomes(0).payload(), "answer");
  EXPECT_TRUE(frame.outcomes(0).repeated());
  EXPECT_EQ(frame.outcomes(1).text(), "why");
  EXPECT_EQ(frame.outcomes(1).offset(), -1);
  EXPECT_EQ(frame.routes(0).address(), "h:1");
  OutcomeFrameView view;
  ASSERT_TRUE(parse_outcome_frame(bytes, view));
  EXPECT_EQ(view.outcomes[1].code, Code::kOverloaded);
  EXPECT_EQ(view.outcomes[1].offset, -1);
  EXPECT_EQ(view.routes[0].epoch, 4);
}

TEST(FrameTest, CutOrChangedBytesAreRefusedOrRead) {
  v1::CallFrame frame;
  frame.set_grid("grid");
  frame.add_calls()->set_key("key");
  const std::string good = frame.SerializeAsString();
  FrameView view;
  OutcomeFrameView outcomes;
  SeededRandom random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good.substr(0, 1 + random.next() % good.size());
    bytes[random.next() % bytes.size()] = static_cast<char>(random.next());
    static_cast<void>(parse_call_frame(bytes, view));  // neither reads outside nor loops
    static_cast<void>(parse_outcome_frame(bytes, outcomes));
  }
}

}  // namespace
}  // namespace afdg::server
