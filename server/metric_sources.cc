#include "server/metric_sources.h"

#include <string>
#include <utility>

#include "log/log.h"

namespace afdg::server {

std::vector<Metric> collect_metrics(const MetricSources& from) {
  const v1::ServerState& now = from.state;
  std::vector<Metric> all;
  const auto one = [&](const char* name, const char* help, bool counter, double value) {
    all.push_back({name, help, counter, {{{}, value}}});
  };
  one("afdg_uptime_seconds", "Since the process began to start", false, now.uptime_seconds());
  one("afdg_resident_memory_bytes", "Memory of the process", false, static_cast<double>(now.memory_bytes()));
  one("afdg_turns_total", "Messages that agents handled", true, static_cast<double>(now.turns()));
  one("afdg_reads_total", "Read-only messages that agents answered", true, static_cast<double>(now.reads()));
  one("afdg_commits_total", "Group commits of the journal, one fdatasync each", true,
      static_cast<double>(now.commits()));
  one("afdg_journal_bytes_total", "Bytes written to the journal", true,
      static_cast<double>(now.journal_bytes()));
  one("afdg_appended_bytes_total", "Bytes of record batches appended", true,
      static_cast<double>(now.appended_bytes()));
  one("afdg_calls_in_flight", "Calls that wait for their answer", false,
      static_cast<double>(now.calls_in_flight()));
  one("afdg_refused_overloaded_total", "Calls refused because a queue was full", true,
      static_cast<double>(now.refused_overloaded()));
  one("afdg_streams", "Open client streams", false, static_cast<double>(from.streams.streams.load()));
  one("afdg_frames_read_total", "Frames of calls read from streams", true,
      static_cast<double>(from.streams.frames_read.load()));
  one("afdg_reply_writes_total", "Frames of outcomes written to streams", true,
      static_cast<double>(now.reply_writes()));
  one("afdg_reply_messages_total", "Outcomes in those frames", true,
      static_cast<double>(now.reply_messages()));
  one("afdg_produce_calls", "Calls of Data.Produce under way", false,
      static_cast<double>(from.produced.calls.load()));
  one("afdg_produce_bytes_held", "Bytes of those calls", false,
      static_cast<double>(from.produced.bytes.load()));
  one("afdg_produce_refused_total", "Calls of Data.Produce of which nothing was stored", true,
      static_cast<double>(from.produced.refused.load()));
  one("afdg_produced_records_total", "Records stored by Data.Produce", true,
      static_cast<double>(from.produced.records.load()));
  one("afdg_live_agents", "Agents in memory", false, static_cast<double>(now.live_agents()));
  one("afdg_partitions", "Partitions that this node keeps", false, static_cast<double>(from.partitions));
  if (from.log != nullptr) {
    const log::LogMetrics log = from.log->metrics();
    one("afdg_commit_seconds_total", "Time spent in writing and syncing commits", true,
        static_cast<double>(log.commit_us_sum) / 1e6);
    one("afdg_log_bytes_in_flight", "Bytes appended and not yet in segments", false,
        static_cast<double>(log.bytes_in_flight));
    one("afdg_compactions_total", "Compactions of a partition that were ended", true,
        static_cast<double>(log.cleaner_rounds));
    one("afdg_compaction_read_bytes_total", "Bytes of batches that compaction read", true,
        static_cast<double>(log.cleaner_bytes_read));
    one("afdg_compaction_written_bytes_total", "Bytes of batches that compaction wrote anew", true,
        static_cast<double>(log.cleaner_bytes_written));
    one("afdg_disk_full", "1 while writes are refused because the disk is full", false,
        log.disk_full ? 1 : 0);
  }
  if (from.kafka) {
    const auto* kafka = &from.kafka->counters;
    one("afdg_kafka_connections", "Kafka clients", false, static_cast<double>(kafka->connections.load()));
    one("afdg_kafka_connections_limit", "kafka-connections-max", false,
        static_cast<double>(from.kafka->connections_max));
    one("afdg_kafka_bytes_held_limit", "kafka-bytes-max", false, static_cast<double>(from.kafka->bytes_max));
    one("afdg_kafka_bytes_held", "Bytes of Kafka requests and answers under way", false,
        static_cast<double>(kafka->bytes.load()));
    one("afdg_kafka_requests_total", "Requests of Kafka clients", true,
        static_cast<double>(kafka->requests.load()));
    one("afdg_kafka_refused_total", "Kafka connections closed for what they sent, or for a limit", true,
        static_cast<double>(kafka->refused.load()));
    one("afdg_kafka_produced_bytes_total", "Bytes of batches taken from Kafka clients", true,
        static_cast<double>(kafka->produced_bytes.load()));
    one("afdg_kafka_fetched_bytes_total", "Bytes of batches given to Kafka clients", true,
        static_cast<double>(kafka->fetched_bytes.load()));
    one("afdg_kafka_fetches_waiting", "Fetches that wait for records", false,
        static_cast<double>(kafka->fetches_waiting.load()));
  }
  if (from.groups) {
    const log::groups::Stats& groups = *from.groups;
    one("afdg_kafka_groups", "Consumer groups that this node coordinates", false,
        static_cast<double>(groups.groups));
    one("afdg_kafka_groups_stable", "Those of them whose members all have their assignment", false,
        static_cast<double>(groups.groups_stable));
    one("afdg_kafka_group_members", "Members of these groups", false, static_cast<double>(groups.members));
    one("afdg_kafka_group_offsets", "Committed offsets of these groups", false,
        static_cast<double>(groups.offsets));
    one("afdg_kafka_group_rebalances_total", "Rebalances that were ended", true,
        static_cast<double>(groups.rebalances));
    one("afdg_kafka_group_members_expired_total", "Members put out because they were silent", true,
        static_cast<double>(groups.members_expired));
    one("afdg_kafka_group_offsets_expired_total", "Offsets that were not used for too long", true,
        static_cast<double>(groups.offsets_expired));
    one("afdg_kafka_group_refused_total", "Joins and commits refused for a limit of groups", true,
        static_cast<double>(groups.refused));
  }
  if (from.host != nullptr) {
    one("afdg_checkpoints_total", "Checkpoints of regions written to the store", true,
        static_cast<double>(from.host->checkpoints()));
    one("afdg_store_memory_bytes", "Memory of the store", false,
        static_cast<double>(from.store->memory_bytes()));
    Metric lag{"afdg_region_lag", "Messages logged and not yet applied", false, {}};
    Metric behind{"afdg_region_checkpoint_lag", "Records of changes that the store lacks", false, {}};
    Metric outbox{
        "afdg_region_outbox", "Messages to other regions that their targets have not taken", false, {}};
    Metric dead{"afdg_region_dead", "End of the region's dead letters", false, {}};
    for (const auto& region : from.host->states({})) {
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
    for (auto* metric : {&lag, &behind, &outbox, &dead}) all.push_back(std::move(*metric));
  }
  return all;
}

}  // namespace afdg::server
