#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "region/lane.h"
#include "server/frame.h"
#include "server/peer.h"
#include "server/routes.h"

namespace afdg::server {

/// Takes the outcomes of calls, whoever made them. Thread-safety: safe. Must not block.
class CallSink : public region::ReplySink {
 public:
  /// Nothing leaves before flush().
  virtual void outcome(const OutcomeView& outcome) = 0;
  /// A route that was learnt on the way.
  virtual void learned(const RouteView& route) { static_cast<void>(route); }
  void take(const region::ReplyBatch& batch, std::span<const region::ReplyBatch::Entry> entries) override;
};

[[nodiscard]] OutcomeView outcome_of(const region::ReplyBatch& batch, const region::ReplyBatch::Entry& entry);

/// Sends calls where they belong: to the lanes of this node, one hop to the node that leads the region, or
/// back with a refusal. Thread-safety: safe. Bounds: Admission; above it calls are answered kOverloaded and
/// nothing is kept.
class Router {
 public:
  Router(RouteBoard& board, region::Lanes& lanes, std::shared_ptr<region::Admission> admission, Peers& peers)
      : board_(board), lanes_(lanes), admission_(std::move(admission)), peers_(peers) {}

  /// Each call ends in one outcome at `sink`, under its id; refusals before this returns, flush included.
  void dispatch(const FrameView& frame, const std::shared_ptr<const void>& bytes,
                const std::shared_ptr<CallSink>& sink);
  /// A message of another region's outbox, for a region of this node.
  struct Delivered {
    std::string_view grid;
    RegionId region;
    region::Inbound message;
    std::uint64_t id;
  };
  /// In order a (source, target) pair.
  void deliver(const std::vector<Delivered>& messages, const std::shared_ptr<const void>& bytes,
               const std::shared_ptr<CallSink>& sink);

  /// What a Kafka client produced to a region of this node, see region::Inbound::produced. One outcome, with
  /// id 0.
  void produce(std::string_view grid, RegionId region, const std::shared_ptr<const std::string>& batch,
               const std::shared_ptr<CallSink>& sink);

  void set_serving(bool serving, std::string why) {
    why_ = std::move(why);
    serving_.store(serving, std::memory_order_release);
  }
  [[nodiscard]] region::Admission& admission() noexcept { return *admission_; }

 private:
  struct Scratch;
  RouteBoard& board_;
  region::Lanes& lanes_;
  std::shared_ptr<region::Admission> admission_;
  Peers& peers_;
  std::atomic<bool> serving_{false};
  std::string why_ = "the server is starting";
};

/// Every message of the sentence in one place: why a grid, region or key is refused.
std::string unknown_grid(const Routes& routes, std::string_view grid);

}  // namespace afdg::server
