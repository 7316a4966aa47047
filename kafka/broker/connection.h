#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/byte_buffer.h"
#include "base/result.h"
#include "kafka/broker/limits.h"
#include "kafka/broker/refused_batches.h"
#include "kafka/frame.h"
#include "log/partition.h"

namespace afdg::kafka {

class Broker;
class Connection;

/// One request on its way, and its answer.
///
/// A handler keeps the shared_ptr until it calls one of reply(), no_reply() and hang_up(), once.
/// Thread-safety: confined to the broker's loop. Ownership: owns the request's bytes, into which what was
/// decoded from it looks, and those of the answer.
class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(std::weak_ptr<Connection> connection, ByteBuffer frame)
      : connection_(std::move(connection)), frame_(std::make_shared<ByteBuffer>(std::move(frame))) {}

  [[nodiscard]] const Request& request() const noexcept { return request_; }
  [[nodiscard]] std::int16_t version() const noexcept { return request_.version; }
  /// As the request's header says; empty when it says nothing.
  [[nodiscard]] std::string_view client_id() const noexcept {
    return request_.client_id.value_or(std::string_view());
  }
  /// "/" and the client's address, as Kafka names hosts.
  [[nodiscard]] const std::string& host() const noexcept { return host_; }
  /// The client is gone: nobody will read an answer.
  [[nodiscard]] bool abandoned() const noexcept { return connection_.expired(); }
  /// Those of its connection; null when the client is gone.
  [[nodiscard]] RefusedBatches* refused_batches() const noexcept;
  /// How large an answer may be without its client, or all of them, holding too much.
  [[nodiscard]] std::uint64_t room() const noexcept;

  template <class M>
  void reply(const M& response) {
    if (const Status written = write_response(out_, request_, response); !written.ok())
      return hang_up(written.error().text());
    finish();
  }
  /// Produce with acks 0 has no answer.
  void no_reply() { finish(); }
  /// Closes the connection once the answers to earlier requests were sent; `why` is logged.
  void hang_up(std::string why);
  /// Bytes that live until the answer was sent.
  std::string_view keep(std::string bytes) { return kept_.emplace_back(std::move(bytes)); }
  /// Part of the request, to be kept beyond the answer; null when that would keep much more than it.
  [[nodiscard]] std::shared_ptr<char> share(std::string_view part) const {
    const std::size_t at = static_cast<std::size_t>(part.data() - frame_->data());
    if (part.data() < frame_->data() || at + part.size() > frame_->size() ||
        part.size() < frame_->size() / kSharedPart)
      return nullptr;
    return {frame_, frame_->data() + at};
  }
  /// A part of a file that the answer names by the number it returns (Records::external); read when it is
  /// sent.
  std::uint32_t keep(log::FileRange range) {
    files_.push_back(std::move(range));
    return static_cast<std::uint32_t>(files_.size() - 1);
  }
  /// Counts what the call keeps beside its bytes, until its answer was sent.
  void hold(std::uint64_t bytes);
  void drop_kept() {
    kept_.clear();
    files_.clear();
  }
  /// Runs `task` once every earlier request of this client was answered: now, perhaps. For what costs much,
  /// so that a client has one of it under way, as with Kafka.
  void when_first(std::function<void()> task);
  /// Called when the client is gone before the call was answered.
  void when_abandoned(std::function<void()> task) { abandoned_ = std::move(task); }

 private:
  friend class Connection;
  static constexpr std::size_t kSharedPart = 8;
  void finish();
  std::weak_ptr<Connection> connection_;
  std::shared_ptr<ByteBuffer> frame_;
  std::string host_;
  Request request_;
  Writer out_;
  std::deque<std::string> kept_;
  std::vector<log::FileRange> files_;
  std::function<void()> abandoned_;
  std::function<void()> first_;
  std::uint64_t held_ = 0;
  bool finished_ = false;
  bool hang_up_ = false;
};
using CallPtr = std::shared_ptr<Call>;

/// The requests of one client, answered in their order.
///
///     receive(frame) -> Call -> handler ... reply -> front(): to be sent -> pop()
///
/// Thread-safety: confined to the broker's loop. Bounds: BrokerOptions' connection_requests_max
/// requests under way, or connection_bytes_max of them and their answers, and for one that produces a log
/// that is crowded: then full() is true and the owner stops reading; answers are kept until the client reads
/// them. Duties of the owner: (1) no receive() while full(); (2) after each pop() it looks at full() again;
/// (3) at over() it closes.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// What a request costs beside its bytes, about.
  static constexpr std::uint64_t kCallBytes = 512;

  /// `ready` is called whenever there is something to send, or over() became true.
  Connection(Broker& broker, std::string host, std::function<void()> ready);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// One frame, without its size.
  void receive(ByteBuffer frame);
  [[nodiscard]] bool full() const noexcept { return hang_up_ || full_by(); }
  /// The limit that makes it full, if one does.
  [[nodiscard]] std::optional<Limit> full_by() const noexcept;
  /// The next answer to send, in the order of the requests; null when there is none yet.
  [[nodiscard]] Writer* front() noexcept;
  /// What an external piece of the answer at the front stands for.
  [[nodiscard]] const log::FileRange& front_file(std::uint32_t source) const;
  void pop();
  /// All that was asked for is answered, or will not be: close.
  [[nodiscard]] bool over() const noexcept { return hang_up_ && calls_.empty(); }
  /// Bytes of requests and answers that it holds, about.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] const std::string& host() const noexcept { return host_; }

 private:
  friend class Call;
  void finished(Call& call);
  void skip_silent();
  void run_first();

  Broker& broker_;
  std::string host_;
  std::function<void()> ready_;
  std::deque<CallPtr> calls_;
  std::uint64_t bytes_ = 0;
  bool hang_up_ = false;
  bool produces_ = false;  // its last request did
  RefusedBatches refused_batches_;
};

}  // namespace afdg::kafka
