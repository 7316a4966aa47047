#include "server/peer.h"

#include <google/protobuf/message_lite.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <charconv>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/hand_over.h"
#include "server/router.h"

namespace afdg::server {
namespace {

constexpr std::size_t kFrameBytesMax = 256u << 10;

grpc::ByteBuffer buffer_of(std::string message) {
  auto* bytes = new std::string(std::move(message));
  const grpc::Slice slice(
      bytes->data(), bytes->size(), [](void* owner) { delete static_cast<std::string*>(owner); }, bytes);
  return grpc::ByteBuffer(&slice, 1);
}

std::string text_of(grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (buffer.Dump(&slices).ok()) {
    for (const auto& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

Error error_of(const grpc::Status& status, const grpc::ClientContext& context, const std::string& address) {
  const auto& trailers = context.GetServerTrailingMetadata();
  if (const auto found = trailers.find("afdg-code"); found != trailers.end()) {
    std::uint32_t number = 0;
    if (std::from_chars(found->second.data(), found->second.data() + found->second.size(), number).ec ==
            std::errc() &&
        number != 0) {
      return fail(code_from_number(number), status.error_message());
    }
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    return fail(Code::kUnavailable, "the node at " + address + " did not answer in time: try again");
  return fail(Code::kUnavailable, "the node at " + address + " cannot be reached (" + status.error_message() +
                                      "): try again when it is back");
}

/// Anything that has tags in the queue.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual void step(int what, bool ok) = 0;
};
struct Tag {
  Operation* operation;
  int what;
};

class UnaryOperation final : public Operation {
 public:
  UnaryOperation(std::string address, std::function<void(Result<std::string>)> done)
      : address_(std::move(address)), done_(std::move(done)) {}
  void start(grpc::GenericStub& stub, grpc::CompletionQueue& queue, const std::string& method,
             std::string request, std::chrono::milliseconds timeout) {
    context_.set_deadline(std::chrono::system_clock::now() + timeout);
    reader_ = stub.PrepareUnaryCall(&context_, method, buffer_of(std::move(request)), &queue);
    reader_->StartCall();
    reader_->Finish(&answer_, &status_, hand_over(&tag_));
  }
  void step(int, bool) override {
    const std::unique_ptr<UnaryOperation> self(this);
    done_(status_.ok() ? Result<std::string>(text_of(answer_))
                       : Result<std::string>(error_of(status_, context_, address_)));
  }

 private:
  std::string address_;
  std::function<void(Result<std::string>)> done_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader_;
  grpc::ByteBuffer answer_;
  grpc::Status status_;
  Tag tag_{this, 0};
};

struct Forwarded {
  std::shared_ptr<CallSink> sink;
  Peers::Learn learn;
  std::string grid;
  std::uint64_t id = 0;
  std::uint32_t region = 0;
};

/// One stream of forwarded calls to one node; made anew after a break.
class ForwardStream final : public Operation, public std::enable_shared_from_this<ForwardStream> {
 public:
  explicit ForwardStream(std::string address) : address_(std::move(address)) {}
  void start(grpc::GenericStub& stub, grpc::CompletionQueue& queue) {
    self_ = shared_from_this();
    stream_ = stub.PrepareCall(&context_, "/afdg.v1.Data/Stream", &queue);
    stream_->StartCall(hand_over(&started_));
  }
  /// False when the stream is broken: make another.
  bool send(std::string_view grid, std::uint64_t session, const std::vector<CallView>& calls,
            const std::shared_ptr<CallSink>& sink, const Peers::Learn& learn) {
    const std::lock_guard lock(mutex_);
    if (broken_) return false;
    std::string frame;
    append_frame_head(frame, grid, session, true, SystemClock().deadline_time());
    const std::size_t head = frame.size();
    for (const CallView& call : calls) {
      if (frame.size() > head && frame.size() + call.payload.size() > kFrameBytesMax) {
        frames_.push_back(std::exchange(frame, {}));
        append_frame_head(frame, grid, session, true, SystemClock().deadline_time());
      }
      CallView renumbered = call;
      renumbered.id = next_++;
      append_call(frame, renumbered);
      waiting_.emplace(renumbered.id, Forwarded{sink, learn, std::string(grid), call.id, call.region});
    }
    frames_.push_back(std::move(frame));
    write_next();
    return true;
  }
  void cancel() { context_.TryCancel(); }

  void step(int what, bool ok) override {
    switch (what) {
      case kStarted: {
        const std::lock_guard lock(mutex_);
        up_ = ok;
        if (ok) {
          reading_ = true;
          stream_->Read(&in_, hand_over(&read_));
          write_next();
        } else {
          finish();
        }
        break;
      }
      case kRead:
        received(ok);
        break;
      case kWritten: {
        const std::lock_guard lock(mutex_);
        writing_ = false;
        if (ok) write_next();
        break;
      }
      case kFinished:
        finished();
        break;
    }
    std::shared_ptr<ForwardStream> last;
    const std::lock_guard lock(mutex_);
    if (finished_seen_ && !reading_ && !writing_) last = std::move(self_);
  }

 private:
  enum { kStarted, kRead, kWritten, kFinished };
  void write_next() {
    if (!up_ || writing_ || frames_.empty() || broken_) return;
    writing_ = true;
    stream_->Write(buffer_of(std::move(frames_.front())), hand_over(&written_));
    frames_.pop_front();
  }
  void finish() {
    broken_ = true;
    stream_->Finish(&status_, hand_over(&finished_));
  }
  void received(bool ok) {
    std::vector<std::shared_ptr<CallSink>> sinks;
    {
      const std::unique_lock lock(mutex_);
      reading_ = false;
      if (!ok) return finish();
    }
    const std::string bytes = text_of(in_);
    in_.Clear();
    OutcomeFrameView frame;
    if (!parse_outcome_frame(bytes, frame)) frame.outcomes.clear();
    for (OutcomeView outcome : frame.outcomes) {
      Forwarded to;
      {
        const std::lock_guard lock(mutex_);
        const auto found = waiting_.find(outcome.id);
        if (found == waiting_.end()) continue;
        to = std::move(found->second);
        waiting_.erase(found);
      }
      outcome.id = to.id;
      to.sink->outcome(outcome);
      if (outcome.code != Code::kNotLeader && outcome.code != Code::kUnavailable)
        to.sink->learned(to.learn(to.region, to.grid));
      if (sinks.empty() || sinks.back() != to.sink) sinks.push_back(std::move(to.sink));
    }
    for (const auto& sink : sinks) sink->flush();
    const std::lock_guard lock(mutex_);
    reading_ = true;
    stream_->Read(&in_, hand_over(&read_));
  }
  void finished() {
    std::unordered_map<std::uint64_t, Forwarded> lost;
    bool up = false;
    {
      const std::lock_guard lock(mutex_);
      finished_seen_ = true;
      broken_ = true;
      up = up_;
      lost.swap(waiting_);
      frames_.clear();
    }
    const std::string text = up ? "the connection to the node at " + address_ +
                                      " broke while it had the message: try again with the same request id"
                                : "the node at " + address_ + " cannot be reached: try again when it is back";
    for (auto& [id, to] : lost) {
      to.sink->outcome({.id = to.id,
                        .region = to.region,
                        .code = up ? Code::kInDoubt : Code::kUnavailable,
                        .offset = -1,
                        .text = text});
      to.sink->flush();
    }
  }

  const std::string address_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer in_;
  grpc::Status status_;
  std::mutex mutex_;
  std::shared_ptr<ForwardStream> self_;
  std::deque<std::string> frames_;
  std::unordered_map<std::uint64_t, Forwarded> waiting_;
  std::uint64_t next_ = 1;
  bool up_ = false, reading_ = false, writing_ = false, broken_ = false, finished_seen_ = false;
  Tag started_{this, kStarted}, read_{this, kRead}, written_{this, kWritten}, finished_{this, kFinished};
};

}  // namespace

struct Peers::State {
  struct Peer {
    std::unique_ptr<grpc::GenericStub> stub;
    std::shared_ptr<ForwardStream> stream;
  };
  std::mutex mutex;
  std::map<std::string, Peer> peers;
  grpc::CompletionQueue queue;
  std::thread thread;
  Scheduling scheduling = Scheduling::kOrdinary;
  std::vector<std::weak_ptr<ForwardStream>> streams;  // also broken ones that still have tags
  bool stopped = false;

  Peer& peer(const std::string& address) {
    Peer& found = peers[address];
    if (!found.stub) {
      grpc::ChannelArguments arguments;
      arguments.SetMaxReceiveMessageSize(-1);
      arguments.SetMaxSendMessageSize(-1);
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
      arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
      arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
      arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
      arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
      found.stub = std::make_unique<grpc::GenericStub>(
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
    }
    if (!thread.joinable()) {
      thread = std::thread([this] {
        begin_thread("afdg-peers", scheduling);
        void* raw = nullptr;
        bool ok = false;
        while (queue.Next(&raw, &ok)) {
          const Tag tag = *take_over(static_cast<Tag*>(raw));
          tag.operation->step(tag.what, ok);
        }
      });
    }
    return found;
  }
};

Peers::Peers(Scheduling scheduling) : state_(std::make_unique<State>()) { state_->scheduling = scheduling; }
Peers::~Peers() { stop(); }

void Peers::forward(const std::string& address, std::string_view grid, std::uint64_t session,
                    const std::vector<CallView>& calls, const std::shared_ptr<CallSink>& sink, Learn learn) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->stopped) {
      State::Peer& peer = state_->peer(address);
      if (peer.stream && peer.stream->send(grid, session, calls, sink, learn)) return;
      peer.stream = std::make_shared<ForwardStream>(address);
      std::erase_if(state_->streams, [](const auto& stream) { return stream.expired(); });
      state_->streams.push_back(peer.stream);
      peer.stream->start(*peer.stub, state_->queue);
      if (peer.stream->send(grid, session, calls, sink, learn)) return;
    }
  }
  for (const CallView& call : calls) {
    sink->outcome({.id = call.id,
                   .region = call.region,
                   .code = Code::kUnavailable,
                   .offset = -1,
                   .text = "the node that leads the region cannot be reached: try again soon"});
  }
  sink->flush();
}

void Peers::call(const std::string& address, const std::string& method, std::string request,
                 std::chrono::milliseconds timeout, std::function<void(Result<std::string>)> done) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->stopped) {
      auto* operation = new UnaryOperation(address, std::move(done));
      operation->start(*state_->peer(address).stub, state_->queue, method, std::move(request), timeout);
      return;
    }
  }
  done(fail(Code::kUnavailable, "the server is stopping"));
}

Result<std::string> Peers::call_and_wait(const std::string& address, const std::string& method,
                                         std::string request, std::chrono::milliseconds timeout) {
  auto promise = std::make_shared<std::promise<Result<std::string>>>();
  auto future = promise->get_future();
  call(address, method, std::move(request), timeout,
       [promise](Result<std::string> answer) { promise->set_value(std::move(answer)); });
  return future.get();
}

Status Peers::call_and_wait(const std::string& address, const std::string& method,
                            const google::protobuf::MessageLite& request,
                            google::protobuf::MessageLite& answer, std::chrono::milliseconds timeout) {
  AFDG_ASSIGN(const std::string bytes, call_and_wait(address, method, request.SerializeAsString(), timeout));
  if (!answer.ParseFromString(bytes))
    return fail(Code::kUndecodable, "the node at " + address + " answered with bytes that are no answer");
  return {};
}

void Peers::stop() {
  {
    const std::lock_guard lock(state_->mutex);
    if (std::exchange(state_->stopped, true)) return;
    for (auto& [address, peer] : state_->peers) {
      if (peer.stream) peer.stream->cancel();
      peer.stream.reset();
    }
  }
  // A stream starts operations until it has finished; the queue may be shut down only after that.
  for (const auto& stream : state_->streams) {
    while (!stream.expired()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  state_->queue.Shutdown();
  if (state_->thread.joinable()) state_->thread.join();
  // Without a thread nothing was ever started, so the queue is empty.
}

}  // namespace afdg::server
