#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace afdg::client::testing {

/// A TCP proxy on loopback that can stop moving bytes while its connections stay open: what a machine that
/// lost power, or a firewall that forgot a connection, looks like from the other side. Thread-safety: safe.
class FreezingProxy {
 public:
  /// Forwards to "127.0.0.1:port".
  explicit FreezingProxy(const std::string& server);
  ~FreezingProxy();
  FreezingProxy(const FreezingProxy&) = delete;
  FreezingProxy& operator=(const FreezingProxy&) = delete;

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  /// Nothing moves any more on the connections that are open now; new ones are served.
  void freeze() { freezes_.fetch_add(1); }

 private:
  void run(std::uint16_t to);
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> freezes_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace afdg::client::testing
