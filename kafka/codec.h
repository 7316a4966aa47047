#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kafka/schema.h"
#include "kafka/wire.h"

// Messages from bytes and to bytes. The templates are compiled in messages/*.cc, once for each message.
namespace afdg::kafka {

/// Memory that the arrays of one request may take. A request of 32 MiB can hold ten million array elements of
/// a few bytes each, which are twenty times larger once decoded, and again as large in their handler. Twice
/// what the largest request takes that the other bounds let through: offsets of 100,000 groups, 10,000 topics
/// with their settings, commits of 50,000 partitions. Producers and consumers name every partition they use.
[[nodiscard]] constexpr std::size_t array_bytes_max(Key key) noexcept {
  return std::size_t{key == Key::kProduce || key == Key::kFetch ? 64u : 16u} << 20;
}

struct DecodeOptions {
  /// Memory that the arrays of one message may take; of a request: array_bytes_max(key).
  std::size_t array_bytes_max = std::size_t{64} << 20;
  /// Refuse bytes after the message. Kafka's broker ignores them, so it is off by default.
  bool refuse_rest = false;
};

/// Reads a message of that version. Each field is set: to what was read, or to its default in versions
/// without it; so the same object can be used again and again, and its vectors keep their memory.
/// Ownership: strings and bytes of the message look into `body`.
/// Errors: kInvalidArgument (Kafka: INVALID_REQUEST) names message, version, field, place and value;
/// kUnsupported for a version that kafka/api.def does not accept. After an error the message holds a part.
/// Bounds: before memory is taken, a length or count must fit into the bytes left, and the arrays into
/// array_bytes_max.
template <class M>
[[nodiscard]] Status decode(M& message, std::int16_t version, std::string_view body,
                            const DecodeOptions& options = {});

/// Appends a message as that version. Fields that the version does not have are left out; a null where the
/// version has none is written as empty (what Kafka's broker does by hand in each such case).
/// Precondition: kafka/api.def accepts the version.
template <class M>
void encode(const M& message, std::int16_t version, Writer& out);

/// The fields of that version as compact JSON, the form that Kafka's own JSON converters give (its request
/// logs have it): records by their size, bytes and ids in base64.
template <class M>
[[nodiscard]] std::string dump(const M& message, std::int16_t version);

/// The smallest body of that version.
template <class M>
[[nodiscard]] std::size_t min_size(std::int16_t version);

}  // namespace afdg::kafka

/// AFDG_KAFKA_MESSAGE stands in a message's header, AFDG_KAFKA_COMPILE in the .cc that compiles its codec.
#define AFDG_KAFKA_MESSAGE(M) AFDG_KAFKA_CODEC_(extern template, M)
#define AFDG_KAFKA_COMPILE(M) AFDG_KAFKA_CODEC_(template, M)
#define AFDG_KAFKA_CODEC_(how, M)                                                 \
  how Status decode<M>(M&, std::int16_t, std::string_view, const DecodeOptions&); \
  how void encode<M>(const M&, std::int16_t, Writer&);                            \
  how std::string dump<M>(const M&, std::int16_t);                                \
  how std::size_t min_size<M>(std::int16_t);
