#include "region/lane_reply.h"

#include <algorithm>

namespace afdg::region {
namespace {

struct Waiting {
  std::vector<std::shared_ptr<ReplySink>> sinks;
  int scopes = 0;
};
thread_local Waiting waiting;
constexpr std::size_t kLookedAt = 8;

}  // namespace

void hand_out(const ReplyBatch& batch) {
  const std::span<const ReplyBatch::Entry> entries(batch.entries);
  for (std::size_t at = 0; at < entries.size();) {
    Tickets* owner = ticket_of(entries[at]).owner;
    std::size_t end = at + 1;
    while (end < entries.size() && ticket_of(entries[end]).owner == owner) ++end;
    for (std::size_t i = at; i < end; ++i) ticket_of(entries[i]).answered = true;
    const std::shared_ptr<ReplySink>& sink = owner->sink();
    sink->take(batch, entries.subspan(at, end - at));
    // A sink that is listed twice is flushed twice, which is harmless: only the last few are looked at.
    const auto from = waiting.sinks.end() -
                      static_cast<std::ptrdiff_t>(std::min<std::size_t>(waiting.sinks.size(), kLookedAt));
    if (std::find(from, waiting.sinks.end(), sink) == waiting.sinks.end()) waiting.sinks.push_back(sink);
    owner->give_back(static_cast<std::uint32_t>(end - at));
    at = end;
  }
  if (waiting.scopes == 0) flush_replies();
}

void flush_replies() {
  // A sink's flush may end its call and so release others; it never hands out again.
  std::vector<std::shared_ptr<ReplySink>> sinks;
  sinks.swap(waiting.sinks);
  for (const auto& sink : sinks) sink->flush();
  sinks.clear();
  if (waiting.sinks.empty()) waiting.sinks.swap(sinks);  // keeps the capacity
}

FlushScope::FlushScope() { ++waiting.scopes; }
FlushScope::~FlushScope() {
  if (--waiting.scopes == 0) flush_replies();
}

void flush_replies_after_commit() {
  if (waiting.scopes == 0) waiting.scopes = 1;  // this thread's promise, for its lifetime
  flush_replies();
}

}  // namespace afdg::region
