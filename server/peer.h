#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/thread.h"
#include "server/frame.h"

namespace google::protobuf {
class MessageLite;
}

namespace afdg::server {

class CallSink;

/// The other nodes, as a client of theirs. Nothing is connected before it is used. Thread-safety: safe.
class Peers {
 public:
  /// `scheduling` is that of its thread, afdg-peers.
  explicit Peers(Scheduling scheduling = Scheduling::kOrdinary);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  /// Which route a forwarded call's answer teaches.
  using Learn = std::function<RouteView(std::uint32_t region, std::string_view grid)>;
  /// Sends calls on, marked as forwarded; copies them. Each ends in one outcome at `sink`: kUnavailable when
  /// nothing of it can have arrived, kInDoubt when the connection broke later.
  void forward(const std::string& address, std::string_view grid, std::uint64_t session,
               const std::vector<CallView>& calls, const std::shared_ptr<CallSink>& sink, Learn learn);
  /// A unary call; `done` on a thread of Peers. Errors: the peer's; kUnavailable.
  void call(const std::string& address, const std::string& method, std::string request,
            std::chrono::milliseconds timeout, std::function<void(Result<std::string>)> done);
  /// The same, waiting. Not on a thread of Peers, a lane or the server's queue.
  Result<std::string> call_and_wait(const std::string& address, const std::string& method,
                                    std::string request, std::chrono::milliseconds timeout);
  /// With messages. Errors: as above, kUndecodable.
  Status call_and_wait(const std::string& address, const std::string& method,
                       const google::protobuf::MessageLite& request, google::protobuf::MessageLite& answer,
                       std::chrono::milliseconds timeout);
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace afdg::server
