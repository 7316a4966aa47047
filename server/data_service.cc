#include "server/data_service.h"

#include <algorithm>

#include "afdg/v1/data.pb.h"
#include "base/codec.h"

namespace afdg::server {
namespace {

constexpr std::int64_t kTimeoutStandard = 10'000;

/// One unary request or send.
class UnaryCall final : public CallSink {
 public:
  UnaryCall(RpcAnswer answer, bool send) : answer_(std::move(answer)), send_(send) {}
  v1::RequestCall call;

  void outcome(const OutcomeView& outcome) override {
    if (outcome.code != Code::kOk) {
      result_ = fail(outcome.code, std::string(outcome.text));
      return;
    }
    if (send_) {
      v1::SendReceipt receipt;
      receipt.set_topic(call.grid() + ".messages");
      receipt.set_partition(outcome.region);
      receipt.set_offset(outcome.offset);
      receipt.set_repeated(outcome.repeated);
      result_ = receipt.SerializeAsString();
      return;
    }
    v1::RequestAnswer answer;
    if (call.has_json()) {
      answer.set_json(std::string(outcome.text));
    } else {
      answer.set_payload(std::string(outcome.text));
    }
    answer.set_region(outcome.region);
    answer.set_offset(outcome.offset);
    answer.set_repeated(outcome.repeated);
    result_ = answer.SerializeAsString();
  }
  void flush() override {
    if (!answer_) return;
    std::exchange(answer_, nullptr)(std::move(result_));
  }

 private:
  RpcAnswer answer_;
  const bool send_;
  Result<std::string> result_ = fail(Code::kInternal);
};

RpcMethod unary_data(const DataParts& parts, bool send) {
  return unary_method(
      [parts, send](RpcBytes bytes, std::chrono::system_clock::time_point deadline, RpcAnswer answer) {
        auto sink = std::make_shared<UnaryCall>(std::move(answer), send);
        v1::RequestCall& call = sink->call;
        if (!call.ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size()))) {
          sink->outcome(
              {.code = Code::kUndecodable, .text = "the call is no afdg.v1.RequestCall: check the client"});
          sink->flush();
          return;
        }
        FrameView frame;
        frame.grid = call.grid();
        CallView& view = frame.calls.emplace_back();
        const auto routes = parts.board->get();
        if (const GridRoutes* grid = routes->find(call.grid()); grid != nullptr && !call.key().empty()) {
          view.region = static_cast<std::uint32_t>(key_partition(call.key(), grid->grid.regions));
        }
        view.type = call.type();
        view.key = call.key();
        view.message = call.message();
        view.payload = call.has_json() ? std::string_view(call.json()) : std::string_view(call.payload());
        view.content = call.has_json() ? region::Content::kJson : region::Content::kProtobuf;
        view.want = send ? region::Want::kReceipt : region::Want::kAnswer;
        view.request_id = call.request_id();
        view.deadline_unix_ms = deadline_ms(call.timeout_ms(), deadline, *parts.clock);
        parts.router->dispatch(frame, sink, sink);
      });
}

class FanoutCall final : public CallSink, public RpcHandler, public std::enable_shared_from_this<FanoutCall> {
 public:
  FanoutCall(std::shared_ptr<RpcCall> call, const DataParts& parts) : call_(std::move(call)), parts_(parts) {}

  void on_message(RpcBytes bytes) override {
    const Status good = begin(bytes);
    if (!good.ok()) {
      call_->finish(good);
      return;
    }
    if (request_->all()) {
      const bool posted = parts_.background->post([self = shared_from_this()] { self->feed(); });
      if (!posted) {
        call_->finish(
            fail(Code::kOverloaded, "too many fan-outs to all agents are under way: try again later"));
        return;
      }
    }
    pump();
  }
  void on_written() override {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      room_.notify_all();
    }
    pump();
  }
  void on_done() override {
    const std::lock_guard lock(mutex_);
    done_ = true;
    keys_.clear();
    outcomes_.clear();
    room_.notify_all();
  }

  void outcome(const OutcomeView& outcome) override {
    v1::FanoutOutcome out;
    const std::lock_guard lock(mutex_);
    const auto target = under_way_.find(outcome.id);
    if (target == under_way_.end()) return;
    out.set_key(std::move(target->second));
    under_way_.erase(target);
    out.set_code(static_cast<std::uint32_t>(outcome.code));
    if (outcome.code != Code::kOk) {
      out.set_text(std::string(outcome.text));
    } else if (request_->has_json()) {
      out.set_json(std::string(outcome.text));
    } else {
      out.set_payload(std::string(outcome.text));
    }
    out.set_region(outcome.region);
    out.set_offset(outcome.offset);
    out.set_repeated(outcome.repeated);
    if (!done_) outcomes_.push_back(out.SerializeAsString());
  }
  void flush() override { pump(); }

 private:
  static constexpr std::size_t kUnderWayMax = 1024;
  static constexpr std::size_t kOutcomesMax = 4096;
  static constexpr std::size_t kKeysWaiting = 8192;
  static constexpr std::size_t kFrame = 256;

  Status begin(const RpcBytes& bytes) {
    auto request = std::make_shared<v1::FanoutCall>();
    if (!request->ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size()))) {
      return fail(Code::kUndecodable, "the call is no afdg.v1.FanoutCall: check the client");
    }
    const auto routes = parts_.board->get();
    const GridRoutes* grid = routes->find(request->grid());
    if (grid == nullptr) return fail(Code::kUnknownGrid, unknown_grid(*routes, request->grid()));
    if (!request->all() && request->keys().empty())
      return fail(Code::kInvalidArgument, "a fan-out without targets: give keys, or 'all'");
    if (request->keys_size() > static_cast<int>(parts_.fanout_targets_max)) {
      return fail(Code::kInvalidArgument, "a fan-out to " + std::to_string(request->keys_size()) +
                                              " targets, the limit is " +
                                              std::to_string(parts_.fanout_targets_max) + ": split it");
    }
    regions_ = grid->grid.regions;
    deadline_ = deadline_ms(request->timeout_ms(), call_->deadline(), *parts_.clock);
    timeout_ = request->timeout_ms();
    feeding_ = request->all();
    for (auto& key : *request->mutable_keys()) keys_.push_back(std::move(key));
    request->clear_keys();
    request_ = std::move(request);
    return {};
  }

  /// `all`: lists the agents, on a worker.
  void feed() {
    const Status listed = parts_.gather->each_key(
        request_->grid(), request_->type(),
        [this](std::vector<std::string>&& keys) {
          std::unique_lock lock(mutex_);
          room_.wait(lock, [this] { return done_ || keys_.size() < kKeysWaiting; });
          if (done_) return false;
          for (auto& key : keys) keys_.push_back(std::move(key));
          lock.unlock();
          pump();
          return true;
        },
        [this](std::uint32_t region, const Error& error) {
          v1::FanoutOutcome out;  // no key: a whole region could not be asked
          out.set_region(region);
          out.set_code(static_cast<std::uint32_t>(error.code()));
          out.set_text("the agents of region " + std::to_string(region) +
                       " could not be listed: " + error.text());
          const std::lock_guard lock(mutex_);
          if (!done_) outcomes_.push_back(out.SerializeAsString());
        });
    {
      const std::lock_guard lock(mutex_);
      feeding_ = false;
      if (!listed.ok()) refused_ = listed;
    }
    pump();
  }

  /// Sends targets on, writes outcomes, ends. Whoever comes while it runs leaves it to go round once more.
  void pump() {
    {
      const std::lock_guard lock(mutex_);
      if (pumping_) {
        again_ = true;
        return;
      }
      pumping_ = true;
    }
    for (;;) {
      auto chunk = std::make_shared<std::vector<std::string>>();
      std::uint64_t first = 0;
      std::string write;
      bool end = false;
      Status status;
      {
        const std::lock_guard lock(mutex_);
        again_ = false;
        while (!done_ && !keys_.empty() && chunk->size() < kFrame && under_way_.size() < kUnderWayMax &&
               outcomes_.size() < kOutcomesMax) {
          if (chunk->empty()) first = next_;
          under_way_.emplace(next_++, keys_.front());
          chunk->push_back(std::move(keys_.front()));
          keys_.pop_front();
        }
        if (!chunk->empty()) room_.notify_all();
        if (!done_ && !writing_ && !outcomes_.empty()) {
          write = std::move(outcomes_.front());
          outcomes_.pop_front();
          writing_ = true;
        }
        end = !done_ && !ended_ && !feeding_ && keys_.empty() && under_way_.empty() && outcomes_.empty() &&
              !writing_ && write.empty();
        ended_ = ended_ || end;
        status = refused_;
      }
      if (!write.empty()) call_->write(std::move(write));
      if (end) call_->finish(status);
      if (!chunk->empty()) send(chunk, first);
      const std::lock_guard lock(mutex_);
      if (!again_ && (done_ || chunk->empty())) {
        pumping_ = false;
        return;
      }
    }
  }

  void send(const std::shared_ptr<const std::vector<std::string>>& keys, std::uint64_t first) {
    struct Owner {
      std::shared_ptr<const std::vector<std::string>> keys;
      std::shared_ptr<const v1::FanoutCall> request;
    };
    FrameView frame;
    frame.grid = request_->grid();
    for (const std::string& key : *keys) {
      CallView& view = frame.calls.emplace_back();
      view.id = first++;
      view.region = key.empty() ? 0 : static_cast<std::uint32_t>(key_partition(key, regions_));
      view.type = request_->type();
      view.key = key;
      view.message = request_->message();
      view.payload =
          request_->has_json() ? std::string_view(request_->json()) : std::string_view(request_->payload());
      view.content = request_->has_json() ? region::Content::kJson : region::Content::kProtobuf;
      view.request_id = request_->request_id();
      // Each target has the whole time from when its message leaves.
      view.deadline_unix_ms =
          timeout_ > 0 ? parts_.clock->deadline_time().time_since_epoch().count() + timeout_ : deadline_;
    }
    parts_.router->dispatch(frame, std::make_shared<Owner>(Owner{keys, request_}), shared_from_this());
  }

  const std::shared_ptr<RpcCall> call_;
  const DataParts parts_;
  std::shared_ptr<const v1::FanoutCall> request_;
  std::int32_t regions_ = 1;
  std::int64_t deadline_ = 0;
  std::int64_t timeout_ = 0;
  std::mutex mutex_;
  std::condition_variable room_;
  std::deque<std::string> keys_;
  std::unordered_map<std::uint64_t, std::string> under_way_;
  std::deque<std::string> outcomes_;
  std::uint64_t next_ = 1;
  Status refused_;
  bool feeding_ = false, writing_ = false, done_ = false, ended_ = false, pumping_ = false, again_ = false;
};

}  // namespace

std::int64_t deadline_ms(std::int64_t timeout_ms, std::chrono::system_clock::time_point deadline,
                         const Clock& clock) {
  std::int64_t left = timeout_ms > 0 ? std::min<std::int64_t>(timeout_ms, 86'400'000) : kTimeoutStandard;
  if (timeout_ms <= 0 && deadline != std::chrono::system_clock::time_point::max())
    left = std::chrono::floor<std::chrono::milliseconds>(deadline - clock.now()).count();
  return clock.deadline_time().time_since_epoch().count() + left;
}

RpcMethod request_method(const DataParts& parts) { return unary_data(parts, false); }
RpcMethod send_method(const DataParts& parts) { return unary_data(parts, true); }
RpcMethod fanout_method(const DataParts& parts) {
  return [parts](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
    return std::make_shared<FanoutCall>(std::move(call), parts);
  };
}

}  // namespace afdg::server
