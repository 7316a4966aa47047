#include "log/compaction_marks.h"

#include "base/codec.h"

namespace afdg::log {
namespace {

constexpr std::string_view kMagic = "AFDGMARK";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kHead = 12;  // magic and CRC

}  // namespace

std::string encode_marks(const CompactionMarks& marks) {
  std::string out(kMagic);
  put_be32(out, 0);
  put_be16(out, kVersion);
  put_be64(out, static_cast<std::uint64_t>(marks.history_start.value()));
  put_be64(out, static_cast<std::uint64_t>(marks.tombstone_horizon.value()));
  store_be32(out.data() + kMagic.size(), crc32c(std::string_view(out).substr(kHead)));
  return out;
}

Result<CompactionMarks> decode_marks(std::string_view bytes) {
  if (bytes.size() < kHead || !bytes.starts_with(kMagic))
    return fail(Code::kCorrupt, "it does not begin with the marks' magic");
  if (load_be32(bytes.data() + kMagic.size()) != crc32c(bytes.substr(kHead)))
    return fail(Code::kCorrupt, "its CRC does not match its bytes");
  ByteReader in(bytes.substr(kHead));
  if (const std::uint16_t version = in.be16(); version > kVersion) {
    return fail(Code::kNewerFormat, "its format is version " + std::to_string(version) +
                                        ", this program reads up to version " + std::to_string(kVersion) +
                                        ": start the newer program");
  }
  CompactionMarks marks;
  marks.history_start = Offset(static_cast<std::int64_t>(in.be64()));
  marks.tombstone_horizon = Offset(static_cast<std::int64_t>(in.be64()));
  if (!in.finished() || marks.history_start < Offset(0) || marks.tombstone_horizon < Offset(0) ||
      marks.tombstone_horizon > marks.history_start)
    return fail(Code::kCorrupt, "its offsets do not fit each other");
  return marks;
}

}  // namespace afdg::log
