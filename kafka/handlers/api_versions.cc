#include "kafka/api_versions.h"

#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::api_versions(Broker& broker, const CallPtr& call) {
  static_cast<void>(broker);
  const auto answer =
      answer_api_versions(call->request(), [](Key key) { return handler_of(key) != nullptr; });
  if (!answer.ok()) return call->hang_up(answer.error().text());
  call->reply(*answer);
}

}  // namespace afdg::kafka
