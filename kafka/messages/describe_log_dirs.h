#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kafka/codec.h"
#include "kafka/error_codes.h"

namespace afdg::kafka {

/// Partitions whose disk use is asked for; null: all.
struct DescribeLogDirsRequest {
  static constexpr MessageId kId{Key::kDescribeLogDirs, "DescribeLogDirsRequest"};

  struct Topic {
    std::string_view topic;
    std::vector<std::int32_t> partitions;
    static constexpr void fields(auto& v) {
      v(&Topic::topic, "Topic", since(0));
      v(&Topic::partitions, "Partitions", since(0));
    }
  };

  std::optional<std::vector<Topic>> topics;
  static constexpr void fields(auto& v) {
    v(&DescribeLogDirsRequest::topics, "Topics", since(0).nullable(0));
  }
};

/// The data directories, and the bytes of each partition in them.
struct DescribeLogDirsResponse {
  static constexpr MessageId kId{Key::kDescribeLogDirs, "DescribeLogDirsResponse"};

  struct Partition {
    std::int32_t partition_index = 0;
    std::int64_t partition_size = 0;
    std::int64_t offset_lag = 0;
    bool is_future_key = false;
    static constexpr void fields(auto& v) {
      v(&Partition::partition_index, "PartitionIndex", since(0));
      v(&Partition::partition_size, "PartitionSize", since(0));
      v(&Partition::offset_lag, "OffsetLag", since(0));
      v(&Partition::is_future_key, "IsFutureKey", since(0));
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

  struct LogDir {
    ErrorCode error_code = ErrorCode::kNone;
    std::string_view log_dir;
    std::vector<Topic> topics;
    std::int64_t total_bytes = -1;
    std::int64_t usable_bytes = -1;
    static constexpr void fields(auto& v) {
      v(&LogDir::error_code, "ErrorCode", since(0));
      v(&LogDir::log_dir, "LogDir", since(0));
      v(&LogDir::topics, "Topics", since(0));
      v(&LogDir::total_bytes, "TotalBytes", since(4));
      v(&LogDir::usable_bytes, "UsableBytes", since(4));
    }
  };

  std::int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<LogDir> results;
  static constexpr void fields(auto& v) {
    v(&DescribeLogDirsResponse::throttle_time_ms, "ThrottleTimeMs", since(0));
    v(&DescribeLogDirsResponse::error_code, "ErrorCode", since(3));
    v(&DescribeLogDirsResponse::results, "Results", since(0));
  }
};

AFDG_KAFKA_MESSAGE(DescribeLogDirsRequest)
AFDG_KAFKA_MESSAGE(DescribeLogDirsResponse)

}  // namespace afdg::kafka
