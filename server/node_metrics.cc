#include "server/node_metrics.h"

#include <chrono>
#include <string>
#include <utility>

#include "kafka/broker/groups.h"
#include "server/ask_broker.h"

namespace afdg::server {
namespace {

using kafka::Limit;

constexpr auto kGroupsWait = std::chrono::milliseconds(500);

struct All {
  std::vector<Metric> metrics;
  void add(Metric metric) { metrics.push_back(std::move(metric)); }
  void one(const char* name, const char* help, bool counter, double value) {
    metrics.push_back({name, help, counter, {{{}, value}}});
  }
};

Metric::Value of(const char* label, std::string_view name, double value) {
  return {{{label, std::string(name)}}, value};
}

void general(const MetricSources& node, All& all) {
  all.one("afdg_uptime_seconds", "Since the process began to start", false, node.state.uptime_seconds());
  all.one("afdg_resident_memory_bytes", "Memory of the process", false,
          static_cast<double>(node.state.memory_bytes()));
  all.one("afdg_turns_total", "Messages that agents handled", true, static_cast<double>(node.state.turns()));
  all.one("afdg_reads_total", "Read-only messages that agents answered", true,
          static_cast<double>(node.state.reads()));
  all.one("afdg_commits_total", "Group commits of the journal, one fdatasync each", true,
          static_cast<double>(node.state.commits()));
  all.one("afdg_journal_bytes_total", "Bytes written to the journal", true,
          static_cast<double>(node.state.journal_bytes()));
  all.one("afdg_appended_bytes_total", "Bytes of record batches appended", true,
          static_cast<double>(node.state.appended_bytes()));
  all.one("afdg_calls_in_flight", "Calls that wait for their answer", false,
          static_cast<double>(node.state.calls_in_flight()));
  all.one("afdg_refused_overloaded_total", "Calls refused because a queue was full", true,
          static_cast<double>(node.state.refused_overloaded()));
  all.one("afdg_streams", "Open client streams", false, static_cast<double>(node.streams->streams.load()));
  all.one("afdg_frames_read_total", "Frames of calls read from streams", true,
          static_cast<double>(node.streams->frames_read.load()));
  all.one("afdg_reply_writes_total", "Frames of outcomes written to streams", true,
          static_cast<double>(node.state.reply_writes()));
  all.one("afdg_reply_messages_total", "Outcomes in those frames", true,
          static_cast<double>(node.state.reply_messages()));
  all.one("afdg_produce_calls", "Calls of Data.Produce under way", false,
          static_cast<double>(node.produced->calls.load()));
  all.one("afdg_produce_bytes_held", "Bytes of those calls", false,
          static_cast<double>(node.produced->bytes.load()));
  all.one("afdg_produce_refused_total", "Calls of Data.Produce of which nothing was stored", true,
          static_cast<double>(node.produced->refused.load()));
  all.one("afdg_produced_records_total", "Records stored by Data.Produce", true,
          static_cast<double>(node.produced->records.load()));
  all.one("afdg_live_agents", "Agents in memory", false, static_cast<double>(node.state.live_agents()));
}

void of_log(const MetricSources& node, All& all) {
  const log::LogMetrics log = node.log->metrics();
  all.one("afdg_commit_seconds_total", "Time spent in writing and syncing commits", true,
          static_cast<double>(log.commit_us_sum) / 1e6);
  all.one("afdg_log_bytes_in_flight", "Bytes appended and not yet in segments", false,
          static_cast<double>(log.bytes_in_flight));
  all.one("afdg_log_producers", "Idempotent producers that are remembered", false,
          static_cast<double>(log.producers));
  all.one("afdg_compactions_total", "Compactions of a partition that were ended", true,
          static_cast<double>(log.cleaner_rounds));
  all.one("afdg_compaction_read_bytes_total", "Bytes of batches that compaction read", true,
          static_cast<double>(log.cleaner_bytes_read));
  all.one("afdg_compaction_written_bytes_total", "Bytes of batches that compaction wrote anew", true,
          static_cast<double>(log.cleaner_bytes_written));
  all.one("afdg_disk_full", "1 while writes are refused because the disk is full", false,
          log.disk_full ? 1 : 0);
}

void of_kafka(const kafka::Broker::Counters& kafka, All& all) {
  const auto gauge = [&](const char* name, const char* help, const auto& value) {
    all.one(name, help, false, static_cast<double>(value.load()));
  };
  const auto counter = [&](const char* name, const char* help, const auto& value) {
    all.one(name, help, true, static_cast<double>(value.load()));
  };
  gauge("afdg_kafka_connections", "Kafka clients", kafka.connections);
  gauge("afdg_kafka_connections_paused", "Kafka clients that are not read, because a limit is reached",
        kafka.connections_paused);
  gauge("afdg_kafka_requests_in_flight", "Kafka requests whose answers were not sent", kafka.in_flight);
  gauge("afdg_kafka_bytes_held", "Bytes of Kafka requests and answers under way", kafka.bytes);
  counter("afdg_kafka_requests_total", "Requests of Kafka clients", kafka.requests);
  counter("afdg_kafka_bad_requests_total", "Kafka connections closed for bytes that are no sound request",
          kafka.bad_requests);
  counter("afdg_kafka_produced_bytes_total", "Bytes of batches taken from Kafka clients",
          kafka.produced_bytes);
  counter("afdg_kafka_fetched_bytes_total", "Bytes of batches given to Kafka clients", kafka.fetched_bytes);
  gauge("afdg_kafka_fetches_waiting", "Fetches that wait for records", kafka.fetches_waiting);
  counter("afdg_kafka_offset_commits_total", "Offsets that consumer groups committed", kafka.offset_commits);
}

void of_groups(KafkaListener& kafka, All& all) {
  // The groups live on the endpoint's thread. Nothing is told when it is too busy to say.
  const auto stats = ask_broker<log::groups::Stats>(
      [&kafka](std::function<void(kafka::Broker&)> task) { return kafka.post(std::move(task)); },
      [](kafka::Broker& broker, const std::function<void(log::groups::Stats)>& answer) {
        answer(broker.groups().stats());
      },
      kGroupsWait);
  if (!stats.ok()) return;
  const auto number = [](std::uint64_t count) { return static_cast<double>(count); };
  all.add({"afdg_kafka_groups",
           "Consumer groups that this node coordinates",
           false,
           {of("state", "empty", number(stats->groups_empty)),
            of("state", "preparing_rebalance", number(stats->groups_preparing)),
            of("state", "completing_rebalance", number(stats->groups_completing)),
            of("state", "stable", number(stats->groups_stable))}});
  all.one("afdg_kafka_group_members", "Members of those groups, with those about to join", false,
          number(stats->members + stats->members_pending));
  all.one("afdg_kafka_group_offsets", "Offsets that those groups have stored", false, number(stats->offsets));
  all.one("afdg_kafka_group_rebalances_total", "Generations of groups that began", true,
          number(stats->rebalances));
  all.one("afdg_kafka_group_members_expired_total", "Members whose session ended without a heartbeat", true,
          number(stats->members_expired));
  all.one("afdg_kafka_group_offsets_expired_total", "Offsets that were removed for their age", true,
          number(stats->offsets_expired));
}

void of_topics(const MetricSources& node, All& all) {
  if (node.kafka_cluster == nullptr) return;
  const auto view = node.kafka_cluster->view();
  std::uint64_t led = 0;
  for (const auto& [name, topic] : view->topics)
    for (const auto& partition : topic.partitions) led += partition.leader == view->self ? 1 : 0;
  all.one("afdg_topics", "Topics of the cluster, those of grids included", false,
          static_cast<double>(view->topics.size()));
  all.one("afdg_partitions_led", "Partitions that this node leads, three a region included", false,
          static_cast<double>(led));
}

/// Every bound that has a key, by that key.
void of_limits(const MetricSources& node, All& all) {
  const Config& config = *node.config;
  Metric limits{"afdg_limit", "What a limit is, by its configuration key", false, {}};
  Metric refused{
      "afdg_limit_refused_total", "Requests refused and connections closed, by the limit", true, {}};
  Metric paused{
      "afdg_limit_paused_total", "How often a connection had to wait to be read, by the limit", true, {}};
  if (node.cluster != nullptr && node.cluster->has_catalog()) {
    const auto refusals = node.cluster->refusals();
    limits.values.push_back(of("key", "topics-max", config.topics_max));
    refused.values.push_back(of("key", "topics-max", static_cast<double>(refusals.topics)));
    limits.values.push_back(of("key", "node-partitions-max", config.node_partitions_max));
    refused.values.push_back(of("key", "node-partitions-max", static_cast<double>(refusals.partitions)));
  }
  if (node.log != nullptr) {
    const log::LogMetrics log = node.log->metrics();
    limits.values.push_back(of("key", "partition-producers-max", config.partition_producers_max));
    refused.values.push_back(
        of("key", "partition-producers-max", static_cast<double>(log.partition_producers_refused)));
    limits.values.push_back(of("key", "node-producers-max", config.node_producers_max));
    refused.values.push_back(
        of("key", "node-producers-max", static_cast<double>(log.node_producers_refused)));
  }
  if (const auto* kafka = node.kafka != nullptr ? node.kafka->counters() : nullptr) {
    for (std::size_t i = 0; i < kafka::kLimits; ++i) {
      const auto limit = static_cast<Limit>(i);
      const std::string key(kafka::limit_key(limit));
      for (const ConfigKey& known : config_keys())
        if (known.name == key) limits.values.push_back(of("key", key, std::stod(known.get(config))));
      const bool pauses = kafka::limit_pauses(limit);
      (pauses ? paused : refused)
          .values.push_back(
              of("key", key, static_cast<double>((pauses ? kafka->paused : kafka->refused).of(limit))));
    }
  }
  for (auto* metric : {&limits, &refused, &paused})
    if (!metric->values.empty()) all.add(std::move(*metric));
}

void of_regions(const MetricSources& node, All& all) {
  all.one("afdg_checkpoints_total", "Checkpoints of regions written to the store", true,
          static_cast<double>(node.host->checkpoints()));
  all.one("afdg_store_memory_bytes", "Memory of the store", false,
          static_cast<double>(node.store->memory_bytes()));
  Metric lag{"afdg_region_lag", "Messages logged and not yet applied", false, {}};
  Metric behind{"afdg_region_checkpoint_lag", "Records of changes that the store lacks", false, {}};
  Metric outbox{
      "afdg_region_outbox", "Messages to other regions that their targets have not taken", false, {}};
  Metric dead{"afdg_region_dead", "End of the region's dead letters", false, {}};
  for (const auto& region : node.host->states({})) {
    if (!region.info.ok()) continue;
    const std::vector<std::pair<std::string, std::string>> labels{
        {"grid", region.executor->grid_name()},
        {"region", std::to_string(region.executor->region().value())}};
    lag.values.push_back({labels, static_cast<double>(region.info->messages_end - region.info->applied)});
    behind.values.push_back(
        {labels, static_cast<double>(region.info->changes_end - region.info->checkpointed)});
    outbox.values.push_back({labels, static_cast<double>(region.info->outbox)});
    dead.values.push_back({labels, static_cast<double>(region.info->dead_end.value())});
  }
  for (auto* metric : {&lag, &behind, &outbox, &dead}) all.add(std::move(*metric));
}

}  // namespace

std::uint64_t sync_percentile(const log::LogMetrics& metrics, double part) {
  std::uint64_t total = 0, seen = 0;
  for (const auto count : metrics.commit_us_log2) total += count;
  for (std::size_t i = 0; i < metrics.commit_us_log2.size(); ++i) {
    seen += metrics.commit_us_log2[i];
    if (total != 0 && static_cast<double>(seen) >= part * static_cast<double>(total))
      return std::uint64_t{1} << i;
  }
  return 0;
}

std::vector<Metric> node_metrics(const MetricSources& node) {
  All all;
  general(node, all);
  if (node.log != nullptr) of_log(node, all);
  of_topics(node, all);
  if (const auto* counters = node.kafka != nullptr ? node.kafka->counters() : nullptr) {
    of_kafka(*counters, all);
    of_groups(*node.kafka, all);
  }
  of_limits(node, all);
  if (node.host != nullptr) of_regions(node, all);
  return std::move(all.metrics);
}

}  // namespace afdg::server
