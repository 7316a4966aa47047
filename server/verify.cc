#include "server/verify.h"

#include <cstdio>
#include <map>
#include <set>
#include <unordered_map>

#include "base/codec.h"
#include "catalog/catalog.h"
#include "log/batch.h"
#include "log/log.h"
#include "log/verify.h"
#include "region/table.h"
#include "server/catalog_check.h"
#include "server/identity.h"
#include "server/overlay.h"
#include "server/region_host.h"
#include "server/runtime.h"

namespace afdg::server {
namespace {

constexpr std::size_t kReadBytes = 4u << 20;
constexpr std::size_t kDifferencesTold = 10;

class Verify {
 public:
  Verify(DataDirectory& directory, std::string program)
      : directory_(directory), program_(std::move(program)) {}

  int run() {
    if (const Status done = check(); !done.ok()) {
      damage(done.error().text());
      if (exit_code(done.code()) == 5) return 5;
    }
    if (damages_ == 0) {
      std::printf("verify ok: %llu batches, %llu records; RocksDB = fold of changes for %llu regions\n",
                  static_cast<unsigned long long>(batches_), static_cast<unsigned long long>(records_),
                  static_cast<unsigned long long>(regions_));
      return 0;
    }
    std::printf("verify FAILED: %s: %llu finding(s)\n", directory_.path().c_str(),
                static_cast<unsigned long long>(damages_));
    return 4;
  }

 private:
  void damage(const std::string& sentence) {
    ++damages_;
    std::fflush(stdout);
    std::fprintf(stderr, "%s verify: %s\n", program_.c_str(), sentence.c_str());
  }

  Status check() {
    store::FileSystem& fs = store::posix_file_system();
    std::printf("node      %d, directory %016llx, %s\n", directory_.node().value(),
                static_cast<unsigned long long>(directory_.incarnation().value()),
                directory_.clean() ? "stopped in order" : "not stopped in order");
    if (fs.exists(directory_.catalog_path())) {
      check_catalog();
    } else {
      std::printf("catalog   none: sound only if this node has not the role catalog\n");
    }
    AFDG_TRY(directory_.check_log());
    if (!fs.exists(directory_.log_path())) return {};
    AFDG_ASSIGN(const log::VerifyReport report, log::verify_log(fs, directory_.log_path()));
    for (const log::Finding& finding : report.findings) {
      const std::string text =
          finding.file + " at " + std::to_string(finding.position) + ": " + finding.sentence;
      if (finding.kind == log::FindingKind::kDerived || finding.kind == log::FindingKind::kUnsynced) {
        std::printf("note      %s: %s\n", std::string(log::finding_kind_name(finding.kind)).c_str(),
                    text.c_str());
      } else {
        damage(std::string(log::finding_kind_name(finding.kind)) + ": " + text);
      }
    }
    batches_ = report.batches + report.journal_batches;
    records_ = report.records;
    std::printf("files     %llu batches, %llu records in %llu partitions, %llu in the journal\n",
                static_cast<unsigned long long>(report.batches),
                static_cast<unsigned long long>(report.records),
                static_cast<unsigned long long>(report.partitions),
                static_cast<unsigned long long>(report.journal_batches));
    return check_store(fs);
  }

  void check_catalog() {
    store::RocksOptions options;
    options.write_ahead_log = true;
    options.read_only = true;
    auto opened = store::open_rocks_store(directory_.catalog_path(), options);
    if (!opened.ok()) return damage("the catalog: " + opened.error().text());
    SystemRandom random;
    auto catalog = catalog::Catalog::open(catalog::make_catalog_store(std::move(opened).value()), random);
    if (!catalog.ok()) return damage("the catalog: " + catalog.error().text());
    std::printf("catalog   %zu grids, %zu topics, %zu nodes\n", (*catalog)->grids().size(),
                (*catalog)->topics().size(), (*catalog)->nodes(Timestamp()).size());
    catalog_ = std::move(*catalog);
    if (const Status fits = catalog_fits(*catalog_, directory_.node(), nullptr, directory_.catalog_path());
        !fits.ok())
      damage(fits.error().text());
  }

  /// The state that the store holds, against the fold of the changes up to where it says it is.
  Status check_store(store::FileSystem& fs) {
    if (!fs.exists(directory_.store_path())) {
      std::printf("store     none: the next start builds it from the log\n");
      return {};
    }
    store::RocksOptions rocks;
    rocks.read_only = true;
    auto store = store::open_rocks_store(directory_.store_path(), rocks);
    if (!store.ok()) {
      damage("the store cannot be opened and the next start builds it anew: " + store.error().text());
      return {};
    }
    const auto overlay = make_overlay(fs);  // recovery is tried, not done
    SystemClock clock;
    log::LogOptions options;
    options.directory = directory_.log_path();
    options.threads = log::LogThreads::kNone;
    AFDG_ASSIGN(const auto opened, log::Log::open(*overlay, clock, options));
    if (catalog_ && damages_ == 0) {
      const Status fits = catalog_fits(*catalog_, directory_.node(), opened.get(), directory_.catalog_path());
      if (!fits.ok()) damage(fits.error().text());
    }
    std::map<std::string, std::uint64_t> compared;  // by topic
    std::set<std::string> known;
    for (const TopicPartition& partition : opened->partitions()) {
      AFDG_ASSIGN(const log::PartitionDescription description, opened->describe(partition));
      if (!description.topic_name.ends_with(".changes")) continue;
      const std::string prefix = region_store_prefix(partition.topic, RegionId(partition.partition.value()));
      known.insert(prefix);
      const std::string name =
          description.topic_name + "[" + std::to_string(partition.partition.value()) + "]";
      const region::StateTable table(**store, prefix);
      const auto mark = table.store_mark();
      if (!mark.ok()) {
        damage("the store's mark of " + name + ": " + mark.error().text());
        continue;
      }
      compared.try_emplace(description.topic_name, 0);
      const Status same = compare(*opened, **store, partition, name, prefix, description,
                                  mark->value_or(region::StoreMark{description.start, {}}), mark->has_value(),
                                  compared[description.topic_name]);
      ++regions_;
      if (!same.ok()) damage(name + ": " + same.error().text());
    }
    for (const auto& [topic, keys] : compared) {
      if (differing_.contains(topic)) continue;
      std::printf("store     RocksDB = fold of %s (%llu keys)\n", topic.c_str(),
                  static_cast<unsigned long long>(keys));
    }
    return {};
  }

  Status compare(log::Log& log, const store::KeyValueStore& store, TopicPartition partition,
                 const std::string& name, const std::string& prefix,
                 const log::PartitionDescription& description, region::StoreMark mark, bool marked,
                 std::uint64_t& keys) {
    if (!description.fault.ok()) return description.fault.error();
    if (mark.changes > description.end) {
      return fail(Code::kCorrupt,
                  "the store is at offset " + std::to_string(mark.changes.value()) +
                      ", and the log ends at " + std::to_string(description.end.value()) +
                      ": records that were committed are missing; restore the log from a copy");
    }
    if (marked && mark.changes < description.compaction.history_start) {
      std::printf(
          "store     %s: at offset %lld, older than the history that compaction left from %lld on: not "
          "compared, the next start brings it up to date\n",
          name.c_str(), static_cast<long long>(mark.changes.value()),
          static_cast<long long>(description.compaction.history_start.value()));
      return {};
    }
    std::unordered_map<std::string, std::uint64_t> fold;
    for (Offset at = description.start; at < mark.changes;) {
      AFDG_ASSIGN(const log::BatchBytes batches, log.read_batches(partition, at, kReadBytes));
      if (batches.next <= at)
        return fail(Code::kCorrupt, "reading does not go on at offset " + std::to_string(at.value()));
      std::string_view bytes = batches.bytes;
      log::RecordView record;
      while (!bytes.empty()) {
        AFDG_ASSIGN(const log::BatchView batch, log::BatchView::parse(bytes));
        log::RecordReader reader(batch);
        while (reader.next(record)) {
          if (record.offset < at || record.offset >= mark.changes || !record.key) continue;
          if (record.value) {
            fold.insert_or_assign(std::string(*record.key), hash64(*record.value));
          } else {
            fold.erase(std::string(*record.key));
          }
        }
        AFDG_TRY(reader.status());
        bytes.remove_prefix(batch.size());
      }
      at = batches.next;
    }
    std::size_t differences = 0;
    const auto differs = [&](const std::string& what) {
      if (++differences <= kDifferencesTold)
        damage(name + ": " + what + ": remove the directory 'store'; the next start builds it from the log");
    };
    std::string to = prefix;
    for (std::size_t i = to.size(); i-- > 0;) {
      if (static_cast<unsigned char>(to[i]) != 0xff) {
        to[i] = static_cast<char>(to[i] + 1);
        to.resize(i + 1);
        break;
      }
    }
    AFDG_TRY(store.scan(prefix, to, [&](std::string_view key, std::string_view value) {
      if (key == prefix) return true;
      const auto found = fold.find(std::string(key.substr(prefix.size())));
      if (found == fold.end()) {
        differs(marked ? "the store has a key that the log does not give" : "the store has keys and no mark");
        return true;
      }
      if (found->second != hash64(value)) differs("the store has another value than the log gives");
      ++keys;
      fold.erase(found);
      return true;
    }));
    for (std::size_t i = 0; i < fold.size(); ++i) differs("the store lacks a key that the log gives");
    if (differences > 0) differing_.insert(description.topic_name);
    return {};
  }

  DataDirectory& directory_;
  const std::string program_;
  std::unique_ptr<catalog::Catalog> catalog_;
  std::uint64_t damages_ = 0, batches_ = 0, records_ = 0, regions_ = 0;
  std::set<std::string> differing_;
};

}  // namespace

int verify_node(const std::string& data, const std::string& program) {
  auto directory = DataDirectory::inspect(store::posix_file_system(), data);
  if (!directory.ok()) {
    std::fprintf(stderr, "%s verify: %s\n", program.c_str(), directory.error().text().c_str());
    return exit_code(directory.code());
  }
  return Verify(**directory, program).run();
}

}  // namespace afdg::server
