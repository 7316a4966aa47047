#include "kafka/internal/codec_impl.h"
#include "kafka/messages/alter_configs.h"
#include "kafka/messages/create_partitions.h"
#include "kafka/messages/create_topics.h"
#include "kafka/messages/delete_topics.h"
#include "kafka/messages/describe_configs.h"
#include "kafka/messages/incremental_alter_configs.h"

namespace afdg::kafka {
AFDG_KAFKA_COMPILE(CreateTopicsRequest)
AFDG_KAFKA_COMPILE(CreateTopicsResponse)
AFDG_KAFKA_COMPILE(DeleteTopicsRequest)
AFDG_KAFKA_COMPILE(DeleteTopicsResponse)
AFDG_KAFKA_COMPILE(CreatePartitionsRequest)
AFDG_KAFKA_COMPILE(CreatePartitionsResponse)
AFDG_KAFKA_COMPILE(DescribeConfigsRequest)
AFDG_KAFKA_COMPILE(DescribeConfigsResponse)
AFDG_KAFKA_COMPILE(AlterConfigsRequest)
AFDG_KAFKA_COMPILE(AlterConfigsResponse)
AFDG_KAFKA_COMPILE(IncrementalAlterConfigsRequest)
AFDG_KAFKA_COMPILE(IncrementalAlterConfigsResponse)
}  // namespace afdg::kafka
