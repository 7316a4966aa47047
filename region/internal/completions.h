#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <vector>

#include "region/region_core.h"

namespace afdg::region {

/// Replies that wait for their commit, shared with the log's completion thread.
/// Thread-safety: safe. Order: batches are expected and done in the order of their numbers.
class RegionCore::Completions {
 public:
  explicit Completions(Shell& shell) : shell_(shell) {}

  /// Batch `batch` was appended; its replies wait.
  void expect(std::uint64_t batch, ReplyBatch&& replies, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({batch, std::move(replies), bytes});
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }
  /// Replies that saw everything up to `batch` and nothing later.
  void release_after(std::uint64_t batch, ReplyBatch&& replies) {
    const std::uint64_t bytes = replies.bytes.size();
    {
      const std::lock_guard lock(mutex_);
      if (failure_ == log::AppendOutcome::kCommitted && committed_.load(std::memory_order_relaxed) < batch) {
        waiting_.push_back({batch, std::move(replies), bytes});
        bytes_.fetch_add(bytes, std::memory_order_relaxed);
        return;
      }
      if (failure_ != log::AppendOutcome::kCommitted) mark_failed(replies, failure_);
    }
    shell_.release(std::move(replies));
  }
  /// The log took nothing of the last expected batch.
  void refuse(std::uint64_t batch, const Error& error) {
    ReplyBatch replies;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty() || waiting_.back().batch != batch) return;
      replies = std::move(waiting_.back().replies);
      bytes_.fetch_sub(waiting_.back().bytes, std::memory_order_relaxed);
      waiting_.pop_back();
    }
    for (auto& entry : replies.entries) set_error(replies, entry, error.code(), error.text());
    if (!replies.entries.empty()) shell_.release(std::move(replies));
  }
  void done(std::uint64_t batch, log::AppendOutcome outcome) {
    std::vector<ReplyBatch> released;
    {
      const std::lock_guard lock(mutex_);
      if (outcome == log::AppendOutcome::kCommitted) {
        committed_.store(batch, std::memory_order_release);
      } else if (failure_ == log::AppendOutcome::kCommitted) {
        failure_ = outcome;
      }
      while (!waiting_.empty() && waiting_.front().batch <= batch) {
        Waiting& front = waiting_.front();
        bytes_.fetch_sub(front.bytes, std::memory_order_relaxed);
        if (outcome != log::AppendOutcome::kCommitted) mark_failed(front.replies, outcome);
        if (!front.replies.entries.empty()) released.push_back(std::move(front.replies));
        waiting_.pop_front();
      }
    }
    for (auto& replies : released) shell_.release(std::move(replies));
    if (outcome != log::AppendOutcome::kCommitted || wants_wake_.load(std::memory_order_acquire))
      shell_.wake();
  }

  [[nodiscard]] std::uint64_t committed() const noexcept {
    return committed_.load(std::memory_order_acquire);
  }
  [[nodiscard]] log::AppendOutcome failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
  }
  /// Of appends and replies that wait for their commit.
  [[nodiscard]] std::uint64_t bytes_in_flight() const noexcept {
    return bytes_.load(std::memory_order_relaxed);
  }
  /// Whether each commit should wake the core (it has an outbox or a frozen table).
  void want_wake(bool wanted) { wants_wake_.store(wanted, std::memory_order_release); }

 private:
  struct Waiting {
    std::uint64_t batch;
    ReplyBatch replies;
    std::uint64_t bytes;
  };
  static void set_error(ReplyBatch& replies, ReplyBatch::Entry& entry, Code code, std::string_view text) {
    entry.code = code;
    entry.offset = Offset(-1);
    entry.repeated = false;
    entry.begin = static_cast<std::uint32_t>(replies.bytes.size());
    entry.size = static_cast<std::uint32_t>(text.size());
    replies.bytes.append(text);
  }
  static void mark_failed(ReplyBatch& replies, log::AppendOutcome outcome) {
    const Code code = outcome == log::AppendOutcome::kFenced ? Code::kFenced : Code::kInDoubt;
    for (auto& entry : replies.entries) set_error(replies, entry, code, code_text(code));
  }

  Shell& shell_;
  mutable std::mutex mutex_;
  std::deque<Waiting> waiting_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> committed_{0};
  std::atomic<bool> wants_wake_{false};
  log::AppendOutcome failure_ = log::AppendOutcome::kCommitted;
};

}  // namespace afdg::region
