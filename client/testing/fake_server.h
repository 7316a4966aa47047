#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace afdg::client::testing {

/// What the fake does with a call. Planted misbehaviour of tests.
enum class Mode : std::uint8_t {
  kAnswer,
  kApplySilently,  ///< it takes effect, the answer is kept back
  kIgnore,         ///< nothing happens at all
};

/// One call as it arrived.
struct SeenCall {
  std::uint64_t session = 0;
  std::uint64_t id = 0;
  std::uint32_t region = 0;
  std::uint64_t sequence = 0;
  std::uint64_t answered_below = 0;
  std::string type;
  std::string key;
  std::string message;
  std::string request_id;
  std::size_t frame = 0;  // its frame's number, from 0
};

/// One record that was produced to topic "words".
struct SeenRecord {
  std::uint32_t partition = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::string>> headers;
  std::int64_t timestamp_unix_ms = 0;
  std::size_t call = 0;  // its call's number, from 0
};

/// A server in this process that speaks data.proto and admin.proto: grids with counters (type "entity",
/// message Increment in both content types), answers remembered by (session, region, sequence) and by request
/// id. Thread-safety: safe.
class FakeServer {
 public:
  /// Listens on a free port of the loopback address. Has grid "g" with 4 regions.
  FakeServer();
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  [[nodiscard]] std::string address() const;
  void set_mode(Mode mode);
  /// Asked first for each call; a code other than kOk refuses it, before anything happens.
  void set_refusal(std::function<Code(const SeenCall&)> refusal);
  /// Its agents cannot be listed from now on.
  void lose_region(std::uint32_t region);
  /// Ends every open stream.
  void break_streams();
  /// Refuses to be connected from now on, and ends what is.
  void stop();
  /// Where region `region` of "g" is said to be; also told in the frame that refuses with kNotLeader.
  void set_route(std::uint32_t region, const std::string& address, bool tell_in_frames = false);

  [[nodiscard]] std::vector<SeenCall> seen() const;
  [[nodiscard]] std::size_t frames() const;
  /// Where group `name` is in partition 0 of "words"; -1 when there is no such group. Group "busy" has a
  /// member, and refuses to be moved and deleted.
  [[nodiscard]] std::int64_t group_offset(const std::string& name) const;
  /// A record whose value is "full" is refused with kDiskFull, the others of its call are not.
  [[nodiscard]] std::vector<SeenRecord> produced() const;
  /// Blocks until `count` calls have arrived.
  void wait_seen(std::size_t count) const;
  [[nodiscard]] std::int64_t counter(const std::string& key) const;
  [[nodiscard]] int route_lookups() const;
  /// Regions that were told that a session is over.
  [[nodiscard]] std::size_t farewells() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace afdg::client::testing
