#include "client/internal/grpc_network.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <charconv>
#include <condition_variable>
#include <thread>
#include <vector>

#include "afdg/v1/admin.grpc.pb.h"
#include "base/hand_over.h"

namespace afdg::client::internal {
namespace {

constexpr int kReceiveBytesMax = 64 << 20;
constexpr int kWindowBytes = 1 << 20;

class GrpcLink final : public Link {
 public:
  GrpcLink(std::shared_ptr<grpc::Channel> channel, LinkEvents& events)
      : stub_(std::move(channel)), events_(events), thread_([this] { run(); }) {}
  ~GrpcLink() override { close(); }

  void open(std::uint64_t epoch) override {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    auto* stream = new Stream;  // deletes itself after its last tag
    stream->epoch = epoch;
    stream->calls = stub_.PrepareCall(&stream->context, "/afdg.v1.Data/Stream", &queue_);
    current_ = stream;
    ++alive_;
    stream->calls->StartCall(hand_over(&stream->start));
  }

  void write(std::uint64_t epoch, std::string frame) override {
    auto* bytes = new std::string(std::move(frame));
    const grpc::Slice slice(
        bytes->data(), bytes->size(), [](void* owner) { delete static_cast<std::string*>(owner); }, bytes);
    const grpc::ByteBuffer buffer(&slice, 1);
    const std::lock_guard lock(mutex_);
    if (current_ == nullptr || current_->epoch != epoch || current_->ended) return;
    current_->writing = true;
    current_->calls->Write(buffer, hand_over(&current_->write));
  }

  void close() override {
    {
      std::unique_lock lock(mutex_);
      if (closed_) return;
      closing_ = true;
      if (current_ != nullptr) current_->context.TryCancel();
      drained_.wait(lock, [this] { return alive_ == 0; });
      closed_ = true;
    }
    queue_.Shutdown();
    thread_.join();
  }

 private:
  struct Stream;
  enum class Step : std::uint8_t { kStart, kRead, kWrite, kFinish };
  struct Tag {
    Stream* stream;
    Step step;
  };
  struct Stream {
    std::uint64_t epoch = 0;
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> calls;
    grpc::ByteBuffer in;
    grpc::Status status;
    bool writing = false;
    bool ended = false;     // no write may begin
    bool finished = false;  // the finish tag came
    Tag start{this, Step::kStart};
    Tag read{this, Step::kRead};
    Tag write{this, Step::kWrite};
    Tag finish{this, Step::kFinish};
  };

  void run() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
      const Tag* of = take_over(static_cast<Tag*>(tag));
      Stream& stream = *of->stream;
      switch (of->step) {
        case Step::kStart:
          started(stream, ok);
          break;
        case Step::kRead:
          received(stream, ok);
          break;
        case Step::kWrite:
          written(stream, ok);
          break;
        case Step::kFinish:
          finished(stream);
          break;
      }
    }
  }

  void started(Stream& stream, bool ok) {
    if (!ok) return finish(stream);
    stream.calls->Read(&stream.in, hand_over(&stream.read));
    events_.on_up(stream.epoch);
  }

  void received(Stream& stream, bool ok) {
    if (!ok) return finish(stream);
    grpc::Slice slice;
    if (!stream.in.TrySingleSlice(&slice).ok()) stream.in.DumpToSingleSlice(&slice).ok();
    events_.on_frame(stream.epoch, {reinterpret_cast<const char*>(slice.begin()), slice.size()});
    stream.in.Clear();
    stream.calls->Read(&stream.in, hand_over(&stream.read));
  }

  void written(Stream& stream, bool ok) {
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      stream.writing = false;
      last = stream.finished;
    }
    if (last) return release(stream);
    if (ok) events_.on_written(stream.epoch);  // otherwise the read fails too and ends the stream
  }

  void finish(Stream& stream) {
    {
      const std::lock_guard lock(mutex_);
      stream.ended = true;
    }
    stream.calls->Finish(&stream.status, hand_over(&stream.finish));
  }

  void finished(Stream& stream) {
    const std::uint64_t epoch = stream.epoch;
    std::string why = stream.status.ok() ? "the server closed the stream" : stream.status.error_message();
    bool last = false;
    {
      const std::lock_guard lock(mutex_);
      if (current_ == &stream) current_ = nullptr;
      stream.finished = true;
      last = !stream.writing;
    }
    if (last) release(stream);
    events_.on_broken(epoch, std::move(why));
  }

  void release(Stream& stream) {
    delete &stream;
    const std::lock_guard lock(mutex_);
    --alive_;
    drained_.notify_all();
  }

  grpc::GenericStub stub_;
  LinkEvents& events_;
  grpc::CompletionQueue queue_;
  std::mutex mutex_;
  std::condition_variable drained_;
  Stream* current_ = nullptr;
  int alive_ = 0;
  bool closing_ = false;
  bool closed_ = false;
  std::thread thread_;  // last: it uses all of the above
};

Code nearest_code(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::OK:
      return Code::kOk;
    case grpc::StatusCode::CANCELLED:
      return Code::kCancelled;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return Code::kInvalidArgument;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Code::kInDoubt;
    case grpc::StatusCode::NOT_FOUND:
      return Code::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
      return Code::kAlreadyExists;
    case grpc::StatusCode::PERMISSION_DENIED:
      return Code::kPermissionDenied;
    case grpc::StatusCode::UNAUTHENTICATED:
      return Code::kPermissionDenied;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Code::kOverloaded;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return Code::kFailedPrecondition;
    case grpc::StatusCode::ABORTED:
      return Code::kFenced;
    case grpc::StatusCode::OUT_OF_RANGE:
      return Code::kOutOfRange;
    case grpc::StatusCode::UNIMPLEMENTED:
      return Code::kUnsupported;
    case grpc::StatusCode::INTERNAL:
      return Code::kInternal;
    case grpc::StatusCode::UNAVAILABLE:
      return Code::kUnavailable;
    case grpc::StatusCode::DATA_LOSS:
      return Code::kCorrupt;
    case grpc::StatusCode::UNKNOWN:
      return Code::kInDoubt;
    case grpc::StatusCode::DO_NOT_USE:
      break;
  }
  return Code::kInternal;
}

}  // namespace

Status status_of(const grpc::Status& status, const grpc::ClientContext& context, const std::string& server) {
  if (status.ok()) return {};
  const auto& trailers = context.GetServerTrailingMetadata();
  if (auto found = trailers.find("afdg-code"); found != trailers.end()) {
    std::uint32_t number = 0;
    const char* begin = found->second.data();
    if (std::from_chars(begin, begin + found->second.size(), number).ec == std::errc() && number != 0) {
      return fail(code_from_number(number), status.error_message());
    }
  }
  const Code code = nearest_code(status.error_code());
  if (code == Code::kUnavailable) {
    return fail(code, "no server answers at " + server + ": start afdgd there or name another address (" +
                          status.error_message() + ")");
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return fail(code, "the server at " + server +
                          " did not answer in time: it is not known whether it happened; allow "
                          "more time");
  }
  return fail(code,
              "the server at " + server + " answered without an error of afdgd's, so it may be another " +
                  "program or a proxy: check the address (" +
                  (status.error_message().empty() ? std::string(code_text(code)) : status.error_message()) +
                  ")");
}

std::shared_ptr<grpc::Channel> GrpcNetwork::channel(const std::string& address) {
  const std::lock_guard lock(mutex_);
  auto& channel = channels_[address];
  if (!channel) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kReceiveBytesMax);
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a client's connections are its own
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 250);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    // A window of fixed size; measuring one would send a ping along with most replies.
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
    if (keepalive_.count() > 0) {
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(keepalive_.count()));
      arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(keepalive_timeout_.count()));
      arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
      arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // no limit: calls may rest for long
    }
    channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }
  return channel;
}

std::unique_ptr<Link> GrpcNetwork::link(const std::string& address, LinkEvents& events) {
  return std::make_unique<GrpcLink>(channel(address), events);
}

bool GrpcNetwork::wait_connected(std::chrono::milliseconds timeout) {
  return seed()->WaitForConnected(std::chrono::system_clock::now() + timeout);
}

Result<RouteTable> GrpcNetwork::routes_from(const std::string& address, const std::string& grid,
                                            std::chrono::milliseconds timeout) {
  auto stub = v1::Admin::NewStub(channel(address));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  v1::RoutesCall call;
  call.set_grid(grid);
  v1::RouteTable answer;
  AFDG_TRY(status_of(stub->Routes(&context, call, &answer), context, address));
  RouteTable table{answer.grid_id(), answer.regions(), {}};
  table.routes.reserve(static_cast<std::size_t>(answer.routes_size()));
  for (const v1::Route& route : answer.routes()) {
    table.routes.push_back({route.region(), route.node(), route.address()});
  }
  return table;
}

Result<RouteTable> GrpcNetwork::routes(const std::string& grid, std::chrono::milliseconds timeout) {
  Result<RouteTable> first = routes_from(server_, grid, timeout);
  if (first.ok() || (first.code() != Code::kUnavailable && first.code() != Code::kInDoubt)) return first;
  std::vector<std::string> others;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [address, channel] : channels_) {
      if (address != server_) others.push_back(address);
    }
  }
  for (const std::string& address : others) {
    Result<RouteTable> next = routes_from(address, grid, timeout);
    if (next.ok()) return next;
  }
  return fail(Code::kUnavailable, first.error().text());
}

}  // namespace afdg::client::internal
