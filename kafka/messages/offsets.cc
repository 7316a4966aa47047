#include "kafka/internal/codec_impl.h"
#include "kafka/messages/offset_commit.h"
#include "kafka/messages/offset_delete.h"
#include "kafka/messages/offset_fetch.h"

namespace afdg::kafka {
AFDG_KAFKA_COMPILE(OffsetCommitRequest)
AFDG_KAFKA_COMPILE(OffsetCommitResponse)
AFDG_KAFKA_COMPILE(OffsetFetchRequest)
AFDG_KAFKA_COMPILE(OffsetFetchResponse)
AFDG_KAFKA_COMPILE(OffsetDeleteRequest)
AFDG_KAFKA_COMPILE(OffsetDeleteResponse)
}  // namespace afdg::kafka
