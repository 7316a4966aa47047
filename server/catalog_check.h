#pragma once

#include <string>

#include "catalog/catalog.h"
#include "log/log.h"

namespace afdg::server {

/// Whether the node's own catalog is the one that its data was made under: a catalog whose files were lost or
/// cut opens as an empty or older one, and would have the node throw away what it does not know. `log` may be
/// absent. Errors: kCorrupt.
[[nodiscard]] Status catalog_fits(const catalog::Catalog& catalog, NodeId self, const log::Log* log,
                                  const std::string& catalog_path);

}  // namespace afdg::server
