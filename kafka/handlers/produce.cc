#include "kafka/messages/produce.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kafka/broker/grids.h"
#include "kafka/handlers/handlers.h"
#include "kafka/handlers/topics.h"
#include "log/produced.h"

namespace afdg::kafka {
namespace {

/// A produce request whose batches are on their way to the disk.
struct Produced {
  CallPtr call;
  ProduceRequest request;
  ProduceResponse response;
  std::size_t left = 1;  ///< appends under way, and one for the handler itself
  bool failed = false;
  std::size_t records_named = 0;  ///< in the errors of all partitions

  ProduceResponse::Partition& at(std::size_t topic, std::size_t partition) {
    return response.responses[topic].partition_responses[partition];
  }
  /// It was not stored. Its producer's next batches are not to be stored before it, see RefusedBatches.
  void refuse(std::size_t topic, std::size_t partition, ErrorCode code, std::string text = {}) {
    auto& answer = at(topic, partition);
    answer.error_code = code;
    if (!text.empty()) answer.error_message = call->keep(std::move(text));
    answer.base_offset = -1;
    answer.log_append_time_ms = -1;
    failed = true;
    // A partition that minds a sequence or an epoch knows the producer: it judges what comes behind by
    // itself.
    if (code == ErrorCode::kOutOfOrderSequenceNumber || code == ErrorCode::kInvalidProducerEpoch) return;
    watch(topic, partition);
  }
  void watch(std::size_t topic, std::size_t partition) {
    const auto& asked = request.topic_data[topic];
    const auto& data = asked.partition_data[partition];
    const auto batch = batch_identity(data.records.bytes());
    if (RefusedBatches* refused = call->refused_batches(); batch && refused != nullptr)
      refused->add(asked.name, data.index, *batch);
  }
  void done() {
    if (--left != 0) return;
    if (request.acks != 0) return call->reply(response);
    // A client that wants no answer learns of a failure by the end of its connection, as with Kafka.
    if (failed)
      return call->hang_up("a produce without acknowledgement failed, so the client is told this way");
    call->no_reply();
  }
};

constexpr std::size_t kMagicAt = 16;  // in a batch, and in the messages before it
constexpr std::size_t kUnpackedBytesKept = 4u << 20;
constexpr std::size_t kGridUnpackedBytesMax = 16u << 20;  // a region takes a batch at once

/// Clients write a batch again after UNKNOWN_SERVER_ERROR, so it is never the answer to a produce.
ErrorCode produce_error(Code code) noexcept {
  switch (code) {
    case Code::kNotFound:
      return ErrorCode::kUnknownTopicOrPartition;
    case Code::kFailedPrecondition:
    case Code::kPermissionDenied:
      return ErrorCode::kInvalidTopicException;
    case Code::kInvalidArgument:
      return ErrorCode::kInvalidRecord;
    case Code::kOverloaded:
      // librdkafka and sarama give up on THROTTLING_QUOTA_EXCEEDED; this one every client tries again.
      return ErrorCode::kNotEnoughReplicas;
    case Code::kUnavailable:
    case Code::kNotLeader:
    case Code::kFenced:
      return ErrorCode::kNotLeaderOrFollower;
    case Code::kUnknownGrid:
      return ErrorCode::kUnknownTopicOrPartition;
    case Code::kInDoubt:
    case Code::kDeadlineExceeded:
      return ErrorCode::kRequestTimedOut;
    default: {
      const ErrorCode mapped = error_code(code);
      return mapped == ErrorCode::kUnknownServerError ? ErrorCode::kKafkaStorageError : mapped;
    }
  }
}

/// A damaged region is not a damaged batch, which clients would send again.
ErrorCode send_error(Code code) noexcept {
  return code == Code::kCorrupt ? ErrorCode::kKafkaStorageError : produce_error(code);
}

/// What the topic's settings demand of each record (KIP-937).
log::RecordLimits record_limits(const TopicSettings& settings, std::int64_t now) {
  log::RecordLimits limits;
  limits.keys_required = settings.cleanup_compact;
  limits.unpacked_bytes_max =
      std::max(static_cast<std::size_t>(settings.max_message_bytes), log::kUnpackedBytesMax);
  if (settings.log_append_time) return limits;
  limits.time_min = now - settings.timestamp_before_max_ms;
  limits.time_max = settings.timestamp_after_max_ms > std::numeric_limits<std::int64_t>::max() - now
                        ? std::numeric_limits<std::int64_t>::max()
                        : now + settings.timestamp_after_max_ms;
  return limits;
}

bool takes_all(const log::ProducedBatch& valid, const log::RecordLimits& limits) noexcept {
  return (!limits.keys_required || valid.first_without_key < 0) &&
         valid.records_max_timestamp <= limits.time_max &&
         (valid.records_min_timestamp == -1 || valid.records_min_timestamp >= limits.time_min);
}

/// Why a topic does not take that record.
std::string why_refused(const log::RefusedRecords::Record& record, const TopicSettings& settings,
                        const log::RecordLimits& limits) {
  if (!record.has_key) return "a record without a key, and the topic is compacted: give each record a key";
  const bool late = record.timestamp > limits.time_max;
  return "record time " + std::to_string(record.timestamp) + " ms is more than " +
         std::to_string(late ? settings.timestamp_after_max_ms : settings.timestamp_before_max_ms) + " ms " +
         (late ? "after" : "before") +
         " the node's: correct the clock, or raise the topic's message.timestamp." +
         (late ? "after" : "before") + ".max.ms";
}

/// Says of each record that its topic does not take why not (KIP-467).
void refuse_records(Produced& produced, std::size_t topic, std::size_t partition,
                    const TopicSettings& settings, const log::RecordLimits& limits,
                    const log::RefusedRecords& refused) {
  Call& call = *produced.call;
  auto& answer = produced.at(topic, partition);
  std::string_view no_key;
  for (const auto& record : refused.records) {
    auto& error = answer.record_errors.emplace_back();
    error.batch_index = record.index;
    if (!record.has_key && !no_key.empty()) {
      error.batch_index_error_message = no_key;
      continue;
    }
    error.batch_index_error_message = call.keep(why_refused(record, settings, limits));
    if (!record.has_key) no_key = *error.batch_index_error_message;
  }
  produced.records_named += refused.records.size();
  std::string text = std::to_string(refused.count) + " of the batch's records cannot be taken, so none is";
  if (!refused.records.empty())
    text += "; record " + std::to_string(refused.records[0].index) + ": " +
            why_refused(refused.records[0], settings, limits);
  produced.refuse(topic, partition, refused.times ? ErrorCode::kInvalidTimestamp : ErrorCode::kInvalidRecord,
                  std::move(text));
}

/// The batch's times as the topic's settings want them (KIP-32). Gives other bytes when it must change them;
/// `append_time` then holds what the client is told.
std::string_view with_times(Call& call, const TopicSettings& settings, const log::ProducedBatch& valid,
                            std::int64_t now, std::int64_t& append_time) {
  std::int64_t stamp = valid.records_max_timestamp;
  if (settings.log_append_time) {
    append_time = stamp = now;
  } else if (stamp == valid.batch.max_timestamp()) {
    return valid.batch.bytes();
  }
  std::string bytes(valid.batch.bytes());
  log::restamp_time(bytes.data(), bytes.size(), stamp, settings.log_append_time);
  return call.keep(std::move(bytes));
}

/// That these bytes are one batch which the topic takes.
Result<log::ProducedBatch> check(const Call& call, const TopicSettings& settings, std::string_view records,
                                 std::size_t unpacked_bytes_max, bool keys_required, std::string& unpacked) {
  const auto bytes_max = static_cast<std::size_t>(settings.max_message_bytes);
  if (records.empty()) return fail(Code::kInvalidArgument, "no record batch for this partition");
  // The formats before 2 (KIP-98) cannot become sound by being sent again, as CORRUPT_MESSAGE would have it.
  if (records.size() > kMagicAt && (records[kMagicAt] == 0 || records[kMagicAt] == 1))
    return fail(Code::kInvalidArgument, "message format " + std::to_string(int{records[kMagicAt]}) +
                                            ": only record batches (format 2) are taken here");
  log::ProducedLimits limits;
  limits.batch_bytes_max = bytes_max;
  limits.unpacked_bytes_max = std::max(bytes_max, unpacked_bytes_max);
  limits.keys_required = keys_required;
  auto valid = log::validate_produced(records, limits, unpacked);
  if (valid.ok() && valid->batch.codec() == log::Codec::kZstd && call.version() < 7)
    return fail(Code::kUnsupportedCompression, "zstd needs Produce version 7");
  return valid;
}

/// Produces to a grid's messages: each record is sent to the agent that its key names.
Status send(Broker& broker, const std::shared_ptr<Produced>& produced, const Place& place,
            std::string_view records, std::size_t topic, std::size_t partition) {
  if (broker.grids() == nullptr) return fail(Code::kPermissionDenied, "this node has no regions");
  std::string unpacked;
  AFDG_ASSIGN(const log::ProducedBatch valid,
              check(*produced->call, place.topic->settings, records, kGridUnpackedBytesMax,
                    place.topic->settings.cleanup_compact, unpacked));
  std::string batch(records);
  if (valid.batch.codec() != log::Codec::kNone) {
    batch.resize(log::batch_layout::kHeaderBytes);
    batch += unpacked;
  }
  constexpr std::string_view kSuffix = ".messages";
  std::string grid = place.topic->name.substr(0, place.topic->name.size() - kSuffix.size());
  if (const auto ends = broker.log().ends(place.partition); ends.ok())
    produced->at(topic, partition).log_start_offset = ends->start.value();
  ++produced->left;
  broker.counters().produced_bytes.fetch_add(records.size(), std::memory_order_relaxed);
  broker.grids()->send(std::move(grid), place.partition.partition, std::move(batch),
                       [&broker, produced, topic, partition](Grids::Sent sent) {
                         // Refused at once: what was read behind it must not be sent before it.
                         if (!sent.status.ok() && broker.loop().here()) produced->watch(topic, partition);
                         broker.later([produced, topic, partition, sent = std::move(sent)] {
                           auto& answer = produced->at(topic, partition);
                           answer.base_offset = sent.base.value();
                           answer.log_append_time_ms = sent.logged.time_since_epoch().count();
                           if (!sent.status.ok())
                             produced->refuse(topic, partition, send_error(sent.status.code()),
                                              sent.status.error().text());
                           produced->done();
                         });
                       });
  return {};
}

/// A batch that its topic takes.
struct Checked {
  std::size_t topic;
  std::size_t partition;
  Place place;
  std::string_view stored;
  std::int64_t append_time = -1;
};

constexpr std::size_t kRecordsNamedMax = 1000;  // in the answer to one request

/// Nothing when it is refused.
std::optional<Checked> check_append(Broker& broker, Produced& produced, const Place& place,
                                    std::string_view records, std::size_t topic, std::size_t partition) {
  const TopicSettings& settings = place.topic->settings;
  static thread_local std::string unpacked;  // kept over many batches, not when one was large
  const auto valid = check(*produced.call, settings, records, log::kUnpackedBytesMax, false, unpacked);
  const std::int64_t now = broker.clock().now().time_since_epoch().count();
  const log::RecordLimits limits = record_limits(settings, now);
  std::optional<Checked> out;
  if (!valid.ok()) {
    produced.refuse(topic, partition, produce_error(valid.code()), valid.error().text());
  } else if (!takes_all(*valid, limits)) {
    const std::size_t named_max = kRecordsNamedMax - std::min(kRecordsNamedMax, produced.records_named);
    refuse_records(produced, topic, partition, settings, limits,
                   log::refused_records(valid->batch, limits, named_max, unpacked));
  } else {
    out.emplace(Checked{.topic = topic, .partition = partition, .place = place, .stored = {}});
    out->stored = with_times(*produced.call, settings, *valid, now, out->append_time);
  }
  if (unpacked.capacity() > kUnpackedBytesKept) std::string().swap(unpacked);
  return out;
}

Status append(Broker& broker, const std::shared_ptr<Produced>& produced, const Checked& batch) {
  const auto [topic, partition, place, stored, append_time] = batch;
  const bool waits = !place.topic->settings.relaxed;  // else it is answered before it is on the disk
  if (waits) ++produced->left;
  const auto appended = broker.log().append(
      place.partition, stored, place.epoch,
      [&broker, produced, topic = batch.topic, partition = batch.partition,
       waits](log::AppendOutcome outcome) {
        if (!waits) return;
        broker.later([produced, topic, partition, outcome] {
          if (outcome != log::AppendOutcome::kCommitted)  // not known: an idempotent producer asks again
            produced->refuse(topic, partition, ErrorCode::kRequestTimedOut);
          produced->done();
        });
      },
      {.crc = log::CrcCheck::kCallerHasVerifiedTheseBytes,
       .owned = produced->call->share(stored),
       .leads = true});
  if (!appended.ok()) {
    if (waits) --produced->left;
    return appended.error();
  }
  broker.appended();
  broker.counters().produced_bytes.fetch_add(stored.size(), std::memory_order_relaxed);
  produced->at(topic, partition).base_offset = appended->base.value();
  produced->at(topic, partition).log_append_time_ms = append_time;
  if (const auto ends = broker.log().ends(place.partition); ends.ok())
    produced->at(topic, partition).log_start_offset = ends->start.value();
  return {};
}

/// Refuses a batch that comes behind one which was refused.
bool behind_refused(Produced& produced, std::size_t topic, std::size_t partition) {
  const auto& asked = produced.request.topic_data[topic];
  const auto& data = asked.partition_data[partition];
  const auto batch = batch_identity(data.records.bytes());
  RefusedBatches* earlier = produced.call->refused_batches();
  if (!batch || earlier == nullptr || !earlier->waits(asked.name, data.index, *batch)) return false;
  produced.refuse(topic, partition, ErrorCode::kOutOfOrderSequenceNumber,
                  "an earlier batch of this producer was refused: send both again, in order");
  return true;
}

}  // namespace

void handlers::produce(Broker& broker, const CallPtr& call) {
  const auto produced = std::make_shared<Produced>();
  produced->call = call;
  ProduceRequest& request = produced->request;
  if (!decode_or_hang_up(*call, request)) return;
  const auto view = broker.cluster().view();
  ErrorCode refused = ErrorCode::kNone;
  if (request.acks < -1 || request.acks > 1) refused = ErrorCode::kInvalidRequiredAcks;
  if (request.transactional_id) refused = ErrorCode::kTransactionalIdAuthorizationFailed;
  produced->response.responses.reserve(request.topic_data.size());
  std::vector<Checked> ready;
  for (std::size_t t = 0; t < request.topic_data.size(); ++t) {
    const auto& topic = request.topic_data[t];
    auto& out = produced->response.responses.emplace_back();
    out.name = topic.name;
    out.partition_responses.resize(topic.partition_data.size());
    for (std::size_t p = 0; p < topic.partition_data.size(); ++p) {
      const auto& data = topic.partition_data[p];
      auto& answer = out.partition_responses[p];
      answer.index = data.index;
      if (refused != ErrorCode::kNone) {
        produced->refuse(t, p, refused);
        continue;
      }
      if (behind_refused(*produced, t, p)) continue;
      const Place place = find_partition(*view, topic.name, data.index);
      const bool to_agents = place.error == ErrorCode::kNone && place.topic->kind == TopicKind::kMessages;
      if (place.error != ErrorCode::kNone) {
        produced->refuse(t, p, place.error);
      } else if (!to_agents && place.topic->kind != TopicKind::kPlain) {
        produced->refuse(t, p, ErrorCode::kInvalidTopicException);
      } else if (to_agents) {
        if (const Status taken = send(broker, produced, place, data.records.bytes(), t, p); !taken.ok())
          produced->refuse(t, p, produce_error(taken.code()), taken.error().text());
      } else if (auto checked = check_append(broker, *produced, place, data.records.bytes(), t, p)) {
        ready.push_back(*checked);
      }
    }
  }
  // All at once, so that they are in one commit.
  for (const Checked& batch : ready) {
    if (behind_refused(*produced, batch.topic, batch.partition)) continue;
    if (const Status taken = append(broker, produced, batch); !taken.ok())
      produced->refuse(batch.topic, batch.partition, produce_error(taken.code()), taken.error().text());
  }
  produced->done();
}

}  // namespace afdg::kafka
