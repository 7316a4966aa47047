#include "server/stream.h"

#include <deque>
#include <mutex>

namespace afdg::server {
namespace {

class Stream final : public CallSink, public RpcHandler, public std::enable_shared_from_this<Stream> {
 public:
  Stream(std::shared_ptr<RpcCall> call, Router& router, StreamCounters& counters, StreamLimits limits)
      : call_(std::move(call)), router_(router), counters_(counters), limits_(limits) {
    counters_.streams.fetch_add(1, std::memory_order_relaxed);
  }

  // RpcHandler, on the queue's thread.
  void on_message(RpcBytes message) override {
    counters_.frames_read.fetch_add(1, std::memory_order_relaxed);
    thread_local FrameView frame;
    if (!parse_call_frame(message.view, frame)) {
      call_->finish(fail(Code::kUndecodable, "a frame of " + std::to_string(message.view.size()) +
                                                 " bytes is no afdg.v1.CallFrame: check the client"));
      return;
    }
    count_deadlines_from(frame, SystemClock().deadline_time());
    {
      const std::lock_guard lock(mutex_);
      calls_ += static_cast<std::uint32_t>(frame.calls.size());
    }
    router_.dispatch(frame, message.owner, shared_from_this());
    {
      const std::lock_guard lock(mutex_);
      if (!room()) {
        paused_ = true;
        return;
      }
    }
    call_->read();
  }
  void on_read_end() override {
    bool end = false;
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      end = idle();
    }
    if (end) call_->finish({});
  }
  void on_written() override {
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
    }
    flush();
  }
  void on_done() override {
    const std::lock_guard lock(mutex_);
    done_ = true;
    chunks_.clear();
    pending_bytes_ = 0;
    counters_.streams.fetch_sub(1, std::memory_order_relaxed);
  }

  // CallSink, from anywhere.
  void take(const region::ReplyBatch& batch, std::span<const region::ReplyBatch::Entry> entries) override {
    const std::lock_guard lock(mutex_);
    for (const auto& entry : entries) append(outcome_of(batch, entry));
  }
  void outcome(const OutcomeView& outcome) override {
    const std::lock_guard lock(mutex_);
    append(outcome);
  }
  void learned(const RouteView& route) override {
    const std::lock_guard lock(mutex_);
    if (done_) return;
    for (const auto& [grid, region] : told_) {
      if (region == route.region && grid == route.grid) return;
    }
    if (told_.size() < kRoutesTold) told_.emplace_back(route.grid, route.region);
    chunk();
    append_route(chunks_.back().bytes, route);
  }
  void flush() override {
    std::string bytes;
    std::uint64_t messages = 0;
    bool resume = false, end = false;
    {
      const std::lock_guard lock(mutex_);
      if (done_) return;
      if (!writing_ && !chunks_.empty()) {
        writing_ = true;
        bytes = std::move(chunks_.front().bytes);
        messages = chunks_.front().outcomes;
        pending_bytes_ -= bytes.size();
        chunks_.pop_front();
        if (chunks_.empty()) told_.clear();
      }
      if (paused_ && room()) {
        paused_ = false;
        resume = true;
      }
      end = ended_ && idle();
    }
    if (!bytes.empty()) {
      counters_.reply_writes.fetch_add(1, std::memory_order_relaxed);
      counters_.reply_messages.fetch_add(messages, std::memory_order_relaxed);
      call_->write(std::move(bytes));
    }
    if (resume) call_->read();
    if (end) call_->finish({});
  }

 private:
  static constexpr std::size_t kRoutesTold = 256;
  struct Chunk {
    std::string bytes;
    std::uint64_t outcomes = 0;
  };
  [[nodiscard]] bool room() const {
    return pending_bytes_ < limits_.outstanding_bytes_max && calls_ < limits_.outstanding_calls_max;
  }
  [[nodiscard]] bool idle() const { return calls_ == 0 && chunks_.empty() && !writing_; }
  void chunk() {
    if (chunks_.empty() || chunks_.back().bytes.size() >= limits_.frame_bytes_max) chunks_.emplace_back();
  }
  void append(const OutcomeView& outcome) {
    --calls_;
    if (done_) return;
    if (!chunks_.empty() && chunks_.back().bytes.size() + outcome.text.size() > limits_.frame_bytes_max)
      chunks_.emplace_back();
    chunk();
    Chunk& to = chunks_.back();
    const std::size_t before = to.bytes.size();
    append_outcome(to.bytes, outcome);
    ++to.outcomes;
    pending_bytes_ += to.bytes.size() - before;
  }

  const std::shared_ptr<RpcCall> call_;
  Router& router_;
  StreamCounters& counters_;
  const StreamLimits limits_;
  std::mutex mutex_;
  std::deque<Chunk> chunks_;
  std::vector<std::pair<std::string, std::uint32_t>> told_;  // routes in the chunks that wait
  std::size_t pending_bytes_ = 0;
  std::uint32_t calls_ = 0;
  bool writing_ = false, paused_ = false, ended_ = false, done_ = false;
};

}  // namespace

RpcMethod stream_method(Router& router, StreamCounters& counters, StreamLimits limits) {
  return [&router, &counters, limits](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
    return std::make_shared<Stream>(std::move(call), router, counters, limits);
  };
}

}  // namespace afdg::server
