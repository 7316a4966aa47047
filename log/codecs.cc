#include "log/codecs.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/assert.h"
#include "base/codec.h"

namespace afdg::log {
namespace {

constexpr std::size_t kCompressBytesMax = 1u << 30;
/// Uncompressed bytes a chunk of the xerial framing; what snappy-java writes.
constexpr std::size_t kXerialChunkBytes = 32u << 10;
constexpr std::string_view kXerialMagic("\x82SNAPPY\0", 8);
constexpr std::size_t kXerialHeaderBytes = 16;  // magic, version, oldest version that reads it
constexpr std::string_view kLz4Magic("\x04\x22\x4d\x18", 4);

Error corrupt(Codec codec, const std::string& why) {
  return fail(Code::kCorrupt, std::string(codec_name(codec)) + " data: " + why);
}

/// What a decoder may write, and what it says when that is not enough.
struct Limit {
  Codec codec;
  std::size_t payload;
  std::size_t bytes_max;  ///< as asked for
  std::size_t bytes;      ///< bytes_max or what the ratio allows

  Limit(Codec c, std::size_t payload_bytes, std::size_t max)
      : codec(c), payload(payload_bytes), bytes_max(max) {
    constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max() / kUnpackedRatioMax;
    bytes = std::min(std::min(bytes_max, kMost),
                     std::max(kUnpackedBytesFree, std::min(payload, kMost) * kUnpackedRatioMax));
  }
  [[nodiscard]] Error exceeded() const {
    std::string why = std::string(codec_name(codec)) + " data of " + std::to_string(payload) +
                      " bytes decompresses to more than " + std::to_string(bytes) + " bytes";
    if (bytes < bytes_max) why += " (" + std::to_string(kUnpackedRatioMax) + " times its size)";
    return fail(Code::kMessageTooLarge, why + ": send smaller batches");
  }
  /// A first size for an output whose size nobody knows.
  [[nodiscard]] std::size_t guess() const {
    return std::min(bytes, std::max<std::size_t>(payload, 1024) * 4);
  }
  /// Makes room in `out`, of which all is used; false above the limit. One byte more than the limit may be
  /// there, so that data of exactly that size comes to its end.
  [[nodiscard]] bool grow(std::string& out) const {
    if (out.size() > bytes) return false;
    out.resize(std::min(bytes + 1, std::max<std::size_t>(out.size(), 1024) * 2));
    return true;
  }
};

// gzip
// -----------------------------------------------------------------------------------------------------------

constexpr int kGzipWindow = 15 + 16;  // zlib's way to say: with gzip's header, no other

/// One decoder a thread: making one costs more than a small batch.
class Inflater {
 public:
  Inflater() { AFDG_ASSERT(inflateInit2(&stream, kGzipWindow) == Z_OK, "no memory for zlib"); }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream stream{};
};

Status gunzip(std::string_view payload, const Limit& limit, std::string& out) {
  static thread_local Inflater inflater;
  z_stream& z = inflater.stream;
  if (payload.empty()) return corrupt(limit.codec, "no bytes");
  if (payload.size() > std::numeric_limits<uInt>::max()) return limit.exceeded();
  inflateReset2(&z, kGzipWindow);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(payload.data()));
  z.avail_in = static_cast<uInt>(payload.size());
  out.resize(limit.guess());
  std::size_t used = 0;
  for (;;) {
    const std::size_t room = std::min<std::size_t>(out.size() - used, std::numeric_limits<uInt>::max());
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = static_cast<uInt>(room);
    const int done = inflate(&z, Z_NO_FLUSH);
    used += room - z.avail_out;
    if (done == Z_STREAM_END) {
      if (z.avail_in == 0) break;
      inflateReset2(&z, kGzipWindow);  // another member follows, or the next call says that it is none
      continue;
    }
    if (done != Z_OK && done != Z_BUF_ERROR)
      return corrupt(limit.codec, z.msg != nullptr ? z.msg : "error " + std::to_string(done));
    if (z.avail_out == 0) {
      if (used < out.size()) continue;
      if (!limit.grow(out)) return limit.exceeded();
    } else if (z.avail_in == 0) {
      return corrupt(limit.codec, "it ends too early");
    }
  }
  if (used > limit.bytes) return limit.exceeded();
  out.resize(used);
  return {};
}

Status gzip(std::string_view bytes, std::string& out) {
  z_stream z{};
  if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return fail(Code::kInternal, "zlib refused its default settings");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&z, deflateEnd);
  out.resize(deflateBound(&z, static_cast<uLong>(bytes.size())));
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  AFDG_ASSERT(deflate(&z, Z_FINISH) == Z_STREAM_END, "deflateBound() was not enough");
  out.resize(z.total_out);
  return {};
}

// snappy
// ---------------------------------------------------------------------------------------------------------

/// Appends one raw snappy block to `out`, of which the first `used` bytes count.
Status unsnap_block(std::string_view block, const Limit& limit, std::string& out, std::size_t& used) {
  std::size_t size = 0;
  if (snappy_uncompressed_length(block.data(), block.size(), &size) != SNAPPY_OK)
    return corrupt(limit.codec, "a block begins with no length");
  if (size > limit.bytes - used) return limit.exceeded();
  // No element of two bytes stands for more than 64: a length beyond that is a lie, and takes no memory.
  if (size / 64 > block.size()) return corrupt(limit.codec, "a block says that it holds more than it can");
  if (out.size() < used + size) out.resize(std::max(used + size, std::min(limit.bytes, used * 2)));
  if (snappy_uncompress(block.data(), block.size(), out.data() + used, &size) != SNAPPY_OK)
    return corrupt(limit.codec, "a block is damaged");
  used += size;
  return {};
}

Status unsnap(std::string_view payload, const Limit& limit, std::string& out) {
  std::size_t used = 0;
  out.clear();
  if (!payload.starts_with(kXerialMagic)) {
    AFDG_TRY(unsnap_block(payload, limit, out, used));
    out.resize(used);
    return {};
  }
  while (!payload.empty()) {
    if (payload.starts_with(kXerialMagic)) {  // streams may follow each other
      if (payload.size() < kXerialHeaderBytes) return corrupt(limit.codec, "the header ends too early");
      if (load_be32(payload.data() + 12) > 1)
        return corrupt(limit.codec, "its framing is of a newer version than 1");
      payload.remove_prefix(kXerialHeaderBytes);
      continue;
    }
    if (payload.size() < 4) return corrupt(limit.codec, "it ends inside the length of a chunk");
    const std::size_t size = load_be32(payload.data());
    payload.remove_prefix(4);
    if (size > payload.size()) return corrupt(limit.codec, "it ends inside a chunk");
    AFDG_TRY(unsnap_block(payload.substr(0, size), limit, out, used));
    payload.remove_prefix(size);
  }
  out.resize(used);
  return {};
}

Status snap(std::string_view bytes, std::string& out) {
  out.assign(kXerialMagic);
  put_be32(out, 1);
  put_be32(out, 1);
  while (!bytes.empty()) {
    const std::string_view chunk = bytes.substr(0, kXerialChunkBytes);
    bytes.remove_prefix(chunk.size());
    const std::size_t at = out.size();
    std::size_t size = snappy_max_compressed_length(chunk.size());
    out.resize(at + 4 + size);
    AFDG_ASSERT(snappy_compress(chunk.data(), chunk.size(), out.data() + at + 4, &size) == SNAPPY_OK,
                "snappy's own bound was not enough");
    store_be32(out.data() + at, static_cast<std::uint32_t>(size));
    out.resize(at + 4 + size);
  }
  return {};
}

// LZ4
// ------------------------------------------------------------------------------------------------------------

struct FreeLz4 {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

Status unlz4(std::string_view payload, const Limit& limit, std::string& out) {
  static thread_local const std::unique_ptr<LZ4F_dctx, FreeLz4> context = [] {
    LZ4F_dctx* made = nullptr;
    AFDG_ASSERT(LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)) == 0, "no memory for LZ4");
    return std::unique_ptr<LZ4F_dctx, FreeLz4>(made);
  }();
  if (payload.size() < 7 || !payload.starts_with(kLz4Magic))
    return corrupt(limit.codec, "it is no LZ4 frame");
  // Kafka's Java consumers refuse both: stored, such a batch would stop every one of them.
  constexpr unsigned kIndependentBlocks = 0x20;
  constexpr unsigned kDictionary = 0x01;
  const auto flags = static_cast<unsigned char>(payload[4]);
  if ((flags & kIndependentBlocks) == 0)
    return corrupt(limit.codec, "its blocks depend on each other, which Kafka's consumers do not read");
  if ((flags & kDictionary) != 0) return corrupt(limit.codec, "it needs a dictionary");
  LZ4F_resetDecompressionContext(context.get());
  out.resize(limit.guess());
  std::size_t used = 0;
  for (;;) {
    std::size_t room = out.size() - used;
    std::size_t taken = payload.size();
    const std::size_t hint =
        LZ4F_decompress(context.get(), out.data() + used, &room, payload.data(), &taken, nullptr);
    if (LZ4F_isError(hint) != 0) return corrupt(limit.codec, LZ4F_getErrorName(hint));
    used += room;
    payload.remove_prefix(taken);
    if (hint == 0) break;
    if (used == out.size()) {
      if (!limit.grow(out)) return limit.exceeded();
    } else if (payload.empty()) {
      return corrupt(limit.codec, "it ends too early");
    }
  }
  if (!payload.empty()) return corrupt(limit.codec, "bytes follow the frame");
  if (used > limit.bytes) return limit.exceeded();
  out.resize(used);
  return {};
}

Status lz4(std::string_view bytes, std::string& out) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  out.resize(LZ4F_compressFrameBound(bytes.size(), &preferences));
  const std::size_t size =
      LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), &preferences);
  AFDG_ASSERT(LZ4F_isError(size) == 0, "LZ4's own bound was not enough");
  out.resize(size);
  return {};
}

// zstd
// -----------------------------------------------------------------------------------------------------------

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

/// All at once into a buffer that is doubled when it was too small: a stream would take a window of memory as
/// large as the frame says (128 MiB).
Status unzstd(std::string_view payload, const Limit& limit, std::string& out) {
  static thread_local const std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  AFDG_ASSERT(context != nullptr, "no memory for zstd");
  if (payload.empty()) return corrupt(limit.codec, "no bytes");
  const unsigned long long size = ZSTD_getFrameContentSize(payload.data(), payload.size());
  if (size == ZSTD_CONTENTSIZE_ERROR) return corrupt(limit.codec, "it is no zstd frame");
  const bool known = size != ZSTD_CONTENTSIZE_UNKNOWN;
  if (known && size > limit.bytes) return limit.exceeded();
  // A size that is said is not believed above the first guess: memory comes with the data.
  out.resize(known ? std::min<std::size_t>(static_cast<std::size_t>(size), limit.guess()) : limit.guess());
  for (;;) {
    const std::size_t done =
        ZSTD_decompressDCtx(context.get(), out.data(), out.size(), payload.data(), payload.size());
    if (ZSTD_isError(done) == 0) {
      out.resize(done);
      return {};
    }
    if (ZSTD_getErrorCode(done) != ZSTD_error_dstSize_tooSmall)
      return corrupt(limit.codec, ZSTD_getErrorName(done));
    if (!limit.grow(out)) return limit.exceeded();
  }
}

Status zstd(std::string_view bytes, std::string& out) {
  out.resize(ZSTD_compressBound(bytes.size()));
  const std::size_t size =
      ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), ZSTD_CLEVEL_DEFAULT);
  if (ZSTD_isError(size) != 0) return fail(Code::kInternal, std::string("zstd: ") + ZSTD_getErrorName(size));
  out.resize(size);
  return {};
}

Error unknown(Codec codec) {
  return fail(Code::kUnsupportedCompression, "compression codec " + std::to_string(static_cast<int>(codec)) +
                                                 " is not known here: use gzip, snappy, lz4, zstd or none");
}

}  // namespace

std::string_view codec_name(Codec codec) noexcept {
  switch (codec) {
    case Codec::kNone:
      return "none";
    case Codec::kGzip:
      return "gzip";
    case Codec::kSnappy:
      return "snappy";
    case Codec::kLz4:
      return "lz4";
    case Codec::kZstd:
      return "zstd";
  }
  return "unknown";
}

Status decompress(Codec codec, std::string_view payload, std::size_t bytes_max, std::string& out) {
  const Limit limit(codec, payload.size(), bytes_max);
  switch (codec) {
    case Codec::kNone:
      if (payload.size() > bytes_max) {
        return fail(Code::kMessageTooLarge, "records of " + std::to_string(payload.size()) +
                                                " bytes, at most " + std::to_string(bytes_max) +
                                                " are allowed: send smaller batches");
      }
      out.assign(payload);
      return {};
    case Codec::kGzip:
      return gunzip(payload, limit, out);
    case Codec::kSnappy:
      return unsnap(payload, limit, out);
    case Codec::kLz4:
      return unlz4(payload, limit, out);
    case Codec::kZstd:
      return unzstd(payload, limit, out);
  }
  return unknown(codec);
}

Status compress(Codec codec, std::string_view bytes, std::string& out) {
  if (bytes.size() > kCompressBytesMax) {
    return fail(Code::kInvalidArgument, "records of " + std::to_string(bytes.size()) +
                                            " bytes cannot be compressed, at most " +
                                            std::to_string(kCompressBytesMax) + " can");
  }
  switch (codec) {
    case Codec::kNone:
      out.assign(bytes);
      return {};
    case Codec::kGzip:
      return gzip(bytes, out);
    case Codec::kSnappy:
      return snap(bytes, out);
    case Codec::kLz4:
      return lz4(bytes, out);
    case Codec::kZstd:
      return zstd(bytes, out);
  }
  return unknown(codec);
}

Result<std::string_view> unpack_records(const BatchView& batch, std::string& buffer, std::size_t bytes_max) {
  if (batch.codec() == Codec::kNone) return batch.payload();
  if (const Status done = decompress(batch.codec(), batch.payload(), bytes_max, buffer); !done.ok()) {
    return fail(done.code(), "record batch at offset " + std::to_string(batch.base().value()) + ": " +
                                 done.error().text());
  }
  return std::string_view(buffer);
}

}  // namespace afdg::log
