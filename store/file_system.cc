#include "store/file_system.h"

namespace afdg::store {
namespace {

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Status FileSystem::replace_file(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  auto written = [&]() -> Status {
    AFDG_ASSIGN(auto file, open(temporary, OpenMode::kCreate));
    AFDG_TRY(file->truncate(0));  // the rest of an attempt that a crash cut short
    AFDG_TRY(file->write_at(0, content));
    return file->sync();
  }();
  if (written.ok()) written = rename(temporary, path);
  if (!written.ok()) {
    remove(temporary).ignore(
        "the first error is the one to report; the next replace_file truncates the rest");
    return written;
  }
  return sync_directory(parent_of(path));
}

Result<std::string> FileSystem::read_file(const std::string& path, std::uint64_t bytes_max) {
  AFDG_ASSIGN(auto file, open(path, OpenMode::kRead));
  AFDG_ASSIGN(const std::uint64_t size, file->size());
  if (size > bytes_max) {
    return fail(Code::kMessageTooLarge, path + " has " + std::to_string(size) + " bytes, more than the " +
                                            std::to_string(bytes_max) +
                                            " that such a file may have: it is not what it should be");
  }
  std::string content(size, '\0');
  AFDG_TRY(file->read_at(0, size, content.data()));
  return content;
}

}  // namespace afdg::store
