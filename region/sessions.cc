#include "region/sessions.h"

#include <algorithm>

#include "base/codec.h"
#include "region/state_key.h"

namespace afdg::region {
namespace {

constexpr std::uint64_t kAnswerBytesMax = 64u << 20;
constexpr std::uint64_t kOutcomeOverhead = 96;
constexpr std::size_t kStoredOverhead = 12;

Error damaged(std::string_view what) {
  return fail(Code::kCorrupt,
              "a stored " + std::string(what) + " is damaged: rebuild the region from its changes");
}

}  // namespace

// ON DISK: code, content, offset + 1 as varints, then the sized text.
void put_outcome(std::string& out, const Outcome& outcome) {
  put_varint(out, static_cast<std::uint64_t>(outcome.code));
  put_varint(out, static_cast<std::uint64_t>(outcome.content));
  put_varint(out, static_cast<std::uint64_t>(outcome.offset.value() + 1));
  put_sized(out, outcome.text);
}

Outcome get_outcome(ByteReader& reader) {
  Outcome outcome;
  outcome.code = code_from_number(static_cast<std::uint32_t>(reader.varint()));
  outcome.content = static_cast<Content>(reader.varint());
  outcome.offset = Offset(static_cast<std::int64_t>(reader.varint()) - 1);
  outcome.text = std::string(reader.sized());
  return outcome;
}

void Sessions::touch(std::uint64_t id, Session& session) {
  if (std::exchange(session.touched, true)) return;
  touched_.push_back(id);
}

void Sessions::acknowledge(std::uint64_t id, Session& session, std::uint64_t below) {
  if (below <= session.below) return;
  session.below = below;
  const auto end = session.window.lower_bound(below);
  for (auto at = session.window.begin(); at != end; ++at)
    answer_bytes_ -= at->second.text.size() + kOutcomeOverhead;
  session.window.erase(session.window.begin(), end);
  if (!session.chunks.empty() && session.chunks.front().last < below) touch(id, session);
}

Sessions::Look Sessions::look(const Identity& identity, Timestamp now) {
  const auto found = sessions_.find(identity.session);
  if (found == sessions_.end() || found->second.dead) {
    if (identity.answered_below > 1) return {Verdict::kExpired};
    if (sessions_.size() >= options_.sessions_max || answer_bytes_ > kAnswerBytesMax) return {Verdict::kFull};
    return {Verdict::kNew};
  }
  Session& session = found->second;
  session.active = now;
  acknowledge(identity.session, session, identity.answered_below);
  if (identity.sequence < session.below) return {Verdict::kExpired};
  if (const auto known = session.window.find(identity.sequence); known != session.window.end()) {
    return {Verdict::kRepeat, &known->second};
  }
  if (session.window.size() >= options_.session_window_max || answer_bytes_ > kAnswerBytesMax)
    return {Verdict::kFull};
  return {Verdict::kNew};
}

void Sessions::record(const Identity& identity, Outcome outcome, Timestamp now) {
  Session& session = sessions_[identity.session];
  session.active = now;
  session.dead = false;
  answer_bytes_ += outcome.text.size() + kOutcomeOverhead;
  open_bytes_ += outcome.text.size() + kStoredOverhead;
  session.window.insert_or_assign(identity.sequence, std::move(outcome));
  session.open.push_back(identity.sequence);
  touch(identity.session, session);
}

// ON DISK: a chunk is a version byte, the count, then for each: sequence, outcome. A session is a version
// byte and "below".
void Sessions::seal(std::int64_t offset, const PutRecord& put) {
  std::string value;
  for (const std::uint64_t id : touched_) {
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) continue;
    Session& session = found->second;
    session.touched = false;
    if (session.dead) {
      for (const Chunk& chunk : session.chunks) put(chunk_key(id, chunk.offset), std::nullopt);
      if (session.stored_below != 0) put(session_key(id), std::nullopt);
      for (const auto& [sequence, outcome] : session.window)
        answer_bytes_ -= outcome.text.size() + kOutcomeOverhead;
      sessions_.erase(found);
      continue;
    }
    while (!session.chunks.empty() && session.chunks.front().last < session.below) {
      put(chunk_key(id, session.chunks.front().offset), std::nullopt);
      session.chunks.pop_front();
    }
    if (!session.open.empty()) {
      value.assign(1, '\1');
      std::uint64_t last = 0, count = 0;
      std::string entries;
      for (const std::uint64_t sequence : session.open) {
        const auto known = session.window.find(sequence);
        if (known == session.window.end()) continue;  // acknowledged meanwhile
        put_varint(entries, sequence);
        put_outcome(entries, known->second);
        last = std::max(last, sequence);
        ++count;
      }
      session.open.clear();
      if (count > 0) {
        put_varint(value, count);
        value += entries;
        put(chunk_key(id, offset), value);
        session.chunks.push_back({offset, last});
      }
    }
    if (session.stored_below != session.below) {
      value.assign(1, '\1');
      put_varint(value, session.below);
      put(session_key(id), value);
      session.stored_below = session.below;
    }
  }
  touched_.clear();
  open_bytes_ = 0;
}

void Sessions::expire(Timestamp now) {
  for (auto& [id, session] : sessions_) {
    if (session.dead || now - session.active < options_.session_expiry) continue;
    session.dead = true;
    touch(id, session);
  }
}

Status Sessions::load_session(std::string_view key, std::string_view value, Timestamp now) {
  ByteReader reader(value);
  const std::uint8_t version = reader.u8();
  const std::uint64_t below = reader.varint();
  if (key.size() != 9 || version != 1 || !reader.finished()) return damaged("client session");
  Session& session = sessions_[load_be64(key.data() + 1)];
  session.below = session.stored_below = below;
  session.active = now;
  return {};
}

Status Sessions::load_chunk(std::string_view key, std::string_view value) {
  ByteReader reader(value);
  const std::uint8_t version = reader.u8();
  const std::uint64_t count = reader.varint();
  if (key.size() != 17 || version != 1 || count > value.size()) return damaged("chunk of answers");
  Session& session = sessions_[load_be64(key.data() + 1)];
  Chunk chunk{static_cast<std::int64_t>(load_be64(key.data() + 9)), 0};
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t sequence = reader.varint();
    Outcome outcome = get_outcome(reader);
    if (reader.failed()) return damaged("chunk of answers");
    chunk.last = std::max(chunk.last, sequence);
    if (sequence < session.below) continue;
    answer_bytes_ += outcome.text.size() + kOutcomeOverhead;
    session.window.insert_or_assign(sequence, std::move(outcome));
  }
  if (!reader.finished()) return damaged("chunk of answers");
  session.chunks.push_back(chunk);
  return {};
}

}  // namespace afdg::region
