#include "region/lane.h"

#include <pthread.h>

#include <algorithm>
#include <caf/all.hpp>
#include <deque>
#include <string_view>
#include <thread>

#include "base/hand_over.h"

namespace afdg::region {
namespace {

using Steady = std::chrono::steady_clock;
constexpr auto kSealAfter = std::chrono::milliseconds(1);
constexpr std::size_t kUnansweredSweep = 64;
constexpr std::ptrdiff_t kAhead = 4;
constexpr std::ptrdiff_t kCallsAClock = 4;  // run between looks at the clock

struct Mail {
  LaneWork work;
  std::function<void()> task;
  std::shared_ptr<Executor> poll;
  bool late = false;  ///< came by the clock: not counted in Lane::mails yet
  bool stop = false;
};
using MailPtr = std::shared_ptr<Mail>;

}  // namespace
}  // namespace afdg::region

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(afdg::region::MailPtr)

namespace afdg::region {
namespace {

/// One lane; its methods but post() run in its actor.
struct Lane {
  caf::actor actor;
  std::atomic<std::uint32_t> mails{0};    // posted and not taken
  std::atomic<std::uint64_t> waiting{0};  // calls in them
  std::vector<std::shared_ptr<Executor>> executors;
  std::vector<Executor*> touched;
  std::vector<std::shared_ptr<const void>> touched_keep;
  std::deque<Tickets*> unanswered;
  std::size_t sweep_at = kUnansweredSweep;
  Steady::time_point touched_since{};

  void post(MailPtr mail) {
    mails.fetch_add(1, std::memory_order_relaxed);
    hand_over(mail.get());
    caf::anon_send(actor, std::move(mail));
  }

  void take(Mail& mail) {
    take_over(&mail);
    take_over(this);  // the thread that ran the lane before may be another one
    const FlushScope flush;
    if (mail.late) mails.fetch_add(1, std::memory_order_relaxed);
    if (mail.poll) {
      mail.poll->poll_posted().store(false, std::memory_order_release);
      mail.poll->poll();
    } else if (mail.task) {
      mail.task();
    } else if (mail.work.tickets != nullptr) {
      run(mail.work);
    }
    const bool last = mails.fetch_sub(1, std::memory_order_acq_rel) == 1;
    if (!touched.empty() && (last || Steady::now() - touched_since >= kSealAfter)) seal_touched();
    if (last) prune();
    hand_over(this);
  }

  void run(LaneWork& work) {
    if (touched.empty()) touched_since = Steady::now();
    Admission* admission = work.tickets->admission();
    unanswered.push_back(work.tickets);
    bool keep = false;
    const auto count = static_cast<std::ptrdiff_t>(work.calls.size());
    for (std::ptrdiff_t at = -kAhead * RegionCore::kPrefetchSteps; at < count; ++at) {
      prefetch(work, at);
      if (at < 0) continue;
      LaneCall& call = work.calls[static_cast<std::size_t>(at)];
      Executor& executor = *call.executor;
      Ticket& ticket = *reinterpret_cast<Ticket*>(call.message.ticket);
      const std::uint32_t slot = ticket.slot;
      ticket.handled = true;
      executor.handle(call.message);
      waiting.fetch_sub(1, std::memory_order_relaxed);
      if (admission != nullptr)
        admission->waiting[slot % Admission::kSlots].fetch_sub(1, std::memory_order_relaxed);
      if (!executor.touched) {
        executor.touched = true;
        touched.push_back(&executor);
        keep = true;
      }
      if (executor.open_bytes() >= executor.seal_bytes()) executor.seal();
      if (at % kCallsAClock == kCallsAClock - 1 && Steady::now() - touched_since >= kSealAfter) {
        seal_touched();
        flush_replies();
        touched_since = Steady::now();
        keep = false;
      }
    }
    if (keep) touched_keep.push_back(std::move(work.routes));
    if (unanswered.size() >= sweep_at) prune();
  }

  /// Each call goes through the steps of RegionCore::prefetch(), kAhead calls apart, before it runs.
  static void prefetch(LaneWork& work, std::ptrdiff_t now) {
    for (int step = 0; step < RegionCore::kPrefetchSteps; ++step) {
      const std::ptrdiff_t at = now + kAhead * (RegionCore::kPrefetchSteps - step);
      if (at < 0 || at >= static_cast<std::ptrdiff_t>(work.calls.size())) continue;
      LaneCall& call = work.calls[static_cast<std::size_t>(at)];
      call.executor->prefetch(call.message, step);
    }
  }

  void seal_touched() {
    for (Executor* executor : touched) {
      executor->touched = false;
      executor->seal();
    }
    touched.clear();
    touched_keep.clear();
  }

  void prune() {
    std::erase_if(unanswered, [](Tickets* tickets) {
      if (!tickets->all_answered()) return false;
      tickets->unref();
      return true;
    });
    sweep_at = std::max(kUnansweredSweep, unanswered.size() * 2);
  }

  void fail(Executor& executor, std::string_view why) {
    ReplyBatch batch;
    batch.region = executor.region();
    batch.bytes =
        "it is not known whether it happened (" + std::string(why) + "): try again with the same request id";
    for (Tickets* tickets : unanswered) {
      batch.entries.clear();
      for (const Ticket& ticket : tickets->all()) {
        if (ticket.executor != &executor || !ticket.handled || ticket.answered) continue;
        batch.entries.push_back({.ticket = ticket_number(ticket),
                                 .code = Code::kInDoubt,
                                 .size = static_cast<std::uint32_t>(batch.bytes.size())});
      }
      if (!batch.entries.empty()) hand_out(batch);
    }
  }
};

caf::behavior lane_behavior(caf::event_based_actor* self, Lane* lane) {
  // Nothing may end a lane but stop(): a bug that throws out of a task ends the process, with its data safe.
  self->set_exception_handler([](std::exception_ptr&) -> caf::error { std::abort(); });
  return {[self, lane](MailPtr& mail) {
    lane->take(*mail);
    if (mail->stop) self->quit();
  }};
}

/// In each thread of CAF, after CAF named it: its workers are caf.multiplexer (0.17), its timer caf.clock,
/// and actors with a thread of their own, of which we have none but CAF its printer, caf.actor.
class Started final : public caf::thread_hook {
 public:
  explicit Started(Scheduling scheduling) : scheduling_(scheduling) {}
  void init(caf::actor_system&) override {}
  void thread_started() override {
    char name[16] = {};
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    const std::string_view named = name;
    if (named != "caf.clock" && named != "caf.actor") begin_thread("afdg-lane", scheduling_);
  }
  void thread_terminates() override {}

 private:
  Scheduling scheduling_;
};

}  // namespace

struct Lanes::State {
  struct Config : caf::actor_system_config {
    explicit Config(Scheduling scheduling) {
      add_thread_hook<Started>(scheduling);
      const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
      set("scheduler.policy", caf::atom("sharing"));
      set("scheduler.max-threads", std::max<std::size_t>(1, cores / 2));
    }
  };
  explicit State(Scheduling scheduling) : config(scheduling) {}
  Config config;
  caf::actor_system system{config};
  std::vector<std::unique_ptr<Lane>> lanes;
  bool stopped = false;
};

Lanes::Lanes(std::size_t lanes, Scheduling scheduling) : state_(std::make_unique<State>(scheduling)) {
  const std::size_t count =
      std::min(lanes != 0 ? lanes : std::max<std::size_t>(1, std::thread::hardware_concurrency()),
               LaneNotes::kLanesMax);
  for (std::size_t i = 0; i < count; ++i) {
    auto lane = std::make_unique<Lane>();
    lane->actor = state_->system.spawn(lane_behavior, lane.get());
    state_->lanes.push_back(std::move(lane));
  }
}

Lanes::~Lanes() { stop(); }

void Lanes::stop() {
  if (std::exchange(state_->stopped, true)) return;
  for (auto& lane : state_->lanes) {
    auto mail = std::make_shared<Mail>();
    mail->stop = true;
    lane->post(std::move(mail));
    lane->actor = nullptr;
  }
  state_->system.await_all_actors_done();
  for (auto& lane : state_->lanes) {
    for (Tickets* tickets : lane->unanswered) tickets->unref();
    lane->unanswered.clear();
    lane->executors.clear();
  }
}

std::size_t Lanes::size() const noexcept { return state_->lanes.size(); }

std::size_t Lanes::lane_of(GridId grid, RegionId region) const noexcept {
  return (grid.value() + static_cast<std::uint64_t>(region.value())) % state_->lanes.size();
}

std::uint64_t Lanes::waiting(std::size_t lane) const noexcept {
  return state_->lanes[lane]->waiting.load(std::memory_order_relaxed);
}

void Lanes::post(std::size_t lane, LaneWork work) {
  auto mail = std::make_shared<Mail>();
  state_->lanes[lane]->waiting.fetch_add(work.calls.size(), std::memory_order_relaxed);
  mail->work = std::move(work);
  state_->lanes[lane]->post(std::move(mail));
}

void Lanes::post(std::size_t lane, std::function<void()> task) {
  auto mail = std::make_shared<Mail>();
  mail->task = std::move(task);
  state_->lanes[lane]->post(std::move(mail));
}

void Lanes::post_later(std::size_t lane, std::chrono::milliseconds delay, std::function<void()> task) {
  auto mail = std::make_shared<Mail>();
  mail->task = std::move(task);
  mail->late = true;
  hand_over(mail.get());
  caf::delayed_anon_send(state_->lanes[lane]->actor, delay, std::move(mail));
}

void Lanes::post_poll(std::shared_ptr<Executor> executor) {
  if (!executor) return;
  auto mail = std::make_shared<Mail>();
  const std::size_t lane = executor->lane();
  mail->poll = std::move(executor);
  state_->lanes[lane]->post(std::move(mail));
}

void Lanes::add(std::shared_ptr<Executor> executor) {
  Lane* lane = state_->lanes[executor->lane()].get();
  post(executor->lane(), [lane, executor] {
    lane->executors.push_back(executor);
    executor->poll();
  });
}

void Lanes::remove(std::shared_ptr<Executor> executor) {
  Lane* lane = state_->lanes[executor->lane()].get();
  post(executor->lane(), [lane, executor] { std::erase(lane->executors, executor); });
}

void Lanes::tick(bool checkpoint) {
  for (std::size_t i = 0; i < state_->lanes.size(); ++i) {
    Lane* lane = state_->lanes[i].get();
    post(i, [lane, checkpoint] {
      for (const auto& executor : lane->executors) {
        executor->poll();
        if (checkpoint) executor->checkpoint(true);
      }
      lane->prune();
    });
  }
}

void Lanes::touch(std::shared_ptr<Executor> executor) {
  Lane& lane = *state_->lanes[executor->lane()];
  if (executor->touched) return;
  if (lane.touched.empty()) lane.touched_since = Steady::now();
  executor->touched = true;
  lane.touched.push_back(executor.get());
  lane.touched_keep.push_back(std::move(executor));
}

void Lanes::fail_unanswered(Executor& executor, std::string_view why) {
  state_->lanes[executor.lane()]->fail(executor, why);
}

}  // namespace afdg::region
