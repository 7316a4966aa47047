#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace afdg::server {

struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// GET over HTTP/1.1 on one thread, one request at a time: for scrapers and health checks, not for traffic.
/// Thread-safety: stop() from any thread. Bounds: requests of 16 KiB, 2 s each.
class HttpServer {
 public:
  using Serve = std::function<HttpAnswer(const std::string& path)>;
  static Result<std::unique_ptr<HttpServer>> start(const std::string& address, Serve serve);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  [[nodiscard]] int port() const noexcept;
  void stop();

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace afdg::server
