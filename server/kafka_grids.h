#pragma once

#include "kafka/broker/grids.h"
#include "server/router.h"

namespace afdg::server {

/// What Kafka clients produce to `GRID.messages`, brought to the region of the partition.
///
///     batch -> router -> lane -> RegionCore::produce -> messages of this region       -> one answer
///                                                    -> outbox to the region of the key -'
///
/// Thread-safety: safe. Bounds: those of the router; a batch is held until it is durable.
class KafkaGrids final : public kafka::Grids {
 public:
  explicit KafkaGrids(Router& router) : router_(router) {}
  void send(std::string grid, PartitionIndex partition, std::string batch,
            std::function<void(Sent)> done) override;

 private:
  Router& router_;
};

}  // namespace afdg::server
