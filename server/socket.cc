#include "server/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

namespace afdg::server {

Result<HostPort> parse_host_port(std::string_view text, std::string_view what) {
  const auto bad = [&] {
    return fail(Code::kInvalidArgument, std::string(what) + " '" + std::string(text) +
                                            "' is not HOST:PORT: write it like 127.0.0.1:7400");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  HostPort parsed;
  std::string_view host = text.substr(0, colon);
  if (host.front() == '[') {
    if (host.back() != ']') return bad();
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  const std::string_view port = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), parsed.port);
  if (host.empty() || error != std::errc() || end != port.data() + port.size() || parsed.port < 0 ||
      parsed.port > 65535)
    return bad();
  parsed.host = std::string(host);
  return parsed;
}

bool is_loopback(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (host == "localhost") return true;
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return false;
}

Status check_bindable(const std::string& address, std::string_view what) {
  AFDG_ASSIGN(const HostPort parsed, parse_host_port(address, what));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error =
          ::getaddrinfo(parsed.host.c_str(), std::to_string(parsed.port).c_str(), &hints, &found);
      error != 0) {
    return fail(Code::kInvalidArgument, std::string(what) + " " + address + ": the host is not known (" +
                                            ::gai_strerror(error) + "): use an address of this machine");
  }
  int number = 0;
  const int descriptor = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (descriptor < 0 || ::bind(descriptor, found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(descriptor, 1) != 0)
    number = errno;
  if (descriptor >= 0) ::close(descriptor);
  ::freeaddrinfo(found);
  if (number == 0) return {};
  if (number == EADDRINUSE) {
    return fail(Code::kTaken, std::string(what) + " " + address +
                                  ": the port is in use: stop the other process or choose another port");
  }
  return fail(number == EACCES ? Code::kTaken : Code::kInvalidArgument,
              std::string(what) + " " + address + ": cannot listen there (" + std::strerror(number) +
                  "): choose an address of this machine");
}

Result<int> free_port(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), "0", &hints, &found) != 0)
    return fail(Code::kInvalidArgument, "host '" + host + "' is not known: use an address of this machine");
  const int descriptor = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  const bool good = descriptor >= 0 && ::bind(descriptor, found->ai_addr, found->ai_addrlen) == 0 &&
                    ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size) == 0;
  if (descriptor >= 0) ::close(descriptor);
  ::freeaddrinfo(found);
  if (!good) return fail(Code::kTaken, "no port is free at " + host + ": name one");
  return static_cast<int>(ntohs(bound.ss_family == AF_INET6
                                    ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                    : reinterpret_cast<sockaddr_in&>(bound).sin_port));
}

}  // namespace afdg::server
