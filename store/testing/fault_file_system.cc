#include "store/testing/fault_file_system.h"

#include <algorithm>
#include <utility>

namespace afdg::store {
namespace {

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto part = path.substr(0, slash);
    if (!part.empty() && part != ".") parts.emplace_back(part);
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return parts;
}

std::string joined(const std::vector<std::string>& parts, std::size_t count) {
  std::string path;
  for (std::size_t i = 0; i < count; ++i) path.append("/").append(parts[i]);
  return path.empty() ? "/" : path;
}

std::string last_of(const std::string& path) {
  auto parts = parts_of(path);
  return parts.empty() ? std::string() : parts.back();
}

Error not_found(const std::string& path) {
  return fail(Code::kNotFound, "cannot open " + path + ": no such file or directory: check the path");
}

Error error_of(Fault fault, const std::string& path) {
  switch (fault) {
    case Fault::kDiskFull:
      return fail(Code::kDiskFull,
                  "cannot write " + path + ": the disk is full (planned by the test): free space");
    case Fault::kIo:
      return fail(Code::kIo, "cannot change " + path + ": input/output error (planned by the test)");
    case Fault::kCrash:
      break;
  }
  return fail(Code::kIo, path + ": the machine has stopped (planned by the test)");
}

}  // namespace

class FaultFile final : public File {
 public:
  FaultFile(FaultFileSystem& owner, DiskNodePtr node, std::string path, bool writable)
      : owner_(owner),
        node_(std::move(node)),
        path_(std::move(path)),
        life_(owner.life_),
        writable_(writable) {}

  Status read_at(std::uint64_t at, std::size_t size, char* out) const override {
    const std::lock_guard guard(owner_.mutex_);
    AFDG_TRY(check());
    if (size == 0) return {};
    if (at > node_->content.size() || node_->content.size() - at < size) {
      return fail(Code::kOutOfRange, path_ + " ends at " + std::to_string(node_->content.size()) +
                                         ", before the end of the " + std::to_string(size) +
                                         " bytes to be read at " + std::to_string(at));
    }
    node_->content.copy(out, size, at);
    return {};
  }

  Status write_at(std::uint64_t at, std::string_view bytes) override {
    owner_.announce(Operation::kWrite, path_);
    const std::lock_guard guard(owner_.mutex_);
    AFDG_TRY(check_writable());
    return owner_.write(path_, *node_, at, bytes);
  }

  Status write_at(std::uint64_t at, std::span<const std::string_view> pieces) override {
    std::string bytes;
    for (const auto piece : pieces) bytes.append(piece);
    return write_at(at, bytes);
  }

  Status sync() override {
    owner_.announce(Operation::kSync, path_);
    const std::lock_guard guard(owner_.mutex_);
    AFDG_TRY(check());
    if (const auto fault = owner_.begin(Operation::kSync, path_)) {
      if (*fault != Fault::kCrash) DiskImage::lose_some(*node_, owner_.random_);
      return error_of(*fault, path_);
    }
    if (owner_.planted_ != Planted::kSyncDoesNothing) DiskImage::sync(*node_);
    return {};
  }

  void start_write_back(std::uint64_t, std::uint64_t) override {}

  Status truncate(std::uint64_t size) override {
    owner_.announce(Operation::kTruncate, path_);
    const std::lock_guard guard(owner_.mutex_);
    AFDG_TRY(check_writable());
    const auto fault = owner_.begin(Operation::kTruncate, path_);
    if (fault && *fault != Fault::kCrash) return error_of(*fault, path_);
    if (size > node_->content.size() && owner_.capacity_ &&
        owner_.image_.bytes() + (size - node_->content.size()) > *owner_.capacity_) {
      return error_of(Fault::kDiskFull, path_);
    }
    DiskImage::truncate(*node_, size);
    if (fault) return error_of(*fault, path_);
    return {};
  }

  [[nodiscard]] Result<std::uint64_t> size() const override {
    const std::lock_guard guard(owner_.mutex_);
    AFDG_TRY(check());
    return static_cast<std::uint64_t>(node_->content.size());
  }

  [[nodiscard]] const std::string& path() const noexcept override { return path_; }

 private:
  [[nodiscard]] Status check() const {
    if (life_ != owner_.life_) return fail(Code::kIo, path_ + " was opened before the crash: open it again");
    return owner_.check_running(path_);
  }
  [[nodiscard]] Status check_writable() const {
    AFDG_TRY(check());
    if (!writable_) return fail(Code::kIo, "cannot write " + path_ + ": it was opened for reading");
    return {};
  }

  FaultFileSystem& owner_;
  DiskNodePtr node_;
  std::string path_;
  std::uint64_t life_;
  bool writable_;
};

class FaultLock final : public FileLock {
 public:
  FaultLock(FaultFileSystem& owner, DiskNodePtr node)
      : owner_(owner), node_(std::move(node)), life_(owner.life_) {}
  ~FaultLock() override {
    const std::lock_guard guard(owner_.mutex_);
    if (life_ == owner_.life_) owner_.locked_.erase(node_.get());
  }

 private:
  FaultFileSystem& owner_;
  DiskNodePtr node_;
  std::uint64_t life_;
};

FaultFileSystem::FaultFileSystem(std::uint64_t seed) : random_(seed) {}

FaultFileSystem::~FaultFileSystem() = default;

void FaultFileSystem::announce(Operation operation, const std::string& path) {
  if (observer_) observer_(operations() + 1, operation, path);
}

std::optional<Fault> FaultFileSystem::begin(Operation operation, const std::string& path) {
  ++operations_;
  std::optional<Fault> fault;
  if (const auto at = faults_at_.find(operations_); at != faults_at_.end()) {
    fault = at->second;
  } else {
    for (auto& planned : faults_next_) {
      if (planned.count == 0 || planned.operation != operation ||
          path.find(planned.path_part) == std::string::npos)
        continue;
      --planned.count;
      fault = planned.fault;
      break;
    }
  }
  if (fault == Fault::kCrash) stopped_ = true;
  return fault;
}

Status FaultFileSystem::check_running(const std::string& path) const {
  if (stopped_) return error_of(Fault::kCrash, path);
  return {};
}

DiskNodePtr FaultFileSystem::find(const std::string& path) const {
  DiskNodePtr node = image_.root();
  for (const auto& part : parts_of(path)) {
    const auto at = node->names.find(part);
    if (at == node->names.end()) return nullptr;
    node = at->second;
  }
  return node;
}

Result<DiskNodePtr> FaultFileSystem::find_parent(const std::string& path) const {
  const auto parts = parts_of(path);
  if (parts.empty()) return fail(Code::kIo, path + " is the root directory: name a file in it");
  auto parent = find(joined(parts, parts.size() - 1));
  if (!parent || !parent->directory) return not_found(path);
  return parent;
}

Result<DiskNodePtr> FaultFileSystem::create_file(const std::string& path) {
  AFDG_ASSIGN(const auto parent, find_parent(path));
  const auto fault = begin(Operation::kCreate, path);
  if (fault && *fault != Fault::kCrash) return error_of(*fault, path);
  auto node = DiskImage::make_file();
  image_.set_name(parent, last_of(path), node);
  if (fault) return error_of(*fault, path);
  return node;
}

Result<std::unique_ptr<File>> FaultFileSystem::open(const std::string& path, OpenMode mode) {
  const bool creates = mode == OpenMode::kCreate || mode == OpenMode::kCreateNew;
  if (creates && !exists(path)) announce(Operation::kCreate, path);
  const std::lock_guard guard(mutex_);
  AFDG_TRY(check_running(path));
  auto node = find(path);
  if (node && node->directory)
    return fail(Code::kIo, "cannot open " + path + ": it is a directory: name a file");
  if (node && mode == OpenMode::kCreateNew) {
    return fail(Code::kAlreadyExists,
                "cannot create " + path + ": it exists: remove it or choose another name");
  }
  if (!node && !creates) return not_found(path);
  if (!node) {
    AFDG_ASSIGN(node, create_file(path));
  }
  return std::make_unique<FaultFile>(*this, std::move(node), path, mode != OpenMode::kRead);
}

Status FaultFileSystem::write(const std::string& path, DiskNode& file, std::uint64_t at,
                              std::string_view bytes) {
  const auto fault = begin(Operation::kWrite, path);
  if (fault == Fault::kCrash) {
    DiskImage::write(file, at, bytes);
    return error_of(*fault, path);
  }
  if (fault) {
    DiskImage::write(file, at, bytes.substr(0, random_.next() % (bytes.size() + 1)));
    return error_of(*fault, path);
  }
  const std::uint64_t end = at + bytes.size();
  if (capacity_ && !bytes.empty() && end > file.content.size()) {
    const std::uint64_t used = image_.bytes();
    const std::uint64_t room = *capacity_ > used ? *capacity_ - used : 0;
    if (end - file.content.size() > room) {
      const std::uint64_t end_max = file.content.size() + room;
      if (end_max > at) DiskImage::write(file, at, bytes.substr(0, static_cast<std::size_t>(end_max - at)));
      return error_of(Fault::kDiskFull, path);
    }
  }
  DiskImage::write(file, at, bytes);
  return {};
}

bool FaultFileSystem::exists(const std::string& path) const {
  const std::lock_guard guard(mutex_);
  return !stopped_ && find(path) != nullptr;
}

Status FaultFileSystem::make_directory(const std::string& path) {
  announce(Operation::kCreateDirectory, path);
  const std::lock_guard guard(mutex_);
  AFDG_TRY(check_running(path));
  if (const auto node = find(path)) {
    if (node->directory) return {};
    return fail(Code::kAlreadyExists,
                "cannot create the directory " + path + ": a file has that name: remove it");
  }
  AFDG_ASSIGN(const auto parent, find_parent(path));
  const auto fault = begin(Operation::kCreateDirectory, path);
  if (fault && *fault != Fault::kCrash) return error_of(*fault, path);
  image_.set_name(parent, last_of(path), DiskImage::make_directory());
  if (fault) return error_of(*fault, path);
  return {};
}

Status FaultFileSystem::create_directories(const std::string& path) {
  const auto parts = parts_of(path);
  for (std::size_t count = 1; count <= parts.size(); ++count) {
    const auto level = joined(parts, count);
    {
      const std::lock_guard guard(mutex_);
      AFDG_TRY(check_running(path));
      if (const auto node = find(level); node && node->directory) continue;
    }
    AFDG_TRY(make_directory(level));
    AFDG_TRY(sync_directory(joined(parts, count - 1)));
  }
  return {};
}

Result<std::vector<std::string>> FaultFileSystem::list(const std::string& path) const {
  const std::lock_guard guard(mutex_);
  AFDG_TRY(check_running(path));
  const auto node = find(path);
  if (!node || !node->directory) return not_found(path);
  std::vector<std::string> names;
  for (const auto& [name, below] : node->names) names.push_back(name);
  return names;
}

Status FaultFileSystem::remove(const std::string& path) {
  announce(Operation::kRemove, path);
  const std::lock_guard guard(mutex_);
  AFDG_TRY(check_running(path));
  const auto node = find(path);
  if (!node) return not_found(path);
  if (node->directory)
    return fail(Code::kIo, "cannot remove " + path + ": it is a directory: use remove_all");
  AFDG_ASSIGN(const auto parent, find_parent(path));
  const auto fault = begin(Operation::kRemove, path);
  if (fault && *fault != Fault::kCrash) return error_of(*fault, path);
  image_.set_name(parent, last_of(path), nullptr);
  if (fault) return error_of(*fault, path);
  return {};
}

Status FaultFileSystem::remove_below(const std::string& path) {
  std::vector<std::string> names;
  {
    const std::lock_guard guard(mutex_);
    AFDG_TRY(check_running(path));
    const auto node = find(path);
    if (!node) return {};
    if (node->directory) {
      for (const auto& [name, below] : node->names) names.push_back(name);
    }
  }
  for (const auto& name : names) AFDG_TRY(remove_below(path + "/" + name));
  announce(Operation::kRemove, path);
  const std::lock_guard guard(mutex_);
  AFDG_TRY(check_running(path));
  AFDG_ASSIGN(const auto parent, find_parent(path));
  const auto fault = begin(Operation::kRemove, path);
  if (fault && *fault != Fault::kCrash) return error_of(*fault, path);
  image_.set_name(parent, last_of(path), nullptr);
  if (fault) return error_of(*fault, path);
  return {};
}

Status FaultFileSystem::remove_all(const std::string& path) { return remove_below(path); }

Status FaultFileSystem::rename(const std::string& from, const std::string& to) {
  announce(Operation::kRename, from);
  const std::lock_guard guard(mutex_);
  AFDG_TRY(check_running(from));
  const auto node = find(from);
  if (!node) return not_found(from);
  AFDG_ASSIGN(const auto from_parent, find_parent(from));
  AFDG_ASSIGN(const auto to_parent, find_parent(to));
  if (const auto old = find(to)) {
    if (old == node) return {};
    if (node->directory != old->directory || (old->directory && !old->names.empty())) {
      return fail(Code::kIo, "cannot rename " + from + " to " + to +
                                 ": a directory of that name is in the way: remove it");
    }
  }
  const auto fault = begin(Operation::kRename, from);
  if (fault && *fault != Fault::kCrash) return error_of(*fault, from);
  image_.rename(from_parent, last_of(from), to_parent, last_of(to));
  if (fault) return error_of(*fault, from);
  return {};
}

Status FaultFileSystem::sync_directory(const std::string& path) {
  announce(Operation::kSyncDirectory, path);
  const std::lock_guard guard(mutex_);
  AFDG_TRY(check_running(path));
  const auto node = find(path);
  if (!node || !node->directory) return not_found(path);
  if (const auto fault = begin(Operation::kSyncDirectory, path)) return error_of(*fault, path);
  if (planted_ != Planted::kSyncDirectoryDoesNothing) DiskImage::sync_names(*node);
  return {};
}

Result<std::unique_ptr<FileLock>> FaultFileSystem::lock(const std::string& path) {
  AFDG_TRY(open(path, OpenMode::kCreate).status());
  const std::lock_guard guard(mutex_);
  AFDG_TRY(check_running(path));
  auto node = find(path);
  if (!node) return not_found(path);
  if (!locked_.emplace(node.get(), node).second) {
    return fail(Code::kTaken, path + " is locked by another process: stop it, or choose another directory");
  }
  return std::make_unique<FaultLock>(*this, std::move(node));
}

Result<std::uint64_t> FaultFileSystem::free_bytes(const std::string& path) const {
  const std::lock_guard guard(mutex_);
  AFDG_TRY(check_running(path));
  constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 40;
  const std::uint64_t capacity = capacity_.value_or(kUnlimited);
  const std::uint64_t used = image_.bytes();
  return capacity > used ? capacity - used : 0;
}

void FaultFileSystem::reset_after_stop() {
  ++life_;
  stopped_ = false;
  locked_.clear();
  faults_at_.clear();
  faults_next_.clear();
}

void FaultFileSystem::crash(Survival survival, std::uint64_t seed) {
  const std::lock_guard guard(mutex_);
  SeededRandom random(seed);
  image_.crash(survival, random);
  reset_after_stop();
}

void FaultFileSystem::restart() {
  const std::lock_guard guard(mutex_);
  reset_after_stop();
}

std::unique_ptr<FaultFileSystem> FaultFileSystem::clone() const {
  const std::lock_guard guard(mutex_);
  auto copy = std::make_unique<FaultFileSystem>();
  copy->image_ = image_.clone();
  copy->random_ = random_;
  copy->operations_ = operations_;
  copy->stopped_ = stopped_;
  copy->planted_ = planted_;
  copy->capacity_ = capacity_;
  return copy;
}

std::uint64_t FaultFileSystem::operations() const {
  const std::lock_guard guard(mutex_);
  return operations_;
}

void FaultFileSystem::fail_at(std::uint64_t number, Fault fault) {
  const std::lock_guard guard(mutex_);
  faults_at_[number] = fault;
}

void FaultFileSystem::fail_next(Operation operation, std::string path_part, Fault fault,
                                std::uint64_t count) {
  const std::lock_guard guard(mutex_);
  faults_next_.push_back({operation, std::move(path_part), fault, count});
}

bool FaultFileSystem::stopped() const {
  const std::lock_guard guard(mutex_);
  return stopped_;
}

void FaultFileSystem::observe(Observer observer) { observer_ = std::move(observer); }

void FaultFileSystem::set_capacity(std::optional<std::uint64_t> bytes_max) {
  const std::lock_guard guard(mutex_);
  capacity_ = bytes_max;
}

void FaultFileSystem::plant(Planted planted) {
  const std::lock_guard guard(mutex_);
  planted_ = planted;
}

Status FaultFileSystem::flip(const std::string& path, std::uint64_t at, std::uint8_t mask) {
  const std::lock_guard guard(mutex_);
  const auto node = find(path);
  if (!node || node->directory) return not_found(path);
  if (at >= node->content.size())
    return fail(Code::kOutOfRange, path + " has no byte at " + std::to_string(at));
  const auto flip_in = [mask](std::string& bytes, std::uint64_t index) {
    if (index < bytes.size())
      bytes[index] = static_cast<char>(static_cast<std::uint8_t>(bytes[index]) ^ mask);
  };
  flip_in(node->content, at);
  flip_in(node->durable, at);
  for (auto& write : node->unsynced) {
    if (!write.truncation && at >= write.at) flip_in(write.bytes, at - write.at);
  }
  return {};
}

std::uint64_t FaultFileSystem::bytes() const {
  const std::lock_guard guard(mutex_);
  return image_.bytes();
}

}  // namespace afdg::store
