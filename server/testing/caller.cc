#include "server/testing/caller.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <stdlib.h>

#include <gtest/gtest.h>

#include <charconv>
#include <tuple>

#include "afdg/v1/admin.grpc.pb.h"
#include "afdg/v1/data.grpc.pb.h"
#include "base/codec.h"

namespace afdg::server::testing {
namespace {

constexpr auto kTimeout = std::chrono::seconds(20);

Status status_of(const grpc::Status& status, const grpc::ClientContext& context) {
  if (status.ok()) return {};
  const auto& trailers = context.GetServerTrailingMetadata();
  std::uint32_t number = static_cast<std::uint32_t>(Code::kUnavailable);
  if (const auto found = trailers.find("afdg-code"); found != trailers.end()) {
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), number);
    EXPECT_EQ(static_cast<int>(status.error_code()), code_grpc(code_from_number(number)))
        << status.error_message();
  }
  return fail(code_from_number(number), status.error_message());
}

struct Context : grpc::ClientContext {
  Context() { set_deadline(std::chrono::system_clock::now() + kTimeout); }
};

std::pair<std::string, std::string> split(const std::string& agent) {
  const std::size_t slash = agent.find('/');
  return {agent.substr(0, slash), agent.substr(slash + 1)};
}

v1::RequestCall request_call(const std::string& grid, const std::string& agent, const std::string& message,
                             const std::string& json) {
  v1::RequestCall call;
  call.set_grid(grid);
  std::tie(*call.mutable_type(), *call.mutable_key()) = split(agent);
  call.set_message(message);
  call.set_json(json);
  return call;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "afdg-server-test-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}
TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

struct Caller::State {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Data::Stub> data;
  std::unique_ptr<v1::Admin::Stub> admin;

  template <typename Answer, typename Request>
  Result<Answer> admin_call(grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                    Answer*),
                            const Request& request) {
    Context context;
    Answer answer;
    AFDG_TRY(status_of((admin.get()->*method)(&context, request, &answer), context));
    return answer;
  }
};

Caller::Caller(const std::string& address) : state_(std::make_unique<State>()) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  state_->channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  state_->data = v1::Data::NewStub(state_->channel);
  state_->admin = v1::Admin::NewStub(state_->channel);
}
Caller::~Caller() = default;

Result<std::string> Caller::request(const std::string& grid, const std::string& agent,
                                    const std::string& message, const std::string& json,
                                    const std::string& id) {
  v1::RequestCall call = request_call(grid, agent, message, json);
  call.set_request_id(id);
  Context context;
  v1::RequestAnswer answer;
  AFDG_TRY(status_of(state_->data->Request(&context, call, &answer), context));
  return answer.json();
}

Result<v1::SendReceipt> Caller::send(const std::string& grid, const std::string& agent,
                                     const std::string& message, const std::string& json) {
  const v1::RequestCall call = request_call(grid, agent, message, json);
  Context context;
  v1::SendReceipt receipt;
  AFDG_TRY(status_of(state_->data->Send(&context, call, &receipt), context));
  return receipt;
}

std::vector<v1::FanoutOutcome> Caller::fanout(const v1::FanoutCall& call, Status* status) {
  Context context;
  auto reader = state_->data->Fanout(&context, call);
  std::vector<v1::FanoutOutcome> outcomes;
  v1::FanoutOutcome outcome;
  while (reader->Read(&outcome)) outcomes.push_back(outcome);
  const Status ended = status_of(reader->Finish(), context);
  if (status != nullptr) *status = ended;
  return outcomes;
}

Result<v1::GridInfo> Caller::create_grid(const std::string& name, std::uint32_t regions,
                                         const std::vector<std::string>& types) {
  v1::CreateGridCall call;
  call.set_name(name);
  call.set_regions(regions);
  for (const auto& type : types) call.add_types(type);
  return state_->admin_call(&v1::Admin::Stub::CreateGrid, call);
}
Result<v1::GridInfo> Caller::grid(const std::string& name) {
  AFDG_ASSIGN(const v1::GridList list, state_->admin_call(&v1::Admin::Stub::ListGrids, v1::Empty()));
  for (const auto& grid : list.grids()) {
    if (grid.name() == name) return grid;
  }
  return fail(Code::kNotFound);
}
Status Caller::delete_grid(const std::string& name) {
  v1::NamedCall call;
  call.set_name(name);
  return state_->admin_call(&v1::Admin::Stub::DeleteGrid, call).status();
}
Result<v1::RouteTable> Caller::routes(const std::string& grid) {
  v1::RoutesCall call;
  call.set_grid(grid);
  return state_->admin_call(&v1::Admin::Stub::Routes, call);
}
Result<v1::RegionList> Caller::regions(const std::string& grid) {
  v1::RegionsCall call;
  call.set_grid(grid);
  return state_->admin_call(&v1::Admin::Stub::Regions, call);
}
Result<v1::NodeList> Caller::nodes() { return state_->admin_call(&v1::Admin::Stub::Nodes, v1::Empty()); }
Result<v1::ServerState> Caller::server() { return state_->admin_call(&v1::Admin::Stub::Server, v1::Empty()); }
Result<v1::AgentKeys> Caller::list(const std::string& grid, const std::string& type) {
  v1::ListAgentsCall call;
  call.set_grid(grid);
  call.set_type(type);
  return state_->admin_call(&v1::Admin::Stub::ListAgents, call);
}

Result<std::vector<v1::ConsumedRecord>> Caller::consume(const std::string& topic, std::uint64_t count) {
  v1::ConsumeCall call;
  call.set_topic(topic);
  call.set_stop_at_end(count == 0);
  call.set_count_max(count);
  Context context;
  auto reader = state_->admin->Consume(&context, call);
  std::vector<v1::ConsumedRecord> records;
  v1::ConsumedRecords page;
  while (reader->Read(&page)) records.insert(records.end(), page.records().begin(), page.records().end());
  AFDG_TRY(status_of(reader->Finish(), context));
  return records;
}

Result<bool> Caller::healthy() {
  // grpc.health.v1.Health/Check with an empty request; field 1 of the answer is the status, 1 is SERVING.
  grpc::GenericStub stub(state_->channel);
  Context context;
  grpc::CompletionQueue queue;
  grpc::Slice empty;
  grpc::ByteBuffer request(&empty, 1), answer;
  grpc::Status status;
  auto reader = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  reader->StartCall();
  reader->Finish(&answer, &status, &queue);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  AFDG_TRY(status_of(status, context));
  grpc::Slice slice;
  answer.DumpToSingleSlice(&slice).ok();
  return std::string_view(reinterpret_cast<const char*>(slice.begin()), slice.size()) == "\x08\x01";
}

struct Caller::Stream::State {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::CallFrame, v1::OutcomeFrame>> stream;
};
Caller::Stream::Stream(Caller& caller) : state_(std::make_unique<State>()) {
  state_->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  state_->stream = caller.state_->data->Stream(&state_->context);
}
Caller::Stream::~Stream() { state_->context.TryCancel(); }
void Caller::Stream::write(const v1::CallFrame& frame) { state_->stream->Write(frame); }
std::vector<v1::Outcome> Caller::Stream::read(std::size_t count) {
  std::vector<v1::Outcome> outcomes;
  v1::OutcomeFrame frame;
  while (outcomes.size() < count && state_->stream->Read(&frame)) {
    outcomes.insert(outcomes.end(), frame.outcomes().begin(), frame.outcomes().end());
    routes.insert(routes.end(), frame.routes().begin(), frame.routes().end());
  }
  return outcomes;
}

v1::Call increment(std::uint64_t id, const std::string& key, std::int32_t regions, std::uint64_t sequence) {
  v1::Call call;
  call.set_id(id);
  call.set_region(static_cast<std::uint32_t>(key_partition(key, regions)));
  call.set_type("entity");
  call.set_key(key);
  call.set_message("Increment");
  call.set_payload(R"({"key":"n","by":1})");
  call.set_content(v1::CONTENT_JSON);
  call.set_sequence(sequence);
  return call;
}

}  // namespace afdg::server::testing
