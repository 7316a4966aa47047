#include "server/router.h"

#include "base/codec.h"

namespace afdg::server {

OutcomeView outcome_of(const region::ReplyBatch& batch, const region::ReplyBatch::Entry& entry) {
  const region::Ticket& ticket = region::ticket_of(entry);
  return {.id = ticket.id,
          .region = ticket.region,
          .code = entry.code,
          .content = entry.content,
          .repeated = entry.repeated,
          .offset = entry.offset.value(),
          .text = batch.text(entry)};
}

void CallSink::take(const region::ReplyBatch& batch, std::span<const region::ReplyBatch::Entry> entries) {
  for (const auto& entry : entries) outcome(outcome_of(batch, entry));
}

std::string unknown_grid(const Routes& routes, std::string_view grid) {
  std::string names;
  for (const auto& [name, of] : routes.grids) names += (names.empty() ? "" : ", ") + name;
  return "no grid is named '" + std::string(grid.substr(0, 200)) + "': " +
         (names.empty() ? "there is none yet; create it with 'afdg grid create'" : "there are " + names);
}

struct Router::Scratch {
  struct Lane {
    std::vector<region::LaneCall> calls;
    std::vector<std::uint32_t> slots;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> ids;  // and region
    std::uint64_t bytes = 0;
  };
  std::vector<Lane> lanes;
  std::map<NodeId, std::vector<CallView>> remote;
};

void Router::dispatch(const FrameView& frame, const std::shared_ptr<const void>& bytes,
                      const std::shared_ptr<CallSink>& sink) {
  const std::shared_ptr<const Routes> routes = board_.get();
  bool refused = false;
  const auto refuse = [&](const CallView& call, std::uint32_t region, Code code, std::string_view text) {
    sink->outcome({.id = call.id, .region = region, .code = code, .offset = -1, .text = text});
    refused = true;
  };
  if (!serving_.load(std::memory_order_acquire)) {
    for (const CallView& call : frame.calls)
      refuse(call, call.region, Code::kUnavailable, why_ + ": try again soon");
    sink->flush();
    return;
  }
  const GridRoutes* grid = routes->find(frame.grid);
  if (grid == nullptr) {
    const std::string text = unknown_grid(*routes, frame.grid);
    for (const CallView& call : frame.calls) refuse(call, call.region, Code::kUnknownGrid, text);
    sink->flush();
    return;
  }

  thread_local Scratch scratch;
  scratch.lanes.resize(lanes_.size());
  std::string_view hosted;
  std::uint64_t in_flight = admission_->bytes.load(std::memory_order_relaxed);
  for (const CallView& call : frame.calls) {
    if (call.key.empty()) {
      refuse(call, call.region, Code::kInvalidArgument, "an agent key is empty: use 1 to 1024 bytes");
      continue;
    }
    const std::uint32_t hash = murmur2(call.key);
    const auto index =
        static_cast<std::uint32_t>((hash & 0x7fffffffU) % static_cast<std::uint32_t>(grid->grid.regions));
    if (call.region != index) {
      refuse(call, index, Code::kNotLeader,
             "the key belongs to region " + std::to_string(index) + " of grid '" + grid->grid.name +
                 "', not to region " + std::to_string(call.region) + ": refresh the routes");
      continue;
    }
    if (call.type != hosted) {
      if (!grid->hosts(call.type)) {
        refuse(call, index, Code::kUnknownType,
               "grid '" + grid->grid.name + "' hosts no agent type '" +
                   std::string(call.type.substr(0, 200)) + "': 'afdg grid describe " + grid->grid.name +
                   "' lists its types");
        continue;
      }
      hosted = call.type;
    }
    const RegionRoute& route = grid->regions[index];
    const std::size_t size = call.payload.size() + call.key.size() + call.message.size() + 256;
    const bool full = in_flight + size > admission_->bytes_max;
    if (!route.local) {
      const auto leader = routes->nodes.find(route.leader);
      if (frame.forwarded || route.leader == routes->self) {
        refuse(call, index, frame.forwarded ? Code::kNotLeader : Code::kUnavailable,
               "this node does not lead region " + std::to_string(index) + " of grid '" + grid->grid.name +
                   "': refresh the route");
      } else if (leader == routes->nodes.end() || !leader->second.alive) {
        refuse(call, index, Code::kUnavailable,
               "region " + std::to_string(index) + " of grid '" + grid->grid.name + "' is led by node " +
                   std::to_string(route.leader.value()) +
                   ", which does not answer: wait for it to come back, then try again");
      } else if (full) {
        admission_->refused.fetch_add(1, std::memory_order_relaxed);
        refuse(call, index, Code::kOverloaded,
               "too many bytes are under way in this node: slow down and try again");
      } else {
        scratch.remote[route.leader].push_back(call);
      }
      continue;
    }
    region::Executor& executor = *route.local;
    const std::size_t lane_index = executor.lane();
    Scratch::Lane& lane = scratch.lanes[lane_index];
    const std::uint32_t slot = (hash >> 8) % region::Admission::kSlots;
    if (full || lanes_.waiting(lane_index) + lane.calls.size() >= admission_->lane_calls_max ||
        admission_->waiting[slot].load(std::memory_order_relaxed) >=
            static_cast<std::int32_t>(admission_->agent_calls_max)) {
      admission_->refused.fetch_add(1, std::memory_order_relaxed);
      refuse(call, index, Code::kOverloaded,
             full ? "too many bytes are under way in this node: slow down and try again"
                  : "too many messages wait for agent '" + std::string(call.type.substr(0, 128)) + "/" +
                        std::string(call.key.substr(0, 128)) + "' or its lane: slow down and try again");
      continue;
    }
    admission_->waiting[slot].fetch_add(1, std::memory_order_relaxed);
    in_flight += size;
    lane.bytes += size;
    lane.ids.emplace_back(call.id, index);
    lane.slots.push_back(slot);
    lane.calls.push_back(
        {&executor,
         {.type = call.type,
          .key = call.key,
          .message = call.message,
          .payload = call.payload,
          .content = call.content,
          .want = call.want,
          .identity = {.session = call.sequence != 0 && call.request_id.empty() ? frame.session : 0,
                       .sequence = call.sequence,
                       .answered_below = call.answered_below,
                       .request_id = call.request_id},
          .deadline = Timestamp(std::chrono::milliseconds(call.deadline_unix_ms)),
          .ticket = 0}});
  }
  for (std::size_t i = 0; i < scratch.lanes.size(); ++i) {
    Scratch::Lane& lane = scratch.lanes[i];
    if (lane.calls.empty()) continue;
    auto* tickets = new region::Tickets(sink, admission_, lane.calls.size());
    for (std::size_t n = 0; n < lane.calls.size(); ++n) {
      region::LaneCall& call = lane.calls[n];
      call.message.ticket = region::ticket_number(
          tickets->add(*call.executor, lane.ids[n].first, lane.ids[n].second, lane.slots[n]));
    }
    tickets->start(lane.bytes);
    region::LaneWork work;
    work.calls.reserve(lane.calls.size());
    work.calls.assign(lane.calls.begin(), lane.calls.end());
    work.bytes = bytes;
    work.routes = routes;
    work.tickets = tickets;
    lane.calls.clear();
    lane.slots.clear();
    lane.ids.clear();
    lane.bytes = 0;
    lanes_.post(i, std::move(work));
  }
  for (auto& [node, calls] : scratch.remote) {
    if (calls.empty()) continue;
    peers_.forward(routes->nodes.at(node).address, frame.grid, frame.session, calls, sink,
                   [routes, node = node](std::uint32_t region, std::string_view name) {
                     const GridRoutes* of = routes->find(name);
                     RouteView learnt{.grid = name,
                                      .region = region,
                                      .node = static_cast<std::uint32_t>(node.value()),
                                      .address = routes->nodes.at(node).address};
                     if (of != nullptr && region < of->regions.size())
                       learnt.epoch = of->regions[region].epoch.value();
                     return learnt;
                   });
    calls.clear();
  }
  scratch.remote.clear();
  if (refused) sink->flush();
}

void Router::produce(std::string_view grid, RegionId region, const std::shared_ptr<const std::string>& batch,
                     const std::shared_ptr<CallSink>& sink) {
  const std::shared_ptr<const Routes> routes = board_.get();
  const auto index = static_cast<std::uint32_t>(region.value());
  const auto refuse = [&](Code code, const std::string& text) {
    sink->outcome({.region = index, .code = code, .text = text});
    sink->flush();
  };
  if (!serving_.load(std::memory_order_acquire)) return refuse(Code::kUnavailable, why_ + ": try again soon");
  const GridRoutes* found = routes->find(grid);
  if (found == nullptr) return refuse(Code::kUnknownGrid, unknown_grid(*routes, grid));
  if (index >= found->regions.size() || !found->regions[index].local) {
    return refuse(Code::kNotLeader, "this node does not lead region " + std::to_string(index) + " of grid '" +
                                        found->grid.name + "': refresh the route");
  }
  region::Executor& executor = *found->regions[index].local;
  const std::size_t lane = executor.lane();
  const std::uint64_t under_way = admission_->bytes.load(std::memory_order_relaxed);
  const bool full = under_way != 0 && under_way + batch->size() > admission_->bytes_max;
  if (full || lanes_.waiting(lane) >= admission_->lane_calls_max) {
    admission_->refused.fetch_add(1, std::memory_order_relaxed);
    return refuse(Code::kOverloaded,
                  full ? "too many bytes are under way in this node: slow down and try again"
                       : "too many messages wait for the region's lane: slow down and try "
                         "again");
  }
  const std::uint32_t slot = index % region::Admission::kSlots;
  admission_->waiting[slot].fetch_add(1, std::memory_order_relaxed);
  auto* tickets = new region::Tickets(sink, admission_, 1);
  region::LaneWork work;
  work.calls.push_back({&executor,
                        {.payload = *batch,
                         .want = region::Want::kReceipt,
                         .produced = true,
                         .ticket = region::ticket_number(tickets->add(executor, 0, index, slot))}});
  tickets->start(batch->size());
  work.bytes = batch;
  work.routes = routes;
  work.tickets = tickets;
  lanes_.post(lane, std::move(work));
}

void Router::deliver(const std::vector<Delivered>& messages, const std::shared_ptr<const void>& bytes,
                     const std::shared_ptr<CallSink>& sink) {
  const std::shared_ptr<const Routes> routes = board_.get();
  std::vector<std::vector<const Delivered*>> lanes(lanes_.size());
  bool refused = false;
  const auto refuse = [&](const Delivered& message, Code code, const std::string& text) {
    sink->outcome({.id = message.id,
                   .region = static_cast<std::uint32_t>(message.region.value()),
                   .code = code,
                   .text = text});
    refused = true;
  };
  for (const Delivered& message : messages) {
    const GridRoutes* grid = routes->find(message.grid);
    if (!serving_.load(std::memory_order_acquire) || grid == nullptr) {
      refuse(message, Code::kUnavailable, "grid '" + std::string(message.grid) + "' is not served here now");
      continue;
    }
    const auto index = static_cast<std::size_t>(message.region.value());
    if (message.region.value() < 0 || index >= grid->regions.size() || !grid->regions[index].local) {
      refuse(message, Code::kNotLeader,
             "this node does not lead region " + std::to_string(message.region.value()));
      continue;
    }
    lanes[grid->regions[index].local->lane()].push_back(&message);
  }
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (lanes[i].empty()) continue;
    if (lanes_.waiting(i) > admission_->lane_calls_max) {
      for (const Delivered* message : lanes[i])
        refuse(*message, Code::kOverloaded, "the target's lane is full");
      continue;
    }
    auto* tickets = new region::Tickets(sink, admission_, lanes[i].size());
    region::LaneWork work;
    std::uint64_t size = 0;
    for (const Delivered* message : lanes[i]) {
      const RegionRoute& route =
          routes->find(message->grid)->regions[static_cast<std::size_t>(message->region.value())];
      const std::uint32_t slot = (murmur2(message->message.key) >> 8) % region::Admission::kSlots;
      admission_->waiting[slot].fetch_add(1, std::memory_order_relaxed);
      work.calls.push_back({route.local.get(), message->message});
      work.calls.back().message.ticket = region::ticket_number(
          tickets->add(*route.local, message->id, static_cast<std::uint32_t>(message->region.value()), slot));
      size += message->message.payload.size() + message->message.key.size() + 256;
    }
    tickets->start(size);
    work.bytes = bytes;
    work.routes = routes;
    work.tickets = tickets;
    lanes_.post(i, std::move(work));
  }
  if (refused) sink->flush();
}

}  // namespace afdg::server
