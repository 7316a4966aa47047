#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agents/agent.h"
#include "agents/agent_type.h"
#include "base/result.h"

namespace afdg {

struct GridOptions {
  /// Never changes once the grid exists.
  std::int32_t regions = 16;
};

/// A node that serves, until stop(). Thread-safety: safe.
class RunningNode {
 public:
  RunningNode() = default;
  RunningNode(const RunningNode&) = delete;
  RunningNode& operator=(const RunningNode&) = delete;
  /// As stop().
  virtual ~RunningNode() = default;
  /// Where clients connect: host:port.
  [[nodiscard]] virtual std::string address() const = 0;
  /// Metrics and health; empty when they are off.
  [[nodiscard]] virtual std::string http_address() const = 0;
  /// Of the Kafka listener, with its port; empty when it is off.
  [[nodiscard]] virtual std::string kafka_address() const = 0;
  [[nodiscard]] virtual std::string data_directory() const = 0;
  /// Ends calls under way (or waits for them), checkpoints, closes the files. Errors: kDiskFull, kIo; the
  /// next start recovers.
  virtual Status stop() = 0;
};

/// A server program: what it hosts, and then run().
///
///     int main(int argc, char** argv) {
///       return afdg::Node{argc, argv}.grid("flights", {.regions = 8}).agent<AirportAgent>().run();
///     }
///
/// It has all of afdgd's flags, and the built-in agent type `entity`. Thread-safety: confined.
class Node {
 public:
  Node(int argc, const char* const* argv) : arguments_(argv, argv + argc) {}
  /// For tests and programs that start nodes themselves; without the program's name.
  explicit Node(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
    arguments_.insert(arguments_.begin(), "node");
  }

  /// A grid that is made at the start when it does not exist. The agents that follow are its types; without
  /// any it hosts `entity`.
  Node& grid(std::string name, GridOptions options = {}) {
    grids_.push_back({std::move(name), options, {}});
    return *this;
  }
  /// Hosts agents of class A, in the grid named last if there is one.
  template <typename A>
  Node& agent() {
    return add(agents::describe<A>());
  }
  Node& add(agents::AgentType type);

  /// Plants a bug for demonstrations: repeats of a request run again. Never do this elsewhere.
  Node& plant_no_dedup() {
    plant_no_dedup_ = true;
    return *this;
  }

  /// Starts in this process and returns when it serves. Errors: kInvalidArgument, kTaken, kCorrupt,
  /// kNewerFormat, kUnwritable, kDiskFull.
  Result<std::unique_ptr<RunningNode>> start();
  /// The whole program: reads the command line, serves until SIGTERM or SIGINT, returns the exit code
  /// (docs/configuration.md).
  int run();

  struct GridWish {
    std::string name;
    GridOptions options;
    std::vector<std::string> types;
  };

 private:
  std::vector<std::string> arguments_;
  std::vector<GridWish> grids_;
  std::vector<agents::AgentType> types_;
  bool plant_no_dedup_ = false;
};

}  // namespace afdg
