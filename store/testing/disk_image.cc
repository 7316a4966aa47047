#include "store/testing/disk_image.h"

#include <algorithm>
#include <deque>
#include <set>
#include <unordered_map>
#include <utility>

namespace afdg::store {
namespace {

void write_into(std::string& content, std::uint64_t at, std::string_view bytes) {
  if (bytes.empty()) return;
  if (content.size() < at + bytes.size()) content.resize(at + bytes.size());
  std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(at));
}

void apply_whole(std::string& content, const DiskNode::Write& write) {
  if (write.truncation) {
    content.resize(write.at);
  } else {
    write_into(content, write.at, write.bytes);
  }
}

std::size_t first_sector_bytes(const DiskNode::Write& write) {
  const std::uint64_t into = write.at % DiskImage::kSectorBytes;
  return static_cast<std::size_t>(
      std::min<std::uint64_t>(DiskImage::kSectorBytes - into, write.bytes.size()));
}

/// Keeps some sectors: a prefix of them, or each by its own luck.
void apply_torn(std::string& content, const DiskNode::Write& write, Random& random) {
  const bool prefix = random.next() % 2 == 0;
  std::string_view bytes = write.bytes;
  std::uint64_t at = write.at;
  std::size_t sector = first_sector_bytes(write);
  const std::uint64_t sectors = bytes.size() / DiskImage::kSectorBytes + 2;
  std::uint64_t kept = prefix ? random.next() % sectors : 0;
  while (!bytes.empty()) {
    const bool keep = prefix ? kept > 0 : random.next() % 2 == 0;
    if (kept > 0) --kept;
    if (keep) write_into(content, at, bytes.substr(0, sector));
    at += sector;
    bytes.remove_prefix(sector);
    sector = std::min<std::size_t>(DiskImage::kSectorBytes, bytes.size());
  }
}

/// The size is the file's metadata: it can survive where the data does not.
void maybe_grow(std::string& content, const DiskNode::Write& write, Random& random) {
  const std::uint64_t end = write.at + write.bytes.size();
  if (content.size() < end && random.next() % 4 == 0) content.resize(end);
}

void apply_some(std::string& content, const DiskNode::Write& write, Random& random) {
  switch (random.next() % 3) {
    case 0:
      apply_whole(content, write);
      break;
    case 1:
      if (!write.truncation) maybe_grow(content, write, random);
      break;
    default:
      if (write.truncation) {
        apply_whole(content, write);
      } else {
        apply_torn(content, write, random);
        maybe_grow(content, write, random);
      }
      break;
  }
}

void crash_file(DiskNode& file, Survival survival, Random& random) {
  bool keep_all = survival == Survival::kEverything;
  bool keep_none = survival == Survival::kNothing;
  if (survival == Survival::kAnySubset && !file.unsynced.empty()) {
    // The two extremes are likelier than chance would make them: bugs live there.
    const std::uint64_t luck = random.next() % 8;
    keep_all = luck == 0;
    keep_none = luck == 1;
  }
  for (const auto& write : file.unsynced) {
    if (keep_none) break;
    if (keep_all) {
      apply_whole(file.durable, write);
    } else {
      apply_some(file.durable, write, random);
    }
  }
  file.unsynced.clear();
  file.content = file.durable;
}

}  // namespace

DiskImage::DiskImage() : root_(make_directory()) {}

DiskNodePtr DiskImage::make_file() { return std::make_shared<DiskNode>(); }

DiskNodePtr DiskImage::make_directory() {
  auto node = std::make_shared<DiskNode>();
  node->directory = true;
  return node;
}

DiskImage DiskImage::clone() const {
  std::unordered_map<const DiskNode*, DiskNodePtr> copies;
  std::deque<const DiskNode*> waiting;
  const auto copy_of = [&](const DiskNodePtr& node) -> DiskNodePtr {
    if (!node) return nullptr;
    auto& copy = copies[node.get()];
    if (!copy) {
      copy = std::make_shared<DiskNode>();
      waiting.push_back(node.get());
    }
    return copy;
  };
  DiskImage image;
  image.name_changes_ = name_changes_;
  image.root_ = copy_of(root_);
  while (!waiting.empty()) {
    const DiskNode& from = *waiting.front();
    waiting.pop_front();
    DiskNode& to = *copies.at(&from);
    to.directory = from.directory;
    to.content = from.content;
    to.durable = from.durable;
    to.unsynced = from.unsynced;
    for (const auto& [name, node] : from.names) to.names.emplace(name, copy_of(node));
    for (const auto& [name, node] : from.durable_names) to.durable_names.emplace(name, copy_of(node));
    for (const auto& change : from.unsynced_names) {
      auto& copied = to.unsynced_names.emplace_back();
      copied.number = change.number;
      for (const auto& [name, node] : change.edits) copied.edits.emplace_back(name, copy_of(node));
      copied.partner = copy_of(change.partner.lock());
    }
  }
  return image;
}

std::uint64_t DiskImage::bytes() const {
  std::uint64_t sum = 0;
  std::vector<const DiskNode*> waiting{root_.get()};
  while (!waiting.empty()) {
    const DiskNode* node = waiting.back();
    waiting.pop_back();
    sum += node->content.size();
    for (const auto& [name, below] : node->names) waiting.push_back(below.get());
  }
  return sum;
}

void DiskImage::write(DiskNode& file, std::uint64_t at, std::string_view bytes) {
  if (bytes.empty()) return;
  write_into(file.content, at, bytes);
  file.unsynced.push_back({at, std::string(bytes), false});
}

void DiskImage::truncate(DiskNode& file, std::uint64_t size) {
  file.content.resize(size);
  file.unsynced.push_back({size, {}, true});
}

void DiskImage::sync(DiskNode& file) {
  for (const auto& write : file.unsynced) apply_whole(file.durable, write);
  file.unsynced.clear();
}

void DiskImage::lose_some(DiskNode& file, Random& random) {
  for (const auto& write : file.unsynced) apply_some(file.durable, write, random);
  file.unsynced.clear();
}

void DiskImage::set_name(const DiskNodePtr& directory, const std::string& name, DiskNodePtr node) {
  if (node) {
    directory->names[name] = node;
  } else {
    directory->names.erase(name);
  }
  directory->unsynced_names.push_back({++name_changes_, {{name, std::move(node)}}, {}});
}

void DiskImage::rename(const DiskNodePtr& from_directory, const std::string& from,
                       const DiskNodePtr& to_directory, const std::string& to) {
  const DiskNodePtr node = from_directory->names.at(from);
  const std::uint64_t number = ++name_changes_;
  from_directory->names.erase(from);
  to_directory->names[to] = node;
  if (from_directory == to_directory) {
    from_directory->unsynced_names.push_back({number, {{from, nullptr}, {to, node}}, {}});
  } else {
    from_directory->unsynced_names.push_back({number, {{from, nullptr}}, to_directory});
    to_directory->unsynced_names.push_back({number, {{to, node}}, from_directory});
  }
}

void DiskImage::keep_names(DiskNode& directory, std::uint64_t last_number) {
  while (!directory.unsynced_names.empty() && directory.unsynced_names.front().number <= last_number) {
    const DiskNode::NameChange change = std::move(directory.unsynced_names.front());
    directory.unsynced_names.pop_front();
    for (const auto& [name, node] : change.edits) {
      if (node) {
        directory.durable_names[name] = node;
      } else {
        directory.durable_names.erase(name);
      }
    }
    // A rename between directories is one change of the file system: it survives in both or in neither.
    if (const auto partner = change.partner.lock()) keep_names(*partner, change.number);
  }
}

void DiskImage::sync_names(DiskNode& directory) { keep_names(directory, UINT64_MAX); }

void DiskImage::crash(Survival survival, Random& random) {
  // A prefix for each directory that may survive; keeping one change can make another directory reachable.
  std::set<const DiskNode*> chosen;
  std::vector<DiskNodePtr> reachable;
  for (bool grown = true; grown;) {
    grown = false;
    reachable.assign(1, root_);
    std::set<const DiskNode*> seen{root_.get()};
    for (std::size_t i = 0; i < reachable.size(); ++i) {
      const DiskNodePtr node = reachable[i];
      if (node->directory && chosen.insert(node.get()).second) {
        grown = true;
        std::size_t kept = 0;
        const std::size_t count = node->unsynced_names.size();
        if (survival == Survival::kEverything) kept = count;
        if (survival == Survival::kAnySubset && count > 0) kept = random.next() % (count + 1);
        if (kept > 0) keep_names(*node, node->unsynced_names[kept - 1].number);
      }
      for (const auto& [name, below] : node->durable_names) {
        if (seen.insert(below.get()).second) reachable.push_back(below);
      }
    }
  }
  for (const auto& node : reachable) {
    if (node->directory) {
      node->unsynced_names.clear();
      node->names = node->durable_names;
    } else {
      crash_file(*node, survival, random);
    }
  }
}

}  // namespace afdg::store
