#include "kafka/internal/codec_impl.h"
#include "kafka/messages/delete_records.h"
#include "kafka/messages/fetch.h"
#include "kafka/messages/init_producer_id.h"
#include "kafka/messages/list_offsets.h"
#include "kafka/messages/offset_for_leader_epoch.h"
#include "kafka/messages/produce.h"

namespace afdg::kafka {
AFDG_KAFKA_COMPILE(ProduceRequest)
AFDG_KAFKA_COMPILE(ProduceResponse)
AFDG_KAFKA_COMPILE(FetchRequest)
AFDG_KAFKA_COMPILE(FetchResponse)
AFDG_KAFKA_COMPILE(ListOffsetsRequest)
AFDG_KAFKA_COMPILE(ListOffsetsResponse)
AFDG_KAFKA_COMPILE(InitProducerIdRequest)
AFDG_KAFKA_COMPILE(InitProducerIdResponse)
AFDG_KAFKA_COMPILE(OffsetForLeaderEpochRequest)
AFDG_KAFKA_COMPILE(OffsetForLeaderEpochResponse)
AFDG_KAFKA_COMPILE(DeleteRecordsRequest)
AFDG_KAFKA_COMPILE(DeleteRecordsResponse)
}  // namespace afdg::kafka
