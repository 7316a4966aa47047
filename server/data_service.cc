#include "server/data_service.h"

#include <algorithm>
#include <deque>

#include "afdg/v1/admin.pb.h"
#include "afdg/v1/data.pb.h"
#include "base/codec.h"

namespace afdg::server {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kTimeout{10'000};
constexpr milliseconds kTimeoutMax{600'000};

/// One call, one outcome.
class OneCall final : public CallSink, public std::enable_shared_from_this<OneCall> {
 public:
  OneCall(v1::RequestCall call, std::function<void(const v1::RequestCall&, const OutcomeView&)> done)
      : call_(std::move(call)), done_(std::move(done)) {}
  [[nodiscard]] const v1::RequestCall& call() const noexcept { return call_; }
  void outcome(const OutcomeView& outcome) override {
    if (!over_.exchange(true)) done_(call_, outcome);
  }
  void flush() override {}

 private:
  const v1::RequestCall call_;
  const std::function<void(const v1::RequestCall&, const OutcomeView&)> done_;
  std::atomic<bool> over_{false};
};

milliseconds timeout_of(std::int64_t asked) {
  return asked <= 0 ? kTimeout : std::min(milliseconds(asked), kTimeoutMax);
}

std::int64_t deadline_ms(const Clock& clock, milliseconds timeout) {
  return (clock.now() + timeout).time_since_epoch().count();
}

/// The grid a call without a name means, when there is only one.
std::string the_grid(Host& host, const std::string& named) {
  if (!named.empty()) return named;
  const auto routes = host.board().get();
  return routes->grids.size() == 1 ? routes->grids.begin()->first : named;
}

std::uint32_t region_of(const Routes& routes, const std::string& grid, std::string_view key) {
  const GridRoutes* found = routes.find(grid);
  return found == nullptr ? 0 : static_cast<std::uint32_t>(key_partition(key, found->grid.regions));
}

/// Request and Send.
template <typename Answer>
RpcMethod one_method(Router& router, AdminContext& context, region::Want want,
                     void (*fill)(const OutcomeView&, const v1::RequestCall&, Answer&)) {
  return unary_method([&router, &context, want, fill](RpcBytes bytes, std::chrono::system_clock::time_point,
                                                      RpcAnswer answer) {
    v1::RequestCall call;
    if (!call.ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size())))
      return answer(fail(Code::kUndecodable, "the request is no afdg.v1.RequestCall: check the client"));
    call.set_grid(the_grid(context.host, call.grid()));
    const milliseconds timeout = timeout_of(call.timeout_ms());
    const auto one = std::make_shared<OneCall>(
        std::move(call), [answer, fill](const v1::RequestCall& of, const OutcomeView& outcome) {
          if (outcome.code != Code::kOk) return answer(fail(outcome.code, std::string(outcome.text)));
          Answer result;
          fill(outcome, of, result);
          answer(result.SerializeAsString());
        });
    const v1::RequestCall& made = one->call();
    const auto routes = context.host.board().get();
    CallView view;
    view.region = region_of(*routes, made.grid(), made.key());
    view.type = made.type();
    view.key = made.key();
    view.message = made.message();
    view.content = made.has_json() ? region::Content::kJson : region::Content::kProtobuf;
    view.payload = made.has_json() ? made.json() : made.payload();
    view.want = want;
    view.request_id = made.request_id();
    view.deadline_unix_ms = deadline_ms(context.host.clock(), timeout);
    FrameView frame;
    frame.grid = made.grid();
    frame.calls.push_back(view);
    router.dispatch(frame, one, one);
    context.host.lanes().post_later(0, timeout, [weak = std::weak_ptr<OneCall>(one)] {
      const auto late = weak.lock();
      if (!late) return;
      late->outcome({.code = Code::kInDoubt,
                     .text = "no answer came in time: it is not known whether it happened; try again with "
                             "the same request id"});
    });
  });
}

void fill_answer(const OutcomeView& outcome, const v1::RequestCall& call, v1::RequestAnswer& answer) {
  if (call.has_json()) {
    answer.set_json(std::string(outcome.text));
  } else {
    answer.set_payload(std::string(outcome.text));
  }
  answer.set_region(outcome.region);
  answer.set_offset(outcome.offset);
  answer.set_repeated(outcome.repeated);
}

void fill_receipt(const OutcomeView& outcome, const v1::RequestCall& call, v1::SendReceipt& receipt) {
  receipt.set_topic(call.grid() + ".messages");
  receipt.set_partition(outcome.region);
  receipt.set_offset(outcome.offset);
  receipt.set_repeated(outcome.repeated);
}

/// One fan-out: keys in windows to the router, outcomes to the caller as they arrive.
class Fanout final : public CallSink, public RpcHandler, public std::enable_shared_from_this<Fanout> {
 public:
  Fanout(std::shared_ptr<RpcCall> call, Router& router, AdminContext& context)
      : rpc_(std::move(call)), router_(router), context_(context) {}

  void on_message(RpcBytes bytes) override {
    if (std::exchange(begun_, true)) return;
    if (!call_.ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size())))
      return rpc_->finish(fail(Code::kUndecodable, "the request is no afdg.v1.FanoutCall: check the client"));
    call_.set_grid(the_grid(context_.host, call_.grid()));
    if (static_cast<std::size_t>(call_.keys_size()) > DataService::kFanoutMax)
      return rpc_->finish(too_many(static_cast<std::size_t>(call_.keys_size())));
    if (call_.all() && call_.keys_size() > 0)
      return rpc_->finish(fail(Code::kInvalidArgument, "the fan-out names keys and all agents: choose one"));
    if (!call_.all()) {
      for (std::string& key : *call_.mutable_keys()) keys_.push_back(std::move(key));
      return begin();
    }
    const bool taken = context_.workers.run([self = shared_from_this()] {
      if (Status listed = self->list(); !listed.ok()) return self->rpc_->finish(listed);
      self->begin();
    });
    if (!taken) rpc_->finish(fail(Code::kOverloaded, "too many administrative calls wait: try again"));
  }
  void on_read_end() override {
    if (!begun_) rpc_->finish(fail(Code::kUndecodable, "the call carried no message: send one"));
  }
  void on_written() override {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
    }
    pump();
    write_next();
  }
  void on_done() override {
    const std::lock_guard lock(mutex_);
    done_ = true;
    pending_.clear();
  }

  void outcome(const OutcomeView& outcome) override {
    const std::lock_guard lock(mutex_);
    end(static_cast<std::size_t>(outcome.id), outcome);
  }
  void flush() override { write_next(); }

 private:
  enum : char { kWaiting, kSent, kEnded };
  static Error too_many(std::size_t count) {
    return fail(Code::kInvalidArgument, "the fan-out has " + std::to_string(count) +
                                            " targets: use at most " +
                                            std::to_string(DataService::kFanoutMax));
  }

  Status list() {
    v1::ListAgentsCall listing;
    listing.set_grid(call_.grid());
    listing.set_type(call_.type());
    listing.set_limit(10'000);
    for (;;) {
      v1::AgentKeys found;
      AFDG_TRY(list_agents(context_, listing, found));
      for (std::string& key : *found.mutable_keys()) keys_.push_back(std::move(key));
      if (keys_.size() > DataService::kFanoutMax) return too_many(keys_.size());
      if (!found.more() || found.keys_size() == 0) return {};
      listing.set_after(keys_.back());
    }
  }
  void begin() {
    timeout_ = call_.timeout_ms() <= 0 ? milliseconds(60'000) : timeout_of(call_.timeout_ms());
    deadline_ms_ = deadline_ms(context_.host.clock(), timeout_);
    states_.assign(keys_.size(), kWaiting);
    context_.host.lanes().post_later(0, timeout_, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->time_out();
    });
    pump();
    write_next();
  }
  void pump() {
    FrameView frame;
    const auto routes = context_.host.board().get();
    {
      const std::lock_guard lock(mutex_);
      if (done_ || under_way_ > DataService::kWindow / 2) return;
      frame.grid = call_.grid();
      while (next_ < keys_.size() && under_way_ < DataService::kWindow) {
        if (states_[next_] != kWaiting) {
          ++next_;
          continue;
        }
        CallView view;
        view.id = next_;
        view.region = region_of(*routes, call_.grid(), keys_[next_]);
        view.type = call_.type();
        view.key = keys_[next_];
        view.message = call_.message();
        view.content = call_.has_json() ? region::Content::kJson : region::Content::kProtobuf;
        view.payload = call_.has_json() ? call_.json() : call_.payload();
        view.request_id = call_.request_id();
        view.deadline_unix_ms = deadline_ms_;
        frame.calls.push_back(view);
        states_[next_++] = kSent;
        ++under_way_;
      }
    }
    if (!frame.calls.empty()) router_.dispatch(frame, shared_from_this(), shared_from_this());
  }
  void end(std::size_t index, const OutcomeView& outcome) {
    if (index >= states_.size() || states_[index] == kEnded) return;
    if (states_[index] == kSent) --under_way_;
    states_[index] = kEnded;
    ++ended_;
    if (done_) return;
    v1::FanoutOutcome message;
    message.set_key(keys_[index]);
    message.set_code(static_cast<std::uint32_t>(outcome.code));
    if (outcome.code != Code::kOk) {
      message.set_text(std::string(outcome.text));
    } else if (call_.has_json()) {
      message.set_json(std::string(outcome.text));
    } else {
      message.set_payload(std::string(outcome.text));
    }
    message.set_region(outcome.region);
    message.set_offset(outcome.offset);
    message.set_repeated(outcome.repeated);
    pending_.push_back(message.SerializeAsString());
  }
  void time_out() {
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < states_.size(); ++i) {
        const bool sent = states_[i] == kSent;
        end(i,
            {.code = sent ? Code::kInDoubt : Code::kDeadlineExceeded,
             .text = sent ? "no answer came in time: it is not known whether it happened; try again with the "
                            "same request id"
                          : "the fan-out's time was over before this target was reached: nothing was done"});
      }
    }
    write_next();
  }
  void write_next() {
    std::string message;
    bool finish = false;
    {
      const std::lock_guard lock(mutex_);
      if (done_ || writing_ || finished_) return;
      if (!pending_.empty()) {
        message = std::move(pending_.front());
        pending_.pop_front();
        writing_ = true;
      } else if (ended_ == keys_.size() && !states_empty_before_begin()) {
        finish = finished_ = true;
      } else {
        return;
      }
    }
    if (finish) return rpc_->finish({});
    rpc_->write(std::move(message));
  }
  [[nodiscard]] bool states_empty_before_begin() const { return states_.size() != keys_.size(); }

  const std::shared_ptr<RpcCall> rpc_;
  Router& router_;
  AdminContext& context_;
  v1::FanoutCall call_;
  bool begun_ = false;
  milliseconds timeout_{0};
  std::int64_t deadline_ms_ = 0;
  std::vector<std::string> keys_;
  std::mutex mutex_;
  std::vector<char> states_;
  std::deque<std::string> pending_;
  std::size_t next_ = 0, under_way_ = 0, ended_ = 0;
  bool writing_ = false, done_ = false, finished_ = false;
};

}  // namespace

void DataService::add(RpcServer& server) {
  server.add("/afdg.v1.Data/Request",
             one_method<v1::RequestAnswer>(router_, context_, region::Want::kAnswer, fill_answer));
  server.add("/afdg.v1.Data/Send",
             one_method<v1::SendReceipt>(router_, context_, region::Want::kReceipt, fill_receipt));
  server.add("/afdg.v1.Data/Fanout", [this](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
    return std::make_shared<Fanout>(std::move(call), router_, context_);
  });
}

}  // namespace afdg::server
