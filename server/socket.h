#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace afdg::server {

struct HostPort {
  std::string host;
  int port = 0;
};
/// "127.0.0.1:7400", "localhost:0", "[::1]:7400". Errors: kInvalidArgument, naming `what`.
Result<HostPort> parse_host_port(std::string_view text, std::string_view what);
[[nodiscard]] bool is_loopback(const std::string& host);
/// Whether a socket can be bound there now. Errors: kTaken, kInvalidArgument.
Status check_bindable(const std::string& address, std::string_view what);

/// A port of that host that is free now.
Result<int> free_port(const std::string& host);

}  // namespace afdg::server
