#include "server/http.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>
#include <thread>

#include "base/thread.h"
#include "server/socket.h"

namespace afdg::server {

namespace beast = boost::beast;
namespace asio = boost::asio;
using asio::ip::tcp;

struct HttpServer::State {
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  Serve serve;
  std::thread thread;
  std::atomic<bool> stopping{false};

  void run() {
    while (!stopping.load()) {
      boost::system::error_code error;
      tcp::socket socket(context);
      acceptor.accept(socket, error);
      if (error) {
        if (stopping.load()) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));  // out of descriptors, for example
        continue;
      }
      const timeval limit{.tv_sec = 2, .tv_usec = 0};
      ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      answer(socket);
    }
  }

  void answer(tcp::socket& socket) {
    beast::flat_buffer buffer(16u << 10);
    beast::http::request<beast::http::empty_body> request;
    boost::system::error_code error;
    beast::http::read(socket, buffer, request, error);
    if (error) return;
    HttpAnswer answered;
    if (request.method() != beast::http::verb::get && request.method() != beast::http::verb::head) {
      answered = {405, "text/plain; charset=utf-8", "only GET is served here\n"};
    } else {
      answered = serve(std::string(request.target()));
    }
    beast::http::response<beast::http::string_body> response(
        static_cast<beast::http::status>(answered.status), request.version());
    response.set(beast::http::field::server, "afdgd");
    response.set(beast::http::field::content_type, answered.content_type);
    response.keep_alive(false);
    response.body() = std::move(answered.body);
    response.prepare_payload();
    if (request.method() == beast::http::verb::head) response.body().clear();
    beast::http::write(socket, response, error);
    socket.shutdown(tcp::socket::shutdown_both, error);
  }
};

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpServer::~HttpServer() { stop(); }

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& address, Serve serve) {
  AFDG_TRY(check_bindable(address, "--http"));
  AFDG_ASSIGN(const HostPort parsed, parse_host_port(address, "--http"));
  auto state = std::make_unique<State>();
  state->serve = std::move(serve);
  boost::system::error_code error;
  tcp::resolver resolver(state->context);
  const auto found =
      resolver.resolve(parsed.host, std::to_string(parsed.port), tcp::resolver::passive, error);
  if (!error && !found.empty()) {
    const tcp::endpoint endpoint = found.begin()->endpoint();
    state->acceptor.open(endpoint.protocol(), error);
    if (!error) state->acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) state->acceptor.bind(endpoint, error);
    if (!error) state->acceptor.listen(16, error);
  }
  if (error)
    return fail(Code::kTaken,
                "--http " + address + ": cannot listen there (" + error.message() + "): choose another port");
  auto* raw = state.get();
  state->thread = std::thread([raw] {
    begin_thread("afdg-http");
    raw->run();
  });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

int HttpServer::port() const noexcept {
  boost::system::error_code error;
  return state_->acceptor.local_endpoint(error).port();
}

void HttpServer::stop() {
  if (state_->stopping.exchange(true)) return;
  ::shutdown(state_->acceptor.native_handle(), SHUT_RD);  // wakes the accept
  state_->thread.join();
}

}  // namespace afdg::server
