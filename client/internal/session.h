#pragma once

#include <memory>
#include <string>

#include "client/internal/core.h"
#include "client/internal/grpc_network.h"

namespace afdg::client::internal {

/// What a Client and its copies, Grids and Admins share.
class Session {
 public:
  Session(std::string server, const ClientOptions& options, std::uint64_t id);
  Core& core() { return *core_; }
  GrpcNetwork& network() { return *network_; }
  [[nodiscard]] const std::string& server() const { return server_; }
  [[nodiscard]] std::uint64_t id() const { return id_; }

 private:
  std::string server_;
  std::uint64_t id_;
  GrpcNetwork* network_;  // owned by core_
  std::unique_ptr<Core> core_;
};

}  // namespace afdg::client::internal
