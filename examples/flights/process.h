#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace flights {

/// A port of the loopback that was free a moment ago.
int free_port();

/// A server process whose output goes to a file. Killed when the object ends, unless released.
/// Thread-safety: confined.
class Process {
 public:
  Process() = default;
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Starts it with its output appended to `log`.
  afdg::Status start(const std::vector<std::string>& command, const std::string& log);
  /// Waits until it printed a line "ready". Errors: kUnavailable with the end of its output.
  afdg::Status wait_ready(std::chrono::seconds limit);
  /// What it printed since it was started.
  [[nodiscard]] std::string output() const;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] bool running();
  /// Sends the signal and waits for the end; the exit code, or 128 + the signal that ended it.
  int end(int signal);
  /// It goes on after this object.
  void release() noexcept { pid_ = 0; }

 private:
  pid_t pid_ = 0;
  int status_ = 0;
  std::string log_;
  off_t log_start_ = 0;
};

/// Runs a command to its end; its exit code and all it printed.
struct Finished {
  int code;
  std::string output;
};
Finished run(const std::vector<std::string>& command);

}  // namespace flights
