#include "client/internal/core.h"

#include <algorithm>
#include <utility>

#include "base/codec.h"

namespace afdg::client::internal {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kFrameBytesMax = 256U << 10;
constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kKeyBytesMax = 1024;
constexpr std::size_t kGridsMax = 4096;
constexpr std::size_t kLinksMax = 1024;
constexpr std::size_t kSlotBytesKept = 4096;  // of a free slot's buffer
constexpr auto kRetryDelayMax = 500ms;
constexpr auto kFarewellMax = 200ms;
constexpr std::size_t kFarewellsMax = 4096;  // the others expire with the session
// A region forgets an idle session after 15 minutes; a repeat must come before that.
constexpr std::chrono::milliseconds kDeadlineMax = 10min;

thread_local bool running_callbacks = false;

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

}  // namespace

bool Core::in_callback() noexcept { return running_callbacks; }

Core::Core(Setup setup, std::unique_ptr<Network> network)
    : setup_(std::move(setup)), network_(std::move(network)) {
  Lock lock(mutex_);
  LinkState* seed = link_for(setup_.server);
  seed->open_at = clock_.monotonic();
  timer_thread_ = std::thread([this] { run_timers(); });
  routes_thread_ = std::thread([this] { run_routes(); });
}

Core::~Core() {
  std::vector<Finished> finished;
  {
    Lock lock(mutex_);
    say_farewell(lock);
    stopping_ = true;
    timer_wake_.notify_all();
    routes_wake_.notify_all();
    space_.notify_all();
  }
  timer_thread_.join();
  routes_thread_.join();
  for (auto& [address, link] : links_) link->link->close();
  {
    Lock lock(mutex_);
    for (std::uint32_t i = 0; i < blocks_.size() * kSlotsPerBlock; ++i) {
      Slot& slot = at(i);
      if (slot.state == State::kFree || slot.state == State::kEnded) continue;
      const bool maybe = slot.lost || slot.state == State::kSent;
      end(i, maybe ? Code::kInDoubt : Code::kCancelled,
          maybe ? "the client was closed while " + where(slot) +
                      " was waiting for its answer: it is not known "
                      "whether it happened; try again with the same request id"
                : "the client was closed before the message left: nothing was done",
          {}, finished);
    }
  }
  run(finished);
}

GridState* Core::grid(std::string_view name) {
  const Lock lock(mutex_);
  if (auto found = grids_.find(name); found != grids_.end()) return found->second.get();
  if (grids_.size() >= kGridsMax) return nullptr;
  auto made = std::make_unique<GridState>();
  made->name = name;
  GridState* state = made.get();
  grids_.emplace(std::string(name), std::move(made));
  return state;
}

ClientStats Core::stats() const {
  const Lock lock(mutex_);
  ClientStats copy = stats_;
  copy.outstanding = slots_;
  return copy;
}

std::string Core::where(const Slot& slot) const {
  std::string text = "the message to ";
  if (slot.numbered) text += "region " + std::to_string(slot.region) + " of ";
  text += "grid " + quoted(slot.grid->name);
  return text + (slot.link != nullptr ? " at " + slot.link->address : " at " + setup_.server);
}

// --- Slots

Core::Slot* Core::find(std::uint64_t id) {
  const auto index = static_cast<std::uint32_t>(id & 0xffffff);
  if (index >= blocks_.size() * kSlotsPerBlock) return nullptr;
  Slot& slot = at(index);
  const bool live =
      slot.state != State::kFree && slot.state != State::kEnded && slot.generation == (id >> 24);
  return live ? &slot : nullptr;
}

std::uint32_t Core::take_slot() {
  if (free_.empty()) {
    const auto first = static_cast<std::uint32_t>(blocks_.size() * kSlotsPerBlock);
    blocks_.push_back(std::make_unique<Block>());
    for (std::uint32_t i = kSlotsPerBlock; i-- > 0;) {
      at(first + i).index = first + i;
      free_.push_back(first + i);
    }
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  return index;
}

void Core::free_slot(std::uint32_t index) {
  Slot& slot = at(index);
  slot.state = State::kFree;
  if (++slot.generation == 0) slot.generation = 1;
  if (slot.body.capacity() > kSlotBytesKept) {
    std::string().swap(slot.body);
  } else {
    slot.body.clear();
  }
  slot.done = nullptr;
  slot.refusal.reset();
  slot.link = nullptr;
  free_.push_back(index);
}

// --- Beginning a call

Status Core::validate(const Call& call) const {
  const CallBody& body = call.body;
  if (call.deadline > kDeadlineMax) {
    return fail(Code::kInvalidArgument, "a deadline of " + std::to_string(call.deadline.count()) +
                                            " ms: give at most " + std::to_string(kDeadlineMax.count()));
  }
  const auto length = [](std::string_view what, std::string_view value, std::size_t most) -> Status {
    if (!value.empty() && value.size() <= most) return {};
    return fail(Code::kInvalidArgument, std::string(what) + " has " + std::to_string(value.size()) +
                                            " bytes: give 1 to " + std::to_string(most));
  };
  AFDG_TRY(length("the agent's type", body.type, kNameBytesMax));
  AFDG_TRY(length("the agent's key", body.key, kKeyBytesMax));
  AFDG_TRY(length("the message's name", body.message, kNameBytesMax));
  if (!body.request_id.empty()) AFDG_TRY(length("the request id", body.request_id, kNameBytesMax));
  if (body.payload.size() > setup_.options.payload_bytes_max) {
    return fail(Code::kMessageTooLarge,
                "message " + quoted(body.message) + " has " + std::to_string(body.payload.size()) +
                    " bytes, the client's limit is " + std::to_string(setup_.options.payload_bytes_max) +
                    ": send less, or raise payload_bytes_max and the server's limit");
  }
  return {};
}

bool Core::full(const GridState& grid, std::uint32_t key_hash, std::size_t bytes) {
  const ClientOptions& limits = setup_.options;
  if (slots_ >= limits.calls_max || (slots_ > 0 && bytes_ + bytes > limits.bytes_max)) return true;
  if (!grid.known) return false;
  const RegionState& region = grid.regions[(key_hash & 0x7fffffffU) % grid.regions.size()];
  return region.next - region.low >= limits.window_max;
}

Status Core::admit(Lock& lock, const GridState& grid, std::uint32_t key_hash, std::size_t bytes,
                   Monotonic deadline) {
  if (stopping_) return fail(Code::kCancelled, "the client is being closed: nothing was done");
  if (!full(grid, key_hash, bytes)) return {};
  if (setup_.options.when_full == WhenFull::kBlock && !running_callbacks) {
    ++blocked_;
    const bool room =
        space_.wait_until(lock, deadline, [&] { return stopping_ || !full(grid, key_hash, bytes); });
    --blocked_;
    if (stopping_) return fail(Code::kCancelled, "the client is being closed: nothing was done");
    if (room) return {};
  }
  ++stats_.overloaded;
  return fail(Code::kOverloaded, "the client holds " + std::to_string(slots_) + " calls with " +
                                     std::to_string(bytes_) + " bytes, its limits are " +
                                     std::to_string(setup_.options.calls_max) + " calls, " +
                                     std::to_string(setup_.options.bytes_max) + " bytes and " +
                                     std::to_string(setup_.options.window_max) +
                                     " sequences a region: wait for answers, or raise them");
}

Status Core::start(const Call& call, Callback* done, Slot** blocking) {
  AFDG_TRY(validate(call));
  const auto budget = call.deadline.count() > 0 ? call.deadline : setup_.options.deadline;
  const Monotonic deadline = clock_.monotonic() + budget;
  CallBody body = call.body;
  body.deadline_unix_ms = (clock_.deadline_time() + budget).time_since_epoch().count();
  const std::uint32_t key_hash = murmur2(body.key);
  thread_local std::string scratch;
  scratch.clear();
  append_call_body(scratch, body);

  Lock lock(mutex_);
  AFDG_TRY(admit(lock, *call.grid, key_hash, scratch.size(), deadline));
  const std::uint32_t index = take_slot();
  Slot& slot = at(index);
  slot.blocking = blocking != nullptr;
  slot.lost = false;
  slot.expired_once = false;
  slot.numbered = false;
  slot.identified = !body.request_id.empty();
  slot.key_hash = key_hash;
  slot.attempts = 0;
  slot.sequence = 0;
  slot.grid = call.grid;
  slot.body.swap(scratch);
  slot.deadline = deadline;
  if (done != nullptr) slot.done = std::move(*done);
  if (blocking != nullptr) {
    slot.finished.store(0, std::memory_order_relaxed);
    *blocking = &slot;
  }
  ++slots_;
  bytes_ += slot.body.size();
  ++stats_.calls;
  schedule(index, deadline);
  if (call.grid->type.empty()) [[unlikely]] {
    call.grid->type = body.type;
    call.grid->message = body.message;
  }
  if (!call.grid->known) {
    slot.state = State::kWaiting;
    call.grid->waiting.push_back(id_of(index));
    want_routes(*call.grid);
    return {};
  }
  enqueue(index);
  flush(*slot.link, lock);
  return {};
}

void Core::submit(const Call& call, Callback done) {
  if (Status started = start(call, &done, nullptr); !started) {
    done(Ended{started.code(), started.error().text(), {}});
  }
}

Ended Core::call(const Call& call) {
  if (running_callbacks) {
    return Ended{
        Code::kFailedPrecondition,
        "a blocking call inside a callback would stop the thread that brings its answer: use the form with a "
        "callback",
        {}};
  }
  Slot* slot = nullptr;
  if (Status started = start(call, nullptr, &slot); !started) {
    return Ended{started.code(), started.error().text(), {}};
  }
  slot->finished.wait(0, std::memory_order_acquire);
  const Lock lock(mutex_);
  Ended ended = std::move(slot->ended);
  free_slot(slot->index);
  return ended;
}

// --- Numbers and queues

void Core::number(Slot& slot) {
  GridState& grid = *slot.grid;
  slot.region = (slot.key_hash & 0x7fffffffU) % static_cast<std::uint32_t>(grid.regions.size());
  slot.grid_version = grid.version;
  slot.numbered = true;
  if (slot.identified) return;
  RegionState& region = grid.regions[slot.region];
  slot.sequence = region.next++;
  region.ended.push_back(false);
}

void Core::give_up_number(Slot& slot) {
  if (!slot.numbered || slot.sequence == 0 || slot.grid_version != slot.grid->version) return;
  RegionState& region = slot.grid->regions[slot.region];
  region.ended[slot.sequence - region.low] = true;
  while (!region.ended.empty() && region.ended.front()) {
    region.ended.pop_front();
    ++region.low;
  }
}

void Core::enqueue(std::uint32_t index) {
  Slot& slot = at(index);
  if (!slot.numbered || slot.grid_version != slot.grid->version) {
    slot.sequence = 0;
    number(slot);
  }
  LinkState* link = slot.grid->regions[slot.region].link;
  slot.link = link;
  slot.state = State::kQueued;
  link->queue.push_back(id_of(index));
  if (link->state == LinkState::State::kDown) timer_wake_.notify_one();
}

void Core::park(std::uint32_t index, std::chrono::milliseconds delay) {
  Slot& slot = at(index);
  slot.state = State::kParked;
  slot.retry_at = clock_.monotonic() + delay;
  schedule(index, std::min(slot.retry_at, slot.deadline));
}

LinkState* Core::link_for(std::string_view address) {
  if (address.empty()) address = setup_.server;
  if (auto found = links_.find(address); found != links_.end()) return found->second.get();
  if (links_.size() >= kLinksMax) return links_.find(setup_.server)->second.get();
  auto made = std::make_unique<LinkState>(*this, std::string(address));
  made->link = network_->link(made->address, *made);
  LinkState* link = made.get();
  links_.emplace(made->address, std::move(made));
  return link;
}

bool Core::build_frame(LinkState& link, std::string& frame) {
  GridState* grid = nullptr;
  while (!link.queue.empty()) {
    Slot* slot = find(link.queue.front());
    if (slot == nullptr || slot->state != State::kQueued || slot->link != &link) {
      link.queue.pop_front();
      continue;
    }
    if (grid != nullptr && (slot->grid != grid || frame.size() + slot->body.size() + 64 > kFrameBytesMax))
      break;
    if (grid == nullptr) {
      grid = slot->grid;
      frame.reserve(std::min(kFrameBytesMax, link.queue.size() * (slot->body.size() + 64)) + 64);
      append_frame_head(frame, grid->name, setup_.session, clock_.deadline_time());
    }
    link.queue.pop_front();
    const RegionState& region = grid->regions[slot->region];
    append_call(frame, slot->body,
                {.id = id_of(slot->index),
                 .region = slot->region,
                 .sequence = slot->sequence,
                 .answered_below = region.session_known && slot->sequence != 0 ? region.low : 0});
    slot->state = State::kSent;
    ++stats_.calls_written;
    if (slot->lost || slot->attempts > 0) [[unlikely]] {
      ++stats_.resent;
      grid->regions[slot->region].resent = true;
    }
  }
  if (grid != nullptr) ++stats_.frames_written;
  return grid != nullptr;
}

// A region keeps a session for as long as a late copy of a call may come: 15 minutes. When each call left
// once and was answered there is none, and a last frame says so; its calls run nothing. Otherwise the session
// stays.
void Core::say_farewell(Lock& lock) {
  // Of a session that another client began, a copy may be on its way that this one knows nothing of.
  if (slots_ > 0 || setup_.options.session != 0) return;
  // The last answer may be here before the word that its request was written.
  closing_ = true;
  space_.wait_for(lock, kFarewellMax, [this] {
    return std::none_of(links_.begin(), links_.end(), [](const auto& link) { return link.second->writing; });
  });
  struct Frame {
    LinkState* link;
    std::uint64_t epoch;
    std::string bytes;
  };
  std::vector<Frame> frames;
  for (auto& [name, grid] : grids_) {
    std::map<LinkState*, std::string> of_link;
    std::vector<bool> wanted(grid->regions.size());
    std::size_t left = 0;
    for (std::size_t i = 0; i < wanted.size() && left < kFarewellsMax; ++i) {
      const RegionState& region = grid->regions[i];
      wanted[i] = region.session_known && !region.resent && region.low == region.next &&
                  region.link->state == LinkState::State::kUp && !region.link->writing;
      left += wanted[i] ? 1 : 0;
    }
    std::string body;
    for (std::uint64_t n = 0; left > 0; ++n) {  // a key of each region, whatever its agent
      const std::string key = std::to_string(n);
      const auto index =
          static_cast<std::uint32_t>(key_partition(key, static_cast<std::int32_t>(wanted.size())));
      if (!wanted[index]) continue;
      wanted[index] = false;
      --left;
      body.clear();
      append_call_body(body, {.type = grid->type, .key = key, .message = grid->message});
      std::string& frame = of_link[grid->regions[index].link];
      if (frame.empty()) append_frame_head(frame, name, setup_.session, clock_.deadline_time());
      append_call(frame, body,
                  {.id = 0, .region = index, .sequence = kSessionOver, .answered_below = kSessionOver});
      ++farewells_;
    }
    for (auto& [link, bytes] : of_link) {
      if (link->writing) continue;  // with another grid's farewell: this one expires
      link->writing = true;
      frames.push_back({link, link->epoch, std::move(bytes)});
    }
  }
  if (frames.empty()) return;
  lock.unlock();
  for (Frame& frame : frames) frame.link->link->write(frame.epoch, std::move(frame.bytes));
  lock.lock();
  space_.wait_for(lock, kFarewellMax, [this] { return farewells_ == 0; });
}

// Leaves the lock released when it wrote.
void Core::flush(LinkState& link, Lock& lock) {
  const bool held = link.state != LinkState::State::kUp || link.writing || link.corked || stopping_;
  if (held || link.queue.empty()) return;
  std::string frame;
  if (!build_frame(link, frame)) return;
  link.writing = true;
  const std::uint64_t epoch = link.epoch;
  lock.unlock();
  link.link->write(epoch, std::move(frame));
}

// --- Ending a call

void Core::end(std::uint32_t index, Code code, std::string text, Reply reply, std::vector<Finished>& out) {
  Slot& slot = at(index);
  give_up_number(slot);
  --slots_;
  bytes_ -= slot.body.size();
  if (code != Code::kOk && text.empty()) text = code_text(code);
  Ended ended{code, std::move(text), std::move(reply)};
  if (slot.blocking) {
    slot.ended = std::move(ended);
    slot.state = State::kEnded;
    out.push_back({nullptr, {}, &slot});
  } else {
    out.push_back({std::move(slot.done), std::move(ended), nullptr});
    free_slot(index);
  }
  if (blocked_ > 0) space_.notify_all();
}

void Core::run(std::vector<Finished>& finished) {
  const bool outer = std::exchange(running_callbacks, true);
  for (Finished& one : finished) {
    if (one.slot != nullptr) {
      one.slot->finished.store(1, std::memory_order_release);
      one.slot->finished.notify_one();
    } else {
      one.done(std::move(one.ended));
    }
  }
  running_callbacks = outer;
  finished.clear();
}

void Core::refuse(std::uint32_t index, Code code, std::string text) {
  Slot& slot = at(index);
  slot.refusal = std::make_unique<Error>(code, std::move(text));
  const auto delay =
      std::min<std::chrono::milliseconds>(5ms * (1 << std::min(slot.attempts, 8U)), kRetryDelayMax);
  ++slot.attempts;
  park(index, delay);
}

void Core::take_outcome(LinkState& link, const OutcomeView& view, std::vector<Finished>& out) {
  Slot* slot = find(view.id);
  if (slot == nullptr || slot->state != State::kSent || slot->link != &link) {  // ended here before
    if (view.id == 0 && farewells_ > 0 && --farewells_ == 0) space_.notify_all();
    return;
  }
  ++stats_.outcomes;
  Code code = view.code == 0 ? Code::kOk : code_from_number(view.code);
  std::string text(view.text);
  const bool ours = slot->sequence != 0 && slot->grid_version == slot->grid->version;
  if (ours && view.offset >= 0) slot->grid->regions[slot->region].session_known = true;
  if (code != Code::kOk) [[unlikely]] {
    const Retry retry = code_retry(code);
    if (retry == Retry::kRefreshRoute) want_routes(*slot->grid);
    if (retry == Retry::kInDoubt || (retry == Retry::kRefreshRoute && view.offset > 0)) slot->lost = true;
    if (retry == Retry::kRefreshRoute || retry == Retry::kInDoubt ||
        (retry == Retry::kSameCall && slot->lost)) {
      refuse(slot->index, code, std::move(text));
      return;
    }
    if (code == Code::kRequestExpired && ours && !slot->lost && !slot->expired_once) {
      slot->expired_once = true;  // the region forgot the session, not this call: it begins the session anew
      slot->grid->regions[slot->region].session_known = false;
      refuse(slot->index, code, std::move(text));
      return;
    }
    if (slot->lost && !view.repeated && (code == Code::kRequestExpired || code == Code::kDeadlineExceeded)) {
      code = Code::kInDoubt;
      text = "an earlier sending of " + where(*slot) +
             " was cut off, and the repeat did not run any more: it is not known whether it happened; "
             "look at the agent's state, or try again with the same request id";
    }
  }
  Reply reply{std::string(view.payload), slot->region, view.offset, view.repeated};
  end(slot->index, code, std::move(text), std::move(reply), out);
}

void Core::expire(std::uint32_t index, std::vector<Finished>& out) {
  Slot& slot = at(index);
  if (slot.lost || slot.state == State::kSent) {
    std::string text = "no answer came in time for " + where(slot) +
                       ": it is not known whether it happened; try again with the same request id";
    if (slot.refusal) text += " (" + slot.refusal->text() + ")";
    end(index, Code::kInDoubt, std::move(text), {}, out);
  } else if (slot.refusal) {
    const Error refusal = *slot.refusal;
    end(index, refusal.code() == Code::kNotLeader ? Code::kUnavailable : refusal.code(), refusal.text(), {},
        out);
  } else if (slot.state == State::kWaiting) {
    std::string text = "the routes of grid " + quoted(slot.grid->name) + " could not be had from " +
                       setup_.server + " in time, nothing was sent: check that the server runs";
    if (!slot.grid->trouble.empty()) text += " (" + slot.grid->trouble + ")";
    end(index, Code::kUnavailable, std::move(text), {}, out);
  } else if (slot.link->state != LinkState::State::kUp) {
    std::string text =
        "there is no connection to " + slot.link->address + ", nothing was sent: check that the node runs";
    if (!slot.link->last_break.empty()) text += " (" + slot.link->last_break + ")";
    end(index, Code::kUnavailable, std::move(text), {}, out);
  } else {
    end(index, Code::kDeadlineExceeded,
        "the deadline passed while " + where(slot) +
            " waited to be written: nothing was sent; allow more time or "
            "send less at once",
        {}, out);
  }
}

// --- What links report

void Core::on_up(LinkState& link, std::uint64_t epoch) {
  Lock lock(mutex_);
  if (epoch != link.epoch || stopping_) return;
  link.state = LinkState::State::kUp;
  link.writing = false;
  link.backoff = 0ms;
  flush(link, lock);
}

void Core::on_written(LinkState& link, std::uint64_t epoch) {
  Lock lock(mutex_);
  if (epoch != link.epoch) return;
  link.writing = false;
  if (closing_) space_.notify_all();
  flush(link, lock);
}

void Core::on_frame(LinkState& link, std::uint64_t epoch, std::string_view bytes) {
  thread_local OutcomeFrameView view;
  thread_local std::vector<Finished> finished;
  if (!parse_outcome_frame(bytes, view)) return;  // a frame of another protocol answers no call of ours
  Lock lock(mutex_);
  if (epoch != link.epoch || stopping_) return;
  ++stats_.frames_read;
  for (const RouteView& route : view.routes) {
    auto grid = grids_.find(route.grid);
    if (grid != grids_.end()) take_route(*grid->second, route.region, route.address);
  }
  for (const OutcomeView& outcome : view.outcomes) take_outcome(link, outcome, finished);
  link.corked = true;
  const auto blocking = static_cast<std::size_t>(std::count_if(
      finished.begin(), finished.end(), [](const Finished& one) { return one.slot != nullptr; }));
  lock.unlock();
  run(finished);
  lock.lock();
  if (blocking >= kGatherMin) gather(link, blocking, lock);
  link.corked = false;
  flush(link, lock);
}

// Many blocking callers were woken at once and will ask again: one write for what they ask costs a fraction
// of a write for each. They need a processor to do so; as soon as none of them uses its turn, this goes on.
void Core::gather(LinkState& link, std::size_t woken, Lock& lock) {
  for (int turns = 0; turns < kGatherTurns && link.queue.size() < woken; ++turns) {
    const std::size_t before = link.queue.size();
    lock.unlock();
    std::this_thread::yield();
    lock.lock();
    if (turns > 0 && link.queue.size() == before) return;
  }
}

void Core::on_broken(LinkState& link, std::uint64_t epoch, std::string why) {
  Lock lock(mutex_);
  if (epoch != link.epoch || stopping_) return;
  if (link.state == LinkState::State::kUp) ++stats_.streams_broken;
  link.state = LinkState::State::kDown;
  link.writing = false;
  link.last_break = std::move(why);
  link.backoff = link.backoff == 0ms ? 20ms : std::min<std::chrono::milliseconds>(link.backoff * 2, 250ms);
  link.open_at = clock_.monotonic() + link.backoff;
  std::vector<std::uint32_t> again;
  for (std::uint32_t i = 0; i < blocks_.size() * kSlotsPerBlock; ++i) {
    Slot& slot = at(i);
    if (slot.link != &link) continue;
    if (slot.state == State::kSent) {
      slot.lost = true;
      again.push_back(i);
    }
    if (slot.state == State::kSent || slot.state == State::kQueued) want_routes(*slot.grid);
  }
  std::sort(again.begin(), again.end(), [this](std::uint32_t a, std::uint32_t b) {
    return std::pair(at(a).grid, at(a).sequence) < std::pair(at(b).grid, at(b).sequence);
  });
  std::deque<std::uint64_t> behind;
  behind.swap(link.queue);
  for (const std::uint32_t index : again) {
    Slot& slot = at(index);
    slot.state = State::kQueued;
    link.queue.push_back(id_of(index));
  }
  for (const std::uint64_t id : behind) {
    if (find(id) != nullptr) link.queue.push_back(id);
  }
  timer_wake_.notify_one();
}

void Core::take_route(GridState& grid, std::uint32_t region, std::string_view address) {
  if (!grid.known || region >= grid.regions.size()) return;
  grid.regions[region].link = link_for(address);
}

}  // namespace afdg::client::internal
