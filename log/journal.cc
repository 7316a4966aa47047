#include "log/journal.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/codec.h"
#include "log/synced.h"

namespace afdg::log {
namespace {

constexpr std::uint64_t kGrowBytes = 256u << 10;
/// How far behind the end later commits are looked for; a damaged commit is at most a few of these from its
/// successor.
constexpr std::uint64_t kDamageScanBytes = 8u << 20;
/// Commits that could have followed a damaged one.
constexpr std::uint64_t kDamageScanNumbers = 1u << 20;

std::uint64_t usable(std::uint64_t bytes) { return bytes / kJournalBlock * kJournalBlock; }

std::string where(const store::File& file, const JournalPosition& p) {
  return file.path() + ": commit " + std::to_string(p.number) + " at byte " + std::to_string(p.at);
}

Error named(const store::File& file, const Error& error) {
  return fail(error.code(), file.path() + ": " + error.text());
}

Status fill(store::File& file, std::uint64_t from, std::uint64_t to) {
  const std::string zeros(static_cast<std::size_t>(std::min<std::uint64_t>(1u << 20, to - from)), '\0');
  for (std::uint64_t at = from; at < to; at += zeros.size()) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), to - at));
    AFDG_TRY(file.write_at(at, std::string_view(zeros).substr(0, size)));
  }
  return file.sync();  // may fail with kDiskFull: whoever tries again writes all of it again
}

class FrameReader {
 public:
  FrameReader(const store::File& file, std::uint64_t id, std::uint64_t size)
      : file_(file), id_(id), size_(size) {}

  /// What stands at `at`; the view lives until the next call.
  Result<FrameCheck> check(const JournalPosition& at, FrameView& out) {
    FrameHeader header{};
    AFDG_ASSIGN(const bool there, read_header(at.at, header));
    if (!there || !plausible(header, id_, at.at) || header.lap != at.lap || header.number != at.number) {
      return FrameCheck::kAbsent;
    }
    const std::size_t whole = kFrameHeaderBytes + header.length;
    damaged_bytes_ = frame_bytes(header.length);
    if (at.at + whole > size_) return FrameCheck::kDamaged;
    buffer_.resize(whole);
    AFDG_TRY(file_.read_at(at.at, whole, buffer_.data()));
    return check_frame(buffer_, id_, at, out);
  }

  /// A whole frame with a higher number, which proves that `missing` was synced once.
  Result<bool> later_exists(const JournalPosition& missing, JournalPosition& found) {
    AFDG_ASSIGN(const bool behind, scan(missing.at, missing, found));
    if (behind) return true;
    return scan(kJournalStart, missing, found);
  }

  [[nodiscard]] std::uint64_t damaged_bytes() const { return damaged_bytes_; }

 private:
  Result<bool> read_header(std::uint64_t at, FrameHeader& header) {
    if (at + kFrameHeaderBytes > size_) return false;
    char bytes[kFrameHeaderBytes];
    AFDG_TRY(file_.read_at(at, sizeof bytes, bytes));
    header = read_frame_header({bytes, sizeof bytes});
    return true;
  }

  Result<bool> scan(std::uint64_t from, const JournalPosition& missing, JournalPosition& found) {
    const std::uint64_t end = std::min(size_, from + kDamageScanBytes);
    for (std::uint64_t at = from; at < end; at += kJournalBlock) {
      FrameHeader header{};
      AFDG_ASSIGN(const bool there, read_header(at, header));
      if (!there) return false;
      if (!plausible(header, id_, at) || header.number <= missing.number ||
          header.number > missing.number + kDamageScanNumbers || header.lap < missing.lap ||
          header.lap > missing.lap + 1) {
        continue;
      }
      FrameView view;
      const JournalPosition here{header.lap, header.number, at};
      AFDG_ASSIGN(const FrameCheck what, check(here, view));
      if (what == FrameCheck::kValid || what == FrameCheck::kNewer) {
        found = here;
        return true;
      }
    }
    return false;
  }

  const store::File& file_;
  std::uint64_t id_;
  std::uint64_t size_;
  std::string buffer_;
  std::uint64_t damaged_bytes_ = 0;
};

}  // namespace

Result<JournalEnd> read_journal(const store::File& file, std::uint64_t journal_id,
                                const JournalPosition& from, std::uint64_t synced_number,
                                const VisitFrame& visit) {
  AFDG_ASSIGN(const std::uint64_t size, file.size());
  FrameReader reader(file, journal_id, size);
  JournalEnd end;
  end.first = end.head = from;
  for (;;) {
    FrameView view;
    const JournalPosition wrapped{end.head.lap + 1, end.head.number, kJournalStart};
    AFDG_ASSIGN(FrameCheck what, reader.check(end.head, view));
    bool torn = what == FrameCheck::kDamaged;
    std::uint64_t torn_bytes = torn ? reader.damaged_bytes() : 0;
    if (what != FrameCheck::kValid && what != FrameCheck::kNewer) {
      AFDG_ASSIGN(what, reader.check(wrapped, view));
      if (what == FrameCheck::kDamaged) {
        torn = true;
        torn_bytes = reader.damaged_bytes();
      }
    }
    if (what == FrameCheck::kNewer) {
      return fail(Code::kNewerFormat,
                  where(file, end.head) + " was written by a newer version: start the newer program");
    }
    if (what == FrameCheck::kValid) {
      if (end.frames == 0) end.first = view.position;
      AFDG_TRY(visit(view));
      ++end.frames;
      end.head = JournalPosition{view.position.lap, view.position.number + 1,
                                 view.position.at + frame_bytes(view.payload.size())};
      continue;
    }
    if (end.head.number <= synced_number) {
      return fail(Code::kCorrupt, where(file, end.head) + " is damaged or missing, although commits up to " +
                                      std::to_string(synced_number) +
                                      " were synced: restore the directory, or copy it again");
    }
    JournalPosition later;
    AFDG_ASSIGN(const bool damaged, reader.later_exists(end.head, later));
    if (damaged) {
      return fail(Code::kCorrupt, where(file, end.head) + " is damaged, although commit " +
                                      std::to_string(later.number) + " after it at byte " +
                                      std::to_string(later.at) +
                                      " is whole: restore the directory, or copy it again");
    }
    end.bytes_cut = torn ? torn_bytes : 0;
    if (end.frames == 0) end.first = end.head;
    return end;
  }
}

Journal::Journal(std::unique_ptr<store::File> file, std::uint64_t journal_id, std::uint64_t capacity,
                 const JournalOptions& options)
    : file_(std::move(file)), options_(options), core_({journal_id, capacity}, {}, {}) {
  file_->bypass_cache();  // nobody reads it before the next start
}

char* Journal::FrameBuffer::reserve(std::size_t bytes) {
  if (bytes > capacity_) {
    capacity_ = (bytes + store::kDirectBytes - 1) / store::kDirectBytes * store::kDirectBytes;
    memory_.reset();
    memory_.reset(static_cast<char*>(::operator new(capacity_, std::align_val_t(store::kDirectBytes))));
  }
  return memory_.get();
}

void Journal::FrameBuffer::release_large() noexcept {
  if (capacity_ <= kKeptBytes) return;
  memory_.reset();
  capacity_ = 0;
}

Result<std::unique_ptr<Journal>> Journal::create(store::FileSystem& fs, const std::string& path,
                                                 std::uint64_t journal_id, const JournalOptions& options) {
  AFDG_ASSIGN(auto file, fs.open(path, store::OpenMode::kCreate));
  AFDG_TRY(file->truncate(0));
  const std::uint64_t capacity =
      std::max(usable(std::min(options.bytes_initial, options.bytes_max)), kJournalStart + 4 * kJournalBlock);
  AFDG_TRY(file->write_at(0, encode_journal_header(journal_id)));
  AFDG_TRY(fill(*file, kJournalStart, capacity));
  const auto slash = path.rfind('/');
  AFDG_TRY(fs.sync_directory(slash == std::string::npos ? "." : path.substr(0, slash)));
  return std::unique_ptr<Journal>(new Journal(std::move(file), journal_id, capacity, options));
}

Result<std::unique_ptr<Journal>> Journal::open(store::FileSystem& fs, const std::string& path,
                                               std::uint64_t journal_id, const JournalOptions& options) {
  auto file = fs.open(path, store::OpenMode::kReadWrite);
  if (file.code() == Code::kNotFound) {
    return fail(Code::kCorrupt, path + ": the journal is missing: restore the directory, or copy it again");
  }
  AFDG_TRY(file.status());
  AFDG_ASSIGN(const std::uint64_t size, (*file)->size());
  std::string block(static_cast<std::size_t>(std::min(size, kJournalBlock)), '\0');
  AFDG_TRY((*file)->read_at(0, block.size(), block.data()));
  auto id = decode_journal_header(block);
  if (!id.ok()) return named(**file, id.error());
  if (*id != journal_id) {
    return fail(Code::kCorrupt,
                path +
                    ": the journal is not the one of the recovery point: files of two directories "
                    "were mixed; restore the directory");
  }
  const std::uint64_t capacity = std::max(usable(size), kJournalStart + kJournalBlock);
  return std::unique_ptr<Journal>(new Journal(std::move(file).value(), journal_id, capacity, options));
}

Result<JournalEnd> Journal::replay(const JournalPosition& from, std::uint64_t synced_number,
                                   const VisitFrame& visit) const {
  return read_journal(*file_, core_.journal_id(), from, synced_number, visit);
}

Status Journal::resume(const JournalEnd& end) {
  AFDG_TRY(synced(file_->sync()));
  core_ = JournalCore({core_.journal_id(), core_.capacity()}, end.first, end.head);
  return {};
}

Status Journal::commit(std::span<const JournalPiece> payload, std::uint32_t records) {
  std::size_t length = 0;
  for (const JournalPiece& piece : payload) length += piece.bytes.size();
  const auto at = core_.place(length);
  AFDG_ASSERT(at.has_value(), "a commit without room");
  const std::uint64_t size = frame_bytes(length);
  char* const frame = frame_.reserve(size);
  char* out = frame + kFrameHeaderBytes;
  for (const JournalPiece& piece : payload) out = std::copy(piece.bytes.begin(), piece.bytes.end(), out);
  std::fill(out, frame + size, '\0');
  const auto header = core_.seal(payload, records, *at);
  std::copy(header.begin(), header.end(), frame);
  AFDG_TRY(file_->write_at(at->at, {frame, size}));
  frame_.release_large();
  if (!options_.skip_sync) AFDG_TRY(synced(file_->sync()));
  core_.committed(*at, size);
  return {};
}

Result<bool> Journal::grow() {
  if (full_grown()) return false;
  const std::uint64_t from = core_.capacity();
  const std::uint64_t to = std::max(std::min(usable(options_.bytes_max), from + kGrowBytes), from);
  if (to == from) return false;
  AFDG_TRY(fill(*file_, from, to));
  core_.grow(to);
  return true;
}

}  // namespace afdg::log
