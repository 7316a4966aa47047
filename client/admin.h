#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

// Include "afdg/v1/admin.pb.h" to use what these functions take and give.
namespace afdg::v1 {
class AgentKeys;
class AgentState;
class CommitGroupCall;
class ConsumeCall;
class ConsumedRecords;
class CreateGridCall;
class AlterTopicCall;
class CreateTopicCall;
class GridDescription;
class GridInfo;
class GridList;
class GroupCall;
class GroupInfo;
class GroupList;
class ListAgentsCall;
class NodeList;
class ProduceAnswer;
class ProduceCall;
class RegionList;
class Route;
class RouteCall;
class SeekGroupCall;
class ServerState;
class ShowAgentCall;
class TopicInfo;
class TopicList;
class TopicsCall;
}  // namespace afdg::v1

namespace afdg::client {

namespace internal {
class Session;
}

/// The control plane: grids, regions, topics, nodes, routes.
/// Thread-safety: safe. Every function blocks until the answer, at most `timeout()`.
/// Errors: the server's; kUnavailable when it cannot be reached; kInDoubt when it did not answer in time.
class Admin {
 public:
  Result<v1::ServerState> server() const;
  Result<v1::GridInfo> create_grid(const v1::CreateGridCall& call) const;
  Status delete_grid(const std::string& name) const;
  Result<v1::GridList> grids() const;
  Result<v1::GridDescription> describe_grid(const std::string& name) const;
  Result<v1::RegionList> regions(const std::string& grid) const;
  Result<v1::TopicInfo> create_topic(const v1::CreateTopicCall& call) const;
  Status delete_topic(const std::string& name) const;
  Result<v1::TopicInfo> alter_topic(const v1::AlterTopicCall& call) const;
  Result<v1::TopicList> topics(const v1::TopicsCall& call) const;
  /// Consumer groups, those of Kafka's clients. Moving, committing and deleting are refused while a group has
  /// members: kFailedPrecondition.
  Result<v1::GroupList> groups() const;
  Result<v1::GroupInfo> describe_group(const v1::GroupCall& call) const;
  Result<v1::GroupInfo> seek_group(const v1::SeekGroupCall& call) const;
  Status commit_group(const v1::CommitGroupCall& call) const;
  Status delete_group(const std::string& name) const;
  Result<v1::NodeList> nodes() const;
  Result<v1::Route> route(const v1::RouteCall& call) const;
  Result<v1::AgentKeys> list_agents(const v1::ListAgentsCall& call) const;
  Result<v1::AgentState> show_agent(const v1::ShowAgentCall& call) const;
  /// Stores records in a plain topic; a receipt for each, in order (afdg/v1/data.pb.h). An error means that
  /// nothing was stored, kInDoubt that some may be: produced again, they may be there twice.
  Result<v1::ProduceAnswer> produce(const v1::ProduceCall& call) const;
  /// The same without waiting; `done` on a thread of gRPC's, once. It must not block.
  void produce_async(const v1::ProduceCall& call,
                     std::function<void(const Result<v1::ProduceAnswer>&)> done) const;
  /// Records as they come, until the end that the call asks for, or until `each` answers false. Not bounded
  /// by timeout(). `stop` is asked about every 100 ms on another thread; true ends it too.
  Status consume(const v1::ConsumeCall& call, const std::function<bool(const v1::ConsumedRecords&)>& each,
                 const std::function<bool()>& stop = {}) const;

  [[nodiscard]] std::chrono::milliseconds timeout() const { return timeout_; }
  /// The same, with another limit for each call.
  [[nodiscard]] Admin with_timeout(std::chrono::milliseconds timeout) const {
    Admin copy = *this;
    copy.timeout_ = timeout;
    return copy;
  }

 private:
  friend class Client;
  friend class Grid;
  explicit Admin(std::shared_ptr<internal::Session> session) : session_(std::move(session)) {}
  std::shared_ptr<internal::Session> session_;
  std::chrono::milliseconds timeout_{10'000};
};

}  // namespace afdg::client
