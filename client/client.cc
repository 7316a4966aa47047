#include "client/client.h"

#include <charconv>
#include <thread>

#include "base/clock.h"
#include "client/internal/session.h"

namespace afdg::client {
namespace internal {

Session::Session(std::string server, const ClientOptions& options, std::uint64_t id)
    : server_(std::move(server)), id_(id) {
  auto network = std::make_unique<GrpcNetwork>(server_, options);
  network_ = network.get();
  core_ = std::make_unique<Core>(Core::Setup{options, server_, id}, std::move(network));
}

}  // namespace internal

namespace {

Status check_address(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  unsigned port = 0;
  const char* end = address.data() + address.size();
  const bool good = colon != std::string::npos && colon > 0 &&
                    std::from_chars(address.data() + colon + 1, end, port).ptr == end && port > 0 &&
                    port < 65536;
  if (good) return {};
  return fail(Code::kInvalidArgument,
              "server address '" + address + "' is not HOST:PORT: give one such as 127.0.0.1:7400");
}

Status check_options(const ClientOptions& options) {
  constexpr std::uint32_t kCallsMax = 1U << 23;  // an id has 24 bits for them
  if (options.calls_max == 0 || options.calls_max > kCallsMax) {
    return fail(Code::kInvalidArgument, "calls_max is " + std::to_string(options.calls_max) + ": give 1 to " +
                                            std::to_string(kCallsMax));
  }
  if (options.deadline.count() <= 0 || options.deadline > std::chrono::minutes(10)) {
    return fail(Code::kInvalidArgument, "the default deadline is " +
                                            std::to_string(options.deadline.count()) +
                                            " ms: give more than 0, at most 10 minutes");
  }
  if (options.keepalive.count() < 0 || options.keepalive_timeout.count() <= 0) {
    return fail(Code::kInvalidArgument, "keepalive is " + std::to_string(options.keepalive.count()) +
                                            " ms with a timeout of " +
                                            std::to_string(options.keepalive_timeout.count()) +
                                            " ms: give 0 or more, and more than 0");
  }
  if (options.window_max == 0) return fail(Code::kInvalidArgument, "window_max is 0: give 1 or more");
  return {};
}

}  // namespace

Result<Client> Client::connect(const std::string& address, const ClientOptions& options) {
  AFDG_TRY(check_address(address));
  AFDG_TRY(check_options(options));
  std::uint64_t id = options.session;
  SystemRandom random;
  while (id == 0) id = random.next();
  // The last handle may go away in a callback, on a thread that closing has to wait for.
  std::shared_ptr<internal::Session> session(new internal::Session(address, options, id),
                                             [](internal::Session* last) {
                                               if (internal::Core::in_callback()) {
                                                 std::thread([last] { delete last; }).detach();
                                               } else {
                                                 delete last;
                                               }
                                             });
  if (options.connect_timeout.count() > 0 && !session->network().wait_connected(options.connect_timeout)) {
    return fail(Code::kUnavailable, "no server answers at " + address + " within " +
                                        std::to_string(options.connect_timeout.count()) +
                                        " ms: start afdgd there or name another address");
  }
  return Client(std::move(session));
}

Grid Client::grid(std::string_view name) const { return Grid(session_, session_->core().grid(name)); }
Admin Client::admin() const { return Admin(session_); }
ClientStats Client::stats() const { return session_->core().stats(); }
const std::string& Client::address() const { return session_->server(); }
std::uint64_t Client::session() const { return session_->id(); }

}  // namespace afdg::client
