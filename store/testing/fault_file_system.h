#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/file_system.h"
#include "store/testing/disk_image.h"

namespace afdg::store {

/// The operations that change the disk. Each is counted, and each can be made to fail.
enum class Operation : std::uint8_t {
  kCreate,
  kCreateDirectory,
  kWrite,
  kTruncate,
  kSync,
  kSyncDirectory,
  kRename,
  kRemove
};

/// How a chosen operation fails.
enum class Fault : std::uint8_t {
  kIo,  ///< kIo; a write may have been done in part; what a sync should have kept is on the disk or lost for
        ///< ever
  kDiskFull,  ///< kDiskFull; a write may have been done in part
  kCrash,     ///< the machine stops: kIo now and for everything until crash() or restart(); the operation is
              ///< done but unsynced
};

/// A promise that the file system breaks silently, so that a test can show that it would notice.
enum class Planted : std::uint8_t { kNothing, kSyncDoesNothing, kSyncDirectoryDoesNothing };

/// A file system in memory that loses what was not synced, fails when told to, and fills up.
///
/// To try every boundary of a trace, run it once and read operations(); then for each number n up to it: a
/// new one, fail_at(n, Fault::kCrash), the trace until its first error, crash(kAnySubset, seed), recover,
/// check. Or run it once with observe() and crash a clone() before each operation, which is linear instead of
/// quadratic. The same calls and seeds give the same bytes. Paths are those of FileSystem without "..";
/// relative ones start at "/". Thread-safety: safe (one mutex); the order of concurrent operations is then
/// the threads' own. Ownership: files and locks must not outlive it. Bounds: memory, several times the
/// content; see set_capacity().
class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(std::uint64_t seed = 1);
  ~FaultFileSystem() override;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  [[nodiscard]] bool exists(const std::string& path) const override;
  Status create_directories(const std::string& path) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) const override;
  Status remove(const std::string& path) override;
  Status remove_all(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status sync_directory(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  [[nodiscard]] Result<std::uint64_t> free_bytes(const std::string& path) const override;

  /// The power fails and comes back: unsynced changes survive as `survival` says. Every open file and lock is
  /// void (its operations return kIo); planned faults are forgotten.
  void crash(Survival survival, std::uint64_t seed = 1);
  /// The process was killed and starts again: files keep what was written, synced or not. Otherwise as
  /// crash().
  void restart();
  /// A copy that shares nothing: same content, unsynced changes, capacity and planted fault; no open files,
  /// locks, planned faults or observer. Crash it as often as needed: the original goes on.
  [[nodiscard]] std::unique_ptr<FaultFileSystem> clone() const;

  /// How many operations that change the disk were begun since construction (or in the cloned one).
  [[nodiscard]] std::uint64_t operations() const;
  /// Operation number `number` (the first is 1) fails. Several can be planned.
  void fail_at(std::uint64_t number, Fault fault);
  /// The next `count` operations of that kind whose path contains `path_part` fail.
  void fail_next(Operation operation, std::string path_part, Fault fault, std::uint64_t count = 1);
  /// A planned Fault::kCrash happened and nobody called crash() or restart() yet.
  [[nodiscard]] bool stopped() const;
  /// Called before each operation that changes the disk, with its number; may clone(), must not change the
  /// disk. Not to be set while other threads use the file system.
  using Observer = std::function<void(std::uint64_t number, Operation operation, const std::string& path)>;
  void observe(Observer observer);

  /// Files together hold at most so many bytes; nothing means no limit. What exceeds it fails with kDiskFull,
  /// a write after being done in part. Overwriting never fails (the space is there). Holes count.
  void set_capacity(std::optional<std::uint64_t> bytes_max);
  void plant(Planted planted);
  /// Damages the stored byte at `at`, for the reader now and after a crash, as a failing disk does. Errors:
  /// kNotFound, kOutOfRange.
  Status flip(const std::string& path, std::uint64_t at, std::uint8_t mask = 0x40);
  /// Bytes of all files.
  [[nodiscard]] std::uint64_t bytes() const;

 private:
  friend class FaultFile;
  friend class FaultLock;

  struct PlannedFault {
    Operation operation;
    std::string path_part;
    Fault fault;
    std::uint64_t count;
  };

  /// Tells the observer; called without the mutex.
  void announce(Operation operation, const std::string& path);
  /// Counts the operation and says how it fails, if it does. The mutex is held from here on.
  std::optional<Fault> begin(Operation operation, const std::string& path);
  [[nodiscard]] Status check_running(const std::string& path) const;
  [[nodiscard]] DiskNodePtr find(const std::string& path) const;
  [[nodiscard]] Result<DiskNodePtr> find_parent(const std::string& path) const;
  Status make_directory(const std::string& path);
  Status remove_below(const std::string& path);
  Result<DiskNodePtr> create_file(const std::string& path);
  Status write(const std::string& path, DiskNode& file, std::uint64_t at, std::string_view bytes);
  void reset_after_stop();

  mutable std::mutex mutex_;
  DiskImage image_;
  SeededRandom random_;
  std::uint64_t operations_ = 0;
  std::uint64_t life_ = 1;  ///< files and locks of an earlier one are void
  bool stopped_ = false;
  Planted planted_ = Planted::kNothing;
  std::optional<std::uint64_t> capacity_;
  std::map<std::uint64_t, Fault> faults_at_;
  std::vector<PlannedFault> faults_next_;
  std::map<const DiskNode*, DiskNodePtr> locked_;
  Observer observer_;
};

}  // namespace afdg::store
