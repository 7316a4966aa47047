#include "base/codec.h"
#include "region/internal/completions.h"
#include "region/internal/live.h"
#include "region/internal/text.h"
#include "region/region_core.h"
#include "region/state_key.h"

namespace afdg::region {

std::string RegionCore::identity_text(const MessageView& message) {
  std::string text;
  if (!message.identity.request_id.empty()) {
    text = request_id_key(message.type, message.key, message.identity.request_id);
  } else if (message.identity.session != 0) {
    text = session_key(message.identity.session);
    put_be64(text, message.identity.sequence);
  }
  return text;
}

namespace {

constexpr std::size_t kIdsSweptAtOnce = 1000;

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
  if (!queued_identities_.empty() && (id.session != 0 || !id.request_id.empty())) {
    // Logged, but its turn is still to come: the repeat waits for the same answer.
    const MessageView view{.type = m.type, .key = m.key, .identity = id};
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

// Invariant 8: the outcome is in the same commit as the effects.
void RegionCore::remember(const MessageView& message, Outcome outcome) {
  const Identity& id = message.identity;
  if (id.request_id.empty()) {
    sessions_.record(id, std::move(outcome), message.timestamp);
    return;
  }
  const std::string key = request_id_key(message.type, message.key, id.request_id);
  const std::string value = encode_request(message.timestamp, payload_hash(message), outcome);
  if (options_.plant_dedup_not_stored) {
    table_.put(key, value);
  } else {
    put_record(key, value);
  }
}

bool RegionCore::expire_request_ids(Timestamp now) {
  const auto old = [&](std::string_view value) {
    ByteReader reader(value);
    reader.u8();
    const Timestamp then{std::chrono::milliseconds(static_cast<std::int64_t>(reader.varint()))};
    return !reader.failed() && now - then >= options_.request_id_expiry;
  };
  const std::string from = expiry_cursor_.empty() ? control_key(KeyKind::kRequestId) : expiry_cursor_;
  const std::string end = prefix_end(control_key(KeyKind::kRequestId));
  std::vector<std::string> expired;
  std::size_t looked = 0;
  expiry_cursor_.clear();
  // Straight at the store: what is younger than a checkpoint is not old enough.
  const Status scanned = table_.store().scan(table_.prefix() + from, table_.prefix() + end,
                                             [&](std::string_view key, std::string_view value) {
                                               key.remove_prefix(table_.prefix().size());
                                               if (looked++ >= kIdsSweptAtOnce) {
                                                 expiry_cursor_.assign(key);
                                                 return false;
                                               }
                                               if (old(value)) expired.emplace_back(key);
                                               return true;
                                             });
  if (!scanned.ok()) return false;  // the next sweep tries again
  std::size_t gone = 0;
  for (const std::string& key : expired) {
    const auto present = table_.get(key);
    if (!present || !*present || !old(**present)) continue;
    put_record(key, std::nullopt);
    ++gone;
  }
  return gone > kIdsSweptAtOnce / 2;
}

}  // namespace afdg::region
