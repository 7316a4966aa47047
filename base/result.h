#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace afdg {

/// The error codes of base/errors.def; the numbers are ON WIRE and ON DISK since version 1 and never change.
enum class Code : std::uint16_t {
#define AFDG_ERROR(name, number, retry, grpc, kafka, text) name = number,
#include "base/errors.def"
#undef AFDG_ERROR
};

/// What a caller may do after an error.
enum class Retry : std::uint8_t { kNever, kSameCall, kRefreshRoute, kInDoubt };

/// The name of a code, for example "kNotFound"; "kInternal" for a number that is not in the list.
[[nodiscard]] std::string_view code_name(Code code) noexcept;
/// The sentence of errors.def.
[[nodiscard]] std::string_view code_text(Code code) noexcept;
[[nodiscard]] Retry code_retry(Code code) noexcept;
/// The number of the gRPC status (google.rpc.Code) that carries this code.
[[nodiscard]] int code_grpc(Code code) noexcept;
/// The Kafka protocol's error code that carries this code.
[[nodiscard]] int code_kafka(Code code) noexcept;
/// The code with that number, or kInternal when a newer peer sent one that this version does not know.
[[nodiscard]] Code code_from_number(std::uint32_t number) noexcept;
/// The code with that name ("kNotFound"), if there is one.
[[nodiscard]] std::optional<Code> code_from_name(std::string_view name) noexcept;

/// A code that is not kOk, and a sentence that names the thing, the value and the remedy.
/// Thread-safety: const-safe. Ownership: owns its text.
class [[nodiscard]] Error {
 public:
  explicit Error(Code code) : code_(code), text_(code_text(code)) {}
  Error(Code code, std::string text) : code_(code), text_(std::move(text)) {}

  [[nodiscard]] Code code() const noexcept { return code_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

  friend bool operator==(const Error&, const Error&) = default;

 private:
  Code code_;
  std::string text_;
};

/// An Error, ready to be returned from a function whose result is a Status or a Result.
[[nodiscard]] inline Error fail(Code code) { return Error(code); }
[[nodiscard]] inline Error fail(Code code, std::string text) { return Error(code, std::move(text)); }

/// Success, or an Error. Size of one pointer when it is a success.
class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: an error is a status

  [[nodiscard]] bool ok() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return ok(); }
  /// kOk, or the error's code.
  [[nodiscard]] Code code() const noexcept { return error_ ? error_->code() : Code::kOk; }
  /// Precondition: !ok().
  [[nodiscard]] const Error& error() const {
    AFDG_ASSERT(error_.has_value(), "error() of a status that is ok");
    return *error_;
  }
  /// "ok", or the code's name and the text.
  [[nodiscard]] std::string to_string() const {
    return ok() ? "ok" : std::string(code_name(code())) + ": " + error_->text();
  }
  /// Deliberately ignores the outcome; `reason` is for the reader and for grep.
  void ignore(std::string_view reason) const noexcept { static_cast<void>(reason); }

  friend bool operator==(const Status&, const Status&) = default;

 private:
  std::optional<Error> error_;
};

/// A value, or an Error.
/// Ownership: owns either. Reading the absent one is a broken invariant: it asserts.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: a value is a result
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: an error is a result
  /// Converts from anything a T can be made of, such as a derived unique_ptr.
  template <typename U>
  requires(!std::same_as<std::remove_cvref_t<U>, T> && !std::same_as<std::remove_cvref_t<U>, Error> &&
           !std::same_as<std::remove_cvref_t<U>, Result> && std::convertible_to<U, T>) Result(U&& value)
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}  // NOLINT

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] Code code() const noexcept { return ok() ? Code::kOk : std::get<1>(state_).code(); }
  [[nodiscard]] const Error& error() const {
    AFDG_ASSERT(!ok(), "error() of a result that holds a value");
    return std::get<1>(state_);
  }
  /// The error as a Status; ok when there is a value.
  [[nodiscard]] Status status() const { return ok() ? Status() : Status(error()); }
  [[nodiscard]] T& value() & { return check(), std::get<0>(state_); }
  [[nodiscard]] const T& value() const& { return check(), std::get<0>(state_); }
  /// By value, so that a loop over *f() does not outlive what it loops over.
  [[nodiscard]] T value() && { return check(), std::get<0>(std::move(state_)); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T operator*() && { return std::move(*this).value(); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }
  [[nodiscard]] T value_or(T other) const& { return ok() ? std::get<0>(state_) : std::move(other); }

 private:
  void check() const { AFDG_ASSERT(ok(), std::get<1>(state_).text().c_str()); }
  std::variant<T, Error> state_;
};

}  // namespace afdg

/// Returns from the enclosing function when `expression` (a Status or a Result) is an error.
#define AFDG_TRY(expression)                                                                           \
  do {                                                                                                 \
    if (auto afdg_try_status_ = (expression); !afdg_try_status_.ok()) return afdg_try_status_.error(); \
  } while (false)

#define AFDG_CONCAT_INNER_(a, b) a##b
#define AFDG_CONCAT_(a, b) AFDG_CONCAT_INNER_(a, b)
/// AFDG_ASSIGN(auto x, f()); declares x from the value of a Result, or returns its error.
#define AFDG_ASSIGN(declaration, expression) \
  AFDG_ASSIGN_(AFDG_CONCAT_(afdg_result_, __LINE__), declaration, expression)
#define AFDG_ASSIGN_(temporary, declaration, expression) \
  auto temporary = (expression);                         \
  if (!temporary.ok()) return temporary.error();         \
  declaration = std::move(temporary).value()
