#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace afdg::store {

/// See File::bypass_cache(): a multiple of every common disk's block.
inline constexpr std::size_t kDirectBytes = 4096;

/// One open file. Positions and sizes in bytes.
/// Thread-safety: reads and writes at different positions may run concurrently; anything else is the caller's
/// to order. Errors: kDiskFull (nothing promised about the written range), kIo (names the path and errno's
/// text). A failed sync is never to be retried: the caller ends the process (architecture: EIO is fatal).
class File {
 public:
  virtual ~File() = default;
  /// Reads exactly `size` bytes at `at` into `out`. Errors: kOutOfRange when the file ends before.
  virtual Status read_at(std::uint64_t at, std::size_t size, char* out) const = 0;
  /// Writes all of `bytes` at `at`, extending the file. Not durable before sync().
  virtual Status write_at(std::uint64_t at, std::string_view bytes) = 0;
  /// Several pieces, one after the other, from `at` (pwritev).
  virtual Status write_at(std::uint64_t at, std::span<const std::string_view> pieces) = 0;
  /// Durable on return: every earlier write and the size (fdatasync).
  virtual Status sync() = 0;
  /// Starts writing the range to the disk without waiting and without a durability promise (sync_file_range).
  virtual void start_write_back(std::uint64_t at, std::uint64_t size) = 0;
  /// From now on a write whose memory, place and size are multiples of kDirectBytes goes to the disk without
  /// the page cache, where the file system can (O_DIRECT). For files that are written over and hardly read.
  virtual void bypass_cache() {}
  /// Takes room on the disk for the range, which may be behind the end, so that writing there is cheaper; the
  /// size stays. A hint. truncate() gives back what is behind the end.
  virtual void preallocate(std::uint64_t at, std::uint64_t size) {
    static_cast<void>(at);
    static_cast<void>(size);
  }
  virtual Status truncate(std::uint64_t size) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size() const = 0;
  /// The operating system's descriptor for sendfile, or -1 when there is none.
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }
  /// The path it was opened with.
  [[nodiscard]] virtual const std::string& path() const noexcept = 0;
};

/// Held while it lives: nobody else can lock the same path, in this process or another.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode : std::uint8_t {
  kRead,       ///< must exist
  kReadWrite,  ///< must exist
  kCreate,     ///< created when absent, kept when present
  kCreateNew,  ///< kAlreadyExists when present
};

/// Where the log and the node keep their files. Paths are absolute or relative to the process, '/' separated.
/// Thread-safety: safe. Errors: kNotFound, kAlreadyExists, kDiskFull, kUnwritable (permissions), kIo.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  [[nodiscard]] virtual bool exists(const std::string& path) const = 0;
  /// Creates the directory and its parents; ok when present. Durable on return: the names of those it
  /// created.
  virtual Status create_directories(const std::string& path) = 0;
  /// The names in a directory, sorted, without "." and "..".
  [[nodiscard]] virtual Result<std::vector<std::string>> list(const std::string& path) const = 0;
  /// Removes a file. Durable after sync_directory of its parent.
  virtual Status remove(const std::string& path) = 0;
  /// Removes a directory and all below it; ok when absent.
  virtual Status remove_all(const std::string& path) = 0;
  /// Atomically replaces `to`. Durable after sync_directory of the parent.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  /// Durable on return: the names in the directory (created, renamed, removed entries).
  virtual Status sync_directory(const std::string& path) = 0;
  /// Errors: kTaken when another holder exists.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
  /// Bytes free for this process on the file system that holds `path`.
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes(const std::string& path) const = 0;

  /// Writes a small file so that after a crash either the old or the new content is there, whole (temporary
  /// file, sync, rename, sync of the directory). Durable on return.
  Status replace_file(const std::string& path, std::string_view content);
  /// The whole of a small file. Errors: kMessageTooLarge above `bytes_max`.
  Result<std::string> read_file(const std::string& path, std::uint64_t bytes_max = 64u << 20);
};

/// The machine's file system. Thread-safety: safe. Ownership: a static object.
FileSystem& posix_file_system();

}  // namespace afdg::store
