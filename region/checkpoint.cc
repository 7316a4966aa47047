#include "base/assert.h"
#include "region/internal/completions.h"
#include "region/internal/live.h"
#include "region/region_core.h"

namespace afdg::region {

// Invariant 2: what is handed out was frozen at the end of a batch and is committed, and the offset of that
// end goes with it.
std::optional<Checkpoint> RegionCore::begin_checkpoint(bool force) {
  if (!failed_.ok() || checkpoint_out_) return std::nullopt;
  if (!table_.frozen()) {
    if (!force && table_.dirty_bytes() < options_.dirty_bytes_max) return std::nullopt;
    seal();
    if (!failed_.ok() || table_.dirty_keys() == 0) return std::nullopt;
    table_.freeze();
    frozen_batch_ = appended_;
    frozen_mark_ = {changes_end_, epoch_};
    frozen_applied_ = applied_;
    completions_->want_wake(true);
  }
  if (completions_->committed() < frozen_batch_) return std::nullopt;
  checkpoint_out_ = true;
  return Checkpoint{table_.frozen_layer(), table_.prefix(), frozen_mark_};
}

void RegionCore::finish_checkpoint(const Status& written) {
  AFDG_ASSERT(checkpoint_out_, "no checkpoint was handed out");
  checkpoint_out_ = false;
  table_.thaw(written.ok());
  if (!written.ok()) return;
  checkpointed_ = frozen_mark_.changes;
  // Invariant 12: messages are let go only below what the store says is applied.
  log_->set_applied(frozen_applied_, checkpointed_);
}

}  // namespace afdg::region
