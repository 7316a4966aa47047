#include "kafka/handlers/handlers.h"
#include "kafka/messages/sasl_authenticate.h"
#include "kafka/messages/sasl_handshake.h"

// The listener is plaintext: nobody authenticates, and who tries is told so as by Kafka's plaintext listener.
namespace afdg::kafka {

void handlers::sasl_handshake(Broker&, const CallPtr& call) {
  SaslHandshakeRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  SaslHandshakeResponse response;
  response.error_code = ErrorCode::kIllegalSaslState;
  call->reply(response);
}

void handlers::sasl_authenticate(Broker&, const CallPtr& call) {
  SaslAuthenticateRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  SaslAuthenticateResponse response;
  response.error_code = ErrorCode::kIllegalSaslState;
  response.error_message = "this listener is plaintext: connect without SASL (security.protocol=PLAINTEXT)";
  call->reply(response);
}

}  // namespace afdg::kafka
