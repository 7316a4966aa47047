#include "region/executor.h"

#include <algorithm>

#include "region/lane.h"

namespace afdg::region {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kReopenPauseMin{200};
constexpr milliseconds kReopenPauseMax{2000};
constexpr milliseconds kCarryPauseMin{20};
constexpr milliseconds kCarryPauseMax{1000};

bool stays(Code code) { return code == Code::kCorrupt || code == Code::kNewerFormat; }

}  // namespace

Executor::Executor(Setup setup, const ExecutorContext& context)
    : setup_(std::move(setup)), context_(context) {}

Executor::~Executor() { core_.reset(); }

Status Executor::make_core() {
  AFDG_ASSIGN(auto log, setup_.open_log());
  core_ = std::make_unique<RegionCore>(setup_.region, setup_.options, *context_.types, std::move(log),
                                       *context_.store, setup_.store_prefix, *context_.clock, *this);
  ++life_;
  Status opened = core_->open(epoch_);
  if (!opened.ok()) core_.reset();
  return opened;
}

Status Executor::open(Epoch epoch) {
  epoch_ = epoch;
  opening_.store(true, std::memory_order_release);
  fault_ = make_core();
  opening_.store(false, std::memory_order_release);
  return fault_;
}

void Executor::close() {
  closed_ = true;
  core_.reset();
  targets_.clear();
  context_.lanes->fail_unanswered(*this, "the region's node stops");
  fault_ = fail(Code::kUnavailable, "region " + std::to_string(setup_.region.value()) + " of grid '" +
                                        setup_.grid_name +
                                        "' is not led here any more: refresh the route and try again");
}

void Executor::answer(const Inbound& message, Code code, std::string_view text) {
  ReplyBatch batch;
  batch.region = setup_.region;
  batch.bytes.assign(text);
  batch.entries.push_back({.ticket = message.ticket,
                           .code = code,
                           .content = message.content,
                           .size = static_cast<std::uint32_t>(text.size())});
  hand_out(batch);
}

void Executor::handle(const Inbound& message) {
  if (!core_ || !core_->failed().ok()) [[unlikely]] {
    const Status& why = core_ ? core_->failed() : fault_;
    const Code code = why.ok() ? Code::kUnavailable : why.code();
    const bool told =
        stays(code) || code == Code::kDiskFull || code == Code::kOverloaded || code == Code::kUnavailable;
    answer(message, told ? code : Code::kUnavailable,
           "region " + std::to_string(setup_.region.value()) + " of grid '" + setup_.grid_name +
               "' does not run now: " +
               (why.ok() ? std::string("it is being opened; try again soon") : why.error().text()));
    return;
  }
  // Asked before it runs: an append that is refused would end this life of the region, and its reads.
  if (!core_->room(message).ok()) [[unlikely]]
    context_.disk_full->store(true);
  if (context_.disk_full->load(std::memory_order_relaxed)) [[unlikely]] {
    const agents::AgentType* type = context_.types->find(message.type);
    const agents::HandlerInfo* handler = type == nullptr ? nullptr : type->find(message.message);
    if (handler == nullptr || handler->kind != OperationKind::kRead) {
      answer(message, Code::kDiskFull,
             "the server's disk is full, so messages that may write are refused: free space; it goes on by "
             "itself");
      return;
    }
  }
  core_->handle(message);
}

void Executor::seal() {
  if (!core_) return;
  context_.sealed_bytes->fetch_add(core_->open_bytes(), std::memory_order_relaxed);
  core_->seal();
  if (!core_->failed().ok()) [[unlikely]]
    check_core();
}

void Executor::check_core() {
  if (!core_ || core_->failed().ok()) return;
  const Status why = core_->failed();
  if (why.code() == Code::kDiskFull) context_.disk_full->store(true);
  context_.report(*this, why);
  fault_ = why;
  core_.reset();  // no reply comes from it after this
  targets_.clear();
  context_.lanes->fail_unanswered(*this, why.error().text());
  try_again();
}

void Executor::try_again() {
  if (closed_ || core_ || retry_posted_ || stays(fault_.code())) return;
  retry_posted_ = true;
  reopen_pause_ = std::clamp(reopen_pause_ * 2, kReopenPauseMin, kReopenPauseMax);
  context_.lanes->post_later(setup_.lane, reopen_pause_, [self = shared_from_this()] {
    self->retry_posted_ = false;
    if (self->core_ || self->closed_) return;
    if (self->checkpoint_out_) return self->try_again();  // an older core's state is still being written
    const Code before = self->fault_.code();
    if (Status opened = self->open(self->epoch_); !opened.ok()) {
      if (opened.code() != before) self->context_.report(*self, opened);
      self->try_again();
      return;
    }
    self->reopen_pause_ = milliseconds(0);
    self->poll();
  });
}

void Executor::reopen(Epoch epoch) {
  if (closed_ || epoch <= epoch_) return;
  core_.reset();
  targets_.clear();
  context_.lanes->fail_unanswered(*this, "the region was opened again");
  epoch_ = epoch;
  fault_ = fail(Code::kUnavailable, "it is being opened; try again soon");
  try_again();
}

void Executor::poll() {
  if (!core_) return try_again();  // its first open may have failed, and nobody else would
  const bool more = core_->poll();
  carry();
  check_core();
  if (!core_) return;
  checkpoint(false);
  if (more) wake();
}

bool Executor::checkpoint(bool force) {
  if (!core_ || checkpoint_out_) return checkpoint_out_;
  auto made = core_->begin_checkpoint(force);
  check_core();
  if (!made || !core_) return false;
  checkpoint_out_ = true;
  context_.write_checkpoint(shared_from_this(), life_, std::move(*made));
  return true;
}

void Executor::checkpoint_written(std::uint64_t life, const Status& written) {
  checkpoint_out_ = false;
  if (!written.ok()) context_.report(*this, written);
  if (core_ && life == life_) core_->finish_checkpoint(written);
}

Result<RegionInfo> Executor::info() const {
  if (!core_) return fault_.ok() ? fail(Code::kUnavailable, "the region is being opened") : fault_.error();
  return core_->info();
}

void Executor::release(ReplyBatch&& replies) { hand_out(replies); }

void Executor::wake() {
  if (opening_.load(std::memory_order_acquire)) return;  // whoever opens polls afterwards
  if (poll_posted_.exchange(true, std::memory_order_acq_rel)) return;
  context_.lanes->post_poll(weak_from_this().lock());
}

void Executor::running(Offset offset) {
  if (context_.notes != nullptr) context_.notes->running(setup_.lane, setup_.grid, setup_.region, offset);
}
void Executor::ended() {
  if (context_.notes != nullptr) context_.notes->ended(setup_.lane);
}
int Executor::deaths(Offset offset) {
  return context_.notes == nullptr ? 0 : context_.notes->deaths(setup_.grid, setup_.region, offset);
}

// Outbox.

void Executor::deliver(const OutboxEntry& entry) {
  Target& target = targets_[entry.target];
  if (target.sent == 0 && target.acked == 0) target.acked = target.sent = entry.number - 1;
  if (target.round == 0) target.round = ++rounds_;
  if (target.paused || target.left_out || entry.number > target.acked + kParcelsMax) {
    target.left_out = true;
    return;
  }
  target.parcels.push_back({entry.number, std::string(entry.type), std::string(entry.key),
                            std::string(entry.message), std::string(entry.payload), entry.content});
  target.sent = entry.number;
}

void Executor::carry() {
  for (auto& [region, target] : targets_) {
    if (target.parcels.empty()) continue;
    context_.carrier->carry(shared_from_this(), region, target.round, std::exchange(target.parcels, {}));
  }
}

void Executor::delivered(RegionId region, std::uint64_t number) {
  const auto found = targets_.find(region);
  if (!core_ || found == targets_.end()) return;
  Target& target = found->second;
  target.acked = std::max(target.acked, number);
  target.pause = milliseconds(0);
  core_->delivered(region, number);
  context_.lanes->touch(shared_from_this());
  if (target.left_out && !target.paused && target.sent < target.acked + kParcelsMax / 2) {
    target.left_out = false;
    core_->redeliver(region, target.sent + 1);
    wake();
  }
}

void Executor::refused(RegionId region, std::uint64_t round) {
  const auto found = targets_.find(region);
  if (!core_ || found == targets_.end() || found->second.round != round) return;
  Target& target = found->second;
  target.round = ++rounds_;
  target.paused = true;
  target.pause = std::clamp(target.pause * 2, kCarryPauseMin, kCarryPauseMax);
  context_.lanes->post_later(setup_.lane, target.pause,
                             [self = shared_from_this(), region, again = target.round] {
                               const auto at = self->targets_.find(region);
                               if (!self->core_ || at == self->targets_.end() || at->second.round != again)
                                 return;
                               at->second.paused = false;
                               at->second.left_out = false;
                               at->second.sent = at->second.acked;
                               self->core_->redeliver(region, 0);
                               self->poll();
                             });
}

}  // namespace afdg::region
