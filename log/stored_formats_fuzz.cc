#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "log/epochs.h"
#include "log/index.h"
#include "log/partition_files.h"

// The small files beside a segment: the first byte chooses the format. What is accepted must encode to the
// same bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
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
    default: {
      const auto topic = afdg::log::decode_metadata(bytes);
      if (topic.ok() && afdg::log::decode_metadata(afdg::log::encode_metadata(*topic)).value() != *topic)
        std::abort();
      break;
    }
  }
  return 0;
}
