#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "agents/agent_base.h"
#include "agents/item_codec.h"

namespace afdg {
namespace agents {
/// The part of Value that does not depend on its type: when it is read and when it is put.
/// Thread-safety: confined.
class ValueSlot : public Slot {
 protected:
  enum class Held : std::uint8_t { kUnknown, kAbsent, kPresent };
  ValueSlot(AgentBase& agent, EntityName name) : Slot(agent, name) {}

  [[nodiscard]] std::size_t memory_bytes() const noexcept override;
  void flush() final;
  /// Reads what is stored, unless it is known. After an error the turn fails and the value reads as absent.
  void load() const;
  /// True when the turn may write, after which it is put at the turn's end.
  bool start_edit();

  virtual void encode_value(std::string& out) const = 0;
  [[nodiscard]] virtual bool decode_value(std::string_view bytes) const = 0;
  [[nodiscard]] virtual std::size_t value_bytes() const noexcept = 0;

  mutable Held held_ = Held::kUnknown;

 private:
  bool dirty_ = false;
  mutable bool stored_ = false;       // something is stored
  mutable bool comparable_ = false;   // stored_bytes_ is what is stored
  mutable std::string stored_bytes_;  // kept when short, so that an edit that changes nothing is not put
};
}  // namespace agents

/// One value of an agent, under a declared name: `Value<Totals> totals_{*this, "totals"};`. Reads as T{} when
/// nothing is stored. Read once, then answered from memory; an edited one is put once, at the end of the
/// turn, if its bytes changed. T: a Protocol Buffers message, std::string, std::int64_t, double or bool.
/// Thread-safety: confined. Errors: a value that cannot be read reads as T{}, and the turn fails with
/// kCorrupt or kIo whatever the handler returns. Bounds: those of a turn's effects.
template <agents::Storable T>
class Value final : public agents::ValueSlot {
  using Codec = agents::ItemCodec<T>;

 public:
  Value(agents::AgentBase& agent, agents::EntityName name) : ValueSlot(agent, name) {}

  /// Valid until the value is edited, set or erased.
  [[nodiscard]] const T& operator*() const {
    load();
    return value_;
  }
  [[nodiscard]] const T* operator->() const { return &**this; }
  /// To change it in place. Keep the reference no longer than the handler runs.
  [[nodiscard]] T& edit() {
    load();
    if (start_edit()) held_ = Held::kPresent;
    return value_;
  }
  void set(T value) {
    load();
    if (!start_edit()) return;
    held_ = Held::kPresent;
    value_ = std::move(value);
  }
  /// Something is stored, or was set in this turn.
  [[nodiscard]] bool has() const {
    load();
    return held_ == Held::kPresent;
  }
  void erase() {
    load();
    if (!start_edit()) return;
    held_ = Held::kAbsent;
    value_ = T{};
  }

  [[nodiscard]] const google::protobuf::Descriptor* descriptor() const noexcept override {
    return Codec::descriptor();
  }

 private:
  void encode_value(std::string& out) const override { Codec::encode(value_, out); }
  [[nodiscard]] bool decode_value(std::string_view bytes) const override {
    if (Codec::decode(bytes, value_)) return true;
    value_ = T{};
    return false;
  }
  [[nodiscard]] std::size_t value_bytes() const noexcept override { return Codec::memory_bytes(value_); }

  mutable T value_{};
};

}  // namespace afdg
