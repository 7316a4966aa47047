#include <algorithm>
#include <charconv>
#include <utility>

#include "log/log_impl.h"
#include "log/segment.h"
#include "log/synced.h"

namespace afdg::log {
namespace {

constexpr std::string_view kSuffix = ".producers";
/// Well above what the largest state takes.
constexpr std::uint64_t kSnapshotBytesMax = 1u << 30;

std::string snapshot_path(const std::string& directory, Offset at) {
  return directory + "/" + segment_stem(at) + std::string(kSuffix);
}

std::optional<Offset> snapshot_offset(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  if (name.size() != 20 || error != std::errc() || end != name.data() + name.size() || value < 0)
    return std::nullopt;
  return Offset(value);
}

}  // namespace

Status Log::Impl::recover_producers(Shard& shard) {
  if (!shard.fault.ok() || shard.options.held_by_region) return {};
  const Offset end = shard.tail.empty() ? shard.partition->end() : shard.tail.back().next;
  AFDG_ASSIGN(const auto names, fs_.list(shard.partition->directory()));
  for (const std::string& name : names)
    if (const auto at = snapshot_offset(name)) shard.snapshots.push_back(*at);
  AFDG_TRY(drop_snapshots_above(shard, end));
  AFDG_ASSIGN(RebuiltProducers rebuilt, rebuild_producers(shard, end, &recovery_.warnings));
  shard.producers = std::move(rebuilt.producers);
  shard.bytes_since_snapshot = rebuilt.bytes_scanned;
  thin_snapshots(shard, shard.partition->start());
  return {};
}

Status Log::Impl::drop_snapshots_above(Shard& shard, Offset end) {
  bool dropped = false;
  while (!shard.snapshots.empty() && shard.snapshots.back() > end) {
    const Status removed = fs_.remove(snapshot_path(shard.partition->directory(), shard.snapshots.back()));
    if (!removed.ok() && removed.code() != Code::kNotFound) return removed;
    shard.snapshots.pop_back();
    dropped = true;
  }
  return dropped ? synced(fs_.sync_directory(shard.partition->directory())) : Status();
}

Result<Log::Impl::RebuiltProducers> Log::Impl::rebuild_producers(Shard& shard, Offset end,
                                                                 std::vector<std::string>* warnings) {
  Partition& partition = *shard.partition;
  RebuiltProducers out;
  out.producers = std::make_unique<Producers>(options_.producers, producer_budget_);
  Producers& producers = *out.producers;
  const Timestamp now = producer_time();
  Offset from = partition.start();
  for (std::size_t i = shard.snapshots.size(); i-- > 0;) {
    // What is made at an offset needs every batch from there on.
    if (shard.snapshots[i] > end) continue;
    if (shard.snapshots[i] < partition.start()) break;
    const std::string path = snapshot_path(partition.directory(), shard.snapshots[i]);
    const auto bytes = fs_.read_file(path, kSnapshotBytesMax);
    if (bytes.code() == Code::kIo) return bytes.error();
    const Result<Offset> at = bytes.ok() ? producers.decode(*bytes) : Result<Offset>(bytes.error());
    if (at.ok() && *at == shard.snapshots[i]) {
      from = *at;
      break;
    }
    if (at.ok()) out.producers = std::make_unique<Producers>(options_.producers, producer_budget_);
    if (warnings != nullptr) {
      warnings->push_back(path + ": " + (at.ok() ? "it is of another offset" : at.error().text()) +
                          ": what it tells is made anew from the log");
    }
    if (Status removed = fs_.remove(path); removed.code() == Code::kIo) return removed.error();
    shard.snapshots.erase(shard.snapshots.begin() + static_cast<std::ptrdiff_t>(i));
  }
  const auto take = [&](const BatchView& header) {
    if (header.base() >= from && header.next() <= end && header.producer_id() >= 0 && !header.control())
      out.producers->add(header, header.base(), header.next(), now);
  };
  const Offset written = std::min(end, partition.end());
  for (Offset at = from; at < written;) {
    AFDG_ASSIGN(const FileRange range, partition.read(at, std::size_t{1} << 40, written));
    if (range.size == 0) break;
    out.bytes_scanned += range.size;
    BatchScanner scanner(*range.file, {range.position, range.position + range.size},
                         BatchScanner::Depth::kHeaders, options_.batch_bytes_max);
    while (scanner.next()) take(scanner.batch());
    AFDG_TRY(scanner.status());
    at = range.next;
  }
  {
    const std::lock_guard lock(shard.tail_mutex);
    for (const TailBatch& tail : shard.tail) {
      if (tail.base < written) continue;
      take(BatchView::header(tail.bytes));
      out.bytes_scanned += tail.bytes.size();
    }
  }
  out.producers->expire(now);
  if (out.producers->empty()) out.producers.reset();
  return out;
}

Status Log::Impl::snapshot_producers(Shard& shard, bool stopping, Offset start) {
  const std::lock_guard io(shard.io_mutex);
  if (!shard.partition || !shard.partition->fault().ok()) return {};
  const Offset newest = shard.snapshots.empty() ? Offset(-1) : shard.snapshots.back();
  const std::uint64_t little = options_.producer_scan_bytes / 64;
  std::string bytes;
  Offset at;
  bool needed = false;
  {
    const std::lock_guard lock(queue_mutex_);
    if (shard.deleted || shard.truncating || shard.options.held_by_region) return {};
    // Batches below the start go; what they told of producers does not (KIP-360).
    needed =
        shard.producers && !shard.producers->empty() && newest < start && start > shard.partition->start();
    const std::lock_guard tail(shard.tail_mutex);
    at = shard.committed_end;
    const std::uint64_t scan = shard.bytes_since_snapshot;
    if (!shard.fault.ok() || newest >= at || (scan <= little && !needed)) return {};
    if (!needed && !stopping && scan <= options_.producer_scan_bytes) {
      const auto segments = shard.partition->segments();
      if (segments.size() == 1 || newest >= segments.back().base) return {};
    }
    shard.bytes_since_snapshot = 0;
    bytes = shard.producers ? shard.producers->encode(at)
                            : Producers(options_.producers, producer_budget_).encode(at);
  }
  const std::string path = snapshot_path(shard.partition->directory(), at);
  if (Status written = fs_.replace_file(path, bytes); !written.ok())
    return needed || written.code() == Code::kIo ? written : Status();
  shard.snapshots.push_back(at);
  thin_snapshots(shard, start);
  return {};
}

void Log::Impl::thin_snapshots(Shard& shard, Offset start) {
  const auto segments = shard.partition->segments();
  std::vector<Offset> kept;
  for (std::size_t i = 0; i < shard.snapshots.size(); ++i) {
    const Offset at = shard.snapshots[i];
    const bool newest = i + 1 == shard.snapshots.size();
    // One a segment is enough, for a truncation; and what is below the start has no batches above it.
    const bool followed = !newest && std::none_of(segments.begin(), segments.end(), [&](const auto& segment) {
      return segment.base > at && segment.base <= shard.snapshots[i + 1];
    });
    if (newest || (!followed && at >= start)) {
      kept.push_back(at);
    } else {
      fs_.remove(snapshot_path(shard.partition->directory(), at)).ignore("it stays true of what is below it");
    }
  }
  shard.snapshots = std::move(kept);
}

}  // namespace afdg::log
