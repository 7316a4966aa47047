#pragma once

#include <google/protobuf/message.h>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "agents/item_time.h"

namespace afdg::agents {

/// Appends the message's bytes; equal messages give equal bytes (map entries are sorted).
void append_serialised(const google::protobuf::Message& message, std::string& out);
/// Takes the time of an item (docs/formats/entity-items.md) out of the message's unknown fields.
void remove_item_time(google::protobuf::Message& message);

/// A type that an entity can hold: a Protocol Buffers message, or one of the simple types.
template <typename T>
concept Message = std::derived_from<T, google::protobuf::Message>;
template <typename T>
concept Simple = std::same_as<T, std::string> || std::same_as<T, std::int64_t> || std::same_as<T, double> ||
    std::same_as<T, bool>;
template <typename T>
concept Storable = Message<T> || Simple<T>;

/// How an item is stored: a message as its bytes; a simple type as the well-known wrapper message
/// (google.protobuf.Int64Value, StringValue, DoubleValue, BoolValue). ON DISK since version 1.
template <typename T>
struct ItemCodec;

template <Message T>
struct ItemCodec<T> {
  static void encode(const T& value, std::string& out) { append_serialised(value, out); }
  static bool decode(std::string_view bytes, T& value) {
    if (!value.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
    if (may_end_in_time(bytes)) remove_item_time(value);
    return true;
  }
  static const google::protobuf::Descriptor* descriptor() { return T::descriptor(); }
  static std::size_t memory_bytes(const T& value) { return value.SpaceUsedLong() - sizeof(T); }
};

void append_simple(const std::string& value, std::string& out);
bool parse_simple(std::string_view bytes, std::string& value);
const google::protobuf::Descriptor* simple_descriptor(const std::string*);
void append_simple(std::int64_t value, std::string& out);
bool parse_simple(std::string_view bytes, std::int64_t& value);
const google::protobuf::Descriptor* simple_descriptor(const std::int64_t*);
void append_simple(double value, std::string& out);
bool parse_simple(std::string_view bytes, double& value);
const google::protobuf::Descriptor* simple_descriptor(const double*);
void append_simple(bool value, std::string& out);
bool parse_simple(std::string_view bytes, bool& value);
const google::protobuf::Descriptor* simple_descriptor(const bool*);

template <Simple T>
struct ItemCodec<T> {
  static void encode(const T& value, std::string& out) { append_simple(value, out); }
  static bool decode(std::string_view bytes, T& value) { return parse_simple(bytes, value); }
  static const google::protobuf::Descriptor* descriptor() {
    return simple_descriptor(static_cast<const T*>(nullptr));
  }
  static std::size_t memory_bytes(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) return value.capacity();
    return 0;
  }
};

}  // namespace afdg::agents
