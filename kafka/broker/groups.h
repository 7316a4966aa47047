#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "kafka/broker/cluster.h"
#include "kafka/broker/connection.h"
#include "kafka/broker/group_appends.h"
#include "log/groups/coordinator.h"

namespace afdg::kafka {

class Broker;

/// The consumer-group coordinator and what it needs: its topic, which is made when the first request asks for
/// a group, and read then or when the broker begins, its appends, its timer.
///
///     handler -> with() -> log::groups::Coordinator -> replies: the handler's function
///                             ^            |--------> appends: the log -> append_done
///                             '- timer <---'
///
/// Thread-safety: confined to the broker's loop. Bounds: those of the coordinator; calls, by Connection.
class Groups {
 public:
  explicit Groups(Broker& broker);
  ~Groups();
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;
  void stop();

  using Coordinator = log::groups::Coordinator;
  using Body = decltype(log::groups::Reply::body);
  /// Hands the request to the coordinator by `ask`, and its answer to `reply`. Returns an error, and does
  /// neither, when this node cannot coordinate yet: kCoordinatorNotAvailable.
  using Ask = std::function<void(Coordinator&, log::groups::RequestToken, log::groups::Now)>;
  using Answer = std::function<void(Body&&)>;
  [[nodiscard]] ErrorCode with(const Ask& ask, Answer reply);
  /// Drops `reply` of a request whose client is gone, and with it what that keeps.
  void forget(log::groups::RequestToken token) { waiting_.erase(token); }

  /// Looks at which topics are gone, or were made anew under their old name. To be called when the broker
  /// begins and after each change of Cluster::view(): who looks later may see a topic that was made anew
  /// only, and take the offsets of the old one for its own.
  void cluster_changed();

  /// Which node coordinates a group; makes the topic when it is not there.
  struct Place {
    ErrorCode error = ErrorCode::kCoordinatorNotAvailable;
    const ClusterView::Node* node = nullptr;  ///< of `view`
    std::shared_ptr<const ClusterView> view;
  };
  [[nodiscard]] Place find(std::string_view group);
  /// kNone when this node coordinates the group, else what its client is told.
  [[nodiscard]] ErrorCode check(std::string_view group);

  /// kNone, or GROUP_MAX_SIZE_REACHED when the groups of this node have BrokerOptions::members_max members.
  /// Asked for each join that brings a new member. With thousands of groups, one that left is seen within
  /// 100 ms.
  [[nodiscard]] ErrorCode admit_member(std::string_view host);
  /// Counts, and reports, what a limit of the coordinator refused.
  void note_refusal(log::groups::Errors error, std::string_view group, std::string_view host);
  /// Zero before the first request asked for a group. Costs time for each group.
  [[nodiscard]] log::groups::Stats stats() const {
    return coordinator_ ? coordinator_->stats() : log::groups::Stats();
  }

 private:
  struct Loading {
    std::int32_t partition;
    Offset next;
    Offset end;
  };
  /// True when the coordinator is there. Makes the topic, or begins to read it.
  bool ensure();
  void load_some();
  void load_absent();
  void look_at_topics(const std::shared_ptr<const ClusterView>& view);
  [[nodiscard]] log::groups::Now now() const;
  /// Carries out what the last event demands.
  void run();
  void append(const log::groups::Append& append);
  /// Counts, and reports, what the bounds refused that only the coordinator knows.
  void note_bounds();
  /// stats(), at most 100 ms old when there are many groups.
  const log::groups::Stats& recent_stats();

  Broker& broker_;
  std::unique_ptr<Coordinator> coordinator_;
  TopicId topic_;
  bool creating_ = false;
  std::vector<Loading> loading_;
  std::vector<std::int32_t> absent_;  ///< partitions of the topic that the log does not have yet
  GroupAppends outcomes_;
  log::groups::Refusals noted_{};
  std::unordered_map<log::groups::RequestToken, Answer> waiting_;
  log::groups::RequestToken last_token_ = 0;
  std::uint64_t timer_ = 0;
  log::groups::Stats recent_;
  std::optional<Monotonic> recent_at_;
  std::optional<std::size_t> members_;       // at least as many as there are; nothing: they must be counted
  std::shared_ptr<const ClusterView> seen_;  // since there is a coordinator
};

/// The number of a coordinator's error.
[[nodiscard]] ErrorCode error_code(log::groups::Errors error) noexcept;

}  // namespace afdg::kafka
