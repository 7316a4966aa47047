#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "region/internal/hash_slots.h"
#include "region/internal/key_map.h"
#include "region/state_key.h"

namespace afdg::region {

/// The list items among a KeyMap's entries, in key order within each agent: one hash look-up finds an
/// agent's, however many agents there are. Thread-safety: confined; const-safe. Ownership: points into the
/// map, which outlives it. Agents whose prefixes have equal hashes share one order, which is right for any
/// range inside one agent.
class ListKeys {
 public:
  using Entry = KeyMap::Entry;

  /// One agent's items.
  class Agent {
   public:
    /// The first entry whose key is `key` or greater; nullptr when there is none.
    [[nodiscard]] const Entry* at_least(std::string_view key) const {
      if (many_) return of(many_->lower_bound(key));
      return of(std::lower_bound(few_.begin(), few_.end(), key, Less()));
    }
    [[nodiscard]] const Entry* above(std::string_view key) const {
      if (many_) return of(many_->upper_bound(key));
      return of(std::upper_bound(few_.begin(), few_.end(), key, Less()));
    }
    /// The last entry whose key is less.
    [[nodiscard]] const Entry* below(std::string_view key) const {
      if (many_) {
        const auto at = many_->lower_bound(key);
        return at == many_->begin() ? nullptr : *std::prev(at);
      }
      const auto at = std::lower_bound(few_.begin(), few_.end(), key, Less());
      return at == few_.begin() ? nullptr : *std::prev(at);
    }

   private:
    friend class ListKeys;
    struct Less {
      using is_transparent = void;
      bool operator()(const Entry* a, const Entry* b) const noexcept { return a->key() < b->key(); }
      bool operator()(const Entry* a, std::string_view b) const noexcept { return a->key() < b; }
      bool operator()(std::string_view a, const Entry* b) const noexcept { return a < b->key(); }
    };
    using Many = std::set<const Entry*, Less>;
    static constexpr std::size_t kFewMax = 64;

    [[nodiscard]] const Entry* of(std::vector<const Entry*>::const_iterator at) const {
      return at == few_.end() ? nullptr : *at;
    }
    [[nodiscard]] const Entry* of(Many::const_iterator at) const {
      return at == many_->end() ? nullptr : *at;
    }
    void insert(const Entry* entry) {
      if (!many_ && few_.size() >= kFewMax) {
        many_ = std::make_unique<Many>(few_.begin(), few_.end());
        few_ = {};
      }
      if (many_) {
        many_->insert(entry);
      } else {
        few_.insert(std::lower_bound(few_.begin(), few_.end(), entry, Less()), entry);
      }
    }
    void erase(const Entry* entry) {
      if (many_) {
        many_->erase(entry);
      } else {
        few_.erase(std::lower_bound(few_.begin(), few_.end(), entry, Less()));
      }
    }

    std::uint64_t hash_ = 0;
    std::vector<const Entry*> few_;  // in order, while there are few
    std::unique_ptr<Many> many_;     // else
  };

  ListKeys() = default;
  ~ListKeys() {
    agents_.for_each([](Agent& agent) { delete &agent; });
  }
  ListKeys(ListKeys&&) noexcept = default;
  ListKeys& operator=(ListKeys&& other) noexcept {
    agents_ = std::move(other.agents_);  // swaps
    return *this;
  }

  /// The items of the agent of an item key, or of a range's lower end; nullptr when it has none.
  [[nodiscard]] const Agent* agent(std::string_view key) const {
    return find(hash64(key.substr(0, agent_prefix_size(key))));
  }
  /// Precondition: no entry with its key is there.
  void insert(const Entry* entry) {
    const std::uint64_t hash = hash64(entry->key().substr(0, agent_prefix_size(entry->key())));
    Agent* agent = find(hash);
    if (agent == nullptr) {
      agent = new Agent;
      agent->hash_ = hash;
      agents_.insert(hash, agent);
    }
    agent->insert(entry);
  }
  /// Precondition: it is there.
  void erase(const Entry* entry) {
    find(hash64(entry->key().substr(0, agent_prefix_size(entry->key()))))->erase(entry);
  }

 private:
  [[nodiscard]] Agent* find(std::uint64_t hash) const {
    return agents_.find(hash, [](const Agent&) { return true; });
  }

  HashSlots<Agent> agents_;
};

}  // namespace afdg::region
