#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

namespace afdg::region {

/// What a region remembers of the idempotent Kafka producers (KIP-98, KIP-360) that wrote to its partition of
/// `messages`: the last five batches of each, so that a batch that comes again is taken once and batches of a
/// producer are taken in its order. It is a part of the region's state, written with the records themselves.
///
///     producer 7, epoch 2:  [seq 0, 5 records @100] [5, 1 @105] [6, 400 records, 212 of them taken @-1]
///
/// A batch larger than one append can be cut by a crash: then the record says how much of it was taken, and
/// the same batch again goes on from there.
/// Thread-safety: confined. Bounds: producers_max.
class Producers {
 public:
  static constexpr std::size_t kBatches = 5;

  struct Options {
    std::size_t producers_max = 5'000;  ///< about 300 bytes each
    /// One that was silent for so long is forgotten (Kafka's producer.id.expiration.ms).
    std::chrono::milliseconds expiry = std::chrono::hours(24);
    /// When there is no room, the one that was silent longest goes, if it was for so long: more than clients
    /// go on trying a batch (delivery.timeout.ms, 2 minutes).
    std::chrono::milliseconds idle_min = std::chrono::minutes(15);
  };
  /// The header of a batch that a client produced; `id` below 0: it is not idempotent.
  struct Batch {
    std::int64_t id = -1;
    std::int16_t epoch = -1;
    std::int32_t sequence = -1;  ///< of the first record
    std::int32_t records = 0;
  };
  /// How a batch stands to what is known.
  struct Look {
    std::int32_t taken = 0;  ///< of its records, all of them for a repeat
    bool repeat = false;
    Offset base{-1};  ///< of a repeat: what was answered the first time
  };
  using PutRecord = std::function<void(std::string_view key, std::optional<std::string_view> value)>;

  explicit Producers(const Options& options) : options_(options) {}

  /// Changes nothing. Errors: kOutOfOrderSequence (does not follow the last batch; a new epoch begins at 0),
  /// kProducerFenced (of a lower epoch), kOverloaded (no room for another producer).
  [[nodiscard]] Result<Look> look(const Batch& batch, Timestamp now) const;
  /// A batch was not taken for another reason than look() gives. When the producer is unknown, the next one
  /// is not taken before it while this object lives; nothing is stored of that.
  void refused(const Batch& batch, Timestamp now);
  /// The first `taken` records of a batch that look() let pass are in the open append; `base` is what is
  /// answered for it.
  void took(const Batch& batch, std::int32_t taken, Offset base, Timestamp now);
  /// Puts the records of those that changed since the last time.
  void seal(const PutRecord& put);
  /// Forgets who was silent for too long; the deletions go out with the next seal().
  void expire(Timestamp now);
  /// Takes over a stored record. Errors: kCorrupt.
  Status load(std::string_view key, std::string_view value);
  [[nodiscard]] std::size_t size() const noexcept { return producers_.size(); }

 private:
  struct Taken {
    std::int32_t sequence;
    std::int32_t records;
    std::int32_t taken;
    Offset base;
  };
  struct Producer {
    std::int16_t epoch = 0;
    Timestamp active{};
    std::int32_t awaited = 0;    ///< sequence, while there are no batches
    std::vector<Taken> batches;  ///< at most kBatches; oldest first
  };
  [[nodiscard]] std::unordered_map<std::int64_t, Producer>::const_iterator longest_silent() const;

  const Options options_;
  std::unordered_map<std::int64_t, Producer> producers_;
  std::unordered_set<std::int64_t> touched_;
};

}  // namespace afdg::region
