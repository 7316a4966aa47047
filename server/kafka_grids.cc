#include "server/kafka_grids.h"

#include <cinttypes>
#include <cstdio>
#include <deque>
#include <mutex>
#include <utility>

#include "base/codec.h"
#include "log/codecs.h"
#include "region/message.h"

namespace afdg::server {
namespace {

constexpr std::size_t kKeyBytesMax = 1024;  // of an agent; a longer one is buried, under no identity
constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kNamesShown = kNameBytesMax + 1;  // so that a longer one stays an unknown one

/// The sends of one batch. Owns what their views look into.
class BatchSink final : public CallSink {
 public:
  BatchSink(PartitionIndex partition, std::string bytes, std::function<void(kafka::Grids::Sent)> done)
      : batch(std::move(bytes)),
        partition_(static_cast<std::uint32_t>(partition.value())),
        done_(std::move(done)) {}

  std::string batch;
  std::string unpacked;
  std::deque<std::string> ids;

  void expect(std::size_t calls) { left_ = calls; }
  void outcome(const OutcomeView& outcome) override {
    const std::lock_guard lock(mutex_);
    --left_;
    if (outcome.code != Code::kOk) {
      // The worst that a client can mend by less or later is told: of several errors, the first.
      if (sent_.status.ok()) sent_.status = fail(outcome.code, std::string(outcome.text));
    } else if (outcome.region == partition_ && outcome.offset >= 0 &&
               (sent_.base == Offset(-1) || Offset(outcome.offset) < sent_.base)) {
      sent_.base = Offset(outcome.offset);
    }
  }
  void flush() override {
    std::function<void(kafka::Grids::Sent)> done;
    {
      const std::lock_guard lock(mutex_);
      if (left_ != 0 || !done_) return;
      done = std::exchange(done_, nullptr);
    }
    done(std::move(sent_));
  }
  void end(Status status) {
    sent_.status = std::move(status);
    left_ = 0;
    flush();
  }

 private:
  const std::uint32_t partition_;
  std::mutex mutex_;
  std::size_t left_ = 0;
  kafka::Grids::Sent sent_;
  std::function<void(kafka::Grids::Sent)> done_;
};

std::string identity_of(const log::BatchView& batch, PartitionIndex partition, std::int64_t index) {
  constexpr std::int64_t kSequences = std::int64_t{1} << 31;
  char id[96];
  std::snprintf(id, sizeof id, "kafka/%" PRIx64 "/%d/%d/%" PRId64,
                static_cast<std::uint64_t>(batch.producer_id()), batch.producer_epoch(), partition.value(),
                (batch.base_sequence() + index) % kSequences);
  return id;
}

Status read_calls(const GridRoutes& grid, PartitionIndex partition, BatchSink& sink, FrameView& frame) {
  AFDG_ASSIGN(const log::BatchView batch, log::BatchView::parse(sink.batch));
  AFDG_ASSIGN(const std::string_view records, log::unpack_records(batch, sink.unpacked));
  const std::string_view standard =
      grid.grid.types.size() == 1 ? std::string_view(grid.grid.types.front()) : std::string_view();
  log::RecordReader reader(batch, records);
  log::RecordView record;
  for (std::int64_t index = 0; reader.next(record); ++index) {
    region::MessageView message;
    region::parse_message(record, standard, message).ignore("its own identity is not believed");
    CallView& call = frame.calls.emplace_back();
    call.id = static_cast<std::uint64_t>(index);
    call.key = record.key.value_or(std::string_view());
    call.type = message.type.substr(0, kNamesShown);
    call.message = message.message.substr(0, kNamesShown);
    call.payload = record.value.value_or(std::string_view());
    call.content = message.content;
    call.want = region::Want::kReceipt;
    call.take = true;
    call.region = call.key.empty() ? static_cast<std::uint32_t>(partition.value())
                                   : static_cast<std::uint32_t>(key_partition(call.key, grid.grid.regions));
    if (batch.producer_id() >= 0 && call.key.size() <= kKeyBytesMax)
      call.request_id = sink.ids.emplace_back(identity_of(batch, partition, index));
  }
  return reader.status();
}

}  // namespace

void KafkaGrids::send(std::string name, PartitionIndex partition, std::string batch,
                      std::function<void(Sent)> done) {
  const auto sink = std::make_shared<BatchSink>(partition, std::move(batch), std::move(done));
  const auto routes = board_.get();
  const GridRoutes* grid = routes->find(name);
  if (grid == nullptr) return sink->end(fail(Code::kUnknownGrid, unknown_grid(*routes, name)));
  FrameView frame;
  frame.grid = name;
  if (Status read = read_calls(*grid, partition, *sink, frame); !read.ok()) return sink->end(std::move(read));
  sink->expect(frame.calls.size());
  router_.dispatch(frame, sink, sink);
}

}  // namespace afdg::server
