#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>

#include "log/log.h"

namespace afdg::server {

/// Somebody at the end of a partition.
class TailReader {
 public:
  virtual ~TailReader() = default;
  /// There may be more: called once for each wait(), by the thread that commits. Must be quick and take no
  /// lock that is held over calls of Tails.
  virtual void wake(TopicPartition partition) = 0;
};

/// Readers that wait at the ends of this node's partitions. A waiting one costs a map entry and no thread,
/// timer or wake-up. Thread-safety: safe. Ownership: keeps a reader until it was woken or left. Bounds:
/// kWaitsMax entries.
class Tails {
 public:
  static constexpr std::size_t kWaitsMax = 100'000;

  /// `log` is absent in a process that is only the catalog; it outlives stop().
  explicit Tails(log::Log* log);
  ~Tails() { stop(); }
  Tails(const Tails&) = delete;
  Tails& operator=(const Tails&) = delete;

  enum class Wait : std::uint8_t {
    kWaiting,  ///< wake() follows when the partition changes
    kMoved,    ///< its end is another one already: read again
    kCannot,   ///< it is not here, is faulty, or too many wait: look again later
  };
  /// Waits until the partition's end is not `end_seen`, or it changes otherwise; once for each pair of them.
  Wait wait(TopicPartition partition, Offset end_seen, const std::shared_ptr<TailReader>& reader);
  /// Forgets the reader's wait; a wake() may be under way.
  void leave(TopicPartition partition, const std::shared_ptr<TailReader>& reader);
  /// Wakes everybody; nobody waits afterwards.
  void stop();

 private:
  void told(std::span<const TopicPartition> partitions);
  log::Log* const log_;
  std::mutex mutex_;  ///< above the log's locks
  std::map<TopicPartition, std::set<std::shared_ptr<TailReader>>> waiting_;
  std::size_t waits_ = 0;
  std::unique_ptr<log::Log::Watcher> watcher_;
};

}  // namespace afdg::server
