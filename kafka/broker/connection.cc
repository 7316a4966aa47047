#include "kafka/broker/connection.h"

#include <algorithm>
#include <utility>

#include "kafka/broker/broker.h"

namespace afdg::kafka {

void Call::finish() {
  AFDG_ASSERT(!finished_, "a request is answered once");
  finished_ = true;
  if (const auto connection = connection_.lock()) connection->finished(*this);
}

RefusedBatches* Call::refused_batches() const noexcept {
  const auto connection = connection_.lock();
  return connection ? &connection->refused_batches_ : nullptr;  // it lives as long as the loop's present task
}

std::uint64_t Call::room() const noexcept {
  const auto connection = connection_.lock();
  if (!connection) return 0;
  const auto left = [](std::uint64_t most, std::uint64_t held) { return held < most ? most - held : 0; };
  Broker& broker = connection->broker_;
  return std::min(left(broker.options().connection_bytes_max, connection->bytes_),
                  left(broker.options().held_bytes_max, broker.counters().bytes.load()));
}

void Call::hold(std::uint64_t bytes) {
  const auto connection = connection_.lock();
  if (!connection) return;
  held_ += bytes;
  connection->bytes_ += bytes;
  connection->broker_.counters().bytes += bytes;
}

void Call::when_first(std::function<void()> task) {
  const auto connection = connection_.lock();
  if (!connection) return;
  if (connection->calls_.front().get() == this) return task();
  first_ = std::move(task);
}

void Call::hang_up(std::string why) {
  hang_up_ = true;
  if (const auto connection = connection_.lock()) connection->broker_.bad_request(connection->host(), why);
  finish();
}

Connection::Connection(Broker& broker, std::string host, std::function<void()> ready)
    : broker_(broker), host_(std::move(host)), ready_(std::move(ready)) {
  ++broker_.counters().connections;
}

Connection::~Connection() {
  for (const CallPtr& call : calls_) {
    call->first_ = nullptr;  // it may own the call
    if (!call->finished_ && call->abandoned_) call->abandoned_();
  }
  --broker_.counters().connections;
  broker_.counters().in_flight -= calls_.size();
  broker_.counters().bytes -= bytes_;
}

void Connection::receive(ByteBuffer frame) {
  if (hang_up_) return;
  auto call = std::make_shared<Call>(weak_from_this(), std::move(frame));
  call->host_ = host_;
  bytes_ += call->frame_->size() + kCallBytes;
  broker_.counters().bytes += call->frame_->size() + kCallBytes;
  ++broker_.counters().in_flight;
  calls_.push_back(call);
  Result<Request> parsed = parse_request(call->frame_->view());
  if (!parsed.ok()) return call->hang_up(parsed.error().text());
  produces_ = parsed->api->key == Key::kProduce;
  call->request_ = *parsed;
  broker_.handle(call);
}

std::optional<Limit> Connection::full_by() const noexcept {
  if (calls_.size() >= broker_.options().connection_requests_max) return Limit::kConnectionRequests;
  if (bytes_ >= broker_.options().connection_bytes_max) return Limit::kConnectionBytes;
  if (produces_ && broker_.log().crowded()) return Limit::kLogBytes;
  return std::nullopt;
}

void Connection::finished(Call& call) {
  bytes_ += call.out_.size();
  broker_.counters().bytes += call.out_.size();
  skip_silent();
  if (over() || front() != nullptr) ready_();
}

Writer* Connection::front() noexcept {
  return calls_.empty() || !calls_.front()->finished_ ? nullptr : &calls_.front()->out_;
}

const log::FileRange& Connection::front_file(std::uint32_t source) const {
  return calls_.front()->files_.at(source);
}

void Connection::pop() {
  Call& call = *calls_.front();
  const std::uint64_t held = call.frame_->size() + kCallBytes + call.out_.size() + call.held_;
  bytes_ -= held;
  broker_.counters().bytes -= held;
  if (call.hang_up_) {
    hang_up_ = true;
    for (const CallPtr& dropped : calls_) dropped->first_ = nullptr;
    broker_.counters().in_flight -= calls_.size();
    calls_.clear();
    return;
  }
  calls_.pop_front();
  --broker_.counters().in_flight;
  skip_silent();
  run_first();
}

void Connection::run_first() {
  if (calls_.empty() || !calls_.front()->first_) return;
  const auto task = std::exchange(calls_.front()->first_, nullptr);
  task();
}

void Connection::skip_silent() {
  while (!calls_.empty() && calls_.front()->finished_ && calls_.front()->out_.size() == 0) pop();
}

}  // namespace afdg::kafka
