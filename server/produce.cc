#include "server/produce.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "afdg/v1/data.pb.h"
#include "base/codec.h"
#include "log/batch.h"

namespace afdg::server {
namespace {

/// A call above it is served by a worker: the queue's thread has others to serve.
constexpr std::size_t kAtOnceBytes = std::size_t{64} << 10;
constexpr std::int64_t kTimeoutStandard = 10'000;
constexpr std::int64_t kTimeoutMax = 600'000;

using Topic = kafka::ClusterView::Topic;

/// Why a topic cannot be produced to.
Status may_produce(const Topic* topic, const std::string& name) {
  if (topic == nullptr) {
    return fail(Code::kNotFound, "no topic is named '" + name + "': create it with 'afdg topic create " +
                                     name + "', or list them with 'afdg topic list'");
  }
  const std::string grid = name.substr(0, name.rfind('.'));
  switch (topic->kind) {
    case kafka::TopicKind::kPlain:
      return {};
    case kafka::TopicKind::kInternal:
      return fail(Code::kPermissionDenied, "topic '" + name +
                                               "' keeps the offsets of consumer groups, and the server alone "
                                               "writes it: move a group with 'afdg group seek'");
    case kafka::TopicKind::kMessages:
      return fail(Code::kPermissionDenied,
                  "topic '" + name + "' holds the messages of grid '" + grid +
                      "', which name their agent and type: send them with 'afdg -g " + grid +
                      " agent send TYPE/KEY MESSAGE JSON'");
    case kafka::TopicKind::kDerived:
      return fail(Code::kPermissionDenied, "topic '" + name + "' is what the agents of grid '" + grid +
                                               "' did, and they alone write it: send messages to them with "
                                               "'afdg -g " +
                                               grid + " agent send'");
  }
  return {};
}

/// One call. What becomes of its records is written by whoever learns it; the last one answers.
class Producing final : public std::enable_shared_from_this<Producing> {
 public:
  Producing(const ProduceParts& parts, std::size_t bytes, RpcAnswer answer)
      : parts_(parts), bytes_(bytes), answer_(std::move(answer)) {}
  ~Producing() {
    if (!admitted_) return;
    parts_.counters->bytes -= bytes_;
    --parts_.counters->calls;
  }
  Producing(const Producing&) = delete;
  Producing& operator=(const Producing&) = delete;

  void start(const RpcBytes& bytes) {
    if (const Status taken = take(bytes); !taken.ok()) return refuse(taken);
    if (bytes_ <= kAtOnceBytes) return run();
    if (!parts_.background->post([self = shared_from_this()] { self->run(); }))
      refuse(fail(Code::kOverloaded, "too many large produce calls wait: try again later"));
  }

 private:
  /// Batches of one partition that this node leads.
  struct Local {
    TopicPartition partition;
    Epoch epoch;
    std::vector<std::size_t> records;
    struct Batch {
      std::string bytes;
      std::size_t first;  ///< in `records`
      std::size_t count;
    };
    std::vector<Batch> batches;
  };
  struct Remote {
    std::string address;
    std::vector<std::size_t> records;
    v1::ProduceCall call;
  };

  void refuse(const Status& why) {
    ++parts_.counters->refused;
    answer_(why.error());
  }

  Status take(const RpcBytes& bytes) {
    if (!parts_.serving())
      return fail(Code::kUnavailable, "the server is starting or stopping: try again soon");
    if (bytes_ > kProduceCallBytesMax) {
      return fail(Code::kMessageTooLarge, "a produce call of " + std::to_string(bytes_) +
                                              " bytes, the limit is " + std::to_string(kProduceCallBytesMax) +
                                              ": produce fewer records at once");
    }
    const std::uint64_t held = parts_.counters->bytes.fetch_add(bytes_) + bytes_;
    ++parts_.counters->calls;
    admitted_ = true;
    if (held > parts_.bytes_max && held != bytes_) {
      return fail(Code::kOverloaded, std::to_string(held) +
                                         " bytes of records are being produced, the limit is " +
                                         std::to_string(parts_.bytes_max) + ": try again later");
    }
    if (!call_.ParseFromArray(bytes.view.data(), static_cast<int>(bytes.view.size())))
      return fail(Code::kUndecodable, "the call is no afdg.v1.ProduceCall: check the client");
    if (call_.records_size() > kProduceRecordsMax) {
      return fail(Code::kInvalidArgument, "a produce call of " + std::to_string(call_.records_size()) +
                                              " records, the limit is " + std::to_string(kProduceRecordsMax) +
                                              ": produce fewer at once");
    }
    if (call_.records().empty())
      return fail(Code::kInvalidArgument, "a produce call without records: give at least one");
    return {};
  }

  void run() {
    if (!parts_.serving())
      return refuse(fail(Code::kUnavailable, "the server is starting or stopping: try again soon"));
    view_ = parts_.cluster->view();
    topic_ = view_->find(call_.topic());
    Status good = may_produce(topic_, call_.topic());
    if (good.ok()) good = plan();
    if (good.ok()) good = build();
    if (!good.ok()) return refuse(good);
    for (Local& one : local_) append(one);
    for (Remote& one : remote_) pass_on(one);
    done();
  }

  /// Who answers for the partition: its leader's address, empty for this node, or why nobody does.
  Result<std::string> leader_of(std::uint32_t partition, const Routes& routes) const {
    const NodeId leader = topic_->partitions[partition].leader;
    if (leader == routes.self && parts_.log != nullptr) return std::string();
    const std::string what = "partition " + std::to_string(partition) + " of topic '" + topic_->name + "'";
    if (call_.forwarded())
      return fail(Code::kNotLeader, "this node does not lead " + what + " any more: try again");
    const auto node = routes.nodes.find(leader);
    if (node == routes.nodes.end() || !node->second.alive || leader == routes.self) {
      return fail(Code::kUnavailable, what + " is led by node " + std::to_string(leader.value()) +
                                          ", which does not answer: wait for it to come back");
    }
    return node->second.address;
  }

  /// The partition of records without a key: one a call, in turns, and none whose leader is away.
  std::uint32_t next_partition(const Routes& routes) const {
    static std::atomic<std::uint32_t> turn{0};
    const auto count = static_cast<std::uint32_t>(topic_->partitions.size());
    for (std::uint32_t tried = 0; tried < count; ++tried) {
      const std::uint32_t partition = turn.fetch_add(1, std::memory_order_relaxed) % count;
      if (leader_of(partition, routes).ok()) return partition;
    }
    return turn.load(std::memory_order_relaxed) % count;
  }

  Status check(const v1::ProduceRecord& record, std::int64_t now) const {
    const TopicSettings& settings = topic_->settings;
    if (settings.cleanup_compact && record.has_key_case() == v1::ProduceRecord::HAS_KEY_NOT_SET)
      return fail(Code::kInvalidRecord,
                  "topic '" + topic_->name + "' is compacted, so each of its records needs a key: give one");
    const std::int64_t time = record.timestamp_unix_ms();
    if (time == 0 || settings.log_append_time) return {};
    const bool early = time < 0 || (time < now && now - time > settings.timestamp_before_max_ms);
    if (early || (time > now && time - now > settings.timestamp_after_max_ms)) {
      return fail(Code::kInvalidTimestamp,
                  "record time " + std::to_string(time) + " ms is further " + (early ? "before" : "after") +
                      " the node's than topic '" + topic_->name +
                      "' allows: correct it, or raise the topic's " +
                      (early ? "message.timestamp.before.max.ms" : "message.timestamp.after.max.ms"));
    }
    return {};
  }

  /// Who stores the records of a partition, or why nobody does.
  struct Target {
    Local* local = nullptr;
    Remote* remote = nullptr;
    Status nobody;
  };
  Target target_of(std::uint32_t partition, const Routes& routes, std::map<std::string, Remote*>& remotes) {
    const Result<std::string> leader = leader_of(partition, routes);
    if (!leader.ok()) return {nullptr, nullptr, leader.error()};
    if (leader->empty()) {
      local_.push_back({{topic_->id, PartitionIndex(static_cast<std::int32_t>(partition))},
                        topic_->partitions[partition].epoch,
                        {},
                        {}});
      return {&local_.back(), nullptr, {}};
    }
    Remote*& remote = remotes[*leader];
    if (remote == nullptr) remote = &remote_.emplace_back(Remote{*leader, {}, {}});
    return {nullptr, remote, {}};
  }

  /// Chooses partitions, and who stores what.
  Status plan() {
    const auto routes = parts_.board->get();
    const auto partitions = static_cast<std::uint32_t>(topic_->partitions.size());
    const auto records = static_cast<std::size_t>(call_.records_size());
    const std::int64_t now = parts_.clock->now().time_since_epoch().count();
    receipts_.resize(records);
    std::optional<std::uint32_t> keyless;
    std::map<std::uint32_t, Target> targets;
    std::map<std::string, Remote*> remotes;
    for (std::size_t i = 0; i < records; ++i) {
      const v1::ProduceRecord& record = call_.records(static_cast<int>(i));
      AFDG_TRY(check(record, now));
      std::uint32_t partition = 0;
      if (record.has_partition_case() == v1::ProduceRecord::kPartition) {
        partition = record.partition();
        if (partition >= partitions) {
          return fail(Code::kNotFound, "topic '" + topic_->name + "' has no partition " +
                                           std::to_string(partition) + ": it has 0 to " +
                                           std::to_string(partitions - 1));
        }
      } else if (record.has_key_case() == v1::ProduceRecord::kKey) {
        partition =
            static_cast<std::uint32_t>(key_partition(record.key(), static_cast<std::int32_t>(partitions)));
      } else {
        if (!keyless) keyless = next_partition(*routes);
        partition = *keyless;
      }
      receipts_[i].partition = partition;
      const auto [target, first] = targets.try_emplace(partition);
      if (first) target->second = target_of(partition, *routes, remotes);
      if (target->second.local != nullptr) {
        target->second.local->records.push_back(i);
      } else if (target->second.remote != nullptr) {
        target->second.remote->records.push_back(i);
      } else {
        failed(i, target->second.nobody.error());
      }
    }
    return {};
  }

  /// The batches of this node's partitions. Nothing is stored before all of them are there.
  Status build() {
    const Timestamp now = parts_.clock->now();
    const auto bytes_max = static_cast<std::size_t>(
        std::min<std::int64_t>(topic_->settings.max_message_bytes, log::kBatchBytesMax));
    log::BatchBuilder builder;
    std::vector<log::Header> headers;
    for (Local& one : local_) {
      std::size_t first = 0;
      const auto seal = [&](std::size_t end) {
        std::string bytes(builder.seal(Offset(0), one.epoch));
        if (topic_->settings.log_append_time)
          log::restamp_time(bytes.data(), bytes.size(), now.time_since_epoch().count(), true);
        one.batches.push_back({std::move(bytes), first, end - first});
        first = end;
        builder.clear();
      };
      for (std::size_t n = 0; n < one.records.size(); ++n) {
        const v1::ProduceRecord& record = call_.records(static_cast<int>(one.records[n]));
        headers.clear();
        for (const auto& header : record.headers()) headers.push_back({header.key(), header.value()});
        const Timestamp time = record.timestamp_unix_ms() == 0 || topic_->settings.log_append_time
                                   ? now
                                   : Timestamp(std::chrono::milliseconds(record.timestamp_unix_ms()));
        std::optional<std::string_view> key, value;
        if (record.has_key_case() == v1::ProduceRecord::kKey) key = record.key();
        if (record.has_value_case() == v1::ProduceRecord::kValue) value = record.value();
        for (;;) {
          const auto before = builder.savepoint();
          builder.add(time, key, value, headers.data(), headers.size());
          if (builder.bytes() <= bytes_max) break;
          const std::size_t size = builder.bytes();
          builder.rollback(before);
          if (builder.empty()) {
            return fail(Code::kMessageTooLarge, "a record that makes a batch of " + std::to_string(size) +
                                                    " bytes, topic '" + topic_->name + "' takes " +
                                                    std::to_string(bytes_max) +
                                                    ": send less, or raise the topic's max.message.bytes");
          }
          seal(n);
        }
      }
      seal(one.records.size());
    }
    return {};
  }

  void append(Local& one) {
    const bool waits = !topic_->settings.relaxed;
    for (std::size_t i = 0; i < one.batches.size(); ++i) {
      Local::Batch& batch = one.batches[i];
      if (waits) ++left_;
      const auto appended = parts_.log->append(
          one.partition, batch.bytes, one.epoch,
          [self = shared_from_this(), &one, &batch, waits](log::AppendOutcome outcome) {
            if (!waits) return;
            if (outcome != log::AppendOutcome::kCommitted) {
              self->failed(one, batch,
                           fail(Code::kInDoubt,
                                "the log stopped before the record was durable: look whether it "
                                "is there before it is produced again"));
            }
            self->done();
          },
          {.crc = log::CrcCheck::kCallerHasVerifiedTheseBytes});
      if (!appended.ok()) {
        if (waits) --left_;
        // What comes after would overtake it.
        for (; i < one.batches.size(); ++i) failed(one, one.batches[i], appended.error());
        return;
      }
      for (std::size_t n = 0; n < batch.count; ++n)
        receipts_[one.records[batch.first + n]].offset =
            appended->base.value() + static_cast<std::int64_t>(n);
    }
  }
  void failed(std::size_t record, const Error& why) {
    receipts_[record].code = why.code();
    receipts_[record].text = why.text();
  }
  void failed(const Local& one, const Local::Batch& batch, const Error& why) {
    for (std::size_t n = 0; n < batch.count; ++n) failed(one.records[batch.first + n], why);
  }

  void pass_on(Remote& one) {
    v1::ProduceCall& call = one.call;
    call.set_topic(call_.topic());
    call.set_timeout_ms(call_.timeout_ms());
    call.set_forwarded(true);
    for (const std::size_t i : one.records) {
      v1::ProduceRecord& record = *call.add_records();
      record.Swap(call_.mutable_records(static_cast<int>(i)));
      record.set_partition(receipts_[i].partition);
    }
    const std::int64_t timeout =
        call_.timeout_ms() > 0 ? std::min(call_.timeout_ms(), kTimeoutMax) : kTimeoutStandard;
    ++left_;
    parts_.peers->call(one.address, "/afdg.v1.Data/Produce", call.SerializeAsString(),
                       std::chrono::milliseconds(timeout),
                       [self = shared_from_this(), &one](const Result<std::string>& bytes) {
                         self->came_back(one, bytes);
                         self->done();
                       });
  }
  void came_back(const Remote& one, const Result<std::string>& bytes) {
    v1::ProduceAnswer answer;
    if (bytes.ok() && answer.ParseFromString(*bytes) &&
        static_cast<std::size_t>(answer.receipts_size()) == one.records.size()) {
      for (std::size_t n = 0; n < one.records.size(); ++n) {
        Receipt& receipt = receipts_[one.records[n]];
        v1::ProduceReceipt& theirs = *answer.mutable_receipts(static_cast<int>(n));
        receipt.offset = theirs.offset();
        receipt.code = code_from_number(theirs.code());
        receipt.text = std::move(*theirs.mutable_text());
      }
      return;
    }
    Error why = bytes.ok()
                    ? fail(Code::kInDoubt, "the node at " + one.address +
                                               " answered with bytes that are no answer: look whether the "
                                               "record is there before it is produced again")
                    : bytes.error();
    // A connection that broke, or an answer that is late: whether it arrived is not known, but for this text
    // of gRPC's.
    if (why.code() == Code::kUnavailable && why.text().find("failed to connect") == std::string::npos &&
        why.text().find("starting or stopping") == std::string::npos) {
      why =
          fail(Code::kInDoubt, why.text() + "; look whether the record is there before it is produced again");
    }
    for (const std::size_t i : one.records) failed(i, why);
  }

  void done() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    v1::ProduceAnswer answer;
    std::uint64_t stored = 0;
    for (Receipt& one : receipts_) {
      v1::ProduceReceipt& receipt = *answer.add_receipts();
      receipt.set_partition(one.partition);
      receipt.set_code(static_cast<std::uint32_t>(one.code));
      receipt.set_offset(one.code == Code::kOk ? one.offset : -1);
      if (one.code == Code::kOk) {
        ++stored;
      } else {
        receipt.set_text(std::move(one.text));
      }
    }
    if (!call_.forwarded()) parts_.counters->records += stored;
    answer_(answer.SerializeAsString());
  }

  /// Written by whoever learns what became of the record; read by the last one.
  struct Receipt {
    std::uint32_t partition = 0;
    std::int64_t offset = -1;
    Code code = Code::kOk;
    std::string text;
  };

  const ProduceParts parts_;
  const std::size_t bytes_;
  const RpcAnswer answer_;
  bool admitted_ = false;
  v1::ProduceCall call_;
  std::shared_ptr<const kafka::ClusterView> view_;
  const Topic* topic_ = nullptr;
  std::vector<Receipt> receipts_;
  std::deque<Local> local_;
  std::deque<Remote> remote_;
  std::atomic<std::size_t> left_{1};  ///< appends and calls under way, and one for run()
};

}  // namespace

RpcMethod produce_method(const ProduceParts& parts) {
  return unary_method([parts](RpcBytes bytes, std::chrono::system_clock::time_point, RpcAnswer answer) {
    std::make_shared<Producing>(parts, bytes.view.size(), std::move(answer))->start(bytes);
  });
}

}  // namespace afdg::server
