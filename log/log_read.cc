#include <algorithm>
#include <utility>

#include "log/log_impl.h"

// Reading what is committed: from memory until it is in its segment, from there afterwards.
namespace afdg::log {

Result<std::optional<Offset>> Log::Impl::read_tail(Shard& shard, Offset from, std::size_t bytes_max,
                                                   std::string& out, Offset& limit) {
  const std::lock_guard lock(shard.tail_mutex);
  AFDG_TRY(shard.fault);
  if (from < shard.start || from > shard.committed_end) {
    return fail(Code::kOutOfRange, shard.name + ": offset " + std::to_string(from.value()) + " is not in [" +
                                       std::to_string(shard.start.value()) + ", " +
                                       std::to_string(shard.committed_end.value()) + "]: read between them");
  }
  if (from == shard.committed_end) return std::optional(from);
  if (from < shard.written_end) {
    limit = std::min(shard.written_end, shard.committed_end);
    return std::optional<Offset>();
  }
  auto it = std::upper_bound(shard.tail.begin(), shard.tail.end(), from,
                             [](Offset o, const TailBatch& batch) { return o < batch.next; });
  for (; it != shard.tail.end(); ++it) {
    if (!out.empty() && out.size() + it->bytes.size() > bytes_max) break;
    out.append(it->bytes);
    from = it->next;
  }
  return std::optional(from);
}

Result<Offset> Log::Impl::read(Shard& shard, Offset from, std::size_t bytes_max, std::string& out) {
  out.clear();
  Offset limit;
  AFDG_ASSIGN(const std::optional<Offset> next, read_tail(shard, from, bytes_max, out, limit));
  if (next) return *next;
  const std::lock_guard io(shard.io_mutex);
  if (!shard.partition) return fail(Code::kCorrupt, shard.name + ": its directory is missing");
  auto read = shard.partition->read_verified(from, bytes_max, limit, out);
  if (read.code() == Code::kCorrupt) record_fault(shard, read.error());
  return read;
}

Result<Portion> Log::Impl::read_portion(Shard& shard, Offset from, std::size_t bytes_max,
                                        std::size_t in_file_min) {
  Portion out;
  Offset limit;
  AFDG_ASSIGN(const std::optional<Offset> next, read_tail(shard, from, bytes_max, out.bytes, limit));
  if (next) {
    out.next = *next;
    return out;
  }
  const std::lock_guard io(shard.io_mutex);
  if (!shard.partition) return fail(Code::kCorrupt, shard.name + ": its directory is missing");
  auto range = shard.partition->read_checked(from, bytes_max, limit);
  if (range.code() == Code::kCorrupt) record_fault(shard, range.error());
  if (!range.ok()) return range.error();
  out.next = range->next;
  if (range->size == 0) return out;
  if (range->size >= in_file_min && range->file->descriptor() >= 0) {
    out.range = std::move(*range);
    return out;
  }
  out.bytes.resize(range->size);
  Status read = range->file->read_at(range->position, range->size, out.bytes.data());
  if (read.code() == Code::kOutOfRange) {
    read = fail(Code::kCorrupt, range->file->path() + " was shortened while in use");
    record_fault(shard, read.error());
  }
  AFDG_TRY(read);
  return out;
}

Result<BatchBytes> Log::read_batches(TopicPartition partition, Offset from, std::size_t bytes_max) {
  AFDG_ASSIGN(const ShardRef shard, impl_->need(partition));
  BatchBytes out;
  AFDG_ASSIGN(out.next, impl_->read(*shard, from, bytes_max, out.bytes));
  return out;
}

Result<Portion> Log::read_portion(TopicPartition partition, Offset from, std::size_t bytes_max,
                                  std::size_t in_file_min) {
  AFDG_ASSIGN(const ShardRef shard, impl_->need(partition));
  return impl_->read_portion(*shard, from, bytes_max, in_file_min);
}

}  // namespace afdg::log
