#include "client/internal/wire.h"

#include "base/codec.h"

namespace afdg::client::internal {
namespace {

// Wire types of the Protocol Buffers encoding guide.
constexpr std::uint8_t kVarint = 0;
constexpr std::uint8_t kFixed64 = 1;
constexpr std::uint8_t kSized = 2;
constexpr std::uint8_t kFixed32 = 5;

// All our field numbers are below 16: a tag is one byte.
constexpr char tag(int field, std::uint8_t type) { return static_cast<char>((field << 3) | type); }

void put_number(std::string& out, int field, std::uint64_t value) {
  if (value == 0) return;
  out.push_back(tag(field, kVarint));
  put_varint(out, value);
}
void put_text(std::string& out, int field, std::string_view value) {
  if (value.empty()) return;
  out.push_back(tag(field, kSized));
  put_sized(out, value);
}
std::size_t number_size(std::uint64_t value) { return value == 0 ? 0 : 1 + varint_size(value); }

void skip(ByteReader& reader, std::uint64_t key) {
  switch (key & 7) {
    case kVarint:
      reader.varint();
      return;
    case kFixed64:
      reader.bytes(8);
      return;
    case kSized:
      reader.sized();
      return;
    case kFixed32:
      reader.bytes(4);
      return;
    default:
      reader.bytes(~std::uint64_t{0});
      return;  // groups do not occur: malformed
  }
}

constexpr std::uint64_t field(int number, std::uint8_t type) {
  return (static_cast<std::uint64_t>(number) << 3) | type;
}

bool parse_outcome(std::string_view bytes, OutcomeView& out) {
  ByteReader reader(bytes);
  while (reader.left() > 0 && !reader.failed()) {
    const std::uint64_t key = reader.varint();
    switch (key) {
      case field(1, kVarint):
        out.id = reader.varint();
        break;
      case field(2, kVarint):
        out.code = static_cast<std::uint32_t>(reader.varint());
        break;
      case field(3, kSized):
        out.payload = reader.sized();
        break;
      case field(4, kSized):
        out.text = reader.sized();
        break;
      case field(5, kVarint):
        out.offset = static_cast<std::int64_t>(reader.varint());
        break;
      case field(6, kVarint):
        out.region = static_cast<std::uint32_t>(reader.varint());
        break;
      case field(7, kVarint):
        out.repeated = reader.varint() != 0;
        break;
      default:
        skip(reader, key);
    }
  }
  return !reader.failed();
}

bool parse_route(std::string_view bytes, RouteView& out) {
  ByteReader reader(bytes);
  while (reader.left() > 0 && !reader.failed()) {
    const std::uint64_t key = reader.varint();
    switch (key) {
      case field(1, kSized):
        out.grid = reader.sized();
        break;
      case field(2, kVarint):
        out.region = static_cast<std::uint32_t>(reader.varint());
        break;
      case field(3, kVarint):
        out.node = static_cast<std::uint32_t>(reader.varint());
        break;
      case field(4, kSized):
        out.address = reader.sized();
        break;
      case field(5, kVarint):
        out.epoch = static_cast<std::int32_t>(reader.varint());
        break;
      default:
        skip(reader, key);
    }
  }
  return !reader.failed();
}

}  // namespace

void append_call_body(std::string& out, const CallBody& body) {
  out.reserve(out.size() + body.type.size() + body.key.size() + body.message.size() + body.payload.size() +
              body.request_id.size() + 40);
  put_text(out, 3, body.type);
  put_text(out, 4, body.key);
  put_text(out, 5, body.message);
  put_text(out, 6, body.payload);
  put_number(out, 7, body.content);
  put_number(out, 8, static_cast<std::uint64_t>(body.kind));
  put_text(out, 11, body.request_id);
  put_number(out, 12, static_cast<std::uint64_t>(body.deadline_unix_ms));
}

void append_frame_head(std::string& frame, std::string_view grid, std::uint64_t session, Timestamp sent) {
  put_text(frame, 1, grid);
  put_number(frame, 2, session);
  put_number(frame, 5, static_cast<std::uint64_t>(sent.time_since_epoch().count()));
}

void append_call(std::string& frame, std::string_view body, const CallNumbers& numbers) {
  frame.push_back(tag(3, kSized));
  put_varint(frame, body.size() + number_size(numbers.id) + number_size(numbers.region) +
                        number_size(numbers.sequence) + number_size(numbers.answered_below));
  put_number(frame, 1, numbers.id);
  put_number(frame, 2, numbers.region);
  frame.append(body);
  put_number(frame, 9, numbers.sequence);
  put_number(frame, 10, numbers.answered_below);
}

bool parse_outcome_frame(std::string_view bytes, OutcomeFrameView& out) {
  out.outcomes.clear();
  out.routes.clear();
  ByteReader reader(bytes);
  while (reader.left() > 0 && !reader.failed()) {
    const std::uint64_t key = reader.varint();
    switch (key) {
      case field(1, kSized):
        if (!parse_outcome(reader.sized(), out.outcomes.emplace_back())) return false;
        break;
      case field(2, kSized):
        if (!parse_route(reader.sized(), out.routes.emplace_back())) return false;
        break;
      default:
        skip(reader, key);
    }
  }
  return !reader.failed();
}

}  // namespace afdg::client::internal
