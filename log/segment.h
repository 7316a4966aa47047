#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "log/batch.h"
#include "log/index.h"
#include "store/file_system.h"

namespace afdg::log {

/// Goes over the batches of a file, in order, with few reads.
/// Thread-safety: confined. Ownership: the file outlives it. Bounds: buffers 64 KiB, or one batch.
/// Errors: kCorrupt (names file and position), kIo. At an error position() is where the bad batch begins.
class BatchScanner {
 public:
  enum class Depth : std::uint8_t {
    kHeaders,  ///< header fields only
    kWhole,    ///< all bytes, CRC checked
  };
  struct Span {
    std::uint64_t from;
    std::uint64_t to;
  };
  BatchScanner(const store::File& file, Span span, Depth depth, std::size_t batch_bytes_max);
  /// False at the end of the span, and at an error.
  bool next();
  /// The present batch; with kHeaders only its header fields may be asked for. Valid until next().
  [[nodiscard]] const BatchView& batch() const { return *batch_; }
  /// Where the present batch begins; after next() returned false, where it stopped.
  [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] const Status& status() const noexcept { return status_; }

 private:
  /// Makes `size` bytes from position_ available in the buffer.
  bool fill(std::size_t size);
  bool stop(Error error);
  const store::File& file_;
  std::uint64_t to_;
  Depth depth_;
  std::size_t batch_bytes_max_;
  std::uint64_t position_;
  std::uint64_t size_ = 0;
  std::string buffer_;
  std::uint64_t buffer_at_ = 0;
  std::size_t buffer_size_ = 0;
  std::optional<BatchView> batch_;
  Status status_;
};

struct SegmentOptions {
  std::uint32_t index_interval_bytes = 4096;
  std::size_t batch_bytes_max = kBatchBytesMax;
};

/// One segment: "<base>.log" with its ".index" and ".timeindex". When closed it keeps only its extent in
/// memory. Thread-safety: confined. Errors: kCorrupt (names file and position; not sticky here), kIo,
/// kDiskFull.
class Segment {
 public:
  /// `suffix` is added to the names of its three files.
  Segment(store::FileSystem& fs, std::string directory, Offset base, const SegmentOptions& options,
          std::string_view suffix = {});

  /// Creates the empty files. Errors: kAlreadyExists, kDiskFull, kIo.
  Status create();
  /// Opens file and indexes; rebuilds missing or bad indexes, with a line in `warnings` when there is one.
  /// Learns size, end and largest timestamp from the last index entry on. Errors: kCorrupt when the batches
  /// behind it do not end at the file's end.
  Status open(std::vector<std::string>* warnings = nullptr);
  /// As open(), but trusts indexes only below `trusted`, checks the CRC of every batch from there on, and
  /// ends the segment before the first bad one (the file is not yet cut). `seen` is called for each batch
  /// scanned. `torn` gets why it ended early.
  Status recover(Offset trusted, std::vector<std::string>& warnings,
                 const std::function<void(const BatchView&)>& seen, Status& torn);
  /// Cuts the file to the extent that recover() found. Returns the bytes cut.
  Result<std::uint64_t> cut_tail();
  void close();
  [[nodiscard]] bool is_open() const noexcept { return file_ != nullptr; }

  /// Writes whole batches, one or more in each piece, at the end; when that fails the file is as before,
  /// durably.
  Status append(std::span<const std::string_view> pieces);
  Status append(std::string_view batches) { return append({&batches, 1}); }
  /// Removes each batch that is not wholly below `to`; end() is then the end of the last one kept. Index
  /// files follow at flush.
  Status truncate_to(Offset to);
  /// No more is appended: gives back what was taken of the disk for that.
  Status release();
  /// Writes new index entries to their files; `last` adds the final time entry. Entries that are only added
  /// need no sync: a hole is found. Files that were rewritten or are final are put into `to_sync`.
  Status flush_indexes(bool last, std::vector<std::shared_ptr<store::File>>* to_sync);
  /// The index files hold entries that a truncation made wrong.
  [[nodiscard]] bool indexes_outdated() const noexcept { return rewrite_indexes_; }
  /// Removes the two index files: whoever opens the segment next makes them anew.
  Status remove_indexes();
  /// Removes the three files.
  Status remove();

  struct Place {
    std::uint64_t position;
    Offset previous_end;  ///< end of the batch before it, or base()
    Offset base;
    Offset next;
    std::int64_t max_timestamp;
  };
  /// The first batch whose last offset is at or above `offset`. Precondition: open, offset < end().
  Result<Place> find(Offset offset);
  /// The end of the last batch that ends within `bytes_max` of `from` and is wholly below `limit`;
  /// from.position when not even the first does (the first may be larger than bytes_max).
  struct Stop {
    std::uint64_t position;
    Offset next;
  };
  Result<Stop> find_stop(const Place& from, std::size_t bytes_max, Offset limit);
  /// Where to start looking for timestamps at or after `timestamp`: nothing before that position has one.
  Result<std::uint64_t> find_time(std::int64_t timestamp);
  /// Checks every batch and that the index entries name them. Adds to the counts. Indexes that are wrong are
  /// made anew, with a line in `warnings`. Errors: kCorrupt (of the batches).
  Status verify(std::uint64_t& batches, std::uint64_t& records, std::vector<std::string>& warnings);

  /// Whether the batches in [from, to) were found whole in the life of this process, or written by it.
  [[nodiscard]] bool checked(std::uint64_t from, std::uint64_t to) const noexcept {
    return from >= checked_from_ && to <= checked_to_;
  }
  /// Remembers that they were: one stretch, the one that was added to last.
  void note_checked(std::uint64_t from, std::uint64_t to) noexcept;

  [[nodiscard]] Offset base() const noexcept { return base_; }
  [[nodiscard]] Offset end() const noexcept { return end_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  /// -1 when it has no batch.
  [[nodiscard]] std::int64_t max_timestamp() const noexcept { return max_timestamp_; }
  /// The largest timestamp of the first batch; -1 when there is none.
  [[nodiscard]] std::int64_t first_timestamp() const noexcept { return first_timestamp_; }
  [[nodiscard]] Offset max_timestamp_offset() const noexcept { return max_timestamp_offset_; }
  [[nodiscard]] const std::shared_ptr<store::File>& file() const noexcept { return file_; }
  [[nodiscard]] const std::string& log_path() const noexcept { return log_path_; }
  [[nodiscard]] const std::string& index_path() const noexcept { return index_path_; }
  [[nodiscard]] const std::string& time_index_path() const noexcept { return time_index_path_; }

 private:
  Status load(std::vector<std::string>* warnings);
  /// Takes room for these and more at once, an eighth of what it has: looking for it block by block costs a
  /// tenth of an append.
  void preallocate(std::span<const std::string_view> pieces);
  Status load_indexes(std::string& problem);
  /// Goes from the last index entry to the end of the file by headers.
  Status walk_tail();
  Status rebuild_indexes();
  /// Reads the first batch's header, which the indexes may have let be passed over.
  Status learn_first();
  /// Takes a batch that is in the file into indexes and extent.
  void take(const BatchView& header, std::uint64_t position, std::uint64_t size);
  void forget();
  /// ok when the batch at the entry's position is the one the entry names.
  Status check_entry(const OffsetIndex::Entry& entry) const;
  /// The position of an entry that was found true; rebuilds the indexes and asks again when it is not.
  template <typename Ask>
  Result<std::uint64_t> trusted_position(Ask ask);
  /// ok when a batch may stand where another ended.
  [[nodiscard]] Status follows(const BatchView& header, std::uint64_t position, Offset end) const;
  [[nodiscard]] BatchScanner scan(std::uint64_t from, BatchScanner::Depth depth) const;
  [[nodiscard]] Error damaged(std::uint64_t position, const std::string& why) const;

  store::FileSystem* fs_;
  SegmentOptions options_;
  Offset base_;
  std::string log_path_;
  std::string index_path_;
  std::string time_index_path_;
  std::shared_ptr<store::File> file_;
  OffsetIndex index_;
  TimeIndex time_index_;
  std::size_t index_flushed_ = 0;  ///< entries that the index file holds
  std::size_t time_index_flushed_ = 0;
  bool rewrite_indexes_ = false;  ///< the files hold other entries: write them anew
  std::uint64_t bytes_since_index_ = 0;
  Offset end_;
  std::uint64_t bytes_ = 0;
  std::int64_t max_timestamp_ = -1;
  Offset max_timestamp_offset_{-1};
  std::int64_t first_timestamp_ = -1;
  std::uint64_t checked_from_ = 0;
  std::uint64_t checked_to_ = 0;
  std::uint64_t preallocated_ = 0;  ///< up to there
};

/// "00000000000000000042", the stem of a segment's files (Kafka's names).
[[nodiscard]] std::string segment_stem(Offset base);
/// The base offset that a ".log" file's name says, if it is one.
[[nodiscard]] std::optional<Offset> segment_base(std::string_view file_name);

}  // namespace afdg::log
