#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include "region/lane.h"
#include "server/router.h"
#include "server/rpc.h"

namespace afdg::server {

/// Brings the outboxes of this node's regions to their targets: in the process by the lanes, to other nodes
/// by Data.Deliver with one call under way a node. Order holds a (source, target) pair: what is not taken is
/// refused back to the source, which begins again there. Thread-safety: safe. Bounds: the executors' windows.
class NodeCarrier final : public region::Carrier {
 public:
  NodeCarrier(RouteBoard& board, Router& router, Peers& peers, region::Lanes& lanes)
      : board_(board), router_(router), peers_(peers), lanes_(lanes) {}
  void carry(std::shared_ptr<region::Executor> from, RegionId target, std::uint64_t round,
             std::vector<region::Parcel> parcels) override;

 private:
  struct Batch {
    std::shared_ptr<region::Executor> from;
    RegionId target;
    std::uint64_t round;
    std::vector<region::Parcel> parcels;
  };
  struct Node {
    std::deque<Batch> waiting;
    bool busy = false;
  };
  void local(Batch batch);
  void remote(NodeId node, Batch batch);
  void send(NodeId node, std::deque<Batch> batches);
  void refuse(const Batch& batch);

  RouteBoard& board_;
  Router& router_;
  Peers& peers_;
  region::Lanes& lanes_;
  std::mutex mutex_;
  std::map<NodeId, Node> nodes_;
};

/// Data.Deliver: what another node's carrier brings.
RpcMethod deliver_method(Router& router);

}  // namespace afdg::server
