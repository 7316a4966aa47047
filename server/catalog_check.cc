#include "server/catalog_check.h"

namespace afdg::server {

Status catalog_fits(const catalog::Catalog& catalog, NodeId self, const log::Log* log,
                    const std::string& catalog_path) {
  const auto lost = [&](const std::string& what) {
    return fail(Code::kCorrupt, catalog_path + " has lost what it knew (" + what +
                                    "): restore it from a copy of the data directory");
  };
  if (self.value() != 0 && catalog.find_node(self) == nullptr)
    return lost("node " + std::to_string(self.value()) + ", this one, is not in it");
  if (log == nullptr) return {};
  for (const TopicPartition& partition : log->partitions()) {
    if (partition.topic.value() < catalog.next_id()) continue;
    const auto description = log->describe(partition);
    return lost(
        "topic " +
        (description.ok() ? "'" + description->topic_name + "'" : std::to_string(partition.topic.value())) +
        " was made under it and it never gave that id");
  }
  return {};
}

}  // namespace afdg::server
