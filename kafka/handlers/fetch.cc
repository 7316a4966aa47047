#include "kafka/messages/fetch.h"

#include <memory>
#include <string>
#include <utility>

#include "kafka/broker/fetches.h"
#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

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
  call->when_first([&broker, call, kept = std::make_shared<FetchRequest>(std::move(request))] {
    broker.fetches().begin(call, std::move(*kept));
  });
}

}  // namespace afdg::kafka
