#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace afdg::agents {

/// The field number, the highest that Protocol Buffers allows, under which a list with an age limit keeps
/// when an item was added: milliseconds since 1970 as fixed64, after the message's own bytes. Readers who
/// know only the message's type skip it as an unknown field. ON DISK since version 1:
/// docs/formats/entity-items.md.
inline constexpr int kItemTimeField = 536870911;

/// The field's tag, and the size of the tag with its value.
inline constexpr std::string_view kItemTimeTag("\xF9\xFF\xFF\xFF\x0F", 5);
inline constexpr std::size_t kItemTimeBytes = 13;

/// False when the item surely carries no time.
[[nodiscard]] inline bool may_end_in_time(std::string_view item) noexcept {
  return item.size() >= kItemTimeBytes &&
         item.substr(item.size() - kItemTimeBytes, kItemTimeTag.size()) == kItemTimeTag;
}
void append_item_time(std::string& item, Timestamp time);
/// When the item was added; nullopt when it carries no time, because its list had no age limit then.
[[nodiscard]] std::optional<Timestamp> item_time(std::string_view item) noexcept;

}  // namespace afdg::agents
