#pragma once

#include <functional>
#include <string>
#include <vector>

#include "log/log.h"
#include "server/cluster.h"
#include "server/peer.h"
#include "server/region_host.h"
#include "server/routes.h"

namespace afdg::v1 {
class AgentKeys;
class AgentState;
class ListAgentsCall;
class ReadAnswer;
class ReadCall;
class RegionList;
class RegionsCall;
class ShowAgentCall;
class TopicList;
class TopicsCall;
}  // namespace afdg::v1

namespace afdg::server {

/// What only the leaders of regions know, gathered from them all. Functions block: not on a lane or the
/// server's queue. Thread-safety: safe. `host` and `log` are absent in a process that is only the catalog.
class Gather {
 public:
  struct Parts {
    RouteBoard* board;
    Peers* peers;
    RegionHost* host;
    log::Log* log;
    const agents::AgentTypes* types;
  };
  explicit Gather(const Parts& parts) : parts_(parts) {}

  Result<v1::RegionList> regions(const v1::RegionsCall& call);
  Result<v1::TopicList> topics(const v1::TopicsCall& call);
  Result<v1::AgentKeys> list_agents(const v1::ListAgentsCall& call);
  Result<v1::AgentState> show_agent(const v1::ShowAgentCall& call);
  Result<v1::ReadAnswer> read(const v1::ReadCall& call);
  /// Every key of the type, region by region, until `take` says false. Errors: kUnknownGrid, kUnknownType; a
  /// region that cannot be asked goes to `missed` with its reason.
  Status each_key(const std::string& grid, const std::string& type,
                  const std::function<bool(std::vector<std::string>&&)>& take,
                  const std::function<void(std::uint32_t region, const Error&)>& missed);

 private:
  /// Runs `look` on the region's lane and returns its result, once all that it can have seen is committed.
  Status look_at(const std::shared_ptr<region::Executor>& executor,
                 std::function<Status(const region::RegionCore&)> look);
  Result<std::vector<std::string>> keys_of(const std::shared_ptr<region::Executor>& executor,
                                           std::string_view type, std::string_view prefix,
                                           std::string_view after, std::size_t limit);
  /// Nodes other than this one that lead something of the grid, and the dead among them.
  struct Others {
    std::vector<NodeId> alive;
    std::vector<NodeId> dead;
  };
  static Others others(const Routes& routes, const GridRoutes& grid);
  Result<v1::ReadAnswer> read_here(const catalog::Topic& topic, const v1::ReadCall& call);
  const Parts parts_;
};

}  // namespace afdg::server
