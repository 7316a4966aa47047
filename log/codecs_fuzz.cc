#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "log/codecs.h"

// The first byte chooses the codec, the others are any bytes: the decoder answers with an error or with no
// more than it may. What it gave is compressed and decompressed again, and must be the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::size_t kBytesMax = 4u << 20;
  const auto codec = static_cast<afdg::log::Codec>(data[0] % 6);
  const std::string_view payload(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string out;
  std::string packed;
  std::string again;
  const afdg::Status done = afdg::log::decompress(codec, payload, kBytesMax, out);
  if (!done.ok()) {
    if (done.code() != afdg::Code::kCorrupt && done.code() != afdg::Code::kMessageTooLarge &&
        done.code() != afdg::Code::kUnsupportedCompression)
      std::abort();
    out.assign(payload);
    if (codec > afdg::log::Codec::kZstd) return 0;
  }
  if (out.size() > kBytesMax) std::abort();
  if (!afdg::log::compress(codec, out, packed).ok()) std::abort();
  if (!afdg::log::decompress(codec, packed, kBytesMax, again).ok() || again != out) std::abort();
  return 0;
}
