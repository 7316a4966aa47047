#include "client/internal/wire.h"

#include <gtest/gtest.h>

#include "afdg/v1/data.pb.h"

namespace afdg::client::internal {
namespace {

TEST(Wire, AFrameIsWhatProtocolBuffersRead) {
  std::string body;
  append_call_body(body, {.type = "entity",
                          .key = "k1",
                          .message = "Increment",
                          .payload = std::string(300, 'x'),
                          .content = 1,
                          .kind = Kind::kSend,
                          .request_id = "id",
                          .deadline_unix_ms = 1700000000000});
  std::string frame;
  append_frame_head(frame, "bank", 0xfedcba9876543210ULL,
                    Timestamp(std::chrono::milliseconds(1699999999000)));
  append_call(frame, body, {.id = 77, .region = 3, .sequence = 9, .answered_below = 5});
  append_call(frame, body, {.id = 78});
  v1::CallFrame read;
  ASSERT_TRUE(read.ParseFromString(frame));
  EXPECT_EQ(read.grid(), "bank");
  EXPECT_EQ(read.session(), 0xfedcba9876543210ULL);
  EXPECT_EQ(read.sent_unix_ms(), 1699999999000);
  ASSERT_EQ(read.calls_size(), 2);
  const v1::Call& call = read.calls(0);
  EXPECT_EQ(call.id(), 77U);
  EXPECT_EQ(call.region(), 3U);
  EXPECT_EQ(call.type(), "entity");
  EXPECT_EQ(call.key(), "k1");
  EXPECT_EQ(call.message(), "Increment");
  EXPECT_EQ(call.payload(), std::string(300, 'x'));
  EXPECT_EQ(call.content(), v1::CONTENT_JSON);
  EXPECT_EQ(call.kind(), v1::KIND_SEND);
  EXPECT_EQ(call.sequence(), 9U);
  EXPECT_EQ(call.answered_below(), 5U);
  EXPECT_EQ(call.request_id(), "id");
  EXPECT_EQ(call.deadline_unix_ms(), 1700000000000);
  EXPECT_EQ(read.calls(1).sequence(), 0U);
  EXPECT_TRUE(read.GetReflection()->GetUnknownFields(read).empty());
}

TEST(Wire, OutcomesAndRoutesAreReadAndUnknownFieldsSkipped) {
  v1::OutcomeFrame frame;
  v1::Outcome* outcome = frame.add_outcomes();
  outcome->set_id(12);
  outcome->set_code(17);
  outcome->set_payload("answer");
  outcome->set_text("why");
  outcome->set_offset(-1);
  outcome->set_region(2);
  outcome->set_repeated(true);
  outcome->GetReflection()->MutableUnknownFields(outcome)->AddVarint(500, 3);
  outcome->GetReflection()->MutableUnknownFields(outcome)->AddFixed64(501, 3);
  outcome->GetReflection()->MutableUnknownFields(outcome)->AddFixed32(502, 3);
  frame.GetReflection()->MutableUnknownFields(&frame)->AddLengthDelimited(99, "later");
  v1::Route* route = frame.add_routes();
  route->set_grid("bank");
  route->set_region(4);
  route->set_node(2);
  route->set_address("a:1");
  route->set_epoch(9);
  const std::string bytes = frame.SerializeAsString();
  OutcomeFrameView view;
  ASSERT_TRUE(parse_outcome_frame(bytes, view));
  ASSERT_EQ(view.outcomes.size(), 1U);
  EXPECT_EQ(view.outcomes[0].id, 12U);
  EXPECT_EQ(view.outcomes[0].code, 17U);
  EXPECT_EQ(view.outcomes[0].payload, "answer");
  EXPECT_EQ(view.outcomes[0].text, "why");
  EXPECT_EQ(view.outcomes[0].offset, -1);
  EXPECT_EQ(view.outcomes[0].region, 2U);
  EXPECT_TRUE(view.outcomes[0].repeated);
  ASSERT_EQ(view.routes.size(), 1U);
  EXPECT_EQ(view.routes[0].grid, "bank");
  EXPECT_EQ(view.routes[0].region, 4U);
  EXPECT_EQ(view.routes[0].address, "a:1");
  EXPECT_EQ(view.routes[0].epoch, 9);
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {  // never reads past the end
    static_cast<void>(parse_outcome_frame(std::string(bytes.substr(0, cut)), view));
  }
  EXPECT_FALSE(parse_outcome_frame(bytes.substr(0, bytes.size() - 1), view));
}

}  // namespace
}  // namespace afdg::client::internal
