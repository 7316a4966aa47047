#include "log/producers.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/codec.h"

namespace afdg::log {
namespace {

constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHeadBytes = 2 + 4;  // version, CRC

std::int64_t count_of(Timestamp t) { return t.time_since_epoch().count(); }
Timestamp time_of(std::uint64_t ms) {
  return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(ms)));
}

std::string name_of(const BatchView& batch) {
  return "producer " + std::to_string(batch.producer_id()) + " epoch " +
         std::to_string(batch.producer_epoch());
}

}  // namespace

std::int32_t advance_sequence(std::int32_t sequence, std::int32_t by) noexcept {
  constexpr std::int64_t kSequences = std::int64_t{1} << 31;
  return static_cast<std::int32_t>((std::int64_t{sequence} + by) % kSequences);
}

Producers::~Producers() { clear(); }

void Producers::clear() {
  budget_.give_back(entries_.size());
  entries_.clear();
  oldest_ = newest_ = nullptr;
}

Producers::Window Producers::window(const Entry& entry, std::size_t count) {
  std::size_t begin = count;
  while (begin > 0 && count - begin < kBatches &&
         entry.batches[begin - 1].epoch == entry.batches[count - 1].epoch)
    --begin;
  return {begin, count};
}

std::size_t Producers::committed_count(const Entry& entry, Offset committed) {
  const auto end = std::partition_point(entry.batches.begin(), entry.batches.end(),
                                        [&](const Batch& batch) { return batch.base < committed; });
  return static_cast<std::size_t>(end - entry.batches.begin());
}

Result<std::optional<Offset>> Producers::check(const BatchView& header, Timestamp now) {
  const std::int64_t id = header.producer_id();
  if (id < 0) return std::optional<Offset>();
  const std::int32_t first = header.base_sequence();
  const std::int16_t epoch = header.producer_epoch();
  if (first < 0 || epoch < 0 || header.last_offset_delta() < 0) {
    return fail(Code::kInvalidRecord, name_of(header) + ": sequence " + std::to_string(first) +
                                          ": neither epoch nor sequence may be negative");
  }
  expire(now);
  const auto found = entries_.find(id);
  if (found == entries_.end()) {
    const bool full = entries_.size() >= options_.producers_max || budget_.used() >= budget_.max();
    if (!full || (oldest_ != nullptr && now - oldest_->last_used >= options_.idle_min))
      return std::optional<Offset>();
    const bool here = entries_.size() >= options_.producers_max;
    return fail(Code::kOverloaded,
                name_of(header) + " is new, and the limit of " +
                    std::to_string(here ? options_.producers_max : budget_.max()) +
                    (here ? " producers a partition" : " producers a node") +
                    " is reached: use fewer producers, wait until others were silent for a while, or raise " +
                    (here ? "partition-producers-max" : "node-producers-max"));
  }
  const Entry& entry = found->second;
  const Batch& last = entry.batches.back();
  if (epoch < last.epoch) {
    return fail(Code::kProducerFenced, name_of(header) + ": epoch " + std::to_string(last.epoch) +
                                           " took over: stop the older instance");
  }
  std::int32_t expected = 0;
  if (epoch == last.epoch) {
    const std::int32_t last_sequence = advance_sequence(first, header.last_offset_delta());
    const Window recent = window(entry, entry.batches.size());
    for (std::size_t i = recent.end; i-- > recent.begin;)
      if (entry.batches[i].first_sequence == first && entry.batches[i].last_sequence == last_sequence)
        return std::optional<Offset>(entry.batches[i].base);
    expected = advance_sequence(last.last_sequence, 1);
  }
  if (first == expected) return std::optional<Offset>();
  return fail(Code::kOutOfOrderSequence, name_of(header) + ": its batch begins with sequence " +
                                             std::to_string(first) + ", expected is " +
                                             std::to_string(expected) + ": let the producer start again");
}

void Producers::add(const BatchView& header, Offset base, Offset committed, Timestamp now) {
  if (header.producer_id() < 0) return;
  Entry& entry = use(header.producer_id(), now);
  AFDG_ASSERT(entry.batches.empty() || entry.batches.back().base < base,
              "batches of a producer are out of order");
  entry.batches.push_back({base, header.max_timestamp(), header.base_sequence(),
                           advance_sequence(std::max(header.base_sequence(), 0), header.last_offset_delta()),
                           header.producer_epoch()});
  // What is before the window of the committed ones is needed no more, whatever becomes of the others.
  const std::size_t keep_from = window(entry, committed_count(entry, committed)).begin;
  entry.batches.erase(entry.batches.begin(), entry.batches.begin() + static_cast<std::ptrdiff_t>(keep_from));
}

Producers::Entry& Producers::use(std::int64_t id, Timestamp now) {
  auto found = entries_.find(id);
  if (found == entries_.end()) {
    if (entries_.size() >= options_.producers_max && oldest_ != nullptr) forget(*oldest_);
    if (!budget_.take()) {
      if (oldest_ != nullptr) forget(*oldest_);
      budget_.take_anyway();
    }
    found = entries_.try_emplace(id).first;
    found->second.id = id;
  } else {
    unlink(found->second);
  }
  Entry& entry = found->second;
  entry.last_used = now;
  link_newest(entry);
  return entry;
}

void Producers::expire(Timestamp now) {
  while (oldest_ != nullptr && now - oldest_->last_used >= options_.expiry) forget(*oldest_);
}

void Producers::unlink(Entry& entry) {
  (entry.older != nullptr ? entry.older->newer : oldest_) = entry.newer;
  (entry.newer != nullptr ? entry.newer->older : newest_) = entry.older;
  entry.older = entry.newer = nullptr;
}

void Producers::link_newest(Entry& entry) {
  entry.older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = &entry;
  newest_ = &entry;
}

void Producers::forget(Entry& entry) {
  unlink(entry);
  budget_.give_back(1);
  entries_.erase(entry.id);
}

std::vector<Offset> Producers::last_bases() const {
  std::vector<Offset> bases;
  bases.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) bases.push_back(entry.batches.back().base);
  std::sort(bases.begin(), bases.end());
  return bases;
}

std::optional<Producers::State> Producers::find(std::int64_t producer_id) const {
  const auto found = entries_.find(producer_id);
  if (found == entries_.end()) return std::nullopt;
  const Batch& last = found->second.batches.back();
  return State{last.epoch, last.last_sequence, last.base,
               Timestamp(std::chrono::milliseconds(last.max_timestamp)), found->second.last_used};
}

std::string Producers::encode(Offset committed) const {
  std::string out;
  put_be16(out, kVersion);
  put_be32(out, 0);
  put_be64(out, static_cast<std::uint64_t>(committed.value()));
  const std::size_t count_at = out.size();
  put_be32(out, 0);
  std::uint32_t count = 0;
  // Oldest use first, as decode() links them.
  for (const Entry* entry = oldest_; entry != nullptr; entry = entry->newer) {
    const Window kept = window(*entry, committed_count(*entry, committed));
    if (kept.begin == kept.end) continue;
    ++count;
    put_be64(out, static_cast<std::uint64_t>(entry->id));
    put_be16(out, static_cast<std::uint16_t>(entry->batches[kept.begin].epoch));
    put_be64(out, static_cast<std::uint64_t>(count_of(entry->last_used)));
    out.push_back(static_cast<char>(kept.end - kept.begin));
    for (std::size_t i = kept.begin; i < kept.end; ++i) {
      const Batch& batch = entry->batches[i];
      put_be64(out, static_cast<std::uint64_t>(batch.base.value()));
      put_be64(out, static_cast<std::uint64_t>(batch.max_timestamp));
      put_be32(out, static_cast<std::uint32_t>(batch.first_sequence));
      put_be32(out, static_cast<std::uint32_t>(batch.last_sequence));
    }
  }
  store_be32(out.data() + count_at, count);
  store_be32(out.data() + 2, crc32c(std::string_view(out).substr(kHeadBytes)));
  return out;
}

Result<Offset> Producers::decode(std::string_view bytes) {
  AFDG_ASSERT(entries_.empty(), "a snapshot is taken into an empty state only");
  const auto bad = [this](const char* what) {
    clear();
    return fail(Code::kCorrupt, std::string("producer snapshot: ") + what);
  };
  ByteReader in(bytes);
  const std::uint16_t version = in.be16();
  const std::uint32_t crc = in.be32();
  if (in.failed()) return bad("it is too short");
  if (version > kVersion) {
    return fail(Code::kNewerFormat, "producer snapshot: version " + std::to_string(version) +
                                        " was written by a newer program, this one knows version 1");
  }
  if (version != kVersion) return bad("its version is 0");
  if (crc32c(bytes.substr(kHeadBytes)) != crc) return bad("its CRC-32C is wrong");
  const Offset at(static_cast<std::int64_t>(in.be64()));
  const std::uint32_t count = in.be32();
  if (at < Offset(0)) return bad("its offset is negative");
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    const auto id = static_cast<std::int64_t>(in.be64());
    const auto epoch = static_cast<std::int16_t>(in.be16());
    const Timestamp last_used = time_of(in.be64());
    const std::size_t batches = in.u8();
    if (in.failed() || id < 0 || batches < 1 || batches > kBatches || entries_.contains(id))
      return bad("a producer's entry is impossible");
    Entry& entry = entries_[id];
    budget_.take_anyway();
    entry.id = id;
    entry.last_used = last_used;
    link_newest(entry);
    for (std::size_t b = 0; b < batches; ++b) {
      const Offset base(static_cast<std::int64_t>(in.be64()));
      const auto max_timestamp = static_cast<std::int64_t>(in.be64());
      const auto first = static_cast<std::int32_t>(in.be32());
      const auto last = static_cast<std::int32_t>(in.be32());
      if (in.failed() || base < Offset(0) || base >= at || (b > 0 && base <= entry.batches.back().base))
        return bad("a batch's entry is impossible");
      entry.batches.push_back({base, max_timestamp, first, last, epoch});
    }
  }
  if (!in.finished()) return bad("its entries do not fill it");
  return at;
}

}  // namespace afdg::log
