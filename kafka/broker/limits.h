#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace afdg::kafka {

/// What bounds the Kafka clients of a node. docs/limits.md says of each what a client sees.
enum class Limit : std::uint8_t {
  kConnections,
  kOpenFiles,
  kIdle,
  kHalfRequest,
  kUnread,
  kRequestBytes,
  kRequests,
  kConnectionRequests,
  kBytes,
  kConnectionBytes,
  kLogBytes,
  kRequestPartitions,
  kGroups,
  kGroupMembers,
  kMembers,
  kGroupNameBytes,
  kMemberProtocols,
  kMemberMetadataBytes,
  kGroupBytes,
  kCommitPartitions,
  kGroupOffsets,
  kReplyBytes,
};
inline constexpr std::size_t kLimits = static_cast<std::size_t>(Limit::kReplyBytes) + 1;

/// The configuration key that sets it. kOpenFiles is the operating system's; those from kGroupNameBytes on
/// are fixed, and these are the names of their metrics only.
[[nodiscard]] constexpr std::string_view limit_key(Limit limit) noexcept {
  constexpr std::array<std::string_view, kLimits> keys{
      "kafka-connections-max", "open-files",
      "kafka-idle-ms",         "kafka-half-request-ms",
      "kafka-unread-ms",       "kafka-request-bytes-max",
      "kafka-requests-max",    "kafka-connection-requests-max",
      "kafka-bytes-max",       "kafka-connection-bytes-max",
      "in-flight-bytes-max",   "kafka-request-partitions-max",
      "kafka-groups-max",      "kafka-group-members-max",
      "kafka-members-max",     "group-name-bytes",
      "member-protocols",      "member-metadata-bytes",
      "group-bytes",           "commit-partitions",
      "group-offsets",         "group-reply-bytes",
  };
  return keys[static_cast<std::size_t>(limit)];
}

/// Whether a connection has to wait at it; at the others something is refused or closed.
[[nodiscard]] constexpr bool limit_pauses(Limit limit) noexcept {
  switch (limit) {
    case Limit::kRequests:
    case Limit::kConnectionRequests:
    case Limit::kBytes:
    case Limit::kConnectionBytes:
    case Limit::kLogBytes:
      return true;
    default:
      return false;
  }
}

/// How often each limit was met.
/// Thread-safety: safe.
class LimitCounts {
 public:
  void add(Limit limit) noexcept {
    counts_[static_cast<std::size_t>(limit)].fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t of(Limit limit) const noexcept {
    return counts_[static_cast<std::size_t>(limit)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, kLimits> counts_{};
};

}  // namespace afdg::kafka
