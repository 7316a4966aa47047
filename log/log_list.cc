#include "log/log_list.h"

#include "base/codec.h"

namespace afdg::log {
namespace {

constexpr std::string_view kMagic = "AFDGPART";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHead = 12;
constexpr std::uint64_t kNone = ~std::uint64_t{0};

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
    out.push_back(p.options.held_by_region ? '\1' : '\0');
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
  if (const std::uint16_t version = in.be16(); version > kVersion) {
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
    p.options.segment_age = std::chrono::milliseconds(static_cast<std::int64_t>(in.be64()));
    if (const std::uint64_t age = in.be64(); age != kNone) {
      p.options.retention_age = std::chrono::milliseconds(static_cast<std::int64_t>(age));
    }
    if (const std::uint64_t size = in.be64(); size != kNone) p.options.retention_bytes = size;
    p.options.held_by_region = (in.u8() & 1) != 0;
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
