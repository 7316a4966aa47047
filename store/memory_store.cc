#include <iterator>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "store/key_value_store.h"

namespace afdg::store {
namespace {

constexpr std::uint64_t kEntryOverheadBytes = 96;  // two strings and a tree node

class MemoryStore final : public KeyValueStore {
 public:
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override {
    const std::shared_lock guard(mutex_);
    return look_up(key);
  }

  [[nodiscard]] Result<std::vector<std::optional<std::string>>> multi_get(
      std::span<const std::string_view> keys) const override {
    const std::shared_lock guard(mutex_);
    std::vector<std::optional<std::string>> values;
    values.reserve(keys.size());
    for (const auto key : keys) values.push_back(look_up(key));
    return values;
  }

  Status scan(std::string_view from, std::string_view to, const Visit& visit) const override {
    const std::shared_lock guard(mutex_);
    for (auto at = map_.lower_bound(from); at != map_.end(); ++at) {
      if (!to.empty() && at->first >= to) break;
      if (!visit(at->first, at->second)) break;
    }
    return {};
  }

  [[nodiscard]] Result<std::optional<std::string>> last_key(std::string_view from,
                                                            std::string_view to) const override {
    const std::shared_lock guard(mutex_);
    const auto end = to.empty() ? map_.end() : map_.lower_bound(to);
    if (end == map_.begin()) return std::optional<std::string>();
    const std::string& last = std::prev(end)->first;
    return last >= from ? std::optional(last) : std::nullopt;
  }

  Status apply(std::span<const Change> changes) override {
    const std::lock_guard guard(mutex_);
    for (const auto& change : changes) {
      auto at = map_.lower_bound(change.key);
      const bool present = at != map_.end() && at->first == change.key;
      if (present) bytes_ -= size_of(*at);
      if (!change.value) {
        if (present) map_.erase(at);
        continue;
      }
      if (present) {
        at->second = std::string(*change.value);
      } else {
        at = map_.emplace_hint(at, std::string(change.key), std::string(*change.value));
      }
      bytes_ += size_of(*at);
    }
    return {};
  }

  Status remove_range(std::string_view from, std::string_view to) override {
    const std::lock_guard guard(mutex_);
    for (auto at = map_.lower_bound(from); at != map_.end() && (to.empty() || at->first < to);) {
      bytes_ -= size_of(*at);
      at = map_.erase(at);
    }
    return {};
  }

  Status flush() override { return {}; }

  [[nodiscard]] std::uint64_t memory_bytes() const override {
    const std::shared_lock guard(mutex_);
    return bytes_;
  }

 private:
  using Map = std::map<std::string, std::string, std::less<>>;

  static std::uint64_t size_of(const Map::value_type& entry) noexcept {
    return entry.first.size() + entry.second.size() + kEntryOverheadBytes;
  }

  [[nodiscard]] std::optional<std::string> look_up(std::string_view key) const {
    const auto at = map_.find(key);
    if (at == map_.end()) return std::nullopt;
    return at->second;
  }

  mutable std::shared_mutex mutex_;
  Map map_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<KeyValueStore> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace afdg::store
