#pragma once

#include <cstdint>
#include <string>

#include "region/core.h"

namespace afdg::region::testing {

struct TraceLimits {
  int steps = 400;
  int agents = 4;
};

/// Drives one region with random requests, repeats, reads, failures, checkpoints, crashes with the store gone
/// back to any older state, lost and unknown appends, full disks; compares all it answers and holds with a
/// map. Returns the first rule that was broken, or an empty text.
std::string run_region_trace(std::uint64_t seed, const Options& options, const TraceLimits& limits = {});

/// Drives several regions whose agents message each other, with a carrier that loses, repeats, delays and
/// reorders, and crashes of either side. The same answer.
std::string run_outbox_trace(std::uint64_t seed, const Options& options, const TraceLimits& limits = {});

}  // namespace afdg::region::testing
