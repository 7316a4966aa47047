#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/memory_log.h"
#include "region/message.h"
#include "region/region_core.h"
#include "store/testing/reverting_store.h"

namespace afdg::region::testing {

/// One region with its disk: the real core on the in-memory log and a store that can go back in time. It
/// crashes and starts as often as a test wants; what a crash keeps is the log's storage and the store.
/// It judges what it sees while it runs: violation() holds the first broken rule.
/// Thread-safety: confined.
class SimulatedRegion final : public Shell {
 public:
  struct Setup {
    RegionId region{0};
    Options options;
    log::MemoryLogStorage::Options log;
  };
  /// What one call got.
  struct Answer {
    Code code;
    std::string text;
    Offset offset;
    bool repeated;
  };
  struct Parcel {
    RegionId source, target;
    std::uint64_t number;
    std::string type, key, message, payload;
    Content content;
  };

  SimulatedRegion(Setup setup, const agents::AgentTypes& types, const Clock& clock);
  ~SimulatedRegion() override;
  SimulatedRegion(const SimulatedRegion&) = delete;
  SimulatedRegion& operator=(const SimulatedRegion&) = delete;

  /// Opens a new core with the next epoch. Precondition: !up().
  Status start();
  /// The process dies: undecided appends and the core are gone. The disk stays.
  void crash();
  [[nodiscard]] bool up() const noexcept { return core_ != nullptr; }
  [[nodiscard]] RegionCore& core() noexcept { return *core_; }
  [[nodiscard]] log::MemoryLogStorage& log() noexcept { return *log_; }
  [[nodiscard]] store::RevertingStore& store() noexcept { return store_; }

  /// Polls until nothing is queued; commits what it appends. Reopens when the core has failed.
  Status settle();
  /// Freezes, writes and ends a checkpoint, if there is one to be had.
  bool checkpoint(bool force = true);

  /// Committed messages from the first one on, also those that the log has let go of since.
  const std::deque<std::string>& messages();
  /// One of them, parsed; views point into this object.
  MessageView message(std::size_t index);
  /// The fold of committed changes below `end`, or of all.
  [[nodiscard]] std::map<std::string, std::string> fold(std::optional<Offset> end = std::nullopt);
  /// What the region's marks say of each message below the applied offset: empty, or what is wrong.
  [[nodiscard]] std::string check_marks();
  /// Compares the store with the fold up to its mark: empty, or what is wrong.
  [[nodiscard]] std::string check_store();

  std::map<std::uint64_t, Answer> answers;  ///< by ticket
  std::deque<Parcel> outgoing;
  std::map<std::int64_t, int> deaths_at;
  std::int64_t running_now = -1;
  bool woken = false;
  /// The first rule that was seen broken.
  std::string violation;

  // Shell
  void release(ReplyBatch&& replies) override;
  void wake() override { woken = true; }
  void deliver(const OutboxEntry& entry) override;
  void running(Offset offset) override { running_now = offset.value(); }
  void ended() override { running_now = -1; }
  int deaths(Offset offset) override {
    const auto at = deaths_at.find(offset.value());
    return at == deaths_at.end() ? 0 : at->second;
  }

 private:
  struct Change {
    Offset offset;
    std::string key;
    std::optional<std::string> value;
  };
  void harvest();

  Setup setup_;
  const agents::AgentTypes& types_;
  const Clock& clock_;
  std::shared_ptr<log::MemoryLogStorage> log_;
  store::RevertingStore store_{4096};
  std::unique_ptr<log::MemoryLog> reader_;
  std::unique_ptr<RegionCore> core_;
  std::int32_t epoch_ = 0;
  std::deque<std::string> messages_;
  Offset messages_read_{0}, changes_read_{0};
  std::vector<Change> changes_;
};

/// What Inbound::produced takes: the records as a Kafka producer sends them. `producer` below 0: without an
/// identity.
std::string produced_batch(log::BatchBuilder& records, std::int64_t producer, std::int16_t epoch,
                           std::int32_t sequence);
/// The seed of a random test: the environment's AFDG_SEED, or a new one.
std::uint64_t test_seed();
/// How to repeat it.
std::string repeat_line(std::string_view test, std::uint64_t seed);

}  // namespace afdg::region::testing
