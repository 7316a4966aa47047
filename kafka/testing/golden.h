#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/api.h"

namespace afdg::kafka {

/// A message as Apache Kafka's own classes encode it: a line of testing/golden/*.txt.
struct Golden {
  const Api* api = nullptr;
  std::int16_t version = 0;
  bool request = false;
  std::string sample;  ///< filled, sparse, long, unknown
  std::string bytes;
  std::string json;
  [[nodiscard]] std::string name() const;
};

/// All lines of all files; aborts when one cannot be read.
[[nodiscard]] const std::vector<Golden>& golden_messages(const std::string& folder);
[[nodiscard]] std::string from_hex(std::string_view hex);
[[nodiscard]] std::string to_hex(std::string_view bytes);

}  // namespace afdg::kafka
