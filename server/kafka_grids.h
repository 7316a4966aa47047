#pragma once

#include "kafka/broker/grids.h"
#include "server/router.h"
#include "server/routes.h"

namespace afdg::server {

/// What Kafka clients produce to `GRID.messages`, sent to agents by the router.
///
///     batch -> records -> calls (durable sends) -> router -> regions here or on other nodes -> one answer
///
/// Identity: a record of an idempotent producer has the request id "kafka/PRODUCER/EPOCH/PARTITION/SEQUENCE",
/// made here from the batch's header and never from the record: nobody can take another's. Thread-safety:
/// safe. Bounds: those of the router; a batch is held until its records are durable.
class KafkaGrids final : public kafka::Grids {
 public:
  KafkaGrids(const RouteBoard& board, Router& router) : board_(board), router_(router) {}
  void send(std::string grid, PartitionIndex partition, std::string batch,
            std::function<void(Sent)> done) override;

 private:
  const RouteBoard& board_;
  Router& router_;
};

}  // namespace afdg::server
