#include "log/journal_point.h"

#include "base/codec.h"

namespace afdg::log {
namespace {

constexpr std::string_view kMagic = "AFDGRCPT";
constexpr std::uint16_t kVersion = 2;  // 1: before it told of compaction
constexpr std::size_t kHead = 12;

constexpr std::size_t partition_bytes(std::uint16_t version) {
  return 8 + 4 + 8 + 8 + 4 + (version >= 2 ? 8 + 8 : 0);
}

}  // namespace

std::string encode_recovery_point(const RecoveryPoint& point) {
  std::string out(kMagic);
  put_be32(out, 0);
  put_be16(out, kVersion);
  put_be16(out, point.clean ? 1 : 0);
  put_be64(out, point.journal_id);
  put_be64(out, point.replay_from.lap);
  put_be64(out, point.replay_from.number);
  put_be64(out, point.replay_from.at);
  put_be64(out, point.synced_number);
  put_be32(out, static_cast<std::uint32_t>(point.partitions.size()));
  for (const auto& p : point.partitions) {
    put_be64(out, p.partition.topic.value());
    put_be32(out, static_cast<std::uint32_t>(p.partition.partition.value()));
    put_be64(out, static_cast<std::uint64_t>(p.start.value()));
    put_be64(out, static_cast<std::uint64_t>(p.end.value()));
    put_be32(out, static_cast<std::uint32_t>(p.epoch.value()));
    put_be64(out, static_cast<std::uint64_t>(p.cleaned.value()));
    put_be64(out, static_cast<std::uint64_t>(p.history_start.value()));
  }
  store_be32(out.data() + 8, crc32c(std::string_view(out).substr(kHead)));
  return out;
}

Result<RecoveryPoint> decode_recovery_point(std::string_view bytes) {
  if (bytes.size() < kHead || bytes.substr(0, 8) != kMagic) {
    return fail(Code::kCorrupt, "it does not begin with a recovery point's mark");
  }
  if (load_be32(bytes.data() + 8) != crc32c(bytes.substr(kHead))) {
    return fail(Code::kCorrupt, "its CRC does not match its bytes");
  }
  ByteReader in(bytes.substr(kHead));
  const std::uint16_t version = in.be16();
  if (version > kVersion) {
    return fail(Code::kNewerFormat, "its format is version " + std::to_string(version) +
                                        ", this program reads up to version " + std::to_string(kVersion) +
                                        ": start the newer program");
  }
  RecoveryPoint point;
  point.clean = (in.be16() & 1) != 0;
  point.journal_id = in.be64();
  point.replay_from.lap = in.be64();
  point.replay_from.number = in.be64();
  point.replay_from.at = in.be64();
  point.synced_number = in.be64();
  const std::uint32_t count = in.be32();
  if (in.failed() || in.left() != std::size_t{count} * partition_bytes(version)) {
    return fail(Code::kCorrupt, "its size does not fit the number of partitions it names");
  }
  point.partitions.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    RecoveryPoint::Partition p;
    p.partition.topic = TopicId(in.be64());
    p.partition.partition = PartitionIndex(static_cast<std::int32_t>(in.be32()));
    p.start = Offset(static_cast<std::int64_t>(in.be64()));
    p.end = Offset(static_cast<std::int64_t>(in.be64()));
    p.epoch = Epoch(static_cast<std::int32_t>(in.be32()));
    if (version >= 2) {
      p.cleaned = Offset(static_cast<std::int64_t>(in.be64()));
      p.history_start = Offset(static_cast<std::int64_t>(in.be64()));
    }
    if (p.start.value() < 0 || p.end < p.start || p.partition.partition.value() < 0) {
      return fail(Code::kCorrupt, "a partition in it ends before it starts");
    }
    if (p.cleaned.value() < 0 || p.cleaned > p.end) {
      return fail(Code::kCorrupt, "a partition in it was compacted past its end");
    }
    point.partitions.push_back(p);
  }
  if (point.replay_from.at < kJournalStart || point.replay_from.at % kJournalBlock != 0 ||
      point.replay_from.number == 0) {
    return fail(Code::kCorrupt, "the journal position in it is impossible");
  }
  return point;
}

}  // namespace afdg::log
