#include "base/codec.h"
#include "region/internal/completions.h"
#include "region/internal/live.h"
#include "region/internal/text.h"
#include "region/region_core.h"
#include "region/state_key.h"

namespace afdg::region {

Status RegionCore::stage_send(std::string_view type, std::string_view key, std::string_view message,
                              std::string_view payload) {
  if (key.empty() || key.size() > kKeyBytesMax) {
    return fail(Code::kInvalidArgument, "a send to an agent key of " + std::to_string(key.size()) +
                                            " bytes: use 1 to " + std::to_string(kKeyBytesMax));
  }
  if (type.empty() || type.size() > kNameBytesMax || message.empty() || message.size() > kNameBytesMax) {
    return fail(Code::kInvalidArgument, "a send whose agent type or message name is empty or longer than " +
                                            std::to_string(kNameBytesMax) + " bytes");
  }
  const std::size_t bytes = key.size() + payload.size() + type.size() + message.size() + 32;
  if (payload.size() > options_.message_bytes_max || write_bytes_ + bytes > options_.turn_bytes_max) {
    return fail(Code::kMessageTooLarge,
                "a send of " + std::to_string(payload.size()) + " bytes, the limit is " +
                    std::to_string(options_.message_bytes_max) + " for one and " +
                    std::to_string(options_.turn_bytes_max) + " for a whole turn: send less at once");
  }
  const std::int32_t target = key_partition(key, options_.regions);
  if (target == region_.value()) {
    if (queue_.size() + sends_.size() >= kQueueMax || queue_bytes_ + write_bytes_ > kQueueBytesMax) {
      return fail(Code::kOverloaded, "region " + std::to_string(target) + " has " +
                                         std::to_string(queue_.size()) + " messages queued: try again later");
    }
  } else {
    const auto found = outbox_.find(target);
    const std::size_t waiting = found == outbox_.end() ? 0 : found->second.entries.size();
    if (waiting + sends_.size() >= options_.outbox_entries_max ||
        outbox_bytes_ + write_bytes_ > kOutboxBytesMax) {
      return fail(Code::kOverloaded, "the outbox of region " + std::to_string(region_.value()) +
                                         " for region " + std::to_string(target) +
                                         " is full: its node does not take messages; try again later");
    }
  }
  write_bytes_ += bytes;
  sends_.push_back({std::string(type), std::string(key), std::string(message), std::string(payload)});
  return {};
}

// Invariant 7: the number and the entry are in the turn's own commit, so a source never skips or repeats one.
void RegionCore::commit_sends(const MessageView& cause) {
  for (const Staged& send : sends_) {
    const std::int32_t target = key_partition(send.key, options_.regions);
    if (target == region_.value()) {
      // The same append carries it: nothing can get lost or be repeated between this turn and its message.
      MessageView view{.timestamp = cause.timestamp,
                       .type = send.type,
                       .key = send.key,
                       .message = send.message,
                       .payload = send.payload,
                       .content = Content::kProtobuf,
                       .want = Want::kReceipt};
      view.offset = log_message(view);
      enqueue(view, Status(), {}, appended_ + 1);
      continue;
    }
    std::string key;
    const std::string& value = put_outbox(
        {.type = send.type, .key = send.key, .message = send.message, .payload = send.payload}, key);
    put_record(key, value);
  }
}

const std::string& RegionCore::put_outbox(const MessageView& message, std::string& key) {
  const std::int32_t target = key_partition(message.key, options_.regions);
  OutboxTarget& outbox = outbox_[target];
  const std::uint64_t number = outbox.next++;
  outbox_dirty_.insert(target);
  key = outbox_key(static_cast<std::uint32_t>(target), number);
  // ON DISK: a version byte, sized type, key, message and payload, the content.
  std::string value(1, '\1');
  put_sized(value, message.type);
  put_sized(value, message.key);
  put_sized(value, message.message);
  put_sized(value, message.payload);
  put_varint(value, static_cast<std::uint64_t>(message.content));
  outbox_bytes_ += value.size();
  return outbox.entries.emplace_back(OutboxTarget::Entry{number, std::move(value), appended_ + 1}).value;
}

void RegionCore::hand_out_outbox() {
  const std::uint64_t committed = completions_->committed();
  for (auto& [target, outbox] : outbox_) {
    // Invariant 4: only what is committed leaves.
    while (outbox.handed < outbox.entries.size() && outbox.entries[outbox.handed].batch <= committed) {
      const OutboxTarget::Entry& entry = outbox.entries[outbox.handed];
      ByteReader reader(entry.value);
      reader.u8();
      OutboxEntry out{.target = RegionId(target),
                      .number = entry.number,
                      .type = reader.sized(),
                      .key = reader.sized(),
                      .message = reader.sized(),
                      .payload = reader.sized(),
                      .content = static_cast<Content>(reader.varint())};
      ++outbox.handed;
      shell_.deliver(out);
      if (options_.plant_outbox_deleted_early) delivered(RegionId(target), out.number);
    }
  }
}

void RegionCore::delivered(RegionId target, std::uint64_t number) {
  const auto found = outbox_.find(target.value());
  if (found == outbox_.end() || !failed_.ok()) return;
  OutboxTarget& outbox = found->second;
  while (!outbox.entries.empty() && outbox.entries.front().number <= number) {
    // Its record goes behind the turns of the batch, whose records are counted.
    outbox_done_.emplace_back(target.value(), outbox.entries.front().number);
    outbox_bytes_ -= outbox.entries.front().value.size();
    outbox.entries.pop_front();
    if (outbox.handed > 0) --outbox.handed;
  }
}

void RegionCore::redeliver(RegionId target, std::uint64_t number) {
  const auto found = outbox_.find(target.value());
  if (found == outbox_.end()) return;
  OutboxTarget& outbox = found->second;
  outbox.handed = 0;
  while (outbox.handed < outbox.entries.size() && outbox.entries[outbox.handed].number < number)
    ++outbox.handed;
}

void RegionCore::put_outbox_records() {
  for (const auto& [target, number] : outbox_done_)
    put_record(outbox_key(static_cast<std::uint32_t>(target), number), std::nullopt);
  outbox_done_.clear();
  for (const auto& [key, value] : forwarded_) put_record(key, value);
  forwarded_.clear();
  forwarded_bytes_ = 0;
  for (const std::int32_t source : inbox_dirty_) {
    std::string value;
    put_varint(value, inbox_[source]);
    put_record(control_key(KeyKind::kInbox, static_cast<std::uint32_t>(source)), value);
  }
  inbox_dirty_.clear();
  for (const std::int32_t target : outbox_dirty_) {
    std::string value;
    put_varint(value, outbox_[target].next);
    put_record(control_key(KeyKind::kOutboxNext, static_cast<std::uint32_t>(target)), value);
  }
  outbox_dirty_.clear();
}

}  // namespace afdg::region
