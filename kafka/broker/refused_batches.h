#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "log/batch.h"

namespace afdg::kafka {

/// Who produced a batch, and which of its batches it is (KIP-98).
struct BatchIdentity {
  std::int64_t producer = -1;
  std::int16_t epoch = -1;
  std::int32_t sequence = -1;
};
/// Nothing when the producer is not idempotent, or these bytes are no batch.
[[nodiscard]] inline std::optional<BatchIdentity> batch_identity(std::string_view records) {
  if (records.size() < log::batch_layout::kHeaderBytes) return std::nullopt;
  const log::BatchView batch = log::BatchView::header(records);
  if (batch.producer_id() < 0) return std::nullopt;
  return BatchIdentity{batch.producer_id(), batch.producer_epoch(), batch.base_sequence()};
}

/// The batches of a connection's idempotent producers that were refused and did not come again yet.
///
/// A partition that does not know a producer takes its batch whatever the sequence (the log may have lost the
/// earlier ones to retention). So the second of two pipelined batches would be stored after the first was
/// refused, and the first could never follow. Here it waits for the first: OUT_OF_ORDER_SEQUENCE_NUMBER, upon
/// which clients send both again, in order.
/// Thread-safety: confined. Bounds: kMax producers and partitions, and names that a topic can have; what is
/// beyond is not watched.
class RefusedBatches {
 public:
  static constexpr std::size_t kMax = 256;
  static constexpr std::size_t kNameBytesMax = 249;

  /// It was not stored.
  void add(std::string_view topic, std::int32_t partition, const BatchIdentity& batch) {
    if (topic.size() > kNameBytesMax) return;  // no such topic will ever be
    const Key key{std::string(topic), partition, batch.producer};
    const auto found = first_.find(key);
    if (found == first_.end()) {
      if (first_.size() < kMax) first_.emplace(key, First{batch.epoch, batch.sequence});
    } else if (found->second.epoch != batch.epoch || after(found->second.sequence, batch.sequence)) {
      found->second = {batch.epoch, batch.sequence};
    }
  }
  /// Whether this batch comes behind one that was refused. Told of that one itself, it is forgotten.
  [[nodiscard]] bool waits(std::string_view topic, std::int32_t partition, const BatchIdentity& batch) {
    if (first_.empty()) return false;
    const auto found = first_.find({std::string(topic), partition, batch.producer});
    if (found == first_.end()) return false;
    const First first = found->second;
    if (first.epoch == batch.epoch && after(batch.sequence, first.sequence)) return true;
    if (first.epoch != batch.epoch || batch.sequence == first.sequence) first_.erase(found);
    return false;
  }
  [[nodiscard]] std::size_t size() const noexcept { return first_.size(); }

 private:
  using Key = std::tuple<std::string, std::int32_t, std::int64_t>;
  struct First {
    std::int16_t epoch;
    std::int32_t sequence;
  };
  /// Sequences go round at 2^31.
  static bool after(std::int32_t a, std::int32_t b) noexcept {
    const std::uint32_t distance =
        (static_cast<std::uint32_t>(a) - static_cast<std::uint32_t>(b)) & 0x7fffffffu;
    return distance != 0 && distance < 0x40000000u;
  }

  std::map<Key, First> first_;
};

}  // namespace afdg::kafka
