#include "server/kafka_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/thread.h"
#include "server/logging.h"
#include "server/socket.h"

namespace afdg::server {

namespace asio = boost::asio;
using asio::ip::tcp;
using kafka::Limit;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kScratchBytes = 256u << 10;    // one recv
constexpr std::size_t kAheadBytes = 4u << 10;        // the same, where a large frame probably begins
constexpr std::size_t kSmallFrameBytes = 16u << 10;  // larger ones are accounted for before they are read
constexpr std::size_t kWakeBytesMax = 1u << 20;
constexpr std::size_t kTurnBytes = 4u << 20;     // read from one socket before the next has its turn
constexpr std::size_t kGatherBytes = 64u << 10;  // small answers are joined up to this
constexpr std::size_t kSmallAnswerBytes = 16u << 10;
constexpr std::size_t kPiecesMax = 64;                // of one sendmsg
constexpr std::uint64_t kFileBytesAtOnce = 4u << 20;  // of one sendfile
constexpr std::size_t kProgressBytes = 256u << 10;    // as good as the whole, where a peer is slow
constexpr auto kSweepMax = std::chrono::milliseconds(5000);
constexpr auto kSweepMin = std::chrono::milliseconds(20);
constexpr auto kAcceptPause = std::chrono::milliseconds(50);
constexpr auto kCrowdedPause = std::chrono::milliseconds(2);

class AsioLoop final : public kafka::Loop {
 public:
  explicit AsioLoop(asio::io_context& context) : context_(context) {}
  void post(std::function<void()> task) override { asio::post(context_, std::move(task)); }
  std::uint64_t after(std::chrono::milliseconds delay, std::function<void()> task) override {
    const std::uint64_t name = ++last_;
    auto& timer = timers_.try_emplace(name, context_, delay).first->second;
    timer.async_wait([this, name, task = std::move(task)](const boost::system::error_code& error) {
      if (error || timers_.erase(name) == 0) return;
      task();
    });
    return name;
  }
  void cancel(std::uint64_t timer) override { timers_.erase(timer); }
  [[nodiscard]] bool here() const noexcept override { return std::this_thread::get_id() == thread_.load(); }
  void enter() { thread_.store(std::this_thread::get_id()); }

 private:
  asio::io_context& context_;
  std::atomic<std::thread::id> thread_{};
  std::uint64_t last_ = 0;
  std::unordered_map<std::uint64_t, asio::steady_timer> timers_;
};

}  // namespace

class KafkaListener::State {
 public:
  explicit State(Setup setup)
      : setup_(std::move(setup)),
        loop_(context_),
        broker_({.log = setup_.log,
                 .cluster = setup_.cluster,
                 .grids = setup_.grids,
                 .loop = &loop_,
                 .clock = setup_.clock,
                 .random = setup_.random,
                 .disk_space = setup_.disk_space,
                 .report =
                     [](std::string_view host, std::string_view why) {
                       log_warn("a Kafka connection is closed",
                                {{"client", std::string(host)}, {"why", std::string(why)}});
                     }},
                setup_.broker) {}

  void start(int socket, bool v6) {
    acceptor_.assign(v6 ? tcp::v6() : tcp::v4(), socket);
    thread_ = std::thread([this] {
      begin_thread("afdg-kafka");
      run();
    });
  }

  void stop() {
    if (stopping_.exchange(true)) return;
    asio::post(context_, [] {});
    if (thread_.joinable()) thread_.join();
  }

  kafka::Broker& broker() { return broker_; }

 private:
  struct Client {
    explicit Client(tcp::socket&& taken) : socket(std::move(taken)) {}
    tcp::socket socket;
    std::shared_ptr<kafka::Connection> connection;
    // Reading.
    char size[4] = {};
    std::size_t size_have = 0;
    ByteBuffer frame;
    std::size_t last_frame_bytes = 0;       // of the frame before
    std::size_t frame_bytes = 0;            // of the frame that is being read; 0: its size is
    std::size_t reserved = 0;               // of bytes_max, for that frame
    std::string ahead;                      // came with the last bytes, and has to wait
    int wake_bytes = 1;                     // so many must have come before it is read
    bool reading = false;                   // a wait for readiness is under way
    bool paused = false;                    // it is not read: a limit is reached
    steady_clock::time_point progressed{};  // when the frame began, or the last kProgressBytes of it came
    std::size_t progress = 0;               // of the frame, then
    // Writing.
    std::string out;  // small answers, joined
    std::size_t out_sent = 0;
    std::size_t piece = 0;  // of the front answer
    std::uint64_t piece_sent = 0;
    bool writing = false;
    bool dirty = false;
    bool closed = false;
    steady_clock::time_point heard = steady_clock::now();
    steady_clock::time_point stuck{};  // since when it reads less than kProgressBytes
    std::uint64_t sent = 0;
    std::uint64_t sent_stuck = 0;  // at `stuck`
  };
  using ClientPtr = std::shared_ptr<Client>;

  void run() {
    // sendfile has no MSG_NOSIGNAL.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    loop_.enter();
    accept();
    sweep();
    while (!stopping_.load()) {
      if (!broker_.busy()) context_.run_one();
      context_.poll();
      broker_.round_end();
      flush();
      read_on();
      resume();
    }
    broker_.stop();
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    while (!clients_.empty()) close(clients_.begin()->second);
    dirty_.clear();
    paused_.clear();
    was_read_.clear();
  }

  void accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
      if (stopping_.load()) return;
      if (error) {
        if (error == asio::error::no_descriptors)
          broker_.refused(Limit::kOpenFiles, "",
                          "the process has no file descriptor left for a connection: "
                          "raise its limit of open files (ulimit -n)");
        loop_.after(kAcceptPause, [this] { accept(); });
        return;
      }
      take(std::move(socket));
      accept();
    });
  }

  void take(tcp::socket&& socket) {
    boost::system::error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) return;
    const std::string host = "/" + peer.address().to_string();
    if (clients_.size() >= setup_.connections_max) {
      broker_.refused(Limit::kConnections, host,
                      "there are " + std::to_string(clients_.size()) +
                          " connections already: close some, or raise kafka-connections-max");
      return;
    }
    socket.non_blocking(true, error);
    socket.set_option(tcp::no_delay(true), error);
    socket.set_option(asio::socket_base::keep_alive(true), error);
    if (setup_.send_buffer_bytes != 0) {
      const auto bytes = static_cast<int>(setup_.send_buffer_bytes);
      socket.set_option(asio::socket_base::send_buffer_size(bytes), error);
    }
    auto client = std::make_shared<Client>(std::move(socket));
    client->connection =
        std::make_shared<kafka::Connection>(broker_, host, [this, weak = std::weak_ptr<Client>(client)] {
          const auto ready = weak.lock();
          if (!ready || ready->dirty) return;
          ready->dirty = true;
          dirty_.push_back(ready);
        });
    clients_.emplace(client.get(), client);
    wait_readable(client);
  }

  void close(const ClientPtr& client) {
    if (std::exchange(client->closed, true)) return;
    boost::system::error_code ignored;
    client->socket.close(ignored);
    broker_.counters().bytes -= std::exchange(client->reserved, 0);
    client->connection.reset();
    clients_.erase(client.get());
  }

  // Reading.

  void wait_readable(const ClientPtr& client) {
    if (client->closed) return;
    wake_at(*client);
    if (client->reading) return;
    const auto held = held_by(*client);
    if (!client->ahead.empty() || held || !admit(*client)) {
      if (held) broker_.counters().paused.add(*held);
      client->paused = true;
      paused_.push_back(client);
      return;
    }
    client->reading = true;
    client->socket.async_wait(tcp::socket::wait_read, [this, client](const boost::system::error_code& error) {
      client->reading = false;
      if (client->closed) return;
      if (error) return close(client);
      read(client);
    });
  }

  /// The kernel wakes this thread once the rest of a large request is there, not for each part of it; it also
  /// lets the client send that much (tcp(7), SO_RCVLOWAT).
  static void wake_at(Client& client) {
    const std::size_t rest = client.frame_bytes == 0 ? 0 : client.frame_bytes - client.frame.size();
    const int bytes = rest <= kSmallFrameBytes ? 1 : static_cast<int>(std::min(rest, kWakeBytesMax));
    if (bytes == client.wake_bytes) return;
    boost::system::error_code ignored;
    client.socket.set_option(asio::socket_base::receive_low_watermark(bytes), ignored);
    client.wake_bytes = bytes;
  }

  /// The limit for which no more of this client can be taken now. Who has a reservation can finish, and who
  /// has nothing under way is taken, so nobody waits forever.
  [[nodiscard]] std::optional<Limit> held_by(const Client& client) {
    if (const auto full = client.connection->full_by()) return full;
    if (client.reserved != 0) return std::nullopt;
    const auto& counters = broker_.counters();
    const bool empty = client.connection->bytes() == 0;
    if (!empty && counters.in_flight.load() >= setup_.requests_max) return Limit::kRequests;
    if (client.frame_bytes <= kSmallFrameBytes) {
      if (!empty && counters.bytes.load() > setup_.bytes_max) return Limit::kBytes;
    } else if (counters.bytes.load() + client.frame_bytes >
               std::max(setup_.bytes_max, std::uint64_t{setup_.broker.request_bytes_max})) {
      return Limit::kBytes;
    }
    return std::nullopt;
  }

  /// Whether more of this client is to be taken now; what a large request needs is reserved then.
  bool admit(Client& client) {
    if (client.connection->full() || held_by(client)) return false;
    if (client.reserved == 0 && client.frame_bytes > kSmallFrameBytes) {
      client.reserved = client.frame_bytes;
      broker_.counters().bytes += client.reserved;
      client.frame.reserve(client.frame_bytes);
    }
    return true;
  }

  void read(const ClientPtr& client) {
    const int fd = client->socket.native_handle();
    if (!client->ahead.empty() && !consume(*client, std::exchange(client->ahead, {}))) return close(client);
    std::size_t total = 0;
    while (total < kTurnBytes && client->ahead.empty() && admit(*client)) {
      // The rest of a frame goes to its place, and what comes behind it to the scratch buffer: little, where
      // that is probably the beginning of another large one, since it is copied from there.
      const std::size_t before = client->frame.size();
      const std::size_t rest = client->frame_bytes - (client->frame_bytes == 0 ? 0 : before);
      const std::size_t direct = rest <= kSmallFrameBytes ? 0 : rest;
      if (direct != 0) client->frame.resize(before + direct);
      const bool large = std::max(client->last_frame_bytes, client->frame_bytes) >= kScratchBytes / 4;
      const std::size_t ahead = large ? rest - direct + kAheadBytes : scratch_.size();
      std::array<iovec, 2> into{{{client->frame.data() + before, direct}, {scratch_.data(), ahead}}};
      const std::size_t room = direct + ahead;
      const ssize_t got = ::readv(fd, into.data(), static_cast<int>(into.size()));
      const auto bytes = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
      const std::size_t placed = std::min(bytes, direct);
      if (direct != 0) client->frame.resize(before + placed);
      if (got == 0) return close(client);
      if (got < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return close(client);
        break;
      }
      total += bytes;
      client->heard = steady_clock::now();
      if (client->frame_bytes == 0 && client->size_have == 0) client->progressed = client->heard;
      if (direct != 0 && client->frame.size() == client->frame_bytes) deliver(*client);
      if (!consume(*client, {scratch_.data(), bytes - placed})) return close(client);
      if (client->closed) return;
      if (client->frame.size() >= client->progress + kProgressBytes) {
        client->progress = client->frame.size();
        client->progressed = client->heard;
      }
      if (bytes < room) break;
    }
    // What this thread commits itself (Log::lead) is to be on its way before more is read: a client with a
    // few requests under way then sends the next while the first are committed, instead of waiting for all of
    // them.
    if (total <= log::Log::kLeadBytesMax) return was_read_.push_back(client);
    wait_readable(client);
  }

  /// Once the round is over.
  void read_on() {
    std::vector<ClientPtr> now;
    now.swap(was_read_);
    for (const auto& client : now) wait_readable(client);
  }

  /// Cuts bytes into frames. False: what comes is no Kafka.
  bool consume(Client& client, std::string_view bytes) {
    while (!bytes.empty()) {
      if (!admit(client)) {
        client.ahead = bytes;
        return true;
      }
      if (client.frame_bytes == 0) {
        const std::size_t take = std::min(bytes.size(), sizeof client.size - client.size_have);
        std::memcpy(client.size + client.size_have, bytes.data(), take);
        client.size_have += take;
        bytes.remove_prefix(take);
        if (client.size_have < sizeof client.size) break;
        client.size_have = 0;
        const auto size =
            kafka::frame_size({client.size, sizeof client.size}, setup_.broker.request_bytes_max);
        if (!size.ok()) {
          if (size.code() == Code::kMessageTooLarge) {
            broker_.refused(Limit::kRequestBytes, client.connection->host(), size.error().text());
          } else {
            broker_.bad_request(client.connection->host(), size.error().text());
          }
          return false;
        }
        client.frame_bytes = *size;
        client.frame.reserve(std::min(*size, kSmallFrameBytes));  // all of it once it is admitted
        continue;
      }
      const std::size_t take = std::min(bytes.size(), client.frame_bytes - client.frame.size());
      client.frame.append(bytes.substr(0, take));
      bytes.remove_prefix(take);
      if (client.frame.size() == client.frame_bytes) deliver(client);
    }
    return true;
  }

  void deliver(Client& client) {
    client.last_frame_bytes = std::exchange(client.frame_bytes, 0);
    client.progress = 0;
    client.progressed = client.heard;
    broker_.counters().bytes -= std::exchange(client.reserved, 0);
    client.connection->receive(std::exchange(client.frame, {}));
  }

  /// Reads again from clients that had too much under way.
  void resume() {
    broker_.counters().connections_paused.store(paused_.size(), std::memory_order_relaxed);
    if (paused_.empty()) return;
    std::vector<ClientPtr> again;
    again.swap(paused_);
    for (const auto& client : again) {
      if (client->closed) continue;
      const auto held = held_by(*client);
      if (held || !admit(*client)) {
        // The log changes on other threads: what was not held a moment ago may be held by it now.
        if (held.value_or(Limit::kLogBytes) == Limit::kLogBytes) look_again();
        paused_.push_back(client);
        continue;
      }
      client->reading = true;
      client->paused = false;
      client->progressed = steady_clock::now();
      asio::post(context_, [this, client] {  // a round of its own: what it asks for is to be answered
        client->reading = false;
        if (!client->closed) read(client);
      });
    }
  }

  /// Nobody tells when the log has room again.
  void look_again() {
    if (std::exchange(looking_again_, true)) return;
    loop_.after(kCrowdedPause, [this] { looking_again_ = false; });
  }

  // Writing.

  void flush() {
    while (!dirty_.empty()) {
      std::vector<ClientPtr> now;
      now.swap(dirty_);
      for (const auto& client : now) {
        client->dirty = false;
        if (!client->closed && !client->writing) write(client);
      }
    }
  }

  void write(const ClientPtr& client) {
    const std::uint64_t before = client->sent;
    for (;;) {
      join_small(*client);
      const Sent sent = client->out_sent < client->out.size() ? send_joined(*client) : send_front(*client);
      if (sent == Sent::kFailed) return close(client);
      if (sent == Sent::kFull) {
        if (client->stuck == steady_clock::time_point{} ||
            client->sent - client->sent_stuck >= kProgressBytes) {
          client->stuck = steady_clock::now();
          client->sent_stuck = client->sent;
        }
        client->writing = true;
        client->socket.async_wait(tcp::socket::wait_write,
                                  [this, client](const boost::system::error_code& error) {
                                    client->writing = false;
                                    if (client->closed) return;
                                    if (error) return close(client);
                                    write(client);
                                  });
        return;
      }
      if (sent == Sent::kNothing) break;
    }
    client->stuck = {};
    if (client->sent != before) client->heard = steady_clock::now();  // it is idle from now on
    if (client->connection->over()) close(client);
  }

  enum class Sent : std::uint8_t { kSome, kNothing, kFull, kFailed };

  void join_small(Client& client) {
    if (client.out_sent == client.out.size()) {
      client.out.clear();
      client.out_sent = 0;
    }
    while (client.piece == 0 && client.piece_sent == 0 && client.out.size() < kGatherBytes) {
      kafka::Writer* answer = client.connection->front();
      if (answer == nullptr || answer->size() > kSmallAnswerBytes) return;
      for (const kafka::Piece& piece : answer->pieces())
        client.out.append(piece.kind == kafka::Piece::Kind::kOwned
                              ? answer->owned(piece)
                              : std::string_view(piece.data, static_cast<std::size_t>(piece.size)));
      client.connection->pop();
    }
  }

  static Sent judge(ssize_t sent) {
    if (sent >= 0) return Sent::kSome;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return Sent::kFull;
    return errno == EINTR ? Sent::kSome : Sent::kFailed;
  }

  static Sent send_joined(Client& client) {
    const ssize_t sent = ::send(client.socket.native_handle(), client.out.data() + client.out_sent,
                                client.out.size() - client.out_sent, MSG_NOSIGNAL);
    if (sent > 0) client.out_sent += static_cast<std::size_t>(sent);
    if (sent > 0) client.sent += static_cast<std::uint64_t>(sent);
    return judge(sent);
  }

  static Sent send_front(Client& client) {
    kafka::Writer* answer = client.connection->front();
    if (answer == nullptr) return Sent::kNothing;
    const auto pieces = answer->pieces();
    const ssize_t sent = pieces[client.piece].kind == kafka::Piece::Kind::kExternal
                             ? send_file(client, pieces[client.piece])
                             : send_memory(client, *answer, pieces);
    std::uint64_t left = sent > 0 ? static_cast<std::uint64_t>(sent) : 0;
    client.sent += left;
    while (client.piece < pieces.size() && left >= pieces[client.piece].size - client.piece_sent) {
      left -= pieces[client.piece].size - client.piece_sent;
      client.piece_sent = 0;
      ++client.piece;
    }
    client.piece_sent += left;
    if (client.piece == pieces.size()) {
      client.piece = 0;
      client.piece_sent = 0;
      client.connection->pop();
    }
    return judge(sent);
  }

  /// What is in memory, up to the next piece that is in a file.
  static ssize_t send_memory(Client& client, kafka::Writer& answer, std::span<const kafka::Piece> pieces) {
    iovec parts[kPiecesMax];
    std::size_t count = 0;
    std::size_t i = client.piece;
    for (; i < pieces.size() && count < kPiecesMax && pieces[i].kind != kafka::Piece::Kind::kExternal; ++i) {
      const kafka::Piece& piece = pieces[i];
      const std::string_view bytes = piece.kind == kafka::Piece::Kind::kOwned
                                         ? answer.owned(piece)
                                         : std::string_view(piece.data, static_cast<std::size_t>(piece.size));
      const std::size_t skip = i == client.piece ? static_cast<std::size_t>(client.piece_sent) : 0;
      parts[count++] = {const_cast<char*>(bytes.data()) + skip, bytes.size() - skip};
    }
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    return ::sendmsg(client.socket.native_handle(), &message,
                     MSG_NOSIGNAL | (i < pieces.size() ? MSG_MORE : 0));
  }

  static ssize_t send_file(Client& client, const kafka::Piece& piece) {
    const log::FileRange& range = client.connection->front_file(piece.source);
    auto at = static_cast<off_t>(range.position + client.piece_sent);
    const ssize_t sent = ::sendfile(
        client.socket.native_handle(), range.file->descriptor(), &at,
        static_cast<std::size_t>(std::min<std::uint64_t>(range.size - client.piece_sent, kFileBytesAtOnce)));
    if (sent != 0) return sent;
    errno = EIO;  // the file is shorter than it was: what was announced cannot be sent
    return -1;
  }

  /// Closes connections that cost something and do nothing.
  void sweep() {
    // What came of a request for which nobody was woken yet (wake_at) is progress, too.
    std::vector<ClientPtr> waited;
    for (const auto& [key, client] : clients_) {
      if (client->wake_bytes > 1 && client->reading &&
          steady_clock::now() - client->progressed > setup_.half_request_max)
        waited.push_back(client);
    }
    for (const auto& client : waited) read(client);
    const auto now = steady_clock::now();
    std::vector<std::pair<ClientPtr, Limit>> over;
    for (const auto& [key, client] : clients_) {
      const bool partial = client->frame_bytes != 0 || client->size_have != 0;
      if (client->stuck != steady_clock::time_point{} && now - client->stuck > setup_.unread_max) {
        over.emplace_back(client, Limit::kUnread);
      } else if (partial && !client->paused && now - client->progressed > setup_.half_request_max) {
        over.emplace_back(client, Limit::kHalfRequest);
      } else if (client->connection->bytes() == 0 && !client->paused &&
                 now - client->heard > setup_.broker.idle_max) {
        over.emplace_back(client, Limit::kIdle);
      }
    }
    for (const auto& [client, limit] : over) {
      if (limit == Limit::kIdle) {
        broker_.counters().refused.add(limit);
      } else {
        const bool unread = limit == Limit::kUnread;
        broker_.refused(limit, client->connection->host(),
                        std::string(unread ? "it did not read its answers for "
                                           : "the rest of its request did not come for ") +
                            std::to_string((unread ? setup_.unread_max : setup_.half_request_max).count()) +
                            " ms: look at the client or the network, or raise " +
                            std::string(kafka::limit_key(limit)));
      }
      close(client);
    }
    const auto least = std::min({setup_.broker.idle_max, setup_.half_request_max, setup_.unread_max});
    loop_.after(std::clamp(least / 4, kSweepMin, kSweepMax), [this] { sweep(); });
  }

  Setup setup_;
  asio::io_context context_{1};
  AsioLoop loop_;
  kafka::Broker broker_;
  tcp::acceptor acceptor_{context_};
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::string scratch_ = std::string(kScratchBytes, '\0');
  std::unordered_map<Client*, ClientPtr> clients_;
  std::vector<ClientPtr> dirty_;
  std::vector<ClientPtr> paused_;
  std::vector<ClientPtr> was_read_;  // in this round, and not waited for
  bool looking_again_ = false;
};

KafkaListener::KafkaListener(int socket) : socket_(socket) {}
KafkaListener::~KafkaListener() { stop(); }

Result<std::unique_ptr<KafkaListener>> KafkaListener::bind(const std::string& address) {
  AFDG_TRY(check_bindable(address, "--kafka"));
  AFDG_ASSIGN(const HostPort parsed, parse_host_port(address, "--kafka"));
  boost::system::error_code error;
  asio::io_context context(1);
  tcp::acceptor acceptor(context);
  tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(parsed.host, std::to_string(parsed.port), tcp::resolver::passive, error);
  tcp::endpoint endpoint;
  if (!error && !found.empty()) {
    endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(1024, error);
  }
  if (error)
    return fail(Code::kTaken, "--kafka " + address + ": cannot listen there (" + error.message() +
                                  "): choose another port, or 'off'");
  const int port = acceptor.local_endpoint(error).port();
  auto listener = std::unique_ptr<KafkaListener>(new KafkaListener(acceptor.release(error)));
  listener->port_ = port;
  listener->v6_ = endpoint.address().is_v6();
  return listener;
}

void KafkaListener::serve(const Setup& setup) {
  Setup bounded = setup;
  bounded.broker.held_bytes_max = std::min(setup.broker.held_bytes_max, setup.bytes_max / 2);
  state_ = std::make_unique<State>(bounded);
  state_->start(std::exchange(socket_, -1), v6_);
  serving_.store(true);
}

bool KafkaListener::post(std::function<void(kafka::Broker&)> task) {
  if (!serving_.load()) return false;
  kafka::Broker& broker = state_->broker();
  broker.later([&broker, task = std::move(task)] { task(broker); });
  return true;
}

int KafkaListener::port() const noexcept { return port_; }
const kafka::Broker::Counters* KafkaListener::counters() const noexcept {
  return serving_.load() ? &state_->broker().counters() : nullptr;
}
void KafkaListener::stop() {
  if (state_) state_->stop();
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

}  // namespace afdg::server
