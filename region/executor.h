#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "region/core.h"
#include "region/lane_note.h"
#include "region/lane_reply.h"
#include "region/region_core.h"

namespace afdg::region {

class Executor;
class Lanes;

/// A committed outbox entry that owns its bytes.
struct Parcel {
  std::uint64_t number = 0;
  std::string type, key, message, payload;
  Content content = Content::kProtobuf;
};

/// Brings parcels to their target region, on this node or another. Answers each carry() by
/// Executor::delivered and, when it could not bring them all, Executor::refused. Thread-safety: called on
/// lanes; must not block.
class Carrier {
 public:
  virtual ~Carrier() = default;
  /// In order, contiguous; after a refusal the numbers start again lower under a new `round`.
  virtual void carry(std::shared_ptr<Executor> from, RegionId target, std::uint64_t round,
                     std::vector<Parcel> parcels) = 0;
};

/// What all executors of a node share. Outlives them.
struct ExecutorContext {
  const agents::AgentTypes* types = nullptr;
  store::KeyValueStore* store = nullptr;
  const Clock* clock = nullptr;
  Lanes* lanes = nullptr;
  LaneNotes* notes = nullptr;  ///< may be absent
  Carrier* carrier = nullptr;
  std::atomic<bool>* disk_full =
      nullptr;  ///< set when an append found the disk full; whoever sees space clears it
  std::atomic<std::uint64_t>* sealed_bytes = nullptr;
  /// Writes and flushes a checkpoint on another thread, then calls Executor::checkpoint_written on the
  /// executor's lane.
  std::function<void(std::shared_ptr<Executor>, std::uint64_t life, Checkpoint)> write_checkpoint;
  /// Something went wrong that an operator should read.
  std::function<void(const Executor&, const Status&)> report;
};

/// The AgentExecutor of one region: its core, and the core's shell. Lives in one lane.
///
/// When an append fails, everything uncommitted goes with the core: unanswered calls become kInDoubt (their
/// ids answer a repeat), and a new core is opened from the log after a pause. Thread-safety: confined to its
/// lane, but for lane(), release() and wake(); open() and close() while the lane does not know it. Bounds:
/// the core's, and kParcelsMax parcels under way a target.
class Executor final : public Shell, public std::enable_shared_from_this<Executor> {
 public:
  struct Setup {
    GridId grid;
    std::string grid_name;
    RegionId region;
    Options options;
    std::string store_prefix;
    std::size_t lane = 0;
    std::function<Result<std::unique_ptr<log::MessageLog>>()> open_log;
  };
  Executor(Setup setup, const ExecutorContext& context);
  ~Executor() override;

  /// Opens the region's log and folds what the store lacks. Blocks while reading. An error leaves a region
  /// that answers with it; kCorrupt and kNewerFormat stay, others are tried again.
  Status open(Epoch epoch);
  /// Ends the core; calls are answered kUnavailable from now on.
  void close();

  // On the lane.
  void prefetch(Inbound& message, int step) const {
    if (core_) core_->prefetch(message, step);
  }
  void handle(const Inbound& message);
  [[nodiscard]] std::size_t open_bytes() const { return core_ ? core_->open_bytes() : 0; }
  [[nodiscard]] std::size_t seal_bytes() const noexcept { return setup_.options.seal_bytes; }
  /// Ends a slice of work: seals, and sees to a failed core.
  void seal();
  void poll();
  /// Freezes and hands out what is dirty. True when a checkpoint is under way.
  bool checkpoint(bool force);
  void checkpoint_written(std::uint64_t life, const Status& written);
  void delivered(RegionId target, std::uint64_t number);
  void refused(RegionId target, std::uint64_t round);
  void reopen(Epoch epoch);
  /// Errors: why the region does not run.
  [[nodiscard]] Result<RegionInfo> info() const;
  [[nodiscard]] RegionCore* core() noexcept { return core_.get(); }
  [[nodiscard]] const Status& fault() const noexcept { return fault_; }
  [[nodiscard]] Epoch epoch() const noexcept { return epoch_; }
  [[nodiscard]] bool checkpoint_out() const noexcept { return checkpoint_out_; }

  [[nodiscard]] std::size_t lane() const noexcept { return setup_.lane; }
  [[nodiscard]] GridId grid() const noexcept { return setup_.grid; }
  [[nodiscard]] const std::string& grid_name() const noexcept { return setup_.grid_name; }
  [[nodiscard]] RegionId region() const noexcept { return setup_.region; }
  [[nodiscard]] const ExecutorContext& context() const noexcept { return context_; }
  /// For Lanes: whether a poll is posted.
  [[nodiscard]] std::atomic<bool>& poll_posted() noexcept { return poll_posted_; }
  /// For the lane: whether it waits for seal().
  bool touched = false;

  // Shell
  void release(ReplyBatch&& replies) override;
  void wake() override;
  void deliver(const OutboxEntry& entry) override;
  void running(Offset offset) override;
  void ended() override;
  int deaths(Offset offset) override;

 private:
  static constexpr std::uint64_t kParcelsMax = 4096;
  struct Target {
    std::vector<Parcel> parcels;
    std::uint64_t sent = 0;   ///< highest number given to the carrier in this round
    std::uint64_t acked = 0;  ///< highest number that the target has
    std::uint64_t round = 0;
    std::chrono::milliseconds pause{0};
    bool paused = false;
    bool left_out = false;  ///< entries were handed out that the window had no room for
  };
  Status make_core();
  void carry();
  void check_core();
  void try_again();
  void answer(const Inbound& message, Code code, std::string_view text);

  const Setup setup_;
  const ExecutorContext& context_;
  std::unique_ptr<RegionCore> core_;
  Epoch epoch_{0};
  Status fault_;
  std::uint64_t life_ = 0;  ///< of the core
  bool checkpoint_out_ = false;
  bool closed_ = false;
  bool retry_posted_ = false;
  std::chrono::milliseconds reopen_pause_{0};  ///< before the next try; grows while tries fail
  std::map<RegionId, Target> targets_;
  std::uint64_t rounds_ = 0;
  std::atomic<bool> poll_posted_{false};
  std::atomic<bool> opening_{false};  ///< the core is not to be touched by a lane yet
};

}  // namespace afdg::region
