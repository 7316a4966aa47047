#include "server/kafka_cluster.h"

#include <chrono>
#include <thread>
#include <utility>

#include "afdg/v1/admin.pb.h"
#include "server/socket.h"

namespace afdg::server {
namespace {

constexpr std::chrono::milliseconds kCatalogTimeout{10'000};
constexpr std::chrono::milliseconds kSeenWithin{3'000};
constexpr std::chrono::milliseconds kLook{20};

kafka::TopicKind kind_of(const catalog::Topic& topic, const Routes& routes) {
  if (topic.grid == GridId(0))
    return topic.name == kafka::kOffsetsTopic ? kafka::TopicKind::kInternal : kafka::TopicKind::kPlain;
  for (const auto& [name, grid] : routes.grids)
    if (grid.grid.messages == topic.id) return kafka::TopicKind::kMessages;
  return kafka::TopicKind::kDerived;
}

std::shared_ptr<const kafka::ClusterView> view_of(const Routes& routes) {
  auto view = std::make_shared<kafka::ClusterView>();
  view->version = routes.version;
  view->cluster = routes.cluster;
  view->self = routes.self;
  for (const auto& [id, node] : routes.nodes) {
    if (!node.alive || node.kafka_address.empty()) continue;
    const auto address = parse_host_port(node.kafka_address, "a node's Kafka address");
    if (address.ok()) view->nodes.push_back({id, address->host, static_cast<std::uint16_t>(address->port)});
  }
  for (const auto& topic : routes.topics) {
    kafka::ClusterView::Topic out;
    out.id = topic.id;
    out.name = topic.name;
    out.kind = kind_of(topic, routes);
    out.config = topic.config;
    if (topic.grid != GridId(0)) out.role = grid_topic_role(topic.name);
    // What the catalog accepted is sound, unless it is of a newer version: then the defaults hold.
    if (const auto settings = read_topic_settings(topic.config, out.role); settings.ok())
      out.settings = *settings;
    if (const auto placed = routes.partitions.find(topic.id); placed != routes.partitions.end()) {
      for (const auto& placement : placed->second)
        out.partitions.push_back({placement.leader, placement.epoch});
    } else {
      for (const auto& [name, grid] : routes.grids) {
        if (grid.grid.id != topic.grid) continue;
        for (const auto& region : grid.regions) out.partitions.push_back({region.leader, region.epoch});
      }
    }
    view->names.emplace(topic.id, topic.name);
    view->topics.emplace(topic.name, std::move(out));
  }
  return view;
}

}  // namespace

std::shared_ptr<const kafka::ClusterView> KafkaCluster::view() const {
  auto routes = parts_.board->get();
  const std::lock_guard lock(mutex_);
  if (routes != routes_) {
    view_ = view_of(*routes);
    routes_ = std::move(routes);
  }
  return view_;
}

void KafkaCluster::run(std::function<Status()> task, Done done) {
  auto shared = std::make_shared<Done>(std::move(done));
  if (!parts_.background->post([task = std::move(task), shared] { (*shared)(task()); }))
    (*shared)(fail(Code::kOverloaded, "too many changes of topics wait: try again"));
}

void KafkaCluster::wait_until(const std::function<bool(const kafka::ClusterView&)>& seen) const {
  const auto until = std::chrono::steady_clock::now() + kSeenWithin;
  while (!seen(*view()) && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(kLook);
}

void KafkaCluster::create_topic(NewTopic topic, Done done) {
  run(
      [this, topic = std::move(topic)]() -> Status {
        if (parts_.cluster->has_catalog()) {
          AFDG_TRY(
              parts_.cluster
                  ->create_topic({.name = topic.name, .partitions = topic.partitions, .config = topic.config})
                  .status());
        } else {
          v1::CreateTopicCall call;
          call.set_name(topic.name);
          call.set_partitions(static_cast<std::uint32_t>(topic.partitions));
          call.mutable_config()->insert(topic.config.begin(), topic.config.end());
          v1::TopicInfo made;
          AFDG_TRY(parts_.peers->call_and_wait(parts_.cluster->catalog_address(),
                                               "/afdg.v1.Admin/CreateTopic", call, made, kCatalogTimeout));
        }
        wait_until([&](const auto& now) { return now.find(topic.name) != nullptr; });
        return {};
      },
      std::move(done));
}

void KafkaCluster::delete_topic(std::string name, Done done) {
  run(
      [this, name = std::move(name)]() -> Status {
        if (parts_.cluster->has_catalog()) {
          AFDG_TRY(parts_.cluster->delete_topic(name));
        } else {
          v1::NamedCall call;
          call.set_name(name);
          v1::Empty nothing;
          AFDG_TRY(parts_.peers->call_and_wait(parts_.cluster->catalog_address(),
                                               "/afdg.v1.Admin/DeleteTopic", call, nothing, kCatalogTimeout));
        }
        wait_until([&](const auto& now) { return now.find(name) == nullptr; });
        return {};
      },
      std::move(done));
}

void KafkaCluster::change_topic(TopicChange change, Done done) {
  run(
      [this, change = std::move(change)]() -> Status {
        if (parts_.cluster->has_catalog()) {
          return parts_.cluster
              ->change_topic(
                  change.name,
                  {.config = change.config, .replace = change.replace, .partitions = change.partitions})
              .status();
        }
        v1::AlterTopicCall call;
        call.set_name(change.name);
        for (const auto& [key, value] : change.config) {
          if (value) {
            (*call.mutable_set())[key] = *value;
          } else {
            call.add_unset(key);
          }
        }
        call.set_replace(change.replace);
        call.set_partitions(static_cast<std::uint32_t>(change.partitions.value_or(0)));
        v1::TopicInfo made;
        AFDG_TRY(parts_.peers->call_and_wait(parts_.cluster->catalog_address(), "/afdg.v1.Admin/AlterTopic",
                                             call, made, kCatalogTimeout));
        const TopicConfig config{made.config().begin(), made.config().end()};
        wait_until([&](const auto& now) {
          const auto* topic = now.find(change.name);
          return topic == nullptr ||
                 (topic->config == config && topic->partitions.size() >= made.partitions());
        });
        return {};
      },
      std::move(done));
}

}  // namespace afdg::server
