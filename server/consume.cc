#include <algorithm>
#include <condition_variable>
#include <limits>
#include <mutex>

#include "afdg/v1/admin.pb.h"
#include "log/batch.h"
#include "server/admin.h"

namespace afdg::server {
namespace {

using namespace std::chrono_literals;
constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::size_t kMessageBytes = 256u << 10;
constexpr auto kPauseMin = 5ms;
constexpr auto kPauseMax = 100ms;

struct Position {
  TopicPartition partition;
  Offset next;
  Offset end;  ///< when the call began
};

/// One consumer: a worker that reads and waits for each write, so memory is one message.
class Consumer final : public RpcHandler, public std::enable_shared_from_this<Consumer> {
 public:
  Consumer(std::shared_ptr<RpcCall> call, AdminContext& context) : rpc_(std::move(call)), context_(context) {}

  void on_message(RpcBytes bytes) override {
    if (std::exchange(begun_, true)) return;
    if (!call_.ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size())))
      return rpc_->finish(
          fail(Code::kUndecodable, "the request is no afdg.v1.ConsumeCall: check the client"));
    if (!context_.ready.load())
      return rpc_->finish(fail(Code::kUnavailable, "the server is starting or stopping: try again soon"));
    const bool taken = context_.workers.run([self = shared_from_this()] { self->rpc_->finish(self->run()); });
    if (!taken)
      rpc_->finish(
          fail(Code::kOverloaded, "too many consumers and administrative calls: end some, or try again"));
  }
  void on_read_end() override {
    if (!begun_) rpc_->finish(fail(Code::kUndecodable, "the call carried no message: send one"));
  }
  void on_written() override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    changed_.notify_all();
  }
  void on_done() override {
    const std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }

 private:
  Status run() {
    AFDG_TRY(place());
    auto pause = kPauseMin;
    for (;;) {
      bool moved = false, all_at_end = true;
      for (Position& position : positions_) {
        AFDG_TRY(read(position, moved));
        if (over_) return {};
        if (position.next < position.end) all_at_end = false;
      }
      if (call_.stop_at_end() && all_at_end) return {};
      if (moved) {
        pause = kPauseMin;
        continue;
      }
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, pause, [this] { return done_ || context_.stopping.load(); });
      if (done_ || context_.stopping.load()) return {};
      pause = std::min<std::chrono::milliseconds>(pause * 2, kPauseMax);
    }
  }

  Status place() {
    const auto routes = context_.host.board().get();
    const auto topic = std::find_if(routes->topics.begin(), routes->topics.end(),
                                    [&](const catalog::Topic& t) { return t.name == call_.topic(); });
    if (topic == routes->topics.end())
      return fail(Code::kNotFound, "no topic is named '" + call_.topic() + "': see topic list");
    name_ = topic->name;
    std::vector<std::uint32_t> wanted(call_.partitions().begin(), call_.partitions().end());
    const auto count = static_cast<std::uint32_t>(topic->partitions);
    if (wanted.empty()) {
      for (std::uint32_t i = 0; i < count; ++i) wanted.push_back(i);
    }
    for (const std::uint32_t index : wanted) {
      if (index >= count) {
        return fail(Code::kOutOfRange, "topic '" + name_ + "' has partitions 0 to " +
                                           std::to_string(count - 1) + ", not " + std::to_string(index) +
                                           ": name one of them");
      }
      const TopicPartition partition{topic->id, PartitionIndex(static_cast<std::int32_t>(index))};
      const auto known = context_.host.log().describe(partition);
      if (!known.ok()) {
        return fail(Code::kNotLeader,
                    "partition " + std::to_string(index) + " of topic '" + name_ +
                        "' is not on this node: ask the node that leads it, see topic describe");
      }
      Offset from = known->start;
      switch (call_.from()) {
        case v1::ConsumeCall::FROM_END:
          from = known->end;
          break;
        case v1::ConsumeCall::FROM_OFFSET:
          from = Offset(call_.offset());
          if (from < known->start || from > known->end) {
            return fail(Code::kOutOfRange, "partition " + std::to_string(index) + " of topic '" + name_ +
                                               "' has offsets " + std::to_string(known->start.value()) +
                                               " to " + std::to_string(known->end.value()) + ", not " +
                                               std::to_string(call_.offset()) + ": name one between them");
          }
          break;
        case v1::ConsumeCall::FROM_TIME:
          not_before_ = call_.time_unix_ms();
          break;
        default:
          break;
      }
      positions_.push_back({partition, from, known->end});
    }
    return {};
  }

  Status read(Position& position, bool& moved) {
    auto read = context_.host.log().read_batches(position.partition, position.next, kReadBytes);
    if (!read.ok()) return read.error();
    std::string_view left = read->bytes;
    v1::ConsumedRecords message;
    std::size_t size = 0;
    while (!left.empty()) {
      AFDG_ASSIGN(const log::BatchView batch, log::BatchView::parse(left));
      left.remove_prefix(batch.size());
      if (batch.control()) continue;
      log::RecordReader reader(batch);
      log::RecordView record;
      while (reader.next(record)) {
        if (record.offset < position.next || record.timestamp.time_since_epoch().count() < not_before_)
          continue;
        v1::ConsumedRecord* to = message.add_records();
        to->set_topic(name_);
        to->set_partition(static_cast<std::uint32_t>(position.partition.partition.value()));
        to->set_offset(record.offset.value());
        to->set_timestamp_unix_ms(record.timestamp.time_since_epoch().count());
        if (record.key) to->set_key(std::string(*record.key));
        if (record.value) to->set_value(std::string(*record.value));
        size += (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0) + 64;
        for (const log::Header& header : record.headers) {
          auto* copy = to->add_headers();
          copy->set_key(std::string(header.key));
          copy->set_value(std::string(header.value));
          size += header.key.size() + header.value.size();
        }
        if (call_.count_max() != 0 && ++sent_ >= call_.count_max()) {
          over_ = true;
          static_cast<void>(write(message));
          return {};
        }
        if (size >= kMessageBytes) {
          if (!write(message)) return {};
          message.Clear();
          size = 0;
        }
      }
      AFDG_TRY(reader.status());
    }
    if (message.records_size() > 0 && !write(message)) return {};
    moved = moved || read->next > position.next;
    position.next = std::max(position.next, read->next);
    return {};
  }

  /// Waits until it was written. False when the caller is gone or the server stops.
  bool write(const v1::ConsumedRecords& message) {
    {
      const std::lock_guard lock(mutex_);
      if (done_) {
        over_ = true;
        return false;
      }
      writing_ = true;
    }
    rpc_->write(message.SerializeAsString());
    std::unique_lock lock(mutex_);
    while (writing_ && !done_ && !context_.stopping.load()) changed_.wait_for(lock, 200ms);
    if (writing_ || done_) over_ = true;
    return !over_;
  }

  const std::shared_ptr<RpcCall> rpc_;
  AdminContext& context_;
  v1::ConsumeCall call_;
  bool begun_ = false;
  std::string name_;
  std::vector<Position> positions_;
  std::int64_t not_before_ = std::numeric_limits<std::int64_t>::min();
  std::uint64_t sent_ = 0;
  bool over_ = false;  ///< of the worker
  std::mutex mutex_;
  std::condition_variable changed_;
  bool writing_ = false, done_ = false;
};

}  // namespace

void add_consume(RpcServer& server, AdminContext& context) {
  server.add("/afdg.v1.Admin/Consume",
             [&context](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
               return std::make_shared<Consumer>(std::move(call), context);
             });
}

}  // namespace afdg::server
