#include "kafka/broker/fetches.h"

#include <algorithm>
#include <utility>

#include "kafka/broker/broker.h"

namespace afdg::kafka {
namespace {

/// Fewer bytes are read and joined with what is around them, which costs less than a sendfile of their own.
constexpr std::size_t kInFileBytesMin = 16u << 10;

}  // namespace

struct Fetches::Waiting {
  CallPtr call;
  FetchRequest request;
  struct Read {
    TopicPartition partition;
    Offset end;  ///< the committed end when it was read
  };
  std::vector<Read> reads;
  Monotonic deadline;
  std::uint64_t timer = 0;
};

Fetches::Fetches(Broker& broker) : broker_(broker) {
  auto watcher = broker_.log().watch([this](std::span<const TopicPartition> partitions) {
    broker_.later(
        [this, grown = std::vector<TopicPartition>(partitions.begin(), partitions.end())] { wake(grown); });
  });
  AFDG_ASSERT(watcher.ok(), "a log has room for its broker's watcher");
  watcher_ = std::move(*watcher);
}

Fetches::~Fetches() { stop(); }

void Fetches::stop() {
  watcher_.reset();
  for (auto& [waiting, owned] : all_) broker_.loop().cancel(waiting->timer);
  all_.clear();
  by_partition_.clear();
}

void Fetches::begin(const CallPtr& call, FetchRequest request) {
  const auto waiting = std::make_shared<Waiting>();
  waiting->call = call;
  waiting->request = std::move(request);
  const auto most = std::min<std::chrono::milliseconds>(
      std::chrono::milliseconds(waiting->request.max_wait_ms), broker_.options().fetch_wait_max);
  waiting->deadline = broker_.clock().monotonic() + most;
  std::size_t partitions = 0;
  for (const auto& topic : waiting->request.topics) partitions += topic.partitions.size();
  // Nothing is to come where nothing is asked for.
  if (answer(*waiting, most.count() <= 0 || partitions == 0)) return;
  call->hold(waiting->request.topics.size() * sizeof(FetchRequest::Topic) +
             partitions * (sizeof(FetchRequest::Partition) + sizeof(Waiting::Read)));
  wait(waiting);
}

bool Fetches::answer(Waiting& waiting, bool last) {
  const FetchRequest& request = waiting.request;
  const auto view = broker_.cluster().view();
  FetchResponse response;
  const std::uint64_t most = static_cast<std::uint64_t>(std::clamp<std::int64_t>(
      request.max_bytes, 0, static_cast<std::int64_t>(broker_.options().fetch_bytes_max)));
  // A client that does not read its answers gets small ones.
  std::uint64_t left = std::min(most, waiting.call->room());
  const bool cramped = left < most;
  const auto least = static_cast<std::uint64_t>(std::max(request.min_bytes, 0));
  std::uint64_t found = 0;
  bool failed = false;
  const bool by_id = waiting.call->version() >= 13;
  waiting.reads.clear();
  response.responses.reserve(request.topics.size());
  for (const auto& topic : request.topics) {
    auto& out = response.responses.emplace_back();
    out.topic = topic.topic;
    out.topic_id = topic.topic_id;
    const ClusterView::Topic* known = by_id ? find_topic(*view, topic.topic_id) : view->find(topic.topic);
    out.partitions.reserve(topic.partitions.size());
    for (const auto& wanted : topic.partitions) {
      auto& part = out.partitions.emplace_back();
      part.partition_index = wanted.partition;
      part.high_watermark = -1;
      const Place place = find_partition(*view, known, wanted.partition);
      part.error_code = by_id && known == nullptr ? ErrorCode::kUnknownTopicId : place.error;
      if (part.error_code == ErrorCode::kNone)
        part.error_code = check_epoch(wanted.current_leader_epoch, place.epoch);
      if (part.error_code != ErrorCode::kNone) {
        failed = true;
        continue;
      }
      const auto ends = broker_.log().ends(place.partition);
      if (!ends.ok()) {
        part.error_code = topic_read_error(ends.code());
        failed = true;
        continue;
      }
      waiting.reads.push_back({place.partition, ends->end});
      part.high_watermark = ends->end.value();
      part.last_stable_offset = ends->end.value();
      part.log_start_offset = ends->start.value();
      const Offset from(wanted.fetch_offset);
      if (from < ends->start || from > ends->end) {
        part.error_code = ErrorCode::kOffsetOutOfRange;
        failed = true;
        continue;
      }
      if (from == ends->end || (left == 0 && found != 0)) continue;
      const std::uint64_t bytes_max =
          std::min<std::uint64_t>(left, static_cast<std::uint64_t>(std::max(wanted.partition_max_bytes, 0)));
      auto batches = broker_.log().read_portion(place.partition, from, static_cast<std::size_t>(bytes_max),
                                                kInFileBytesMin);
      if (!batches.ok()) {
        part.error_code = topic_read_error(batches.code());
        failed = true;
        continue;
      }
      // The log stops where its segments end and its memory begins: go on if the client waits for more.
      while (batches->range.size == 0 && found + batches->bytes.size() < least && batches->next < ends->end &&
             batches->bytes.size() < bytes_max) {
        const std::size_t room = static_cast<std::size_t>(bytes_max) - batches->bytes.size();
        const auto more = broker_.log().read_batches(place.partition, batches->next, room);
        if (!more.ok() || more->bytes.empty() || more->bytes.size() > room) break;
        batches->bytes += more->bytes;
        batches->next = more->next;
      }
      // KIP-74: the first batch of an answer comes even above the limits; no other.
      const std::uint64_t size = batches->size();
      if (found != 0 && size > bytes_max) continue;
      found += size;
      left -= std::min<std::uint64_t>(left, size);
      if (batches->range.size != 0) {
        part.records = Records::external(waiting.call->keep(std::move(batches->range)), size);
      } else {
        part.records = waiting.call->keep(std::move(batches->bytes));
      }
    }
  }
  const bool enough = found >= least || (cramped && found != 0);
  if (!enough && !failed && !last) {
    waiting.call->drop_kept();
    return false;
  }
  broker_.counters().fetched_bytes.fetch_add(found, std::memory_order_relaxed);
  waiting.call->reply(response);
  return true;
}

bool Fetches::arm(Waiting& waiting) {
  for (const auto& read : waiting.reads) {
    const auto armed = watcher_->arm(read.partition, read.end);
    if (!armed.ok() || *armed == log::Log::Watcher::Armed::kMoved) return false;
  }
  return true;
}

void Fetches::wait(const std::shared_ptr<Waiting>& waiting) {
  Waiting* const key = waiting.get();
  all_.emplace(key, waiting);
  for (const auto& read : waiting->reads) by_partition_[read.partition].insert(key);
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(waiting->deadline - broker_.clock().monotonic());
  waiting->timer = broker_.loop().after(std::max(left, std::chrono::milliseconds(0)), [this, key] {
    const auto found = all_.find(key);
    if (found == all_.end()) return;
    const auto due = found->second;
    forget(*due);
    answer(*due, true);
  });
  waiting->call->when_abandoned([this, key] {
    if (const auto found = all_.find(key); found != all_.end()) {
      const auto gone = found->second;
      forget(*gone);
    }
  });
  broker_.counters().fetches_waiting.store(all_.size(), std::memory_order_relaxed);
  if (!arm(*waiting)) {
    broker_.later([this, reads = waiting->reads] {
      std::vector<TopicPartition> grown;
      for (const auto& read : reads) grown.push_back(read.partition);
      wake(grown);
    });
  }
}

void Fetches::wake(std::span<const TopicPartition> partitions) {
  std::vector<std::shared_ptr<Waiting>> woken;
  for (const TopicPartition& partition : partitions) {
    const auto found = by_partition_.find(partition);
    if (found == by_partition_.end()) continue;
    for (Waiting* waiting : found->second)
      if (const auto owned = all_.find(waiting); owned != all_.end()) woken.push_back(owned->second);
  }
  for (const auto& waiting : woken) {
    if (!all_.contains(waiting.get())) continue;  // two of its partitions grew
    forget(*waiting);
    if (!answer(*waiting, false)) wait(waiting);
  }
}

void Fetches::forget(Waiting& waiting) {
  broker_.loop().cancel(waiting.timer);
  for (const auto& read : waiting.reads) {
    const auto found = by_partition_.find(read.partition);
    if (found == by_partition_.end()) continue;
    found->second.erase(&waiting);
    if (found->second.empty()) by_partition_.erase(found);
  }
  all_.erase(&waiting);
  broker_.counters().fetches_waiting.store(all_.size(), std::memory_order_relaxed);
}

}  // namespace afdg::kafka
