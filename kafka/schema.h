#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kafka/api.h"

// What a message of the Kafka protocol is declared with: the types of its fields, and the versions that have
// them.
//
//   struct Member {
//     std::string_view member_id;
//     std::optional<std::string_view> group_instance_id;
//     static constexpr void fields(auto& v) {
//       v(&Member::member_id, "MemberId", since(0));
//       v(&Member::group_instance_id, "GroupInstanceId", since(5).nullable(5));
//     }
//   };
//
// Everything else follows from that one list: decoder, encoder, smallest size, text form. Order is the order
// on the wire; names and versions are those of the protocol guide; the default is the member's initializer.
// bool, integers, enums: as wide as they are; string_view: string; Bytes: bytes; vector: array; optional: may
// be null.
namespace afdg::kafka {

/// The versions in which a field is there, in which it may be null, and its tag if it is a tagged field.
struct Field {
  std::int16_t min = 0;
  std::int16_t max = kVersionsEnd - 1;
  std::int16_t nullable_min = kVersionsEnd;
  std::int16_t tag = -1;

  [[nodiscard]] constexpr bool in(std::int16_t version) const noexcept {
    return version >= min && version <= max;
  }
  [[nodiscard]] constexpr bool may_be_null(std::int16_t version) const noexcept {
    return version >= nullable_min;
  }
  /// May be null from that version on.
  [[nodiscard]] constexpr Field nullable(std::int16_t from) const noexcept {
    Field out = *this;
    out.nullable_min = from;
    return out;
  }
  /// A tagged field (KIP-482): only in flexible versions, and only when it is not its default.
  [[nodiscard]] constexpr Field tagged(std::int16_t number) const noexcept {
    Field out = *this;
    out.tag = number;
    return out;
  }
};

/// There from that version on.
[[nodiscard]] constexpr Field since(std::int16_t from) noexcept { return Field{from}; }
/// There from `first` to `last`, both included.
[[nodiscard]] constexpr Field versions(std::int16_t first, std::int16_t last) noexcept {
  return Field{first, last};
}

/// Opaque bytes: on the wire their length is 32 bits, where a string's is 16.
/// Ownership: a view; decoded ones look into the request.
struct Bytes : std::string_view {
  using std::string_view::string_view;
  constexpr Bytes() noexcept = default;
  constexpr Bytes(std::string_view view) noexcept : std::string_view(view) {}  // NOLINT: bytes are bytes
  Bytes(const std::string& bytes) noexcept : std::string_view(bytes) {}        // NOLINT
};

/// A topic's id. Zero means none.
struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  friend constexpr bool operator==(const Uuid&, const Uuid&) noexcept = default;
  /// Kafka's text form: base64 for URLs, 22 characters.
  [[nodiscard]] std::string to_string() const;
};

/// The record batches of a partition: null, bytes in memory, or a piece that only the sender can reach (a
/// range of a file, for sendfile). The codec never looks into them.
/// Ownership: none. Bytes and sources must live until what was encoded with them is sent.
class Records {
 public:
  /// No records: what a fetch that found nothing answers (clients read it more gladly than null).
  constexpr Records() noexcept = default;
  constexpr Records(std::string_view bytes) noexcept : size_(bytes.size()), bytes_(bytes.data()) {}  // NOLINT
  [[nodiscard]] static constexpr Records null() noexcept {
    Records out;
    out.null_ = true;
    return out;
  }
  /// `size` bytes that the sender finds under the number `source` of its own list.
  [[nodiscard]] static constexpr Records external(std::uint32_t source, std::uint64_t size) noexcept {
    Records out;
    out.external_ = true;
    out.source_ = source;
    out.size_ = size;
    return out;
  }
  [[nodiscard]] constexpr bool is_null() const noexcept { return null_; }
  [[nodiscard]] constexpr bool is_external() const noexcept { return external_; }
  [[nodiscard]] constexpr std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr std::uint32_t source() const noexcept { return source_; }
  /// Empty when null or external.
  [[nodiscard]] constexpr std::string_view bytes() const noexcept {
    return external_ || null_ ? std::string_view() : std::string_view(bytes_, size_);
  }

 private:
  std::uint64_t size_ = 0;
  const char* bytes_ = nullptr;
  std::uint32_t source_ = 0;
  bool null_ = false;
  bool external_ = false;
};

/// "The authorized operations were not asked for" (KIP-430): the default of such fields.
inline constexpr std::int32_t kOperationsNotAsked = std::numeric_limits<std::int32_t>::min();

/// What a message says of itself beside its fields.
struct MessageId {
  Key key;
  std::string_view name;
};

}  // namespace afdg::kafka
