#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "log/batch.h"

// Any bytes: the decoder answers with an error or with records that lie inside them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto batch = afdg::log::BatchView::parse(bytes, 1u << 20);
  if (!batch.ok()) return 0;
  static_cast<void>(batch->validate().ok());
  // The CRC hides the records from the fuzzer: read them whatever it says.
  afdg::log::RecordReader reader(*batch);
  afdg::log::RecordView record;
  std::size_t read = 0;
  while (reader.next(record)) {
    read += (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
    for (const auto& header : record.headers) read += header.key.size() + header.value.size();
  }
  if (read > size) std::abort();
  return 0;
}
