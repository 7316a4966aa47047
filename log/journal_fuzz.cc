// Journal, its records, the recovery point and the list of partitions: no bytes may crash a reader, and what
// is accepted must be in bounds.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/assert.h"
#include "base/codec.h"
#include "log/batch.h"
#include "log/journal.h"
#include "log/journal_point.h"
#include "log/journal_record.h"
#include "log/log_list.h"

namespace {

using namespace afdg;
using namespace afdg::log;

class BytesFile final : public store::File {
 public:
  explicit BytesFile(std::string bytes) : bytes_(std::move(bytes)) {}
  Status read_at(std::uint64_t at, std::size_t size, char* out) const override {
    if (at > bytes_.size() || size > bytes_.size() - at) return fail(Code::kOutOfRange);
    std::memcpy(out, bytes_.data() + at, size);
    return {};
  }
  Status write_at(std::uint64_t, std::string_view) override { return fail(Code::kUnwritable); }
  Status write_at(std::uint64_t, std::span<const std::string_view>) override {
    return fail(Code::kUnwritable);
  }
  Status sync() override { return {}; }
  void start_write_back(std::uint64_t, std::uint64_t) override {}
  Status truncate(std::uint64_t) override { return fail(Code::kUnwritable); }
  [[nodiscard]] Result<std::uint64_t> size() const override { return bytes_.size(); }
  [[nodiscard]] const std::string& path() const noexcept override { return path_; }

 private:
  std::string bytes_;
  std::string path_ = "fuzz";
};

void read_records(std::string_view payload) {
  JournalRecordReader in(payload);
  JournalRecord record;
  while (in.next(record)) {
    for (const AppendEntry& entry : record.entries) {
      AFDG_ASSERT(entry.next > entry.base, "an accepted entry without offsets");
      if (auto batch = BatchView::parse(entry.batch); batch.ok()) {
        batch->validate().ignore("fuzz");
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      read_records(input);
      break;
    case 1: {
      // The bytes as a journal; every block's CRC is made right, so that the fuzzer gets behind it.
      std::string bytes(kJournalBlock, '\0');
      bytes.append(input);
      for (std::size_t at = kJournalStart; at + kFrameHeaderBytes <= bytes.size(); at += kJournalBlock) {
        const FrameHeader header = read_frame_header(std::string_view(bytes).substr(at));
        const std::size_t room = bytes.size() - at - kFrameHeaderBytes;
        const std::size_t length = header.length < room ? header.length : room;
        store_be32(bytes.data() + at + 4, crc32c({bytes.data() + at + 8, kFrameHeaderBytes - 8 + length}));
      }
      const std::uint64_t id =
          bytes.size() >= kJournalStart + 16 ? load_be64(bytes.data() + kJournalStart + 8) : 1;
      const BytesFile file(std::move(bytes));
      const auto end = read_journal(file, id, {}, 0, [](const FrameView& frame) -> Status {
        read_records(frame.payload);
        return {};
      });
      if (end.ok()) AFDG_ASSERT(end->head.number == end->frames + 1, "frames are numbered without gaps");
      break;
    }
    case 2:
      if (auto point = decode_recovery_point(input); point.ok()) {
        AFDG_ASSERT(decode_recovery_point(encode_recovery_point(*point)).ok(),
                    "an accepted point does not come back");
      }
      break;
    case 3:
      if (auto list = decode_partition_list(input); list.ok()) {
        AFDG_ASSERT(decode_partition_list(encode_partition_list(*list)).ok(),
                    "an accepted list does not come back");
      }
      break;
  }
  return 0;
}
