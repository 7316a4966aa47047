#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/topic_settings.h"

namespace afdg::kafka {

/// Name of the topic that keeps groups and their offsets, as in Kafka.
inline constexpr std::string_view kOffsetsTopic = "__consumer_offsets";

/// What a topic is to a Kafka client.
enum class TopicKind : std::uint8_t {
  kPlain,     ///< Kafka's rules
  kInternal,  ///< __consumer_offsets: read only
  kMessages,  ///< a grid's: producing there sends to agents
  kDerived,   ///< a grid's `changes` and `dead`: read only
};

/// The cluster at one version of the catalog. Never changed once it is handed out.
struct ClusterView {
  struct Node {
    NodeId id;
    std::string host;
    std::uint16_t port = 0;
  };
  struct Partition {
    NodeId leader;
    Epoch epoch;
  };
  struct Topic {
    TopicId id;
    std::string name;
    TopicKind kind = TopicKind::kPlain;
    TopicRole role = TopicRole::kPlain;
    std::vector<Partition> partitions;
    TopicConfig config;      ///< what was set; the rest has its default
    TopicSettings settings;  ///< what it comes to
  };
  std::uint64_t version = 0;
  std::uint64_t cluster = 0;  ///< the catalog's identity
  NodeId self;
  std::vector<Node> nodes;  ///< those that can be reached by Kafka clients, ids ascending
  std::map<std::string, Topic, std::less<>> topics;
  std::map<TopicId, std::string> names;  ///< of all topics

  [[nodiscard]] const Topic* find(std::string_view name) const {
    const auto found = topics.find(name);
    return found == topics.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const Topic* find(TopicId id) const {
    const auto found = names.find(id);
    return found == names.end() ? nullptr : find(found->second);
  }
};

/// The catalog as the broker uses it.
/// Thread-safety: view() and the calls from the broker's loop; `done` runs on any thread, once, after the
/// change is in view().
class Cluster {
 public:
  virtual ~Cluster() = default;
  [[nodiscard]] virtual std::shared_ptr<const ClusterView> view() const = 0;

  using Done = std::function<void(Status)>;
  struct NewTopic {
    std::string name;
    std::int32_t partitions = 1;
    TopicConfig config;
  };
  /// Durable when `done` says ok. Errors: kAlreadyExists, kInvalidArgument, kUnavailable, kDiskFull.
  virtual void create_topic(NewTopic topic, Done done) = 0;
  /// Errors: kNotFound, kPermissionDenied (a grid's), kUnavailable.
  virtual void delete_topic(std::string name, Done done) = 0;
  struct TopicChange {
    std::string name;
    std::map<std::string, std::optional<std::string>> config;  ///< nothing: back to its default
    bool replace = false;                                      ///< what `config` does not name, too
    std::optional<std::int32_t> partitions;                    ///< in all, more than there are
  };
  /// All of it or nothing. Errors: as delete_topic(), kInvalidArgument.
  virtual void change_topic(TopicChange change, Done done) = 0;
  /// Runs what may block on another thread, then `done`. Errors: kOverloaded, and those of `task`.
  virtual void run(std::function<Status()> task, Done done) = 0;
};

}  // namespace afdg::kafka
