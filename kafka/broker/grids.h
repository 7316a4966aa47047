#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

namespace afdg::kafka {

/// The grids of the cluster, as a producer to `GRID.messages` uses them.
class Grids {
 public:
  virtual ~Grids() = default;

  /// What became of a batch. Ok: every record is durable, in the partition's `messages` or, when its key
  /// belongs to another region, in the outbox to it, from where it is brought there once and in order.
  struct Sent {
    Status status;
    /// Of the first record, when each has the offset that a client counts from it; -1: some went elsewhere.
    Offset base{-1};
    Timestamp logged{std::chrono::milliseconds(-1)};  ///< the records' time; -1 ms: not known any more
  };
  /// Sends each record of a batch to the agent that its key names, whatever partition of this node it was
  /// produced to; what no agent understands is buried in `GRID.dead`. `batch` is the header of a checked
  /// batch and its records, not compressed. An idempotent producer's batch is taken once, however often it
  /// comes, and not before the batch that precedes it. `done` is called once, on any thread. Errors:
  /// kUnknownGrid, kUnavailable, kNotLeader, kOverloaded, kDiskFull, kMessageTooLarge, kOutOfOrderSequence,
  /// kProducerFenced (nothing was done); kInDoubt (an idempotent producer asks again).
  virtual void send(std::string grid, PartitionIndex partition, std::string batch,
                    std::function<void(Sent)> done) = 0;
};

}  // namespace afdg::kafka
