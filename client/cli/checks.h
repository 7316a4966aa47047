#pragma once

#include <CLI/CLI.hpp>

namespace afdg::client::cli {

/// Refuses what is not a number above 0, in words.
inline CLI::Validator above_zero() {
  return {[](const std::string& text) {
            double value = 0;
            const bool good = CLI::detail::lexical_cast(text, value) && value > 0;
            return good ? std::string() : "'" + text + "' is not a number above 0";
          },
          std::string()};
}

}  // namespace afdg::client::cli
