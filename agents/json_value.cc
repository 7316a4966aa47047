#include "agents/json_value.h"

#include <cmath>
#include <cstdint>

namespace afdg::agents {
namespace {
using google::protobuf::Value;
constexpr int kDepthMax = 32;

Status check(const Value& value, int depth) {
  if (depth > kDepthMax)
    return fail(Code::kInvalidArgument,
                "a JSON value nested deeper than 32: flatten it, or give it as bytes");
  switch (value.kind_case()) {
    case Value::kNumberValue:
      if (std::isfinite(value.number_value())) return {};
      return fail(Code::kInvalidArgument,
                  "a number that JSON does not have (NaN or infinity): give it as text");
    case Value::kStructValue:
      for (const auto& [name, field] : value.struct_value().fields()) AFDG_TRY(check(field, depth + 1));
      return {};
    case Value::kListValue:
      for (const Value& item : value.list_value().values()) AFDG_TRY(check(item, depth + 1));
      return {};
    case Value::kNullValue:
    case Value::kStringValue:
    case Value::kBoolValue:
      return {};
    case Value::KIND_NOT_SET:
      break;
  }
  return fail(Code::kInvalidArgument,
              "a JSON value without a kind: set one of its fields, null_value for null");
}
}  // namespace

bool equal(const Value& a, const Value& b) {
  if (a.kind_case() != b.kind_case()) return false;
  switch (a.kind_case()) {
    case Value::kNumberValue:
      return a.number_value() == b.number_value();
    case Value::kStringValue:
      return a.string_value() == b.string_value();
    case Value::kBoolValue:
      return a.bool_value() == b.bool_value();
    case Value::kStructValue: {
      const auto& left = a.struct_value().fields();
      const auto& right = b.struct_value().fields();
      if (left.size() != right.size()) return false;
      for (const auto& [name, field] : left) {
        const auto other = right.find(name);
        if (other == right.end() || !equal(field, other->second)) return false;
      }
      return true;
    }
    case Value::kListValue: {
      const auto& left = a.list_value().values();
      const auto& right = b.list_value().values();
      if (left.size() != right.size()) return false;
      for (int i = 0; i < left.size(); ++i) {
        if (!equal(left[i], right[i])) return false;
      }
      return true;
    }
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      return true;
  }
  return true;
}

Status check_json(const Value& value) { return check(value, 0); }

bool is_exact_integer(double number) noexcept {
  return number >= -kExactDoubleMax && number <= kExactDoubleMax && number == std::trunc(number) &&
         !(number == 0 && std::signbit(number));
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<std::uint8_t>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j)
      text.push_back(i + j > bytes.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63U]);
  }
  return text;
}

}  // namespace afdg::agents
