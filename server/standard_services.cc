#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>

#include <deque>
#include <mutex>
#include <set>

#include "base/assert.h"
#include "base/codec.h"
#include "server/admin_service.h"

// grpc.health.v1.Health and grpc.reflection.v1 (and v1alpha), as their public definitions say, encoded by
// hand.
namespace afdg::server {
namespace {

constexpr std::uint64_t sized(std::uint32_t field) { return (field << 3) | 2; }
void put_field(std::string& out, std::uint32_t field, std::string_view bytes) {
  put_varint(out, sized(field));
  put_sized(out, bytes);
}

/// HealthCheckRequest {service = 1} -> HealthCheckResponse {status = 1}: SERVING 1, NOT_SERVING 2,
/// SERVICE_UNKNOWN 3.
std::string health(std::string_view request, const AdminParts& parts, bool& known) {
  std::string_view service;
  ByteReader reader(request);
  while (reader.left() > 0 && !reader.failed()) {
    if (reader.varint() != sized(1)) break;
    service = reader.sized();
  }
  known = service.empty() || service == "afdg.v1.Data" || service == "afdg.v1.Admin";
  std::string answer;
  put_varint(answer, 8);
  put_varint(answer, !known ? 3 : parts.serving() ? 1 : 2);
  return answer;
}

class HealthWatch final : public RpcHandler, public std::enable_shared_from_this<HealthWatch> {
 public:
  HealthWatch(std::shared_ptr<RpcCall> call, const AdminParts& parts)
      : call_(std::move(call)), parts_(parts) {}
  void on_message(RpcBytes bytes) override {
    asked_ = std::string(bytes.view);
    look();
  }
  void on_written() override { again(); }
  void on_done() override { done_.store(true); }

 private:
  void look() {
    bool known = false;
    std::string now = health(asked_, parts_, known);
    if (done_.load()) return;
    if (now == last_) return again();
    last_ = now;
    call_->write(std::move(now));
  }
  void again() {
    parts_.background->after(std::chrono::milliseconds(500), [self = shared_from_this()] { self->look(); });
  }
  const std::shared_ptr<RpcCall> call_;
  const AdminParts parts_;
  std::string asked_, last_;
  std::atomic<bool> done_{false};
};

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;

void add_file(const FileDescriptor* file, std::set<const FileDescriptor*>& seen, std::string& answer) {
  if (file == nullptr || !seen.insert(file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file->CopyTo(&proto);
  put_field(answer, 1, proto.SerializeAsString());
  for (int i = 0; i < file->dependency_count(); ++i) add_file(file->dependency(i), seen, answer);
}

/// grpc/health/v1/health.proto, so that tools can call what health() answers.
const std::string& health_file() {
  static const std::string file = [] {
    google::protobuf::FileDescriptorProto proto;
    const bool good = google::protobuf::TextFormat::ParseFromString(
        R"(name: "grpc/health/v1/health.proto" package: "grpc.health.v1" syntax: "proto3"
           message_type { name: "HealthCheckRequest"
             field { name: "service" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING json_name: "service" } }
           message_type { name: "HealthCheckResponse"
             field { name: "status" number: 1 label: LABEL_OPTIONAL type: TYPE_ENUM json_name: "status"
                     type_name: ".grpc.health.v1.HealthCheckResponse.ServingStatus" }
             enum_type { name: "ServingStatus" value { name: "UNKNOWN" number: 0 }
               value { name: "SERVING" number: 1 } value { name: "NOT_SERVING" number: 2 }
               value { name: "SERVICE_UNKNOWN" number: 3 } } }
           service { name: "Health"
             method { name: "Check" input_type: ".grpc.health.v1.HealthCheckRequest"
                      output_type: ".grpc.health.v1.HealthCheckResponse" }
             method { name: "Watch" input_type: ".grpc.health.v1.HealthCheckRequest"
                      output_type: ".grpc.health.v1.HealthCheckResponse" server_streaming: true } })",
        &proto);
    AFDG_ASSERT(good, "the text above is a file");
    return proto.SerializeAsString();
  }();
  return file;
}

/// ServerReflectionRequest {host 1, file_by_filename 3, file_containing_symbol 4, file_containing_extension
/// 5, all_extension_numbers_of_type 6, list_services 7} -> ServerReflectionResponse {original_request 2,
/// file_descriptor_response 4, all_extension_numbers_response 5, list_services_response 6, error_response 7}.
std::string reflect(std::string_view request) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  std::string answer;
  put_field(answer, 2, request);
  ByteReader reader(request);
  while (reader.left() > 0) {
    const std::uint64_t tag = reader.varint();
    const std::string value(reader.sized());
    if (reader.failed()) break;
    const FileDescriptor* file = nullptr;
    if (tag == sized(1)) continue;
    if (tag == sized(7)) {
      std::string list;
      for (const char* name : {"afdg.v1.Data", "afdg.v1.Admin", "afdg.v1.Catalog", "grpc.health.v1.Health"}) {
        std::string service;
        put_field(service, 1, name);
        put_field(list, 1, service);
      }
      put_field(answer, 6, list);
      return answer;
    }
    if ((tag == sized(3) && value == "grpc/health/v1/health.proto") ||
        (tag == sized(4) && value.starts_with("grpc.health.v1."))) {
      std::string files;
      put_field(files, 1, health_file());
      put_field(answer, 4, files);
      return answer;
    }
    if (tag == sized(3)) file = pool.FindFileByName(value);
    if (tag == sized(4)) file = pool.FindFileContainingSymbol(value);
    if (tag == sized(6) && pool.FindMessageTypeByName(value) != nullptr) {
      std::string numbers;  // none: proto3 has no extensions of messages here
      put_field(numbers, 1, value);
      put_field(answer, 5, numbers);
      return answer;
    }
    if (file != nullptr) {
      std::string files;
      std::set<const FileDescriptor*> seen;
      add_file(file, seen, files);
      put_field(answer, 4, files);
      return answer;
    }
    break;
  }
  std::string error;
  put_varint(error, 8);
  put_varint(error, 5);  // NOT_FOUND
  put_field(error, 2, "no such file or symbol is known here");
  put_field(answer, 7, error);
  return answer;
}

class Reflection final : public RpcHandler {
 public:
  explicit Reflection(std::shared_ptr<RpcCall> call) : call_(std::move(call)) {}
  void on_message(RpcBytes bytes) override { call_->write(reflect(bytes.view)); }
  void on_written() override { call_->read(); }
  void on_read_end() override { call_->finish({}); }

 private:
  const std::shared_ptr<RpcCall> call_;
};

}  // namespace

void add_standard_services(RpcServer& server, const AdminParts& parts) {
  server.add("/grpc.health.v1.Health/Check",
             unary_method([parts](RpcBytes bytes, std::chrono::system_clock::time_point, RpcAnswer answer) {
               bool known = false;
               std::string status = health(bytes.view, parts, known);
               answer(known ? Result<std::string>(std::move(status))
                            : Result<std::string>(fail(Code::kNotFound, "no such service is known here")));
             }));
  server.add("/grpc.health.v1.Health/Watch",
             [parts](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
               return std::make_shared<HealthWatch>(std::move(call), parts);
             });
  for (const char* version : {"v1", "v1alpha"}) {
    server.add(std::string("/grpc.reflection.") + version + ".ServerReflection/ServerReflectionInfo",
               [](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
                 return std::make_shared<Reflection>(std::move(call));
               });
  }
}

}  // namespace afdg::server
