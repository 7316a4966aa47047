#include <algorithm>

#include "base/codec.h"
#include "region/internal/completions.h"
#include "region/internal/live.h"
#include "region/internal/text.h"
#include "region/region_core.h"
#include "region/state_key.h"

namespace afdg::region {

Result<std::vector<std::string>> RegionCore::list_agents(std::string_view type, std::string_view prefix,
                                                         std::string_view after, std::size_t limit) const {
  std::string type_prefix(1, static_cast<char>(KeyKind::kItem));
  put_ordered(type_prefix, type);
  std::string from = type_prefix, lower;
  put_ordered(lower, std::max(prefix, after));
  from.append(lower, 0, lower.size() - 2);
  std::vector<std::string> keys;
  AFDG_TRY(table_.scan_all(from, prefix_end(type_prefix), [&](std::string_view key, std::string_view) {
    key.remove_prefix(type_prefix.size());
    auto agent = take_ordered(key);
    if (!agent) return true;
    if (!agent->starts_with(prefix)) return *agent < prefix;
    if (*agent <= after || (!keys.empty() && keys.back() == *agent)) return true;
    if (keys.size() >= limit) return false;
    keys.push_back(std::move(*agent));
    return true;
  }));
  return keys;
}

Result<std::vector<ShownItem>> RegionCore::show_agent(std::string_view type, std::string_view key,
                                                      std::size_t limit) const {
  std::string prefix;
  put_agent_prefix(prefix, type, key);
  std::vector<ShownItem> items;
  AFDG_TRY(table_.scan_all(prefix, prefix_end(prefix), [&](std::string_view at, std::string_view value) {
    auto parsed = parse_item_key(at);
    if (!parsed) return true;
    if (items.size() >= limit) return false;
    items.push_back(
        {std::move(parsed->entity), std::move(parsed->key), parsed->sequence, std::string(value)});
    return true;
  }));
  if (items.empty()) {
    return fail(Code::kNotFound, "agent " + printable(type, 200) + "/" + printable(key, 200) +
                                     " has no state: send it a message first");
  }
  return items;
}

// Invariant 4: also what people look at waits for the commit of everything that it shows.
std::uint64_t RegionCore::seen() const noexcept {
  const bool open = !messages_.empty() || !changes_.empty() || !dead_.empty();
  return appended_ + (open ? 1 : 0);
}

Result<bool> RegionCore::committed(std::uint64_t seen) const {
  AFDG_TRY(failed_);
  if (const log::AppendOutcome bad = completions_->failure(); bad != log::AppendOutcome::kCommitted) {
    const Code code = bad == log::AppendOutcome::kFenced ? Code::kFenced : Code::kInDoubt;
    return fail(code, std::string(code_text(code)));
  }
  return completions_->committed() >= seen;
}

RegionInfo RegionCore::info() const {
  RegionInfo info;
  info.messages_start = log_->start(log::Stream::kMessages);
  info.applied = applied_;
  info.messages_end = log_->committed_end(log::Stream::kMessages);
  info.changes_end = log_->committed_end(log::Stream::kChanges);
  info.dead_end = log_->committed_end(log::Stream::kDead);
  info.checkpointed = checkpointed_;
  info.live_agents = live_.size();
  for (const auto& [target, outbox] : outbox_) info.outbox += outbox.entries.size();
  info.memory_bytes =
      live_bytes_ + table_.dirty_bytes() + table_.frozen_bytes() + queue_bytes_ + outbox_bytes_;
  info.turns = turns_total_;
  info.reads = reads_total_;
  info.replayed = replayed_;
  info.sessions = sessions_.size();
  info.recovering = unread_ < recovered_end_ || (!queue_.empty() && recovered_end_ > applied_);
  info.fault = failed_;
  return info;
}

}  // namespace afdg::region
