#include "region/sessions.h"

#include <algorithm>

#include "base/codec.h"
#include "region/state_key.h"

namespace afdg::region {
namespace {

constexpr std::uint64_t kAnswerBytesMax = 64u << 20;
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
  answer_bytes_ -= session.window.bytes();
  session.window.raise(below, [this](const Outcome& outcome) { answer_bytes_ -= outcome.text.size(); });
  answer_bytes_ += session.window.bytes();
  if (!session.chunks.empty() && session.chunks.front().last < below) touch(id, session);
}

bool Sessions::has_place(const Session& session, std::uint64_t sequence) const {
  return sequence - session.below < options_.session_window_max && session.window.takes(sequence);
}

Sessions::Look Sessions::look(const Identity& identity, Timestamp now) {
  const auto found = sessions_.find(identity.session);
  if (identity.answered_below == kSessionOver) [[unlikely]] {
    if (found != sessions_.end()) {
      found->second.dead = true;
      touch(identity.session, found->second);
    }
    return {Verdict::kExpired};
  }
  if (found == sessions_.end() || found->second.dead) {
    if (identity.answered_below > 1) return {Verdict::kExpired};
    if (sessions_.size() >= options_.sessions_max || answer_bytes_ > kAnswerBytesMax ||
        !has_place(Session(), identity.sequence)) {
      return {Verdict::kFull};
    }
    return {Verdict::kNew};
  }
  Session& session = found->second;
  session.active = now;
  acknowledge(identity.session, session, identity.answered_below);
  if (identity.sequence < session.below) return {Verdict::kExpired};
  if (const Outcome* known = session.window.find(identity.sequence)) return {Verdict::kRepeat, known};
  if (!has_place(session, identity.sequence) || answer_bytes_ > kAnswerBytesMax) return {Verdict::kFull};
  return {Verdict::kNew};
}

void Sessions::record(const Identity& identity, Outcome outcome, Timestamp now) {
  Session& session = sessions_[identity.session];
  session.active = now;
  session.dead = false;
  // Without a place it was acknowledged before its turn came, or did not pass look(). The limit of look() is
  // not asked again: after a crash `below` may be an older one than it saw.
  if (!session.window.takes(identity.sequence)) return;
  open_bytes_ += outcome.text.size() + kStoredOverhead;
  remember(session, identity.sequence, std::move(outcome));
  session.open.push_back(identity.sequence);
  touch(identity.session, session);
}

void Sessions::remember(Session& session, std::uint64_t sequence, Outcome&& outcome) {
  answer_bytes_ += outcome.text.size();
  answer_bytes_ -= session.window.bytes();
  if (const Outcome* before = session.window.find(sequence)) answer_bytes_ -= before->text.size();
  session.window.put(sequence, std::move(outcome));
  answer_bytes_ += session.window.bytes();
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
      session.window.for_each([this](const Outcome& outcome) { answer_bytes_ -= outcome.text.size(); });
      answer_bytes_ -= session.window.bytes();
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
        const Outcome* known = session.window.find(sequence);
        if (known == nullptr) continue;  // acknowledged meanwhile
        put_varint(entries, sequence);
        put_outcome(entries, *known);
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
  session.window.raise(below, [](const Outcome&) {});
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
    if (!session.window.takes(sequence)) return damaged("chunk of answers");
    remember(session, sequence, std::move(outcome));
  }
  if (!reader.finished()) return damaged("chunk of answers");
  session.chunks.push_back(chunk);
  return {};
}

}  // namespace afdg::region
