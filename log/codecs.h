#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "log/batch.h"

namespace afdg::log {

/// Largest size of a batch's records once decompressed, bytes: four times the largest batch.
inline constexpr std::size_t kUnpackedBytesMax = 64u << 20;
/// Data that decompresses to more than kUnpackedBytesFree may grow at most so many times: a small request
/// does not make the server fill a large buffer.
inline constexpr std::size_t kUnpackedRatioMax = 4096;
inline constexpr std::size_t kUnpackedBytesFree = 1u << 20;

/// "gzip", as Kafka spells it in compression.type; "unknown" for a number that is none of the five.
[[nodiscard]] std::string_view codec_name(Codec codec) noexcept;

/// Puts what `payload` holds into `out`, which is replaced; its capacity is kept, so reuse it. The forms are
/// those of Kafka's clients: gzip members (RFC 1952), snappy raw or in the xerial framing of snappy-java, one
/// LZ4 frame of independent blocks, zstd frames (RFC 8878). Thread-safety: safe.
/// Errors: kCorrupt (not whole data of that codec, or bytes follow it), kMessageTooLarge (more than
/// `bytes_max`, or than the ratio allows), kUnsupportedCompression (no such codec); `out` is then
/// unspecified. Bounds: `out` never holds more than the limit and one doubling below it; the decoders' own
/// memory is below 1 MiB a thread.
Status decompress(Codec codec, std::string_view payload, std::size_t bytes_max, std::string& out);

/// Compresses with the codec's default level into `out`, which is replaced, in the form that the Java client
/// writes. Thread-safety: safe. Errors: kInvalidArgument (above 1 GiB), kUnsupportedCompression.
Status compress(Codec codec, std::string_view bytes, std::string& out);

/// The bytes of a batch's records, ready for RecordReader: those of the batch when it is not compressed, else
/// those put into `buffer`. The view lives as long as the batch and the buffer, unchanged.
///
///     std::string buffer;  // kept over many batches
///     AFDG_ASSIGN(const std::string_view records, unpack_records(batch, buffer));
///     RecordReader reader(batch, records);
///
/// Errors: as decompress(), naming the batch.
Result<std::string_view> unpack_records(const BatchView& batch, std::string& buffer,
                                        std::size_t bytes_max = kUnpackedBytesMax);

}  // namespace afdg::log
