#include "log/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "log/message_log.h"
#include "log/partition_files.h"
#include "store/testing/fault_file_system.h"

namespace afdg::log {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Timestamp ms(std::int64_t v) { return Timestamp(std::chrono::milliseconds(v)); }
constexpr const char* kDirectory = "/data/bank.changes-7";
const std::string kFirstLog = std::string(kDirectory) + "/00000000000000000000.log";

class PartitionTest : public ::testing::Test {
 protected:
  PartitionTest() {
    options_.segment_bytes_max = 2000;
    options_.index_interval_bytes = 200;
    create();
  }
  void create() {
    auto made = Partition::create(fs_, kDirectory, TopicId(77), options_);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    p_ = std::move(*made);
  }
  /// One batch of `records` records of about 100 bytes; its offsets follow end().
  static std::string batch(Offset base, int records = 1, Epoch epoch = Epoch(1)) {
    BatchBuilder builder;
    for (int i = 0; i < records; ++i)
      builder.add(ms(1000 + base.value() + i), "key",
                  std::to_string(base.value() + i) + std::string(90, '.'));
    return std::string(builder.seal(base, epoch));
  }
  void append(int batches, Epoch epoch = Epoch(1)) {
    for (int i = 0; i < batches; ++i) {
      const Status s = p_->append(batch(p_->end(), 1, epoch), ms(1));
      ASSERT_TRUE(s.ok()) << s.to_string();
    }
  }
  void sync() {
    auto ticket = p_->begin_sync();
    ASSERT_TRUE(ticket.ok()) << ticket.status().to_string();
    ASSERT_TRUE(ticket->run().ok());
    p_->end_sync(*ticket);
  }
  void reopen(Offset recovery_point, Offset start = Offset(0)) {
    p_.reset();
    report_ = {};
    auto opened = Partition::open(fs_, kDirectory, options_, {recovery_point, start}, report_);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    p_ = std::move(*opened);
  }
  void expect_fault(const std::string& text) {
    EXPECT_EQ(p_->fault().code(), Code::kCorrupt);
    EXPECT_THAT(p_->fault().to_string(), HasSubstr(text));
    std::string out = "old";
    EXPECT_EQ(p_->read_verified(Offset(0), 100, p_->end(), out).code(), Code::kCorrupt);
    EXPECT_EQ(p_->append(batch(p_->end()), ms(1)).code(), Code::kCorrupt);
    EXPECT_EQ(p_->truncate_to(Offset(0)).code(), Code::kCorrupt);
    EXPECT_EQ(p_->begin_sync().code(), Code::kCorrupt);
    EXPECT_EQ(p_->verify().code(), Code::kCorrupt);
  }
  std::string path(const std::string& name) { return std::string(kDirectory) + "/" + name; }
  std::uint64_t size_of(const std::string& file) {
    auto opened = fs_.open(file, store::OpenMode::kRead);
    return opened.ok() ? *(*opened)->size() : 0;
  }
  void shorten(const std::string& file, std::uint64_t by) {
    auto opened = fs_.open(file, store::OpenMode::kReadWrite);
    ASSERT_TRUE(opened.ok());
    ASSERT_TRUE((*opened)->truncate(*(*opened)->size() - by).ok());
    ASSERT_TRUE((*opened)->sync().ok());
  }

  store::FaultFileSystem fs_;
  PartitionOptions options_;
  std::unique_ptr<Partition> p_;
  RecoveryReport report_;
};

TEST_F(PartitionTest, FilesHaveKafkasNames) {
  append(30);
  sync();
  EXPECT_THAT(
      *fs_.list(kDirectory),
      ElementsAre("00000000000000000000.index", "00000000000000000000.log", "00000000000000000000.timeindex",
                  "00000000000000000012.index", "00000000000000000012.log", "00000000000000000012.timeindex",
                  "00000000000000000024.index", "00000000000000000024.log", "00000000000000000024.timeindex",
                  "leader-epoch-checkpoint", "partition.metadata"));
  EXPECT_EQ(*fs_.read_file(path("leader-epoch-checkpoint")), "0\n1\n1 0\n");
  EXPECT_EQ(*fs_.read_file(path("partition.metadata")), "version: 0\ntopic_id: YWZkZwAAAAAAAAAAAAAATQ");
  EXPECT_EQ(partition_directory_name("bank.changes", PartitionIndex(7)), "bank.changes-7");
}

TEST_F(PartitionTest, MetadataGoesThereAndBack) {
  for (const std::uint64_t id :
       {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}, std::uint64_t{0x123456789abcdef0}}) {
    auto topic = decode_metadata(encode_metadata(TopicId(id)));
    ASSERT_TRUE(topic.ok());
    EXPECT_EQ(topic->value(), id);
  }
  EXPECT_EQ(decode_metadata("version: 1\ntopic_id: x").code(), Code::kNewerFormat);
  EXPECT_EQ(decode_metadata("").code(), Code::kCorrupt);
  EXPECT_EQ(decode_metadata("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA").code(), Code::kCorrupt);
}

TEST_F(PartitionTest, CannotBeCreatedTwice) {
  EXPECT_EQ(Partition::create(fs_, kDirectory, TopicId(78), options_).code(), Code::kAlreadyExists);
}

TEST_F(PartitionTest, OpeningWhatIsNotThere) {
  EXPECT_EQ(Partition::open(fs_, "/data/none-0", options_, {}, report_).code(), Code::kNotFound);
}

TEST_F(PartitionTest, ReopensWithTopicAndContent) {
  append(30);
  sync();
  EXPECT_EQ(p_->synced_end(), Offset(30));
  fs_.crash(store::Survival::kNothing);
  reopen(Offset(30));
  EXPECT_TRUE(p_->fault().ok()) << p_->fault().to_string();
  EXPECT_EQ(p_->topic(), TopicId(77));
  EXPECT_EQ(p_->end(), Offset(30));
  EXPECT_EQ(report_.bytes_cut, 0u);
  EXPECT_EQ(p_->segments().size(), 3u);
  auto verified = p_->verify();
  ASSERT_TRUE(verified.ok());
  EXPECT_EQ(verified->records, 30u);
  EXPECT_EQ(verified->segments, 3u);
}

TEST_F(PartitionTest, RollsByAge) {
  append(1);
  const Timestamp later = ms(1) + options_.segment_age_max + std::chrono::milliseconds(1);
  ASSERT_TRUE(p_->append(batch(p_->end()), later).ok());
  ASSERT_TRUE(p_->append(batch(p_->end()), later).ok());
  ASSERT_EQ(p_->segments().size(), 2u);
  EXPECT_EQ(p_->segments()[0].end, Offset(1));
  EXPECT_EQ(p_->segments()[1].base, Offset(1));
}

TEST_F(PartitionTest, RefusesWhatDoesNotFollow) {
  append(5);
  EXPECT_EQ(p_->append(batch(Offset(4)), ms(1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(p_->append("no batch", ms(1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(p_->append(batch(Offset(5)) + "tail", ms(1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(p_->append(batch(Offset(6)) + batch(Offset(5)), ms(1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(p_->append(batch(Offset(std::int64_t{1} << 40)), ms(1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(p_->end(), Offset(5));
  EXPECT_TRUE(p_->append(batch(Offset(9)), ms(1)).ok()) << "gaps are legal";
  EXPECT_EQ(p_->end(), Offset(10));
}

TEST_F(PartitionTest, TakesBatchesInSeveralPieces) {
  append(2);
  const std::string first = batch(Offset(2)) + batch(Offset(3)), second, third = batch(Offset(4));
  const std::string_view pieces[] = {first, second, third};
  ASSERT_TRUE(p_->append(pieces, ms(1)).ok());
  EXPECT_EQ(p_->end(), Offset(5));
  const std::string cut = batch(Offset(5)).substr(0, 30), rest = batch(Offset(5)).substr(30);
  const std::string_view torn[] = {cut, rest};
  EXPECT_EQ(p_->append(torn, ms(1)).code(), Code::kInvalidArgument) << "a batch does not span pieces";
  const std::string late = batch(Offset(6)), early = batch(Offset(5));
  const std::string_view swapped[] = {late, early};
  EXPECT_EQ(p_->append(swapped, ms(1)).code(), Code::kInvalidArgument);
  EXPECT_EQ(p_->end(), Offset(5));
  ASSERT_TRUE(p_->verify().ok());
  EXPECT_EQ(p_->verify()->records, 5u);
}

TEST_F(PartitionTest, ReadsBetweenStartAndEnd) {
  append(5);
  EXPECT_EQ(p_->read(Offset(6), 100, Offset(9)).code(), Code::kOutOfRange);
  auto at_end = p_->read(Offset(5), 100, Offset(9));
  ASSERT_TRUE(at_end.ok());
  EXPECT_EQ(at_end->size, 0u);
  EXPECT_EQ(at_end->next, Offset(5));
  ASSERT_TRUE(p_->advance_start(Offset(2)).ok());
  EXPECT_EQ(p_->read(Offset(1), 100, Offset(9)).code(), Code::kOutOfRange);
  EXPECT_EQ(p_->advance_start(Offset(6)).code(), Code::kOutOfRange);
}

TEST_F(PartitionTest, AFileRangeOutlivesItsSegment) {
  append(30);
  auto range = p_->read(Offset(0), 1, p_->end());
  ASSERT_TRUE(range.ok());
  ASSERT_TRUE(p_->advance_start(Offset(25)).ok());
  EXPECT_EQ(p_->segments().size(), 1u);
  EXPECT_FALSE(fs_.exists(kFirstLog));
  std::string out(range->size, '\0');
  ASSERT_TRUE(range->file->read_at(range->position, range->size, out.data()).ok());
  EXPECT_EQ(out, batch(Offset(0)));
}

TEST_F(PartitionTest, ATornTailIsCutAndReported) {
  append(5);
  sync();
  append(2);
  p_->begin_sync()->run().ignore("makes the tail survive the crash; the recovery point does not know");
  fs_.crash(store::Survival::kNothing);
  shorten(kFirstLog, 3);
  reopen(Offset(5));
  EXPECT_TRUE(p_->fault().ok());
  EXPECT_EQ(p_->end(), Offset(6));
  EXPECT_EQ(report_.bytes_cut, batch(Offset(6)).size() - 3);
  ASSERT_EQ(report_.warnings.size(), 1u);
  EXPECT_THAT(report_.warnings[0], HasSubstr(kFirstLog));
  EXPECT_THAT(report_.warnings[0], HasSubstr("never synced"));
  EXPECT_EQ(*p_->replay(batch(Offset(5)), ms(1)), false) << "it is there already";
  EXPECT_EQ(*p_->replay(batch(Offset(6)), ms(1)), true);
  EXPECT_EQ(p_->end(), Offset(7));
}

TEST_F(PartitionTest, DamageBelowTheRecoveryPointIsNotATornTail) {
  append(5);
  sync();
  p_.reset();
  shorten(kFirstLog, 3);
  reopen(Offset(5));
  expect_fault(kFirstLog + " at position");
}

TEST_F(PartitionTest, AFileCutBetweenBatchesIsNoticed) {
  append(5);
  sync();
  p_.reset();
  shorten(kFirstLog, batch(Offset(4)).size());
  reopen(Offset(5));
  expect_fault("the file was shortened");
}

TEST_F(PartitionTest, ASealedSegmentCutBetweenBatchesIsNoticed) {
  append(30);
  sync();
  p_.reset();
  shorten(kFirstLog, batch(Offset(10)).size());
  reopen(Offset(30));
  expect_fault("00000000000000000000.log");
}

TEST_F(PartitionTest, AFlippedByteIsNeverServed) {
  append(30);
  sync();
  const std::uint64_t size = size_of(kFirstLog);
  for (std::uint64_t at : {std::uint64_t{3}, std::uint64_t{12 + 9}, std::uint64_t{80}, size / 2, size - 1}) {
    p_.reset();
    ASSERT_TRUE(fs_.flip(kFirstLog, at).ok());
    reopen(Offset(30));
    std::string out;
    Status seen = p_->fault();
    for (Offset from = Offset(0); seen.ok() && from < Offset(30);) {
      auto next = p_->read_verified(from, 1000, Offset(30), out);
      seen = next.status();
      if (next.ok()) from = *next;
    }
    EXPECT_EQ(seen.code(), Code::kCorrupt) << "byte " << at;
    expect_fault(kFirstLog);
    ASSERT_TRUE(fs_.flip(kFirstLog, at).ok());
  }
}

TEST_F(PartitionTest, AMissingSegmentIsNoticed) {
  append(30);
  sync();
  for (const char* name :
       {"00000000000000000000.log", "00000000000000000012.log", "00000000000000000024.log"}) {
    p_.reset();
    ASSERT_TRUE(fs_.rename(path(name), path("aside")).ok());
    reopen(Offset(30));
    expect_fault(kDirectory);
    p_.reset();
    ASSERT_TRUE(fs_.rename(path("aside"), path(name)).ok());
  }
  reopen(Offset(30));
  EXPECT_TRUE(p_->fault().ok()) << p_->fault().to_string();
}

TEST_F(PartitionTest, MissingOrDamagedIndexesAreMadeAnew) {
  append(30);
  sync();
  for (const char* name :
       {"00000000000000000000.index", "00000000000000000000.timeindex", "00000000000000000024.index"}) {
    p_.reset();
    ASSERT_TRUE(fs_.remove(path(name)).ok());
    reopen(Offset(30));
    ASSERT_TRUE(p_->fault().ok()) << p_->fault().to_string();
    EXPECT_EQ(report_.warnings.size(), 1u) << name;
    EXPECT_TRUE(p_->verify()->warnings.empty());
    sync();
    EXPECT_TRUE(fs_.exists(path(name)));
  }
  for (std::uint64_t at = 0; at < size_of(path("00000000000000000000.index")); ++at) {
    p_.reset();
    ASSERT_TRUE(fs_.flip(path("00000000000000000000.index"), at).ok());
    reopen(Offset(30));
    ASSERT_TRUE(p_->fault().ok()) << p_->fault().to_string();
    for (int o = 0; o < 11; ++o) {
      std::string out;
      ASSERT_TRUE(p_->read_verified(Offset(o), 1, Offset(30), out).ok());
      ASSERT_EQ(out, batch(Offset(o))) << "byte " << at;
    }
    p_.reset();
    ASSERT_TRUE(fs_.remove(path("00000000000000000000.index")).ok());
    reopen(Offset(30));
  }
}

TEST_F(PartitionTest, TheLineageIsMadeAnew) {
  append(5, Epoch(1));
  append(10, Epoch(4));
  append(15, Epoch(6));
  sync();
  const auto before = p_->lineage().entries();
  ASSERT_EQ(before.size(), 3u);
  EXPECT_EQ(p_->lineage().end_of(Epoch(5), p_->end())->end, Offset(15));
  p_.reset();
  ASSERT_TRUE(fs_.remove(path("leader-epoch-checkpoint")).ok());
  reopen(Offset(30));
  EXPECT_EQ(p_->lineage().entries(), before);
  EXPECT_THAT(report_.warnings, ElementsAre(HasSubstr("leader-epoch-checkpoint is missing")));
  sync();
  p_.reset();
  ASSERT_TRUE(fs_.flip(path("leader-epoch-checkpoint"), 4).ok());
  reopen(Offset(30));
  EXPECT_EQ(p_->lineage().entries(), before);
  EXPECT_THAT(report_.warnings, ElementsAre(HasSubstr("is damaged")));
  p_.reset();
  ASSERT_TRUE(fs_.replace_file(path("leader-epoch-checkpoint"), "1\n0\n").ok());
  EXPECT_EQ(Partition::open(fs_, kDirectory, options_, {Offset(30), Offset(0)}, report_).code(),
            Code::kNewerFormat);
}

TEST_F(PartitionTest, WithoutItsMetadataItIsFaulty) {
  append(3);
  sync();
  p_.reset();
  ASSERT_TRUE(fs_.remove(path("partition.metadata")).ok());
  reopen(Offset(3));
  expect_fault("partition.metadata is missing");
}

TEST_F(PartitionTest, AFullDiskChangesNothing) {
  append(3);
  fs_.set_capacity(fs_.bytes() + 20);
  EXPECT_EQ(p_->append(batch(Offset(3)), ms(1)).code(), Code::kDiskFull);
  EXPECT_EQ(p_->end(), Offset(3));
  std::string out;
  EXPECT_TRUE(p_->read_verified(Offset(2), 1, Offset(3), out).ok());
  fs_.set_capacity(std::nullopt);
  append(2);
  EXPECT_EQ(p_->end(), Offset(5));
}

TEST_F(PartitionTest, AFailedSyncIsTold) {
  append(3);
  fs_.fail_next(store::Operation::kSync, ".log", store::Fault::kIo);
  auto ticket = p_->begin_sync();
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(ticket->run().code(), Code::kIo);
  EXPECT_EQ(p_->synced_end(), Offset(0));
}

TEST_F(PartitionTest, ATruncationVoidsARunningSync) {
  append(10);
  auto ticket = p_->begin_sync();
  ASSERT_TRUE(p_->truncate_to(Offset(4)).ok());
  append(1);
  ASSERT_TRUE(ticket->run().ok());
  p_->end_sync(*ticket);
  EXPECT_EQ(p_->synced_end(), Offset(0));
  sync();
  EXPECT_EQ(p_->synced_end(), Offset(5));
}

TEST_F(PartitionTest, TruncatingInsideABatchRemovesItWhole) {
  ASSERT_TRUE(p_->append(batch(Offset(0), 5), ms(1)).ok());
  ASSERT_TRUE(p_->append(batch(Offset(5), 5), ms(1)).ok());
  ASSERT_TRUE(p_->truncate_to(Offset(7)).ok());
  EXPECT_EQ(p_->end(), Offset(5));
}

TEST_F(PartitionTest, FindsTimes) {
  append(30);  // record n has time 1000 + n
  const PartitionEnds all{Offset(0), p_->end()};
  auto found = p_->find_time(ms(1017), all);
  ASSERT_TRUE(found.ok());
  ASSERT_TRUE(found->has_value());
  EXPECT_EQ((*found)->offset, Offset(17));
  EXPECT_FALSE(p_->find_time(ms(1030), all)->has_value());
  EXPECT_FALSE(p_->find_time(ms(1017), {Offset(0), Offset(17)})->has_value());
  EXPECT_EQ((*p_->find_time(ms(0), all))->offset, Offset(0));
  EXPECT_EQ((*p_->find_time(ms(0), {Offset(7), p_->end()}))->offset, Offset(7));
  EXPECT_EQ((*p_->find_max_time({Offset(0), p_->end()}))->offset, Offset(29));
  EXPECT_EQ((*p_->find_max_time({Offset(0), p_->end()}))->timestamp, ms(1029));
}

TEST_F(PartitionTest, TheLargestTimeIsOneBehindTheStart) {
  for (const std::int64_t time : {1050, 1010, 1030, 1020}) {
    BatchBuilder builder;
    builder.add(ms(time), "k", "v");
    ASSERT_TRUE(p_->append(builder.seal(p_->end(), Epoch(0)), ms(1)).ok());
  }
  EXPECT_EQ((*p_->find_max_time({Offset(0), p_->end()}))->offset, Offset(0));
  EXPECT_EQ((*p_->find_max_time({Offset(1), p_->end()}))->offset, Offset(2));
  EXPECT_EQ((*p_->find_max_time({Offset(1), p_->end()}))->timestamp, ms(1030));
  EXPECT_FALSE(p_->find_max_time({Offset(4), p_->end()})->has_value());
  EXPECT_EQ((*p_->find_max_time({Offset(1), Offset(2)}))->offset, Offset(1));
  EXPECT_FALSE(p_->find_max_time({Offset(0), Offset(0)})->has_value());
}

TEST_F(PartitionTest, ReplayRefusesDamage) {
  append(3);
  std::string bad = batch(Offset(3));
  bad.back() = static_cast<char>(bad.back() ^ 1);
  EXPECT_EQ(p_->replay(bad, ms(1)).code(), Code::kCorrupt);
  EXPECT_TRUE(p_->fault().ok()) << "the journal's damage is not the partition's";
  EXPECT_EQ(p_->end(), Offset(3));
}

TEST_F(PartitionTest, FewFilesStayOpen) {
  append(100);
  sync();
  for (int o = 99; o >= 0; --o) {
    std::string out;
    ASSERT_TRUE(p_->read_verified(Offset(o), 1, p_->end(), out).ok());
    ASSERT_EQ(out, batch(Offset(o)));
  }
  EXPECT_TRUE(report_.warnings.empty());
}

}  // namespace
}  // namespace afdg::log
