#include "client/testing/freezing_proxy.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "base/assert.h"

namespace afdg::client::testing {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}

/// False at the end of the stream.
bool move_bytes(int from, int to) {
  char buffer[64 * 1024];
  const ssize_t got = recv(from, buffer, sizeof buffer, 0);
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t n = send(to, buffer + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += n;
  }
  return got > 0;
}

}  // namespace

FreezingProxy::FreezingProxy(const std::string& server) : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in at = loopback(0);
  socklen_t size = sizeof at;
  AFDG_ASSERT(bind(listener_, reinterpret_cast<sockaddr*>(&at), size) == 0, "a free port of loopback");
  AFDG_ASSERT(listen(listener_, 16) == 0, "a listener on loopback");
  getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
  port_ = ntohs(at.sin_port);
  const auto to = static_cast<std::uint16_t>(std::stoi(server.substr(server.rfind(':') + 1)));
  thread_ = std::thread([this, to] { run(to); });
}

FreezingProxy::~FreezingProxy() {
  stopping_.store(true);
  thread_.join();
  close(listener_);
}

void FreezingProxy::run(std::uint16_t to) {
  struct Pair {
    int client, server, born;
  };
  std::vector<Pair> pairs;
  std::vector<pollfd> wait;
  while (!stopping_.load()) {
    wait.assign(1, {listener_, POLLIN, 0});
    for (const Pair& pair : pairs) {
      const short events = pair.born == freezes_.load() ? POLLIN : 0;
      wait.push_back({events != 0 ? pair.client : -1, events, 0});
      wait.push_back({events != 0 ? pair.server : -1, events, 0});
    }
    if (poll(wait.data(), wait.size(), 10) <= 0) continue;
    for (std::size_t i = pairs.size(); i-- > 0;) {
      const Pair pair = pairs[i];
      const bool open = (wait[1 + 2 * i].revents == 0 || move_bytes(pair.client, pair.server)) &&
                        (wait[2 + 2 * i].revents == 0 || move_bytes(pair.server, pair.client));
      if (open) continue;
      close(pair.client);
      close(pair.server);
      pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (wait[0].revents == 0) continue;
    const int client = accept(listener_, nullptr, nullptr);
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in at = loopback(to);
    if (client < 0 || connect(server, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
      if (client >= 0) close(client);
      close(server);
      continue;
    }
    pairs.push_back({client, server, freezes_.load()});
  }
  for (const Pair& pair : pairs) {
    close(pair.client);
    close(pair.server);
  }
}

}  // namespace afdg::client::testing
