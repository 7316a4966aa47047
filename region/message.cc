#include "region/message.h"

#include "base/codec.h"

namespace afdg::region {
namespace {

constexpr std::uint8_t kIdVersion = 1;

enum Flag : std::uint64_t {
  kReceiptFlag = 1,
  kSessionFlag = 2,
  kRequestIdFlag = 4,
  kSourceFlag = 8,
  kDeadlineFlag = 16
};

}  // namespace

void message_headers(const MessageView& message, std::string& id, std::vector<log::Header>& headers) {
  headers.clear();
  headers.push_back({kTypeHeader, message.type});
  headers.push_back({kMessageHeader, message.message});
  if (message.content == Content::kJson) headers.push_back({kContentHeader, "json"});
  const Identity& identity = message.identity;
  std::uint64_t flags = 0;
  if (message.want == Want::kReceipt) flags |= kReceiptFlag;
  if (identity.session != 0) flags |= kSessionFlag;
  if (!identity.request_id.empty()) flags |= kRequestIdFlag;
  if (identity.source_number != 0) flags |= kSourceFlag;
  if (message.deadline != Timestamp()) flags |= kDeadlineFlag;
  id.assign(1, static_cast<char>(kIdVersion));
  put_varint(id, flags);
  if (flags & kSessionFlag) {
    put_be64(id, identity.session);
    put_varint(id, identity.sequence);
  }
  if (flags & kRequestIdFlag) put_sized(id, identity.request_id);
  if (flags & kSourceFlag) {
    put_varint(id, static_cast<std::uint64_t>(identity.source_region));
    put_varint(id, identity.source_number);
  }
  if (flags & kDeadlineFlag)
    put_varint(id, static_cast<std::uint64_t>(message.deadline.time_since_epoch().count()));
  headers.push_back({kIdHeader, id});
}

Status parse_message(const log::RecordView& record, std::string_view default_type, MessageView& message) {
  message = MessageView{};
  message.offset = record.offset;
  message.timestamp = record.timestamp;
  message.key = record.key.value_or(std::string_view());
  message.payload = record.value.value_or(std::string_view());
  message.type = default_type;
  message.want = Want::kReceipt;
  std::string_view id;
  for (const log::Header& header : record.headers) {
    if (header.key == kTypeHeader) message.type = header.value;
    if (header.key == kMessageHeader) message.message = header.value;
    if (header.key == kContentHeader && header.value == "json") message.content = Content::kJson;
    if (header.key == kIdHeader) id = header.value;
  }
  if (id.empty()) return {};
  ByteReader reader(id);
  const std::uint8_t version = reader.u8();
  const std::uint64_t flags = reader.varint();
  if ((flags & kReceiptFlag) == 0) message.want = Want::kAnswer;
  if (flags & kSessionFlag) {
    message.identity.session = reader.be64();
    message.identity.sequence = reader.varint();
  }
  if (flags & kRequestIdFlag) message.identity.request_id = reader.sized();
  if (flags & kSourceFlag) {
    message.identity.source_region = static_cast<std::int32_t>(reader.varint());
    message.identity.source_number = reader.varint();
  }
  if (flags & kDeadlineFlag)
    message.deadline = Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(reader.varint())));
  if (version != kIdVersion || !reader.finished()) {
    message.identity = {};
    message.want = Want::kReceipt;
    return fail(Code::kUndecodable, "the header " + std::string(kIdHeader) + " of the message at offset " +
                                        std::to_string(record.offset.value()) +
                                        " is malformed: leave it out, or write it as documented");
  }
  return {};
}

}  // namespace afdg::region
