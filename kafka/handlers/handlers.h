#pragma once

#include "kafka/broker/broker.h"

// One file a handler; the directory is the list of what is served, and ApiVersions' answer follows from
// handler_of().
namespace afdg::kafka {

/// Serves one request: decodes it and, now or later, replies. Precondition: the version is one of api.def's.
using Handler = void (*)(Broker& broker, const CallPtr& call);

/// Null when the API has no handler: it is not advertised then.
[[nodiscard]] Handler handler_of(Key key) noexcept;

/// Decodes the request into `message`, or hangs up and gives false.
template <class M>
[[nodiscard]] bool decode_or_hang_up(Call& call, M& message) {
  const Status decoded =
      decode(message, call.version(), call.request().body, {.array_bytes_max = array_bytes_max(M::kId.key)});
  if (decoded.ok()) return true;
  call.hang_up(decoded.error().text());
  return false;
}

#define AFDG_KAFKA_HANDLERS(X)                          \
  X(ApiVersions, api_versions)                          \
  X(Metadata, metadata)                                 \
  X(Produce, produce)                                   \
  X(Fetch, fetch)                                       \
  X(ListOffsets, list_offsets)                          \
  X(InitProducerId, init_producer_id)                   \
  X(CreateTopics, create_topics)                        \
  X(DeleteTopics, delete_topics)                        \
  X(DescribeCluster, describe_cluster)                  \
  X(FindCoordinator, find_coordinator)                  \
  X(JoinGroup, join_group)                              \
  X(SyncGroup, sync_group)                              \
  X(Heartbeat, heartbeat)                               \
  X(LeaveGroup, leave_group)                            \
  X(OffsetCommit, offset_commit)                        \
  X(OffsetFetch, offset_fetch)                          \
  X(OffsetDelete, offset_delete)                        \
  X(DescribeGroups, describe_groups)                    \
  X(ListGroups, list_groups)                            \
  X(DeleteGroups, delete_groups)                        \
  X(DescribeConfigs, describe_configs)                  \
  X(AlterConfigs, alter_configs)                        \
  X(IncrementalAlterConfigs, incremental_alter_configs) \
  X(CreatePartitions, create_partitions)                \
  X(DeleteRecords, delete_records)                      \
  X(DescribeLogDirs, describe_log_dirs)                 \
  X(OffsetForLeaderEpoch, offset_for_leader_epoch)      \
  X(DescribeTopicPartitions, describe_topic_partitions) \
  X(DescribeAcls, describe_acls)                        \
  X(CreateAcls, create_acls)                            \
  X(DeleteAcls, delete_acls)                            \
  X(SaslHandshake, sasl_handshake)                      \
  X(SaslAuthenticate, sasl_authenticate)

#define X(key, name) void name(Broker& broker, const CallPtr& call);
namespace handlers {
AFDG_KAFKA_HANDLERS(X)
}
#undef X

}  // namespace afdg::kafka
