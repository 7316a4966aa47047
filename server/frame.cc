#include "server/frame.h"

#include <algorithm>

#include "base/codec.h"

namespace afdg::server {
namespace {

// ON WIRE: Protocol Buffers' encoding; a tag is (field << 3) | wire type.
constexpr std::uint32_t kVarint = 0, kFixed64 = 1, kSized = 2, kFixed32 = 5;
constexpr std::uint64_t tag(std::uint32_t field, std::uint32_t wire) { return (field << 3) | wire; }

bool skip(ByteReader& reader, std::uint64_t wire) {
  switch (wire) {
    case kVarint:
      reader.varint();
      break;
    case kFixed64:
      reader.be64();
      break;
    case kSized:
      reader.sized();
      break;
    case kFixed32:
      reader.be32();
      break;
    default:
      return false;
  }
  return !reader.failed();
}

void put_number(std::string& out, std::uint32_t field, std::uint64_t value) {
  if (value == 0) return;
  put_varint(out, tag(field, kVarint));
  put_varint(out, value);
}

void put_text(std::string& out, std::uint32_t field, std::string_view text) {
  if (text.empty()) return;
  put_varint(out, tag(field, kSized));
  put_sized(out, text);
}

std::size_t number_size(std::uint64_t value) { return value == 0 ? 0 : 1 + varint_size(value); }
std::size_t text_size(std::string_view text) {
  return text.empty() ? 0 : 1 + varint_size(text.size()) + text.size();
}

bool parse_call(std::string_view bytes, CallView& call) {
  ByteReader reader(bytes);
  while (reader.left() > 0) {
    const std::uint64_t at = reader.varint();
    switch (at) {
      case tag(1, kVarint):
        call.id = reader.varint();
        break;
      case tag(2, kVarint):
        call.region = static_cast<std::uint32_t>(reader.varint());
        break;
      case tag(3, kSized):
        call.type = reader.sized();
        break;
      case tag(4, kSized):
        call.key = reader.sized();
        break;
      case tag(5, kSized):
        call.message = reader.sized();
        break;
      case tag(6, kSized):
        call.payload = reader.sized();
        break;
      case tag(7, kVarint):
        call.content = reader.varint() == 1 ? region::Content::kJson : region::Content::kProtobuf;
        break;
      case tag(8, kVarint):
        call.want = reader.varint() == 1 ? region::Want::kReceipt : region::Want::kAnswer;
        break;
      case tag(9, kVarint):
        call.sequence = reader.varint();
        break;
      case tag(10, kVarint):
        call.answered_below = reader.varint();
        break;
      case tag(11, kSized):
        call.request_id = reader.sized();
        break;
      case tag(12, kVarint):
        call.deadline_unix_ms = static_cast<std::int64_t>(reader.varint());
        break;
      default:
        if (!skip(reader, at & 7)) return false;
    }
  }
  return !reader.failed();
}

bool parse_outcome(std::string_view bytes, OutcomeView& outcome) {
  ByteReader reader(bytes);
  std::string_view payload;
  outcome.offset = 0;
  while (reader.left() > 0) {
    const std::uint64_t at = reader.varint();
    switch (at) {
      case tag(1, kVarint):
        outcome.id = reader.varint();
        break;
      case tag(2, kVarint):
        outcome.code = code_from_number(static_cast<std::uint32_t>(reader.varint()));
        break;
      case tag(3, kSized):
        payload = reader.sized();
        break;
      case tag(4, kSized):
        outcome.text = reader.sized();
        break;
      case tag(5, kVarint):
        outcome.offset = static_cast<std::int64_t>(reader.varint());
        break;
      case tag(6, kVarint):
        outcome.region = static_cast<std::uint32_t>(reader.varint());
        break;
      case tag(7, kVarint):
        outcome.repeated = reader.varint() != 0;
        break;
      default:
        if (!skip(reader, at & 7)) return false;
    }
  }
  if (outcome.code == Code::kOk) outcome.text = payload;
  return !reader.failed();
}

bool parse_route(std::string_view bytes, RouteView& route) {
  ByteReader reader(bytes);
  while (reader.left() > 0) {
    const std::uint64_t at = reader.varint();
    switch (at) {
      case tag(1, kSized):
        route.grid = reader.sized();
        break;
      case tag(2, kVarint):
        route.region = static_cast<std::uint32_t>(reader.varint());
        break;
      case tag(3, kVarint):
        route.node = static_cast<std::uint32_t>(reader.varint());
        break;
      case tag(4, kSized):
        route.address = reader.sized();
        break;
      case tag(5, kVarint):
        route.epoch = static_cast<std::int32_t>(reader.varint());
        break;
      default:
        if (!skip(reader, at & 7)) return false;
    }
  }
  return !reader.failed();
}

}  // namespace

bool parse_call_frame(std::string_view bytes, FrameView& frame) {
  frame.grid = {};
  frame.session = 0;
  frame.calls.clear();
  frame.forwarded = false;
  frame.sent_unix_ms = 0;
  ByteReader reader(bytes);
  while (reader.left() > 0) {
    const std::uint64_t at = reader.varint();
    switch (at) {
      case tag(1, kSized):
        frame.grid = reader.sized();
        break;
      case tag(2, kVarint):
        frame.session = reader.varint();
        break;
      case tag(3, kSized):
        if (!parse_call(reader.sized(), frame.calls.emplace_back())) return false;
        break;
      case tag(4, kVarint):
        frame.forwarded = reader.varint() != 0;
        break;
      case tag(5, kVarint):
        frame.sent_unix_ms = static_cast<std::int64_t>(reader.varint());
        break;
      default:
        if (!skip(reader, at & 7)) return false;
    }
  }
  return !reader.failed();
}

void count_deadlines_from(FrameView& frame, Timestamp now) {
  constexpr std::int64_t kMost = std::int64_t{1} << 60;  // what is above is no time, and would overflow
  const std::int64_t sent = frame.sent_unix_ms;
  if (sent <= 0 || sent > kMost) return;
  for (CallView& call : frame.calls) {
    if (call.deadline_unix_ms <= 0 || call.deadline_unix_ms > kMost) continue;
    const std::int64_t left = call.deadline_unix_ms - sent;
    call.deadline_unix_ms = std::max<std::int64_t>(1, now.time_since_epoch().count() + left);
  }
}

void append_frame_head(std::string& out, std::string_view grid, std::uint64_t session, bool forwarded,
                       Timestamp sent) {
  put_text(out, 1, grid);
  put_number(out, 2, session);
  put_number(out, 4, forwarded ? 1 : 0);
  put_number(out, 5, static_cast<std::uint64_t>(sent.time_since_epoch().count()));
}

void append_call(std::string& out, const CallView& call) {
  std::string body;
  body.reserve(call.type.size() + call.key.size() + call.message.size() + call.payload.size() +
               call.request_id.size() + 80);
  put_number(body, 1, call.id);
  put_number(body, 2, call.region);
  put_text(body, 3, call.type);
  put_text(body, 4, call.key);
  put_text(body, 5, call.message);
  put_text(body, 6, call.payload);
  put_number(body, 7, static_cast<std::uint64_t>(call.content));
  put_number(body, 8, static_cast<std::uint64_t>(call.want));
  put_number(body, 9, call.sequence);
  put_number(body, 10, call.answered_below);
  put_text(body, 11, call.request_id);
  put_number(body, 12, static_cast<std::uint64_t>(call.deadline_unix_ms));
  put_text(out, 3, body);
  if (body.empty()) out.append("\x1a\0", 2);
}

void append_outcome(std::string& out, const OutcomeView& outcome) {
  const bool ok = outcome.code == Code::kOk;
  const auto code = static_cast<std::uint64_t>(outcome.code);
  const auto offset = static_cast<std::uint64_t>(outcome.offset);
  const std::size_t size = number_size(outcome.id) + number_size(code) + text_size(outcome.text) +
                           number_size(offset) + number_size(outcome.region) + (outcome.repeated ? 2 : 0);
  put_varint(out, tag(1, kSized));
  put_varint(out, size);
  put_number(out, 1, outcome.id);
  put_number(out, 2, code);
  put_text(out, ok ? 3 : 4, outcome.text);
  put_number(out, 5, offset);
  put_number(out, 6, outcome.region);
  put_number(out, 7, outcome.repeated ? 1 : 0);
}

void append_route(std::string& out, const RouteView& route) {
  std::string body;
  put_text(body, 1, route.grid);
  put_number(body, 2, route.region);
  put_number(body, 3, route.node);
  put_text(body, 4, route.address);
  put_number(body, 5, static_cast<std::uint64_t>(static_cast<std::int64_t>(route.epoch)));
  put_text(out, 2, body);
}

bool parse_outcome_frame(std::string_view bytes, OutcomeFrameView& frame) {
  frame.outcomes.clear();
  frame.routes.clear();
  ByteReader reader(bytes);
  while (reader.left() > 0) {
    const std::uint64_t at = reader.varint();
    switch (at) {
      case tag(1, kSized):
        if (!parse_outcome(reader.sized(), frame.outcomes.emplace_back())) return false;
        break;
      case tag(2, kSized):
        if (!parse_route(reader.sized(), frame.routes.emplace_back())) return false;
        break;
      default:
        if (!skip(reader, at & 7)) return false;
    }
  }
  return !reader.failed();
}

}  // namespace afdg::server
