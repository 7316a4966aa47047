#include "kafka/internal/codec_impl.h"
#include "kafka/messages/api_versions.h"
#include "kafka/messages/sasl_authenticate.h"
#include "kafka/messages/sasl_handshake.h"

namespace afdg::kafka {
AFDG_KAFKA_COMPILE(ApiVersionsRequest)
AFDG_KAFKA_COMPILE(ApiVersionsResponse)
AFDG_KAFKA_COMPILE(SaslHandshakeRequest)
AFDG_KAFKA_COMPILE(SaslHandshakeResponse)
AFDG_KAFKA_COMPILE(SaslAuthenticateRequest)
AFDG_KAFKA_COMPILE(SaslAuthenticateResponse)
}  // namespace afdg::kafka
