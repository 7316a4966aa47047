#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>

// An agent type's contract: the one header that agents and their clients share. M and A are Protocol Buffers
// messages.
namespace afdg {

template <std::size_t N>
struct FixedString {
  char text[N]{};
  consteval FixedString(const char (&from)[N]) { std::copy_n(from, N, text); }  // NOLINT: a literal is a name
  [[nodiscard]] constexpr std::string_view view() const noexcept { return {text, N - 1}; }
};

enum class OperationKind : std::uint8_t { kAsk, kRead, kTell, kTimer };

/// May write; one answer. Handler: Result<A> on(const M&, Turn&).
template <typename M, typename A>
struct Ask {
  using Message = M;
  using Answer = A;
  static constexpr OperationKind kind = OperationKind::kAsk;
};
/// Reads only: nothing is logged. Handler: Result<A> on(const M&, const ReadTurn&) const.
template <typename M, typename A>
struct Read {
  using Message = M;
  using Answer = A;
  static constexpr OperationKind kind = OperationKind::kRead;
};
/// Durable, one-way. Handler: Status on(const M&, Turn&).
template <typename M>
struct Tell {
  using Message = M;
  using Answer = void;
  static constexpr OperationKind kind = OperationKind::kTell;
};

template <FixedString Type, typename... Operations>
struct Protocol {
  /// The agent type's name on the wire and on disk, for example "airport".
  static constexpr std::string_view type = Type.view();
  using OperationList = std::tuple<Operations...>;

  template <typename M>
  static constexpr bool accepts = (std::is_same_v<M, typename Operations::Message> || ...);
};

namespace proto_internal {
template <typename M, typename List>
struct FindOperation;
template <typename M>
struct FindOperation<M, std::tuple<>> {
  using type = void;
};
template <typename M, typename First, typename... Rest>
struct FindOperation<M, std::tuple<First, Rest...>> {
  using type = std::conditional_t<std::is_same_v<M, typename First::Message>, First,
                                  typename FindOperation<M, std::tuple<Rest...>>::type>;
};
}  // namespace proto_internal

/// The operation of protocol P that carries message M; void when there is none.
template <typename P, typename M>
using OperationOf = typename proto_internal::FindOperation<M, typename P::OperationList>::type;
/// The answer of protocol P to message M.
template <typename P, typename M>
using AnswerOf = typename OperationOf<P, M>::Answer;

}  // namespace afdg
