#pragma once

#include <functional>

#include "kafka/frame.h"
#include "kafka/messages/api_versions.h"

namespace afdg::kafka {

/// The answer to an ApiVersions request: the rows of kafka/api.def for which `served` is true. In place of
/// them INVALID_REQUEST for a client name that is not one (KIP-511: letters and digits, within it also '-'
/// and '.'). Beside them UNSUPPORTED_VERSION for a version that is not known: Kafka lists only ApiVersions
/// itself then, so that the client asks again, and clients look for that row alone.
/// Errors: kInvalidArgument for a body that cannot be read; close the connection.
[[nodiscard]] Result<ApiVersionsResponse> answer_api_versions(const Request& request,
                                                              const std::function<bool(Key)>& served);

}  // namespace afdg::kafka
