#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Limits that are not options, and how names and errors are shown.
namespace afdg::region {

inline constexpr std::size_t kKeyBytesMax = 1024;       ///< of an agent's key
inline constexpr std::size_t kNameBytesMax = 128;       ///< of an agent type or message
inline constexpr std::size_t kRequestIdBytesMax = 256;  ///< of a caller's own id
inline constexpr std::size_t kErrorBytesMax = 1024;     ///< of an error's sentence
inline constexpr std::size_t kQueueMax = 100'000;       ///< messages that are logged and wait for their turn
inline constexpr std::uint64_t kQueueBytesMax = 64u << 20;
inline constexpr std::uint64_t kOutboxBytesMax = 64u << 20;

/// The text as it may be printed and sent in a Protocol Buffers string: at most `bytes_max` of it, and other
/// than valid UTF-8 as \xNN.
std::string printable(std::string_view text, std::size_t bytes_max);
/// A name in quotes, cut short when it is long.
std::string quoted(std::string_view text);

}  // namespace afdg::region
