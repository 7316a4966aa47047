#pragma once

#include <functional>

#include "base/result.h"
#include "kafka/broker/cluster.h"
#include "log/groups/messages.h"
#include "server/ask_broker.h"
#include "server/gather.h"
#include "server/peer.h"
#include "server/routes.h"

namespace afdg::v1 {
class CommitGroupCall;
class Empty;
class GroupCall;
class GroupInfo;
class GroupList;
class GroupsCall;
class SeekGroupCall;
}  // namespace afdg::v1

namespace afdg::server {

/// Consumer groups for the admin calls, by the coordinators that Kafka's clients use: each call goes to the
/// node that coordinates its group. Functions block, at most about 5 s: not on a lane, the server's queue or
/// the broker's loop. Thread-safety: safe. Errors: kUnavailable (the coordinator is not there, or still reads
/// its log), kNotFound, kFailedPrecondition (the group has members).
class GroupAdmin {
 public:
  struct Parts {
    RouteBoard* board = nullptr;
    const kafka::Cluster* cluster = nullptr;
    Gather* gather = nullptr;
    Peers* peers = nullptr;
    OnBroker on_broker;
  };
  explicit GroupAdmin(Parts parts) : parts_(std::move(parts)) {}

  Result<v1::GroupList> list(const v1::GroupsCall& call);
  Result<v1::GroupInfo> describe(const v1::GroupCall& call);
  Result<v1::GroupInfo> seek(const v1::SeekGroupCall& call);
  Result<v1::Empty> commit(const v1::CommitGroupCall& call);
  Result<v1::Empty> remove(const v1::GroupCall& call);

 private:
  using Body = decltype(log::groups::Reply::body);
  struct Ask;
  /// The coordinator's answer, asked again while it is not ready.
  template <typename Reply>
  Result<Reply> ask(const Ask& ask, const std::function<bool(const Reply&)>& ready);
  template <typename Call, typename Answer>
  Result<Answer> at_coordinator(const char* method, const Call& call,
                                const std::function<Result<Answer>()>& here);
  Result<NodeId> coordinator_of(const std::string& group);
  Result<v1::GroupInfo> describe_here(const v1::GroupCall& call);
  Result<v1::GroupInfo> seek_here(const v1::SeekGroupCall& call);
  Status commit_here(const log::groups::CommitRequest& request);
  void fill_ends(v1::GroupInfo& info);
  Result<std::int64_t> find_time(const std::string& topic, std::uint32_t partition, std::int64_t time_ms);
  [[nodiscard]] bool any() const;

  const Parts parts_;
};

}  // namespace afdg::server
