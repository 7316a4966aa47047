#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace afdg::client::cli {

/// A place in the partitions of a topic, as the user names it.
struct Position {
  enum class Kind : std::uint8_t { kStart, kEnd, kOffset, kTime };
  Kind kind = Kind::kStart;
  std::int64_t value = 0;  ///< the offset, or milliseconds since 1970
};

/// start, end, an offset or @TIME. Errors: kInvalidArgument, naming the option.
Result<Position> parse_position(const std::string& option, const std::string& text);

}  // namespace afdg::client::cli
