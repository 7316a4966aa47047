#include "log/log_impl.h"

// What KIP-279 asks of the leader epochs of a partition.
namespace afdg::log {

Result<EpochLineage::EpochEnd> Log::Impl::end_of_epoch(TopicPartition id, Epoch epoch) const {
  AFDG_ASSIGN(const ShardRef shard, need(id));
  const std::lock_guard io(shard->io_mutex);
  const std::lock_guard lock(shard->tail_mutex);
  AFDG_TRY(shard->fault);
  EpochLineage lineage;
  if (shard->partition) lineage = shard->partition->lineage();
  for (const TailBatch& batch : shard->tail) {
    AFDG_ASSIGN(const BatchView view, BatchView::parse(batch.bytes, options_.batch_bytes_max));
    lineage.assign(view.leader_epoch(), batch.base);
  }
  if (const auto end = lineage.end_of(epoch, shard->committed_end)) return *end;
  return EpochLineage::EpochEnd{Epoch(-1), Offset(-1)};
}

Result<EpochLineage::EpochEnd> Log::end_of_epoch(TopicPartition partition, Epoch epoch) const {
  return impl_->end_of_epoch(partition, epoch);
}

}  // namespace afdg::log
