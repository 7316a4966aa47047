#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/message_log.h"
#include "region/core.h"

// A message as a record of GRID.messages; see docs/formats/region-state.md. ON DISK since version 1.
namespace afdg::region {

/// One message that is in the log, or about to be. Views point into whoever brought it.
struct MessageView {
  Offset offset{-1};
  Timestamp timestamp{};
  std::string_view type{};
  std::string_view key{};
  std::string_view message{};
  std::string_view payload{};
  Content content = Content::kProtobuf;
  Want want = Want::kAnswer;
  Identity identity{};
  Timestamp deadline{};
};

/// The built-in entity store, which a grid hosts when it names no type.
inline constexpr std::string_view kEntityType = "entity";
inline constexpr std::string_view kTypeHeader = "afdg-type";
inline constexpr std::string_view kMessageHeader = "afdg-message";
inline constexpr std::string_view kContentHeader = "afdg-content";
inline constexpr std::string_view kProtobufContent = "protobuf";
inline constexpr std::string_view kIdHeader = "afdg-id";
inline constexpr std::string_view kErrorHeader = "afdg-error";
inline constexpr std::string_view kReasonHeader = "afdg-reason";
inline constexpr std::string_view kOffsetHeader = "afdg-offset";

/// The headers of the message's record; `id` is the buffer of the identity header. Views live as long as both
/// arguments.
void message_headers(const MessageView& message, std::string& id, std::vector<log::Header>& headers);
/// What a record says. A record without headers is a one-way message in Protocol Buffers to type
/// `default_type`. Errors: kUndecodable (its headers are malformed); the offset, key and payload are set all
/// the same.
Status parse_message(const log::RecordView& record, std::string_view default_type, MessageView& message);

}  // namespace afdg::region
