#include "region/region_core.h"

#include <algorithm>

#include "base/codec.h"
#include "region/internal/completions.h"
#include "region/internal/live.h"
#include "region/state_key.h"

namespace afdg::region {
namespace {

constexpr std::size_t kKeyBytesMax = 1024;
constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kRequestIdBytesMax = 256;
constexpr std::size_t kQueueMax = 100'000;
constexpr std::uint64_t kQueueBytesMax = 64u << 20;
constexpr std::uint64_t kOutboxBytesMax = 64u << 20;
constexpr std::size_t kTurnsAPoll = 512;
constexpr std::size_t kTurnsInline = 64;  // of messages that a turn sent to agents of its own region
constexpr int kDeathsMax = 3;

std::string identity_text(const MessageView& message) {
  std::string text;
  if (!message.identity.request_id.empty()) {
    text = request_id_key(message.type, message.key, message.identity.request_id);
  } else if (message.identity.session != 0) {
    text = session_key(message.identity.session);
    put_be64(text, message.identity.sequence);
  }
  return text;
}

std::string quoted(std::string_view text) { return "'" + std::string(text.substr(0, 200)) + "'"; }

// ON DISK: a request id's record is a version byte, the time in ms since 1970, a hash of message and payload,
// the outcome.
std::string encode_request(Timestamp now, std::uint64_t hash, const Outcome& outcome) {
  std::string value(1, '\1');
  put_varint(value, static_cast<std::uint64_t>(now.time_since_epoch().count()));
  put_be64(value, hash);
  put_outcome(value, outcome);
  return value;
}

std::uint64_t payload_hash(const MessageView& message) {
  return hash64(message.payload) ^ (hash64(message.message) * 3);
}

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
      completions_(std::make_shared<Completions>(shell)) {
  replies_.region = region;
}

RegionCore::~RegionCore() {
  log_.reset();  // no completion runs after this
}

std::size_t RegionCore::open_bytes() const {
  return (messages_.empty() ? 0 : messages_.bytes()) + (changes_.empty() ? 0 : changes_.bytes()) +
         (dead_.empty() ? 0 : dead_.bytes());
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

bool RegionCore::refuse_early(const Inbound& m, const agents::HandlerInfo*& handler) {
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
  if (m.identity.source_number ==
      0) {  // what another region has committed is taken, and buried if it must be
    const agents::AgentType* type = types_.find(m.type);
    if (type == nullptr)
      return refuse(Code::kUnknownType,
                    "this grid hosts no agent type " + quoted(m.type) + ": check the name");
    handler = type->find(m.message);
    if (handler == nullptr) {
      return refuse(Code::kUnknownMessage, "agent type " + quoted(m.type) + " has no message " +
                                               quoted(m.message) + ": check the name");
    }
    if (handler->kind == OperationKind::kRead && m.want == Want::kReceipt) {
      return refuse(Code::kInvalidArgument,
                    "message " + quoted(m.message) + " only reads: request it instead of sending it");
    }
    if (m.deadline != Timestamp() && clock_.now() >= m.deadline && m.identity.request_id.empty() &&
        m.identity.session == 0) {
      return refuse(Code::kDeadlineExceeded,
                    "the deadline passed before " + quoted(m.message) + " was logged: it did nothing");
    }
  }
  return false;
}

bool RegionCore::answer_repeat(const Inbound& m, Timestamp now) {
  const auto repeat = [&](const Outcome& outcome) {
    if (m.want == Want::kReceipt) {
      reply(m.ticket, Code::kOk, m.content, outcome.offset, true, {});
    } else {
      reply(m.ticket, outcome.code, outcome.content, outcome.offset, true, outcome.text);
    }
    return true;
  };
  const auto refuse = [&](Code code, const std::string& text) {
    reply(m.ticket, code, m.content, Offset(-1), false, text);
    return true;
  };
  const Identity& id = m.identity;
  if (id.source_number != 0) {
    const std::uint64_t last = inbox_[id.source_region];
    if (id.source_number <= last) {
      reply(m.ticket, Code::kOk, m.content, Offset(-1), true, {});
      return true;
    }
    if (id.source_number != last + 1) {
      return refuse(Code::kFailedPrecondition,
                    "region " + std::to_string(region_.value()) + " has number " + std::to_string(last) +
                        " of region " + std::to_string(id.source_region) + " and was given " +
                        std::to_string(id.source_number) + ": go on from " + std::to_string(last + 1));
    }
    return false;
  }
  if (options_.plant_no_dedup) return false;
  if (!queue_.empty() && (id.session != 0 || !id.request_id.empty())) {
    MessageView view{.type = m.type, .key = m.key, .identity = id};
    if (const auto queued = queued_identities_.find(identity_text(view));
        queued != queued_identities_.end()) {
      Queued& entry = queue_[queued->second - queue_popped_];
      if (!id.request_id.empty() && (entry.payload != m.payload || entry.message != m.message)) {
        return refuse(Code::kRequestIdReused,
                      "request id " + quoted(id.request_id) + " is used by another message: choose a new id");
      }
      if (m.want == Want::kReceipt) {
        reply(m.ticket, Code::kOk, m.content, entry.offset, true, {});
      } else {
        entry.tickets.push_back(m.ticket);
      }
      return true;
    }
  }
  if (!id.request_id.empty()) {
    scratch_ = request_id_key(m.type, m.key, id.request_id);
    auto stored = table_.get(scratch_);
    if (!stored) return refuse(stored.error().code(), stored.error().text());
    if (!*stored) return false;
    ByteReader reader(**stored);
    reader.u8();
    const Timestamp then{std::chrono::milliseconds(static_cast<std::int64_t>(reader.varint()))};
    const std::uint64_t hash = reader.be64();
    const Outcome outcome = get_outcome(reader);
    if (reader.failed())
      return refuse(Code::kCorrupt, "the stored answer of request id " + quoted(id.request_id) +
                                        " is damaged: rebuild the region");
    if (now - then >= options_.request_id_expiry) return false;
    if (hash != payload_hash({.message = m.message, .payload = m.payload})) {
      return refuse(Code::kRequestIdReused, "request id " + quoted(id.request_id) + " was used for " +
                                                quoted(m.type) + "/" + quoted(m.key) +
                                                " with another payload: choose a new id");
    }
    return repeat(outcome);
  }
  if (id.session != 0) {
    const Sessions::Look look = sessions_.look(id, now);
    switch (look.verdict) {
      case Sessions::Verdict::kNew:
        return false;
      case Sessions::Verdict::kRepeat:
        return repeat(*look.outcome);
      case Sessions::Verdict::kExpired:
        return refuse(
            Code::kRequestExpired,
            "sequence " + std::to_string(id.sequence) + " of session " + std::to_string(id.session) +
                " is no longer remembered and was not run: ask for the state before sending a new request");
      case Sessions::Verdict::kFull:
        return refuse(Code::kOverloaded, "the window of unacknowledged answers is full in region " +
                                             std::to_string(region_.value()) +
                                             ": take answers, then try again");
    }
  }
  return false;
}

void RegionCore::handle(const Inbound& m) {
  const agents::HandlerInfo* handler = nullptr;
  if (refuse_early(m, handler)) return;
  const Timestamp now = clock_.now();
  if (answer_repeat(m, now)) return;
  if (handler != nullptr && handler->kind == OperationKind::kRead) {
    read(m, *handler);
    return;
  }
  const std::uint64_t in_flight = completions_->bytes_in_flight();
  if (in_flight > options_.in_flight_bytes_max ||
      table_.dirty_bytes() + table_.frozen_bytes() > 3 * options_.dirty_bytes_max ||
      queue_.size() >= kQueueMax || queue_bytes_ > kQueueBytesMax) {
    reply(m.ticket, Code::kOverloaded, m.content, Offset(-1), false,
          "region " + std::to_string(region_.value()) + " has too much under way (" +
              std::to_string(in_flight) + " bytes not yet durable, " + std::to_string(queue_.size()) +
              " messages queued): slow down and try again");
    return;
  }
  if (m.content == Content::kJson && handler != nullptr) {
    // Refused here, not after logging: nothing was done.
    auto bytes = agents::json_to_bytes(*handler->message_descriptor, m.payload);
    if (!bytes) {
      reply(m.ticket, bytes.error().code(), m.content, Offset(-1), false, bytes.error().text());
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
  if (queue_.empty()) {
    run(view, &m.ticket, 1);
    run_queue(kTurnsInline);
    return;
  }
  queue_.emplace_back(view, std::vector<std::uint64_t>{m.ticket});
  queue_bytes_ += queue_.back().bytes();
  if (std::string text = identity_text(view); !text.empty())
    queued_identities_.insert_or_assign(std::move(text), queue_popped_ + queue_.size() - 1);
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

void RegionCore::read(const Inbound& m, const agents::HandlerInfo& handler) {
  ++reads_total_;
  MessageView view{.offset = applied_,
                   .timestamp = clock_.now(),
                   .type = m.type,
                   .key = m.key,
                   .message = m.message,
                   .payload = m.payload,
                   .content = m.content,
                   .want = m.want,
                   .identity = {},
                   .deadline = m.deadline};
  answer_.clear();
  Live& agent = live(*types_.find(m.type), m.key);
  Turn turn(*this, view);
  write_count_ = 0;
  const Status status = run_handler(agent, handler, view, turn, answer_);
  reply(m.ticket, status.code(), m.content, Offset(-1), false,
        status.ok() ? std::string_view(answer_) : std::string_view(status.error().text()));
  if (!status.ok()) drop_live(agent);
  evict();
}

Status RegionCore::run_handler(Live& agent, const agents::HandlerInfo& handler, const MessageView& message,
                               agents::TurnPort& port, std::string& answer) {
  const std::uint64_t before = agent.memory;
  Status status;
  if (message.content == Content::kJson) {
    auto bytes = agents::json_to_bytes(*handler.message_descriptor, message.payload);
    if (!bytes) return bytes.error();
    converted_.clear();
    status = handler.run(*agent.agent, *bytes, port, converted_);
    if (status.ok() && handler.answer_descriptor != nullptr) {
      auto json = agents::bytes_to_json(*handler.answer_descriptor, converted_);
      if (!json) return json.error();
      answer += *json;
    } else if (status.ok()) {
      answer += "{}";
    }
  } else {
    status = handler.run(*agent.agent, message.payload, port, answer);
  }
  agent.used = true;
  agent.memory = agent.agent->memory_bytes() + agent.overhead();
  live_bytes_ += agent.memory - before;
  return status;
}

void RegionCore::run(const MessageView& message, const std::uint64_t* tickets, std::size_t ticket_count) {
  ++turns_total_;
  const std::int32_t records_before = changes_.records();
  answer_.clear();
  shell_.running(message.offset);
  Status status = run_turn(message, answer_);
  shell_.ended();
  if (status.ok()) {
    for (std::size_t i = 0; i < write_count_; ++i) {
      const Write& write = writes_[i];
      changes_.add(message.timestamp, write.key,
                   write.value ? std::optional<std::string_view>(*write.value) : std::nullopt);
      if (write.value) {
        table_.put(write.key, *write.value);
      } else {
        table_.erase(write.key);
      }
    }
    commit_sends(message);
  } else {
    answer_.clear();
  }
  finish(message, status, answer_, tickets, ticket_count);
  write_count_ = 0;
  sends_.clear();
  applied_ = message.offset + 1;
  mark_dirty_ = true;
  count_turn(message.offset, records_before);
  evict();
}

Status RegionCore::run_turn(const MessageView& message, std::string& answer) {
  write_count_ = 0;
  write_bytes_ = 0;
  sends_.clear();
  if (shell_.deaths(message.offset) >= kDeathsMax) {
    return fail(Code::kPoison, "message " + quoted(message.message) + " for " + quoted(message.type) + "/" +
                                   quoted(message.key) + " at offset " +
                                   std::to_string(message.offset.value()) +
                                   " ended the process three times and is not run again");
  }
  if (message.deadline != Timestamp() && message.timestamp >= message.deadline) {
    return fail(Code::kDeadlineExceeded,
                "the deadline passed before " + quoted(message.message) + " ran: it did nothing");
  }
  const agents::AgentType* type = types_.find(message.type);
  if (type == nullptr)
    return fail(Code::kUnknownType,
                "this grid hosts no agent type " + quoted(message.type) + ": check the name");
  const agents::HandlerInfo* handler = type->find(message.message);
  if (handler == nullptr) {
    return fail(Code::kUnknownMessage, "agent type " + quoted(message.type) + " has no message " +
                                           quoted(message.message) + ": check the name");
  }
  if (message.key.empty() || message.key.size() > kKeyBytesMax) {
    return fail(Code::kInvalidArgument, "an agent key of " + std::to_string(message.key.size()) +
                                            " bytes: use 1 to " + std::to_string(kKeyBytesMax));
  }
  Live& agent = live(*type, message.key);
  Turn turn(*this, message);
  Status status = run_handler(agent, *handler, message, turn, answer);
  if (status.ok() && write_bytes_ > options_.turn_bytes_max) {
    status = fail(Code::kMessageTooLarge, "the turn of " + quoted(message.message) + " writes " +
                                              std::to_string(write_bytes_) + " bytes, the limit is " +
                                              std::to_string(options_.turn_bytes_max) +
                                              ": write less in one turn");
  }
  if (!status.ok()) drop_live(agent);  // with its C++ members
  return status;
}

void RegionCore::finish(const MessageView& message, const Status& status, std::string_view answer,
                        const std::uint64_t* tickets, std::size_t ticket_count) {
  const std::string_view text = status.ok() ? answer : std::string_view(status.error().text());
  const bool wants_answer = message.want == Want::kAnswer;
  if (!status.ok() && !wants_answer) bury(message, status.error());
  for (std::size_t i = 0; i < ticket_count; ++i) {
    if (wants_answer) {
      reply(tickets[i], status.code(), message.content, message.offset, i > 0, text);
    } else {
      reply(tickets[i], Code::kOk, message.content, message.offset, i > 0, {});
    }
  }
  const Identity& id = message.identity;
  if (id.request_id.empty() && id.session == 0) return;
  Outcome outcome{.code = wants_answer ? status.code() : Code::kOk,
                  .content = message.content,
                  .offset = message.offset,
                  .text = wants_answer ? std::string(text) : std::string()};
  if (!id.request_id.empty()) {
    const std::string key = request_id_key(message.type, message.key, id.request_id);
    const std::string value = encode_request(message.timestamp, payload_hash(message), outcome);
    if (options_.plant_dedup_not_stored) {
      table_.put(key, value);
    } else {
      put_record(key, value);
    }
  } else {
    sessions_.record(id, std::move(outcome), message.timestamp);
  }
}

void RegionCore::bury(const MessageView& message, const Error& error) {
  if (!options_.dead_letters) return;
  const std::string offset = std::to_string(message.offset.value());
  const log::Header headers[] = {{kTypeHeader, message.type},
                                 {kMessageHeader, message.message},
                                 {kErrorHeader, code_name(error.code())},
                                 {kReasonHeader, error.text()},
                                 {kOffsetHeader, offset}};
  dead_.add(clock_.now(), message.key, message.payload, headers, std::size(headers));
}

void RegionCore::count_turn(Offset offset, std::int32_t records_before) {
  put_varint(turns_,
             static_cast<std::uint64_t>(offset - (turns_count_ == 0 ? Offset(0) : last_turn_offset_)));
  put_varint(turns_, static_cast<std::uint64_t>(changes_.records() - records_before));
  last_turn_offset_ = offset;
  ++turns_count_;
}

Status RegionCore::stage_send(std::string_view type, std::string_view key, std::string_view message,
                              std::string_view payload) {
  if (key.empty() || key.size() > kKeyBytesMax) {
    return fail(Code::kInvalidArgument, "a send to an agent key of " + std::to_string(key.size()) +
                                            " bytes: use 1 to " + std::to_string(kKeyBytesMax));
  }
  if (payload.size() > options_.message_bytes_max) {
    return fail(Code::kMessageTooLarge,
                "a send of " + std::to_string(payload.size()) + " bytes, the limit is " +
                    std::to_string(options_.message_bytes_max) + ": send less at once");
  }
  const std::int32_t target = key_partition(key, options_.regions);
  if (target == region_.value()) {
    if (queue_.size() + sends_.size() >= kQueueMax || queue_bytes_ > kQueueBytesMax) {
      return fail(Code::kOverloaded, "region " + std::to_string(target) + " has " +
                                         std::to_string(queue_.size()) + " messages queued: try again later");
    }
  } else if (const auto found = outbox_.find(target);
             outbox_bytes_ + write_bytes_ > kOutboxBytesMax ||
             (found != outbox_.end() &&
              found->second.entries.size() + sends_.size() >= options_.outbox_entries_max)) {
    return fail(Code::kOverloaded, "the outbox of region " + std::to_string(region_.value()) +
                                       " for region " + std::to_string(target) +
                                       " is full: its node does not take messages; try again later");
  }
  write_bytes_ += key.size() + payload.size() + type.size() + message.size() + 32;
  sends_.push_back({std::string(type), std::string(key), std::string(message), std::string(payload)});
  return {};
}

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
      queue_.emplace_back(view, std::vector<std::uint64_t>());
      queue_bytes_ += queue_.back().bytes();
      continue;
    }
    OutboxTarget& outbox = outbox_[target];
    const std::uint64_t number = outbox.next++;
    outbox_dirty_.insert(target);
    // ON DISK: a version byte, sized type, key, message and payload, the content.
    std::string value(1, '\1');
    put_sized(value, send.type);
    put_sized(value, send.key);
    put_sized(value, send.message);
    put_sized(value, send.payload);
    put_varint(value, static_cast<std::uint64_t>(Content::kProtobuf));
    put_record(outbox_key(static_cast<std::uint32_t>(target), number), value);
    outbox_bytes_ += value.size();
    outbox.entries.push_back({number, std::move(value), appended_ + 1});
  }
}

bool RegionCore::run_queue(std::size_t turns_max) {
  while (!queue_.empty() && turns_max-- > 0 && failed_.ok()) {
    if (open_bytes() >= options_.seal_bytes) seal();
    Queued entry = std::move(queue_.front());
    queue_.pop_front();
    ++queue_popped_;
    queue_bytes_ -= entry.bytes();
    const MessageView view = entry.view();
    if (std::string text = identity_text(view); !text.empty()) {
      queued_identities_.erase(text);
    }
    run(view, entry.tickets.data(), entry.tickets.size());
  }
  return !queue_.empty();
}

void RegionCore::write_batch_marks() {
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
  completions_->expect(
      batch, std::exchange(replies_, ReplyBatch{.region = region_, .entries = {}, .bytes = {}}), bytes);
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
  const bool outbox_waits = std::any_of(outbox_.begin(), outbox_.end(), [](const auto& o) {
    return o.second.handed < o.second.entries.size();
  });
  completions_->want_wake(outbox_waits || !queue_.empty());
}

void RegionCore::set_failed(const Error& error) {
  if (!failed_.ok()) return;
  failed_ = error;
  // What ran in the open batch was never logged. What is queued was, and may run in a later life.
  const Code code = error.code() == Code::kDiskFull || error.code() == Code::kOverloaded ? error.code()
                                                                                         : Code::kUnavailable;
  for (auto& entry : replies_.entries) {
    entry.code = code;
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
  const bool more = run_queue(kTurnsAPoll) || unread_ < recovered_end_;
  hand_out_outbox();
  if (const Timestamp now = clock_.now(); now - swept_ >= std::chrono::seconds(1)) {
    swept_ = now;
    sessions_.expire(now);
    expire_request_ids(now);
    evict();
  }
  seal();
  return more && failed_.ok();
}

void RegionCore::hand_out_outbox() {
  const std::uint64_t committed = completions_->committed();
  for (auto& [target, outbox] : outbox_) {
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
      if (options_.plant_outbox_deleted_early) {
        delivered(RegionId(target), out.number);
        if (outbox.entries.empty()) break;
      }
    }
  }
}

void RegionCore::delivered(RegionId target, std::uint64_t number) {
  const auto found = outbox_.find(target.value());
  if (found == outbox_.end() || !failed_.ok()) return;
  OutboxTarget& outbox = found->second;
  while (!outbox.entries.empty() && outbox.entries.front().number <= number) {
    put_record(outbox_key(static_cast<std::uint32_t>(target.value()), outbox.entries.front().number),
               std::nullopt);
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

void RegionCore::expire_request_ids(Timestamp now) {
  constexpr std::size_t kLookedAt = 500;
  const std::string from = expiry_cursor_.empty() ? control_key(KeyKind::kRequestId) : expiry_cursor_;
  const std::string end = prefix_end(control_key(KeyKind::kRequestId));
  std::vector<std::string> expired;
  std::size_t looked = 0;
  expiry_cursor_.clear();
  // Straight at the store: what is younger than a checkpoint is not old enough.
  const Status scanned = table_.store().scan(
      table_.prefix() + from, table_.prefix() + end, [&](std::string_view key, std::string_view value) {
        key.remove_prefix(table_.prefix().size());
        if (looked++ >= kLookedAt) {
          expiry_cursor_.assign(key);
          return false;
        }
        ByteReader reader(value);
        reader.u8();
        const Timestamp then{std::chrono::milliseconds(static_cast<std::int64_t>(reader.varint()))};
        if (!reader.failed() && now - then >= options_.request_id_expiry) expired.emplace_back(key);
        return true;
      });
  if (!scanned.ok()) return;
  for (const std::string& key : expired) {
    auto present = table_.get(key);
    if (!present || !*present) continue;
    ByteReader reader(**present);
    reader.u8();
    if (now - Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(reader.varint()))) >=
        options_.request_id_expiry)
      put_record(key, std::nullopt);
  }
}

std::optional<Checkpoint> RegionCore::begin_checkpoint(bool force) {
  if (!failed_.ok() || checkpoint_out_) return std::nullopt;
  if (!table_.frozen()) {
    if (table_.dirty_keys() == 0 || (!force && table_.dirty_bytes() < options_.dirty_bytes_max))
      return std::nullopt;
    seal();
    if (!failed_.ok()) return std::nullopt;
    table_.freeze();
    frozen_batch_ = appended_;
    frozen_mark_ = {log_->next(log::Stream::kChanges), epoch_};
    frozen_applied_ = applied_;
  }
  if (completions_->committed() < frozen_batch_) return std::nullopt;
  checkpoint_out_ = true;
  return Checkpoint{table_.frozen_layer(), table_.prefix(), frozen_mark_};
}

void RegionCore::finish_checkpoint(const Status& written) {
  AFDG_ASSERT(checkpoint_out_, "no checkpoint was handed out");
  checkpoint_out_ = false;
  table_.thaw(written.ok());
  if (!written.ok()) return;
  checkpointed_ = frozen_mark_.changes;
  log_->set_applied(frozen_applied_, checkpointed_);
}

}  // namespace afdg::region
