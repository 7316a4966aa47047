#include "region/testing/test_region.h"

#include <map>

#include "base/assert.h"
#include "log/memory_log.h"
#include "region/message.h"

namespace afdg::test {

using log::Stream;

class Region::Impl final : public region::Shell {
 public:
  explicit Impl(std::vector<agents::AgentType> types) {
    for (auto& type : types) {
      const Status added = types_.add(std::move(type));
      AFDG_ASSERT(added.ok(), "two agents of one type");
    }
    start();
  }
  ~Impl() override { core.reset(); }

  void start() {
    core.reset();
    core = std::make_unique<region::RegionCore>(RegionId(0), region::Options{}, types_,
                                                std::make_unique<log::MemoryLog>(log_), *store, "test/",
                                                clock, *this);
    const Status opened = core->open(Epoch(++epoch_));
    AFDG_ASSERT(opened.ok(), "a test region always opens");
    settle();
  }
  void settle() {
    while (core->poll()) {
    }
  }

  /// Records of a stream, oldest first.
  template <typename Visit>
  void read(Stream stream, Visit&& visit) {
    log::MemoryLog reader(log_);
    const Offset end = log_->committed_end(stream);
    for (Offset at = reader.start(stream); at < end;) at = reader.read(stream, at, {}, visit).value();
  }

  // Shell
  void release(region::ReplyBatch&& replies) override {
    for (const auto& entry : replies.entries) {
      if (entry.ticket != ticket) continue;
      if (entry.code != Code::kOk) {
        answer = fail(entry.code, std::string(replies.text(entry)));
      } else if (want == region::Want::kReceipt) {
        answer = std::to_string(entry.offset.value());
      } else {
        answer = std::string(replies.text(entry));
      }
    }
  }
  void wake() override {}
  void deliver(const region::OutboxEntry&) override {}  // one region: nothing leaves it

  ManualClock clock;
  std::unique_ptr<store::KeyValueStore> store = store::make_memory_store();
  std::unique_ptr<region::RegionCore> core;
  std::uint64_t ticket = 0;
  std::uint64_t sequence = 0;
  region::Want want = region::Want::kAnswer;
  std::optional<Result<std::string>> answer;

 private:
  agents::AgentTypes types_;
  std::shared_ptr<log::MemoryLogStorage> log_ = std::make_shared<log::MemoryLogStorage>();
  std::int32_t epoch_ = 0;
};

Region::Region(std::vector<agents::AgentType> types) : impl_(std::make_unique<Impl>(std::move(types))) {}
Region::~Region() = default;
Region::Region(Region&& other) noexcept = default;
Region& Region::operator=(Region&& other) noexcept = default;

Result<std::string> Region::call(std::string_view type, std::string_view key, std::string_view message,
                                 std::string_view payload, region::Want want, const CallOptions& options) {
  region::Inbound m{
      .type = type, .key = key, .message = message, .payload = payload, .want = want, .identity = {}};
  if (options.request_id.empty()) {
    m.identity.session = 1;
    m.identity.sequence = ++impl_->sequence;
    m.identity.answered_below = impl_->sequence;
  } else {
    m.identity.request_id = options.request_id;
  }
  if (options.deadline.count() != 0) m.deadline = impl_->clock.deadline_time() + options.deadline;
  m.ticket = ++impl_->ticket;
  impl_->want = want;
  impl_->answer.reset();
  impl_->core->handle(m);
  impl_->core->seal();
  impl_->settle();
  AFDG_ASSERT(impl_->answer.has_value(), "every call is answered");
  return *std::exchange(impl_->answer, std::nullopt);
}

std::vector<std::string> Region::sent_payloads(std::string_view type, std::string_view key,
                                               std::string_view message) {
  std::vector<std::string> payloads;
  impl_->read(Stream::kMessages, [&](const log::RecordView& record) {
    region::MessageView view;
    if (!region::parse_message(record, {}, view).ok()) return;
    const bool by_an_agent = view.identity.session == 0 && view.identity.request_id.empty();
    if (by_an_agent && view.type == type && view.key == key && view.message == message)
      payloads.emplace_back(view.payload);
  });
  return payloads;
}

void Region::crash() { impl_->start(); }
void Region::rebuild() {
  impl_->core.reset();
  impl_->store = store::make_memory_store();
  impl_->start();
}
void Region::checkpoint() {
  if (auto made = impl_->core->begin_checkpoint(true))
    impl_->core->finish_checkpoint(made->write(*impl_->store));
}
void Region::advance(std::chrono::milliseconds by) {
  impl_->clock.advance(by);
  impl_->settle();
}
Timestamp Region::now() const { return impl_->clock.now(); }
Result<std::vector<region::ShownItem>> Region::state(std::string_view type, std::string_view key) {
  return impl_->core->show_agent(type, key, 100'000);
}
region::RegionInfo Region::info() const { return impl_->core->info(); }
std::vector<std::string> Region::dead() {
  std::vector<std::string> reasons;
  impl_->read(Stream::kDead, [&](const log::RecordView& record) {
    for (const auto& header : record.headers) {
      if (header.key == region::kReasonHeader) reasons.emplace_back(header.value);
    }
  });
  return reasons;
}

}  // namespace afdg::test
