#include "client/admin.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "afdg/v1/admin.grpc.pb.h"
#include "afdg/v1/data.grpc.pb.h"
#include "client/internal/session.h"

namespace afdg::client {
namespace {

template <typename Request, typename Answer>
using Method = grpc::Status (v1::Admin::Stub::*)(grpc::ClientContext*, const Request&, Answer*);

template <typename Request, typename Answer>
Result<Answer> unary(internal::Session& session, std::chrono::milliseconds timeout,
                     Method<Request, Answer> method, const Request& request) {
  const auto stub = v1::Admin::NewStub(session.network().seed());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout);
  Answer answer;
  const grpc::Status status = ((*stub).*method)(&context, request, &answer);
  AFDG_TRY(internal::status_of(status, context, session.server()));
  return answer;
}

v1::NamedCall named(const std::string& name) {
  v1::NamedCall call;
  call.set_name(name);
  return call;
}

using Stub = v1::Admin::Stub;

/// A connection that broke leaves open whether records arrived, but for this text of gRPC's.
Status produced_status(const grpc::Status& status, const grpc::ClientContext& context,
                       const std::string& server) {
  const Status known = internal::status_of(status, context, server);
  const bool ours = context.GetServerTrailingMetadata().count("afdg-code") != 0;
  if (known.code() != Code::kUnavailable || ours ||
      status.error_message().find("failed to connect") != std::string::npos)
    return known;
  return fail(Code::kInDoubt, "the connection to the server at " + server +
                                  " broke: the records may be stored; look with 'afdg topic consume' before "
                                  "they are produced again");
}

}  // namespace

Result<v1::ServerState> Admin::server() const {
  return unary(*session_, timeout_, &Stub::Server, v1::Empty());
}
Result<v1::GridInfo> Admin::create_grid(const v1::CreateGridCall& call) const {
  return unary(*session_, timeout_, &Stub::CreateGrid, call);
}
Status Admin::delete_grid(const std::string& name) const {
  return unary(*session_, timeout_, &Stub::DeleteGrid, named(name)).status();
}
Result<v1::GridList> Admin::grids() const {
  return unary(*session_, timeout_, &Stub::ListGrids, v1::Empty());
}
Result<v1::GridDescription> Admin::describe_grid(const std::string& name) const {
  return unary(*session_, timeout_, &Stub::DescribeGrid, named(name));
}
Result<v1::RegionList> Admin::regions(const std::string& grid) const {
  v1::RegionsCall call;
  call.set_grid(grid);
  return unary(*session_, timeout_, &Stub::Regions, call);
}
Result<v1::TopicInfo> Admin::create_topic(const v1::CreateTopicCall& call) const {
  return unary(*session_, timeout_, &Stub::CreateTopic, call);
}
Status Admin::delete_topic(const std::string& name) const {
  return unary(*session_, timeout_, &Stub::DeleteTopic, named(name)).status();
}
Result<v1::TopicInfo> Admin::alter_topic(const v1::AlterTopicCall& call) const {
  return unary(*session_, timeout_, &Stub::AlterTopic, call);
}
Result<v1::TopicList> Admin::topics(const v1::TopicsCall& call) const {
  return unary(*session_, timeout_, &Stub::Topics, call);
}
Result<v1::GroupList> Admin::groups() const {
  return unary(*session_, timeout_, &Stub::Groups, v1::GroupsCall());
}
Result<v1::GroupInfo> Admin::describe_group(const v1::GroupCall& call) const {
  return unary(*session_, timeout_, &Stub::DescribeGroup, call);
}
Result<v1::GroupInfo> Admin::seek_group(const v1::SeekGroupCall& call) const {
  return unary(*session_, timeout_, &Stub::SeekGroup, call);
}
Status Admin::commit_group(const v1::CommitGroupCall& call) const {
  return unary(*session_, timeout_, &Stub::CommitGroup, call).status();
}
Status Admin::delete_group(const std::string& name) const {
  v1::GroupCall call;
  call.set_name(name);
  return unary(*session_, timeout_, &Stub::DeleteGroup, call).status();
}
Result<v1::NodeList> Admin::nodes() const { return unary(*session_, timeout_, &Stub::Nodes, v1::Empty()); }
Result<v1::Route> Admin::route(const v1::RouteCall& call) const {
  return unary(*session_, timeout_, &Stub::FindRoute, call);
}
Result<v1::AgentKeys> Admin::list_agents(const v1::ListAgentsCall& call) const {
  return unary(*session_, timeout_, &Stub::ListAgents, call);
}
Result<v1::AgentState> Admin::show_agent(const v1::ShowAgentCall& call) const {
  return unary(*session_, timeout_, &Stub::ShowAgent, call);
}

Result<v1::ProduceAnswer> Admin::produce(const v1::ProduceCall& call) const {
  const auto stub = v1::Data::NewStub(session_->network().seed());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + timeout_);
  v1::ProduceAnswer answer;
  const grpc::Status status = stub->Produce(&context, call, &answer);
  AFDG_TRY(produced_status(status, context, session_->server()));
  return answer;
}

void Admin::produce_async(const v1::ProduceCall& call,
                          std::function<void(const Result<v1::ProduceAnswer>&)> done) const {
  struct Operation {
    std::shared_ptr<internal::Session> session;
    std::unique_ptr<v1::Data::Stub> stub;
    grpc::ClientContext context;
    v1::ProduceCall call;
    v1::ProduceAnswer answer;
  };
  auto* const operation =
      new Operation{session_, v1::Data::NewStub(session_->network().seed()), {}, call, {}};
  operation->context.set_deadline(std::chrono::system_clock::now() + timeout_);
  operation->stub->async()->Produce(&operation->context, &operation->call, &operation->answer,
                                    [operation, done = std::move(done)](const grpc::Status& status) {
                                      const std::unique_ptr<Operation> owned(operation);
                                      const Status known =
                                          produced_status(status, owned->context, owned->session->server());
                                      done(known.ok() ? Result<v1::ProduceAnswer>(std::move(owned->answer))
                                                      : Result<v1::ProduceAnswer>(known.error()));
                                    });
}

Status Admin::consume(const v1::ConsumeCall& call,
                      const std::function<bool(const v1::ConsumedRecords&)>& each,
                      const std::function<bool()>& stop) const {
  const auto stub = v1::Admin::NewStub(session_->network().seed());
  grpc::ClientContext context;
  std::mutex mutex;
  std::condition_variable ended_wake;
  bool ended = false;
  bool stopped = false;
  std::thread watcher;
  if (stop) {
    watcher = std::thread([&] {
      std::unique_lock lock(mutex);
      while (!ended_wake.wait_for(lock, std::chrono::milliseconds(100), [&] { return ended; })) {
        if (!stop()) continue;
        stopped = true;
        context.TryCancel();
        return;
      }
    });
  }
  auto reader = stub->Consume(&context, call);
  v1::ConsumedRecords records;
  bool enough = false;
  while (reader->Read(&records)) {
    if (each(records)) continue;
    enough = true;
    context.TryCancel();
    break;
  }
  const grpc::Status status = reader->Finish();
  {
    const std::lock_guard lock(mutex);
    ended = true;
    ended_wake.notify_all();
  }
  if (watcher.joinable()) watcher.join();
  if (enough || stopped) return {};
  return internal::status_of(status, context, session_->server());
}

}  // namespace afdg::client
