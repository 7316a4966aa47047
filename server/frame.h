#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "region/core.h"

// CallFrame and OutcomeFrame of proto/afdg/v1/data.proto by hand: views of a call cost a third of a parsed
// message, and replies are appended to the bytes that leave.
namespace afdg::server {

/// Views into the frame's bytes.
struct CallView {
  std::uint64_t id = 0;
  std::uint32_t region = 0;
  std::string_view type;
  std::string_view key;
  std::string_view message;
  std::string_view payload;
  region::Content content = region::Content::kProtobuf;
  region::Want want = region::Want::kAnswer;
  std::uint64_t sequence = 0;
  std::uint64_t answered_below = 0;
  std::string_view request_id;
  std::int64_t deadline_unix_ms = 0;
};
struct FrameView {
  std::string_view grid;
  std::uint64_t session = 0;
  std::vector<CallView> calls;
  bool forwarded = false;
  std::int64_t sent_unix_ms = 0;
};
/// Replaces what `frame` held. False when the bytes are no CallFrame. Unknown fields are skipped.
[[nodiscard]] bool parse_call_frame(std::string_view bytes, FrameView& frame);
/// The frame's deadlines by this machine's clock: each has as much time left as when the frame was written.
void count_deadlines_from(FrameView& frame, Timestamp now);
void append_frame_head(std::string& out, std::string_view grid, std::uint64_t session, bool forwarded,
                       Timestamp sent);
void append_call(std::string& out, const CallView& call);

struct OutcomeView {
  std::uint64_t id = 0;
  std::uint32_t region = 0;
  Code code = Code::kOk;
  region::Content content = region::Content::kProtobuf;  ///< of the answer; not in the frame
  bool repeated = false;
  std::int64_t offset = -1;
  std::string_view text;  ///< the answer when the code is kOk, else the sentence
};
struct RouteView {
  std::string_view grid;
  std::uint32_t region = 0;
  std::uint32_t node = 0;
  std::string_view address;
  std::int32_t epoch = 0;
};
void append_outcome(std::string& out, const OutcomeView& outcome);
void append_route(std::string& out, const RouteView& route);
struct OutcomeFrameView {
  std::vector<OutcomeView> outcomes;
  std::vector<RouteView> routes;
};
[[nodiscard]] bool parse_outcome_frame(std::string_view bytes, OutcomeFrameView& frame);

}  // namespace afdg::server
