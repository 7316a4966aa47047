#pragma once

#include <memory>
#include <mutex>

#include "kafka/broker/cluster.h"
#include "server/background.h"
#include "server/cluster.h"
#include "server/peer.h"
#include "server/routes.h"

namespace afdg::server {

/// The routes and the catalog as the Kafka broker sees them.
/// Thread-safety: safe.
class KafkaCluster final : public kafka::Cluster {
 public:
  struct Parts {
    const RouteBoard* board = nullptr;
    server::Cluster* cluster = nullptr;
    Peers* peers = nullptr;
    Background* background = nullptr;
  };
  explicit KafkaCluster(Parts parts) : parts_(parts) {}

  [[nodiscard]] std::shared_ptr<const kafka::ClusterView> view() const override;
  void create_topic(NewTopic topic, Done done) override;
  void delete_topic(std::string name, Done done) override;
  void change_topic(TopicChange change, Done done) override;
  void run(std::function<Status()> task, Done done) override;

 private:
  /// A change that another process made may reach this one later than its answer.
  void wait_until(const std::function<bool(const kafka::ClusterView&)>& seen) const;

  Parts parts_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Routes> routes_;
  mutable std::shared_ptr<const kafka::ClusterView> view_;
};

}  // namespace afdg::server
