#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "log/batch.h"

namespace afdg::log {

/// How many producers all partitions of a node remember together. Thread-safety: safe.
class ProducerBudget {
 public:
  explicit ProducerBudget(std::size_t producers_max) : max_(producers_max) {}
  /// False when none is left.
  [[nodiscard]] bool take() noexcept {
    if (used_.fetch_add(1, std::memory_order_relaxed) < max_) return true;
    used_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  /// For what a snapshot or the log itself holds: may pass the limit, as refusing it would lose it.
  void take_anyway() noexcept { used_.fetch_add(1, std::memory_order_relaxed); }
  void give_back(std::size_t count) noexcept { used_.fetch_sub(count, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t max() const noexcept { return max_; }

 private:
  const std::size_t max_;
  std::atomic<std::size_t> used_{0};
};

struct ProducersOptions {
  /// Producers that one partition remembers; about 400 bytes each.
  std::size_t producers_max = 10000;
  /// A producer that was silent for so long is forgotten, and its next batch taken whatever its sequence
  /// (Kafka's producer.id.expiration.ms).
  std::chrono::milliseconds expiry = std::chrono::hours(24);
  /// When there is no room, the one that was silent longest is forgotten, if it was silent for so long: more
  /// than clients go on trying a batch (delivery.timeout.ms, 2 minutes).
  std::chrono::milliseconds idle_min = std::chrono::minutes(15);
};

/// What one partition remembers of its idempotent producers (KIP-98, KIP-360), so that a batch that is sent
/// again is stored once, and batches of a producer are stored in its order.
///
///     producer 7, epoch 2:  [seq 0..4 @100] [5..5 @105] | [6..9 @120]        next expected: 10
///                                            committed | appended, may still be lost
///
/// A pure core: the caller hands it the header of each batch before the append (check), and once more with
/// its offset (add). Only the last five batches of the newest epoch count; while appended batches are not
/// committed, what held before them is kept too, so that encode() gives exactly the committed state.
/// Thread-safety: confined. Ownership: the budget outlives it. Bounds: producers_max and the budget; a
/// producer keeps five batches and those not committed.
class Producers {
 public:
  static constexpr std::size_t kBatches = 5;

  Producers(const ProducersOptions& options, ProducerBudget& budget) : options_(options), budget_(budget) {}
  ~Producers();
  Producers(const Producers&) = delete;
  Producers& operator=(const Producers&) = delete;

  /// Nothing: append the batch, then call add(). An offset: it is stored there already, as it is or on its
  /// way; append nothing. A batch without a producer (id -1) is always to be appended. `header` is at least a
  /// batch's header.
  /// Errors: kOutOfOrderSequence (does not follow the last batch; a new epoch begins at 0), kProducerFenced
  /// (of a lower epoch), kInvalidRecord (negative epoch or sequence), kOverloaded (no room for another
  /// producer); none changes anything but that expired producers go.
  Result<std::optional<Offset>> check(const BatchView& header, Timestamp now);
  /// Remembers a batch at `base` that check() let pass, or one that the log holds: that one is taken whatever
  /// its sequence. Bases grow. `committed`: the end of what is committed now.
  void add(const BatchView& header, Offset base, Offset committed, Timestamp now);
  /// Forgets who was silent for too long.
  void expire(Timestamp now);

  /// The state as the log below `committed` makes it; ON DISK since version 1, see
  /// docs/formats/producer-snapshot.md.
  [[nodiscard]] std::string encode(Offset committed) const;
  /// Takes the state of a snapshot; only into an empty one. Returns the offset that it was made at. Errors:
  /// kCorrupt, kNewerFormat; it stays empty.
  Result<Offset> decode(std::string_view bytes);

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// The partition's own limit is reached.
  [[nodiscard]] bool full() const noexcept { return entries_.size() >= options_.producers_max; }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

  /// Where the last batch of each producer is, in growing order.
  [[nodiscard]] std::vector<Offset> last_bases() const;
  /// What is known of one producer.
  struct State {
    std::int16_t epoch;
    std::int32_t last_sequence;
    Offset last_base;
    Timestamp last_timestamp;  ///< the batch's max timestamp
    Timestamp last_used;
  };
  [[nodiscard]] std::optional<State> find(std::int64_t producer_id) const;

 private:
  struct Batch {
    Offset base;
    std::int64_t max_timestamp;
    std::int32_t first_sequence;
    std::int32_t last_sequence;
    std::int16_t epoch;
  };
  struct Entry {
    std::int64_t id = 0;
    Timestamp last_used;
    Entry* older = nullptr;  ///< by last use
    Entry* newer = nullptr;
    std::vector<Batch> batches;  ///< at least one; bases grow
  };
  struct Window {
    std::size_t begin;
    std::size_t end;
  };
  /// The at most five last batches of the last epoch among the first `count`.
  static Window window(const Entry& entry, std::size_t count);
  /// How many batches begin below `committed`.
  static std::size_t committed_count(const Entry& entry, Offset committed);
  Entry& use(std::int64_t id, Timestamp now);
  void unlink(Entry& entry);
  void link_newest(Entry& entry);
  void forget(Entry& entry);
  void clear();

  ProducersOptions options_;
  ProducerBudget& budget_;
  std::unordered_map<std::int64_t, Entry> entries_;
  Entry* oldest_ = nullptr;
  Entry* newest_ = nullptr;
};

/// The sequence `by` after `sequence`: after 2^31-1 comes 0.
[[nodiscard]] std::int32_t advance_sequence(std::int32_t sequence, std::int32_t by) noexcept;

}  // namespace afdg::log
