#include "client/grid.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>
#include <tuple>
#include <utility>

#include "afdg/v1/admin.pb.h"
#include "client/admin.h"
#include "client/internal/session.h"

namespace afdg::client {
namespace {

using internal::Core;
using internal::Ended;
using internal::Kind;

constexpr std::size_t kTargetsMax = 1'000'000;
constexpr std::uint32_t kPage = 1000;

Core::Call make_call(internal::GridState* grid, const Target& to, const Message& message,
                     const CallOptions& options, Kind kind) {
  return Core::Call{grid,
                    internal::CallBody{.type = to.type,
                                       .key = to.key,
                                       .message = message.name,
                                       .payload = message.payload,
                                       .content = static_cast<std::uint8_t>(message.content),
                                       .kind = kind,
                                       .request_id = options.request_id},
                    options.deadline};
}

Result<Reply> reply_of(Ended&& ended) {
  if (ended.code != Code::kOk) return fail(ended.code, std::move(ended.text));
  return std::move(ended.reply);
}

Result<SendReceipt> receipt_of(const std::string& grid, Ended&& ended) {
  if (ended.code != Code::kOk) return fail(ended.code, std::move(ended.text));
  return SendReceipt{grid + ".messages", ended.reply.region, ended.reply.offset, ended.reply.repeated};
}

Error too_many_grids() {
  return fail(Code::kOverloaded, "this client uses 4,096 grid names already: use another client for more");
}

}  // namespace

const std::string& Grid::name() const {
  static const std::string none;
  return state_ != nullptr ? state_->name : none;
}

Result<Reply> Grid::request(const Target& to, const Message& message, const CallOptions& options) const {
  if (state_ == nullptr) return too_many_grids();
  return reply_of(session_->core().call(make_call(state_, to, message, options, Kind::kRequest)));
}

Result<SendReceipt> Grid::send(const Target& to, const Message& message, const CallOptions& options) const {
  if (state_ == nullptr) return too_many_grids();
  return receipt_of(state_->name,
                    session_->core().call(make_call(state_, to, message, options, Kind::kSend)));
}

void Grid::request_async(const Target& to, const Message& message, const CallOptions& options,
                         std::function<void(Result<Reply>)> done) const {
  if (state_ == nullptr) return done(too_many_grids());
  session_->core().submit(make_call(state_, to, message, options, Kind::kRequest),
                          [done = std::move(done)](Ended&& ended) { done(reply_of(std::move(ended))); });
}

void Grid::send_async(const Target& to, const Message& message, const CallOptions& options,
                      std::function<void(Result<SendReceipt>)> done) const {
  if (state_ == nullptr) return done(too_many_grids());
  session_->core().submit(make_call(state_, to, message, options, Kind::kSend),
                          [done = std::move(done), state = state_](Ended&& ended) {
                            done(receipt_of(state->name, std::move(ended)));
                          });
}

Status Grid::fanout_from(const std::string& type, const KeySource& next, const Message& message,
                         const FanoutOptions& options,
                         const std::function<void(FanoutOutcome<Reply>)>& each) const {
  if (state_ == nullptr) return too_many_grids();
  if (Core::in_callback())
    return fail(Code::kFailedPrecondition, "a fan-out blocks: begin it outside of callbacks");
  if (options.in_flight == 0) return fail(Code::kInvalidArgument, "in_flight is 0: give 1 or more");
  // Outcomes are handed over on this thread: `each` may block, and is never called by two threads.
  struct Shared {
    std::mutex mutex;
    std::condition_variable arrived;
    std::vector<FanoutOutcome<Reply>> outcomes;
  };
  const auto shared = std::make_shared<Shared>();
  const CallOptions each_options{options.deadline, options.id};
  std::vector<std::string> keys;
  std::size_t taken = 0;
  std::size_t under_way = 0;
  bool more = true;
  Status listed;
  Target to{type, {}};
  std::vector<FanoutOutcome<Reply>> batch;
  for (;;) {
    while (under_way < options.in_flight) {
      if (taken == keys.size() && !more) break;
      if (options.stop && options.stop()) {
        more = false;
        taken = keys.size();
        listed =
            fail(Code::kCancelled, "the fan-out was stopped: the targets without an outcome got nothing");
        break;
      }
      if (taken == keys.size()) {
        Result<std::vector<std::string>> page = next(kPage);
        more = page.ok() && !page->empty();
        if (!page.ok()) listed = page.error();
        if (!more) break;
        keys = std::move(page).value();
        taken = 0;
      }
      to.key = std::move(keys[taken++]);
      session_->core().submit(
          make_call(state_, to, message, each_options, Kind::kRequest), [shared, key = to.key](Ended&& one) {
            const auto [region, offset, repeated] =
                std::tuple(one.reply.region, one.reply.offset, one.reply.repeated);
            FanoutOutcome<Reply> outcome{key, reply_of(std::move(one)), region, offset, repeated};
            const std::lock_guard lock(shared->mutex);
            shared->outcomes.push_back(std::move(outcome));
            shared->arrived.notify_one();
          });
      ++under_way;
    }
    if (under_way == 0) return listed;
    {
      std::unique_lock lock(shared->mutex);
      shared->arrived.wait(lock, [&] { return !shared->outcomes.empty(); });
      batch.swap(shared->outcomes);
    }
    under_way -= batch.size();
    for (FanoutOutcome<Reply>& one : batch) each(std::move(one));
    batch.clear();
  }
}

Status Grid::fanout(const std::string& type, const std::vector<std::string>& keys, const Message& message,
                    const FanoutOptions& options,
                    const std::function<void(FanoutOutcome<Reply>)>& each) const {
  if (keys.size() > kTargetsMax) {
    return fail(Code::kInvalidArgument, "a fan-out to " + std::to_string(keys.size()) +
                                            " targets: give at most " + std::to_string(kTargetsMax));
  }
  auto at = keys.begin();
  const auto next = [&](std::size_t most) -> Result<std::vector<std::string>> {
    const auto end = at + static_cast<std::ptrdiff_t>(std::min<std::size_t>(most, keys.end() - at));
    return std::vector<std::string>(std::exchange(at, end), end);
  };
  return fanout_from(type, next, message, options, each);
}

Status Grid::fanout(const std::string& type, AllAgents, const Message& message, const FanoutOptions& options,
                    const std::function<void(FanoutOutcome<Reply>)>& each) const {
  if (state_ == nullptr) return too_many_grids();
  const Admin admin(session_);
  v1::ListAgentsCall call;
  call.set_grid(state_->name);
  call.set_type(type);
  call.set_partial(true);
  std::set<std::uint32_t> missed;
  bool more = true;
  const auto next = [&](std::size_t most) -> Result<std::vector<std::string>> {
    std::vector<std::string> keys;
    if (!std::exchange(more, false)) return keys;
    call.set_limit(static_cast<std::uint32_t>(most));
    AFDG_ASSIGN(v1::AgentKeys page, admin.list_agents(call));
    for (const v1::MissedRegion& region : page.missed()) {
      if (!missed.insert(region.region()).second) continue;
      each({{}, fail(code_from_number(region.code()), region.text()), region.region(), -1, false});
    }
    for (std::string& key : *page.mutable_keys()) keys.push_back(std::move(key));
    more = page.more();
    if (!keys.empty()) call.set_after(keys.back());
    return keys;
  };
  return fanout_from(type, next, message, options, each);
}

Result<std::vector<std::string>> Grid::list(const std::string& type, const std::string& prefix,
                                            std::uint32_t limit) const {
  if (state_ == nullptr) return too_many_grids();
  const Admin admin(session_);
  std::vector<std::string> keys;
  v1::ListAgentsCall call;
  call.set_grid(state_->name);
  call.set_type(type);
  call.set_prefix(prefix);
  while (keys.size() < limit) {
    call.set_limit(std::min<std::uint32_t>(kPage, limit - static_cast<std::uint32_t>(keys.size())));
    AFDG_ASSIGN(v1::AgentKeys page, admin.list_agents(call));
    for (std::string& key : *page.mutable_keys()) keys.push_back(std::move(key));
    if (!page.more() || page.keys().empty()) break;
    call.set_after(keys.back());
  }
  return keys;
}

}  // namespace afdg::client
