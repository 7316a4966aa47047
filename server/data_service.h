#pragma once

#include "server/admin.h"
#include "server/router.h"
#include "server/rpc.h"

namespace afdg::server {

/// Data.Request, Send and Fanout: the forms of calls for other languages and for people. They go the way of
/// the stream. Thread-safety: safe. Bounds: the router's; a fan-out has at most kFanoutMax targets, kWindow
/// of them under way.
class DataService {
 public:
  DataService(Router& router, AdminContext& context) : router_(router), context_(context) {}
  void add(RpcServer& server);

  static constexpr std::size_t kFanoutMax = 1'000'000;
  static constexpr std::size_t kWindow = 1024;

 private:
  Router& router_;
  AdminContext& context_;
};

}  // namespace afdg::server
