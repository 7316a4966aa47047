#include "kafka/internal/codec_impl.h"
#include "kafka/messages/delete_groups.h"
#include "kafka/messages/describe_groups.h"
#include "kafka/messages/find_coordinator.h"
#include "kafka/messages/heartbeat.h"
#include "kafka/messages/join_group.h"
#include "kafka/messages/leave_group.h"
#include "kafka/messages/list_groups.h"
#include "kafka/messages/sync_group.h"

namespace afdg::kafka {
AFDG_KAFKA_COMPILE(FindCoordinatorRequest)
AFDG_KAFKA_COMPILE(FindCoordinatorResponse)
AFDG_KAFKA_COMPILE(JoinGroupRequest)
AFDG_KAFKA_COMPILE(JoinGroupResponse)
AFDG_KAFKA_COMPILE(SyncGroupRequest)
AFDG_KAFKA_COMPILE(SyncGroupResponse)
AFDG_KAFKA_COMPILE(HeartbeatRequest)
AFDG_KAFKA_COMPILE(HeartbeatResponse)
AFDG_KAFKA_COMPILE(LeaveGroupRequest)
AFDG_KAFKA_COMPILE(LeaveGroupResponse)
AFDG_KAFKA_COMPILE(DescribeGroupsRequest)
AFDG_KAFKA_COMPILE(DescribeGroupsResponse)
AFDG_KAFKA_COMPILE(ListGroupsRequest)
AFDG_KAFKA_COMPILE(ListGroupsResponse)
AFDG_KAFKA_COMPILE(DeleteGroupsRequest)
AFDG_KAFKA_COMPILE(DeleteGroupsResponse)
}  // namespace afdg::kafka
