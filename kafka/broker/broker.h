#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "kafka/broker/cluster.h"
#include "kafka/broker/connection.h"
#include "kafka/broker/limits.h"
#include "kafka/broker/loop.h"
#include "log/groups/coordinator.h"
#include "log/log.h"

namespace afdg::kafka {

class Fetches;
class Grids;
class Groups;

/// Bytes; -1: not known.
struct DiskSpace {
  std::int64_t total = -1;
  std::int64_t free = -1;
};

struct BrokerOptions {
  std::string log_directory;                              ///< as clients are told, for DescribeLogDirs
  std::size_t request_bytes_max = std::size_t{32} << 20;  ///< one frame; larger ones close the connection
  std::size_t fetch_bytes_max = std::size_t{55} << 20;    ///< one answer; Kafka's fetch.max.bytes
  /// Requests and answers of all clients; above it a fetch gives one batch.
  std::uint64_t held_bytes_max = std::uint64_t{256} << 20;
  std::chrono::milliseconds fetch_wait_max{300'000};  ///< a client may ask for less
  std::int32_t partitions_default = 1;                ///< of topics that say -1 or are made by themselves
  std::int32_t offsets_partitions = 50;               ///< of __consumer_offsets, when it is made
  log::groups::Options groups;
  std::size_t members_max = 100'000;  ///< of all groups together
  /// Of one connection: then it is not read before an answer was sent.
  std::size_t connection_requests_max = 128;
  std::uint64_t connection_bytes_max = std::uint64_t{64} << 20;
  std::int32_t partitions_max = 4096;            ///< of one topic
  std::int32_t request_partitions_max = 10'000;  ///< that one request makes, as in Kafka
  std::chrono::milliseconds idle_max{600'000};   ///< then a connection without a request is closed
  bool auto_create_topics = true;                ///< a client that asks for a topic makes it
};

/// A Kafka broker on the node's log, without its sockets.
///
///     Connection::receive -> handle() -> handlers/*.cc -> log, cluster, groups
///                                             |                 | commits
///     Connection::front  <-  Call::reply  <---+-- run()  <------+
///
/// Thread-safety: confined to its loop, but for later(), and what the log and the cluster call back.
/// Duties of the owner: (1) round_end() after each round of reads, and no sleep while busy(); (2) stop()
/// before the log and the cluster go; (3) connections go before the broker.
class Broker {
 public:
  struct Parts {
    log::Log* log = nullptr;
    Cluster* cluster = nullptr;
    Grids* grids = nullptr;  ///< null: nobody can produce to a grid here
    Loop* loop = nullptr;
    const Clock* clock = nullptr;
    Random* random = nullptr;
    /// Of the disk that holds the log.
    std::function<DiskSpace()> disk_space;
    /// What an operator should know: a connection that was closed, and why.
    std::function<void(std::string_view host, std::string_view why)> report;
  };
  struct Counters {
    std::atomic<std::uint64_t> connections{0}, bytes{0}, requests{0}, in_flight{0}, bad_requests{0},
        produced_bytes{0}, fetched_bytes{0}, fetches_waiting{0}, offset_commits{0}, connections_paused{0};
    LimitCounts refused;  ///< requests refused, connections closed
    LimitCounts paused;   ///< how often a connection had to wait before it was read on
  };

  Broker(Parts parts, BrokerOptions options);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  void handle(const CallPtr& call);
  /// Leads the commit of what this round appended, and answers what became durable.
  void round_end();
  /// Something waits for another round.
  [[nodiscard]] bool busy() const;
  /// No call is answered after this.
  void stop();

  /// Runs `task` on the loop: at the end of this round, or soon. From any thread.
  void later(std::function<void()> task);
  /// Something was handed to the log in this round.
  void appended() noexcept { appended_ = true; }

  [[nodiscard]] const BrokerOptions& options() const noexcept { return options_; }
  [[nodiscard]] const std::string& log_directory() const noexcept { return options_.log_directory; }
  [[nodiscard]] DiskSpace disk_space() const { return parts_.disk_space ? parts_.disk_space() : DiskSpace(); }
  [[nodiscard]] log::Log& log() const noexcept { return *parts_.log; }
  [[nodiscard]] Cluster& cluster() const noexcept { return *parts_.cluster; }
  [[nodiscard]] Grids* grids() const noexcept { return parts_.grids; }
  [[nodiscard]] Loop& loop() const noexcept { return *parts_.loop; }
  [[nodiscard]] const Clock& clock() const noexcept { return *parts_.clock; }
  [[nodiscard]] Random& random() const noexcept { return *parts_.random; }
  [[nodiscard]] Fetches& fetches() const noexcept { return *fetches_; }
  [[nodiscard]] Groups& groups() const noexcept { return *groups_; }
  [[nodiscard]] Counters& counters() noexcept { return counters_; }
  void report(std::string_view host, std::string_view why);
  /// Counts a connection that is closed for bytes that are no sound request, and reports it: at most once a
  /// second for each text, whatever its numbers. Beyond 64 texts the others share that second.
  void bad_request(std::string_view host, const std::string& why);
  /// Counts what a limit refused, and reports it: at most once a second for each limit.
  void refused(Limit limit, std::string_view host, const std::string& why);

 private:
  struct Told {
    std::optional<Monotonic> at;
    std::uint64_t silent = 0;  // refusals that were not reported since
  };
  static constexpr std::size_t kBadKindsMax = 64;

  void run();
  void report_seldom(Told& told, std::string_view host, const std::string& why);

  Parts parts_;
  BrokerOptions options_;
  Counters counters_;
  std::unique_ptr<Fetches> fetches_;
  std::unique_ptr<Groups> groups_;
  std::array<Told, kLimits> told_;
  std::map<std::string, Told> bad_kinds_;
  bool appended_ = false;
  bool stopped_ = false;

  // later(): outlives the broker in the callbacks of others.
  struct Inbox {
    std::mutex mutex;
    std::vector<std::function<void()>> tasks;
    bool posted = false;       // the loop will run them
    Broker* broker = nullptr;  // null once it stopped
  };
  std::shared_ptr<Inbox> inbox_;
};

/// The id of a topic as Kafka clients see it: it changes when a topic is made anew.
[[nodiscard]] Uuid topic_uuid(const ClusterView& view, TopicId topic) noexcept;
/// The topic with that id, if there is one.
[[nodiscard]] const ClusterView::Topic* find_topic(const ClusterView& view, const Uuid& id) noexcept;
/// Where a partition of a topic of this node is, or why a client cannot use it here.
struct Place {
  ErrorCode error = ErrorCode::kNone;
  const ClusterView::Topic* topic = nullptr;
  TopicPartition partition;
  Epoch epoch;
};
[[nodiscard]] Place find_partition(const ClusterView& view, const ClusterView::Topic* topic,
                                   std::int32_t partition);
[[nodiscard]] inline Place find_partition(const ClusterView& view, std::string_view topic,
                                          std::int32_t partition) {
  return find_partition(view, view.find(topic), partition);
}
/// What a client is told of an error of the log about a partition that is there.
[[nodiscard]] ErrorCode topic_read_error(Code code) noexcept;
/// The check of KIP-320: what the client believes of the leader against what is true.
[[nodiscard]] ErrorCode check_epoch(std::int32_t believed, Epoch epoch) noexcept;

}  // namespace afdg::kafka
