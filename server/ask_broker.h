#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"

namespace afdg::kafka {
class Broker;
}

namespace afdg::server {

/// Runs a task on the loop of the Kafka endpoint; false when there is none (any more).
using OnBroker = std::function<bool(std::function<void(kafka::Broker&)>)>;

/// Asks on the endpoint's loop and waits for what `answer` is called with, there or later.
/// Thread-safety: any thread but the loop's. Errors: kUnavailable (no endpoint, or it stops),
/// kDeadlineExceeded after `within`.
template <typename T>
Result<T> ask_broker(const OnBroker& on_broker,
                     std::function<void(kafka::Broker&, std::function<void(T)> answer)> ask,
                     std::chrono::milliseconds within) {
  auto promise = std::make_shared<std::promise<T>>();
  auto answered = promise->get_future();
  // Nobody else holds the promise: an endpoint that stops drops the task, and the wait ends with it.
  const bool asked = on_broker([ask = std::move(ask), promise = std::move(promise)](kafka::Broker& broker) {
    ask(broker, [promise](T told) { promise->set_value(std::move(told)); });
  });
  if (!asked) return fail(Code::kUnavailable, "this node serves no Kafka clients (any more): try again");
  if (answered.wait_for(within) != std::future_status::ready)
    return fail(Code::kDeadlineExceeded, "the Kafka endpoint did not answer within " +
                                             std::to_string(within.count()) + " ms: try again");
  try {
    return answered.get();
  } catch (const std::future_error&) {
    return fail(Code::kUnavailable, "the server is stopping: try again soon");
  }
}

}  // namespace afdg::server
