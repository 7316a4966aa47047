#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "kafka/broker/broker.h"

namespace afdg::server {

/// The sockets of the Kafka endpoint and the one thread on which its broker lives.
///
///     a round: every readable socket -> frames -> broker; one commit for all that they appended; then the
///     answers
///
/// Thread-safety: bind(), serve() and stop() from one thread. Bounds: connections_max; bytes_max and
/// requests_max over all of them: a request above 16 KiB waits until all of it fits, and beyond that a
/// connection is read only while it has nothing under way; a frame and a connection, as BrokerOptions says.
/// Closed is a connection without a request for broker.idle_max, one whose frame did not end, nor grew by 256
/// KiB, for half_request_max, and one whose client did not take its answers, nor 256 KiB of them, for
/// unread_max.
class KafkaListener {
 public:
  struct Setup {
    std::uint32_t connections_max = 10'000;
    std::uint64_t bytes_max = 512u << 20;
    std::uint64_t requests_max = 100'000;
    std::chrono::milliseconds half_request_max{30'000};
    std::chrono::milliseconds unread_max{60'000};
    /// What the kernel takes of a connection before its client has it; 0: as much as the kernel likes.
    std::uint32_t send_buffer_bytes = 256u << 10;
    kafka::BrokerOptions broker;
    log::Log* log = nullptr;
    kafka::Cluster* cluster = nullptr;
    kafka::Grids* grids = nullptr;
    const Clock* clock = nullptr;
    Random* random = nullptr;
    std::function<kafka::DiskSpace()> disk_space;
  };
  /// Takes the port; whoever connects waits for serve(). Errors: kTaken, kInvalidArgument.
  static Result<std::unique_ptr<KafkaListener>> bind(const std::string& address);
  void serve(const Setup& setup);
  ~KafkaListener();
  KafkaListener(const KafkaListener&) = delete;
  KafkaListener& operator=(const KafkaListener&) = delete;
  [[nodiscard]] int port() const noexcept;
  /// Null before serve().
  [[nodiscard]] const kafka::Broker::Counters* counters() const noexcept;
  /// Runs `task` on the broker's loop, from any thread; false before serve(). A task that comes while it
  /// stops is dropped.
  bool post(std::function<void(kafka::Broker&)> task);
  /// Closes every connection. Before the log and the cluster go.
  void stop();

 private:
  class State;
  explicit KafkaListener(int socket);
  int socket_;  // until serve()
  int port_ = 0;
  bool v6_ = false;
  std::atomic<bool> serving_{false};
  std::unique_ptr<State> state_;
};

}  // namespace afdg::server
