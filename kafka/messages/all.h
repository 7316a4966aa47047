#pragma once

#include "kafka/messages/all.h"
#include "kafka/messages/alter_configs.h"
#include "kafka/messages/api_versions.h"
#include "kafka/messages/create_acls.h"
#include "kafka/messages/create_partitions.h"
#include "kafka/messages/create_topics.h"
#include "kafka/messages/delete_acls.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/delete_records.h"
#include "kafka/messages/delete_topics.h"
#include "kafka/messages/describe_acls.h"
#include "kafka/messages/describe_cluster.h"
#include "kafka/messages/describe_configs.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/describe_log_dirs.h"
#include "kafka/messages/describe_topic_partitions.h"
#include "kafka/messages/fetch.h"
#include "kafka/messages/find_coordinator.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/incremental_alter_configs.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/leave_group.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/list_offsets.h"
#include "kafka/messages/metadata.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/offset_fetch.h"
#include "kafka/messages/offset_for_leader_epoch.h"
#include "kafka/messages/produce.h"
#include "kafka/messages/sasl_authenticate.h"
#include "kafka/messages/sasl_handshake.h"
#include "kafka/messages/sync_group.h"

namespace afdg::kafka {

/// Calls `f(Request(), Response())` with the messages of a key.
template <class F>
decltype(auto) with_messages(Key key, F&& f) {
  switch (key) {
#define AFDG_KAFKA_API(name, number, advertised, accepted, highest, flexible, text) \
  case Key::k##name:                                                                \
    return f(name##Request(), name##Response());
#include "kafka/api.def"
#undef AFDG_KAFKA_API
  }
  assertion_failed("api.def has the key", __FILE__, __LINE__, "a key that is not of the enum Key");
}

}  // namespace afdg::kafka
