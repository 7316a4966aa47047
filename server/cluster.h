#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "catalog/catalog.h"
#include "server/peer.h"
#include "server/routes.h"

namespace afdg::v1 {
class HeartbeatAnswer;
class HeartbeatCall;
}  // namespace afdg::v1

namespace afdg::server {

/// The catalog as this node uses it: its own, or another process's which it asks by heartbeat. Publishes the
/// routes whenever they change. Thread-safety: safe.
class Cluster {
 public:
  struct Setup {
    std::unique_ptr<catalog::Catalog> catalog;  ///< absent: ask `catalog_address`
    std::string catalog_address;
    catalog::Node self;
    const Clock* clock = nullptr;
    RouteBoard* board = nullptr;
    Peers* peers = nullptr;
    /// Opens and closes regions before the routes are published.
    std::function<void(Routes&)> apply;
    /// The catalog gave this node an id. Durable on return.
    std::function<Status(NodeId)> named;
  };
  explicit Cluster(Setup setup);
  ~Cluster();

  /// Registers this start. With another process's catalog it waits until that answers, `give_up` says so, or
  /// it refuses.
  Status start(const std::function<bool()>& give_up);
  void stop();
  /// Once a second: liveness of the nodes.
  void tick();

  [[nodiscard]] bool has_catalog() const noexcept { return catalog_ != nullptr; }
  [[nodiscard]] const std::string& catalog_address() const noexcept { return catalog_address_; }

  // For the catalog's process; errors are those of catalog::Catalog.
  Result<catalog::Grid> create_grid(const catalog::Catalog::NewGrid& grid);
  Status delete_grid(std::string_view name);
  Result<catalog::Topic> create_topic(const catalog::Catalog::NewTopic& topic);
  /// Errors also: kPermissionDenied for the topic that keeps the groups' offsets.
  Status delete_topic(std::string_view name);
  Result<catalog::Topic> change_topic(std::string_view name, const catalog::Catalog::TopicChange& change);
  Result<v1::HeartbeatAnswer> heartbeat(const v1::HeartbeatCall& call);
  [[nodiscard]] catalog::Catalog::Refusals refusals();
  /// Applies what is known once more: some of it could not be done.
  void apply_again();

 private:
  Status started();
  std::shared_ptr<Routes> picture();
  void publish(std::shared_ptr<Routes> routes);
  void changed();
  void wait_for_nodes(std::uint64_t version, const std::string& grid);
  void beat();
  /// Without the catalog nobody says that a dead node is back: messages are sent to it and tell.
  void doubt_deaths();
  Status ask(bool starting);

  const std::unique_ptr<catalog::Catalog> catalog_;
  const std::string catalog_address_;
  catalog::Node self_;
  const Clock& clock_;
  RouteBoard& board_;
  Peers& peers_;
  const std::function<void(Routes&)> apply_;
  const std::function<Status(NodeId)> named_;

  /// A restarted catalog counts from 1 again; what it says must not look like what it said before.
  [[nodiscard]] std::uint64_t version() const { return version_base_ + catalog_->version(); }
  const std::uint64_t version_base_;

  std::mutex mutex_;                         // the catalog
  std::mutex publishing_;                    // one picture at a time, oldest first
  std::map<NodeId, std::uint64_t> applied_;  // versions that nodes have said they know
  std::condition_variable heard_;
  std::uint64_t known_version_ = 0;
  std::mutex stop_mutex_;
  std::condition_variable stop_changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace afdg::server
