#include "kafka/messages/init_producer_id.h"

#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

// An id of 62 random bits needs no counter that every broker agrees on, and no record of it; it is never
// given twice as long as anybody will look.
void handlers::init_producer_id(Broker& broker, const CallPtr& call) {
  InitProducerIdRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  InitProducerIdResponse response;
  response.producer_epoch = -1;
  if (request.transactional_id) {
    response.error_code = ErrorCode::kTransactionalIdAuthorizationFailed;  // there are no transactions
  } else if ((request.producer_id == -1) != (request.producer_epoch == -1)) {
    response.error_code = ErrorCode::kInvalidRequest;  // KIP-360: an id comes with its epoch
  } else {
    response.producer_id = static_cast<std::int64_t>(broker.random().next() >> 2);
    response.producer_epoch = 0;
  }
  call->reply(response);
}

}  // namespace afdg::kafka
