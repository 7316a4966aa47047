#include <grpc/support/log.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "base/hand_over.h"
#include "server/rpc.h"
#include "server/socket.h"

namespace afdg::server {
namespace {

constexpr int kWaitingAccepts = 32;
constexpr int kWindowBytes = 1 << 20;  // of a stream

RpcBytes bytes_of(grpc::ByteBuffer& buffer) {
  auto slice = std::make_shared<grpc::Slice>();
  if (!buffer.TrySingleSlice(slice.get()).ok()) buffer.DumpToSingleSlice(slice.get()).ok();
  buffer.Clear();
  const std::string_view view(reinterpret_cast<const char*>(slice->begin()), slice->size());
  return {view, std::move(slice)};
}

grpc::ByteBuffer buffer_of(std::string message) {
  auto* bytes = new std::string(std::move(message));
  const grpc::Slice slice(
      bytes->data(), bytes->size(), [](void* owner) { delete static_cast<std::string*>(owner); }, bytes);
  return grpc::ByteBuffer(&slice, 1);
}

enum class Step : std::uint8_t { kAccepted, kRead, kWritten, kFinished, kDone };

class Call;
struct Tag {
  Call* call;
  Step step;
};

class Call final : public RpcCall, public std::enable_shared_from_this<Call> {
 public:
  explicit Call(std::atomic<std::uint64_t>& alive) : alive_(alive) { alive_.fetch_add(1); }
  ~Call() override = default;
  void accept(grpc::AsyncGenericService& service, grpc::ServerCompletionQueue& queue,
              std::shared_ptr<Call> self) {
    self_ = std::move(self);
    context_.AsyncNotifyWhenDone(hand_over(&done_));
    service.RequestCall(&context_, &stream_, &queue, &queue, hand_over(&accepted_));
  }
  [[nodiscard]] const std::string& method() const { return context_.method(); }
  void serve(std::shared_ptr<RpcHandler> handler) { handler_ = std::move(handler); }

  void read() override {
    const std::lock_guard lock(mutex_);
    if (over_ || reading_ || finishing_) return;
    reading_ = true;
    stream_.Read(&in_, hand_over(&read_));
  }
  void write(std::string message) override {
    const std::lock_guard lock(mutex_);
    if (over_ || finishing_ || finish_wanted_) return;
    writing_ = true;
    stream_.Write(buffer_of(std::move(message)), hand_over(&written_));
  }
  void finish(const Status& status) override {
    const std::lock_guard lock(mutex_);
    if (over_ || finishing_ || finish_wanted_) return;
    if (!status.ok()) {
      context_.AddTrailingMetadata("afdg-code", std::to_string(static_cast<int>(status.code())));
      context_.AddTrailingMetadata("afdg-code-name", std::string(code_name(status.code())));
      status_ = grpc::Status(static_cast<grpc::StatusCode>(code_grpc(status.code())), status.error().text());
    }
    finish_wanted_ = true;
    if (!writing_) finish_now();
  }
  void finish_with(std::string message) override {
    const std::lock_guard lock(mutex_);
    if (over_ || finishing_ || finish_wanted_) return;
    finishing_ = true;
    stream_.WriteAndFinish(buffer_of(std::move(message)), grpc::WriteOptions(), grpc::Status::OK,
                           hand_over(&finished_));
  }
  [[nodiscard]] std::chrono::system_clock::time_point deadline() const override {
    return context_.deadline();
  }

  /// What a tag of this call does. Runs on the queue's thread.
  void step(Step step, bool ok) {
    switch (step) {
      case Step::kAccepted:
        break;
      case Step::kRead: {
        {
          const std::lock_guard lock(mutex_);
          reading_ = false;
        }
        if (handler_ == nullptr) break;
        if (ok) {
          handler_->on_message(bytes_of(in_));
        } else {
          handler_->on_read_end();
        }
        break;
      }
      case Step::kWritten: {
        bool tell = false;
        {
          const std::lock_guard lock(mutex_);
          writing_ = false;
          tell = ok && !finish_wanted_ && !over_;
          if (finish_wanted_ && !finishing_) finish_now();
        }
        if (tell && handler_ != nullptr) handler_->on_written();
        break;
      }
      case Step::kFinished: {
        const std::lock_guard lock(mutex_);
        finished_seen_ = true;
        over_ = true;
        break;
      }
      case Step::kDone: {
        const std::lock_guard lock(mutex_);
        done_seen_ = true;
        if (!finishing_) {  // the caller gave up
          finish_wanted_ = true;
          status_ = grpc::Status(grpc::StatusCode::CANCELLED, "the caller gave up");
          if (!writing_) finish_now();
        }
        break;
      }
    }
    std::shared_ptr<Call> last;
    {
      const std::lock_guard lock(mutex_);
      if (finished_seen_ && done_seen_ && !reading_ && !writing_) last = std::move(self_);
    }
    if (last == nullptr) return;
    if (handler_ != nullptr) std::exchange(handler_, nullptr)->on_done();
    alive_.fetch_sub(1);
  }
  void drop() {
    alive_.fetch_sub(1);
    self_.reset();
  }

 private:
  void finish_now() {
    finishing_ = true;
    stream_.Finish(status_, hand_over(&finished_));
  }

  std::atomic<std::uint64_t>& alive_;
  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  grpc::ByteBuffer in_;
  std::shared_ptr<Call> self_;  // while gRPC may name it
  std::shared_ptr<RpcHandler> handler_;
  std::mutex mutex_;
  grpc::Status status_;
  bool reading_ = false, writing_ = false, finish_wanted_ = false, finishing_ = false;
  bool finished_seen_ = false, done_seen_ = false, over_ = false;
  Tag accepted_{this, Step::kAccepted}, read_{this, Step::kRead}, written_{this, Step::kWritten};
  Tag finished_{this, Step::kFinished}, done_{this, Step::kDone};
};

class Unary final : public RpcHandler {
 public:
  using Serve = std::function<void(RpcBytes, std::chrono::system_clock::time_point, RpcAnswer)>;
  Unary(std::shared_ptr<RpcCall> call, std::shared_ptr<const Serve> serve)
      : call_(std::move(call)), serve_(std::move(serve)) {}
  void on_message(RpcBytes message) override {
    if (std::exchange(served_, true)) return;
    (*serve_)(std::move(message), call_->deadline(), [call = call_](Result<std::string> answer) {
      if (answer.ok()) {
        call->finish_with(std::move(*answer));
      } else {
        call->finish(answer.error());
      }
    });
  }
  void on_read_end() override {
    if (!served_) call_->finish(fail(Code::kUndecodable, "the call carried no message: send one"));
  }
  void on_done() override { call_.reset(); }

 private:
  std::shared_ptr<RpcCall> call_;
  std::shared_ptr<const Serve> serve_;
  bool served_ = false;
};

}  // namespace

struct RpcServer::State {
  RpcServerOptions options;
  std::map<std::string, RpcMethod, std::less<>> methods;
  grpc::AsyncGenericService service;
  std::unique_ptr<grpc::ServerCompletionQueue> queue;
  std::unique_ptr<grpc::Server> server;
  std::thread thread;
  int port = 0;
  bool stopping = false;
  std::atomic<bool> stopping_now{false};
  std::atomic<std::uint64_t> alive{0};  // calls that may still start operations

  void accept() {
    auto call = std::make_shared<Call>(alive);
    Call& at = *call;
    at.accept(service, *queue, std::move(call));
  }

  void run() {
    void* raw = nullptr;
    bool ok = false;
    while (queue->Next(&raw, &ok)) {
      Tag& tag = *take_over(static_cast<Tag*>(raw));
      Call& call = *tag.call;
      if (tag.step == Step::kAccepted) {
        if (!ok) {  // the server stops: no other tag comes
          call.drop();
          continue;
        }
        if (!stopping_now.load()) accept();
        if (const auto method = methods.find(call.method()); method != methods.end()) {
          call.serve(method->second(call.shared_from_this()));
          call.read();
        } else {
          call.finish(fail(Code::kUnsupported,
                           "method " + call.method() +
                               " is not known: this version serves afdg.v1.Data and afdg.v1.Admin"));
        }
        continue;
      }
      call.step(tag.step, ok);
    }
  }
};

RpcServer::RpcServer(RpcServerOptions options) : state_(std::make_unique<State>()) {
  state_->options = options;
  gpr_set_log_function([](gpr_log_func_args*) {});  // what matters is said by our own sentences
}
RpcServer::~RpcServer() { stop(); }

void RpcServer::add(const std::string& name, RpcMethod method) {
  state_->methods.insert_or_assign(name, std::move(method));
}

Status RpcServer::start(const std::string& address) {
  AFDG_TRY(check_bindable(address, "--listen"));
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &state_->port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  // A caller that vanished without a reset is noticed, so that its calls and streams end. Callers may ask the
  // same of us, the client library each 10 s by default.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.SetMaxReceiveMessageSize(static_cast<int>(state_->options.message_bytes_max));
  builder.SetMaxSendMessageSize(-1);
  grpc::ResourceQuota quota("afdg");
  quota.Resize(state_->options.memory_bytes_max);
  builder.SetResourceQuota(quota);
  builder.RegisterAsyncGenericService(&state_->service);
  state_->queue = builder.AddCompletionQueue();
  state_->server = builder.BuildAndStart();
  if (!state_->server || state_->port == 0) {
    state_->server.reset();
    state_->queue->Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (state_->queue->Next(&tag, &ok)) {
    }
    return fail(Code::kTaken, "--listen " + address +
                                  ": the port is in use: stop the other process or choose another port");
  }
  for (int i = 0; i < kWaitingAccepts; ++i) state_->accept();
  state_->thread = std::thread([this] {
    begin_thread("afdg-queue", state_->options.scheduling);
    state_->run();
  });
  return {};
}

int RpcServer::port() const noexcept { return state_->port; }

void RpcServer::stop() {
  if (!state_->server || std::exchange(state_->stopping, true)) return;
  state_->stopping_now.store(true);
  state_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(500));
  while (state_->alive.load() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  state_->queue->Shutdown();
  state_->thread.join();
  state_->server.reset();
}

RpcMethod unary_method(
    std::function<void(RpcBytes, std::chrono::system_clock::time_point, RpcAnswer)> serve) {
  auto shared = std::make_shared<const Unary::Serve>(std::move(serve));
  return [shared](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
    return std::make_shared<Unary>(std::move(call), shared);
  };
}

}  // namespace afdg::server
