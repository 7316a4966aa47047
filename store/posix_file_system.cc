#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "store/file_system.h"

namespace afdg::store {
namespace {

constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;
constexpr std::size_t kPiecesMax = 512;  // below IOV_MAX (1024)

/// The error of a system call that failed with `number`: which file, what was tried, why, what to do.
Error os_error(std::string_view doing, const std::string& path, int number) {
  Code code = Code::kIo;
  std::string_view remedy = "look at the system log for the disk's state";
  switch (number) {
    case ENOSPC:
    case EDQUOT:
      code = Code::kDiskFull;
      remedy = "free space on its file system or raise the quota";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Code::kUnwritable;
      remedy = "give this user the right to it, or choose another directory";
      break;
    case ENOENT:
    case ENOTDIR:
      code = Code::kNotFound;
      remedy = "check the path";
      break;
    case EEXIST:
      code = Code::kAlreadyExists;
      remedy = "remove it or choose another name";
      break;
    case EMFILE:
    case ENFILE:
      remedy = "raise the limit of open files (LimitNOFILE, ulimit -n)";
      break;
    case EFBIG:
      remedy = "raise the limit of file size (ulimit -f)";
      break;
    case EBADF:
    case EINVAL:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      remedy = "check the path and how it was opened";
      break;
    default:
      break;
  }
  std::string text = "cannot ";
  text.append(doing).append(" ").append(path).append(": ");
  text.append(std::generic_category().message(number)).append(": ").append(remedy);
  return fail(code, std::move(text));
}

/// Repeats a system call that a signal interrupted.
template <typename Call>
auto uninterrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    // Never repeated on EINTR: Linux has released the number by then.
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

Result<Descriptor> open_descriptor(const std::string& path, int flags) {
  const int fd = uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, kFileMode); });
  if (fd < 0) return os_error("open", path, errno);
  return Descriptor(fd);
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor descriptor, std::string path)
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Status read_at(std::uint64_t at, std::size_t size, char* out) const override {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t n = uninterrupted(
          [&] { return ::pread(descriptor_.get(), out + done, size - done, static_cast<off_t>(at + done)); });
      if (n < 0) return os_error("read", path_, errno);
      if (n == 0) {
        return fail(Code::kOutOfRange, path_ + " ends at " + std::to_string(at + done) +
                                           ", before the end of the " + std::to_string(size) +
                                           " bytes to be read at " + std::to_string(at));
      }
      done += static_cast<std::size_t>(n);
    }
    return {};
  }

  Status write_at(std::uint64_t at, std::string_view bytes) override {
    int fd = direct_ && aligned(at, bytes) ? direct_->get() : descriptor_.get();
    while (!bytes.empty()) {
      const ssize_t n =
          uninterrupted([&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at)); });
      if (n < 0 && errno == EINVAL && fd != descriptor_.get()) {
        fd = descriptor_.get();  // this disk wants another alignment
        continue;
      }
      if (n < 0) return os_error("write", path_, errno);
      if (n == 0) return os_error("write", path_, EIO);
      bytes.remove_prefix(static_cast<std::size_t>(n));
      at += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Status write_at(std::uint64_t at, std::span<const std::string_view> pieces) override {
    std::size_t next = 0;  // the first piece that is not written whole
    std::size_t skip = 0;  // bytes of it that are
    while (next < pieces.size()) {
      std::array<iovec, kPiecesMax> vectors;
      int count = 0;
      for (std::size_t i = next; i < pieces.size() && count < static_cast<int>(kPiecesMax); ++i) {
        const std::string_view piece = i == next ? pieces[i].substr(skip) : pieces[i];
        if (piece.empty()) continue;
        vectors[static_cast<std::size_t>(count++)] = {const_cast<char*>(piece.data()), piece.size()};
      }
      if (count == 0) return {};
      const ssize_t n = uninterrupted(
          [&] { return ::pwritev(descriptor_.get(), vectors.data(), count, static_cast<off_t>(at)); });
      if (n < 0) return os_error("write", path_, errno);
      if (n == 0) return os_error("write", path_, EIO);
      at += static_cast<std::uint64_t>(n);
      auto left = static_cast<std::size_t>(n);
      while (next < pieces.size() && left >= pieces[next].size() - skip) {
        left -= pieces[next].size() - skip;
        skip = 0;
        ++next;
      }
      skip += left;
    }
    return {};
  }

  Status sync() override {
    if (uninterrupted([&] { return ::fdatasync(descriptor_.get()); }) < 0)
      return os_error("sync", path_, errno);
    return {};
  }

  void start_write_back(std::uint64_t at, std::uint64_t size) override {
    // A hint: what it cannot start, sync() does and reports.
    (void)::sync_file_range(descriptor_.get(), static_cast<off64_t>(at), static_cast<off64_t>(size),
                            SYNC_FILE_RANGE_WRITE);
  }

  void bypass_cache() override {
    auto opened = open_descriptor("/proc/self/fd/" + std::to_string(descriptor_.get()), O_WRONLY | O_DIRECT);
    if (opened.ok()) direct_.emplace(std::move(*opened));
  }

  void preallocate(std::uint64_t at, std::uint64_t size) override {
    // What it cannot take, the write takes, and reports.
    (void)::fallocate(descriptor_.get(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(at),
                      static_cast<off_t>(size));
  }

  Status truncate(std::uint64_t size) override {
    if (uninterrupted([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(size)); }) < 0) {
      return os_error("truncate", path_, errno);
    }
    return {};
  }

  [[nodiscard]] Result<std::uint64_t> size() const override {
    struct stat info {};
    if (::fstat(descriptor_.get(), &info) < 0) return os_error("look at", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

  [[nodiscard]] int descriptor() const noexcept override { return descriptor_.get(); }
  [[nodiscard]] const std::string& path() const noexcept override { return path_; }

 private:
  static bool aligned(std::uint64_t at, std::string_view bytes) noexcept {
    return (at | bytes.size() | reinterpret_cast<std::uintptr_t>(bytes.data())) % kDirectBytes == 0;
  }

  Descriptor descriptor_;
  std::optional<Descriptor> direct_;  ///< of the same file, for aligned writes
  std::string path_;
};

/// flock(2): bound to this open file, so a second open in the same process is refused too, and a killed
/// process lets go.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  Descriptor descriptor_;
};

class PosixFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    int flags = O_RDWR;
    switch (mode) {
      case OpenMode::kRead:
        flags = O_RDONLY;
        break;
      case OpenMode::kReadWrite:
        break;
      case OpenMode::kCreate:
        flags |= O_CREAT;
        break;
      case OpenMode::kCreateNew:
        flags |= O_CREAT | O_EXCL;
        break;
    }
    AFDG_ASSIGN(auto descriptor, open_descriptor(path, flags));
    return std::make_unique<PosixFile>(std::move(descriptor), path);
  }

  [[nodiscard]] bool exists(const std::string& path) const override {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0;
  }

  Status create_directories(const std::string& path) override {
    if (path.empty()) return {};
    if (::mkdir(path.c_str(), kDirectoryMode) == 0) return sync_directory(parent_of(path));
    if (errno == ENOENT) {
      const std::string parent = parent_of(path);
      if (parent == path) return os_error("create the directory", path, ENOENT);
      AFDG_TRY(create_directories(parent));
      if (::mkdir(path.c_str(), kDirectoryMode) == 0) return sync_directory(parent);
    }
    if (errno == EEXIST) {
      struct stat info {};
      if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
      return os_error("create the directory", path, EEXIST);
    }
    return os_error("create the directory", path, errno);
  }

  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) const override {
    std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> directory(::opendir(path.c_str()));
    if (!directory) return os_error("list the directory", path, errno);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* entry = ::readdir(directory.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return os_error("list the directory", path, errno);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) < 0) return os_error("remove", path, errno);
    return {};
  }

  Status remove_all(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) return os_error("remove", path, error.value());
    return {};
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) < 0) return os_error("rename to " + to + " the file", from, errno);
    return {};
  }

  Status sync_directory(const std::string& path) override {
    AFDG_ASSIGN(const auto descriptor, open_descriptor(path, O_RDONLY | O_DIRECTORY));
    if (uninterrupted([&] { return ::fsync(descriptor.get()); }) < 0)
      return os_error("sync the directory", path, errno);
    return {};
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    AFDG_ASSIGN(auto descriptor, open_descriptor(path, O_RDWR | O_CREAT));
    if (uninterrupted([&] { return ::flock(descriptor.get(), LOCK_EX | LOCK_NB); }) < 0) {
      if (errno == EWOULDBLOCK) {
        return fail(Code::kTaken,
                    path + " is locked by another process: stop it, or choose another directory");
      }
      return os_error("lock", path, errno);
    }
    return std::make_unique<PosixLock>(std::move(descriptor));
  }

  [[nodiscard]] Result<std::uint64_t> free_bytes(const std::string& path) const override {
    struct statvfs info {};
    if (uninterrupted([&] { return ::statvfs(path.c_str(), &info); }) < 0)
      return os_error("look at", path, errno);
    return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
  }

 private:
  static std::string parent_of(const std::string& path) {
    auto end = path.find_last_not_of('/');
    if (end == std::string::npos) return "/";
    const auto slash = path.find_last_of('/', end);
    if (slash == std::string::npos) return ".";
    end = path.find_last_not_of('/', slash);
    return end == std::string::npos ? "/" : path.substr(0, end + 1);
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem file_system;
  return file_system;
}

}  // namespace afdg::store
