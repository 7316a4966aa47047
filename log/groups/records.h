#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

// The records of `__consumer_offsets`, in Kafka's formats (docs/formats/consumer-offsets.md). ON DISK since
// version 1.
namespace afdg::log::groups {

/// Key versions 0 and 1: where a group stands in one partition of a topic.
struct OffsetKey {
  std::string group;
  std::string topic;
  std::int32_t partition = 0;
  friend bool operator==(const OffsetKey&, const OffsetKey&) = default;
};
/// Key version 2: what a group is.
struct GroupKey {
  std::string group;
  friend bool operator==(const GroupKey&, const GroupKey&) = default;
};
/// Any other version: a record of Kafka's newer kinds of group. To be passed over.
struct OtherKey {
  std::int16_t version = 0;
  friend bool operator==(const OtherKey&, const OtherKey&) = default;
};
using Key = std::variant<OffsetKey, GroupKey, OtherKey>;

struct OffsetValue {
  std::int64_t offset = 0;
  std::int32_t leader_epoch = -1;  ///< -1: not known
  std::string metadata;
  std::int64_t commit_timestamp_ms = 0;
  std::int64_t expire_timestamp_ms = -1;  ///< -1: the broker's retention holds
  friend bool operator==(const OffsetValue&, const OffsetValue&) = default;
};

struct GroupValue {
  struct Member {
    std::string member_id;
    std::optional<std::string> instance_id;
    std::string client_id;
    std::string client_host;
    std::int32_t rebalance_timeout_ms = -1;  ///< -1: the session timeout
    std::int32_t session_timeout_ms = 0;
    std::string subscription;
    std::string assignment;
    friend bool operator==(const Member&, const Member&) = default;
  };
  std::string protocol_type;  ///< empty: none
  std::int32_t generation = 0;
  std::optional<std::string> protocol;
  std::optional<std::string> leader;
  std::int64_t state_timestamp_ms = -1;  ///< when the state was entered; -1: not known
  std::vector<Member> members;
  friend bool operator==(const GroupValue&, const GroupValue&) = default;
};

/// What Kafka 3.9 and 4.x write: key version 1 and 2, group value version 3, offset value version 3, or 1
/// when it has an expiry (which version 3 cannot hold; version 1 holds no leader epoch). Precondition:
/// strings are below 32 KiB (subscription and assignment: 2 GiB).
[[nodiscard]] std::string encode_key(const OffsetKey& key);
[[nodiscard]] std::string encode_key(const GroupKey& key);
[[nodiscard]] std::string encode_value(const OffsetValue& value);
[[nodiscard]] std::string encode_value(const GroupValue& value);

/// Read every version that Kafka ever wrote: offset values 0 to 4, group values 0 to 4.
/// Errors: kCorrupt (too short, too long, impossible lengths), kNewerFormat (a value version that is not
/// known).
[[nodiscard]] Result<Key> decode_key(std::string_view bytes);
[[nodiscard]] Result<OffsetValue> decode_offset_value(std::string_view bytes);
[[nodiscard]] Result<GroupValue> decode_group_value(std::string_view bytes);

}  // namespace afdg::log::groups
