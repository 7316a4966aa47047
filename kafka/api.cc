#include "kafka/api.h"

#include <array>

namespace afdg::kafka {
namespace {

constexpr std::size_t kKeysEnd =
    static_cast<std::size_t>(api_table::kRows[std::size(api_table::kRows) - 1].key) + 1;

constexpr auto kByKey = [] {
  std::array<std::int8_t, kKeysEnd> out{};
  out.fill(-1);
  for (std::size_t i = 0; i < std::size(api_table::kRows); ++i)
    out[static_cast<std::size_t>(api_table::kRows[i].key)] = static_cast<std::int8_t>(i);
  return out;
}();

constexpr bool table_is_sound() {
  int before = -1;
  for (const Api& row : api_table::kRows) {
    if (static_cast<int>(row.key) <= before) return false;
    before = static_cast<int>(row.key);
    if (row.advertised_min < 0 || row.advertised_min > row.accepted_min || row.accepted_min > row.max)
      return false;
    if (row.max >= kVersionsEnd) return false;
  }
  return true;
}
static_assert(table_is_sound(),
              "api.def: keys ascend; 0 <= advertised <= accepted <= highest < kVersionsEnd");

}  // namespace

const Api* find_api(std::int16_t key) noexcept {
  if (key < 0 || static_cast<std::size_t>(key) >= kKeysEnd) return nullptr;
  const int index = kByKey[static_cast<std::size_t>(key)];
  return index < 0 ? nullptr : &api_table::kRows[index];
}

Result<const Api*> check_api(std::int16_t key, std::int16_t version) {
  const Api* row = find_api(key);
  if (row == nullptr)
    return fail(Code::kUnsupported, "the Kafka API key " + std::to_string(key) +
                                        " is not served here: docs/kafka-support.md lists those that are");
  if (!row->accepts(version))
    return fail(Code::kUnsupported, std::string(row->name) + " (key " + std::to_string(key) + ") version " +
                                        std::to_string(version) + " is not served here: use " +
                                        std::to_string(row->accepted_min) + " to " +
                                        std::to_string(row->max));
  return row;
}

}  // namespace afdg::kafka
