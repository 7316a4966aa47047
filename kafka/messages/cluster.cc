#include "kafka/internal/codec_impl.h"
#include "kafka/messages/describe_cluster.h"
#include "kafka/messages/describe_log_dirs.h"
#include "kafka/messages/describe_topic_partitions.h"
#include "kafka/messages/metadata.h"

namespace afdg::kafka {
AFDG_KAFKA_COMPILE(MetadataRequest)
AFDG_KAFKA_COMPILE(MetadataResponse)
AFDG_KAFKA_COMPILE(DescribeClusterRequest)
AFDG_KAFKA_COMPILE(DescribeClusterResponse)
AFDG_KAFKA_COMPILE(DescribeTopicPartitionsRequest)
AFDG_KAFKA_COMPILE(DescribeTopicPartitionsResponse)
AFDG_KAFKA_COMPILE(DescribeLogDirsRequest)
AFDG_KAFKA_COMPILE(DescribeLogDirsResponse)
}  // namespace afdg::kafka
