#include "server/reflection.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <set>
#include <vector>

#include "afdg/v1/admin.pb.h"
#include "afdg/v1/data.pb.h"
#include "base/codec.h"

namespace afdg::server {
namespace {

namespace pb = google::protobuf;

// ON WIRE: grpc.reflection.v1alpha and grpc.health.v1, by hand: a few fields of two small contracts.
constexpr char tag(int field, int wire) { return static_cast<char>((field << 3) | wire); }
void put_text(std::string& out, int field, std::string_view text) {
  out.push_back(tag(field, 2));
  put_sized(out, text);
}

std::string error_answer(int code, const std::string& text) {
  std::string error;
  error.push_back(tag(1, 0));
  put_varint(error, static_cast<std::uint64_t>(code));
  put_text(error, 2, text);
  return error;
}

/// The file and all that it needs, itself first.
void add_files(const pb::FileDescriptor& file, std::set<const pb::FileDescriptor*>& seen, std::string& out) {
  if (!seen.insert(&file).second) return;
  pb::FileDescriptorProto proto;
  file.CopyTo(&proto);
  put_text(out, 1, proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) add_files(*file.dependency(i), seen, out);
}

std::string reflect(std::string_view request) {
  std::string answer;
  put_text(answer, 2, request);
  ByteReader reader(request);
  const pb::DescriptorPool& pool = *pb::DescriptorPool::generated_pool();
  while (reader.left() > 0 && !reader.failed()) {
    const std::uint64_t key = reader.varint();
    if ((key & 7) != 2) break;
    const std::string text(reader.sized());
    if (reader.failed()) break;
    const pb::FileDescriptor* file = nullptr;
    switch (key >> 3) {
      case 1:
        continue;
      case 3:
        file = pool.FindFileByName(text);
        break;
      case 4:
        file = pool.FindFileContainingSymbol(text);
        break;
      case 7: {
        std::string services;
        for (const char* name : {"afdg.v1.Data", "afdg.v1.Admin", "grpc.health.v1.Health"}) {
          std::string service;
          put_text(service, 1, name);
          put_text(services, 1, service);
        }
        put_text(answer, 6, services);
        return answer;
      }
      default:
        put_text(answer, 7, error_answer(12, "only files, symbols and services are told"));
        return answer;
    }
    if (file == nullptr) {
      put_text(answer, 7, error_answer(5, "'" + text + "' is not known here"));
      return answer;
    }
    std::string files;
    std::set<const pb::FileDescriptor*> seen;
    add_files(*file, seen, files);
    put_text(answer, 4, files);
    return answer;
  }
  put_text(answer, 7, error_answer(3, "the request names nothing"));
  return answer;
}

class Reflection final : public RpcHandler {
 public:
  explicit Reflection(std::shared_ptr<RpcCall> call) : call_(std::move(call)) {}
  void on_message(RpcBytes message) override { call_->write(reflect(message.view)); }
  void on_written() override { call_->read(); }
  void on_read_end() override { call_->finish({}); }
  void on_done() override { call_.reset(); }

 private:
  std::shared_ptr<RpcCall> call_;
};

/// Health.Watch: says once that it serves; the end of the server ends the call.
class Watch final : public RpcHandler {
 public:
  explicit Watch(std::shared_ptr<RpcCall> call) : call_(std::move(call)) {}
  void on_message(RpcBytes) override { call_->write("\x08\x01"); }
  void on_done() override { call_.reset(); }

 private:
  std::shared_ptr<RpcCall> call_;
};

}  // namespace

void add_reflection(RpcServer& server) {
  // Named once, so that the linker keeps the descriptors.
  static_cast<void>(v1::ServerState::descriptor());
  static_cast<void>(v1::CallFrame::descriptor());
  for (const char* version : {"v1alpha", "v1"}) {
    server.add(std::string("/grpc.reflection.") + version + ".ServerReflection/ServerReflectionInfo",
               [](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
                 return std::make_shared<Reflection>(std::move(call));
               });
  }
  server.add("/grpc.health.v1.Health/Check",
             unary_method([](RpcBytes, std::chrono::system_clock::time_point, RpcAnswer answer) {
               answer(std::string("\x08\x01"));
             }));
  server.add("/grpc.health.v1.Health/Watch",
             [](std::shared_ptr<RpcCall> call) -> std::shared_ptr<RpcHandler> {
               return std::make_shared<Watch>(std::move(call));
             });
}

}  // namespace afdg::server
