#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <algorithm>
#include <memory>
#include <string>

#include "agents/agent_type.h"
#include "agents/item_codec.h"

namespace afdg::agents {
namespace {
namespace pb = google::protobuf;
namespace util = google::protobuf::util;

constexpr std::size_t kBytesMax = std::size_t{1} << 30;  // Protocol Buffers' own limit is 2 GiB
constexpr int kExampleDepthMax = 4;

/// A message of a type known only at run time. The factory owns the type, so it goes last.
class AnyMessage {
 public:
  explicit AnyMessage(const pb::Descriptor& type) {
    const pb::Message* prototype = nullptr;
    if (type.file()->pool() == pb::DescriptorPool::generated_pool()) {
      prototype = pb::MessageFactory::generated_factory()->GetPrototype(&type);
    } else {
      factory_ = std::make_unique<pb::DynamicMessageFactory>();
      prototype = factory_->GetPrototype(&type);
    }
    message_.reset(prototype->New());
  }
  pb::Message& operator*() const noexcept { return *message_; }
  pb::Message* operator->() const noexcept { return message_.get(); }

 private:
  std::unique_ptr<pb::DynamicMessageFactory> factory_;
  std::unique_ptr<pb::Message> message_;
};

constexpr char kTypeHost[] = "type.googleapis.com";

/// The message's JSON, with the fields of objects in the order of their names: the same message always prints
/// the same.
auto print(const pb::Message& message, std::string& json) {
  util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  const pb::DescriptorPool* pool = message.GetDescriptor()->file()->pool();
  static util::TypeResolver* const kGenerated =
      util::NewTypeResolverForDescriptorPool(kTypeHost, pb::DescriptorPool::generated_pool());
  std::unique_ptr<util::TypeResolver> other;
  if (pool != pb::DescriptorPool::generated_pool())
    other.reset(util::NewTypeResolverForDescriptorPool(kTypeHost, pool));
  std::string sorted;
  append_serialised(message, sorted);
  return util::BinaryToJsonString(other ? other.get() : kGenerated,
                                  std::string(kTypeHost) + "/" + message.GetDescriptor()->full_name(), sorted,
                                  &json, options);
}

std::string field_names(const pb::Descriptor& type) {
  std::string names;
  for (int i = 0; i < type.field_count(); ++i) {
    if (i > 0) names += ", ";
    names += type.field(i)->name();
  }
  return names.empty() ? "none" : names;
}

/// Protocol Buffers' sentences made into ours: "bye: Cannot find field." and "(by): invalid value 1.5 for
/// type TYPE_INT64".
Error json_error(const pb::Descriptor& type, std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && (text.back() == ' ' || text.back() == '.' || text.back() == '^')) text.pop_back();
  while (!text.empty() && (text.front() == ':' || text.front() == ' ')) text.erase(0, 1);
  if (constexpr std::string_view kNoField = ": Cannot find field"; text.ends_with(kNoField)) {
    const std::string field = text.substr(0, text.size() - kNoField.size());
    text = "there is no field '" + field + "'";
    if (field.find('.') == std::string::npos) text += "; the fields are: " + field_names(type);
  } else if (const auto end = text.find("): "); text.starts_with('(') && end != std::string::npos) {
    text = "field '" + text.substr(1, end - 1) + "': " + text.substr(end + 3);
    if (const auto at = text.rfind("TYPE_"); at != std::string::npos) {
      text.erase(at, 5);
      std::transform(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(),
                     text.begin() + static_cast<std::ptrdiff_t>(at),
                     [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    }
  } else if (constexpr std::string_view kObject =
                 "invalid value Starting an object on a scalar field for type ";
             text.starts_with(kObject)) {
    text = "field '" + text.substr(kObject.size()) + "': an object where a single value is expected";
  } else if (text.starts_with("Root element must be a message")) {
    text = "the JSON is not an object: write {\"field\": value}";
  } else {
    text = "not JSON: " + text;
  }
  return fail(Code::kUndecodable, type.name() + ": " + text);
}

void fill(pb::Message& message, int depth);

void fill_field(pb::Message& message, const pb::FieldDescriptor& field, int depth) {
  const pb::Reflection& reflection = *message.GetReflection();
  const bool list = field.is_repeated();
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return list ? reflection.AddInt32(&message, &field, 1) : reflection.SetInt32(&message, &field, 1);
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return list ? reflection.AddInt64(&message, &field, 1) : reflection.SetInt64(&message, &field, 1);
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return list ? reflection.AddUInt32(&message, &field, 1) : reflection.SetUInt32(&message, &field, 1);
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return list ? reflection.AddUInt64(&message, &field, 1) : reflection.SetUInt64(&message, &field, 1);
    case pb::FieldDescriptor::CPPTYPE_DOUBLE:
      return list ? reflection.AddDouble(&message, &field, 1.5) : reflection.SetDouble(&message, &field, 1.5);
    case pb::FieldDescriptor::CPPTYPE_FLOAT:
      return list ? reflection.AddFloat(&message, &field, 1.5F) : reflection.SetFloat(&message, &field, 1.5F);
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return list ? reflection.AddBool(&message, &field, true) : reflection.SetBool(&message, &field, true);
    case pb::FieldDescriptor::CPPTYPE_ENUM: {
      const pb::EnumDescriptor& type = *field.enum_type();
      const pb::EnumValueDescriptor* value = type.value(type.value_count() > 1 ? 1 : 0);
      return list ? reflection.AddEnum(&message, &field, value) : reflection.SetEnum(&message, &field, value);
    }
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return list ? reflection.AddString(&message, &field, "text")
                  : reflection.SetString(&message, &field, "text");
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      if (depth >= kExampleDepthMax || field.message_type()->full_name() == "google.protobuf.Any") return;
      fill(list ? *reflection.AddMessage(&message, &field) : *reflection.MutableMessage(&message, &field),
           depth + 1);
  }
}

void fill(pb::Message& message, int depth) {
  const pb::Descriptor& type = *message.GetDescriptor();
  if (type.full_name() == "google.protobuf.Value") {
    return fill_field(message, *type.FindFieldByName("string_value"), depth);
  }
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& field = *type.field(i);
    const pb::OneofDescriptor* choice = field.containing_oneof();
    if (choice == nullptr || choice->field(0) == &field) fill_field(message, field, depth);
  }
}
}  // namespace

Result<std::string> json_to_bytes(const pb::Descriptor& message, std::string_view json) {
  if (json.size() > kBytesMax)
    return fail(Code::kMessageTooLarge, message.name() + ": more than 1 GiB of JSON: send less");
  if (json.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return fail(Code::kUndecodable,
                message.name() + ": the JSON is empty: write {} for a message without fields");
  }
  const AnyMessage any(message);
  const auto parsed = util::JsonStringToMessage(pb::StringPiece(json.data(), json.size()), &*any);
  if (!parsed.ok()) return json_error(message, std::string(parsed.message()));
  std::string bytes;
  append_serialised(*any, bytes);
  return bytes;
}

Result<std::string> bytes_to_json(const pb::Descriptor& message, std::string_view bytes) {
  const AnyMessage any(message);
  if (bytes.size() > kBytesMax || !any->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail(Code::kUndecodable, message.name() + ": these " + std::to_string(bytes.size()) +
                                        " bytes are not a " + message.full_name() +
                                        " in Protocol Buffers' format");
  }
  std::string json;
  const auto printed = print(*any, json);
  if (!printed.ok()) {
    return fail(Code::kUndecodable, message.name() + ": has no JSON form: " + std::string(printed.message()));
  }
  return json;
}

std::string example_json(const pb::Descriptor& message) {
  const AnyMessage any(message);
  fill(*any, 0);
  std::string json;
  const auto printed = print(*any, json);
  return printed.ok() ? json : "{}";
}

}  // namespace afdg::agents
