#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/codec.h"
#include "base/result.h"
#include "region/core.h"
#include "region/internal/answer_window.h"
#include "region/internal/outcome.h"

namespace afdg::region {

void put_outcome(std::string& out, const Outcome& outcome);
Outcome get_outcome(ByteReader& reader);

/// "Answered below" of a session that is over (data.proto).
inline constexpr std::uint64_t kSessionOver = ~std::uint64_t{0};

/// Writes a record of `changes` that belongs to the open batch.
using PutRecord = std::function<void(std::string_view key, std::optional<std::string_view> value)>;

/// What client sessions have asked of this region and were answered: the window in which a repeat is
/// recognised.
///
/// A session is known by its record; its answers are stored as one chunk a sealed batch; a chunk is deleted
/// whole when the client has all its answers. The rule for a sequence s of a session, with "answered below
/// b":
///
///     known session    s in the window: its stored answer      s < b or s below the window: kRequestExpired
///     else: new unknown session  b <= 1: new                             b > 1: kRequestExpired (it was
///     forgotten)
///
/// A client that ends says so: its last call has "answered below" kSessionOver, and the session is forgotten
/// at once. It does that only when no copy of an earlier call can still arrive.
/// So a client must not try a sequence again later than Options::session_expiry after it first sent it.
/// Thread-safety: confined. Bounds: sessions_max; session_window_max sequences from the first
/// unacknowledged one on; answer_bytes_max in all.
class Sessions {
 public:
  enum class Verdict : std::uint8_t { kNew, kRepeat, kExpired, kFull };
  struct Look {
    Verdict verdict;
    const Outcome* outcome = nullptr;  ///< of a repeat; valid until the next change
  };

  explicit Sessions(const Options& options) : options_(options) {}

  /// Looks a call up, and takes note of what the client acknowledges.
  Look look(const Identity& identity, Timestamp now);
  /// Remembers what became of a call that look() called new.
  void record(const Identity& identity, Outcome outcome, Timestamp now);
  /// Puts the open batch's chunks and sessions, and deletes acknowledged chunks. `offset` is unique to the
  /// batch.
  void seal(std::int64_t offset, const PutRecord& put);
  /// Whether seal() would put something.
  [[nodiscard]] bool dirty() const noexcept { return !touched_.empty(); }
  /// What seal() would put, about.
  [[nodiscard]] std::size_t open_bytes() const noexcept { return open_bytes_; }
  /// Forgets sessions that were idle too long; their deletions go out with the next seal().
  void expire(Timestamp now);
  /// Takes over a stored record. Errors: kCorrupt.
  Status load_session(std::string_view key, std::string_view value, Timestamp now);
  Status load_chunk(std::string_view key, std::string_view value);
  [[nodiscard]] std::size_t size() const noexcept { return sessions_.size(); }

 private:
  struct Chunk {
    std::int64_t offset;
    std::uint64_t last;  ///< highest sequence in it
  };
  struct Session {
    AnswerWindow window;
    std::deque<Chunk> chunks;
    std::uint64_t below = 1;         ///< the client has every answer below
    std::uint64_t stored_below = 0;  ///< of the stored record; 0: not stored
    Timestamp active{};
    std::vector<std::uint64_t> open;  ///< sequences of the open batch
    bool touched = false;
    bool dead = false;
  };
  void touch(std::uint64_t id, Session& session);
  void remember(Session& session, std::uint64_t sequence, Outcome&& outcome);
  [[nodiscard]] bool has_place(const Session& session, std::uint64_t sequence) const;
  void acknowledge(std::uint64_t id, Session& session, std::uint64_t below);

  const Options& options_;
  std::unordered_map<std::uint64_t, Session> sessions_;
  std::vector<std::uint64_t> touched_;
  std::uint64_t answer_bytes_ = 0;  ///< of all windows
  std::size_t open_bytes_ = 0;
};

}  // namespace afdg::region
