#include "base/codec.h"
#include "region/internal/completions.h"
#include "region/internal/live.h"
#include "region/internal/text.h"
#include "region/region_core.h"

namespace afdg::region {
namespace {

constexpr int kDeathsMax = 3;
constexpr std::size_t kWritesKept = 256;  // buffers that stay for the next turn

}  // namespace

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

void RegionCore::read(const Inbound& m, const agents::HandlerInfo& handler, Timestamp now) {
  ++reads_total_;
  const MessageView view{.offset = applied_,
                         .timestamp = now,
                         .type = m.type,
                         .key = m.key,
                         .message = m.message,
                         .payload = m.payload,
                         .content = m.content,
                         .want = m.want,
                         .identity = {},
                         .deadline = m.deadline};
  answer_.clear();
  Live& agent = live(*find_type(m.type), m.key);
  Turn turn(*this, view);
  begin_writes();
  Status status = run_handler(agent, handler, view, turn, answer_);
  if (status.ok() && answer_.size() > options_.message_bytes_max) {
    status = fail(Code::kMessageTooLarge, "the answer to " + quoted(m.message) + " has " +
                                              std::to_string(answer_.size()) + " bytes, the limit is " +
                                              std::to_string(options_.message_bytes_max) +
                                              ": ask for less at once");
  }
  if (status.ok()) {
    reply(m.ticket, Code::kOk, m.content, Offset(-1), false, answer_);
  } else {
    reply(m.ticket, status.code(), m.content, Offset(-1), false,
          printable(status.error().text(), kErrorBytesMax));
    drop_live(agent);
  }
  evict();
}

// Invariants 6 and 14: one message at a time, and nothing of a failed one stays: its writes and sends were
// only staged, its agent is dropped.
void RegionCore::run(const MessageView& message, const Status& fault, const std::uint64_t* tickets,
                     std::size_t ticket_count) {
  ++turns_total_;
  const std::int32_t records_before = changes_.records();
  answer_.clear();
  shell_.running(message.offset);
  begin_writes();
  Status status = fault.ok() ? run_turn(message, answer_) : fault;
  shell_.ended();
  if (status.ok()) {
    std::uint64_t written = 0;
    for (std::size_t i = 0; i < write_count_; ++i) {
      const Write& write = writes_[i];
      if (write.value) {
        changes_.add(message.timestamp, write.key, std::string_view(*write.value));
        written = table_.put(write.key, *write.value);
      } else {
        changes_.add(message.timestamp, write.key, std::nullopt);
        written = table_.erase(write.key);
      }
    }
    if (write_count_ > 0) turn_agent_->written = written;
    commit_sends(message);
  } else {
    answer_.clear();
  }
  finish(message, status, answer_, tickets, ticket_count);
  begin_writes();
  applied_ = message.offset + 1;
  mark_dirty_ = true;
  count_turn(message.offset, records_before);
  evict();
}

void RegionCore::begin_writes() {
  write_index_.clear();
  if (writes_.size() > kWritesKept) writes_.resize(kWritesKept);
  write_count_ = 0;
  write_bytes_ = 0;
  sends_.clear();
}

Status RegionCore::run_turn(const MessageView& message, std::string& answer) {
  if (message.offset < poison_until_ && shell_.deaths(message.offset) >= kDeathsMax) {
    return fail(Code::kPoison, "message " + quoted(message.message) + " for " + quoted(message.type) + "/" +
                                   quoted(message.key) + " at offset " +
                                   std::to_string(message.offset.value()) +
                                   " ended the process three times and is not run again");
  }
  if (message.deadline != Timestamp() && turn_now_ >= message.deadline) {
    return fail(Code::kDeadlineExceeded,
                "the deadline passed before " + quoted(message.message) + " ran: it did nothing");
  }
  if (message.key.empty()) {
    return fail(Code::kInvalidArgument,
                "the message has no key, so it is for no agent: give the agent's key as the record's");
  }
  if (message.key.size() > kKeyBytesMax) {
    return fail(Code::kInvalidArgument, "an agent key of " + std::to_string(message.key.size()) +
                                            " bytes: use 1 to " + std::to_string(kKeyBytesMax));
  }
  const agents::AgentType* type = find_type(message.type);
  if (type == nullptr) {
    return fail(Code::kUnknownType,
                "this grid hosts no agent type " + quoted(message.type) + ": check the name");
  }
  const agents::HandlerInfo* handler = type->find(message.message);
  if (handler == nullptr) {
    return fail(Code::kUnknownMessage, "agent type " + quoted(message.type) + " has no message " +
                                           quoted(message.message) + ": it understands " +
                                           type->message_names());
  }
  if (handler->kind == OperationKind::kRead && message.want == Want::kReceipt) {
    return fail(Code::kInvalidArgument,
                "message " + quoted(message.message) + " only reads: request it instead of sending it");
  }
  if (!is_here(message.key)) {
    return fail(Code::kInvalidArgument, "the message is for another region than the agent's: agent " +
                                            quoted(message.type) + "/" + quoted(message.key) +
                                            " is not in region " + std::to_string(region_.value()));
  }
  Live& agent = live(*type, message.key);
  turn_agent_ = &agent;
  Turn turn(*this, message);
  Status status = run_handler(agent, *handler, message, turn, answer);
  if (status.ok() && write_bytes_ > options_.turn_bytes_max) {
    status = fail(Code::kMessageTooLarge, "the turn of " + quoted(message.message) + " writes more than " +
                                              std::to_string(options_.turn_bytes_max) +
                                              " bytes, which is the limit: write less in one turn");
  }
  if (status.ok() && message.want == Want::kAnswer && answer.size() > options_.answer_bytes_max) {
    // It has to be remembered, for a repeat gets the same one.
    status =
        fail(Code::kMessageTooLarge,
             "the answer to " + quoted(message.message) + " has " + std::to_string(answer.size()) +
                 " bytes, the limit of a message that may write is " +
                 std::to_string(options_.answer_bytes_max) + ": answer less, and let callers read the rest");
  }
  if (!status.ok()) drop_live(agent);  // with its C++ members
  return status;
}

void RegionCore::finish(const MessageView& message, const Status& status, std::string_view answer,
                        const std::uint64_t* tickets, std::size_t ticket_count) {
  const bool wants_answer = message.want == Want::kAnswer;
  const std::string error = status.ok() ? std::string() : printable(status.error().text(), kErrorBytesMax);
  const std::string_view text = status.ok() ? answer : std::string_view(error);
  if (!status.ok() && !wants_answer) bury(message, status.code(), error);
  for (std::size_t i = 0; i < ticket_count; ++i) {
    if (wants_answer) {
      reply(tickets[i], status.code(), message.content, message.offset, i > 0, text);
    } else {
      reply(tickets[i], Code::kOk, message.content, message.offset, i > 0, {});
    }
  }
  if (message.identity.request_id.empty() && message.identity.session == 0) return;
  remember(message, {.code = wants_answer ? status.code() : Code::kOk,
                     .content = message.content,
                     .offset = message.offset,
                     .text = wants_answer ? std::string(text) : std::string()});
}

void RegionCore::bury(const MessageView& message, Code code, std::string_view reason) {
  if (!options_.dead_letters) return;
  const std::string offset = std::to_string(message.offset.value());
  const log::Header headers[] = {{kTypeHeader, message.type},     {kMessageHeader, message.message},
                                 {kErrorHeader, code_name(code)}, {kReasonHeader, reason},
                                 {kOffsetHeader, offset},         {kContentHeader, "json"}};
  const std::size_t count = std::size(headers) - (message.content == Content::kJson ? 0 : 1);
  dead_.add(clock_.now(), message.key, message.payload, headers, count);
}

void RegionCore::count_turn(Offset offset, std::int32_t records_before) {
  put_varint(turns_,
             static_cast<std::uint64_t>(offset - (turns_count_ == 0 ? Offset(0) : last_turn_offset_)));
  put_varint(turns_, static_cast<std::uint64_t>(changes_.records() - records_before));
  last_turn_offset_ = offset;
  ++turns_count_;
}

void RegionCore::enqueue(const MessageView& message, const Status& fault, std::vector<std::uint64_t> tickets,
                         std::uint64_t batch) {
  queue_.emplace_back(message, fault, std::move(tickets), batch);
  queue_bytes_ += queue_.back().bytes();
  if (std::string text = identity_text(message); !text.empty())
    queued_identities_.insert_or_assign(std::move(text), queue_popped_ + queue_.size() - 1);
}

bool RegionCore::may_run_next() const {
  if (completions_->bytes_in_flight() > options_.in_flight_bytes_max) return false;
  // After a death: not before the message is durable, so that the next death is counted against it.
  const Queued& next = queue_.front();
  return next.offset >= careful_until_ || next.batch <= completions_->committed();
}

bool RegionCore::run_queue(std::size_t turns_max) {
  while (!queue_.empty() && turns_max-- > 0 && failed_.ok()) {
    if (open_bytes() >= options_.seal_bytes) {
      seal();
      if (!failed_.ok()) return false;
    }
    if (!may_run_next()) {
      completions_->want_wake(true);
      if (!may_run_next()) return false;
    }
    const Queued entry = std::move(queue_.front());
    queue_.pop_front();
    ++queue_popped_;
    queue_bytes_ -= entry.bytes();
    const MessageView view = entry.view();
    if (const std::string text = identity_text(view); !text.empty()) queued_identities_.erase(text);
    turn_now_ = clock_.deadline_time();
    run(view, entry.fault, entry.tickets.data(), entry.tickets.size());
  }
  return !queue_.empty();
}

}  // namespace afdg::region
