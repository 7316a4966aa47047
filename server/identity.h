#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "store/file_system.h"

namespace afdg::server {

/// What a start needs on a disk that is full: identity, the stores' own files, the catalog. The log keeps it
/// as its reserve. Bytes.
inline constexpr std::uint64_t kStartBytes = 4u << 20;

/// A node's data directory: whose it is, and that only one process uses it.
///
///     DIR/lock     held while the process lives       DIR/log/     the message log
///     DIR/node     this identity, ON DISK since 1      DIR/store/   RocksDB: the fold of the changes
///     DIR/running  what each lane runs                 DIR/catalog/ RocksDB: the catalog, with that role
///
/// Thread-safety: confined. Errors: kTaken, kCorrupt, kNewerFormat, kUnwritable, kDiskFull, kIo.
class DataDirectory {
 public:
  /// Creates the directory and its identity when there is none, takes the lock, and notes that it is in use.
  static Result<std::unique_ptr<DataDirectory>> open(store::FileSystem& fs, const std::string& path,
                                                     Random& random);
  /// For verify: takes the lock and reads, changes nothing. Errors: also kNotFound.
  static Result<std::unique_ptr<DataDirectory>> inspect(store::FileSystem& fs, const std::string& path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string log_path() const { return path_ + "/log"; }
  [[nodiscard]] std::string store_path() const { return path_ + "/store"; }
  [[nodiscard]] std::string catalog_path() const { return path_ + "/catalog"; }
  [[nodiscard]] std::string running_path() const { return path_ + "/running"; }
  [[nodiscard]] Incarnation incarnation() const noexcept { return incarnation_; }
  [[nodiscard]] NodeId node() const noexcept { return node_; }
  /// The directory was used before.
  [[nodiscard]] bool used() const noexcept { return used_; }
  /// The stop before this start was orderly.
  [[nodiscard]] bool clean() const noexcept { return clean_; }
  /// The store is made after the log, so a store without a log means that the log was lost. Errors: kCorrupt.
  [[nodiscard]] Status check_log() const;
  /// Durable on return.
  Status set_node(NodeId node);
  Status set_clean();

 private:
  DataDirectory(store::FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Status read();
  Status write(bool clean);
  store::FileSystem& fs_;
  const std::string path_;
  std::unique_ptr<store::FileLock> lock_;
  Incarnation incarnation_{0};
  NodeId node_{0};
  bool used_ = false;
  bool clean_ = false;
};

}  // namespace afdg::server
