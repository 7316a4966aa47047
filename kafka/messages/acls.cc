#include "kafka/internal/codec_impl.h"
#include "kafka/messages/create_acls.h"
#include "kafka/messages/delete_acls.h"
#include "kafka/messages/describe_acls.h"

namespace afdg::kafka {
AFDG_KAFKA_COMPILE(DescribeAclsRequest)
AFDG_KAFKA_COMPILE(DescribeAclsResponse)
AFDG_KAFKA_COMPILE(CreateAclsRequest)
AFDG_KAFKA_COMPILE(CreateAclsResponse)
AFDG_KAFKA_COMPILE(DeleteAclsRequest)
AFDG_KAFKA_COMPILE(DeleteAclsResponse)
}  // namespace afdg::kafka
