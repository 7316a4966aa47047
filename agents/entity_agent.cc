#include "agents/entity_agent.h"

#include <algorithm>
#include <string>

#include "agents/agent.h"
#include "agents/json_value.h"
#include "proto/entity_store.h"

namespace afdg::agents {

std::uint64_t entity_list_items_max(std::size_t agent_key_bytes, std::size_t key_bytes) noexcept {
  constexpr std::size_t kRemovalBytesMax = std::size_t{2} << 20;  // half of what a turn may write by default
  constexpr std::size_t kRemovalBytes = 40;                       // of one item, beside the two keys
  return std::min<std::uint64_t>(100'000, kRemovalBytesMax / (agent_key_bytes + key_bytes + kRemovalBytes));
}

namespace {
using namespace v1::entity;  // NOLINT: the messages are this file's subject
using google::protobuf::Value;

constexpr std::size_t kRangeItemsMax = 10'000;
constexpr std::size_t kKeysDefault = 1'000;
constexpr std::size_t kKeysMax = 10'000;
constexpr std::size_t kAnswerBytesMax = std::size_t{512} << 10;
constexpr std::size_t kKeyBytesMax = 1024;
constexpr std::size_t kShownKeyBytesMax = 80;

Status check_key(std::string_view key) {
  if (key.empty()) return fail(Code::kInvalidArgument, "key: empty: name the key");
  if (key.size() > kKeyBytesMax) {
    return fail(Code::kInvalidArgument,
                "key: " + std::to_string(key.size()) + " bytes; the limit is 1024: use a shorter key");
  }
  return {};
}

/// The error of a handler that meets a stored value it cannot work on.
Error refuse(std::string_view key, const std::string& why) {
  std::string name(key.substr(0, kShownKeyBytesMax));
  if (key.size() > kShownKeyBytesMax) name += "...";
  return fail(Code::kApplication, "key '" + name + "' " + why);
}

Result<Stored> stored_json(const Value& value) {
  AFDG_TRY(check_json(value));
  Stored stored;
  if (value.kind_case() == Value::kNumberValue && is_exact_integer(value.number_value())) {
    stored.set_integer(static_cast<std::int64_t>(value.number_value()));
  } else {
    *stored.mutable_value() = value;
  }
  return stored;
}

/// The value that a message gives, in one of its fields `value` and `bytes`.
template <typename M>
Result<Stored> given(const M& message) {
  if (message.has_value()) return stored_json(message.value());
  if (message.has_bytes()) {
    Stored stored;
    stored.set_bytes(message.bytes());
    return stored;
  }
  return fail(Code::kInvalidArgument,
              "value: missing: give value (any JSON, null included) or bytes (base64)");
}

template <typename M>
void show(Stored&& stored, M& answer) {
  switch (stored.kind_case()) {
    case Stored::kValue:
      answer.mutable_value()->Swap(stored.mutable_value());
      return;
    case Stored::kBytes:
      answer.set_bytes(std::move(*stored.mutable_bytes()));
      return;
    case Stored::kInteger:
      answer.mutable_value()->set_number_value(static_cast<double>(stored.integer()));
      return;
    case Stored::KIND_NOT_SET:
      answer.mutable_value()->set_null_value(google::protobuf::NULL_VALUE);
  }
}

bool equal(const Stored& a, const Stored& b) {
  if (a.kind_case() == b.kind_case()) {
    switch (a.kind_case()) {
      case Stored::kValue:
        return agents::equal(a.value(), b.value());
      case Stored::kBytes:
        return a.bytes() == b.bytes();
      case Stored::kInteger:
        return a.integer() == b.integer();
      case Stored::KIND_NOT_SET:
        return true;
    }
  }
  const auto number = [](const Stored& stored, double& out) {
    if (stored.kind_case() == Stored::kInteger) out = static_cast<double>(stored.integer());
    if (stored.kind_case() == Stored::kValue) out = stored.value().number_value();
    return stored.kind_case() == Stored::kInteger || stored.value().kind_case() == Value::kNumberValue;
  };
  double left = 0;
  double right = 0;
  return number(a, left) && number(b, right) && left == right;
}

class EntityAgent final : public Agent<EntityStore> {
  Entity<Stored> items_{*this, "items"};

 public:
  Result<PutAnswer> on(const Put& m, Turn& /*turn*/) {
    AFDG_TRY(check_key(m.key()));
    AFDG_ASSIGN(const Stored stored, given(m));
    store(m.key(), stored);
    return PutAnswer();
  }

  Result<PutIfAbsentAnswer> on(const PutIfAbsent& m, Turn& /*turn*/) {
    AFDG_TRY(check_key(m.key()));
    AFDG_ASSIGN(const Stored stored, given(m));
    PutIfAbsentAnswer answer;
    answer.set_stored(!items_.contains(m.key()));
    if (answer.stored()) items_[m.key()].append(stored);
    return answer;
  }

  Result<CompareAndSetAnswer> on(const CompareAndSet& m, Turn& /*turn*/) {
    AFDG_TRY(check_key(m.key()));
    AFDG_ASSIGN(Stored wanted, given(m));
    const bool expects = m.present_case() != CompareAndSet::PRESENT_NOT_SET;
    Stored expected;
    if (m.has_expected()) {
      AFDG_ASSIGN(expected, stored_json(m.expected()));
    } else if (m.has_expected_bytes()) {
      expected.set_bytes(m.expected_bytes());
    }
    CompareAndSetAnswer answer;
    AFDG_ASSIGN(std::optional<Stored> present, single(m.key(), "CompareAndSet"));
    answer.set_stored(present ? expects && equal(*present, expected) : !expects);
    if (answer.stored()) {
      store(m.key(), wanted);
      show(std::move(wanted), answer);
    } else if (present) {
      show(std::move(*present), answer);
    }
    return answer;
  }

  Result<GetAnswer> on(const Get& m, const ReadTurn& /*turn*/) const {
    AFDG_TRY(check_key(m.key()));
    GetAnswer answer;
    AFDG_ASSIGN(std::optional<Stored> present, single(m.key(), "Get"));
    answer.set_found(present.has_value());
    if (present) show(std::move(*present), answer);
    return answer;
  }

  Result<RemoveAnswer> on(const Remove& m, Turn& /*turn*/) {
    AFDG_TRY(check_key(m.key()));
    RemoveAnswer answer;
    answer.set_removed(items_.contains(m.key()));
    items_.erase(m.key());
    return answer;
  }

  Result<IncrementAnswer> on(const Increment& m, Turn& /*turn*/) {
    AFDG_TRY(check_key(m.key()));
    List<Stored> list = items_[m.key()];
    const std::uint64_t items = list.size();
    if (items > 1) return not_single(m.key(), items, "Increment");
    thread_local Stored stored;  // the message that a grid handles most: no object is made
    stored.set_integer(0);
    if (items == 1) list.read(0, stored);
    AFDG_ASSIGN(const std::int64_t before, whole_number(m.key(), stored));
    const std::int64_t by = m.has_by() ? m.by() : 1;
    std::int64_t after = 0;
    if (__builtin_add_overflow(before, by, &after)) {
      return refuse(m.key(), "holds " + std::to_string(before) + "; adding " + std::to_string(by) +
                                 " leaves the 64-bit integers: Put another number first");
    }
    stored.set_integer(after);
    if (items == 1) {
      list.set(0, stored);
    } else {
      list.append(stored);
    }
    IncrementAnswer answer;
    answer.set_value(after);
    return answer;
  }

  Result<AppendAnswer> on(const Append& m, Turn& turn) {
    AFDG_TRY(check_key(m.key()));
    if (m.values().empty()) return fail(Code::kInvalidArgument, "values: empty: give at least one value");
    List<Stored> list = items_[m.key()];
    const std::uint64_t items_max = entity_list_items_max(turn.key().size(), m.key().size());
    const std::uint64_t items = list.size() + static_cast<std::uint64_t>(m.values_size());
    if (items > items_max) {
      return refuse(m.key(), "would hold " + std::to_string(items) +
                                 " values; the limit for a key of that length is " +
                                 std::to_string(items_max) + ": begin another key");
    }
    for (const Value& value : m.values()) {
      AFDG_ASSIGN(const Stored stored, stored_json(value));
      list.append(stored);
    }
    AppendAnswer answer;
    answer.set_length(items);
    return answer;
  }

  Result<RangeAnswer> on(const Range& m, const ReadTurn& /*turn*/) const {
    AFDG_TRY(check_key(m.key()));
    if (m.to() != 0 && m.to() < m.from()) {
      return fail(Code::kInvalidArgument, "to: " + std::to_string(m.to()) + " is before from, " +
                                              std::to_string(m.from()) +
                                              ": the range is [from, to), and to 0 is the end");
    }
    RangeAnswer answer;
    const ConstList<Stored> list = items_[m.key()];
    answer.set_length(list.size());
    std::size_t bytes = 0;
    for (const Stored& item : list.slice(m.from(), m.to() == 0 ? answer.length() : m.to())) {
      bytes += item.ByteSizeLong();
      if (answer.values_size() > 0 && bytes > kAnswerBytesMax) break;
      Value& value = *answer.add_values();
      if (item.kind_case() == Stored::kBytes) {
        value.set_string_value(base64(item.bytes()));
      } else if (item.kind_case() == Stored::kInteger) {
        value.set_number_value(static_cast<double>(item.integer()));
      } else {
        value = item.value();
      }
      if (static_cast<std::size_t>(answer.values_size()) == kRangeItemsMax) break;
    }
    return answer;
  }

  Result<LengthAnswer> on(const Length& m, const ReadTurn& /*turn*/) const {
    AFDG_TRY(check_key(m.key()));
    LengthAnswer answer;
    answer.set_length(items_[m.key()].size());
    return answer;
  }

  Result<KeysAnswer> on(const Keys& m, const ReadTurn& /*turn*/) const {
    const std::size_t limit = m.limit() == 0 ? kKeysDefault : std::min<std::size_t>(m.limit(), kKeysMax);
    KeysAnswer answer;
    std::size_t bytes = 0;
    for (std::string& key : items_.keys({.prefix = m.prefix(), .after = m.after(), .limit = limit + 1})) {
      bytes += key.size() + 4;
      if (static_cast<std::size_t>(answer.keys_size()) == limit || bytes > kAnswerBytesMax) {
        answer.set_more(true);
        break;
      }
      answer.add_keys(std::move(key));
    }
    return answer;
  }

 private:
  /// The key's only value; nullopt when the key does not exist.
  Result<std::optional<Stored>> single(const std::string& key, const char* message) const {
    const ConstList<Stored> list = items_[key];
    const std::uint64_t items = list.size();
    if (items == 0) return std::optional<Stored>();
    if (items == 1) return std::optional<Stored>(list.at(0));
    return not_single(key, items, message);
  }
  static Error not_single(const std::string& key, std::uint64_t items, const char* message) {
    return refuse(key, "holds a list of " + std::to_string(items) + " values, and " + message +
                           " needs a single one: read it with Range, or Remove it first");
  }

  /// Makes the key a list of one.
  void store(const std::string& key, const Stored& value) {
    List<Stored> list = items_[key];
    if (list.size() == 1) return list.set(0, value);
    list.clear();
    list.append(value);
  }

  static Result<std::int64_t> whole_number(const std::string& key, const Stored& stored) {
    switch (stored.kind_case()) {
      case Stored::kInteger:
        return stored.integer();
      case Stored::kBytes:
        return refuse(key, "holds bytes, and Increment needs a whole number: Put a number first");
      case Stored::kValue:
        break;
      case Stored::KIND_NOT_SET:
        return refuse(key, "holds null, and Increment needs a whole number: Put a number first");
    }
    const Value& value = stored.value();
    switch (value.kind_case()) {
      case Value::kNumberValue:
        if (value.number_value() == 0) return std::int64_t{0};  // -0
        return refuse(key, "holds " + std::to_string(value.number_value()) +
                               ", and Increment needs a whole number within 2^53: Put one first");
      case Value::kStringValue:
        return refuse(key, "holds text, and Increment needs a whole number: Put a number first");
      case Value::kBoolValue:
        return refuse(key, "holds true or false, and Increment needs a whole number: Put a number first");
      case Value::kStructValue:
        return refuse(key, "holds an object, and Increment needs a whole number: Put a number first");
      case Value::kListValue:
        return refuse(key, "holds a JSON array, and Increment needs a whole number: Put a number first");
      case Value::kNullValue:
      case Value::KIND_NOT_SET:
        break;
    }
    return refuse(key, "holds null, and Increment needs a whole number: Put a number first");
  }
};
}  // namespace

AgentType entity_agent_type() { return describe<EntityAgent>(); }

}  // namespace afdg::agents
