#include <algorithm>

#include "base/codec.h"
#include "region/internal/completions.h"
#include "region/internal/live.h"
#include "region/region_core.h"
#include "region/state_key.h"

namespace afdg::region {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::size_t kQueuedAtOnce = 256u << 10;
constexpr std::size_t kFoldOnFullDisk = 32;  // times dirty_bytes_max

Error damaged(std::string_view what) {
  return fail(Code::kCorrupt,
              "a stored " + std::string(what) + " is damaged: rebuild the region from its changes");
}

}  // namespace

Status RegionCore::open(Epoch epoch) {
  AFDG_TRY(log_->open(epoch));
  epoch_ = epoch;
  AFDG_TRY(replay(epoch));
  AFDG_TRY(load_control(clock_.now()));
  unread_ = std::max(applied_, log_->start(log::Stream::kMessages));
  recovered_end_ = log_->committed_end(log::Stream::kMessages);
  changes_end_ = log_->committed_end(log::Stream::kChanges);
  find_deaths();
  if (unread_ < recovered_end_ || !outbox_.empty()) shell_.wake();
  return {};
}

Status RegionCore::replay(Epoch epoch) {
  using log::Stream;
  auto mark = table_.store_mark();
  if (!mark && mark.error().code() != Code::kCorrupt) return mark.error();
  const Offset start = log_->start(Stream::kChanges), end = log_->committed_end(Stream::kChanges);
  Offset from = start;
  if (mark && *mark) from = (*mark)->changes;
  const bool usable = mark && *mark && from >= start && from >= log_->tombstone_horizon() && from <= end;
  if (!usable) {
    // Empty, ahead of the log, or older than what compaction kept: the log is the truth.
    AFDG_TRY(table_.clear());
    from = start;
  }
  checkpointed_ = from;
  std::size_t fold_max = options_.dirty_bytes_max;
  while (from < end) {
    Status folded;
    auto next =
        log_->read(Stream::kChanges, from, {.bytes_max = kReadBytes}, [&](const log::RecordView& record) {
          ++replayed_;
          if (!record.key) {
            folded = damaged("record of changes (it has no key)");
          } else if (record.value) {
            table_.put(*record.key, *record.value);
          } else {
            table_.erase(*record.key);
          }
        });
    if (!next) return next.error();
    AFDG_TRY(folded);
    if (*next <= from) return damaged("stretch of changes (reading does not go on)");
    from = *next;
    if (table_.dirty_bytes() >= fold_max) {
      table_.freeze();
      const Status written =
          StateTable::write({{table_.frozen_layer().get(), table_.prefix(), {from, epoch}}}, table_.store());
      table_.thaw(written.ok());
      if (written.code() == Code::kDiskFull && fold_max < kFoldOnFullDisk * options_.dirty_bytes_max) {
        fold_max *= 2;  // served from memory until there is space
        continue;
      }
      AFDG_TRY(written);
      checkpointed_ = from;
    }
  }
  return {};
}

Status RegionCore::load_control(Timestamp now) {
  Status status;
  const auto each = [&](KeyKind kind, auto&& use) -> Status {
    const std::string from = control_key(kind);
    AFDG_TRY(table_.scan_all(from, prefix_end(from), [&](std::string_view key, std::string_view value) {
      status = use(key, value);
      return status.ok();
    }));
    return status;
  };
  const auto number = [](std::string_view value, std::uint64_t& into) -> Status {
    ByteReader reader(value);
    into = reader.varint();
    return reader.finished() ? Status() : Status(damaged("number of an outbox"));
  };
  AFDG_TRY(each(KeyKind::kMark, [&](std::string_view, std::string_view value) -> Status {
    ByteReader reader(value);
    const std::uint8_t version = reader.u8();
    applied_ = Offset(static_cast<std::int64_t>(reader.varint()));
    return reader.failed() || version != 1 ? Status(damaged("applied mark")) : Status();
  }));
  AFDG_TRY(each(KeyKind::kInbox, [&](std::string_view key, std::string_view value) -> Status {
    if (key.size() != 5) return damaged("key of an inbox");
    return number(value, inbox_[static_cast<std::int32_t>(load_be32(key.data() + 1))]);
  }));
  AFDG_TRY(each(KeyKind::kOutboxNext, [&](std::string_view key, std::string_view value) -> Status {
    if (key.size() != 5) return damaged("key of an outbox");
    return number(value, outbox_[static_cast<std::int32_t>(load_be32(key.data() + 1))].next);
  }));
  AFDG_TRY(each(KeyKind::kOutbox, [&](std::string_view key, std::string_view value) -> Status {
    if (key.size() != 13) return damaged("key of an outbox entry");
    OutboxTarget& outbox = outbox_[static_cast<std::int32_t>(load_be32(key.data() + 1))];
    outbox.entries.push_back({load_be64(key.data() + 5), std::string(value), 0});
    outbox_bytes_ += value.size();
    return {};
  }));
  AFDG_TRY(each(KeyKind::kProducer,
                [&](std::string_view key, std::string_view value) { return producers_.load(key, value); }));
  AFDG_TRY(each(KeyKind::kSession, [&](std::string_view key, std::string_view value) {
    return sessions_.load_session(key, value, now);
  }));
  return each(KeyKind::kChunk,
              [&](std::string_view key, std::string_view value) { return sessions_.load_chunk(key, value); });
}

// A message that ended the process before it was durable has no offset of its own to be known by. So after
// such a death the next messages, as many as were under way then, are made durable before they run.
void RegionCore::find_deaths() {
  constexpr std::int64_t kLookedAt = 4096;
  careful_until_ = Offset(0);
  for (std::int64_t i = 0; i < kLookedAt; ++i) {
    if (shell_.deaths(recovered_end_ + i) > 0) careful_until_ = recovered_end_ + i + 1;
  }
  poison_until_ = std::max(recovered_end_, careful_until_);
}

Status RegionCore::queue_logged() {
  auto next = log_->read(log::Stream::kMessages, unread_, {.bytes_max = kQueuedAtOnce},
                         [&](const log::RecordView& record) {
                           MessageView view;
                           const Status parsed = parse_message(record, kEntityType, view);
                           enqueue(view, parsed, {}, 0);
                         });
  if (!next) return next.error();
  if (*next <= unread_) return damaged("stretch of messages (reading does not go on)");
  unread_ = *next;
  return {};
}

}  // namespace afdg::region
