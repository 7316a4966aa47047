#include "server/carrier.h"

#include <algorithm>

#include "afdg/v1/data.pb.h"

namespace afdg::server {
namespace {

constexpr auto kDeliverTimeout = std::chrono::milliseconds(5000);
constexpr std::size_t kDeliverBytesMax = 256u << 10;

/// Outcomes of one batch that went to a lane of this process.
class LocalMarks final : public CallSink {
 public:
  LocalMarks(region::Lanes& lanes, std::shared_ptr<region::Executor> from, RegionId target,
             std::uint64_t round)
      : lanes_(lanes), from_(std::move(from)), target_(target), round_(round) {}
  void outcome(const OutcomeView& outcome) override {
    const std::lock_guard lock(mutex_);
    if (outcome.code == Code::kOk) {
      taken_ = std::max(taken_, outcome.id);
    } else {
      refused_ = true;
    }
  }
  void flush() override {
    std::uint64_t taken = 0;
    bool refused = false;
    {
      const std::lock_guard lock(mutex_);
      taken = std::exchange(taken_, 0);
      refused = std::exchange(refused_, false);
    }
    if (taken == 0 && !refused) return;
    lanes_.post(from_->lane(), [from = from_, target = target_, round = round_, taken, refused] {
      if (taken != 0) from->delivered(target, taken);
      if (refused) from->refused(target, round);
    });
  }

 private:
  region::Lanes& lanes_;
  const std::shared_ptr<region::Executor> from_;
  const RegionId target_;
  const std::uint64_t round_;
  std::mutex mutex_;
  std::uint64_t taken_ = 0;
  bool refused_ = false;
};

}  // namespace

void NodeCarrier::carry(std::shared_ptr<region::Executor> from, RegionId target, std::uint64_t round,
                        std::vector<region::Parcel> parcels) {
  Batch batch{std::move(from), target, round, std::move(parcels)};
  const auto routes = board_.get();
  const GridRoutes* grid = routes->find(batch.from->grid_name());
  const auto index = static_cast<std::size_t>(target.value());
  if (grid == nullptr || index >= grid->regions.size()) return refuse(batch);
  const RegionRoute& route = grid->regions[index];
  if (route.local) return local(std::move(batch));
  const auto node = routes->nodes.find(route.leader);
  if (route.leader == routes->self || node == routes->nodes.end() || !node->second.alive)
    return refuse(batch);
  remote(route.leader, std::move(batch));
}

void NodeCarrier::refuse(const Batch& batch) {
  lanes_.post(batch.from->lane(), [from = batch.from, target = batch.target, round = batch.round] {
    from->refused(target, round);
  });
}

void NodeCarrier::local(Batch batch) {
  auto owner = std::make_shared<const Batch>(std::move(batch));
  std::vector<Router::Delivered> messages;
  messages.reserve(owner->parcels.size());
  for (const region::Parcel& parcel : owner->parcels) {
    messages.push_back({.grid = owner->from->grid_name(),
                        .region = owner->target,
                        .message = {.type = parcel.type,
                                    .key = parcel.key,
                                    .message = parcel.message,
                                    .payload = parcel.payload,
                                    .content = parcel.content,
                                    .want = region::Want::kReceipt,
                                    .identity = {.source_region = owner->from->region().value(),
                                                 .source_number = parcel.number}},
                        .id = parcel.number});
  }
  router_.deliver(messages, owner,
                  std::make_shared<LocalMarks>(lanes_, owner->from, owner->target, owner->round));
}

void NodeCarrier::remote(NodeId node, Batch batch) {
  std::deque<Batch> now;
  {
    const std::lock_guard lock(mutex_);
    Node& to = nodes_[node];
    to.waiting.push_back(std::move(batch));
    if (std::exchange(to.busy, true)) return;
    now.swap(to.waiting);
  }
  send(node, std::move(now));
}

void NodeCarrier::send(NodeId node, std::deque<Batch> batches) {
  // As much as one call takes; the rest goes back to the front, in order.
  v1::DeliverFrame frame;
  auto sent = std::make_shared<std::vector<Batch>>();
  std::size_t bytes = 0;
  std::size_t taken = 0;
  while (taken < batches.size() && bytes < kDeliverBytesMax) {
    Batch& batch = batches[taken++];
    for (region::Parcel& parcel : batch.parcels) {
      v1::Delivery& delivery = *frame.add_deliveries();
      delivery.set_grid(batch.from->grid_name());
      delivery.set_source_region(static_cast<std::uint32_t>(batch.from->region().value()));
      delivery.set_number(parcel.number);
      delivery.set_target_region(static_cast<std::uint32_t>(batch.target.value()));
      delivery.set_type(std::move(parcel.type));
      delivery.set_key(std::move(parcel.key));
      delivery.set_message(std::move(parcel.message));
      delivery.set_payload(std::move(parcel.payload));
      delivery.set_content(parcel.content == region::Content::kJson ? v1::CONTENT_JSON
                                                                    : v1::CONTENT_PROTOBUF);
      bytes += delivery.payload().size() + delivery.key().size() + 64;
    }
    sent->push_back(std::move(batch));
  }
  batches.erase(batches.begin(), batches.begin() + static_cast<std::ptrdiff_t>(taken));
  if (!batches.empty()) {
    const std::lock_guard lock(mutex_);
    auto& waiting = nodes_[node].waiting;
    waiting.insert(waiting.begin(), std::make_move_iterator(batches.begin()),
                   std::make_move_iterator(batches.end()));
  }
  const auto routes = board_.get();
  const auto to = routes->nodes.find(node);
  const std::string address = to == routes->nodes.end() ? std::string() : to->second.address;
  peers_.call(address, "/afdg.v1.Data/Deliver", frame.SerializeAsString(), kDeliverTimeout,
              [this, node, sent](Result<std::string> bytes_back) {
                v1::DeliverReply reply;
                const bool ok = bytes_back.ok() && reply.ParseFromString(*bytes_back);
                for (const Batch& batch : *sent) {
                  std::uint64_t number = 0;
                  bool refused = !ok;
                  for (const auto& mark : reply.marks()) {
                    if (mark.grid() != batch.from->grid_name() ||
                        mark.target_region() != static_cast<std::uint32_t>(batch.target.value()) ||
                        mark.source_region() != static_cast<std::uint32_t>(batch.from->region().value()))
                      continue;
                    number = std::max(number, mark.number());
                    refused = refused || mark.code() != 0;
                  }
                  lanes_.post(batch.from->lane(), [from = batch.from, target = batch.target,
                                                   round = batch.round, number, refused] {
                    if (number != 0) from->delivered(target, number);
                    if (refused) from->refused(target, round);
                  });
                }
                std::deque<Batch> next;
                {
                  const std::lock_guard lock(mutex_);
                  Node& again = nodes_[node];
                  next.swap(again.waiting);
                  if (next.empty()) again.busy = false;
                }
                if (!next.empty()) send(node, std::move(next));
              });
}

namespace {

/// Collects the marks of one Deliver call.
class DeliverCall final : public CallSink {
 public:
  explicit DeliverCall(RpcAnswer answer) : answer_(std::move(answer)) {}
  v1::DeliverFrame frame;
  void begin() { left_ = static_cast<std::uint64_t>(frame.deliveries_size()); }
  void outcome(const OutcomeView& outcome) override {
    const std::lock_guard lock(mutex_);
    const v1::Delivery& delivery = frame.deliveries(static_cast<int>(outcome.id));
    v1::DeliveredMark& mark = marks_[{delivery.grid(), {delivery.source_region(), delivery.target_region()}}];
    if (outcome.code == Code::kOk) {
      mark.set_number(std::max(mark.number(), delivery.number()));
    } else {
      mark.set_code(static_cast<std::uint32_t>(outcome.code));
    }
    --left_;
  }
  void flush() override {
    v1::DeliverReply reply;
    {
      const std::lock_guard lock(mutex_);
      if (left_ != 0 || std::exchange(answered_, true)) return;
      for (auto& [pair, mark] : marks_) {
        v1::DeliveredMark& out = *reply.add_marks();
        out = std::move(mark);
        out.set_grid(pair.first);
        out.set_source_region(pair.second.first);
        out.set_target_region(pair.second.second);
      }
    }
    answer_(reply.SerializeAsString());
  }

 private:
  RpcAnswer answer_;
  std::mutex mutex_;
  std::map<std::pair<std::string, std::pair<std::uint32_t, std::uint32_t>>, v1::DeliveredMark> marks_;
  std::uint64_t left_ = 0;
  bool answered_ = false;
};

}  // namespace

RpcMethod deliver_method(Router& router) {
  return unary_method([&router](RpcBytes bytes, std::chrono::system_clock::time_point, RpcAnswer answer) {
    auto call = std::make_shared<DeliverCall>(std::move(answer));
    if (!call->frame.ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size()))) {
      call->frame.Clear();
    }
    call->begin();
    std::vector<Router::Delivered> messages;
    for (int i = 0; i < call->frame.deliveries_size(); ++i) {
      const v1::Delivery& delivery = call->frame.deliveries(i);
      messages.push_back(
          {.grid = delivery.grid(),
           .region = RegionId(static_cast<std::int32_t>(delivery.target_region())),
           .message = {.type = delivery.type(),
                       .key = delivery.key(),
                       .message = delivery.message(),
                       .payload = delivery.payload(),
                       .content = delivery.content() == v1::CONTENT_JSON ? region::Content::kJson
                                                                         : region::Content::kProtobuf,
                       .want = region::Want::kReceipt,
                       .identity = {.source_region = static_cast<std::int32_t>(delivery.source_region()),
                                    .source_number = delivery.number()}},
           .id = static_cast<std::uint64_t>(i)});
    }
    router.deliver(messages, call, call);
    call->flush();  // an empty frame has nothing to wait for
  });
}

}  // namespace afdg::server
