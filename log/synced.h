#pragma once

#include "base/result.h"

namespace afdg::log {

/// What came of a sync: kDiskFull (delayed allocation, quotas) becomes kIo, which is never tried again. The
/// kernel may have dropped the pages that it could not write, and another sync would succeed without them.
[[nodiscard]] inline Status synced(Status sync) {
  if (sync.code() != Code::kDiskFull) return sync;
  return fail(Code::kIo, sync.error().text());
}

}  // namespace afdg::log
