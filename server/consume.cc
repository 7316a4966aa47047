#include <algorithm>
#include <atomic>

#include "afdg/v1/admin.pb.h"
#include "server/admin_service.h"
#include "server/convert.h"

namespace afdg::server {
namespace {

constexpr std::uint32_t kPageBytes = 256u << 10;
constexpr auto kTailPause = std::chrono::milliseconds(50);

/// One consumer: reads page by page on workers, writes one at a time, rests at the end.
class Consumer final : public RpcHandler, public std::enable_shared_from_this<Consumer> {
 public:
  Consumer(std::shared_ptr<RpcCall> call, const AdminParts& parts) : call_(std::move(call)), parts_(parts) {}
  void on_message(RpcBytes bytes) override {
    if (!ask_.ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size()))) {
      call_->finish(fail(Code::kUndecodable, "the call is no afdg.v1.ConsumeCall: check the client"));
      return;
    }
    next();
  }
  void on_written() override { next(); }
  void on_done() override { done_.store(true); }

 private:
  struct Position {
    std::uint32_t partition;
    std::int64_t next = 0;
    std::int64_t until = -1;  ///< stop_at_end: the end when the call began
  };

  void next() {
    if (!parts_.background->post([self = shared_from_this()] { self->step(); })) later();
  }
  void later() {
    parts_.background->after(kTailPause, [self = shared_from_this()] { self->step(); });
  }

  void step() {
    if (done_.load()) return;
    if (!parts_.serving())
      return call_->finish(fail(Code::kUnavailable, "the server is starting or stopping: try again soon"));
    if (const Status good = page(); !good.ok()) call_->finish(good);
  }

  Status begin() {
    v1::TopicsCall ask;
    ask.set_name(ask_.topic());
    ask.set_local_only(true);
    AFDG_ASSIGN(const v1::TopicList topics, parts_.gather->topics(ask));
    const auto count = static_cast<std::uint32_t>(topics.topics(0).partition_infos_size());
    std::vector<std::uint32_t> partitions(ask_.partitions().begin(), ask_.partitions().end());
    if (partitions.empty()) {
      for (std::uint32_t i = 0; i < count; ++i) partitions.push_back(i);
    }
    for (const std::uint32_t partition : partitions) {
      v1::ReadCall read;
      read.set_topic(ask_.topic());
      read.set_partition(partition);
      read.set_at_start(ask_.from() != v1::ConsumeCall::FROM_END &&
                        ask_.from() != v1::ConsumeCall::FROM_OFFSET);
      read.set_at_end(ask_.from() == v1::ConsumeCall::FROM_END);
      if (ask_.from() == v1::ConsumeCall::FROM_OFFSET) read.set_offset(ask_.offset());
      if (ask_.from() == v1::ConsumeCall::FROM_TIME) {
        read.set_at_time(true);
        read.set_time_unix_ms(ask_.time_unix_ms());
      }
      Result<v1::ReadAnswer> found = parts_.gather->read(read);
      if (found.code() == Code::kOutOfRange && partitions.size() > 1) {
        read.set_at_end(true);  // one offset for several partitions: shorter ones are read from their end
        found = parts_.gather->read(read);
      }
      if (!found.ok()) return found.error();
      const v1::ReadAnswer& at = *found;
      Position position{partition, at.next(), ask_.stop_at_end() ? at.end() : -1};
      if (ask_.from() == v1::ConsumeCall::FROM_OFFSET && at.next() < at.start()) {
        return fail(Code::kOutOfRange, ask_.topic() + "[" + std::to_string(partition) + "] starts at " +
                                           std::to_string(at.start()) + ", and " + std::to_string(at.next()) +
                                           " was asked for: read from there on");
      }
      positions_.push_back(position);
    }
    begun_ = true;
    return {};
  }

  /// Reads until something can be written.
  Status page() {
    if (!begun_) AFDG_TRY(begin());
    v1::ConsumedRecords out;
    std::size_t at_end = 0;
    for (std::size_t tried = 0; tried < positions_.size() && out.records().empty(); ++tried) {
      Position& position = positions_[turn_++ % positions_.size()];
      if (position.until >= 0 && position.next >= position.until) {
        ++at_end;
        continue;
      }
      v1::ReadCall read;
      read.set_topic(ask_.topic());
      read.set_partition(position.partition);
      read.set_offset(position.next);
      read.set_bytes_max(kPageBytes);
      AFDG_ASSIGN(v1::ReadAnswer page, parts_.gather->read(read));
      if (page.next() > position.next) position.next = page.next();
      if (page.start() > position.next) position.next = page.start();
      for (auto& record : *page.mutable_records()) {
        if (position.until >= 0 && record.offset() >= position.until) break;
        if (ask_.from() == v1::ConsumeCall::FROM_TIME && record.timestamp_unix_ms() < ask_.time_unix_ms())
          continue;
        if (ask_.count_max() != 0 && sent_ >= ask_.count_max()) break;
        ++sent_;
        out.add_records()->Swap(&record);
      }
    }
    if (!out.records().empty()) {
      if (ask_.count_max() != 0 && sent_ >= ask_.count_max()) {
        call_->finish_with(out.SerializeAsString());
      } else {
        call_->write(out.SerializeAsString());
      }
      return {};
    }
    if (ask_.stop_at_end()) {
      const bool over = std::all_of(positions_.begin(), positions_.end(),
                                    [](const Position& one) { return one.next >= one.until; });
      if (over) {
        call_->finish({});
        return {};
      }
      next();  // pages whose records were all before the time asked for
      return {};
    }
    later();
    return {};
  }

  const std::shared_ptr<RpcCall> call_;
  const AdminParts parts_;
  v1::ConsumeCall ask_;
  std::vector<Position> positions_;
  std::size_t turn_ = 0;
  std::uint64_t sent_ = 0;
  bool begun_ = false;
  std::atomic<bool> done_{false};
};

}  // namespace

RpcMethod consume_method(const AdminParts& parts) {
  return [parts](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
    return std::make_shared<Consumer>(std::move(call), parts);
  };
}

}  // namespace afdg::server
