#include "server/verify.h"

#include <cstdio>
#include <map>
#include <string_view>

#include "log/batch.h"
#include "log/log.h"
#include "log/verify.h"
#include "region/table.h"
#include "server/host.h"
#include "server/identity.h"
#include "store/key_value_store.h"

namespace afdg::server {
namespace {

/// What the store must hold of a region, or why that cannot be said.
struct Fold {
  std::map<std::string, std::string, std::less<>> table;
  Status status;
};

Fold fold(log::Log& log, TopicPartition partition, Offset from, Offset to) {
  Fold result;
  while (from < to) {
    auto read = log.read_batches(partition, from, 4u << 20);
    if (!read.ok()) {
      result.status = read.error();
      return result;
    }
    std::string_view left = read->bytes;
    while (!left.empty()) {
      auto batch = log::BatchView::parse(left);
      if (!batch.ok()) {
        result.status = batch.error();
        return result;
      }
      left.remove_prefix(batch->size());
      log::RecordReader reader(*batch);
      log::RecordView record;
      while (reader.next(record)) {
        if (record.offset >= to || !record.key) continue;
        if (record.value) {
          result.table.insert_or_assign(std::string(*record.key), std::string(*record.value));
        } else if (const auto at = result.table.find(*record.key); at != result.table.end()) {
          result.table.erase(at);
        }
      }
      if (!reader.status().ok()) {
        result.status = reader.status();
        return result;
      }
    }
    if (read->next <= from) {
      result.status = fail(Code::kCorrupt, "reading stops at offset " + std::to_string(from.value()) +
                                               " before " + std::to_string(to.value()));
      return result;
    }
    from = read->next;
  }
  return result;
}

/// Compares one region; prints what differs. True when it agrees.
bool check_region(log::Log& log, store::KeyValueStore& store, TopicPartition partition,
                  const log::PartitionDescription& about) {
  const std::string where =
      "region " + std::to_string(partition.partition.value()) + " (" + about.topic_name + ")";
  const std::string prefix = Host::store_prefix(partition.topic, RegionId(partition.partition.value()));
  const auto mark = region::StateTable(store, prefix).store_mark();
  if (!mark.ok()) {
    std::printf(
        "damaged: %s: the store's mark cannot be read (%s): delete the store; the next start rebuilds it "
        "from the log\n",
        where.c_str(), mark.error().text().c_str());
    return false;
  }
  if (!*mark) return true;  // nothing was checkpointed yet
  const Offset to = (*mark)->changes;
  if (to > about.end) {
    std::printf(
        "damaged: %s: the store is current to offset %lld, the log ends at %lld: the next start rebuilds the "
        "store from the log\n",
        where.c_str(), static_cast<long long>(to.value()), static_cast<long long>(about.end.value()));
    return false;
  }
  if (about.start > Offset(0)) {
    std::printf("note: %s: changes begin at offset %lld, so the store is not compared\n", where.c_str(),
                static_cast<long long>(about.start.value()));
    return true;
  }
  Fold wanted = fold(log, partition, about.start, to);
  if (!wanted.status.ok()) {
    std::printf("damaged: %s: changes cannot be read (%s): restore the log from a copy\n", where.c_str(),
                wanted.status.error().text().c_str());
    return false;
  }
  std::string first;
  std::uint64_t wrong = 0;
  auto next = wanted.table.begin();
  const auto differs = [&](const std::string& what) {
    if (wrong++ == 0) first = what;
  };
  const Status scanned = store.scan(
      prefix, Host::store_prefix(partition.topic, RegionId(partition.partition.value() + 1)),
      [&](std::string_view key, std::string_view value) {
        key.remove_prefix(prefix.size());
        if (key.empty()) return true;  // the mark
        while (next != wanted.table.end() && std::string_view(next->first) < key) {
          differs("a key of kind '" + next->first.substr(0, 1) + "' is missing from the store");
          ++next;
        }
        if (next == wanted.table.end() || next->first != key) {
          differs("the store has a key of kind '" + std::string(key.substr(0, 1)) +
                  "' that the changes do not have");
          return true;
        }
        if (next->second != value)
          differs("the store has another value for a key of kind '" + std::string(key.substr(0, 1)) + "'");
        ++next;
        return true;
      });
  for (; next != wanted.table.end(); ++next)
    differs("a key of kind '" + next->first.substr(0, 1) + "' is missing from the store");
  if (!scanned.ok()) differs("the store cannot be read: " + scanned.error().text());
  if (wrong == 0) return true;
  std::printf(
      "damaged: %s: the store is not the fold of the changes up to offset %lld in %llu places; first: %s: "
      "delete the store; the next start rebuilds it from the log\n",
      where.c_str(), static_cast<long long>(to.value()), static_cast<unsigned long long>(wrong),
      first.c_str());
  return false;
}

}  // namespace

int verify_data(const std::string& directory) {
  const auto refuse = [](const Error& error) {
    std::fprintf(stderr, "afdgd verify: %s\n", error.text().c_str());
    switch (error.code()) {
      case Code::kNotFound:
        return 2;
      case Code::kTaken:
        return 3;
      case Code::kUnwritable:
      case Code::kDiskFull:
        return 5;
      default:
        return 4;
    }
  };
  store::FileSystem& files = store::posix_file_system();
  const auto home = DataDirectory::inspect(files, directory);
  if (!home.ok()) return refuse(home.error());
  const auto report = log::verify_log(files, (*home)->log_path());
  if (!report.ok()) return refuse(report.error());
  for (const log::Finding& finding : report->findings) {
    std::printf("%s: %s at %llu: %s\n", std::string(log::finding_kind_name(finding.kind)).c_str(),
                finding.file.c_str(), static_cast<unsigned long long>(finding.position),
                finding.sentence.c_str());
  }
  if (!report->sound()) {
    std::printf("verify FAILED: %zu findings in %llu batches\n", report->findings.size(),
                static_cast<unsigned long long>(report->batches));
    return 4;
  }
  // The log is sound: opened as a start would, so that what waits in the journal is read, too.
  SystemClock clock;
  log::LogOptions options;
  options.directory = (*home)->log_path();
  options.threads = log::LogThreads::kNone;
  auto log = log::Log::open(files, clock, options);
  if (!log.ok()) return refuse(log.error());
  std::uint64_t regions = 0, wrong = 0;
  if (files.exists((*home)->store_path())) {
    auto store = store::open_rocks_store((*home)->store_path());
    if (!store.ok()) {
      std::printf("damaged: %s: %s: delete it; the next start rebuilds it from the log\n",
                  (*home)->store_path().c_str(), store.error().text().c_str());
      ++wrong;
    } else {
      for (const TopicPartition& partition : (*log)->partitions()) {
        const auto about = (*log)->describe(partition);
        if (!about.ok() || !about->topic_name.ends_with(".changes")) continue;
        ++regions;
        if (!check_region(**log, **store, partition, *about)) ++wrong;
      }
    }
  }
  if (Status closed = (*log)->close(); !closed.ok()) return refuse(closed.error());
  if (wrong != 0) {
    std::printf("verify FAILED: %llu of %llu regions\n", static_cast<unsigned long long>(wrong),
                static_cast<unsigned long long>(regions));
    return 4;
  }
  std::printf("verify ok: %llu batches, %llu records; RocksDB = fold of changes for %llu regions\n",
              static_cast<unsigned long long>(report->batches + report->journal_batches),
              static_cast<unsigned long long>(report->records), static_cast<unsigned long long>(regions));
  return 0;
}

}  // namespace afdg::server
