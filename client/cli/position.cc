#include "client/cli/position.h"

#include <charconv>

#include "client/cli/context.h"

namespace afdg::client::cli {

Result<Position> parse_position(const std::string& option, const std::string& text) {
  if (text == "start") return Position{Position::Kind::kStart, 0};
  if (text == "end") return Position{Position::Kind::kEnd, 0};
  if (!text.empty() && text.front() == '@') {
    AFDG_ASSIGN(const std::int64_t time, parse_time(text.substr(1)));
    return Position{Position::Kind::kTime, time};
  }
  std::int64_t offset = 0;
  const char* end = text.data() + text.size();
  if (text.empty() || std::from_chars(text.data(), end, offset).ptr != end || offset < 0) {
    return fail(Code::kInvalidArgument,
                option + " '" + text + "' is unknown: use start, end, an offset or @TIME");
  }
  return Position{Position::Kind::kOffset, offset};
}

}  // namespace afdg::client::cli
