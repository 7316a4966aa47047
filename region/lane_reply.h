#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "region/core.h"

// How replies find their way from a region core back to whoever asked.
namespace afdg::region {

/// Takes the outcomes of calls. Thread-safety: the implementation is safe: replies come from the log's
/// completion thread and from lanes. Must be quick, must not block and must not call back into a core or the
/// log.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  /// Outcomes of calls of this sink, ticket_of(entry) says which; valid during the call.
  virtual void take(const ReplyBatch& batch, std::span<const ReplyBatch::Entry> entries) = 0;
  /// All that one commit, or one slice of work, released has been taken: let it leave.
  virtual void flush() = 0;
};

/// What a node allows to be under way. Thread-safety: safe.
struct Admission {
  std::uint64_t bytes_max = 64u << 20;    ///< of calls from arrival to reply
  std::uint32_t lane_calls_max = 16'384;  ///< that wait for their lane
  std::uint32_t agent_calls_max = 1'024;  ///< that wait for one agent (agents with equal hashes share it)
  std::atomic<std::uint64_t> bytes{0};    ///< under way now
  std::atomic<std::uint64_t> calls{0};    ///< under way now
  std::atomic<std::uint64_t> refused{0};  ///< kOverloaded, since the start
  static constexpr std::size_t kSlots = 1u << 14;
  std::atomic<std::int32_t> waiting[kSlots] = {};  ///< per hash of the agent's key
};

class Executor;
class Tickets;

/// Says whose call a reply belongs to. Its address travels as Inbound::ticket.
struct Ticket {
  Tickets* owner = nullptr;
  Executor* executor = nullptr;
  std::uint64_t id = 0;  ///< the sink's own number of the call
  std::uint32_t region = 0;
  std::uint32_t slot = 0;  ///< of Admission::waiting
  bool handled = false;    ///< its executor has seen it
  bool answered = false;   ///< set by hand_out(), read once no reply can come any more
};

/// The tickets of one slice of work: one allocation for all, freed with the last reply.
/// Thread-safety: filled by one thread; then replies may come from any. Ownership: counted; starts with one
/// reference, and each start() adds one that goes with the last reply.
class Tickets {
 public:
  Tickets(std::shared_ptr<ReplySink> sink, std::shared_ptr<Admission> admission, std::size_t count)
      : sink_(std::move(sink)), admission_(std::move(admission)) {
    tickets_.reserve(count);
  }
  Tickets(const Tickets&) = delete;
  Tickets& operator=(const Tickets&) = delete;

  /// Precondition: fewer than `count` were added.
  Ticket& add(Executor& executor, std::uint64_t id, std::uint32_t region, std::uint32_t slot) {
    AFDG_ASSERT(tickets_.size() < tickets_.capacity(), "more tickets than were announced");
    return tickets_.emplace_back(Ticket{this, &executor, id, region, slot});
  }
  [[nodiscard]] std::vector<Ticket>& all() noexcept { return tickets_; }
  [[nodiscard]] const std::shared_ptr<ReplySink>& sink() const noexcept { return sink_; }
  /// Counts them as under way. Precondition: at least one was added.
  void start(std::uint64_t bytes) {
    bytes_ = bytes;
    left_.store(static_cast<std::uint32_t>(tickets_.size()), std::memory_order_relaxed);
    refs_.fetch_add(1, std::memory_order_relaxed);
    if (admission_) {
      admission_->bytes.fetch_add(bytes, std::memory_order_relaxed);
      admission_->calls.fetch_add(tickets_.size(), std::memory_order_relaxed);
    }
  }
  /// `count` of them were answered.
  void give_back(std::uint32_t count) {
    if (left_.fetch_sub(count, std::memory_order_acq_rel) != count) return;
    if (admission_) {
      admission_->bytes.fetch_sub(bytes_, std::memory_order_relaxed);
      admission_->calls.fetch_sub(tickets_.size(), std::memory_order_relaxed);
    }
    unref();
  }
  [[nodiscard]] bool all_answered() const noexcept { return left_.load(std::memory_order_acquire) == 0; }
  /// Drops the first reference.
  void unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  [[nodiscard]] Admission* admission() const noexcept { return admission_.get(); }

 private:
  ~Tickets() = default;
  std::shared_ptr<ReplySink> sink_;
  std::shared_ptr<Admission> admission_;
  std::vector<Ticket> tickets_;
  std::atomic<std::uint32_t> left_{0};
  std::atomic<std::uint32_t> refs_{1};
  std::uint64_t bytes_ = 0;
};

[[nodiscard]] inline std::uint64_t ticket_number(const Ticket& ticket) noexcept {
  return reinterpret_cast<std::uint64_t>(&ticket);
}
[[nodiscard]] inline Ticket& ticket_of(const ReplyBatch::Entry& entry) noexcept {
  return *reinterpret_cast<Ticket*>(entry.ticket);
}

/// Hands a batch to the sinks of its tickets. They are flushed by the next flush_replies() of this thread, or
/// at once when the thread never promised one.
void hand_out(const ReplyBatch& batch);
/// Flushes what hand_out() gave to sinks on this thread: at the end of a slice of work, and at the end of a
/// commit.
void flush_replies();
/// While it lives, this thread promises flush_replies(), which its end is.
class FlushScope {
 public:
  FlushScope();
  ~FlushScope();
  FlushScope(const FlushScope&) = delete;
  FlushScope& operator=(const FlushScope&) = delete;
};
/// The log's thread promises flush_replies() after each commit (LogOptions::committed), from its first call
/// on.
void flush_replies_after_commit();

}  // namespace afdg::region
