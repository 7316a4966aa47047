#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "client/internal/ports.h"
#include "client/options.h"

namespace grpc {
class Channel;
class ClientContext;
class Status;
}  // namespace grpc

namespace afdg::client::internal {

/// Channels to nodes, one a node. A link has one completion queue with one thread, and writes frames as they
/// are. Thread-safety: safe.
class GrpcNetwork final : public Network {
 public:
  GrpcNetwork(std::string server, const ClientOptions& options)
      : server_(std::move(server)),
        keepalive_(options.keepalive),
        keepalive_timeout_(options.keepalive_timeout) {}

  std::unique_ptr<Link> link(const std::string& address, LinkEvents& events) override;
  Result<RouteTable> routes(const std::string& grid, std::chrono::milliseconds timeout) override;

  /// The channel to the server that the client was made for.
  std::shared_ptr<grpc::Channel> seed() { return channel(server_); }
  /// Waits until the seed is connected.
  bool wait_connected(std::chrono::milliseconds timeout);

 private:
  std::shared_ptr<grpc::Channel> channel(const std::string& address);
  Result<RouteTable> routes_from(const std::string& address, const std::string& grid,
                                 std::chrono::milliseconds timeout);

  const std::string server_;
  const std::chrono::milliseconds keepalive_;
  const std::chrono::milliseconds keepalive_timeout_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;
};

/// The error that a unary call's status stands for. The trailing metadatum `afdg-code` carries our code's
/// number; without it (the call never reached a server of ours) the nearest code to gRPC's.
Status status_of(const grpc::Status& status, const grpc::ClientContext& context, const std::string& server);

}  // namespace afdg::client::internal
