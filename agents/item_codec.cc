#include "agents/item_codec.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/wrappers.pb.h>

#include "agents/item_time.h"

namespace afdg::agents {

void append_serialised(const google::protobuf::Message& message, std::string& out) {
  const std::size_t size = message.ByteSizeLong();
  if (size == 0) return;
  const std::size_t start = out.size();
  out.resize(start + size);
  google::protobuf::io::ArrayOutputStream array(out.data() + start, static_cast<int>(size));
  google::protobuf::io::CodedOutputStream stream(&array);
  stream.SetSerializationDeterministic(true);
  message.SerializeWithCachedSizes(&stream);
}

void remove_item_time(google::protobuf::Message& message) {
  message.GetReflection()->MutableUnknownFields(&message)->DeleteByNumber(kItemTimeField);
}

namespace {
template <typename T>
struct Wrapper;
// Int64Value and so on name what JSON shows; a string may hold any bytes, so it is parsed as BytesValue,
// which has the same form.
template <>
struct Wrapper<std::string> {
  using Stored = google::protobuf::BytesValue;
  using Shown = google::protobuf::StringValue;
};
template <>
struct Wrapper<std::int64_t> {
  using Stored = google::protobuf::Int64Value;
  using Shown = Stored;
};
template <>
struct Wrapper<double> {
  using Stored = google::protobuf::DoubleValue;
  using Shown = Stored;
};
template <>
struct Wrapper<bool> {
  using Stored = google::protobuf::BoolValue;
  using Shown = Stored;
};
}  // namespace

template <Simple T>
void ItemCodec<T>::encode(const T& value, std::string& out) {
  typename Wrapper<T>::Stored message;
  message.set_value(value);
  append_serialised(message, out);
}

template <Simple T>
bool ItemCodec<T>::decode(std::string_view bytes, T& value) {
  typename Wrapper<T>::Stored message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  if constexpr (std::is_same_v<T, std::string>) {
    value = std::move(*message.mutable_value());
  } else {
    value = message.value();
  }
  return true;
}

template <Simple T>
const google::protobuf::Descriptor* ItemCodec<T>::descriptor() {
  return Wrapper<T>::Shown::descriptor();
}

template struct ItemCodec<std::string>;
template struct ItemCodec<std::int64_t>;
template struct ItemCodec<double>;
template struct ItemCodec<bool>;

}  // namespace afdg::agents
