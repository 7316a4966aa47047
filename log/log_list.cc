#include "log/log_list.h"

#include <bit>
#include <chrono>

#include "base/codec.h"

namespace afdg::log {
namespace {

constexpr std::string_view kMagic = "AFDGPART";
constexpr std::uint16_t kVersion = 2;  // 1: before topics could be compacted
constexpr std::size_t kHead = 12;
constexpr std::uint64_t kNone = ~std::uint64_t{0};
// Flags.
constexpr unsigned kHeld = 1;
constexpr unsigned kDelete = 2;
constexpr unsigned kCompact = 4;

std::chrono::milliseconds ms_of(std::uint64_t value) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(value));
}

}  // namespace

std::string encode_partition_list(const std::vector<Log::NewPartition>& list) {
  std::string out(kMagic);
  put_be32(out, 0);
  put_be16(out, kVersion);
  put_be32(out, static_cast<std::uint32_t>(list.size()));
  for (const auto& p : list) {
    put_be64(out, p.partition.topic.value());
    put_be32(out, static_cast<std::uint32_t>(p.partition.partition.value()));
    put_sized(out, p.topic_name);
    put_be64(out, p.options.segment_bytes);
    put_be64(out, static_cast<std::uint64_t>(p.options.segment_age.count()));
    put_be64(out,
             p.options.retention_age ? static_cast<std::uint64_t>(p.options.retention_age->count()) : kNone);
    put_be64(out, p.options.retention_bytes.value_or(kNone));
    out.push_back(static_cast<char>((p.options.held_by_region ? kHeld : 0) |
                                    (p.options.cleanup_delete ? kDelete : 0) |
                                    (p.options.cleanup_compact ? kCompact : 0)));
    put_be64(out, std::bit_cast<std::uint64_t>(p.options.min_cleanable_dirty_ratio));
    put_be64(out, static_cast<std::uint64_t>(p.options.min_compaction_lag.count()));
    put_be64(out, p.options.max_compaction_lag
                      ? static_cast<std::uint64_t>(p.options.max_compaction_lag->count())
                      : kNone);
    put_be64(out, static_cast<std::uint64_t>(p.options.delete_retention.count()));
  }
  store_be32(out.data() + 8, crc32c(std::string_view(out).substr(kHead)));
  return out;
}

Result<std::vector<Log::NewPartition>> decode_partition_list(std::string_view bytes) {
  if (bytes.size() < kHead || bytes.substr(0, 8) != kMagic) {
    return fail(Code::kCorrupt, "it does not begin with a partition list's mark");
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
  const std::uint32_t count = in.be32();
  std::vector<Log::NewPartition> list;
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    Log::NewPartition p;
    p.partition.topic = TopicId(in.be64());
    p.partition.partition = PartitionIndex(static_cast<std::int32_t>(in.be32()));
    p.topic_name = in.sized();
    p.options.segment_bytes = in.be64();
    p.options.segment_age = ms_of(in.be64());
    if (const std::uint64_t age = in.be64(); age != kNone) {
      p.options.retention_age = ms_of(age);
    }
    if (const std::uint64_t size = in.be64(); size != kNone) p.options.retention_bytes = size;
    const unsigned flags = in.u8();
    p.options.held_by_region = (flags & kHeld) != 0;
    if (version >= 2) {
      p.options.cleanup_delete = (flags & kDelete) != 0;
      p.options.cleanup_compact = (flags & kCompact) != 0;
      p.options.min_cleanable_dirty_ratio = std::bit_cast<double>(in.be64());
      p.options.min_compaction_lag = ms_of(in.be64());
      if (const std::uint64_t lag = in.be64(); lag != kNone) p.options.max_compaction_lag = ms_of(lag);
      p.options.delete_retention = ms_of(in.be64());
      if (!(p.options.min_cleanable_dirty_ratio >= 0 && p.options.min_cleanable_dirty_ratio <= 1)) break;
    }
    if (in.failed() || p.partition.partition.value() < 0 || !check_topic_name(p.topic_name).ok()) break;
    list.push_back(std::move(p));
  }
  if (!in.finished() || list.size() != count) {
    return fail(Code::kCorrupt, "its entries do not fit their fields");
  }
  return list;
}

Status check_topic_name(std::string_view name) {
  bool good = !name.empty() && name.size() <= 249 && name != "." && name != "..";
  for (const char c : name) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-');
  }
  if (good) return {};
  return fail(Code::kInvalidArgument, "topic name '" + std::string(name.substr(0, 260)) +
                                          "': use 1 to 249 of letters, digits, '.', '_' and '-'");
}

}  // namespace afdg::log
