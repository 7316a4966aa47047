#include <algorithm>

#include "base/codec.h"
#include "log/batch.h"
#include "region/internal/completions.h"
#include "region/internal/live.h"
#include "region/internal/text.h"
#include "region/region_core.h"

// What a Kafka client produced to the region's partition of `messages`.
namespace afdg::region {
namespace {

constexpr std::size_t kTurnsInline = 64;  // the rest is run by poll(), other regions of the lane in between

/// A longer name is as unknown as its beginning.
std::string_view name_of(std::string_view header) { return header.substr(0, kNameBytesMax + 1); }

bool can_leave(const MessageView& message) {
  const auto fits = [](std::string_view text, std::size_t bytes_max) {
    return !text.empty() && text.size() <= bytes_max;
  };
  return fits(message.key, kKeyBytesMax) && fits(message.type, kNameBytesMax) &&
         fits(message.message, kNameBytesMax);
}

}  // namespace

std::string_view RegionCore::standard_type() const {
  if (options_.types.size() == 1) return options_.types.front();
  for (const std::string& type : options_.types)
    if (type == kEntityType) return type;
  return {};
}

std::string_view RegionCore::standard_message(std::string_view type) const {
  if (type == kEntityType) return "Put";
  const agents::AgentType* known = find_type(type);
  std::string_view only;
  if (known == nullptr) return only;
  for (const auto& handler : known->handlers) {
    if (handler.kind == OperationKind::kRead) continue;
    if (!only.empty()) return {};
    only = handler.message;
  }
  return only;
}

// Its own identity and deadline are not believed: they are of whoever produced it first.
MessageView RegionCore::produced_message(const log::RecordView& record, Timestamp now) const {
  MessageView message{.timestamp = now,
                      .key = record.key.value_or(std::string_view()),
                      .payload = record.value.value_or(std::string_view()),
                      .want = Want::kReceipt};
  bool typed = false, named = false, told = false, stored = false;
  for (const log::Header& header : record.headers) {
    if (header.key == kTypeHeader) {
      message.type = name_of(header.value);
      typed = true;
    } else if (header.key == kMessageHeader) {
      message.message = name_of(header.value);
      named = true;
    } else if (header.key == kContentHeader) {
      message.content = header.value == kProtobufContent ? Content::kProtobuf : Content::kJson;
      told = true;
    } else if (header.key == kIdHeader || header.key == kErrorHeader) {
      stored = true;  // it was read from a grid's messages or dead letters, where Protocol Buffers is unsaid
    }
  }
  if (!typed) message.type = standard_type();
  if (!named) message.message = standard_message(message.type);
  if (!told) message.content = stored ? Content::kProtobuf : Content::kJson;
  return message;
}

/// Errors: kMessageTooLarge, kOverloaded; nothing of the batch was done.
Status RegionCore::check_produced(const Inbound& m, std::int32_t taken) const {
  const std::uint64_t in_flight = completions_->bytes_in_flight();
  if (in_flight > options_.in_flight_bytes_max || queue_.size() >= kQueueMax ||
      queue_bytes_ > kQueueBytesMax ||
      table_.dirty_bytes() + table_.frozen_bytes() > 3 * options_.dirty_bytes_max) {
    return fail(Code::kOverloaded, "region " + std::to_string(region_.value()) + " has too much under way (" +
                                       std::to_string(in_flight) + " bytes not yet durable, " +
                                       std::to_string(queue_.size()) +
                                       " messages queued): slow down and try again");
  }
  const log::BatchView header = log::BatchView::header(m.payload);
  log::RecordReader reader(header, m.payload.substr(log::batch_layout::kHeaderBytes));
  log::RecordView record;
  for (std::int32_t index = 0; reader.next(record); ++index) {
    if (index < taken) continue;
    const std::string_view key = record.key.value_or(std::string_view());
    const std::size_t bytes = record.value.value_or(std::string_view()).size();
    if (std::max(bytes, key.size()) > options_.message_bytes_max) {
      return fail(Code::kMessageTooLarge,
                  "record " + std::to_string(index) + " of the batch has " +
                      std::to_string(std::max(bytes, key.size())) + " bytes, the limit is " +
                      std::to_string(options_.message_bytes_max) + ": send less at once");
    }
    if (key.empty() || is_here(key)) continue;
    const std::int32_t target = key_partition(key, options_.regions);
    const auto outbox = outbox_.find(target);
    if (outbox_bytes_ > kOutboxBytesMax ||
        (outbox != outbox_.end() && outbox->second.entries.size() >= options_.outbox_entries_max)) {
      return fail(Code::kOverloaded, "record " + std::to_string(index) + " of the batch is for region " +
                                         std::to_string(target) + ", and the outbox of region " +
                                         std::to_string(region_.value()) +
                                         " for it is full: its node does not take messages; try again later");
    }
  }
  return reader.status();
}

void RegionCore::forward(const MessageView& message) {
  std::string key;
  const std::string& value = put_outbox(message, key);
  forwarded_bytes_ += key.size() + value.size() + 16;
  forwarded_.emplace_back(std::move(key), value);
}

// Invariants 8 and 13: who produced what is in the same append as the records, and all is checked before the
// first of them is logged.
void RegionCore::produce(const Inbound& m) {
  const auto refuse = [&](const Error& error) {
    reply(m.ticket, error.code(), m.content, Offset(-1), false, error.text());
  };
  const log::BatchView header = log::BatchView::header(m.payload);
  const Producers::Batch batch{header.producer_id(), header.producer_epoch(), header.base_sequence(),
                               header.records()};
  const Timestamp now = clock_.now();
  if (refuse_closed(m)) {
    producers_.refused(batch, now);  // what is under way behind it may come after the recovery
    return;
  }
  Producers::Look known;
  if (!options_.plant_no_dedup) {
    const auto looked = producers_.look(batch, now);
    if (!looked.ok()) return refuse(looked.error());
    known = *looked;
  }
  if (known.repeat) return reply(m.ticket, Code::kOk, m.content, known.base, true, {});
  if (const Status room = check_produced(m, known.taken); !room.ok()) {
    producers_.refused(batch, now);
    return refuse(room.error());
  }

  log::RecordReader reader(header, m.payload.substr(log::batch_layout::kHeaderBytes));
  log::RecordView record;
  Offset base(-1);
  bool in_place = known.taken == 0;  // every record has the offset that a client counts from the first one's
  for (std::int32_t index = 0; reader.next(record); ++index) {
    if (index < known.taken) continue;
    if (index > known.taken && open_bytes() >= options_.produced_seal_bytes) {
      producers_.took(batch, index, Offset(-1), now);
      seal();
      if (!failed_.ok()) {
        return refuse(fail(Code::kInDoubt, "the region's log failed in the middle of the batch (" +
                                               failed_.error().text() +
                                               "): an idempotent producer may send it again"));
      }
    }
    MessageView message = produced_message(record, now);
    if (can_leave(message) && !is_here(message.key)) {
      forward(message);
      in_place = false;
      continue;
    }
    message.offset = log_message(message);
    if (index == 0) base = message.offset;
    in_place = in_place && message.offset == base + index;
    enqueue(message, Status(), {}, appended_ + 1);
  }
  if (!in_place) base = Offset(-1);
  producers_.took(batch, batch.records, base, now);
  std::string logged;
  put_be64(logged, static_cast<std::uint64_t>(now.time_since_epoch().count()));
  reply(m.ticket, Code::kOk, m.content, base, false, logged);
  if (run_queue(kTurnsInline)) shell_.wake();
}

}  // namespace afdg::region
