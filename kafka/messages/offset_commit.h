#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Offsets that a group has read up to. Without a member: generation -1 and an empty member_id.
struct OffsetCommitRequest {
  static constexpr MessageId kId{Key::kOffsetCommit, "OffsetCommitRequest"};

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t committed_offset = 0;
    std::int32_t committed_leader_epoch = -1;
    std::int64_t commit_timestamp = -1;
    std::optional<std::string_view> committed_metadata;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::committed_offset, "CommittedOffset", since(0));
      v(&Partition::committed_leader_epoch, "CommittedLeaderEpoch", since(6));
      v(&Partition::commit_timestamp, "CommitTimestamp", versions(1, 1));
      v(&Partition::committed_metadata, "CommittedMetadata", since(0).nullable(0));
    }
  };

  struct Topic {
    std::string_view name;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  std::string_view group_id;
  std::int32_t generation_id_or_member_epoch = -1;
  std::string_view member_id;
  std::optional<std::string_view> group_instance_id;
  std::int64_t retention_time_ms = -1;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&OffsetCommitRequest::group_id, "GroupId", since(0));
    v(&OffsetCommitRequest::generation_id_or_member_epoch, "GenerationIdOrMemberEpoch", since(1));
    v(&OffsetCommitRequest::member_id, "MemberId", since(1));
    v(&OffsetCommitRequest::group_instance_id, "GroupInstanceId", since(7).nullable(7));
    v(&OffsetCommitRequest::retention_time_ms, "RetentionTimeMs", versions(2, 4));
    v(&OffsetCommitRequest::topics, "Topics", since(0));
  }
};

/// For each partition, whether the offset is stored.
struct OffsetCommitResponse {
  static constexpr MessageId kId{Key::kOffsetCommit, "OffsetCommitResponse"};

  struct Partition {
    std::int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::kNone;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::error_code, "ErrorCode", since(0));
    }
  };

  struct Topic {
    std::string_view name;
    std::vector<Partition> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::name, "Name", since(0));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;
  static constexpr void fields(auto& v) {
    v(&OffsetCommitResponse::throttle_time_ms, "ThrottleTimeMs", since(3));
    v(&OffsetCommitResponse::topics, "Topics", since(0));
  }
};

AFDG_KAFKA_MESSAGE(OffsetCommitRequest)
AFDG_KAFKA_MESSAGE(OffsetCommitResponse)

}  // namespace afdg::kafka
