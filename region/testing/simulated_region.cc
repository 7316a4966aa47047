#include "region/testing/simulated_region.h"

#include <cstdlib>

#include "base/assert.h"
#include "base/codec.h"
#include "log/batch.h"
#include "region/state_key.h"

namespace afdg::region::testing {
namespace {

constexpr std::string_view kPrefix = "r0/";

}  // namespace

SimulatedRegion::SimulatedRegion(Setup setup, const agents::AgentTypes& types, const Clock& clock)
    : setup_(std::move(setup)),
      types_(types),
      clock_(clock),
      log_(std::make_shared<log::MemoryLogStorage>(setup_.log)),
      reader_(std::make_unique<log::MemoryLog>(log_)) {}

SimulatedRegion::~SimulatedRegion() = default;

Status SimulatedRegion::start() {
  AFDG_ASSERT(!up(), "the region runs already");
  core_ = std::make_unique<RegionCore>(setup_.region, setup_.options, types_,
                                       std::make_unique<log::MemoryLog>(log_), store_, std::string(kPrefix),
                                       clock_, *this);
  Status opened = core_->open(Epoch(++epoch_));
  if (!opened.ok()) core_.reset();
  return opened;
}

void SimulatedRegion::crash() {
  harvest();
  log_->crash();
  core_.reset();
  outgoing.clear();
  running_now = -1;
}

Status SimulatedRegion::settle() {
  for (int round = 0; round < 100'000; ++round) {
    if (!up()) AFDG_TRY(start());
    const bool more = core_->poll();
    log_->commit_all();
    harvest();
    if (!core_->failed().ok()) {
      core_.reset();
      continue;
    }
    if (!more && !core_->info().recovering &&
        core_->info().applied == log_->committed_end(log::Stream::kMessages))
      return {};
  }
  return fail(Code::kInternal, "the region does not come to rest");
}

bool SimulatedRegion::checkpoint(bool force) {
  auto made = core_->begin_checkpoint(force);
  if (!made) return false;
  harvest();
  const Status written = made->write(store_);
  core_->finish_checkpoint(written);
  const RegionInfo info = core_->info();
  if (info.messages_start > info.applied)
    violation = "Invariant 12: the start of messages passed the applied offset";
  return written.ok();
}

void SimulatedRegion::release(ReplyBatch&& replies) {
  const Offset end = log_->committed_end(log::Stream::kMessages);
  for (const ReplyBatch::Entry& entry : replies.entries) {
    if (entry.offset >= end && entry.code != Code::kInDoubt && entry.code != Code::kFenced)
      violation =
          "Invariant 4: a reply left before the commit of message " + std::to_string(entry.offset.value());
    const auto [at, inserted] = answers.try_emplace(
        entry.ticket, Answer{entry.code, std::string(replies.text(entry)), entry.offset, entry.repeated});
    if (!inserted) violation = "call " + std::to_string(entry.ticket) + " was answered twice";
  }
}

void SimulatedRegion::deliver(const OutboxEntry& entry) {
  outgoing.push_back({setup_.region, entry.target, entry.number, std::string(entry.type),
                      std::string(entry.key), std::string(entry.message), std::string(entry.payload),
                      entry.content});
}

void SimulatedRegion::harvest() {
  using log::Stream;
  auto read = [&](Stream stream, Offset& from, auto&& visit) {
    const Offset end = log_->committed_end(stream);
    while (from < end) from = reader_->read(stream, from, {}, visit).value();
  };
  read(Stream::kMessages, messages_read_, [&](const log::RecordView& record) {
    // Kept as the records of a flat list: offset, timestamp, key, value, headers.
    std::string copy;
    put_be64(copy, static_cast<std::uint64_t>(record.offset.value()));
    put_be64(copy, static_cast<std::uint64_t>(record.timestamp.time_since_epoch().count()));
    put_sized(copy, record.key.value_or(""));
    put_sized(copy, record.value.value_or(""));
    put_varint(copy, record.headers.size());
    for (const auto& header : record.headers) {
      put_sized(copy, header.key);
      put_sized(copy, header.value);
    }
    messages_.push_back(std::move(copy));
  });
  read(Stream::kChanges, changes_read_, [&](const log::RecordView& record) {
    changes_.push_back({record.offset, std::string(record.key.value_or("")),
                        record.value ? std::optional<std::string>(*record.value) : std::nullopt});
  });
}

const std::deque<std::string>& SimulatedRegion::messages() {
  harvest();
  return messages_;
}

MessageView SimulatedRegion::message(std::size_t index) {
  ByteReader reader(messages_.at(index));
  log::RecordView record;
  record.offset = Offset(static_cast<std::int64_t>(reader.be64()));
  record.timestamp = Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(reader.be64())));
  record.key = reader.sized();
  record.value = reader.sized();
  const std::uint64_t headers = reader.varint();
  for (std::uint64_t i = 0; i < headers; ++i) {
    const std::string_view key = reader.sized();
    record.headers.push_back({key, reader.sized()});
  }
  MessageView view;
  parse_message(record, "entity", view).ignore("the caller looks at what there is");
  return view;
}

std::map<std::string, std::string> SimulatedRegion::fold(std::optional<Offset> end) {
  harvest();
  std::map<std::string, std::string> state;
  for (const Change& change : changes_) {
    if (end && change.offset >= *end) break;
    if (change.value) {
      state[change.key] = *change.value;
    } else {
      state.erase(change.key);
    }
  }
  return state;
}

std::string SimulatedRegion::check_marks() {
  harvest();
  std::int64_t next = 0;
  std::size_t records = 0;  // since the mark before
  for (const Change& change : changes_) {
    if (change.key != control_key(KeyKind::kMark)) {
      ++records;
      continue;
    }
    ByteReader reader(*change.value);
    reader.u8();
    const auto applied = static_cast<std::int64_t>(reader.varint());
    const std::uint64_t turns = reader.varint();
    std::int64_t offset = 0;
    std::size_t counted = 0;
    for (std::uint64_t i = 0; i < turns; ++i) {
      offset += static_cast<std::int64_t>(reader.varint());
      counted += reader.varint();
      const std::int64_t expected = setup_.log.offset_gap == 0 ? next : std::max(next, offset);
      if (offset != expected)
        return "Invariant 1: message " + std::to_string(offset) + " ended where " + std::to_string(expected) +
               " was next";
      next = offset + 1;
    }
    if (!reader.finished() || counted > records) return "a mark does not fit its batch";
    if (applied != next)
      return "Invariant 1: the mark says " + std::to_string(applied) + ", the turns " + std::to_string(next);
    records = 0;
  }
  if (Offset(next) > log_->committed_end(log::Stream::kMessages))
    return "Invariant 1: applied is past the end of messages";
  return {};
}

std::string SimulatedRegion::check_store() {
  const auto stored_mark = StateTable(store_, std::string(kPrefix)).store_mark();
  if (!stored_mark) return stored_mark.error().text();
  if (!*stored_mark) return {};
  if ((*stored_mark)->changes > log_->committed_end(log::Stream::kChanges))
    return "Invariant 2: the store holds what is not committed";
  const auto expected = fold((*stored_mark)->changes);
  std::map<std::string, std::string> found;
  const Status scanned =
      store_.scan(kPrefix, prefix_end(kPrefix), [&](std::string_view key, std::string_view value) {
        key.remove_prefix(kPrefix.size());
        if (!key.empty()) found.emplace(key, value);
        return true;
      });
  if (!scanned.ok()) return scanned.error().text();
  return found == expected ? std::string()
                           : "Invariant 2: the store is not the fold of the changes below its mark";
}

std::string produced_batch(log::BatchBuilder& records, std::int64_t producer, std::int16_t epoch,
                           std::int32_t sequence) {
  std::string bytes(records.seal(Offset(0), Epoch(0)));
  store_be64(bytes.data() + log::batch_layout::kProducerId, static_cast<std::uint64_t>(producer));
  store_be16(bytes.data() + log::batch_layout::kProducerEpoch, static_cast<std::uint16_t>(epoch));
  store_be32(bytes.data() + log::batch_layout::kBaseSequence, static_cast<std::uint32_t>(sequence));
  return bytes;
}

std::uint64_t test_seed() {
  const char* given = std::getenv("AFDG_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : SystemRandom().next() % 1'000'000'000;
}

std::string repeat_line(std::string_view test, std::uint64_t seed) {
  return "repeat with: AFDG_SEED=" + std::to_string(seed) +
         " region_test --gtest_filter=" + std::string(test);
}

}  // namespace afdg::region::testing
