#pragma once

#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "log/batch.h"
#include "log/codecs.h"
#include "log/log.h"
#include "store/testing/fault_file_system.h"

/// For tests of compaction through the log.
namespace afdg::log::testing {

using Fold = std::map<std::string, std::string>;

inline constexpr TopicPartition kA{TopicId(7), PartitionIndex(0)};

inline std::uint64_t first_seed() {
  const char* seed = std::getenv("AFDG_SEED");
  return seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10);
}

/// What is stored, as a reader sees it.
struct Seen {
  Fold fold;                                                  ///< the last value of each key
  std::map<std::int64_t, std::optional<std::string>> values;  ///< by offset; nothing: a tombstone
  std::map<std::int64_t, std::string> keys;                   ///< by offset
  std::size_t keyless = 0;
  Offset end{0};
  std::set<std::int64_t> producers;
};

inline Result<Seen> read_all(Log& log) {
  Seen seen;
  AFDG_ASSIGN(const PartitionEnds ends, log.ends(kA));
  Offset from = ends.start;
  while (from < ends.end) {
    AFDG_ASSIGN(const BatchBytes read, log.read_batches(kA, from, 3000));
    std::string_view left = read.bytes;
    while (!left.empty()) {
      AFDG_ASSIGN(const BatchView batch, BatchView::parse(left));
      left.remove_prefix(batch.size());
      AFDG_TRY(batch.validate());
      if (batch.producer_id() >= 0) seen.producers.insert(batch.producer_id());
      std::string buffer;
      std::string_view records;
      if (batch.records() > 0) {
        AFDG_ASSIGN(records, unpack_records(batch, buffer));
      }
      RecordReader reader(batch, records);
      RecordView record;
      while (reader.next(record)) {
        if (!record.key) {
          ++seen.keyless;
          continue;
        }
        const std::string key(*record.key);
        seen.keys[record.offset.value()] = key;
        seen.values[record.offset.value()] =
            record.value ? std::optional(std::string(*record.value)) : std::nullopt;
        if (record.value) {
          seen.fold[key] = std::string(*record.value);
        } else {
          seen.fold.erase(key);
        }
      }
      AFDG_TRY(reader.status());
    }
    if (read.next <= from) return fail(Code::kInternal, "a reader does not get on");
    from = read.next;
  }
  seen.end = ends.end;
  return seen;
}

/// A log with one compacted partition on a disk that loses what was not synced, and what should be in it.
struct Cleaned {
  explicit Cleaned(std::uint64_t seed, PlantedBugs planted = {}) : random(seed), fs(seed) {
    options.directory = "/log";
    options.journal_bytes = 256u << 10;
    options.journal_initial_bytes = 256u << 10;
    options.reserve_bytes = 16u << 10;
    options.threads = LogThreads::kNone;
    options.cleaner_map_bytes = 24 * (16 + random.next() % 60);
    options.fatal = [](const Error&) {};
    options.planted = planted;
    topic.segment_bytes = 600 + random.next() % 1500;
    topic.cleanup_compact = true;
    topic.cleanup_delete = false;
    topic.min_cleanable_dirty_ratio = 0.01;
    topic.delete_retention = std::chrono::milliseconds(1000);
  }
  Status open() {
    log.reset();
    AFDG_ASSIGN(log, Log::open(fs, clock, options));
    return log->create_partition(kA, "seven", topic);
  }
  std::string batch() {
    BatchBuilder builder;
    const std::size_t count = 1 + random.next() % 5;
    const bool keyless = random.next() % 40 == 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string key = "key-" + std::to_string(random.next() % keys);
      const std::string value(random.next() % 60, static_cast<char>('a' + random.next() % 26));
      const Timestamp now = clock.now();
      if (keyless) {
        builder.add(now, std::nullopt, value);
      } else if (random.next() % 5 == 0) {
        builder.add(now, key, std::nullopt);
        model.erase(key);
      } else {
        builder.add(now, key, value);
        model[key] = value;
      }
    }
    return std::string(builder.seal(Offset(0), Epoch(1)));
  }
  Status append(int batches) {
    for (int i = 0; i < batches; ++i) {
      AFDG_TRY(log->append(kA, batch(), Epoch(1), nullptr).status());
      clock.advance(std::chrono::milliseconds(random.next() % 50));
      if (random.next() % 2 == 0) log->pump();
    }
    while (log->pump()) {
    }
    return log->checkpoint();
  }

  SeededRandom random;
  store::FaultFileSystem fs;
  ManualClock clock;
  LogOptions options;
  TopicOptions topic;
  std::uint64_t keys = 12;
  Fold model;
  std::unique_ptr<Log> log;
};

}  // namespace afdg::log::testing
