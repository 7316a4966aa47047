#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace afdg::store {

/// What a crash leaves of the changes that were never synced.
enum class Survival : std::uint8_t {
  kNothing,     ///< exactly what was synced
  kEverything,  ///< all of it, as if the disk had just finished
  kAnySubset,   ///< any part of it, chosen by the seed
};

/// A file or a directory of a DiskImage, with what the process sees and what a crash surely leaves.
struct DiskNode {
  struct Write {
    std::uint64_t at = 0;  ///< the new size, when it is a truncation
    std::string bytes;
    bool truncation = false;
  };
  /// One change of names in this directory. A rename between directories is one change in both, with the same
  /// number.
  struct NameChange {
    std::uint64_t number = 0;
    std::vector<std::pair<std::string, std::shared_ptr<DiskNode>>> edits;  ///< a null node removes the name
    std::weak_ptr<DiskNode> partner;
  };
  using Names = std::map<std::string, std::shared_ptr<DiskNode>, std::less<>>;

  bool directory = false;
  std::string content;  ///< of a file, as the process sees it
  std::string durable;  ///< of a file, as of its last sync
  std::vector<Write> unsynced;
  Names names;  ///< of a directory, as the process sees it
  Names durable_names;
  std::deque<NameChange> unsynced_names;
};

using DiskNodePtr = std::shared_ptr<DiskNode>;

/// The model of a disk with a cache that a crash loses: no faults, no handles, no paths' syntax.
///
///     write ---> content  (seen at once)          create, rename, remove ---> names
///        \-----> unsynced --sync--> durable            \--> unsynced_names --sync_names--> durable_names
///
/// A crash keeps of `unsynced` any subset, each write whole, not at all, or torn between 512-byte sectors of
/// the file; the size may have grown although the data is lost (zeros). Of `unsynced_names` it keeps a prefix
/// of each directory's changes. Thread-safety: confined. Bounds: memory, several times the content.
class DiskImage {
 public:
  static constexpr std::uint64_t kSectorBytes = 512;

  DiskImage();
  /// A copy that shares nothing, unsynced changes included.
  [[nodiscard]] DiskImage clone() const;

  [[nodiscard]] const DiskNodePtr& root() const noexcept { return root_; }
  [[nodiscard]] static DiskNodePtr make_file();
  [[nodiscard]] static DiskNodePtr make_directory();
  /// Bytes of all files that have a name.
  [[nodiscard]] std::uint64_t bytes() const;

  static void write(DiskNode& file, std::uint64_t at, std::string_view bytes);
  static void truncate(DiskNode& file, std::uint64_t size);
  static void sync(DiskNode& file);
  /// What Linux does when a sync fails: each unsynced write has reached the disk or never will, whatever is
  /// synced later.
  static void lose_some(DiskNode& file, Random& random);

  /// Sets (or, with a null node, removes) a name.
  void set_name(const DiskNodePtr& directory, const std::string& name, DiskNodePtr node);
  void rename(const DiskNodePtr& from_directory, const std::string& from, const DiskNodePtr& to_directory,
              const std::string& to);
  static void sync_names(DiskNode& directory);

  /// Content and names become what survives; nothing is unsynced afterwards.
  void crash(Survival survival, Random& random);

 private:
  static void keep_names(DiskNode& directory, std::uint64_t last_number);

  DiskNodePtr root_;
  std::uint64_t name_changes_ = 0;
};

}  // namespace afdg::store
