#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "client/admin.h"
#include "client/grid.h"
#include "client/options.h"

namespace afdg::client {

/// A connection to a server and, through it, to every node of its cluster: at most one stream to each node,
/// shared by all grids, agents and threads.
///
///     auto client = afdg::Client::connect("127.0.0.1:7400");
///     if (!client) return client.error();
///     auto phx = client->grid("flights").agent<Airport>("PHX");
///     Result<Totals> totals = phx.request(departed, {.deadline = 2s, .request_id = "csv:17"});
///
/// Thread-safety: safe. Ownership: copies share the connection; the last copy (a Grid counts) closes it and
/// ends the calls that still wait: kCancelled, or kInDoubt when they may have happened.
class Client {
 public:
  /// Blocks until the server at "host:port" is connected. Errors: kUnavailable when that takes longer than
  /// connect_timeout, kInvalidArgument for an address without a port.
  static Result<Client> connect(const std::string& address, const ClientOptions& options = {});

  /// Does not block; whether the grid exists shows at the first call.
  [[nodiscard]] Grid grid(std::string_view name) const;
  [[nodiscard]] Admin admin() const;
  [[nodiscard]] ClientStats stats() const;
  [[nodiscard]] const std::string& address() const;
  /// What identifies the calls without a request id of their own (ClientOptions::session). Never 0.
  [[nodiscard]] std::uint64_t session() const;

 private:
  explicit Client(std::shared_ptr<internal::Session> session) : session_(std::move(session)) {}
  std::shared_ptr<internal::Session> session_;
};

}  // namespace afdg::client

namespace afdg {
using client::Admin;
using client::Client;
using client::Grid;
}  // namespace afdg
