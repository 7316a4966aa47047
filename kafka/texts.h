#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace afdg::kafka {

/// Keeps the texts that a handler makes up (error messages, numbers as text) until the response that shows
/// them is encoded: the fields of messages are views.
/// Thread-safety: confined. Ownership: owns the texts; a view is good until clear(), whatever else is kept.
/// Bounds: none of its own; a text on the wire is cut at Writer::kStringBytesMax.
class Texts {
 public:
  [[nodiscard]] std::string_view keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  void clear() noexcept { texts_.clear(); }

 private:
  std::deque<std::string> texts_;  // its elements do not move
};

}  // namespace afdg::kafka
