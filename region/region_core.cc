#include "region/region_core.h"

#include <algorithm>

#include "base/codec.h"
#include "region/internal/completions.h"
#include "region/internal/live.h"
#include "region/internal/text.h"
#include "region/state_key.h"

namespace afdg::region {
namespace {

constexpr std::size_t kTurnsAPoll = 512;
constexpr std::size_t kTurnsInline = 64;  // of messages that a turn sent to agents of its own region

}  // namespace

RegionCore::RegionCore(RegionId region, Options options, const agents::AgentTypes& types,
                       std::unique_ptr<log::MessageLog> log, store::KeyValueStore& store,
                       std::string store_prefix, const Clock& clock, Shell& shell)
    : region_(region),
      options_(options),
      types_(types),
      log_(std::move(log)),
      clock_(clock),
      shell_(shell),
      table_(store, std::move(store_prefix)),
      sessions_(options_),
      producers_(options_.producers),
      completions_(std::make_shared<Completions>(shell)) {
  replies_.region = region;
}

RegionCore::~RegionCore() {
  log_.reset();  // no completion runs after this
  for (Live* agent : clock_order_) delete agent;
}

std::size_t RegionCore::open_bytes() const {
  return (messages_.empty() ? 0 : messages_.bytes()) + (changes_.empty() ? 0 : changes_.bytes()) +
         (dead_.empty() ? 0 : dead_.bytes()) + sessions_.open_bytes() + replies_.bytes.size() +
         forwarded_bytes_;
}

void RegionCore::reply(std::uint64_t ticket, Code code, Content content, Offset offset, bool repeated,
                       std::string_view text) {
  replies_.entries.push_back({.ticket = ticket,
                              .code = code,
                              .content = content,
                              .repeated = repeated,
                              .offset = offset,
                              .begin = static_cast<std::uint32_t>(replies_.bytes.size()),
                              .size = static_cast<std::uint32_t>(text.size())});
  replies_.bytes.append(text);
}

bool RegionCore::refuse_closed(const Inbound& m) {
  const auto refuse = [&](Code code, const std::string& text) {
    reply(m.ticket, code, m.content, Offset(-1), false, text);
    return true;
  };
  if (!failed_.ok()) {
    const bool full = failed_.code() == Code::kDiskFull || failed_.code() == Code::kOverloaded;
    return refuse(full ? failed_.code() : Code::kUnavailable, "region " + std::to_string(region_.value()) +
                                                                  " takes no messages now (" +
                                                                  failed_.error().text() + "): try again");
  }
  if (unread_ < recovered_end_) {
    return refuse(Code::kUnavailable,
                  "region " + std::to_string(region_.value()) + " is recovering: try again soon");
  }
  return false;
}

bool RegionCore::refuse_early(const Inbound& m, const agents::HandlerInfo*& handler) {
  const auto refuse = [&](Code code, const std::string& text) {
    reply(m.ticket, code, m.content, Offset(-1), false, text);
    return true;
  };
  if (refuse_closed(m)) return true;
  if (m.key.empty() || m.key.size() > kKeyBytesMax) {
    return refuse(Code::kInvalidArgument, "an agent key of " + std::to_string(m.key.size()) +
                                              " bytes: use 1 to " + std::to_string(kKeyBytesMax));
  }
  if (m.type.empty() || m.type.size() > kNameBytesMax || m.message.empty() ||
      m.message.size() > kNameBytesMax) {
    return refuse(Code::kInvalidArgument, "an agent type or message name is empty or longer than " +
                                              std::to_string(kNameBytesMax) + " bytes");
  }
  if (m.identity.request_id.size() > kRequestIdBytesMax) {
    return refuse(Code::kInvalidArgument, "a request id of " + std::to_string(m.identity.request_id.size()) +
                                              " bytes: use at most " + std::to_string(kRequestIdBytesMax));
  }
  if (m.payload.size() > options_.message_bytes_max) {
    return refuse(Code::kMessageTooLarge, "message " + quoted(m.message) + " has " +
                                              std::to_string(m.payload.size()) + " bytes, the limit is " +
                                              std::to_string(options_.message_bytes_max) +
                                              ": send less at once");
  }
  if (!is_here(m.key)) {
    return refuse(Code::kNotLeader, "agent " + quoted(m.type) + "/" + quoted(m.key) + " is not in region " +
                                        std::to_string(region_.value()) + ": refresh the route");
  }
  if (m.identity.source_number != 0) {
    // What another region has committed is taken, and buried if it must be.
    if (m.identity.source_region < 0 ||
        (options_.regions > 1 && m.identity.source_region >= options_.regions)) {
      return refuse(Code::kInvalidArgument, "a message from region " +
                                                std::to_string(m.identity.source_region) +
                                                ", which the grid does not have");
    }
  } else {
    const agents::AgentType* type = find_type(m.type);
    if (type == nullptr)
      return refuse(Code::kUnknownType,
                    "this grid hosts no agent type " + quoted(m.type) + ": check the name");
    handler = type->find(m.message);
    if (handler == nullptr) {
      return refuse(Code::kUnknownMessage, "agent type " + quoted(m.type) + " has no message " +
                                               quoted(m.message) + ": it understands " +
                                               type->message_names());
    }
    if (handler->kind == OperationKind::kRead && m.want == Want::kReceipt) {
      return refuse(Code::kInvalidArgument,
                    "message " + quoted(m.message) + " only reads: request it instead of sending it");
    }
    if (m.deadline != Timestamp() && clock_.deadline_time() >= m.deadline && m.identity.request_id.empty() &&
        m.identity.session == 0) {
      return refuse(Code::kDeadlineExceeded,
                    "the deadline passed before " + quoted(m.message) + " was logged: it did nothing");
    }
  }
  return false;
}

bool RegionCore::is_here(std::string_view key) const {
  return options_.regions <= 1 || key_partition(key, options_.regions) == region_.value();
}

// Invariant 13: everything is checked before the message is logged.
void RegionCore::handle(const Inbound& m) {
  if (open_bytes() >= options_.seal_bytes) seal();
  if (m.produced) return produce(m);
  const agents::HandlerInfo* handler = nullptr;
  if (refuse_early(m, handler)) return;
  const Timestamp now = clock_.now();
  if (answer_repeat(m, now)) return;
  const std::uint64_t in_flight = completions_->bytes_in_flight();
  const bool reads = handler != nullptr && handler->kind == OperationKind::kRead;
  if (in_flight > options_.in_flight_bytes_max ||
      (!reads && (table_.dirty_bytes() + table_.frozen_bytes() > 3 * options_.dirty_bytes_max ||
                  queue_.size() >= kQueueMax || queue_bytes_ > kQueueBytesMax))) {
    reply(m.ticket, Code::kOverloaded, m.content, Offset(-1), false,
          "region " + std::to_string(region_.value()) + " has too much under way (" +
              std::to_string(in_flight) + " bytes not yet durable, " +
              std::to_string(table_.dirty_bytes() + table_.frozen_bytes()) + " not yet in the store, " +
              std::to_string(queue_.size()) + " messages queued): slow down and try again");
    return;
  }
  if (reads) {
    read(m, *handler, now);
    return;
  }
  if (m.content == Content::kJson && handler != nullptr) {
    // Refused here, not after logging: nothing was done.
    auto bytes = agents::json_to_bytes(*handler->message_descriptor, m.payload);
    if (!bytes) {
      reply(m.ticket, bytes.error().code(), m.content, Offset(-1), false,
            printable(bytes.error().text(), kErrorBytesMax));
      return;
    }
  }
  MessageView view{.offset = Offset(-1),
                   .timestamp = now,
                   .type = m.type,
                   .key = m.key,
                   .message = m.message,
                   .payload = m.payload,
                   .content = m.content,
                   .want = m.want,
                   .identity = m.identity,
                   .deadline = m.deadline};
  view.offset = log_message(view);
  if (m.identity.source_number != 0) {
    inbox_[m.identity.source_region] = m.identity.source_number;
    inbox_dirty_.insert(m.identity.source_region);
  }
  if (queue_.empty() && view.offset >= careful_until_) {
    turn_now_ = clock_.deadline_time();
    run(view, Status(), &m.ticket, 1);
    if (!queue_.empty()) run_queue(kTurnsInline);
    return;
  }
  enqueue(view, Status(), {m.ticket}, appended_ + 1);
}

Offset RegionCore::log_message(const MessageView& message) {
  if (messages_.empty()) messages_base_ = log_->next(log::Stream::kMessages);
  const Offset offset = messages_base_ + messages_.records();
  message_headers(message, scratch_, headers_);
  messages_.add(message.timestamp, message.key, message.payload, headers_.data(), headers_.size());
  return offset;
}

void RegionCore::put_record(std::string_view key, std::optional<std::string_view> value) {
  changes_.add(clock_.now(), key, value);
  if (value) {
    table_.put(key, *value);
  } else {
    table_.erase(key);
  }
}

void RegionCore::write_batch_marks() {
  put_outbox_records();
  producers_.seal(
      [this](std::string_view key, std::optional<std::string_view> value) { put_record(key, value); });
  if (sessions_.dirty()) {
    const std::int64_t unique = mark_dirty_ ? last_turn_offset_.value() : applied_.value();
    sessions_.seal(unique, [this](std::string_view key, std::optional<std::string_view> value) {
      if (!options_.plant_dedup_not_stored) put_record(key, value);
    });
  }
  if (mark_dirty_) {
    std::string value(1, '\1');
    put_varint(value, static_cast<std::uint64_t>(applied_.value()));
    put_varint(value, turns_count_);
    value += turns_;
    put_record(control_key(KeyKind::kMark), value);
    mark_dirty_ = false;
  }
  turns_.clear();
  turns_count_ = 0;
  last_turn_offset_ = Offset(-1);
}

void RegionCore::seal() {
  if (failed_.ok()) write_batch_marks();
  const bool empty = messages_.empty() && changes_.empty() && dead_.empty();
  if (empty || !failed_.ok()) {
    if (replies_.entries.empty()) return;
    ReplyBatch replies = std::exchange(replies_, ReplyBatch{.region = region_, .entries = {}, .bytes = {}});
    if (failed_.ok()) {
      completions_->release_after(appended_, std::move(replies));
    } else {
      shell_.release(std::move(replies));  // refusals only, see set_failed()
    }
    return;
  }
  const std::uint64_t batch = ++appended_;
  const std::uint64_t bytes = open_bytes();
  if (options_.plant_reply_before_commit) {
    shell_.release(std::exchange(replies_, ReplyBatch{.region = region_, .entries = {}, .bytes = {}}));
  }
  const bool outbox_waits = std::any_of(outbox_.begin(), outbox_.end(), [](const auto& o) {
    return o.second.handed < o.second.entries.size();
  });
  completions_->want_wake(outbox_waits || !queue_.empty() || (table_.frozen() && !checkpoint_out_));
  completions_->expect(
      batch, std::exchange(replies_, ReplyBatch{.region = region_, .entries = {}, .bytes = {}}), bytes);
  if (!changes_.empty()) changes_end_ = log_->next(log::Stream::kChanges) + changes_.records();
  const Status taken = log_->append(
      epoch_, {&messages_, &changes_, &dead_},
      [completions = completions_, batch](log::AppendOutcome outcome) { completions->done(batch, outcome); });
  messages_.clear();
  changes_.clear();
  dead_.clear();
  if (!taken.ok()) {
    // Nothing of the batch is in the log, but memory is ahead of it: this object ends here.
    completions_->refuse(batch, taken.error());
    set_failed(taken.error());
    return;
  }
}

void RegionCore::set_failed(const Error& error) {
  if (!failed_.ok()) return;
  failed_ = error;
  // What ran in the open batch was never logged. What is queued was, and may run in a later life.
  const Code code = error.code() == Code::kDiskFull || error.code() == Code::kOverloaded ? error.code()
                                                                                         : Code::kUnavailable;
  for (auto& entry : replies_.entries) {
    entry.code = code;
    entry.offset = Offset(-1);
    entry.repeated = false;
    entry.begin = static_cast<std::uint32_t>(replies_.bytes.size());
    entry.size = static_cast<std::uint32_t>(error.text().size());
    replies_.bytes.append(error.text());
  }
  for (const Queued& entry : queue_) {
    for (const std::uint64_t ticket : entry.tickets)
      reply(ticket, Code::kInDoubt, entry.content, entry.offset, false, code_text(Code::kInDoubt));
  }
  queue_.clear();
  queued_identities_.clear();
  messages_.clear();
  changes_.clear();
  dead_.clear();
  shell_.wake();
}

bool RegionCore::poll() {
  if (failed_.ok()) {
    if (const log::AppendOutcome bad = completions_->failure(); bad != log::AppendOutcome::kCommitted) {
      set_failed(bad == log::AppendOutcome::kFenced
                     ? fail(Code::kFenced, "another writer took the region over")
                     : fail(Code::kInDoubt, "it is not known whether an append was kept"));
    }
  }
  if (!failed_.ok()) {
    seal();
    return false;
  }
  if (queue_.empty() && unread_ < recovered_end_) {
    if (const Status queued = queue_logged(); !queued.ok()) set_failed(queued.error());
  }
  const bool more = run_queue(kTurnsAPoll) || (queue_.empty() && unread_ < recovered_end_);
  hand_out_outbox();
  if (const Timestamp now = clock_.now(); now - swept_ >= std::chrono::seconds(1)) {
    swept_ = now;
    sessions_.expire(now);
    producers_.expire(now);
    if (expire_request_ids(now)) swept_ = {};
    evict();
  }
  seal();
  return more && failed_.ok();
}

}  // namespace afdg::region
