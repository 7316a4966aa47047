#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace afdg::kafka {

/// The grids of the cluster, as a producer to `GRID.messages` uses them.
class Grids {
 public:
  virtual ~Grids() = default;

  /// What became of a batch. Ok: every record is durable in the messages of the region that owns its key.
  /// `base`: the lowest offset among those that belong to the partition that was named; -1: to none.
  struct Sent {
    Status status;
    Offset base{-1};
  };
  /// Sends each record of a sound batch to the agent that its key names, whatever partition it was produced
  /// to; what no agent understands is buried in `GRID.dead`. The records of an idempotent producer take
  /// effect once, however often the batch comes. When some records could not be taken the others may have
  /// been: the same batch again is safe for an idempotent producer. `done` is called once, on any thread.
  /// Errors: kUnknownGrid, kUnavailable, kOverloaded, kMessageTooLarge, kInDoubt, kDiskFull.
  virtual void send(std::string grid, PartitionIndex partition, std::string batch,
                    std::function<void(Sent)> done) = 0;
};

}  // namespace afdg::kafka
