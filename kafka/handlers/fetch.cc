#include "kafka/messages/fetch.h"

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kafka/broker/fetches.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {
namespace {

struct Asked {
  std::string_view topic;
  Uuid topic_id;
  std::int32_t partition = 0;
  friend bool operator==(const Asked&, const Asked&) = default;
};
struct AskedHash {
  std::size_t operator()(const Asked& asked) const noexcept {
    const std::size_t topic = std::hash<std::string_view>()(asked.topic) ^ asked.topic_id.high ^
                              (asked.topic_id.low << 1 | asked.topic_id.low >> 63);
    return (topic + static_cast<std::uint32_t>(asked.partition)) * 0x9e3779b97f4a7c15u;
  }
};

/// Each partition once, where it was named first and with what was said of it last, as Kafka's broker does.
void merge_repeats(FetchRequest& request) {
  std::size_t partitions = 0;
  for (const auto& topic : request.topics) partitions += topic.partitions.size();
  if (partitions < 2) return;
  std::unordered_map<Asked, FetchRequest::Partition*, AskedHash> told;
  told.reserve(partitions);
  std::size_t topics = 0;
  for (FetchRequest::Topic& topic : request.topics) {
    std::size_t kept = 0;
    for (const FetchRequest::Partition& asked : topic.partitions) {
      FetchRequest::Partition* const place = &topic.partitions[kept];
      const auto [found, first] = told.try_emplace({topic.topic, topic.topic_id, asked.partition}, place);
      *found->second = asked;
      kept += first ? 1 : 0;
    }
    if (kept == 0 && !topic.partitions.empty()) continue;
    topic.partitions.resize(kept);  // in place: what was told stays where it is
    if (&request.topics[topics] != &topic) request.topics[topics] = std::move(topic);
    ++topics;
  }
  request.topics.resize(topics);
}

}  // namespace

void handlers::fetch(Broker& broker, const CallPtr& call) {
  FetchRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  // There are no fetch sessions (KIP-227): a client that asks for one gets id 0 and goes on without. One that
  // ends a session of before a restart is answered.
  constexpr std::int32_t kFinalEpoch = -1;
  if (request.session_id != 0 && request.session_epoch != kFinalEpoch) {
    FetchResponse response;
    response.error_code = ErrorCode::kFetchSessionIdNotFound;
    return call->reply(response);
  }
  const auto most = static_cast<std::size_t>(broker.options().request_partitions_max);
  if (request.topics.size() > most) {
    broker.counters().refused.add(Limit::kRequestPartitions);
    return call->hang_up("a fetch of " + std::to_string(request.topics.size()) + " topics, the limit is " +
                         std::to_string(most) +
                         ": fetch fewer at once, or raise kafka-request-partitions-max");
  }
  request.forgotten_topics_data = {};  // of sessions: not to be kept while it waits
  merge_repeats(request);
  call->when_first([&broker, call, kept = std::make_shared<FetchRequest>(std::move(request))] {
    broker.fetches().begin(call, std::move(*kept));
  });
}

}  // namespace afdg::kafka
