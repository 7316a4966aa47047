#include "store/testing/reverting_store.h"

#include <algorithm>
#include <array>
#include <utility>

namespace afdg::store {
namespace {

class Handle final : public KeyValueStore {
 public:
  explicit Handle(RevertingStore& store) : store_(store) {}
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override {
    return store_.get(key);
  }
  [[nodiscard]] Result<std::vector<std::optional<std::string>>> multi_get(
      std::span<const std::string_view> keys) const override {
    return store_.multi_get(keys);
  }
  Status scan(std::string_view from, std::string_view to, const Visit& visit) const override {
    return store_.scan(from, to, visit);
  }
  [[nodiscard]] Result<std::optional<std::string>> last_key(std::string_view from,
                                                            std::string_view to) const override {
    return store_.last_key(from, to);
  }
  Status apply(std::span<const Change> changes) override { return store_.apply(changes); }
  Status remove_range(std::string_view from, std::string_view to) override {
    return store_.remove_range(from, to);
  }
  Status flush() override { return store_.flush(); }
  [[nodiscard]] std::uint64_t memory_bytes() const override { return store_.memory_bytes(); }

 private:
  RevertingStore& store_;
};

}  // namespace

RevertingStore::RevertingStore(std::size_t history_max)
    : map_(make_memory_store()), history_max_(std::max<std::size_t>(history_max, 1)) {}

RevertingStore::~RevertingStore() = default;

Result<std::optional<std::string>> RevertingStore::get(std::string_view key) const {
  const std::lock_guard guard(mutex_);
  return map_->get(key);
}

Result<std::vector<std::optional<std::string>>> RevertingStore::multi_get(
    std::span<const std::string_view> keys) const {
  const std::lock_guard guard(mutex_);
  return map_->multi_get(keys);
}

Status RevertingStore::scan(std::string_view from, std::string_view to, const Visit& visit) const {
  const std::lock_guard guard(mutex_);
  return map_->scan(from, to, visit);
}

Result<std::optional<std::string>> RevertingStore::last_key(std::string_view from,
                                                            std::string_view to) const {
  const std::lock_guard guard(mutex_);
  return map_->last_key(from, to);
}

Status RevertingStore::apply(std::span<const Change> changes) {
  const std::lock_guard guard(mutex_);
  if (refusal_) return *refusal_;
  Undo undo;
  undo.reserve(changes.size());
  for (const auto& change : changes) {
    AFDG_ASSIGN(auto before, map_->get(change.key));
    undo.emplace_back(std::string(change.key), std::move(before));
  }
  AFDG_TRY(map_->apply(changes));
  remember(std::move(undo));
  return {};
}

Status RevertingStore::remove_range(std::string_view from, std::string_view to) {
  const std::lock_guard guard(mutex_);
  if (refusal_) return *refusal_;
  Undo undo;
  AFDG_TRY(map_->scan(from, to, [&](std::string_view key, std::string_view value) {
    undo.emplace_back(std::string(key), std::string(value));
    return true;
  }));
  AFDG_TRY(map_->remove_range(from, to));
  remember(std::move(undo));
  return {};
}

void RevertingStore::remember(Undo undo) {
  ++state_;
  history_.push_back(std::move(undo));
  if (history_.size() > history_max_) history_.pop_front();
}

Status RevertingStore::flush() {
  const std::lock_guard guard(mutex_);
  if (refusal_) return *refusal_;
  if (!flush_does_nothing_) flushed_ = state_;
  return {};
}

std::uint64_t RevertingStore::memory_bytes() const {
  const std::lock_guard guard(mutex_);
  return map_->memory_bytes();
}

std::unique_ptr<KeyValueStore> RevertingStore::handle() { return std::make_unique<Handle>(*this); }

std::uint64_t RevertingStore::state() const {
  const std::lock_guard guard(mutex_);
  return state_;
}

std::uint64_t RevertingStore::flushed_state() const {
  const std::lock_guard guard(mutex_);
  return flushed_;
}

std::uint64_t RevertingStore::oldest_state() const {
  const std::lock_guard guard(mutex_);
  return state_ - history_.size();
}

Status RevertingStore::revert_to(std::uint64_t state) {
  const std::lock_guard guard(mutex_);
  return revert_locked(state);
}

Status RevertingStore::revert_locked(std::uint64_t state) {
  const std::uint64_t oldest = state_ - history_.size();
  if (state < oldest || state > state_) {
    return fail(Code::kOutOfRange, "state " + std::to_string(state) +
                                       " is not remembered: ask for one from " + std::to_string(oldest) +
                                       " to " + std::to_string(state_));
  }
  while (state_ > state) {
    for (const auto& [key, before] : history_.back()) {
      Change change{key, std::nullopt};
      if (before) change.value = *before;
      AFDG_TRY(map_->apply(std::array{change}));
    }
    history_.pop_back();
    --state_;
  }
  flushed_ = std::min(flushed_, state_);
  return {};
}

std::uint64_t RevertingStore::crash(Random& random) {
  const std::lock_guard guard(mutex_);
  const std::uint64_t first = std::max(flushed_, state_ - history_.size());
  const std::uint64_t chosen = first + random.next() % (state_ - first + 1);
  const auto reverted = revert_locked(chosen);
  AFDG_ASSERT(reverted.ok(), "a remembered state could not be restored");
  flushed_ = state_;
  return chosen;
}

void RevertingStore::refuse_writes(std::optional<Error> error) {
  const std::lock_guard guard(mutex_);
  refusal_ = std::move(error);
}

void RevertingStore::plant_flush_does_nothing(bool planted) {
  const std::lock_guard guard(mutex_);
  flush_does_nothing_ = planted;
}

}  // namespace afdg::store
