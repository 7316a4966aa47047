#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace afdg::log {

/// Bytes of many owners for one write: small ones are copied together, large ones are only pointed at.
///     gather.clear(); gather.add(a); gather.add(b); file.write_at(at, gather.pieces());
/// Thread-safety: confined. Ownership: what was added must stay until the write.
class Gather {
 public:
  static constexpr std::size_t kCopiedBytes = 16u << 10;

  void clear() noexcept {
    copied_.clear();
    pieces_.clear();
  }
  void add(std::string_view bytes) {
    if (bytes.size() >= kCopiedBytes) {
      pieces_.push_back(bytes);
      return;
    }
    copied_.append(bytes);
    if (pieces_.empty() || pieces_.back().data() != nullptr) pieces_.emplace_back();
    pieces_.back() = {nullptr, pieces_.back().size() + bytes.size()};  // its place is known at the end
  }
  /// In the order of add(). Precondition: nothing is added after this, before clear().
  [[nodiscard]] std::span<const std::string_view> pieces() {
    std::size_t at = 0;
    for (std::string_view& piece : pieces_) {
      if (piece.data() != nullptr) continue;
      piece = std::string_view(copied_).substr(at, piece.size());
      at += piece.size();
    }
    return pieces_;
  }

 private:
  std::string copied_;
  std::vector<std::string_view> pieces_;
};

}  // namespace afdg::log
