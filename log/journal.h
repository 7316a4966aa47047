#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "log/journal_core.h"
#include "store/file_system.h"

namespace afdg::log {

/// What reading a journal found.
struct JournalEnd {
  JournalPosition first;  ///< where the first frame stands; the head when there is none
  JournalPosition head;   ///< where the next commit may go
  std::uint64_t frames = 0;
  std::uint64_t bytes_cut = 0;  ///< of a last commit that is not whole
};

/// Called for each whole frame, in order. An error ends the reading.
using VisitFrame = std::function<Status(const FrameView&)>;

/// Reads frames from `from` until the first that is not there whole. `synced_number` is what is known to have
/// been synced. Errors: kCorrupt (damage before a commit that was synced; names file and byte), kNewerFormat,
/// kIo, and what `visit` returns. Bounds: one frame in memory.
[[nodiscard]] Result<JournalEnd> read_journal(const store::File& file, std::uint64_t journal_id,
                                              const JournalPosition& from, std::uint64_t synced_number,
                                              const VisitFrame& visit);

struct JournalOptions {
  std::uint64_t bytes_max = 128u << 20;    ///< size when grown
  std::uint64_t bytes_initial = 8u << 20;  ///< zero-filled before the first commit; the rest while idle
  bool skip_sync = false;                  ///< planted bug, for tests of the tests
};

/// The journal's file: zero-filled, recycled, one write and one sync a commit.
/// Thread-safety: confined (its owner's commit lock). Ownership: owns the file. Errors: kIo is fatal for the
/// process; kDiskFull leaves the head where it was, and the same frame may be tried again.
class Journal {
 public:
  /// Makes a new file, replacing any other. Durable on return. Errors: kDiskFull, kUnwritable, kIo.
  static Result<std::unique_ptr<Journal>> create(store::FileSystem& fs, const std::string& path,
                                                 std::uint64_t journal_id, const JournalOptions& options);
  /// Errors: kCorrupt (missing, other id, damaged header), kNewerFormat, kIo.
  static Result<std::unique_ptr<Journal>> open(store::FileSystem& fs, const std::string& path,
                                               std::uint64_t journal_id, const JournalOptions& options);
  /// Reads what is to be replayed; may be called more than once, before resume().
  [[nodiscard]] Result<JournalEnd> replay(const JournalPosition& from, std::uint64_t synced_number,
                                          const VisitFrame& visit) const;
  /// Makes what was read durable (a killed process may have left it in the page cache only) and gets ready to
  /// commit.
  Status resume(const JournalEnd& end);

  /// Makes the payload, which these are the pieces of, durable as the next commit. Precondition: has_room().
  /// Errors: kDiskFull, kIo.
  Status commit(std::span<const JournalPiece> payload, std::uint32_t records);
  [[nodiscard]] bool has_room(std::size_t payload) const { return core_.place(payload).has_value(); }
  /// The frame after the last commit.
  [[nodiscard]] const JournalPosition& head() const noexcept { return core_.head(); }
  void release(const JournalPosition& tail) { core_.release(tail); }
  [[nodiscard]] const JournalCore& core() const noexcept { return core_; }

  /// Zero-fills and syncs a little more of the file. False when it has its size. Errors: kDiskFull (it stays
  /// as it is), kIo.
  Result<bool> grow();
  [[nodiscard]] bool full_grown() const noexcept { return core_.capacity() >= options_.bytes_max; }

 private:
  /// Where a frame is put together, aligned for a write past the page cache. Bounds: keeps kKeptBytes.
  class FrameBuffer {
   public:
    char* reserve(std::size_t bytes);
    void release_large() noexcept;

   private:
    static constexpr std::size_t kKeptBytes = 2u << 20;
    struct Free {
      void operator()(char* memory) const noexcept {
        ::operator delete(memory, std::align_val_t(store::kDirectBytes));
      }
    };
    std::unique_ptr<char, Free> memory_;
    std::size_t capacity_ = 0;
  };
  Journal(std::unique_ptr<store::File> file, std::uint64_t journal_id, std::uint64_t capacity,
          const JournalOptions& options);
  std::unique_ptr<store::File> file_;
  JournalOptions options_;
  JournalCore core_;
  FrameBuffer frame_;
};

}  // namespace afdg::log
