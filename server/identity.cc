#include "server/identity.h"

#include <cstdio>

#include "base/codec.h"
#include "log/log.h"

namespace afdg::server {
namespace {

constexpr unsigned kFormat = 1;

}  // namespace

Result<std::unique_ptr<DataDirectory>> DataDirectory::open(store::FileSystem& fs, const std::string& path,
                                                           Random& random) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory(fs, path));
  if (const Status made = fs.create_directories(path); !made.ok()) {
    // Whatever the reason, there is no place for data there.
    return fail(made.code() == Code::kDiskFull ? Code::kDiskFull : Code::kUnwritable, made.error().text());
  }
  AFDG_ASSIGN(directory->lock_, fs.lock(path + "/lock"));
  // A start on a full disk takes what was kept for it.
  if (const auto left = fs.free_bytes(path); left.ok() && *left < kStartBytes)
    AFDG_TRY(log::Log::release_reserve(fs, directory->log_path()));
  if (fs.exists(path + "/node")) {
    AFDG_TRY(directory->read());
    directory->used_ = true;
  } else {
    for (const char* other : {"/log", "/store", "/catalog"}) {
      if (fs.exists(path + other)) {
        return fail(Code::kCorrupt, path + "/node is missing, but " + path + other +
                                        " is there: restore the file from a copy of the directory");
      }
    }
    directory->incarnation_ = Incarnation(random.next() | 1);
  }
  AFDG_TRY(directory->write(false));
  return directory;
}

Result<std::unique_ptr<DataDirectory>> DataDirectory::inspect(store::FileSystem& fs,
                                                              const std::string& path) {
  std::unique_ptr<DataDirectory> directory(new DataDirectory(fs, path));
  if (!fs.exists(path))
    return fail(Code::kNotFound, path + " does not exist: name the data directory of a node");
  if (!fs.exists(path + "/node"))
    return fail(Code::kNotFound, path + " is no data directory of a node: it has no file 'node'");
  // Nothing is made here, the lock's file included: a node that runs has it.
  if (fs.exists(path + "/lock")) {
    AFDG_ASSIGN(directory->lock_, fs.lock(path + "/lock"));
  }
  AFDG_TRY(directory->read());
  directory->used_ = true;
  return directory;
}

// ON DISK since version 1: lines of text, then the CRC-32C of all bytes before its line.
Status DataDirectory::write(bool clean) {
  char text[256];
  std::snprintf(text, sizeof text, "afdg-node %u\ndirectory %016llx\nnode %d\nclean %d\n", kFormat,
                static_cast<unsigned long long>(incarnation_.value()), node_.value(), clean ? 1 : 0);
  std::string content = text;
  std::snprintf(text, sizeof text, "crc %08x\n", crc32c(content));
  return fs_.replace_file(path_ + "/node", content + text);
}

Status DataDirectory::read() {
  const std::string file = path_ + "/node";
  AFDG_ASSIGN(const std::string content, fs_.read_file(file, 4096));
  unsigned format = 0, crc = 0;
  unsigned long long directory = 0;
  int node = 0, clean = 0;
  if (std::sscanf(content.c_str(), "afdg-node %u\n", &format) == 1 && format > kFormat &&
      content.starts_with("afdg-node ")) {
    return fail(Code::kNewerFormat, file + " has format " + std::to_string(format) +
                                        " and this version reads " + std::to_string(kFormat) +
                                        ": start a newer version");
  }
  const std::size_t crc_at = content.rfind("crc ");
  const bool parsed = std::sscanf(content.c_str(), "afdg-node %u\ndirectory %llx\nnode %d\nclean %d\ncrc %x",
                                  &format, &directory, &node, &clean, &crc) == 5;
  if (!parsed || crc_at == std::string::npos || crc32c(std::string_view(content).substr(0, crc_at)) != crc ||
      directory == 0) {
    return fail(Code::kCorrupt,
                file + " is damaged: restore it from a copy of the directory; nothing was changed");
  }
  incarnation_ = Incarnation(directory);
  node_ = NodeId(node);
  clean_ = clean == 1;
  return {};
}

Status DataDirectory::check_log() const {
  if (fs_.exists(log_path()) || !fs_.exists(store_path() + "/CURRENT")) return {};
  return fail(Code::kCorrupt,
              log_path() + " is missing, but " + store_path() +
                  " is there: restore the log from a copy of the directory; nothing was changed");
}

Status DataDirectory::set_node(NodeId node) {
  if (node == node_) return {};
  node_ = node;
  return write(false);
}

Status DataDirectory::set_clean() { return write(true); }

}  // namespace afdg::server
