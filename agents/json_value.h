#pragma once

#include <google/protobuf/struct.pb.h>

#include <string>
#include <string_view>

#include "base/result.h"

// JSON values as the entity store sees them.
namespace afdg::agents {

/// Equal as JSON: objects whatever the order of their fields, numbers as doubles.
[[nodiscard]] bool equal(const google::protobuf::Value& a, const google::protobuf::Value& b);
/// Refuses what JSON cannot say (NaN, infinity, no kind at all) and nesting above 32. Errors:
/// kInvalidArgument.
[[nodiscard]] Status check_json(const google::protobuf::Value& value);
/// The largest distance from 0 at which every whole number is a double.
inline constexpr double kExactDoubleMax = 9007199254740992.0;  // 2^53
/// The number is whole, at most 2^53 either way, and not -0.
[[nodiscard]] bool is_exact_integer(double number) noexcept;
/// RFC 4648 section 4, with padding.
[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace afdg::agents
