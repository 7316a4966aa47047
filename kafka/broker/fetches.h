#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "base/ids.h"
#include "kafka/broker/connection.h"
#include "kafka/messages/fetch.h"
#include "log/log.h"

namespace afdg::kafka {

class Broker;

/// Fetches that wait for records, answered when there are enough, or when their time is over.
///
/// A waiting fetch costs one timer and, for each of its partitions, an entry of a set; nothing runs for it
/// until one of them grows. Thread-safety: confined to the broker's loop. Bounds: one entry a call, and calls
/// are bounded by Connection.
class Fetches {
 public:
  explicit Fetches(Broker& broker);
  ~Fetches();
  Fetches(const Fetches&) = delete;
  Fetches& operator=(const Fetches&) = delete;

  /// Answers now, or later.
  void begin(const CallPtr& call, FetchRequest request);
  /// Forgets all of them, unanswered.
  void stop();

 private:
  struct Waiting;
  /// Reads what there is. Answers when it is enough, or `last`. Returns whether it answered.
  bool answer(Waiting& waiting, bool last);
  /// Arms the log's watch on each partition. False when one has grown since it was read.
  bool arm(Waiting& waiting);
  void wait(const std::shared_ptr<Waiting>& waiting);
  void wake(std::span<const TopicPartition> partitions);
  void forget(Waiting& waiting);

  Broker& broker_;
  std::unique_ptr<log::Log::Watcher> watcher_;
  std::unordered_map<Waiting*, std::shared_ptr<Waiting>> all_;
  std::unordered_map<TopicPartition, std::unordered_set<Waiting*>> by_partition_;
};

}  // namespace afdg::kafka
