#include "server/overlay.h"

#include <algorithm>
#include <map>
#include <set>

namespace afdg::server {
namespace {

constexpr std::uint64_t kPage = 4096;

/// What a file has become: pages that were written, over the file below.
struct Content {
  std::unique_ptr<store::File> below;  // absent: a new file
  std::uint64_t below_size = 0;        // what of it still shows
  std::uint64_t size = 0;
  std::map<std::uint64_t, std::string> pages;
};

class OverlayFile final : public store::File {
 public:
  OverlayFile(std::string path, std::shared_ptr<Content> content)
      : path_(std::move(path)), content_(std::move(content)) {}
  Status read_at(std::uint64_t at, std::size_t size, char* out) const override {
    if (at + size > content_->size)
      return fail(Code::kOutOfRange, path_ + " ends before position " + std::to_string(at + size));
    while (size > 0) {
      const std::uint64_t page = at / kPage, in = at % kPage;
      const std::size_t piece = std::min<std::uint64_t>(size, kPage - in);
      if (const auto found = content_->pages.find(page); found != content_->pages.end()) {
        std::copy_n(found->second.data() + in, piece, out);
      } else {
        AFDG_TRY(read_below(at, piece, out));
      }
      at += piece;
      out += piece;
      size -= piece;
    }
    return {};
  }
  Status write_at(std::uint64_t at, std::string_view bytes) override {
    while (!bytes.empty()) {
      const std::uint64_t page = at / kPage, in = at % kPage;
      const std::size_t piece = std::min<std::uint64_t>(bytes.size(), kPage - in);
      auto found = content_->pages.find(page);
      if (found == content_->pages.end()) {
        std::string fresh(kPage, '\0');
        AFDG_TRY(read_below(page * kPage, kPage, fresh.data()));
        found = content_->pages.emplace(page, std::move(fresh)).first;
      }
      std::copy_n(bytes.data(), piece, found->second.data() + in);
      at += piece;
      bytes.remove_prefix(piece);
      content_->size = std::max(content_->size, at);
    }
    return {};
  }
  Status write_at(std::uint64_t at, std::span<const std::string_view> pieces) override {
    for (const std::string_view piece : pieces) {
      AFDG_TRY(write_at(at, piece));
      at += piece.size();
    }
    return {};
  }
  Status sync() override { return {}; }
  void start_write_back(std::uint64_t, std::uint64_t) override {}
  Status truncate(std::uint64_t size) override {
    content_->below_size = std::min(content_->below_size, size);
    if (size < content_->size) {
      content_->pages.erase(content_->pages.lower_bound((size + kPage - 1) / kPage), content_->pages.end());
      if (const auto last = content_->pages.find(size / kPage); last != content_->pages.end()) {
        std::fill(last->second.begin() + static_cast<std::ptrdiff_t>(size % kPage), last->second.end(), '\0');
      }
    }
    content_->size = size;
    return {};
  }
  [[nodiscard]] Result<std::uint64_t> size() const override { return content_->size; }
  [[nodiscard]] const std::string& path() const noexcept override { return path_; }

 private:
  /// Zeros where the file below does not reach.
  Status read_below(std::uint64_t at, std::size_t size, char* out) const {
    std::fill_n(out, size, '\0');
    if (!content_->below || at >= content_->below_size) return {};
    return content_->below->read_at(at, std::min<std::uint64_t>(size, content_->below_size - at), out);
  }
  const std::string path_;
  const std::shared_ptr<Content> content_;
};

class NoLock final : public store::FileLock {};

class Overlay final : public store::FileSystem {
 public:
  explicit Overlay(store::FileSystem& below) : below_(below) {}

  Result<std::unique_ptr<store::File>> open(const std::string& path, store::OpenMode mode) override {
    const bool there = exists(path);
    if (there && mode == store::OpenMode::kCreateNew)
      return fail(Code::kAlreadyExists, path + " exists already");
    if (!there && (mode == store::OpenMode::kRead || mode == store::OpenMode::kReadWrite))
      return fail(Code::kNotFound, path + " does not exist");
    auto& content = contents_[path];
    if (!content) {
      content = std::make_shared<Content>();
      if (there) {
        AFDG_ASSIGN(content->below, below_.open(below_path(path), store::OpenMode::kRead));
        AFDG_ASSIGN(content->size, content->below->size());
        content->below_size = content->size;
      }
    }
    gone_.erase(path);
    return std::unique_ptr<store::File>(std::make_unique<OverlayFile>(path, content));
  }
  [[nodiscard]] bool exists(const std::string& path) const override {
    if (contents_.contains(path) || directories_.contains(path)) return true;
    for (std::string at = path; !at.empty() && at != "/";
         at = at.substr(0, at.rfind('/') == std::string::npos ? 0 : at.rfind('/'))) {
      if (gone_.contains(at)) return false;
    }
    return below_.exists(path);
  }
  Status create_directories(const std::string& path) override {
    directories_.insert(path);
    return {};
  }
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& path) const override {
    std::set<std::string> names;
    if (auto listed = below_.list(path); listed.ok()) {
      for (auto& name : *listed) {
        if (exists(path + "/" + name)) names.insert(std::move(name));
      }
    } else if (!directories_.contains(path)) {
      return listed.error();
    }
    const std::string prefix = path + "/";
    const auto add = [&](const std::string& full) {
      if (full.starts_with(prefix))
        names.insert(full.substr(prefix.size(), full.find('/', prefix.size()) - prefix.size()));
    };
    for (const auto& [name, content] : contents_) add(name);
    for (const auto& name : directories_) add(name);
    return std::vector<std::string>(names.begin(), names.end());
  }
  Status remove(const std::string& path) override {
    if (!exists(path)) return fail(Code::kNotFound, path + " does not exist");
    contents_.erase(path);
    gone_.insert(path);
    return {};
  }
  Status remove_all(const std::string& path) override {
    const std::string prefix = path + "/";
    std::erase_if(contents_,
                  [&](const auto& one) { return one.first == path || one.first.starts_with(prefix); });
    std::erase_if(directories_, [&](const auto& one) { return one == path || one.starts_with(prefix); });
    gone_.insert(path);
    return {};
  }
  Status rename(const std::string& from, const std::string& to) override {
    AFDG_TRY(open(from, store::OpenMode::kReadWrite).status());  // it has a content now
    const auto moved = contents_.extract(from);
    contents_[to] = moved.mapped();
    gone_.insert(from);
    gone_.erase(to);
    return {};
  }
  Status sync_directory(const std::string&) override { return {}; }
  Result<std::unique_ptr<store::FileLock>> lock(const std::string&) override {
    return std::unique_ptr<store::FileLock>(std::make_unique<NoLock>());
  }
  [[nodiscard]] Result<std::uint64_t> free_bytes(const std::string&) const override {
    return std::uint64_t{1} << 40;
  }

 private:
  static const std::string& below_path(const std::string& path) { return path; }
  store::FileSystem& below_;
  std::map<std::string, std::shared_ptr<Content>> contents_;
  std::set<std::string> directories_;
  std::set<std::string> gone_;
};

}  // namespace

std::unique_ptr<store::FileSystem> make_overlay(store::FileSystem& below) {
  return std::make_unique<Overlay>(below);
}

}  // namespace afdg::server
