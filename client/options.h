#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"

// What a caller of the client library sets and gets back.
namespace afdg::client {

/// What happens to a call when the client already holds as much as it may.
enum class WhenFull : std::uint8_t {
  kFail,   ///< the call ends at once with kOverloaded; nothing was sent
  kBlock,  ///< the calling thread waits for room, at most until the call's deadline (never inside a callback)
};

/// Each limit refuses with kOverloaded or kInvalidArgument before anything is sent.
struct ClientOptions {
  /// How long connect() waits for the server. 0: do not wait; calls wait for the server until their
  /// deadlines.
  std::chrono::milliseconds connect_timeout{3000};
  /// A call's deadline when it names none.
  std::chrono::milliseconds deadline{5000};
  /// Calls begun and not yet ended, over all grids. A call costs about 400 bytes beside its payload.
  std::uint32_t calls_max = 65536;
  /// Bytes of those calls' keys and payloads.
  std::uint64_t bytes_max = 64ULL << 20;
  /// One message. The server's own limit is 1 MiB by default.
  std::uint32_t payload_bytes_max = 1U << 20;
  /// Sequences of one region between the oldest unanswered call and the newest: what a region has to
  /// remember.
  std::uint32_t window_max = 65536;
  WhenFull when_full = WhenFull::kFail;
  /// A connection on which nothing arrived for so long is asked for a sign of life; without one within
  /// keepalive_timeout it is broken, and its calls are sent again on a new one. 0: never (a peer that
  /// vanished is noticed when TCP gives up, after minutes). afdgd refuses clients that ask more often than
  /// each 5 s.
  std::chrono::milliseconds keepalive{10'000};
  std::chrono::milliseconds keepalive_timeout{5000};
  /// Client::session() of a client that is gone and whose call ended in doubt, to repeat that call: the first
  /// call to each region is taken for that client's first one, takes effect once and has the same answer. The
  /// message must be the same, and the repeat must begin within 10 minutes of the call. Such a client leaves
  /// its session to expire when it is closed. 0: a session of its own.
  std::uint64_t session = 0;
};

struct CallOptions {
  /// From now, at most 10 minutes; 0: ClientOptions::deadline. Passed before the call left: kDeadlineExceeded
  /// or kUnavailable. Passed later: kInDoubt.
  std::chrono::milliseconds deadline{0};
  /// The caller's own id of this request, scoped to the agent: the same id and payload takes effect once and
  /// gives the same answer, for 24 h by default, from any client. Empty: the client's own session protects
  /// its retries.
  std::string request_id{};
};

struct FanoutOptions {
  /// For each target, from the moment its message leaves.
  std::chrono::milliseconds deadline{0};
  /// Makes the fan-out resumable: each target gets its message once however often the same id is run.
  std::string id{};
  /// Targets that wait for their answers at a time.
  std::uint32_t in_flight = 1024;
  /// Asked before each target, on the thread that called: once it is true no more begin, and the fan-out ends
  /// with kCancelled when those under way have ended.
  std::function<bool()> stop{};
};

enum class Content : std::uint8_t { kProtobuf = 0, kJson = 1 };

/// An answer in the content type of its call.
struct Reply {
  std::string payload;
  std::uint32_t region = 0;
  std::int64_t offset = -1;  ///< of the message in GRID.messages; -1: a read, nothing was logged
  bool repeated = false;     ///< a stored answer: the message had happened before
};

/// Where a one-way message stands, durably.
struct SendReceipt {
  std::string topic;
  std::uint32_t partition = 0;
  std::int64_t offset = -1;
  bool repeated = false;
};

/// One message to one agent, by names.
struct Target {
  std::string type;  // 1..128 bytes
  std::string key;   // 1..1024 bytes
};
struct Message {
  std::string name;  // 1..128 bytes, for example "Departed"
  std::string payload;
  Content content = Content::kProtobuf;
};

/// Counters since the client was made.
struct ClientStats {
  std::uint64_t calls = 0;
  std::uint64_t calls_written = 0;  ///< repeats included
  std::uint64_t frames_written = 0;
  std::uint64_t frames_read = 0;
  std::uint64_t outcomes = 0;
  std::uint64_t resent = 0;  ///< calls written again after a broken stream or a refusal
  std::uint64_t streams_broken = 0;
  std::uint64_t route_refreshes = 0;
  std::uint64_t overloaded = 0;  ///< refused here
  std::uint64_t outstanding = 0;
};

}  // namespace afdg::client

namespace afdg {
using client::CallOptions;
using client::ClientOptions;
using client::FanoutOptions;
using client::SendReceipt;
}  // namespace afdg
