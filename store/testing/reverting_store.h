#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/key_value_store.h"

namespace afdg::store {

/// A KeyValueStore in memory that can go back to what it was after any earlier apply, as a crash of a real
/// one can.
///
///     state 0 --apply--> 1 --apply--> 2 --flush--> 2 --apply--> 3      crash(): 2 or 3.  revert_to(1): older
///     than the flush
///
/// A state is numbered by the applies and range removals since construction. It outlives the node under test:
/// give the node a handle(). Thread-safety: safe. Bounds: keeps what undoes the last `history_max` states;
/// older ones cannot be asked for.
class RevertingStore final : public KeyValueStore {
 public:
  explicit RevertingStore(std::size_t history_max = 1024);
  ~RevertingStore() override;

  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const override;
  [[nodiscard]] Result<std::vector<std::optional<std::string>>> multi_get(
      std::span<const std::string_view> keys) const override;
  Status scan(std::string_view from, std::string_view to, const Visit& visit) const override;
  [[nodiscard]] Result<std::optional<std::string>> last_key(std::string_view from,
                                                            std::string_view to) const override;
  Status apply(std::span<const Change> changes) override;
  Status remove_range(std::string_view from, std::string_view to) override;
  Status flush() override;
  [[nodiscard]] std::uint64_t memory_bytes() const override;

  /// Another name for this store, for whoever wants to own one. Must not outlive it.
  [[nodiscard]] std::unique_ptr<KeyValueStore> handle();

  /// The present state's number.
  [[nodiscard]] std::uint64_t state() const;
  /// The state that the last flush made durable.
  [[nodiscard]] std::uint64_t flushed_state() const;
  /// The oldest that revert_to() can reach.
  [[nodiscard]] std::uint64_t oldest_state() const;
  /// Becomes what it was at `state`, even one older than the last flush (a restored disk). Later ones are
  /// forgotten. Errors: kOutOfRange outside [oldest_state(), state()]; nothing changed.
  Status revert_to(std::uint64_t state);
  /// Becomes a state that a crash may leave: any from the last flush on. Returns its number.
  std::uint64_t crash(Random& random);

  /// Every later apply, range removal and flush fails so and changes nothing, until called with nothing.
  void refuse_writes(std::optional<Error> error);
  /// flush() returns ok and keeps nothing: for tests that must notice.
  void plant_flush_does_nothing(bool planted);

 private:
  /// What each key was before the apply; no value: it was absent.
  using Undo = std::vector<std::pair<std::string, std::optional<std::string>>>;

  void remember(Undo undo);
  Status revert_locked(std::uint64_t state);

  mutable std::mutex mutex_;
  std::unique_ptr<KeyValueStore> map_;
  std::size_t history_max_;
  std::deque<Undo> history_;
  std::uint64_t state_ = 0;
  std::uint64_t flushed_ = 0;
  std::optional<Error> refusal_;
  bool flush_does_nothing_ = false;
};

}  // namespace afdg::store
