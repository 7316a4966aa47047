#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace afdg::server {

struct Metric {
  std::string name;  ///< with its unit, as Prometheus wants it
  std::string help;
  bool counter = false;  ///< else a gauge
  struct Value {
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0;
  };
  std::vector<Value> values;
};
/// Prometheus' text format.
[[nodiscard]] std::string metrics_text(const std::vector<Metric>& metrics);
/// Resident memory of this process, bytes.
[[nodiscard]] std::uint64_t resident_bytes();

}  // namespace afdg::server
