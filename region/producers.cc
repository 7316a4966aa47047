#include "region/producers.h"

#include <algorithm>

#include "base/codec.h"
#include "log/producers.h"
#include "region/state_key.h"

namespace afdg::region {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kSequenceMax = 0x7fffffff;

std::string name_of(const Producers::Batch& batch) {
  return "producer " + std::to_string(batch.id) + " epoch " + std::to_string(batch.epoch);
}

}  // namespace

std::unordered_map<std::int64_t, Producers::Producer>::const_iterator Producers::longest_silent() const {
  return std::min_element(producers_.begin(), producers_.end(),
                          [](const auto& a, const auto& b) { return a.second.active < b.second.active; });
}

Result<Producers::Look> Producers::look(const Batch& batch, Timestamp now) const {
  if (batch.id < 0) return Look{};
  const auto found = producers_.find(batch.id);
  if (found == producers_.end() || now - found->second.active >= options_.expiry) {
    if (producers_.size() < options_.producers_max || found != producers_.end()) return Look{};
    if (now - longest_silent()->second.active >= options_.idle_min) return Look{};
    return fail(Code::kOverloaded, name_of(batch) + " is new, and the limit of " +
                                       std::to_string(options_.producers_max) +
                                       " producers a region is reached: use fewer producers, or wait until "
                                       "others were silent for a while");
  }
  const Producer& known = found->second;
  if (batch.epoch < known.epoch) {
    return fail(Code::kProducerFenced, name_of(batch) + ": epoch " + std::to_string(known.epoch) +
                                           " took over: stop the older instance");
  }
  std::int32_t expected = 0;
  if (batch.epoch == known.epoch) {
    for (auto at = known.batches.rbegin(); at != known.batches.rend(); ++at) {
      if (at->sequence != batch.sequence || at->records != batch.records) continue;
      const bool repeat = at->taken == at->records;
      return Look{.taken = at->taken, .repeat = repeat, .base = repeat ? at->base : Offset(-1)};
    }
    expected = known.batches.empty()
                   ? known.awaited
                   : log::advance_sequence(known.batches.back().sequence, known.batches.back().taken);
  }
  if (batch.sequence == expected) return Look{};
  return fail(Code::kOutOfOrderSequence, name_of(batch) + ": its batch begins with sequence " +
                                             std::to_string(batch.sequence) + ", expected is " +
                                             std::to_string(expected) + ": let the producer start again");
}

void Producers::refused(const Batch& batch, Timestamp now) {
  if (batch.id < 0 || producers_.contains(batch.id) || producers_.size() >= options_.producers_max) return;
  producers_[batch.id] = {.epoch = batch.epoch, .active = now, .awaited = batch.sequence, .batches = {}};
}

void Producers::took(const Batch& batch, std::int32_t taken, Offset base, Timestamp now) {
  if (batch.id < 0) return;
  if (!producers_.contains(batch.id) && producers_.size() >= options_.producers_max) {
    const auto oldest = longest_silent();
    touched_.insert(oldest->first);
    producers_.erase(oldest);
  }
  Producer& producer = producers_[batch.id];
  if (producer.epoch != batch.epoch || now - producer.active >= options_.expiry) producer.batches.clear();
  producer.epoch = batch.epoch;
  producer.active = now;
  touched_.insert(batch.id);
  auto& batches = producer.batches;
  if (!batches.empty() && batches.back().taken < batches.back().records &&
      batches.back().sequence == batch.sequence && batches.back().records == batch.records) {
    batches.back().taken = taken;
    batches.back().base = base;
    return;
  }
  if (batches.size() == kBatches) batches.erase(batches.begin());
  batches.push_back({batch.sequence, batch.records, taken, base});
}

// ON DISK: a version byte, then varints: epoch, last use in ms since 1970, number of batches; for each,
// oldest first: first sequence, records, how many of them were taken, base + 1.
void Producers::seal(const PutRecord& put) {
  std::string value;
  for (const std::int64_t id : touched_) {
    const auto found = producers_.find(id);
    if (found == producers_.end()) {
      put(producer_key(static_cast<std::uint64_t>(id)), std::nullopt);
      continue;
    }
    const Producer& producer = found->second;
    value.assign(1, static_cast<char>(kVersion));
    put_varint(value, static_cast<std::uint64_t>(producer.epoch));
    put_varint(value, static_cast<std::uint64_t>(producer.active.time_since_epoch().count()));
    put_varint(value, producer.batches.size());
    for (const Taken& batch : producer.batches) {
      put_varint(value, static_cast<std::uint64_t>(batch.sequence));
      put_varint(value, static_cast<std::uint64_t>(batch.records));
      put_varint(value, static_cast<std::uint64_t>(batch.taken));
      put_varint(value, static_cast<std::uint64_t>(batch.base.value() + 1));
    }
    put(producer_key(static_cast<std::uint64_t>(id)), value);
  }
  touched_.clear();
}

void Producers::expire(Timestamp now) {
  for (auto at = producers_.begin(); at != producers_.end();) {
    if (now - at->second.active < options_.expiry) {
      ++at;
      continue;
    }
    touched_.insert(at->first);
    at = producers_.erase(at);
  }
}

Status Producers::load(std::string_view key, std::string_view value) {
  const auto damaged = [] {
    return fail(Code::kCorrupt, "a stored producer is damaged: rebuild the region from its changes");
  };
  ByteReader reader(value);
  const std::uint8_t version = reader.u8();
  const std::uint64_t epoch = reader.varint();
  Producer producer;
  producer.active = Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(reader.varint())));
  const std::uint64_t count = reader.varint();
  if (key.size() != 9 || reader.failed() || version != kVersion || epoch > 0x7fff || count == 0 ||
      count > kBatches)
    return damaged();
  producer.epoch = static_cast<std::int16_t>(epoch);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t sequence = reader.varint(), records = reader.varint(), taken = reader.varint();
    const Offset base(static_cast<std::int64_t>(reader.varint()) - 1);
    if (reader.failed() || sequence > kSequenceMax || records > kSequenceMax || taken > records)
      return damaged();
    producer.batches.push_back({static_cast<std::int32_t>(sequence), static_cast<std::int32_t>(records),
                                static_cast<std::int32_t>(taken), base});
  }
  if (!reader.finished()) return damaged();
  producers_.insert_or_assign(static_cast<std::int64_t>(load_be64(key.data() + 1)), std::move(producer));
  return {};
}

}  // namespace afdg::region
