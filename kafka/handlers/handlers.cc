#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

Handler handler_of(Key key) noexcept {
  switch (key) {
#define X(api, name) \
  case Key::k##api:  \
    return handlers::name;
    AFDG_KAFKA_HANDLERS(X)
#undef X
    default:
      return nullptr;
  }
}

}  // namespace afdg::kafka
