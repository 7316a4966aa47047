#include "server/kafka_grids.h"

#include <utility>

#include "base/codec.h"

namespace afdg::server {
namespace {

/// One batch: it has one outcome, and nobody else looks at it meanwhile.
class BatchSink final : public CallSink {
 public:
  explicit BatchSink(std::function<void(kafka::Grids::Sent)> done) : done_(std::move(done)) {}
  void outcome(const OutcomeView& outcome) override {
    if (outcome.code != Code::kOk) {
      sent_.status = fail(outcome.code, std::string(outcome.text));
      return;
    }
    sent_.base = Offset(outcome.offset);
    ByteReader logged(outcome.text);
    if (!outcome.text.empty())
      sent_.logged = Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(logged.be64())));
  }
  void flush() override {
    if (done_) std::exchange(done_, nullptr)(std::move(sent_));
  }

 private:
  kafka::Grids::Sent sent_;
  std::function<void(kafka::Grids::Sent)> done_;
};

}  // namespace

void KafkaGrids::send(std::string grid, PartitionIndex partition, std::string batch,
                      std::function<void(Sent)> done) {
  router_.produce(grid, RegionId(partition.value()), std::make_shared<const std::string>(std::move(batch)),
                  std::make_shared<BatchSink>(std::move(done)));
}

}  // namespace afdg::server
