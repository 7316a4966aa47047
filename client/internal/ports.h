#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// What the core reaches the world through; the gRPC side implements it.
namespace afdg::client::internal {

/// What a Link tells its owner. Called on the link's own thread, with no lock held.
class LinkEvents {
 public:
  virtual ~LinkEvents() = default;
  /// The stream of that open() is up; write() may be called.
  virtual void on_up(std::uint64_t epoch) = 0;
  /// The frame given to write() has been taken; the next may be written.
  virtual void on_written(std::uint64_t epoch) = 0;
  /// The bytes of an OutcomeFrame; valid during the call.
  virtual void on_frame(std::uint64_t epoch, std::string_view bytes) = 0;
  /// The stream of that open() is gone and nothing more comes of it. `why` is for people.
  virtual void on_broken(std::uint64_t epoch, std::string why) = 0;
};

/// One bidirectional stream to one node, opened again after each break.
/// Thread-safety: safe. Between on_broken and the next open() nothing is called back.
class Link {
 public:
  virtual ~Link() = default;
  /// Starts a stream; ends in on_up or on_broken. Does not block. Precondition: none is open.
  virtual void open(std::uint64_t epoch) = 0;
  /// Writes one frame; at most one at a time. Ignored when `epoch` is not the open stream's.
  virtual void write(std::uint64_t epoch, std::string frame) = 0;
  /// Gives the stream up; on return no event runs or comes any more.
  virtual void close() = 0;
};

struct RouteEntry {
  std::uint32_t region = 0;
  std::uint32_t node = 0;
  std::string address;  // empty: nobody leads it now
};
struct RouteTable {
  std::uint64_t grid_id = 0;
  std::uint32_t regions = 0;
  std::vector<RouteEntry> routes;
};

class Network {
 public:
  virtual ~Network() = default;
  /// A link that is not open yet. Does not block.
  virtual std::unique_ptr<Link> link(const std::string& address, LinkEvents& events) = 0;
  /// Asks the catalog. Blocks at most `timeout`. Errors: kUnknownGrid, kUnavailable and others of the server.
  virtual Result<RouteTable> routes(const std::string& grid, std::chrono::milliseconds timeout) = 0;
};

}  // namespace afdg::client::internal
