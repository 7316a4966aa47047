#include <algorithm>
#include <atomic>
#include <deque>
#include <map>

#include "afdg/v1/admin.pb.h"
#include "server/admin_service.h"
#include "server/convert.h"

namespace afdg::server {
namespace {

constexpr std::uint32_t kPageBytes = 256u << 10;
/// Between two looks at a partition that nobody watches for this node.
constexpr auto kTailPause = std::chrono::milliseconds(50);
/// How long one call waits at the end of another node's partition, and what is added for the way.
constexpr auto kReadWaitMax = std::chrono::milliseconds(5000);
constexpr auto kReadWay = std::chrono::milliseconds(4000);

/// A partition as the log knows it, and where it is.
struct Place {
  TopicPartition partition;
  std::string leader;  ///< address; empty: this node, or nobody
};
Place find_place(const Routes& routes, const std::string& topic, std::uint32_t partition) {
  Place place{{TopicId(0), PartitionIndex(static_cast<std::int32_t>(partition))}, {}};
  for (const auto& one : routes.topics) {
    if (one.name != topic) continue;
    place.partition.topic = one.id;
    v1::TopicInfo info;
    fill_topic(one, routes, info);
    if (partition >= static_cast<std::uint32_t>(info.partition_infos_size())) break;
    const NodeId leader(
        static_cast<std::int32_t>(info.partition_infos(static_cast<int>(partition)).leader()));
    const auto node = routes.nodes.find(leader);
    if (leader != routes.self && node != routes.nodes.end()) place.leader = node->second.address;
    break;
  }
  return place;
}

/// One consumer: reads page by page on workers, writes one at a time, and rests at the end. What is at its
/// end is not read again before somebody says that it changed.
class Consumer final : public RpcHandler, public TailReader, public std::enable_shared_from_this<Consumer> {
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
  void on_done() override {
    done_.store(true);
    leave();
  }
  void wake(TopicPartition partition) override {
    for (Position& one : positions_) {
      if (one.place.partition == partition) one.ready.store(true);
    }
    if (!parts_.serving()) return refuse();  // no worker may come to it any more
    go_on();
  }

 private:
  struct Position {
    std::uint32_t index;
    std::int64_t next = 0;
    std::int64_t until = -1;  ///< stop_at_end: the end when the call began
    bool by_time = false;     ///< what is before the time asked for is left out
    Place place;
    std::atomic<bool> ready{true};    ///< there may be more
    std::atomic<bool> asking{false};  ///< a call waits at its leader
  };
  enum class Doing : std::uint8_t { kWorking, kResting, kWoken };

  void refuse() {
    call_->finish(fail(Code::kUnavailable, "the server is starting or stopping: try again soon"));
  }
  void next() {
    if (!parts_.background->post([self = shared_from_this()] { self->step(); })) later();
  }
  void later() {
    parts_.background->after(kTailPause, [self = shared_from_this()] { self->step(); });
  }
  /// Ends a rest, or keeps one from beginning.
  void go_on() {
    if (doing_.exchange(Doing::kWoken) == Doing::kResting) next();
  }
  void wake_later(Position& position) {
    parts_.background->after(kTailPause, [self = shared_from_this(), &position] {
      position.ready.store(true);
      self->go_on();
    });
  }

  /// Asks to be told when there is more behind the end of the position.
  void wait(Position& position) {
    position.ready.store(false);
    if (!position.place.leader.empty()) return ask(position);
    switch (parts_.tails->wait(position.place.partition, Offset(position.next), shared_from_this())) {
      case Tails::Wait::kWaiting:
        if (done_.load()) leave();  // the call ended meanwhile
        return;
      case Tails::Wait::kMoved:
        position.ready.store(true);
        return;
      case Tails::Wait::kCannot:
        return wake_later(position);
    }
  }
  /// The same at another node: a call that it answers when there is more.
  void ask(Position& position) {
    if (position.asking.exchange(true)) return;
    v1::ReadCall read;
    read.set_topic(ask_.topic());
    read.set_partition(position.index);
    read.set_offset(position.next);
    read.set_wait_ms(static_cast<std::uint32_t>(kReadWaitMax.count()));
    parts_.peers->call(
        position.place.leader, "/afdg.v1.Admin/Read", read.SerializeAsString(), kReadWaitMax + kReadWay,
        [self = shared_from_this(), &position, from = position.next](const Result<std::string>& bytes) {
          v1::ReadAnswer answer;
          const bool same =
              bytes.ok() && answer.ParseFromString(*bytes) && answer.end() == from && answer.start() <= from;
          position.asking.store(false);
          // A leader that cannot wait answers at once: it is not asked in a circle.
          if (same) return self->wake_later(position);
          position.ready.store(true);
          self->go_on();
        });
  }
  void leave() {
    if (!begun_.load()) return;
    for (const Position& one : positions_)
      if (one.place.leader.empty()) parts_.tails->leave(one.place.partition, shared_from_this());
  }

  void step() {
    doing_.store(Doing::kWorking);
    if (done_.load()) return;
    if (!parts_.serving()) return refuse();
    if (const Status good = page(); !good.ok()) call_->finish(good);
  }
  void rest() {
    Doing doing = Doing::kWorking;
    if (!doing_.compare_exchange_strong(doing, Doing::kResting)) next();
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
    std::map<std::uint32_t, std::int64_t> starts;
    for (const auto& start : ask_.starts()) starts.insert_or_assign(start.partition(), start.offset());
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
      bool placed = false;
      v1::ReadAnswer at;
      if (const auto start = starts.find(partition); start != starts.end()) {
        v1::ReadCall there;
        there.set_topic(ask_.topic());
        there.set_partition(partition);
        there.set_offset(start->second);
        Result<v1::ReadAnswer> found = parts_.gather->read(there);
        if (!found.ok() && found.code() != Code::kOutOfRange) return found.error();
        placed = found.ok() && found->next() >= found->start();
        if (placed) at = *std::move(found);
      }
      if (!placed) {
        Result<v1::ReadAnswer> found = parts_.gather->read(read);
        if (found.code() == Code::kOutOfRange && partitions.size() > 1) {
          read.set_at_end(true);  // one offset for several partitions: shorter ones are read from their end
          found = parts_.gather->read(read);
        }
        if (!found.ok()) return found.error();
        at = *std::move(found);
        if (ask_.from() == v1::ConsumeCall::FROM_OFFSET && at.next() < at.start()) {
          return fail(Code::kOutOfRange, ask_.topic() + "[" + std::to_string(partition) + "] starts at " +
                                             std::to_string(at.start()) + ", and " +
                                             std::to_string(at.next()) +
                                             " was asked for: read from there on");
        }
      }
      Position& position = positions_.emplace_back();
      position.index = partition;
      position.next = at.next();
      position.until = ask_.stop_at_end() ? at.end() : -1;
      position.by_time = !placed && ask_.from() == v1::ConsumeCall::FROM_TIME;
      position.place = find_place(*parts_.board->get(), ask_.topic(), partition);
    }
    begun_.store(true);
    return {};
  }

  /// Reads until something can be written.
  Status page() {
    if (!begun_.load()) AFDG_TRY(begin());
    v1::ConsumedRecords out;
    for (std::size_t tried = 0; tried < positions_.size() && out.records().empty(); ++tried) {
      Position& position = positions_[turn_++ % positions_.size()];
      if (!position.ready.load() || (position.until >= 0 && position.next >= position.until)) continue;
      v1::ReadCall read;
      read.set_topic(ask_.topic());
      read.set_partition(position.index);
      read.set_offset(position.next);
      read.set_bytes_max(kPageBytes);
      AFDG_ASSIGN(v1::ReadAnswer page, parts_.gather->read(read));
      if (page.next() > position.next) position.next = page.next();
      if (page.start() > position.next) position.next = page.start();
      for (auto& record : *page.mutable_records()) {
        if (position.until >= 0 && record.offset() >= position.until) break;
        if (position.by_time && record.timestamp_unix_ms() < ask_.time_unix_ms()) continue;
        if (ask_.count_max() != 0 && sent_ >= ask_.count_max()) break;
        ++sent_;
        out.add_records()->Swap(&record);
      }
      if (position.until < 0 && position.next >= page.end()) wait(position);
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
    const bool more = std::any_of(positions_.begin(), positions_.end(),
                                  [](const Position& one) { return one.ready.load(); });
    if (more) {
      next();
    } else {
      rest();
    }
    return {};
  }

  const std::shared_ptr<RpcCall> call_;
  const AdminParts parts_;
  v1::ConsumeCall ask_;
  std::deque<Position> positions_;  ///< made in the first step; others touch the flags only
  std::size_t turn_ = 0;
  std::uint64_t sent_ = 0;
  std::atomic<bool> begun_{false};
  std::atomic<bool> done_{false};
  std::atomic<Doing> doing_{Doing::kWorking};
};

/// One Read: answers at once, or when the partition changes, or when its time is over.
class Reading final : public TailReader, public std::enable_shared_from_this<Reading> {
 public:
  Reading(const AdminParts& parts, v1::ReadCall call, RpcAnswer answer)
      : parts_(parts), call_(std::move(call)), answer_(std::move(answer)) {}
  void start() {
    if (!parts_.serving()) return refuse();
    if (!parts_.background->post([self = shared_from_this()] { self->read(); }))
      answer_(fail(Code::kOverloaded, "too many administrative calls wait: try again later"));
  }
  void wake(TopicPartition) override {
    if (!over_.exchange(true)) start();
  }

 private:
  void refuse() { answer_(fail(Code::kUnavailable, "the server is starting or stopping: try again soon")); }
  void read() {
    if (!parts_.serving()) return refuse();
    const Result<v1::ReadAnswer> found = parts_.gather->read(call_);
    if (!found.ok()) return answer_(found.error());
    const auto most = std::min(std::chrono::milliseconds(call_.wait_ms()), kReadWaitMax);
    if (most.count() > 0 && !over_.load() && found->records().empty() && found->next() == found->end() &&
        wait(Offset(found->end()), most))
      return;
    answer_(found->SerializeAsString());
  }
  /// False when it must answer now.
  bool wait(Offset end, std::chrono::milliseconds most) {
    const Place place = find_place(*parts_.board->get(), call_.topic(), call_.partition());
    if (!place.leader.empty()) return false;
    switch (parts_.tails->wait(place.partition, end, shared_from_this())) {
      case Tails::Wait::kWaiting:
        break;
      case Tails::Wait::kMoved:
        wake(place.partition);
        return true;
      case Tails::Wait::kCannot:
        return false;
    }
    parts_.background->after(most, [weak = weak_from_this(), partition = place.partition] {
      const auto self = weak.lock();
      if (!self) return;
      self->parts_.tails->leave(partition, self);
      self->wake(partition);
    });
    return true;
  }

  const AdminParts parts_;
  const v1::ReadCall call_;
  const RpcAnswer answer_;
  std::atomic<bool> over_{false};  ///< it does not wait, or not again
};

}  // namespace

RpcMethod consume_method(const AdminParts& parts) {
  return [parts](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
    return std::make_shared<Consumer>(std::move(call), parts);
  };
}

RpcMethod read_method(const AdminParts& parts) {
  return unary_method([parts](RpcBytes bytes, std::chrono::system_clock::time_point, RpcAnswer answer) {
    v1::ReadCall call;
    if (!call.ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size())))
      return answer(fail(Code::kUndecodable, "the call is no afdg.v1.ReadCall: check the client"));
    std::make_shared<Reading>(parts, std::move(call), std::move(answer))->start();
  });
}

}  // namespace afdg::server
