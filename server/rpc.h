#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/thread.h"

// Remote calls as the rest of server/ sees them; rpc_server.cc and peer.cc alone know gRPC.
namespace afdg::server {

/// A message as it arrived; `view` lives as long as `owner`.
struct RpcBytes {
  std::string_view view;
  std::shared_ptr<const void> owner;
};

/// One call from outside: unary or a stream of either direction.
/// Thread-safety: safe. After the call ended every function does nothing.
class RpcCall {
 public:
  virtual ~RpcCall() = default;
  /// Asks for the next message: on_message or on_read_end follows. Precondition: no read is under way.
  virtual void read() = 0;
  /// Sends one message: on_written follows. Precondition: no write is under way.
  virtual void write(std::string message) = 0;
  /// Ends the call, after a write that is under way.
  virtual void finish(const Status& status) = 0;
  /// Sends the last message and ends the call well. Precondition: no write is under way.
  virtual void finish_with(std::string message) = 0;
  /// When the caller stops waiting; max() when it did not say.
  [[nodiscard]] virtual std::chrono::system_clock::time_point deadline() const = 0;
};

/// What happens in a call. All are called on the server's queue thread and must be quick.
class RpcHandler {
 public:
  virtual ~RpcHandler() = default;
  virtual void on_message(RpcBytes message) = 0;
  /// The caller sends nothing more.
  virtual void on_read_end() {}
  virtual void on_written() {}
  /// The call is over, finished or given up by the caller. The last call.
  virtual void on_done() {}
};

/// Makes the handler of a call; the call was not read yet.
using RpcMethod = std::function<std::shared_ptr<RpcHandler>(std::shared_ptr<RpcCall>)>;

struct RpcServerOptions {
  std::size_t message_bytes_max = 64u << 20;
  std::size_t memory_bytes_max = 512u << 20;      ///< gRPC's buffers; above it connections wait
  Scheduling scheduling = Scheduling::kOrdinary;  ///< of the queue's thread, afdg-queue
};

/// gRPC on one port: one completion queue with its thread. Unknown methods answer UNIMPLEMENTED. The health
/// service and reflection are methods like others. Thread-safety: add() before start().
class RpcServer {
 public:
  explicit RpcServer(RpcServerOptions options = {});
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;
  /// `name` as in "/afdg.v1.Data/Stream".
  void add(const std::string& name, RpcMethod method);
  /// Errors: kTaken (the port), kInvalidArgument (the address).
  Status start(const std::string& address);
  [[nodiscard]] int port() const noexcept;
  /// Ends every call and the thread.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A handler of unary calls: `serve` gets the request's bytes and later calls `answer` once, from any thread.
using RpcAnswer = std::function<void(Result<std::string>)>;
RpcMethod unary_method(
    std::function<void(RpcBytes, std::chrono::system_clock::time_point deadline, RpcAnswer)> serve);

}  // namespace afdg::server
