#include "region/internal/text.h"

namespace afdg::region {
namespace {

/// Bytes of the UTF-8 character at the front; 0 when there is none, or it is a control character.
std::size_t character(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return (first >= 0x20 && first != 0x7f) || first == '\n' || first == '\t' ? 1 : 0;
  const std::size_t size = first >= 0xc2 && first < 0xe0   ? 2
                           : first >= 0xe0 && first < 0xf0 ? 3
                           : first >= 0xf0 && first < 0xf5 ? 4
                                                           : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is above U+10FFFF.
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) >= 0xa0) ||
      (first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) >= 0x90))
    return 0;
  return size;
}

}  // namespace

std::string printable(std::string_view text, std::size_t bytes_max) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    const std::size_t size = character(text);
    if (out.size() + (size == 0 ? 4 : size) > bytes_max) return out + "...";
    if (size == 0) {
      const auto byte = static_cast<std::uint8_t>(text[0]);
      out.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
      text.remove_prefix(1);
    } else {
      out.append(text.substr(0, size));
      text.remove_prefix(size);
    }
  }
  return out;
}

std::string quoted(std::string_view text) {
  std::string out(1, '\'');
  out.append(printable(text, 200)).push_back('\'');
  return out;
}

}  // namespace afdg::region
