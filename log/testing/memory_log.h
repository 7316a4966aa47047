#pragma once

#include <memory>
#include <utility>

#include "base/clock.h"
#include "log/log.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log::testing {

/// A small journal, no threads, and a handler of failures that returns.
inline LogOptions small_log() {
  LogOptions options;
  options.directory = "/log";
  options.journal_bytes = 256u << 10;
  options.journal_initial_bytes = 256u << 10;
  options.reserve_bytes = 16u << 10;
  options.threads = LogThreads::kNone;
  options.fatal = [](const Error&) {};
  return options;
}

/// A log in memory, without threads: pump() ends the commits that were led.
struct MemoryLog {
  store::FaultFileSystem files;
  ManualClock clock;
  std::unique_ptr<Log> log;

  MemoryLog() { log = std::move(Log::open(files, clock, small_log())).value(); }
};

}  // namespace afdg::log::testing
