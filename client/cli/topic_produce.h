#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "client/cli/commands.h"

namespace afdg::client::cli {

/// Adds `topic produce`.
void add_topic_produce(CLI::App& topic, Action& chosen);

/// `text` with \n, \t and \\ as in C. Errors: kInvalidArgument.
Result<std::string> unescape(const std::string& text);

/// Lines of a file descriptor, as they come: what is there is taken at once, and nothing is waited for beyond
/// that. Thread-safety: confined. Bounds: kLineBytesMax a line, about kTakeBytes beside it.
class Lines {
 public:
  static constexpr std::size_t kLineBytesMax = std::size_t{7} << 20;  // it fits a produce call
  static constexpr std::size_t kTakeBytes = std::size_t{1} << 20;

  explicit Lines(int fd) : fd_(fd) {}
  /// The next line that is there, without its end; a view until the next call. Nothing: fill() brings more.
  std::optional<std::string_view> next();
  /// Waits for input and takes what there is. False at the end, and when `stop` says so (asked at least every
  /// 100 ms). Errors: kInvalidArgument (cannot be read), kMessageTooLarge (a line).
  Result<bool> fill(const std::function<bool()>& stop);

 private:
  Result<bool> read_some();
  const int fd_;
  std::string buffer_;
  std::size_t at_ = 0;        // of the next line in buffer_
  std::size_t searched_ = 0;  // there is no end of a line before it
  bool ended_ = false;
};

}  // namespace afdg::client::cli
