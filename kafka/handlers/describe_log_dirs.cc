#include "kafka/messages/describe_log_dirs.h"

#include <algorithm>

#include "kafka/handlers/handlers.h"

namespace afdg::kafka {

void handlers::describe_log_dirs(Broker& broker, const CallPtr& call) {
  DescribeLogDirsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto view = broker.cluster().view();
  DescribeLogDirsResponse response;
  auto& directory = response.results.emplace_back();
  directory.log_dir = broker.log_directory();
  const DiskSpace space = broker.disk_space();
  directory.total_bytes = space.total;
  directory.usable_bytes = space.free;
  const auto add = [&](const ClusterView::Topic& topic, const std::vector<std::int32_t>* wanted) {
    DescribeLogDirsResponse::Topic out;
    out.name = topic.name;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
      const auto index = static_cast<std::int32_t>(i);
      if (topic.partitions[i].leader != view->self ||
          (wanted != nullptr && std::find(wanted->begin(), wanted->end(), index) == wanted->end()))
        continue;
      const auto described = broker.log().describe({topic.id, PartitionIndex(index)});
      if (!described.ok()) continue;
      out.partitions.push_back({index, static_cast<std::int64_t>(described->bytes), 0, false});
    }
    if (!out.partitions.empty()) directory.topics.push_back(std::move(out));
  };
  if (!request.topics) {
    for (const auto& [name, topic] : view->topics) add(topic, nullptr);
  } else {
    for (const auto& asked : *request.topics)
      if (const auto* topic = view->find(asked.topic)) add(*topic, &asked.partitions);
  }
  call->reply(response);
}

}  // namespace afdg::kafka
