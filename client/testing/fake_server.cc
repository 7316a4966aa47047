#include "client/testing/fake_server.h"

#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <tuple>

#include "afdg/v1/admin.grpc.pb.h"
#include "afdg/v1/data.grpc.pb.h"
#include "afdg/v1/entity.pb.h"
#include "base/codec.h"

namespace afdg::client::testing {
namespace {

constexpr std::uint32_t kRegions = 4;

grpc::Status refuse(grpc::ServerContext* context, Code code, const std::string& text) {
  context->AddTrailingMetadata("afdg-code", std::to_string(static_cast<int>(code)));
  return {static_cast<grpc::StatusCode>(code_grpc(code)), text};
}

}  // namespace

class FakeServer::Impl final : public v1::Data::Service, public v1::Admin::Service {
 public:
  Impl() {
    v1::GridInfo& grid = grids_["g"];
    grid.set_id(7);
    grid.set_name("g");
    grid.set_regions(kRegions);
    grid.set_replication(1);
    grid.add_types("entity");
    grid.set_state("active");
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 100);
    builder.RegisterService(static_cast<v1::Data::Service*>(this));
    builder.RegisterService(static_cast<v1::Admin::Service*>(this));
    server_ = builder.BuildAndStart();
  }

  void stop() {
    break_streams();
    if (server_) server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  }
  void break_streams() {
    const std::lock_guard lock(mutex_);
    for (grpc::ServerContext* context : streams_) context->TryCancel();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // --- Data

  grpc::Status Stream(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<v1::OutcomeFrame, v1::CallFrame>* stream) override {
    {
      const std::lock_guard lock(mutex_);
      streams_.insert(context);
    }
    v1::CallFrame frame;
    while (stream->Read(&frame)) {
      v1::OutcomeFrame answer = take(frame);
      if (answer.outcomes_size() > 0) stream->Write(answer);
    }
    const std::lock_guard lock(mutex_);
    streams_.erase(context);
    return grpc::Status::OK;
  }

  v1::OutcomeFrame take(const v1::CallFrame& frame) {
    const std::lock_guard lock(mutex_);
    v1::OutcomeFrame answer;
    for (const v1::Call& call : frame.calls()) {
      if (call.answered_below() == ~std::uint64_t{0}) {
        ++farewells_;
        *answer.add_outcomes() = failed(Code::kRequestExpired, "the session is over");
        continue;
      }
      seen_.push_back({frame.session(), call.id(), call.region(), call.sequence(), call.answered_below(),
                       call.type(), call.key(), call.message(), call.request_id(), frames_});
      if (mode_ == Mode::kIgnore) continue;
      v1::Outcome outcome;
      const Code refused = refusal_ ? refusal_(seen_.back()) : Code::kOk;
      if (refused != Code::kOk) {
        outcome.set_code(static_cast<std::uint32_t>(refused));
        outcome.set_text("refused by the test");
        outcome.set_offset(-1);
        if (refused == Code::kNotLeader && tell_) fill_routes(answer.mutable_routes());
      } else {
        outcome = apply(frame, call);
      }
      outcome.set_id(call.id());
      outcome.set_region(call.region());
      if (mode_ == Mode::kAnswer) *answer.add_outcomes() = std::move(outcome);
    }
    ++frames_;
    arrived_.notify_all();
    return answer;
  }

  v1::Outcome apply(const v1::CallFrame& frame, const v1::Call& call) {
    v1::Outcome outcome;
    if (grids_.count(frame.grid()) == 0)
      return failed(Code::kUnknownGrid, "grid '" + frame.grid() + "' is unknown");
    if (call.region() != static_cast<std::uint32_t>(key_partition(call.key(), kRegions))) {
      return failed(Code::kInvalidArgument, "key '" + call.key() + "' is of another region");
    }
    const std::string identity = call.request_id().empty()
                                     ? std::to_string(frame.session()) + "/" + std::to_string(call.region()) +
                                           "/" + std::to_string(call.sequence())
                                     : call.type() + "/" + call.key() + "/" + call.request_id();
    if (auto found = answers_.find(identity); found != answers_.end()) {
      outcome = found->second;
      outcome.set_repeated(true);
      return outcome;
    }
    outcome = run(call);
    outcome.set_offset(++offsets_[call.region()]);
    answers_[identity] = outcome;
    return outcome;
  }

  v1::Outcome run(const v1::Call& call) {
    if (call.type() != "entity")
      return failed(Code::kUnknownType, "type '" + call.type() + "' is not hosted");
    if (call.message() == "Fail") return failed(Code::kApplication, "the agent does not like it");
    if (call.message() != "Increment") {
      return failed(Code::kUnknownMessage, "entity has no message '" + call.message() + "'");
    }
    const bool json = call.content() == v1::CONTENT_JSON;
    v1::entity::Increment message;
    const bool good = json ? google::protobuf::util::JsonStringToMessage(call.payload(), &message).ok()
                           : message.ParseFromString(call.payload());
    if (!good) return failed(Code::kUndecodable, "the payload is not an Increment");
    v1::entity::IncrementAnswer answer;
    answer.set_value(counters_[call.key()] += message.by());
    v1::Outcome outcome;
    if (call.kind() == v1::KIND_REQUEST) {
      if (json) {
        google::protobuf::util::MessageToJsonString(answer, outcome.mutable_payload()).ok();
      } else {
        outcome.set_payload(answer.SerializeAsString());
      }
    }
    return outcome;
  }
  static v1::Outcome failed(Code code, const std::string& text) {
    v1::Outcome outcome;
    outcome.set_code(static_cast<std::uint32_t>(code));
    outcome.set_text(text);
    outcome.set_offset(-1);
    return outcome;
  }

  grpc::Status Produce(grpc::ServerContext* context, const v1::ProduceCall* call,
                       v1::ProduceAnswer* answer) override {
    if (call->topic() != "words")
      return refuse(context, Code::kNotFound, "no topic is named '" + call->topic() + "': create it");
    const std::lock_guard lock(mutex_);
    for (const v1::ProduceRecord& record : call->records()) {
      v1::ProduceReceipt& receipt = *answer->add_receipts();
      SeenRecord& seen = produced_.emplace_back();
      seen.call = produce_calls_;
      if (record.has_partition_case() == v1::ProduceRecord::kPartition) seen.partition = record.partition();
      if (record.has_key_case() == v1::ProduceRecord::kKey) seen.key = record.key();
      if (record.has_value_case() == v1::ProduceRecord::kValue) seen.value = record.value();
      for (const auto& header : record.headers()) seen.headers.emplace_back(header.key(), header.value());
      seen.timestamp_unix_ms = record.timestamp_unix_ms();
      receipt.set_partition(seen.partition);
      if (seen.value == "full") {
        receipt.set_code(static_cast<std::uint32_t>(Code::kDiskFull));
        receipt.set_text("the disk is full: free space");
        receipt.set_offset(-1);
        produced_.pop_back();
      } else {
        receipt.set_offset(static_cast<std::int64_t>(produced_.size()) - 1);
      }
    }
    ++produce_calls_;
    return grpc::Status::OK;
  }

  // --- Admin

  template <typename Routes>
  void fill_routes(Routes* routes) {
    for (std::uint32_t region = 0; region < kRegions; ++region) {
      v1::Route* route = routes->Add();
      route->set_grid("g");
      route->set_region(region);
      route->set_node(1);
      route->set_epoch(1);
      route->set_address(routes_.count(region) != 0 ? routes_[region] : address());
    }
  }
  grpc::Status Routes(grpc::ServerContext* context, const v1::RoutesCall* call,
                      v1::RouteTable* answer) override {
    const std::lock_guard lock(mutex_);
    ++lookups_;
    if (grids_.count(call->grid()) == 0) {
      return refuse(context, Code::kUnknownGrid,
                    "grid '" + call->grid() + "' is unknown: list the grids, or create it");
    }
    answer->set_regions(kRegions);
    answer->set_grid_id(7);
    fill_routes(answer->mutable_routes());
    return grpc::Status::OK;
  }
  grpc::Status FindRoute(grpc::ServerContext* context, const v1::RouteCall* call,
                         v1::Route* answer) override {
    const std::lock_guard lock(mutex_);
    if (grids_.count(call->grid()) == 0)
      return refuse(context, Code::kUnknownGrid, "grid '" + call->grid() + "' is unknown: list the grids");
    answer->set_grid(call->grid());
    answer->set_region(static_cast<std::uint32_t>(key_partition(call->key(), kRegions)));
    answer->set_node(1);
    answer->set_address(address());
    answer->set_epoch(1);
    return grpc::Status::OK;
  }
  grpc::Status Server(grpc::ServerContext*, const v1::Empty*, v1::ServerState* answer) override {
    answer->set_version("0.1.0");
    answer->set_node(1);
    answer->add_roles("catalog");
    answer->set_durability("synced");
    return grpc::Status::OK;
  }
  grpc::Status ListGrids(grpc::ServerContext*, const v1::Empty*, v1::GridList* answer) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, grid] : grids_) *answer->add_grids() = grid;
    return grpc::Status::OK;
  }
  grpc::Status CreateGrid(grpc::ServerContext* context, const v1::CreateGridCall* call,
                          v1::GridInfo* answer) override {
    const std::lock_guard lock(mutex_);
    if (grids_.count(call->name()) != 0) {
      return refuse(context, Code::kAlreadyExists, "grid '" + call->name() + "' exists: choose another name");
    }
    answer->set_name(call->name());
    answer->set_regions(call->regions());
    answer->set_state("active");
    grids_[call->name()] = *answer;
    return grpc::Status::OK;
  }
  grpc::Status DeleteGrid(grpc::ServerContext* context, const v1::NamedCall* call, v1::Empty*) override {
    const std::lock_guard lock(mutex_);
    if (grids_.erase(call->name()) == 0)
      return refuse(context, Code::kUnknownGrid, "no grid '" + call->name() + "'");
    return grpc::Status::OK;
  }
  grpc::Status Regions(grpc::ServerContext*, const v1::RegionsCall* call, v1::RegionList* answer) override {
    for (std::uint32_t region = 0; region < kRegions; ++region) {
      v1::RegionStatus* status = answer->add_regions();
      status->set_grid(call->grid());
      status->set_region(region);
      status->set_leader(1);
      status->set_state("running");
    }
    return grpc::Status::OK;
  }
  grpc::Status Topics(grpc::ServerContext* context, const v1::TopicsCall* call,
                      v1::TopicList* answer) override {
    if (!call->name().empty() && call->name() != "words") {
      return refuse(context, Code::kNotFound, "no topic '" + call->name() + "': list the topics");
    }
    v1::TopicInfo* topic = answer->add_topics();
    topic->set_name("words");
    topic->set_partitions(1);
    topic->set_durability("synced");
    topic->add_partition_infos()->set_end(3);
    return grpc::Status::OK;
  }
  grpc::Status Nodes(grpc::ServerContext*, const v1::Empty*, v1::NodeList* answer) override {
    v1::NodeInfo* node = answer->add_nodes();
    node->set_id(1);
    node->set_address(address());
    node->set_alive(true);
    return grpc::Status::OK;
  }
  grpc::Status ListAgents(grpc::ServerContext* context, const v1::ListAgentsCall* call,
                          v1::AgentKeys* answer) override {
    const std::lock_guard lock(mutex_);
    if (lost_region_ && !call->partial()) return refuse(context, Code::kUnavailable, "a node is away");
    if (lost_region_) {
      v1::MissedRegion* missed = answer->add_missed();
      missed->set_region(*lost_region_);
      missed->set_code(static_cast<std::uint32_t>(Code::kUnavailable));
      missed->set_text("a node is away");
    }
    for (auto it = counters_.upper_bound(call->after()); it != counters_.end(); ++it) {
      if (it->first.rfind(call->prefix(), 0) != 0) continue;
      if (static_cast<std::uint32_t>(answer->keys_size()) == call->limit()) {
        answer->set_more(true);
        break;
      }
      answer->add_keys(it->first);
    }
    return grpc::Status::OK;
  }
  grpc::Status Consume(grpc::ServerContext* context, const v1::ConsumeCall* call,
                       grpc::ServerWriter<v1::ConsumedRecords>* out) override {
    if (call->topic() != "words") {
      return refuse(context, Code::kNotFound, "no topic '" + call->topic() + "': list the topics");
    }
    v1::ConsumedRecords records;
    const char* words[] = {"alpha", "beta", "gamma"};
    for (int i = call->starts().empty() ? 0 : static_cast<int>(call->starts(0).offset()); i < 3; ++i) {
      v1::ConsumedRecord* record = records.add_records();
      record->set_topic("words");
      record->set_offset(i);
      record->set_key("k" + std::to_string(i));
      record->set_value(words[i]);
      record->set_timestamp_unix_ms(1000 + i);
    }
    out->Write(records);
    return grpc::Status::OK;
  }

  static grpc::Status busy(grpc::ServerContext* context) {
    return refuse(context, Code::kFailedPrecondition, "group 'busy' has members: stop its consumers first");
  }
  grpc::Status Groups(grpc::ServerContext*, const v1::GroupsCall*, v1::GroupList* answer) override {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, offset] : groups_) {
      v1::GroupSummary& group = *answer->add_groups();
      group.set_name(name);
      group.set_state(name == "busy" ? "Stable" : "Empty");
      group.set_coordinator(1);
    }
    return grpc::Status::OK;
  }
  static void fill_offset(std::int64_t committed, v1::GroupOffset& offset) {
    offset.set_topic("words");
    offset.set_committed(committed);
    offset.set_end(3);
    offset.set_lag(3 - committed);
  }
  grpc::Status DescribeGroup(grpc::ServerContext* context, const v1::GroupCall* call,
                             v1::GroupInfo* answer) override {
    const std::lock_guard lock(mutex_);
    const auto group = groups_.find(call->name());
    if (group == groups_.end())
      return refuse(context, Code::kNotFound, "no group is named '" + call->name() + "': list them");
    answer->set_name(call->name());
    answer->set_state("Empty");
    fill_offset(group->second, *answer->add_offsets());
    v1::GroupOffset& other = *answer->add_offsets();
    other.set_topic("gone");
    other.set_committed(5);
    other.set_end(-1);
    other.set_lag(-1);
    if (call->name() == "busy") {
      answer->set_state("Stable");
      v1::GroupMember& member = *answer->add_members();
      member.set_id("m-1");
      member.set_instance_id("left");
      member.add_assigned()->set_topic("words");
      member.mutable_assigned(0)->add_partitions(0);
      answer->mutable_offsets(0)->set_member("m-1");
    }
    return grpc::Status::OK;
  }
  grpc::Status SeekGroup(grpc::ServerContext* context, const v1::SeekGroupCall* call,
                         v1::GroupInfo* answer) override {
    if (call->name() == "busy") return busy(context);
    if (call->topic() != "words") return refuse(context, Code::kNotFound, "no topic '" + call->topic() + "'");
    const std::lock_guard lock(mutex_);
    std::int64_t& offset = groups_[call->name()];
    offset = call->to() == v1::SeekGroupCall::TO_START    ? 0
             : call->to() == v1::SeekGroupCall::TO_END    ? 3
             : call->to() == v1::SeekGroupCall::TO_OFFSET ? call->offset()
                                                          : call->time_unix_ms() - 1000;
    answer->set_name(call->name());
    fill_offset(offset, *answer->add_offsets());
    return grpc::Status::OK;
  }
  grpc::Status CommitGroup(grpc::ServerContext* context, const v1::CommitGroupCall* call,
                           v1::Empty*) override {
    if (call->name() == "taken") return busy(context);
    const std::lock_guard lock(mutex_);
    groups_[call->name()] = call->offsets(0).offset();
    return grpc::Status::OK;
  }
  grpc::Status DeleteGroup(grpc::ServerContext* context, const v1::GroupCall* call, v1::Empty*) override {
    if (call->name() == "busy") return busy(context);
    const std::lock_guard lock(mutex_);
    if (groups_.erase(call->name()) == 0)
      return refuse(context, Code::kNotFound, "no group is named '" + call->name() + "': list them");
    return grpc::Status::OK;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable arrived_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::set<grpc::ServerContext*> streams_;
  Mode mode_ = Mode::kAnswer;
  std::function<Code(const SeenCall&)> refusal_;
  std::map<std::uint32_t, std::string> routes_;
  bool tell_ = false;
  std::vector<SeenCall> seen_;
  std::map<std::string, std::int64_t> groups_{{"busy", 1}};
  std::vector<SeenRecord> produced_;
  std::size_t produce_calls_ = 0;
  std::size_t frames_ = 0;
  int lookups_ = 0;
  std::size_t farewells_ = 0;
  std::optional<std::uint32_t> lost_region_;
  std::map<std::string, v1::GridInfo> grids_;
  std::map<std::string, std::int64_t> counters_;
  std::map<std::string, v1::Outcome> answers_;
  std::map<std::uint32_t, std::int64_t> offsets_;
};

FakeServer::FakeServer() : impl_(std::make_unique<Impl>()) {}
FakeServer::~FakeServer() { impl_->stop(); }
std::string FakeServer::address() const { return impl_->address(); }
void FakeServer::set_mode(Mode mode) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->mode_ = mode;
}
void FakeServer::set_refusal(std::function<Code(const SeenCall&)> refusal) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->refusal_ = std::move(refusal);
}
void FakeServer::lose_region(std::uint32_t region) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->lost_region_ = region;
}
void FakeServer::break_streams() { impl_->break_streams(); }
void FakeServer::stop() { impl_->stop(); }
void FakeServer::set_route(std::uint32_t region, const std::string& address, bool tell_in_frames) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->routes_[region] = address;
  impl_->tell_ = tell_in_frames;
}
std::vector<SeenCall> FakeServer::seen() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->seen_;
}
std::int64_t FakeServer::group_offset(const std::string& name) const {
  const std::lock_guard lock(impl_->mutex_);
  const auto found = impl_->groups_.find(name);
  return found == impl_->groups_.end() ? -1 : found->second;
}
std::vector<SeenRecord> FakeServer::produced() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->produced_;
}
std::size_t FakeServer::frames() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->frames_;
}
void FakeServer::wait_seen(std::size_t count) const {
  std::unique_lock lock(impl_->mutex_);
  impl_->arrived_.wait(lock, [&] { return impl_->seen_.size() >= count; });
}
std::int64_t FakeServer::counter(const std::string& key) const {
  const std::lock_guard lock(impl_->mutex_);
  auto found = impl_->counters_.find(key);
  return found == impl_->counters_.end() ? 0 : found->second;
}
std::size_t FakeServer::farewells() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->farewells_;
}
int FakeServer::route_lookups() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->lookups_;
}

}  // namespace afdg::client::testing
