#include "region/lane_note.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace afdg::region {

// ON DISK, little endian as the machine is: it never leaves it.
struct LaneNotes::Slot {
  std::uint64_t grid;
  std::int64_t offset;
  std::int32_t region;
  std::uint32_t runs;
  char unused[40];  // a cache line each
};
struct LaneNotes::File {
  char magic[8];
  std::uint32_t next_death;
  volatile sig_atomic_t signal;
  char unused[48];
  Slot slots[kLanesMax];
  Death deaths[kDeathsMax];
};

namespace {

constexpr char kMagic[8] = {'a', 'f', 'd', 'g', 'r', 'u', 'n', '1'};
constexpr int kSignals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE};
volatile sig_atomic_t* marked = nullptr;

void leave_mark(int number) {
  if (marked != nullptr) *marked = number;
  // SA_RESETHAND has put the default back: the signal ends the process as it would have.
  ::raise(number);
}

Error refused(const std::string& path, const char* what) {
  const int number = errno;
  const Code code = number == ENOSPC                      ? Code::kDiskFull
                    : number == EACCES || number == EROFS ? Code::kUnwritable
                                                          : Code::kIo;
  return fail(code,
              path + ": cannot " + what + " (" + std::strerror(number) + "): mend that and start again");
}

}  // namespace

Result<std::unique_ptr<LaneNotes>> LaneNotes::open(const std::string& path, bool handle_signals) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return refused(path, "open it");
  struct stat info {};
  if (::fstat(descriptor, &info) != 0 ||
      (info.st_size != static_cast<off_t>(sizeof(File)) &&
       (::ftruncate(descriptor, 0) != 0 || ::posix_fallocate(descriptor, 0, sizeof(File)) != 0))) {
    const Error error = refused(path, "give it its size");
    ::close(descriptor);
    return error;
  }
  void* mapped = ::mmap(nullptr, sizeof(File), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  const Error failed = refused(path, "map it");
  ::close(descriptor);
  if (mapped == MAP_FAILED) return failed;
  std::unique_ptr<LaneNotes> notes(new LaneNotes(static_cast<File*>(mapped)));
  notes->count_deaths();
  if (handle_signals) {
    marked = &notes->file_->signal;
    struct sigaction action {};
    action.sa_handler = leave_mark;
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (const int number : kSignals) ::sigaction(number, &action, nullptr);
  }
  return notes;
}

LaneNotes::~LaneNotes() {
  if (marked == &file_->signal) marked = nullptr;
  ::munmap(file_, sizeof(File));
}

void LaneNotes::count_deaths() {
  if (std::memcmp(file_->magic, kMagic, sizeof kMagic) != 0) {
    std::memset(static_cast<void*>(file_), 0, sizeof(File));
    std::memcpy(file_->magic, kMagic, sizeof kMagic);
    return;
  }
  if (file_->signal != 0) {
    for (const Slot& slot : file_->slots) {
      if (slot.runs == 0) continue;
      Death* found = nullptr;
      for (Death& death : file_->deaths) {
        if (death.count != 0 && death.grid == slot.grid && death.region == slot.region &&
            death.offset == slot.offset)
          found = &death;
      }
      if (found == nullptr) {
        found = &file_->deaths[file_->next_death % kDeathsMax];
        file_->next_death = (file_->next_death + 1) % kDeathsMax;
        *found = {slot.grid, slot.offset, slot.region, 0};
      }
      ++found->count;
    }
  }
  for (Slot& slot : file_->slots) slot.runs = 0;
  file_->signal = 0;
  for (const Death& death : file_->deaths) {
    if (death.count != 0) known_.push_back(death);
  }
}

void LaneNotes::running(std::size_t lane, GridId grid, RegionId region, Offset offset) noexcept {
  Slot& slot = file_->slots[lane % kLanesMax];
  slot.grid = grid.value();
  slot.region = region.value();
  slot.offset = offset.value();
  std::atomic_signal_fence(std::memory_order_release);
  slot.runs = 1;
  std::atomic_signal_fence(std::memory_order_release);
}

void LaneNotes::ended(std::size_t lane) noexcept {
  std::atomic_signal_fence(std::memory_order_release);
  file_->slots[lane % kLanesMax].runs = 0;
}

int LaneNotes::deaths(GridId grid, RegionId region, Offset offset) const noexcept {
  for (const Death& death : known_) {
    if (death.grid == grid.value() && death.region == region.value() && death.offset == offset.value()) {
      return static_cast<int>(death.count);
    }
  }
  return 0;
}

}  // namespace afdg::region
