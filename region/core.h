#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/agent_type.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "log/message_log.h"
#include "region/producers.h"
#include "store/key_value_store.h"

namespace afdg::region {

enum class Content : std::uint8_t { kProtobuf = 0, kJson = 1 };
/// kAnswer: a request, the reply is the turn's answer. kReceipt: a durable send, the reply is its offset.
enum class Want : std::uint8_t { kAnswer = 0, kReceipt = 1 };

/// How a repeat of a message is recognised. At most one of the three is set; request_id wins over the
/// session.
struct Identity {
  std::uint64_t session = 0;         ///< client session, 0: none
  std::uint64_t sequence = 0;        ///< of the session for this region, from 1
  std::uint64_t answered_below = 0;  ///< the session has all answers below it
  std::string_view request_id{};     ///< the caller's own; at most 256 bytes; scoped to (type, key)
  std::int32_t source_region = -1;   ///< the outbox of a region of the same grid, -1: none
  std::uint64_t source_number = 0;   ///< contiguous a source, from 1
};

/// One message for an agent of this region. Views live for the call of handle().
struct Inbound {
  std::string_view type{};
  std::string_view key{};
  std::string_view message{};
  std::string_view payload{};
  Content content = Content::kProtobuf;
  Want want = Want::kAnswer;
  Identity identity{};
  Timestamp deadline{};  ///< epoch: none
  /// No message, but what a Kafka client produced to the region's partition: the payload is the header of a
  /// checked record batch and its records, not compressed. Of the rest only `ticket` is looked at.
  bool produced = false;
  std::uint64_t ticket = 0;    ///< comes back with the reply
  std::uint64_t key_hash = 0;  ///< set by RegionCore::prefetch()
};

/// Replies that one commit releases. Self-contained: may be handed to another thread.
struct ReplyBatch {
  struct Entry {
    std::uint64_t ticket;
    Code code = Code::kOk;
    Content content = Content::kProtobuf;
    bool repeated = false;    ///< a stored answer
    Offset offset{-1};        ///< of the message, -1 when it was not logged
    std::uint32_t begin = 0;  ///< payload (kOk) or the error's sentence: bytes[begin, begin + size)
    std::uint32_t size = 0;
  };
  RegionId region;
  std::vector<Entry> entries;
  std::string bytes;
  [[nodiscard]] std::string_view text(const Entry& e) const {
    return std::string_view(bytes).substr(e.begin, e.size);
  }
};

/// An outbox entry that is committed and may leave. Views live for the call.
struct OutboxEntry {
  RegionId target;
  std::uint64_t number;
  std::string_view type;
  std::string_view key;
  std::string_view message;
  std::string_view payload;
  Content content;
};

/// What the core asks of its shell.
class Shell {
 public:
  virtual ~Shell() = default;
  /// Replies whose commit is durable (or whose append failed: then every entry is kInDoubt or kFenced
  /// already). May be called from the log's completion thread: must be quick, must not call back into the
  /// core.
  virtual void release(ReplyBatch&& replies) = 0;
  /// Called from the log's completion thread after a commit that the core wants to hear about on its own
  /// thread: call RegionCore::poll() there soon. Cheap; may be called more often than needed.
  virtual void wake() = 0;
  /// From poll(), on the core's thread: committed outbox entries, in order a target; also after reopening
  /// (repeats are harmless). Must not call back into this core.
  virtual void deliver(const OutboxEntry& entry) = 0;
  /// Which message runs now and that it ended; see poison messages. Default: not noted.
  virtual void running(Offset offset) { static_cast<void>(offset); }
  virtual void ended() {}
  /// How often the process died while running this message.
  virtual int deaths(Offset offset) {
    static_cast<void>(offset);
    return 0;
  }
};

struct Options {
  std::int32_t regions = 1;                  ///< of the grid; key -> region
  std::vector<std::string> types{};          ///< that the grid hosts; empty: all of the node
  std::size_t message_bytes_max = 1u << 20;  ///< payload
  std::size_t turn_bytes_max = 4u << 20;     ///< effects of one turn
  std::size_t answer_bytes_max = 64u << 10;  ///< of a message that may write: answers are remembered
  std::size_t seal_bytes = 64u << 10;        ///< the shell is told to seal at this size
  /// Of an append while a Kafka producer's batch is taken: one of usual size is there whole or not at all.
  std::size_t produced_seal_bytes = 1u << 20;
  std::size_t dirty_bytes_max = 64u << 20;     ///< log bytes between checkpoints
  std::size_t live_bytes_max = 128u << 20;     ///< memory of live agents; then CLOCK eviction
  std::uint32_t outbox_entries_max = 100'000;  ///< a target; then send() answers kOverloaded
  std::uint32_t session_window_max = 65'536;   ///< unacknowledged answers a session
  std::uint32_t sessions_max = 10'000;
  Producers::Options producers;
  std::chrono::milliseconds session_expiry = std::chrono::minutes(15);
  std::chrono::milliseconds request_id_expiry = std::chrono::hours(24);
  std::size_t in_flight_bytes_max = 8u << 20;  ///< appended, not committed; then kOverloaded
  bool dead_letters = true;
  // Planted bugs, for tests and the demo only; see docs/planted-bugs.md. Never configuration of afdgd.
  bool plant_no_dedup = false;  ///< repeats run again
  bool plant_reply_before_commit = false;
  bool plant_dedup_not_stored = false;
  bool plant_outbox_deleted_early = false;
};

}  // namespace afdg::region
