#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Partitions to get the stored offsets of; null topics: all that the group has. From version 8 on for
/// several groups.
struct OffsetFetchRequest {
  static constexpr MessageId kId{Key::kOffsetFetch, "OffsetFetchRequest"};

  struct Topic {
    std::string_view name;
    std::vector<std::int32_t> partition_indexes;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", versions(0, 7));
      v(&Topic::partition_indexes, "PartitionIndexes", versions(0, 7));
    }
  };

  struct GroupTopic {
    std::string_view name;
    std::vector<std::int32_t> partition_indexes;
    static constexpr void fields(auto& v) {
      v(&GroupTopic::name, "Name", since(8));
      v(&GroupTopic::partition_indexes, "PartitionIndexes", since(8));
    }
  };

  struct Group {
    std::string_view group_id;
    std::optional<std::string_view> member_id;
    std::int32_t member_epoch = -1;
    std::optional<std::vector<GroupTopic>> topics;
    static constexpr void fields(auto& v) {
      v(&Group::group_id, "GroupId", since(8));
      v(&Group::member_id, "MemberId", since(9).nullable(9));
      v(&Group::member_epoch, "MemberEpoch", since(9));
      v(&Group::topics, "Topics", since(8).nullable(8));
    }
  };

  std::string_view group_id;
  std::optional<std::vector<Topic>> topics;
  std::vector<Group> groups;
  bool require_stable = false;
  static constexpr void fields(auto& v) {
    v(&OffsetFetchRequest::group_id, "GroupId", versions(0, 7));
    v(&OffsetFetchRequest::topics, "Topics", versions(0, 7).nullable(2));
    v(&OffsetFetchRequest::groups, "Groups", since(8));
    v(&OffsetFetchRequest::require_stable, "RequireStable", since(7));
  }
};

/// The stored offsets; -1 where there is none.
struct OffsetFetchResponse {
  static constexpr MessageId kId{Key::kOffsetFetch, "OffsetFetchResponse"};

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t committed_offset = 0;
    std::int32_t committed_leader_epoch = -1;
    std::optional<std::string_view> metadata;
    ErrorCode error_code = ErrorCode::kNone;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", versions(0, 7));
      v(&Partition::committed_offset, "CommittedOffset", versions(0, 7));
      v(&Partition::committed_leader_epoch, "CommittedLeaderEpoch", versions(5, 7));
      v(&Partition::metadata, "Metadata", versions(0, 7).nullable(0));
      v(&Partition::error_code, "ErrorCode", versions(0, 7));
    }
  };

  struct Topic {
    std::string_view name;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", versions(0, 7));
      v(&Topic::partitions, "Partitions", versions(0, 7));
    }
  };

  struct GroupPartition {
    std::int32_t partition_index = 0;
    std::int64_t committed_offset = 0;
    std::int32_t committed_leader_epoch = -1;
    std::optional<std::string_view> metadata;
    ErrorCode error_code = ErrorCode::kNone;
    static constexpr void fields(auto& v) {
      v(&GroupPartition::partition_index, "PartitionIndex", since(8));
      v(&GroupPartition::committed_offset, "CommittedOffset", since(8));
      v(&GroupPartition::committed_leader_epoch, "CommittedLeaderEpoch", since(8));
      v(&GroupPartition::metadata, "Metadata", since(8).nullable(8));
      v(&GroupPartition::error_code, "ErrorCode", since(8));
    }
  };

  struct GroupTopic {
    std::string_view name;
    std::vector<GroupPartition> partitions;
    static constexpr void fields(auto& v) {
      v(&GroupTopic::name, "Name", since(8));
      v(&GroupTopic::partitions, "Partitions", since(8));
    }
  };

  struct Group {
    std::string_view group_id;
    std::vector<GroupTopic> topics;
    ErrorCode error_code = ErrorCode::kNone;
    static constexpr void fields(auto& v) {
      v(&Group::group_id, "GroupId", since(8));
      v(&Group::topics, "Topics", since(8));
      v(&Group::error_code, "ErrorCode", since(8));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<Group> groups;
  static constexpr void fields(auto& v) {
    v(&OffsetFetchResponse::throttle_time_ms, "ThrottleTimeMs", since(3));
    v(&OffsetFetchResponse::topics, "Topics", versions(0, 7));
    v(&OffsetFetchResponse::error_code, "ErrorCode", versions(2, 7));
    v(&OffsetFetchResponse::groups, "Groups", since(8));
  }
};

AFDG_KAFKA_MESSAGE(OffsetFetchRequest)
AFDG_KAFKA_MESSAGE(OffsetFetchResponse)

}  // namespace afdg::kafka
