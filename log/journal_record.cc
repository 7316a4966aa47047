#include "log/journal_record.h"

#include "base/assert.h"
#include "base/codec.h"

namespace afdg::log {
namespace {

constexpr std::uint8_t kInline = 0;
constexpr std::uint8_t kReference = 1;

std::size_t begin_record(std::string& out, JournalKind kind) {
  const std::size_t at = out.size();
  put_be32(out, 0);
  out.push_back(static_cast<char>(kind));
  return at;
}

void end_record(std::string& out, std::size_t at, std::size_t behind = 0) {
  store_be32(out.data() + at, static_cast<std::uint32_t>(out.size() - at - 4 + behind));
}

void put_partition(std::string& out, TopicPartition partition) {
  put_be64(out, partition.topic.value());
  put_be32(out, static_cast<std::uint32_t>(partition.partition.value()));
}

void put_offset(std::string& out, Offset offset) {
  put_be64(out, static_cast<std::uint64_t>(offset.value()));
}

TopicPartition read_partition(ByteReader& in) {
  const TopicId topic(in.be64());
  return {topic, PartitionIndex(static_cast<std::int32_t>(in.be32()))};
}

Offset read_offset(ByteReader& in) { return Offset(static_cast<std::int64_t>(in.be64())); }

bool possible(const TopicPartition& partition) { return partition.partition.value() >= 0; }

bool read_entries(ByteReader& in, JournalRecord& record) {
  const std::uint8_t count = in.u8();
  for (std::uint8_t i = 0; i < count; ++i) {
    AppendEntry entry;
    entry.partition = read_partition(in);
    entry.base = read_offset(in);
    entry.next = read_offset(in);
    const std::uint8_t mode = in.u8();
    const std::uint32_t size = in.be32();
    if (mode > kReference) return false;
    entry.reference = mode == kReference;
    if (entry.reference) {
      entry.reference_bytes = size;
    } else {
      entry.batch = in.bytes(size);
    }
    if (in.failed() || !possible(entry.partition) || entry.base.value() < 0 || entry.next <= entry.base)
      return false;
    record.entries.push_back(entry);
  }
  return count > 0;
}

}  // namespace

AppendEncoder::AppendEncoder(std::string& out) : out_(out), at_(begin_record(out, JournalKind::kAppend)) {
  out_.push_back('\0');
}

void AppendEncoder::head(TopicPartition partition, Offset base, Offset next, std::uint32_t bytes,
                         bool reference) {
  AFDG_ASSERT(count_ < kAppendEntriesMax, "too many partitions in one append");
  ++count_;
  put_partition(out_, partition);
  put_offset(out_, base);
  put_offset(out_, next);
  out_.push_back(static_cast<char>(reference ? kReference : kInline));
  put_be32(out_, bytes);
}

std::size_t AppendEncoder::add(TopicPartition partition, Offset base, Offset next, std::string_view batch) {
  head(partition, base, next, static_cast<std::uint32_t>(batch.size()), false);
  out_.append(batch);
  return out_.size() - batch.size();
}

std::size_t AppendEncoder::add_behind(TopicPartition partition, Offset base, Offset next,
                                      std::uint32_t bytes) {
  head(partition, base, next, bytes, false);
  behind_ = bytes;
  return out_.size();
}

void AppendEncoder::add_reference(TopicPartition partition, Offset base, Offset next, std::uint32_t bytes) {
  head(partition, base, next, bytes, true);
}

void AppendEncoder::finish() {
  out_[at_ + 5] = static_cast<char>(count_);
  end_record(out_, at_, behind_);
}

void patch_entry(char* batch, Offset base, Offset next) noexcept {
  store_be64(batch - kEntryHeaderBytes + 12, static_cast<std::uint64_t>(base.value()));
  store_be64(batch - kEntryHeaderBytes + 20, static_cast<std::uint64_t>(next.value()));
}

void encode_truncate(std::string& out, TopicPartition partition, Offset to) {
  const std::size_t at = begin_record(out, JournalKind::kTruncate);
  put_partition(out, partition);
  put_offset(out, to);
  end_record(out, at);
}

void encode_start(std::string& out, TopicPartition partition, Offset start) {
  const std::size_t at = begin_record(out, JournalKind::kStart);
  put_partition(out, partition);
  put_offset(out, start);
  end_record(out, at);
}

void encode_delete_topic(std::string& out, TopicId topic) {
  const std::size_t at = begin_record(out, JournalKind::kDeleteTopic);
  put_be64(out, topic.value());
  end_record(out, at);
}

void encode_epoch(std::string& out, TopicPartition partition, Epoch epoch, Offset from) {
  const std::size_t at = begin_record(out, JournalKind::kEpoch);
  put_partition(out, partition);
  put_be32(out, static_cast<std::uint32_t>(epoch.value()));
  put_offset(out, from);
  end_record(out, at);
}

bool JournalRecordReader::next(JournalRecord& record) {
  if (left_.empty() || !status_.ok()) return false;
  if (left_.size() < 5) {
    status_ = fail(Code::kCorrupt, "a journal record is shorter than its head");
    return false;
  }
  const std::uint32_t size = load_be32(left_.data());
  if (size < 1 || size > left_.size() - 4) {
    status_ =
        fail(Code::kCorrupt, "a journal record of " + std::to_string(size) + " bytes passes its frame's end");
    return false;
  }
  ByteReader in(left_.substr(4, size));
  left_.remove_prefix(4 + std::size_t{size});
  const std::uint8_t kind = in.u8();
  record.entries.clear();
  record.kind = static_cast<JournalKind>(kind);
  bool good = true;
  switch (record.kind) {
    case JournalKind::kAppend:
      good = read_entries(in, record);
      break;
    case JournalKind::kTruncate:
    case JournalKind::kStart:
      record.partition = read_partition(in);
      record.offset = read_offset(in);
      good = record.offset.value() >= 0 && possible(record.partition);
      break;
    case JournalKind::kDeleteTopic:
      record.partition = {TopicId(in.be64()), PartitionIndex(0)};
      break;
    case JournalKind::kEpoch:
      record.partition = read_partition(in);
      record.epoch = Epoch(static_cast<std::int32_t>(in.be32()));
      record.offset = read_offset(in);
      good = record.epoch.value() >= 0 && record.offset.value() >= 0 && possible(record.partition);
      break;
    default:
      status_ = fail(Code::kNewerFormat, "a journal record is of kind " + std::to_string(kind) +
                                             ", which this version does not know: start the newer program");
      return false;
  }
  if (!good || !in.finished()) {
    status_ =
        fail(Code::kCorrupt, "a journal record of kind " + std::to_string(kind) + " does not fit its fields");
    return false;
  }
  return true;
}

}  // namespace afdg::log
