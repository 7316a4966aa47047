#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "client/internal/ports.h"
#include "client/internal/wire.h"
#include "client/options.h"

namespace afdg::client::internal {

/// How one call ended.
struct Ended {
  Code code = Code::kOk;
  std::string text;
  Reply reply;
};
using Callback = std::function<void(Ended&&)>;

struct LinkState;

/// One region as this session sees it: [answered | low ... next) with the answered ones inside marked.
struct RegionState {
  std::uint64_t low = 1;   // every sequence below has ended
  std::uint64_t next = 1;  // to be given out
  std::deque<bool> ended;  // of [low, next)
  // The region has logged something of this session. Before, it may take answered_below > 1 for a session
  // that it forgot, because reads and refusals leave no trace there: so none is sent.
  bool session_known = false;
  // A call was written twice: a late copy may still be on its way, and the region must recognise it.
  bool resent = false;
  LinkState* link = nullptr;
};

struct GridState {
  std::string name;
  std::uint64_t grid_id = 0;
  std::uint32_t version = 0;  // grows when the grid turned out to be another one
  std::uint32_t round = 0;    // route tables taken
  bool known = false;
  bool refresh_wanted = false;
  bool refresh_running = false;
  Monotonic refresh_after{};
  std::chrono::milliseconds backoff{0};
  std::vector<RegionState> regions;
  std::vector<std::uint64_t> waiting;  // calls without a region yet
  std::string trouble;                 // why the last lookup failed
  std::string type;                    // with the next: a message that the grid takes, for the farewell
  std::string message;
};

/// What becomes of calls: numbers them, gathers them into frames, sends them again after a break, ends each
/// once.
///
///     submit -> waiting (routes) -> queued (frame) -> sent -> ended
///                                      ^   parked  <--+  broken stream, refusal: the same (session,
///                                      sequence) again
///
/// Thread-safety: safe; one mutex, never held while a callback, a write or a lookup runs.
/// Bounds: ClientOptions; each slot is at most once in the deadline heap, twice in rare cases.
class Core {
 public:
  struct Setup {
    ClientOptions options;
    std::string server;         // where the first link goes and what stands in for an unknown leader
    std::uint64_t session = 0;  // random, not 0
  };
  Core(Setup setup, std::unique_ptr<Network> network);
  /// Ends every call: kCancelled, or kInDoubt when it may have happened. Tells the regions that the session
  /// is over, so that they forget it; blocks at most 200 ms for that.
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  struct Call {
    GridState* grid = nullptr;
    CallBody body;  // deadline_unix_ms is set here
    std::chrono::milliseconds deadline{0};
  };

  /// The state of a grid of that name; lives as long as the core. nullptr after 4,096 names.
  GridState* grid(std::string_view name);
  /// Ends in exactly one call of `done`: on a link's or the timer's thread, or before this returns when the
  /// call was refused here. `done` must not block.
  void submit(const Call& call, Callback done);
  /// Blocks until the call has ended. Inside a callback it refuses: kFailedPrecondition.
  Ended call(const Call& call);

  [[nodiscard]] ClientStats stats() const;
  [[nodiscard]] const ClientOptions& options() const { return setup_.options; }
  [[nodiscard]] Network& network() { return *network_; }
  /// True on a thread that runs a callback of this process's clients.
  static bool in_callback() noexcept;

 private:
  friend struct LinkState;
  enum class State : std::uint8_t { kFree, kWaiting, kQueued, kSent, kParked, kEnded };
  struct Slot {
    State state = State::kFree;
    bool blocking = false;
    bool lost = false;          // left on a stream that broke, or answered kInDoubt: may have happened
    bool numbered = false;      // region and sequence are set
    bool expired_once = false;  // refused as expired at its first sending
    bool identified = false;    // has the caller's own id: takes no sequence
    std::uint32_t generation = 1;
    std::uint32_t key_hash = 0;
    std::uint32_t region = 0;
    std::uint32_t grid_version = 0;
    std::uint32_t attempts = 0;
    std::uint64_t sequence = 0;
    GridState* grid = nullptr;
    LinkState* link = nullptr;
    std::string body;
    Monotonic deadline{};
    Monotonic retry_at{};
    Monotonic event_at{};  // of its entry in the heap; zero: none
    std::uint32_t index = 0;
    std::unique_ptr<Error> refusal;
    Callback done;
    Ended ended;  // blocking: filled before `finished`
    std::atomic<std::uint32_t> finished{0};
  };
  static constexpr std::size_t kSlotsPerBlock = 256;
  static constexpr std::size_t kGatherMin = 4;  // blocking callers woken by one frame
  static constexpr int kGatherTurns = 8;
  using Block = std::array<Slot, kSlotsPerBlock>;
  struct Finished {
    Callback done;  // empty: a blocking call, `slot` is woken
    Ended ended;
    Slot* slot = nullptr;
  };
  using Lock = std::unique_lock<std::mutex>;

  // Slots.
  Slot& at(std::uint32_t index) { return (*blocks_[index / kSlotsPerBlock])[index % kSlotsPerBlock]; }
  std::uint64_t id_of(std::uint32_t index) { return (std::uint64_t{at(index).generation} << 24) | index; }
  Slot* find(std::uint64_t id);
  std::uint32_t take_slot();
  void free_slot(std::uint32_t index);
  Status validate(const Call& call) const;
  bool full(const GridState& grid, std::uint32_t key_hash, std::size_t bytes);
  Status admit(Lock& lock, const GridState& grid, std::uint32_t key_hash, std::size_t bytes,
               Monotonic deadline);
  Status start(const Call& call, Callback* done, Slot** blocking);
  std::string where(const Slot& slot) const;

  // What a call goes through; the lock is held.
  void enqueue(std::uint32_t index);
  void number(Slot& slot);
  void give_up_number(Slot& slot);
  void end(std::uint32_t index, Code code, std::string text, Reply reply, std::vector<Finished>& out);
  void expire(std::uint32_t index, std::vector<Finished>& out);
  void refuse(std::uint32_t index, Code code, std::string text);
  void park(std::uint32_t index, std::chrono::milliseconds delay);
  void take_outcome(LinkState& link, const OutcomeView& view, std::vector<Finished>& out);
  void take_route(GridState& grid, std::uint32_t region, std::string_view address);
  static void run(std::vector<Finished>& finished);

  // Links.
  LinkState* link_for(std::string_view address);
  void flush(LinkState& link, Lock& lock);
  static void gather(LinkState& link, std::size_t woken, Lock& lock);
  void say_farewell(Lock& lock);
  bool build_frame(LinkState& link, std::string& frame);
  void on_up(LinkState& link, std::uint64_t epoch);
  void on_written(LinkState& link, std::uint64_t epoch);
  void on_frame(LinkState& link, std::uint64_t epoch, std::string_view bytes);
  void on_broken(LinkState& link, std::uint64_t epoch, std::string why);

  // Time and routes, each with a thread of its own.
  void schedule(std::uint32_t index, Monotonic when);
  void run_timers();
  Monotonic process_due(Lock& lock, std::vector<Finished>& out, std::vector<LinkState*>& to_flush,
                        std::vector<LinkState*>& to_open);
  void want_routes(GridState& grid);
  void run_routes();
  void apply_routes(GridState& grid, Result<RouteTable> table, std::vector<Finished>& out,
                    std::vector<LinkState*>& to_flush);

  const Setup setup_;
  std::unique_ptr<Network> network_;
  SystemClock clock_;

  mutable std::mutex mutex_;
  bool stopping_ = false;
  bool closing_ = false;  // say_farewell() waits for writes to end
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::uint32_t> free_;
  std::uint32_t slots_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint32_t blocked_ = 0;
  std::size_t farewells_ = 0;  // sent and not yet answered
  std::condition_variable space_;
  std::map<std::string, std::unique_ptr<GridState>, std::less<>> grids_;
  std::map<std::string, std::unique_ptr<LinkState>, std::less<>> links_;
  ClientStats stats_;

  struct Event {
    Monotonic when;
    std::uint32_t index;
    friend bool operator>(const Event& a, const Event& b) { return a.when > b.when; }
  };
  std::vector<Event> heap_;
  std::condition_variable timer_wake_;
  Monotonic timer_next_{};
  std::condition_variable routes_wake_;
  std::thread timer_thread_;
  std::thread routes_thread_;
};

/// A node as the core sees it. Owned by the core; `link` outlives nothing it calls back into.
struct LinkState final : LinkEvents {
  enum class State : std::uint8_t { kDown, kOpening, kUp };

  LinkState(Core& of, std::string where) : core(of), address(std::move(where)) {}
  void on_up(std::uint64_t e) override { core.on_up(*this, e); }
  void on_written(std::uint64_t e) override { core.on_written(*this, e); }
  void on_frame(std::uint64_t e, std::string_view bytes) override { core.on_frame(*this, e, bytes); }
  void on_broken(std::uint64_t e, std::string why) override { core.on_broken(*this, e, std::move(why)); }

  Core& core;
  std::string address;
  std::unique_ptr<Link> link;
  State state = State::kDown;
  bool writing = false;
  bool corked = false;  // callbacks of a reply frame are running: flush once after them
  std::uint64_t epoch = 0;
  std::chrono::milliseconds backoff{0};
  Monotonic open_at{};
  std::string last_break;
  std::deque<std::uint64_t> queue;
};

}  // namespace afdg::client::internal
