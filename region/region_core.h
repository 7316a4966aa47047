#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agents/agent_base.h"
#include "region/core.h"
#include "region/internal/hash_slots.h"
#include "region/message.h"
#include "region/producers.h"
#include "region/sessions.h"
#include "region/table.h"

namespace afdg::region {

/// Committed state on its way to the store: made by RegionCore::begin_checkpoint(), written by any thread,
/// ended by finish_checkpoint().
struct Checkpoint {
  std::shared_ptr<const StateTable::Frozen> frozen;
  std::string prefix;
  StoreMark mark;
  [[nodiscard]] StateTable::Part part() const noexcept { return {frozen.get(), prefix, mark}; }
  /// Applied in one piece; not durable before the store's flush().
  Status write(store::KeyValueStore& store) const { return StateTable::write({part()}, store); }
};

struct RegionInfo {
  Offset messages_start, applied, messages_end, changes_end, checkpointed, dead_end;
  std::uint64_t live_agents = 0;
  std::uint64_t outbox = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t turns = 0;
  std::uint64_t reads = 0;
  std::uint64_t replayed = 0;  ///< records of changes folded at open()
  std::uint64_t sessions = 0;
  bool recovering = false;
  Status fault;
};

struct ShownItem {
  std::string entity;
  std::string key;
  std::int64_t sequence;
  std::string value;
};

/// One region: its agents, their state, one order of messages. A pure core.
///
///     handle() -> turn -> open batch --seal()--> MessageLog --committed--> Shell::release(replies)
///                  |                                   (on the log's thread, without a hop)
///                  +-> table (dirty) --begin_checkpoint()--> store
///
/// Execution runs ahead of durability; everything that leaves (replies, errors, reads, repeats, sends) waits
/// for the commit of all it has seen. After a failed append the object is of no more use: failed() says so,
/// everything uncommitted is to be dropped with it, and the shell makes a new one with a higher epoch.
/// Thread-safety: confined, but for what Shell and Checkpoint say. Bounds: Options.
class RegionCore {
 public:
  RegionCore(RegionId region, Options options, const agents::AgentTypes& types,
             std::unique_ptr<log::MessageLog> log, store::KeyValueStore& store, std::string store_prefix,
             const Clock& clock, Shell& shell);
  ~RegionCore();
  RegionCore(const RegionCore&) = delete;
  RegionCore& operator=(const RegionCore&) = delete;

  /// Takes over with `epoch`: folds the changes that the store lacks (all of them when the store is empty,
  /// ahead, or too old), then queues the messages that were logged and not applied; poll() runs them. Blocks
  /// while reading. Errors: kCorrupt, kFenced, kNewerFormat, kIo.
  Status open(Epoch epoch);
  /// A hint that handle() of this message comes soon: brings what it will look at into the processor's cache,
  /// which takes kPrefetchSteps calls with growing `step`, some messages apart from each other.
  void prefetch(Inbound& message, int step) const;
  static constexpr int kPrefetchSteps = 5;
  /// Runs the message at once, or behind what is queued. Its reply comes with a later commit, also when it is
  /// refused.
  void handle(const Inbound& message);
  /// Bytes of the open batch; seal at Options::seal_bytes, after 1 ms, or at the end of a frame, whichever is
  /// first.
  [[nodiscard]] std::size_t open_bytes() const;
  /// Appends the open batch. Nothing happens when it is empty and nobody waits. The core also seals by itself
  /// at seal_bytes.
  void seal();
  /// After Shell::wake(), and about each second: runs what is queued, hands out the outbox, expires, evicts,
  /// seals. True when there is more to do now.
  bool poll();
  /// `target` has every entry up to `number` durably.
  void delivered(RegionId target, std::uint64_t number);
  /// The carrier lost its place (a target refused a gap, or a node came back): entries from `number` on are
  /// handed out again.
  void redeliver(RegionId target, std::uint64_t number);

  /// Freezes when enough is dirty (or `force` and anything is), and hands the frozen state out once all of it
  /// is committed.
  std::optional<Checkpoint> begin_checkpoint(bool force);
  /// `written` is ok when the state is in the store and durable there (KeyValueStore::flush()).
  void finish_checkpoint(const Status& written);

  /// Whether the log has room for what this message may write. Errors: kDiskFull.
  [[nodiscard]] Status room(const Inbound& m) const {
    return log_->ready(open_bytes() + m.payload.size() + options_.turn_bytes_max);
  }
  /// Not ok: an append failed (kFenced, kInDoubt, kDiskFull, ...).
  [[nodiscard]] const Status& failed() const noexcept { return failed_; }
  [[nodiscard]] RegionInfo info() const;
  /// What a look at the state by now has seen: nobody may be told of it before committed(seen()).
  [[nodiscard]] std::uint64_t seen() const noexcept;
  /// Errors: kInDoubt, kFenced and others: some of it will never be committed.
  [[nodiscard]] Result<bool> committed(std::uint64_t seen) const;
  /// Keys of agents that have state, in byte order, after `after`. Sees uncommitted state: see seen().
  [[nodiscard]] Result<std::vector<std::string>> list_agents(std::string_view type, std::string_view prefix,
                                                             std::string_view after, std::size_t limit) const;
  /// Sees uncommitted state: see seen(). Errors: kNotFound when the agent has no state.
  [[nodiscard]] Result<std::vector<ShownItem>> show_agent(std::string_view type, std::string_view key,
                                                          std::size_t limit) const;

 private:
  friend class LiveState;
  struct Live;
  struct Queued;
  struct OutboxTarget;
  class Turn;
  class Completions;
  struct TextEqual {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept { return a == b; }
  };

  // Messages (region_core.cc, turns.cc, requests.cc, outbox.cc)
  bool refuse_closed(const Inbound& message);
  bool refuse_early(const Inbound& message, const agents::HandlerInfo*& handler);
  bool answer_repeat(const Inbound& message, Timestamp now);
  void read(const Inbound& message, const agents::HandlerInfo& handler, Timestamp now);
  Offset log_message(const MessageView& message);
  /// `fault`: the message cannot be run, and why.
  void run(const MessageView& message, const Status& fault, const std::uint64_t* tickets,
           std::size_t ticket_count);
  Status run_turn(const MessageView& message, std::string& answer);
  Status run_handler(Live& live, const agents::HandlerInfo& handler, const MessageView& message,
                     agents::TurnPort& port, std::string& answer);
  void finish(const MessageView& message, const Status& status, std::string_view answer,
              const std::uint64_t* tickets, std::size_t ticket_count);
  void bury(const MessageView& message, Code code, std::string_view reason);
  void begin_writes();
  /// `batch`: the number of the append that carries the message, 0 when it was found in the log.
  void enqueue(const MessageView& message, const Status& fault, std::vector<std::uint64_t> tickets,
               std::uint64_t batch);
  [[nodiscard]] bool may_run_next() const;
  /// True when more can run now.
  bool run_queue(std::size_t turns_max);
  void remember(const MessageView& message, Outcome outcome);
  static std::string identity_text(const MessageView& message);
  [[nodiscard]] bool is_here(std::string_view key) const;
  void reply(std::uint64_t ticket, Code code, Content content, Offset offset, bool repeated,
             std::string_view text);
  [[nodiscard]] const agents::AgentType* find_type(std::string_view name) const;
  static std::uint64_t live_hash(const agents::AgentType& type, std::uint64_t key_hash);
  Live& live(const agents::AgentType& type, std::string_view key);
  void drop_live(Live& agent);
  void evict();
  // What Kafka clients produced (produce.cc)
  void produce(const Inbound& message);
  Status check_produced(const Inbound& message, std::int32_t taken) const;
  MessageView produced_message(const log::RecordView& record, Timestamp now) const;
  std::string_view standard_type() const;
  std::string_view standard_message(std::string_view type) const;
  void forward(const MessageView& message);
  /// Gives the message its number and place in its target's outbox; the record of `changes` is the caller's
  /// to put: `key`, and the value that is returned, which lives until the outbox changes.
  const std::string& put_outbox(const MessageView& message, std::string& key);
  Status stage_send(std::string_view type, std::string_view key, std::string_view message,
                    std::string_view payload);
  void commit_sends(const MessageView& cause);
  void put_record(std::string_view key, std::optional<std::string_view> value);
  void count_turn(Offset offset, std::int32_t records_before);
  void write_batch_marks();
  void set_failed(const Error& error);
  void hand_out_outbox();
  void put_outbox_records();
  /// True when there is much more to expire.
  bool expire_request_ids(Timestamp now);

  // Recovery (recovery.cc)
  Status replay(Epoch epoch);
  Status load_control(Timestamp now);
  Status queue_logged();
  void find_deaths();

  const RegionId region_;
  const Options options_;
  const agents::AgentTypes& types_;
  std::unique_ptr<log::MessageLog> log_;
  const Clock& clock_;
  Shell& shell_;
  Epoch epoch_{0};
  Status failed_;
  StateTable table_;
  Sessions sessions_;
  Producers producers_;

  // The open batch.
  log::BatchBuilder messages_, changes_, dead_;
  Offset messages_base_;
  ReplyBatch replies_;
  std::string turns_;  ///< of the mark: message offset delta and record count of each turn
  std::uint64_t turns_count_ = 0;
  Offset last_turn_offset_{-1};
  bool mark_dirty_ = false;
  std::set<std::int32_t> inbox_dirty_;
  std::set<std::int32_t> outbox_dirty_;
  std::vector<std::pair<std::int32_t, std::uint64_t>>
      outbox_done_;  ///< delivered; their records go with the next batch

  std::vector<std::pair<std::string, std::string>>
      forwarded_;  ///< outbox records that no turn made; they go with the open batch
  std::size_t forwarded_bytes_ = 0;

  // What runs.
  Offset applied_{0};     ///< the next message to apply
  HashSlots<Live> live_;  ///< owned; by Live::hash
  mutable const agents::AgentType* last_type_ = nullptr;
  std::vector<Live*> clock_order_;
  std::size_t clock_hand_ = 0;
  std::uint64_t live_bytes_ = 0;
  std::deque<Queued> queue_;
  std::unordered_map<std::string, std::size_t, TextHash, TextEqual>
      queued_identities_;  ///< to the number of the queue entry
  std::size_t queue_popped_ = 0;
  std::uint64_t queue_bytes_ = 0;
  Offset unread_;  ///< logged messages from here to recovered_end_ are not queued yet
  Offset recovered_end_;
  Offset careful_until_;  ///< messages below are made durable before they run, see find_deaths()
  Offset poison_until_;   ///< only messages below may be poison
  std::map<std::int32_t, std::uint64_t> inbox_;
  std::map<std::int32_t, OutboxTarget> outbox_;
  std::uint64_t outbox_bytes_ = 0;

  // The running turn.
  struct Write {
    std::string key;
    std::optional<std::string> value;
  };
  struct Staged {
    std::string type, key, message, payload;
  };
  std::deque<Write> writes_;                        ///< the first write_count_; the rest are buffers
  std::map<std::string_view, Write*> write_index_;  ///< of all of them when there are many, else empty
  std::size_t write_count_ = 0;
  std::size_t write_bytes_ = 0;
  Timestamp turn_now_;          ///< when it began, as deadlines are counted
  Live* turn_agent_ = nullptr;  ///< that the turn's writes are of
  std::vector<Staged> sends_;
  std::string scratch_, answer_, converted_;
  std::vector<log::Header> headers_;

  // Appends under way.
  std::shared_ptr<Completions> completions_;
  std::uint64_t appended_ = 0;  ///< batches
  Offset changes_end_;          ///< of all of them
  std::uint64_t frozen_batch_ = 0;
  StoreMark frozen_mark_;
  Offset frozen_applied_, checkpointed_;
  bool checkpoint_out_ = false;
  std::string expiry_cursor_;
  Timestamp swept_{};
  std::uint64_t turns_total_ = 0, reads_total_ = 0, replayed_ = 0;
};

}  // namespace afdg::region
