#include "kafka/broker/broker.h"

#include <utility>

#include "kafka/broker/fetches.h"
#include "kafka/broker/groups.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

Broker::Broker(Parts parts, BrokerOptions options)
    : parts_(std::move(parts)),
      options_(options),
      fetches_(std::make_unique<Fetches>(*this)),
      groups_(std::make_unique<Groups>(*this)),
      inbox_(std::make_shared<Inbox>()) {
  inbox_->broker = this;
}

Broker::~Broker() { stop(); }

void Broker::stop() {
  if (std::exchange(stopped_, true)) return;
  fetches_->stop();
  groups_->stop();
  const std::lock_guard lock(inbox_->mutex);
  inbox_->broker = nullptr;
  inbox_->tasks.clear();
}

void Broker::handle(const CallPtr& call) {
  counters_.requests.fetch_add(1, std::memory_order_relaxed);
  const Handler handler = handler_of(call->request().api->key);
  if (handler == nullptr)
    return call->hang_up("a request of the API " + std::string(call->request().api->name) +
                         ", which is not served");
  handler(*this, call);
}

void Broker::later(std::function<void()> task) {
  // The caller may be the log in the middle of a commit: the task runs when that is over.
  const auto inbox = inbox_;
  const std::lock_guard lock(inbox->mutex);
  if (inbox->broker == nullptr) return;
  inbox->tasks.push_back(std::move(task));
  if (inbox->posted || parts_.loop->here()) return;  // the loop's own tasks: busy() tells of them
  inbox->posted = true;
  parts_.loop->post([inbox] {
    if (inbox->broker != nullptr) inbox->broker->run();
  });
}

void Broker::run() {
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(inbox_->mutex);
    inbox_->posted = false;
    tasks.swap(inbox_->tasks);
  }
  for (const auto& task : tasks) task();
}

void Broker::round_end() {
  for (int i = 0; i < 4 && (i == 0 || busy()); ++i) {
    if (std::exchange(appended_, false)) parts_.log->lead();
    run();
  }
}

bool Broker::busy() const {
  if (appended_) return true;
  const std::lock_guard lock(inbox_->mutex);
  return !inbox_->tasks.empty();
}

void Broker::report(std::string_view host, std::string_view why) {
  if (parts_.report) parts_.report(host, why);
}

void Broker::bad_request(std::string_view host, const std::string& why) {
  counters_.bad_requests.fetch_add(1, std::memory_order_relaxed);
  // A kind is what is said, whatever its numbers. There are few, unless somebody finds ever new ones.
  std::string kind;
  for (const char c : why)
    if ((c < '0' || c > '9') && c != '-') kind += c;
  if (bad_kinds_.size() >= kBadKindsMax && !bad_kinds_.contains(kind)) kind.clear();
  report_seldom(bad_kinds_[kind], host, why);
}

void Broker::refused(Limit limit, std::string_view host, const std::string& why) {
  counters_.refused.add(limit);
  report_seldom(told_[static_cast<std::size_t>(limit)], host, why);
}

void Broker::report_seldom(Told& told, std::string_view host, const std::string& why) {
  const Monotonic now = clock().monotonic();
  if (told.at && now - *told.at < std::chrono::seconds(1)) {
    ++told.silent;
    return;
  }
  told.at = now;
  const std::uint64_t silent = std::exchange(told.silent, 0);
  report(host, silent == 0 ? why : why + " (" + std::to_string(silent) + " more since the last such line)");
}

Uuid topic_uuid(const ClusterView& view, TopicId topic) noexcept { return {view.cluster | 1, topic.value()}; }

const ClusterView::Topic* find_topic(const ClusterView& view, const Uuid& id) noexcept {
  return id.high == topic_uuid(view, TopicId(0)).high ? view.find(TopicId(id.low)) : nullptr;
}

Place find_partition(const ClusterView& view, const ClusterView::Topic* topic, std::int32_t partition) {
  Place place;
  place.topic = topic;
  if (place.topic == nullptr || partition < 0 ||
      static_cast<std::size_t>(partition) >= place.topic->partitions.size()) {
    place.error = ErrorCode::kUnknownTopicOrPartition;
    return place;
  }
  const auto& led = place.topic->partitions[static_cast<std::size_t>(partition)];
  place.partition = {place.topic->id, PartitionIndex(partition)};
  place.epoch = led.epoch;
  if (led.leader != view.self) place.error = ErrorCode::kNotLeaderOrFollower;
  return place;
}

ErrorCode topic_read_error(Code code) noexcept {
  switch (code) {
    case Code::kNotFound:
      return ErrorCode::kUnknownTopicOrPartition;
    case Code::kCorrupt:
      return ErrorCode::kKafkaStorageError;
    default:
      return error_code(code);
  }
}

ErrorCode check_epoch(std::int32_t believed, Epoch epoch) noexcept {
  if (believed < 0 || believed == epoch.value()) return ErrorCode::kNone;
  return believed < epoch.value() ? ErrorCode::kFencedLeaderEpoch : ErrorCode::kUnknownLeaderEpoch;
}

}  // namespace afdg::kafka
