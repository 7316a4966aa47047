#pragma once

#include <array>
#include <memory>
#include <string>

#include "log/log_impl.h"
#include "log/message_log.h"

namespace afdg::log {

/// The MessageLog of one region on the embedded log: an append is one record of the journal, so all of its
/// streams are there or none. Made by Log::region_log. As MessageLog otherwise; completions come from whoever
/// commits, in order.
class RegionLog final : public MessageLog {
 public:
  RegionLog(Log::Impl& log, std::array<ShardRef, kStreams> shards);
  /// Completions still open are dropped, not called; one that is running is waited for.
  ~RegionLog() override;

  Status open(Epoch epoch) override;
  [[nodiscard]] Offset next(Stream stream) const override;
  [[nodiscard]] Offset committed_end(Stream stream) const override;
  [[nodiscard]] Offset start(Stream stream) const override;
  [[nodiscard]] Offset tombstone_horizon() const override;
  Status append(Epoch epoch, const RegionAppend& turns, AppendDone done) override;
  Result<Offset> read(Stream stream, Offset from, const ReadLimits& limits, const Visit& visit) override;
  [[nodiscard]] Status ready(std::size_t bytes) const override;
  void set_applied(Offset messages_applied, Offset changes_flushed) override;

 private:
  [[nodiscard]] Shard& shard(Stream stream) const { return *shards_[static_cast<std::size_t>(stream)]; }
  Error fenced(Epoch asked, Epoch seen) const;
  Status fault() const;

  Log::Impl& log_;
  std::array<ShardRef, kStreams> shards_;
  std::array<Offset, kStreams> next_{};  ///< ours while we are the writer
  std::uint64_t writer_ = 0;
  Epoch epoch_{-1};
  Offset rebuilt_to_{-1};  ///< where a reader of changes that began at their start goes on
  std::string buffer_;
};

}  // namespace afdg::log
