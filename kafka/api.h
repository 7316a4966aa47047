#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

// Which APIs and versions this endpoint speaks: kafka/api.def as types and as a table.
namespace afdg::kafka {

/// Versions are below this; the protocol's highest is 18 (Fetch).
inline constexpr int kVersionsEnd = 32;

/// The API keys of api.def. ON WIRE: int16, numbers of the protocol guide.
enum class Key : std::int16_t {
#define AFDG_KAFKA_API(name, key, advertised, accepted, highest, flexible, text) k##name = key,
#include "kafka/api.def"
#undef AFDG_KAFKA_API
};

/// One row of api.def.
/// Thread-safety: const-safe.
struct Api {
  Key key;
  std::string_view name;
  std::int16_t advertised_min;  ///< what ApiVersions says
  std::int16_t accepted_min;    ///< what is decoded; at least advertised_min
  std::int16_t max;
  std::int16_t flexible_min;  ///< first version with compact types and tagged fields (KIP-482)
  std::string_view text;

  [[nodiscard]] constexpr bool accepts(std::int16_t version) const noexcept {
    return version >= accepted_min && version <= max;
  }
  [[nodiscard]] constexpr bool flexible(std::int16_t version) const noexcept {
    return version >= flexible_min;
  }
  /// 1 before the flexible versions, then 2. Header 0 belongs to an inter-broker API that is not spoken here.
  [[nodiscard]] constexpr std::int16_t request_header_version(std::int16_t version) const noexcept {
    return flexible(version) ? 2 : 1;
  }
  /// 1 in flexible versions, else 0; always 0 for ApiVersions, whose reader cannot know the version yet
  /// (KIP-511).
  [[nodiscard]] constexpr std::int16_t response_header_version(std::int16_t version) const noexcept {
    return flexible(version) && key != Key::kApiVersions ? 1 : 0;
  }
};

namespace api_table {
inline constexpr std::int16_t none = 0x7fff;  // NOLINT: the word of api.def
inline constexpr Api kRows[] = {
#define AFDG_KAFKA_API(name, key, advertised, accepted, highest, flexible, text) \
  {Key::k##name, #name, advertised, accepted, highest, flexible, text},
#include "kafka/api.def"
#undef AFDG_KAFKA_API
};
}  // namespace api_table

/// Every row of api.def, keys ascending.
[[nodiscard]] constexpr std::span<const Api> apis() noexcept { return api_table::kRows; }

/// The row of a key that api.def has.
[[nodiscard]] constexpr const Api& api(Key key) noexcept {
  for (const Api& row : api_table::kRows)
    if (row.key == key) return row;
  assertion_failed("api.def has the key", __FILE__, __LINE__, "a key that is not of the enum Key");
}

/// The row of a key that came over the wire, or null.
[[nodiscard]] const Api* find_api(std::int16_t key) noexcept;

/// The row of a request, if this endpoint decodes that version of it.
/// Errors: kUnsupported (Kafka: UNSUPPORTED_VERSION) names the key, the version and what would be accepted.
[[nodiscard]] Result<const Api*> check_api(std::int16_t key, std::int16_t version);

}  // namespace afdg::kafka
