#include "kafka/messages/list_offsets.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "kafka/handlers/handlers.h"
#include "log/batch.h"
#include "log/codecs.h"

namespace afdg::kafka {
namespace {

constexpr std::int64_t kLatest = -1;
constexpr std::int64_t kEarliest = -2;
constexpr std::int64_t kMaxTimestamp = -3;   // KIP-734
constexpr std::int64_t kEarliestLocal = -4;  // KIP-405: everything here is local
constexpr std::size_t kReadBytes = std::size_t{1} << 20;

struct Found {
  std::int64_t offset = -1;
  std::int64_t timestamp = -1;
};

/// The first record at or after a time.
Result<Found> at_time(log::Log& log, TopicPartition partition, std::int64_t time, Offset start, Offset end) {
  AFDG_ASSIGN(Offset from, log.find_time(partition, Timestamp(std::chrono::milliseconds(time))));
  std::string unpacked;
  while (from < end) {
    AFDG_ASSIGN(const log::BatchBytes read, log.read_batches(partition, from, kReadBytes));
    std::string_view left = read.bytes;
    while (!left.empty()) {
      AFDG_ASSIGN(const log::BatchView batch, log::BatchView::parse(left));
      left.remove_prefix(batch.size());
      if (batch.max_timestamp() < time) continue;
      if (batch.log_append_time()) return Found{std::max(batch.base(), start).value(), batch.max_timestamp()};
      AFDG_ASSIGN(const std::string_view records_bytes,
                  log::unpack_records(batch, unpacked, log::kUnpackedBytesMax));
      log::RecordReader records(batch, records_bytes);
      log::RecordView record;
      while (records.next(record)) {
        const std::int64_t timestamp = record.timestamp.time_since_epoch().count();
        if (timestamp >= time && record.offset >= start) return Found{record.offset.value(), timestamp};
      }
      AFDG_TRY(records.status());
    }
    if (read.next <= from) break;
    from = read.next;
  }
  return Found{};
}

/// The first of the records with the greatest time; the log itself knows the last one.
Result<Found> at_max_time(log::Log& log, TopicPartition partition, Offset start, Offset end) {
  AFDG_ASSIGN(const auto most, log.find_max_time(partition));
  if (!most) return Found{};
  const std::int64_t time = most->timestamp.time_since_epoch().count();
  AFDG_ASSIGN(const Found first, at_time(log, partition, time, start, end));
  // The batch may have lost that record to compaction.
  return first.offset < 0 ? Found{most->offset.value(), time} : first;
}

using Times = std::map<std::pair<std::string_view, std::int32_t>, std::size_t>;

/// How often the request names each partition, which can cost a read of the log; empty when each comes once.
Times times_asked(const ListOffsetsRequest& request) {
  Times times;
  bool repeats = false;
  for (const auto& topic : request.topics)
    for (const auto& wanted : topic.partitions)
      repeats = ++times[{topic.name, wanted.partition_index}] > 1 || repeats;
  if (!repeats) times.clear();
  return times;
}

}  // namespace

void handlers::list_offsets(Broker& broker, const CallPtr& call) {
  ListOffsetsRequest request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto view = broker.cluster().view();
  ListOffsetsResponse response;
  Times times = times_asked(request);
  for (const auto& topic : request.topics) {
    auto& out = response.topics.emplace_back();
    out.name = topic.name;
    for (const auto& wanted : topic.partitions) {
      const std::size_t asked =
          times.empty() ? 1 : std::exchange(times[{topic.name, wanted.partition_index}], 0);
      if (asked == 0) continue;  // was told that it is named twice
      auto& part = out.partitions.emplace_back();
      part.partition_index = wanted.partition_index;
      if (asked > 1) {
        part.error_code = ErrorCode::kInvalidRequest;
        continue;
      }
      const Place place = find_partition(*view, topic.name, wanted.partition_index);
      part.error_code = place.error;
      if (part.error_code == ErrorCode::kNone)
        part.error_code = check_epoch(wanted.current_leader_epoch, place.epoch);
      if (part.error_code != ErrorCode::kNone) continue;
      const auto ends = broker.log().ends(place.partition);
      if (!ends.ok()) {
        part.error_code = topic_read_error(ends.code());
        continue;
      }
      Found found;
      if ((wanted.timestamp == kMaxTimestamp && call->version() < 7) ||
          (wanted.timestamp == kEarliestLocal && call->version() < 8)) {
        part.error_code = ErrorCode::kUnsupportedVersion;
      } else if (wanted.timestamp == kLatest) {
        found.offset = ends->end.value();
      } else if (wanted.timestamp == kEarliest || wanted.timestamp == kEarliestLocal) {
        found.offset = ends->start.value();
      } else if (wanted.timestamp >= 0 || wanted.timestamp == kMaxTimestamp) {
        Result<Found> searched = Found{};
        if (wanted.timestamp == kMaxTimestamp) {
          searched = at_max_time(broker.log(), place.partition, ends->start, ends->end);
        } else {
          searched = at_time(broker.log(), place.partition, wanted.timestamp, ends->start, ends->end);
        }
        if (searched.ok()) {
          found = *searched;
        } else {
          part.error_code = topic_read_error(searched.code());
        }
      } else {
        part.error_code = ErrorCode::kUnsupportedVersion;  // what a later version may ask for
      }
      if (part.error_code != ErrorCode::kNone) continue;
      if (found.offset >= 0) part.leader_epoch = place.epoch.value();
      part.timestamp = found.timestamp;
      part.offset = found.offset;
      if (call->version() == 0) {
        // Version 0: the newest first; the end and the start stand for the segments' first offsets.
        part.old_style_offsets = {found.offset};
        if (wanted.timestamp == kLatest && wanted.max_num_offsets > 1 && ends->start < ends->end)
          part.old_style_offsets.push_back(ends->start.value());
      }
    }
    if (out.partitions.empty() && !topic.partitions.empty()) response.topics.pop_back();
  }
  call->reply(response);
}

}  // namespace afdg::kafka
