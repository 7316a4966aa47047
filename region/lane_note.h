#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace afdg::region {

/// What each lane runs, in a small mapped file, so that the next start knows which message the process died
/// of.
///
///     header | one slot a lane: what runs now | how often each message was run when the process died
///
/// Only the signals SIGSEGV, SIGABRT, SIGBUS and SIGFPE count: their handler leaves its mark in the header.
/// SIGKILL and power loss leave none. The file survives the process, not the machine; a damaged or missing
/// one starts empty. ON DISK since version 1: `running`, 64 KiB, see docs/formats/running.md. Thread-safety:
/// each slot belongs to one lane; deaths() is safe.
class LaneNotes {
 public:
  /// Maps the file, counts the deaths that the last process left, and installs the signal handlers when
  /// `handle_signals`.
  static Result<std::unique_ptr<LaneNotes>> open(const std::string& path, bool handle_signals);
  ~LaneNotes();
  LaneNotes(const LaneNotes&) = delete;
  LaneNotes& operator=(const LaneNotes&) = delete;

  void running(std::size_t lane, GridId grid, RegionId region, Offset offset) noexcept;
  void ended(std::size_t lane) noexcept;
  /// How often the process died while running that message.
  [[nodiscard]] int deaths(GridId grid, RegionId region, Offset offset) const noexcept;

  static constexpr std::size_t kLanesMax = 256;
  static constexpr std::size_t kDeathsMax = 512;

 private:
  struct Slot;
  /// ON DISK, as the machine's numbers are: the file never leaves it.
  struct Death {
    std::uint64_t grid;
    std::int64_t offset;
    std::int32_t region;
    std::uint32_t count;  ///< 0: free
  };
  struct File;
  explicit LaneNotes(File* file) : file_(file) {}
  void count_deaths();
  File* file_;
  std::vector<Death> known_;  // of the file, so that the usual empty case costs nothing
};

}  // namespace afdg::region
