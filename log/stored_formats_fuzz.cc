#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/codec.h"
#include "log/epochs.h"
#include "log/index.h"
#include "log/partition_files.h"
#include "log/producers.h"

// The small files beside a segment: the first byte chooses the format. What is accepted must encode to the
// same bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      const auto index = afdg::log::OffsetIndex::decode(bytes, 1u << 30);
      if (index.ok() && index->encode() != bytes) std::abort();
      break;
    }
    case 1: {
      const auto index = afdg::log::TimeIndex::decode(bytes, 1 << 30);
      if (index.ok() && index->encode() != bytes) std::abort();
      break;
    }
    case 2: {
      const auto lineage = afdg::log::EpochLineage::decode(bytes);
      if (lineage.ok() && !afdg::log::EpochLineage::decode(lineage->encode()).ok()) std::abort();
      break;
    }
    case 3: {
      const auto topic = afdg::log::decode_metadata(bytes);
      if (topic.ok() && afdg::log::decode_metadata(afdg::log::encode_metadata(*topic)).value() != *topic)
        std::abort();
      break;
    }
    default: {
      // The CRC hides the entries from the fuzzer: it is made right.
      std::string mended(bytes);
      if (mended.size() >= 6)
        afdg::store_be32(mended.data() + 2, afdg::crc32c(std::string_view(mended).substr(6)));
      afdg::log::ProducerBudget budget(1000);
      afdg::log::Producers producers({}, budget);
      const auto at = producers.decode(mended);
      if (at.ok() ? producers.encode(*at) != mended : !producers.empty()) std::abort();
      break;
    }
  }
  return 0;
}
