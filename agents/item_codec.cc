#include "agents/item_codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/wrappers.pb.h>

#include "agents/item_time.h"

namespace afdg::agents {

void append_serialised(const google::protobuf::Message& message, std::string& out) {
  const std::size_t size = message.ByteSizeLong();
  if (size == 0) return;
  const std::size_t start = out.size();
  out.resize(start + size);
  // What SerializeToArray does, with the maps sorted; a CodedOutputStream would cost as much as a small
  // message.
  auto* at = reinterpret_cast<std::uint8_t*>(out.data() + start);
  google::protobuf::io::EpsCopyOutputStream stream(at, static_cast<int>(size), true);
  message._InternalSerialize(at, &stream);
}

void remove_item_time(google::protobuf::Message& message) {
  message.GetReflection()->MutableUnknownFields(&message)->DeleteByNumber(kItemTimeField);
}

namespace {
template <typename Wrapper, typename T>
void append_wrapped(const T& value, std::string& out) {
  Wrapper message;
  message.set_value(value);
  append_serialised(message, out);
}
template <typename Wrapper>
bool parse_wrapped(std::string_view bytes, Wrapper& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}
}  // namespace

// A string may hold any bytes, so it is written and read as BytesValue, whose bytes are those of the
// StringValue that JSON shows.
void append_simple(const std::string& value, std::string& out) {
  append_wrapped<google::protobuf::BytesValue>(value, out);
}
bool parse_simple(std::string_view bytes, std::string& value) {
  google::protobuf::BytesValue message;
  if (!parse_wrapped(bytes, message)) return false;
  value = std::move(*message.mutable_value());
  return true;
}
const google::protobuf::Descriptor* simple_descriptor(const std::string* /*type*/) {
  return google::protobuf::StringValue::descriptor();
}

void append_simple(std::int64_t value, std::string& out) {
  append_wrapped<google::protobuf::Int64Value>(value, out);
}
bool parse_simple(std::string_view bytes, std::int64_t& value) {
  google::protobuf::Int64Value message;
  if (!parse_wrapped(bytes, message)) return false;
  value = message.value();
  return true;
}
const google::protobuf::Descriptor* simple_descriptor(const std::int64_t* /*type*/) {
  return google::protobuf::Int64Value::descriptor();
}

void append_simple(double value, std::string& out) {
  append_wrapped<google::protobuf::DoubleValue>(value, out);
}
bool parse_simple(std::string_view bytes, double& value) {
  google::protobuf::DoubleValue message;
  if (!parse_wrapped(bytes, message)) return false;
  value = message.value();
  return true;
}
const google::protobuf::Descriptor* simple_descriptor(const double* /*type*/) {
  return google::protobuf::DoubleValue::descriptor();
}

void append_simple(bool value, std::string& out) { append_wrapped<google::protobuf::BoolValue>(value, out); }
bool parse_simple(std::string_view bytes, bool& value) {
  google::protobuf::BoolValue message;
  if (!parse_wrapped(bytes, message)) return false;
  value = message.value();
  return true;
}
const google::protobuf::Descriptor* simple_descriptor(const bool* /*type*/) {
  return google::protobuf::BoolValue::descriptor();
}

}  // namespace afdg::agents
