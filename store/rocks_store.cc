#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <new>
#include <thread>

#include "store/file_system.h"
#include "store/key_value_store.h"

namespace afdg::store {
namespace {

/// From this size on, an apply becomes a sorted file that RocksDB takes in as it is: a fraction of the
/// memtable's cost.
constexpr std::uint64_t kIngestBytesMin = 1u << 20;
/// Small files make small compactions, which readers feel less.
constexpr std::uint64_t kTableBytes = 16u << 20;
constexpr std::uint64_t kFilterPartBytes = 32u << 10;
/// A second: what compactions write at least, and in how many seconds they are to be done.
constexpr std::int64_t kCompactionBytesMin = 4 << 20;
constexpr std::int64_t kCompactionBytesMax = 1 << 30;
constexpr std::int64_t kCompactionSeconds = 20;
constexpr std::int64_t kRefillMicros = 20'000;
constexpr rlim_t kOpenFilesMin = 64;
constexpr rlim_t kOpenFilesMax = 1024;
constexpr std::uint64_t kFlushMarginBytes = 256 << 10;  // a table's index and filter, and the manifest
constexpr int kBackgroundJobs = 2;
constexpr auto kFlushWaitMax = std::chrono::seconds(30);
constexpr auto kFlushPoll = std::chrono::milliseconds(1);
constexpr std::size_t kLogFileBytesMax = 1u << 20;

rocksdb::Slice slice(std::string_view bytes) noexcept { return {bytes.data(), bytes.size()}; }

std::string_view view(const rocksdb::Slice& bytes) noexcept { return {bytes.data(), bytes.size()}; }

bool says(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

Error error_of(const rocksdb::Status& status, const std::string& path) {
  const std::string reason = status.ToString();
  const std::string text = "the store in " + path + ": " + reason;
  if (status.IsNoSpace() || says(reason, "No space left") || says(reason, "quota exceeded")) {
    return fail(Code::kDiskFull, text + ": free space on its file system; the write can then be tried again");
  }
  if (status.IsCorruption()) {
    return fail(Code::kCorrupt,
                text +
                    ": rebuild it when it is derived from a log (a region's store), restore it from a copy "
                    "when it is not (a catalog), and check the disk");
  }
  if (status.IsIOError() && says(reason, "ermission denied")) {
    return fail(Code::kUnwritable, text + ": give this user the right to it, or choose another directory");
  }
  if (status.IsIOError() && says(reason, "Read-only file system")) {
    return fail(Code::kUnwritable, text + ": mount it writable, or choose another directory");
  }
  if (status.IsIOError() && says(reason, "lock")) {
    return fail(Code::kTaken,
                text + ": another process has it open: stop that one, or choose another directory");
  }
  if (status.IsIOError()) return fail(Code::kIo, text + ": look at the system log for the disk's state");
  if (status.IsMemoryLimit() || status.IsBusy() || status.IsTimedOut() || status.IsTryAgain()) {
    return fail(Code::kOverloaded, text + ": nothing was done: try again");
  }
  if (status.IsInvalidArgument()) {
    return fail(Code::kInvalidArgument,
                text + ": keys must be sorted and without repeats, and the options fit the files");
  }
  return fail(Code::kInternal, text + ": report it with the server's log");
}

Status status_of(const rocksdb::Status& status, const std::string& path) {
  if (status.ok()) return {};
  return error_of(status, path);
}

/// Exceptions of the library stop here.
template <typename Call>
auto guarded(const std::string& path, Call call) -> decltype(call()) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return fail(Code::kOverloaded,
                "the store in " + path + ": out of memory: lower its cache and write buffers");
  } catch (const std::exception& e) {
    return fail(Code::kInternal,
                "the store in " + path + ": " + e.what() + ": report it with the server's log");
  }
}

rocksdb::BlockBasedTableOptions table_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 8 << 10;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(10));
  table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
  table.partition_filters = true;
  table.optimize_filters_for_memory = true;
  // Indexes and filters live within the cache's bound; their top levels stay.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_top_level_index_and_filter = true;
  table.metadata_block_size = kFilterPartBytes;
  table.metadata_cache_options.partition_pinning = rocksdb::PinningTier::kFlushedAndSimilar;
  return table;
}

/// RocksDB's own recovery from a full disk polls every few seconds in a thread of its own and answers "busy"
/// meanwhile. Here the writer's next call recovers: see resume().
class NoRecoveryByItself final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

/// RocksDB's filters hold the groups of keys beside the keys.
class Groups final : public rocksdb::SliceTransform {
 public:
  using Size = std::size_t (*)(std::string_view key);
  explicit Groups(Size size) : size_(size) {}
  [[nodiscard]] const char* Name() const override { return "afdg.group.1"; }  // ON DISK
  [[nodiscard]] rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), size_(view(key))};
  }
  [[nodiscard]] bool InDomain(const rocksdb::Slice& key) const override { return size_(view(key)) != 0; }

 private:
  Size size_;
};

/// A quarter of what the process may open: sockets and the log's segments need theirs.
int open_files_max() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return static_cast<int>(kOpenFilesMin);
  return static_cast<int>(std::clamp(limit.rlim_cur / 4, kOpenFilesMin, kOpenFilesMax));
}

rocksdb::Options db_options(const RocksOptions& options, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::Options db;
  db.create_if_missing = true;
  db.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options(cache)));
  db.compression = rocksdb::kLZ4Compression;
  if (options.group_size != nullptr) db.prefix_extractor = std::make_shared<Groups>(options.group_size);
  db.level_compaction_dynamic_level_bytes = true;
  db.target_file_size_base = kTableBytes;
  // Compactions take their time, so that whoever reads meanwhile hardly notices: see pace().
  db.rate_limiter.reset(rocksdb::NewGenericRateLimiter(kCompactionBytesMin, kRefillMicros));
  db.write_buffer_size = static_cast<std::size_t>(options.write_buffer_bytes);
  // The memtables' bound: with that many unflushed, writers wait. (The manager's own stall is not used: it
  // would wait for ever on a full disk, where this one reports the error.)
  db.max_write_buffer_number = static_cast<int>(std::clamp<std::uint64_t>(
      options.write_buffers_bytes_max / std::max<std::uint64_t>(options.write_buffer_bytes, 1), 2, 16));
  db.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(
      static_cast<std::size_t>(options.write_buffers_bytes_max));
  db.max_background_jobs = kBackgroundJobs;
  db.max_subcompactions = 1;
  db.max_open_files = open_files_max();
  db.bytes_per_sync = 1 << 20;
  db.wal_bytes_per_sync = options.write_ahead_log ? 0 : 1 << 20;
  db.max_total_wal_size = 16u << 20;
  db.compaction_readahead_size = 2u << 20;
  db.max_manifest_file_size = 4u << 20;
  db.avoid_unnecessary_blocking_io = true;
  db.listeners.push_back(std::make_shared<NoRecoveryByItself>());
  db.max_bgerror_resume_count = 0;
  db.skip_stats_update_on_db_open = true;
  db.info_log_level = rocksdb::WARN_LEVEL;
  db.keep_log_file_num = 2;
  db.max_log_file_size = kLogFileBytesMax;
  db.stats_dump_period_sec = 0;
  db.stats_persist_period_sec = 0;
  return db;
}

class RocksStore final : public KeyValueStore {
 public:
  RocksStore(std::string path, const RocksOptions& options)
      : path_(std::move(path)),
        cache_(rocksdb::NewLRUCache(static_cast<std::size_t>(options.cache_bytes), /*num_shard_bits=*/4)),
        options_(db_options(options, cache_)),
        disk_reserve_bytes_(options.disk_reserve_bytes),
        write_ahead_log_(options.write_ahead_log),
        read_only_(options.read_only),
        group_size_(options.group_size) {
    write_.disableWAL = !write_ahead_log_;
    write_.sync = write_ahead_log_;
  }

  Status open() {
    if (read_only_) {
      if (!posix_file_system().exists(path_ + "/CURRENT"))  // RocksDB would make the directory
        return fail(Code::kCorrupt,
                    "the store in " + path_ + " has no file CURRENT, so its files are not whole");
      rocksdb::DB* db = nullptr;
      const auto status = rocksdb::DB::OpenForReadOnly(options_, path_, &db);
      db_.reset(db);
      return status_of(status, path_);
    }
    // Left by a process that ended between writing the file and handing it over; the log still has its
    // content.
    auto& files = posix_file_system();
    if (files.exists(path_)) {
      AFDG_ASSIGN(const auto names, files.list(path_));
      for (const std::string& name : names)
        if (name.starts_with(kIncoming)) AFDG_TRY(files.remove(path_ + "/" + name));
    }
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(options_, path_, &db);
    db_.reset(db);
    return status_of(status, path_);
  }

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override {
    return guarded(path_, [&]() -> Result<std::optional<std::string>> {
      std::string value;
      const auto status = db_->Get(rocksdb::ReadOptions(), slice(key), &value);
      if (status.IsNotFound()) return std::optional<std::string>();
      if (!status.ok()) return error_of(status, path_);
      return std::optional<std::string>(std::move(value));
    });
  }

  [[nodiscard]] Result<std::vector<std::optional<std::string>>> multi_get(
      std::span<const std::string_view> keys) const override {
    using Values = std::vector<std::optional<std::string>>;
    return guarded(path_, [&]() -> Result<Values> {
      std::vector<rocksdb::Slice> slices;
      slices.reserve(keys.size());
      for (const auto key : keys) slices.push_back(slice(key));
      std::vector<rocksdb::PinnableSlice> found(keys.size());
      std::vector<rocksdb::Status> statuses(keys.size());
      const bool sorted = std::is_sorted(keys.begin(), keys.end());
      db_->MultiGet(rocksdb::ReadOptions(), db_->DefaultColumnFamily(), keys.size(), slices.data(),
                    found.data(), statuses.data(), sorted);
      Values values(keys.size());
      for (std::size_t i = 0; i < keys.size(); ++i) {
        if (statuses[i].IsNotFound()) continue;
        if (!statuses[i].ok()) return error_of(statuses[i], path_);
        values[i].emplace(found[i].data(), found[i].size());
      }
      return values;
    });
  }

  Status scan(std::string_view from, std::string_view to, const Visit& visit) const override {
    return guarded(path_, [&]() -> Status {
      rocksdb::ReadOptions read;
      const rocksdb::Slice end = slice(to);
      if (!to.empty()) read.iterate_upper_bound = &end;
      const bool grouped = in_one_group(from, to);
      read.total_order_seek = !grouped;
      read.prefix_same_as_start = grouped;
      read.fill_cache = grouped;  // a long scan would empty the cache of what is asked for often
      const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(read));
      for (at->Seek(slice(from)); at->Valid(); at->Next()) {
        if (!visit(view(at->key()), view(at->value()))) return {};
      }
      return status_of(at->status(), path_);
    });
  }

  [[nodiscard]] Result<std::optional<std::string>> last_key(std::string_view from,
                                                            std::string_view to) const override {
    return guarded(path_, [&]() -> Result<std::optional<std::string>> {
      if (!to.empty() && from >= to) return std::optional<std::string>();
      rocksdb::ReadOptions read;
      const rocksdb::Slice begin = slice(from);
      read.iterate_lower_bound = &begin;
      const rocksdb::Slice end = slice(to);
      if (!to.empty()) read.iterate_upper_bound = &end;
      read.total_order_seek = true;
      const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(read));
      at->SeekToLast();  // within the bounds
      if (at->Valid()) return std::optional(at->key().ToString());
      if (!at->status().ok()) return error_of(at->status(), path_);
      return std::optional<std::string>();
    });
  }

  Status apply(std::span<const Change> changes) override {
    return guarded(path_, [&]() -> Status {
      if (changes.empty()) return {};
      AFDG_TRY(check_writable());
      std::unique_lock writers(writing_, std::defer_lock);
      std::uint64_t bytes = 0;
      for (const auto& change : changes)
        bytes += change.key.size() + (change.value ? change.value->size() : 0);
      const bool large = bytes >= kIngestBytesMin && !write_ahead_log_;
      if (!large) writers.lock();
      AFDG_TRY(check_room(bytes + disk_reserve_bytes_));
      if (large) return ingest(changes, writers);
      AFDG_TRY(resume());
      rocksdb::WriteBatch batch(static_cast<std::size_t>(bytes) + changes.size() * 12 + 12);
      for (const auto& change : changes) {
        const auto status = change.value ? batch.Put(slice(change.key), slice(*change.value))
                                         : batch.Delete(slice(change.key));
        if (!status.ok()) return error_of(status, path_);
      }
      return write(batch);
    });
  }

  Status remove_range(std::string_view from, std::string_view to) override {
    return guarded(path_, [&]() -> Status {
      AFDG_TRY(check_writable());
      const std::lock_guard writers(writing_);
      AFDG_TRY(check_room(kFlushMarginBytes));
      AFDG_TRY(resume());
      std::string end(to);
      if (to.empty()) {
        rocksdb::ReadOptions read;
        read.total_order_seek = true;
        const std::unique_ptr<rocksdb::Iterator> at(db_->NewIterator(read));
        at->SeekToLast();
        if (!at->Valid()) return status_of(at->status(), path_);
        end.assign(at->key().data(), at->key().size());
        end.push_back('\0');
      }
      if (from >= end) return {};
      rocksdb::WriteBatch batch;
      const auto status = batch.DeleteRange(slice(from), slice(end));
      if (!status.ok()) return error_of(status, path_);
      return write(batch);
    });
  }

  Status flush() override {
    return guarded(path_, [&]() -> Status {
      if (write_ahead_log_) return {};
      const std::lock_guard writers(writing_);
      if (!unflushed_) return {};
      AFDG_TRY(check_room(kFlushMarginBytes));
      AFDG_TRY(resume());
      return flush_memtables();
    });
  }

  [[nodiscard]] std::uint64_t memory_bytes() const override {
    std::uint64_t tables = 0;
    std::uint64_t readers = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kSizeAllMemTables, &tables);
    db_->GetIntProperty(rocksdb::DB::Properties::kEstimateTableReadersMem, &readers);
    return tables + readers + cache_->GetUsage();
  }

 private:
  static constexpr std::string_view kIncoming = "incoming";

  [[nodiscard]] bool in_one_group(std::string_view from, std::string_view to) const {
    if (group_size_ == nullptr) return false;
    const std::size_t size = group_size_(from);
    return size != 0 && to.size() >= size && to.substr(0, size) == from.substr(0, size);
  }

  [[nodiscard]] Status check_writable() const {
    if (!read_only_) return {};
    return fail(Code::kFailedPrecondition, "the store in " + path_ + " was opened to be read only");
  }

  /// Ok when `bytes` and what is in memory fit on the disk.
  [[nodiscard]] Status check_room(std::uint64_t bytes) const {
    AFDG_ASSIGN(const std::uint64_t free, posix_file_system().free_bytes(path_));
    std::uint64_t memory = 0;
    if (unflushed_) db_->GetIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &memory);
    if (free >= bytes + memory) return {};
    return fail(Code::kDiskFull,
                "the store in " + path_ + ": " + std::to_string(free) + " bytes are free, " +
                    std::to_string(bytes + memory) +
                    " are needed: free space on its file system; the write can then be tried again");
  }

  /// After a full disk RocksDB refuses everything until it is told to go on.
  Status resume() {
    if (!stopped_) return {};
    if (const auto status = db_->Resume(); !status.ok()) return error_of(status, path_);
    stopped_ = false;
    return {};
  }

  Status failed(const rocksdb::Status& status) {
    stopped_ = true;
    return error_of(status, path_);
  }

  Status write(rocksdb::WriteBatch& batch) {
    if (const auto status = db_->Write(write_, &batch); !status.ok()) return failed(status);
    unflushed_ = true;
    return {};
  }

  Status flush_memtables() {
    if (!unflushed_) return {};
    rocksdb::FlushOptions options;
    options.wait = true;
    options.allow_write_stall = true;
    if (const auto status = db_->Flush(options); !status.ok()) return failed(status);
    // After a failed recovery from a full disk, a later Flush returns ok at once, its work only begun (7.8.3,
    // seen on a full tmpfs). There is one writer, so memory must be empty afterwards: ok is believed only
    // then.
    const auto deadline = std::chrono::steady_clock::now() + kFlushWaitMax;
    const std::uint64_t errors = property(rocksdb::DB::Properties::kBackgroundErrors);
    while (property(rocksdb::DB::Properties::kNumEntriesActiveMemTable) != 0 ||
           property(rocksdb::DB::Properties::kNumImmutableMemTable) != 0) {
      if (property(rocksdb::DB::Properties::kBackgroundErrors) != errors ||
          std::chrono::steady_clock::now() > deadline) {
        stopped_ = true;
        return fail(Code::kDiskFull,
                    "the store in " + path_ +
                        ": a flush left writes in memory: free space, then it can be tried again");
      }
      std::this_thread::sleep_for(kFlushPoll);
    }
    unflushed_ = false;
    pace();
    return {};
  }

  /// Compactions write as fast as what is left to compact needs.
  void pace() const {
    const std::uint64_t left = property(rocksdb::DB::Properties::kEstimatePendingCompactionBytes);
    const auto rate =
        static_cast<std::int64_t>(std::min<std::uint64_t>(left / kCompactionSeconds, kCompactionBytesMax));
    options_.rate_limiter->SetBytesPerSecond(std::max(rate, kCompactionBytesMin));
  }

  /// The value of an integer property; an unknown one is a number that no caller takes for done.
  [[nodiscard]] std::uint64_t property(const std::string& name) const {
    std::uint64_t value = 0;
    return db_->GetIntProperty(name, &value) ? value : UINT64_MAX;
  }

  /// All changes as one sorted file, taken in by one edit of the manifest: whole or not at all, and durable
  /// on return. What is still in memtables is older and must not be lost while this survives; so it is
  /// flushed first. Files are written beside each other, and taken in by one writer at a time.
  Status ingest(std::span<const Change> changes, std::unique_lock<std::mutex>& writers) {
    const std::string incoming =
        path_ + "/" + std::string(kIncoming) + "-" + std::to_string(incoming_.fetch_add(1)) + ".sst";
    Status taken = write_sorted(changes, incoming);
    if (taken.ok()) {
      writers.lock();
      taken = take_in(incoming);
    }
    if (taken.ok()) return {};
    if (auto& files = posix_file_system(); files.exists(incoming)) {
      files.remove(incoming).ignore("the error is the one to report; open() removes what is left");
    }
    return taken;
  }

  Status write_sorted(std::span<const Change> changes, const std::string& incoming) const {
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options_);
    auto status = writer.Open(incoming);
    for (std::size_t i = 0; status.ok() && i < changes.size(); ++i) {
      const auto& change = changes[i];
      status = change.value ? writer.Put(slice(change.key), slice(*change.value))
                            : writer.Delete(slice(change.key));
    }
    if (status.ok()) status = writer.Finish();
    return status_of(status, path_);
  }

  Status take_in(const std::string& incoming) {
    AFDG_TRY(resume());
    AFDG_TRY(flush_memtables());
    rocksdb::IngestExternalFileOptions options;
    options.move_files = true;
    options.failed_move_fall_back_to_copy = true;
    options.write_global_seqno = false;
    const auto status = db_->IngestExternalFile({incoming}, options);
    if (status.ok()) pace();
    return status.ok() ? Status() : failed(status);
  }

  std::string path_;
  std::shared_ptr<rocksdb::Cache> cache_;
  rocksdb::Options options_;
  std::uint64_t disk_reserve_bytes_;
  bool write_ahead_log_;
  bool read_only_;
  Groups::Size group_size_;
  rocksdb::WriteOptions write_;
  std::unique_ptr<rocksdb::DB> db_;
  std::mutex writing_;
  std::atomic<bool> unflushed_{false};  // set under writing_
  bool stopped_ = false;                // of writing_
  std::atomic<std::uint64_t> incoming_{0};
};

}  // namespace

Result<std::unique_ptr<KeyValueStore>> open_rocks_store(const std::string& path,
                                                        const RocksOptions& options) {
  return guarded(path, [&]() -> Result<std::unique_ptr<KeyValueStore>> {
    if (!options.read_only) AFDG_TRY(posix_file_system().create_directories(path));
    auto store = std::make_unique<RocksStore>(path, options);
    const auto opened = store->open();
    if (opened.code() == Code::kInvalidArgument || opened.code() == Code::kNotFound) {
      return fail(Code::kCorrupt, opened.error().text());
    }
    AFDG_TRY(opened);
    return store;
  });
}

Status destroy_rocks_store(const std::string& path) {
  return guarded(path, [&]() -> Status {
    auto& files = posix_file_system();
    if (!files.exists(path)) return {};
    if (const auto status = rocksdb::DestroyDB(path, rocksdb::Options()); !status.ok())
      return error_of(status, path);
    return files.remove_all(path);
  });
}

}  // namespace afdg::store
