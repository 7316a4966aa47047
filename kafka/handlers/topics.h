#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kafka/broker/cluster.h"
#include "kafka/error_codes.h"

// What several handlers say of topics and of the cluster.
namespace afdg::kafka {

class Broker;
class Call;

/// What a client may do when there is no access control (KIP-430): one bit an operation, as Kafka's broker
/// answers without an authorizer.
inline constexpr std::int32_t kTopicOperations = 3576;
inline constexpr std::int32_t kClusterOperations = 8096;
inline constexpr std::int32_t kGroupOperations = 328;

[[nodiscard]] std::string cluster_id(const ClusterView& view);
/// Kafka's rule for names: 1 to 249 of letters, digits, '.', '_' and '-', not "." nor "..".
[[nodiscard]] Status check_topic_name(std::string_view name);
/// Whether one request may make so many partitions in all. Errors: kFailedPrecondition, counted and reported.
[[nodiscard]] Status check_request_partitions(Broker& broker, std::string_view host, std::int64_t partitions);
/// Whether a request names more groups than a node may have: then it hung up.
[[nodiscard]] bool too_many_groups(Broker& broker, Call& call, std::size_t groups);
/// What a client is told of an error that concerns a topic.
[[nodiscard]] ErrorCode topic_error(Code code) noexcept;

}  // namespace afdg::kafka
