#include "agents/item_time.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

namespace afdg::agents {
namespace {
using google::protobuf::internal::WireFormatLite;
constexpr std::uint32_t kTag =
    (static_cast<std::uint32_t>(kItemTimeField) << 3) | WireFormatLite::WIRETYPE_FIXED64;
}  // namespace

void append_item_time(std::string& item, Timestamp time) {
  item.append(kItemTimeTag);
  const auto ms = static_cast<std::uint64_t>(time.time_since_epoch().count());
  for (int shift = 0; shift < 64; shift += 8) item.push_back(static_cast<char>(ms >> shift));
}

std::optional<Timestamp> item_time(std::string_view item) noexcept {
  if (!may_end_in_time(item)) return std::nullopt;
  // The same bytes may be the end of a field of the message, so the fields are walked to see where the last
  // one starts.
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const std::uint8_t*>(item.data()),
                                            static_cast<int>(item.size()));
  const int start = static_cast<int>(item.size() - kItemTimeBytes);
  while (in.CurrentPosition() < start) {
    const std::uint32_t tag = in.ReadTag();
    if (tag == 0 || !WireFormatLite::SkipField(&in, tag)) return std::nullopt;
  }
  std::uint64_t ms = 0;
  if (in.CurrentPosition() != start || in.ReadTag() != kTag || !in.ReadLittleEndian64(&ms))
    return std::nullopt;
  return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(ms)));
}

}  // namespace afdg::agents
