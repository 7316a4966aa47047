#include "server/runtime.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <thread>

#include "afdg/v1/admin.pb.h"
#include "agents/entity_agent.h"
#include "base/thread.h"
#include "kafka/broker/broker.h"
#include "kafka/broker/groups.h"
#include "server/admin_service.h"
#include "server/carrier.h"
#include "server/catalog_check.h"
#include "server/data_service.h"
#include "server/http.h"
#include "server/identity.h"
#include "server/kafka_cluster.h"
#include "server/kafka_grids.h"
#include "server/kafka_listener.h"
#include "server/logging.h"
#include "server/metrics.h"
#include "server/node_metrics.h"
#include "server/produce.h"
#include "server/region_host.h"
#include "server/scheduling.h"
#include "server/socket.h"
#include "server/stream.h"
#include "server/version.h"

namespace afdg::server {
namespace {

constexpr std::size_t kWarningsMax = 100;  // of one start

using std::chrono::steady_clock;

constexpr auto kApplyAgain = std::chrono::seconds(2);

std::string with_port(const std::string& address, int port) {
  return address.substr(0, address.rfind(':') + 1) + std::to_string(port);
}

/// Clients, segments and the store's tables hold descriptors; what a shell allows by default (1024) is soon
/// used.
void raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);  // without it there is less room, and errors that say so
}

/// Half of what the process may open: a log that cannot open its next segment ends the node.
std::uint32_t connections_for_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(
      std::min<rlim_t>(limit.rlim_cur / 2, std::numeric_limits<std::uint32_t>::max()));
}

class Runtime final : public RunningNode {
 public:
  explicit Runtime(RuntimeSetup setup) : setup_(std::move(setup)), config_(setup_.config) {}
  ~Runtime() override {
    stop().ignore("the next start recovers");
    if (!temporary_.empty()) {
      directory_.reset();
      std::error_code ignored;
      std::filesystem::remove_all(temporary_, ignored);
    }
  }

  [[nodiscard]] std::string address() const override { return address_; }
  [[nodiscard]] std::string http_address() const override { return http_address_; }
  [[nodiscard]] std::string kafka_address() const override { return kafka_address_; }
  [[nodiscard]] std::string data_directory() const override { return config_.data; }

  Status start() {
    started_ = steady_clock::now();
    raise_open_files();
    if (config_.realtime_scheduling) AFDG_TRY(check_realtime_scheduling());
    AFDG_TRY(open_data());
    AFDG_TRY(check_bindable(config_.listen, "--listen"));
    if (config_.http != "off") AFDG_TRY(check_bindable(config_.http, "--http"));
    AFDG_TRY(open_files());
    make_parts();
    AFDG_TRY(listen());
    AFDG_TRY(join());
    if (store_damaged_.load()) return fail(Code::kRebuild, "the store is damaged");
    AFDG_TRY(make_grids());
    if (log_) AFDG_TRY(log_->take_reserve());
    serving_.store(true);
    router_->set_serving(true, {});
    serve_kafka();
    ticker_ = std::thread([this] {
      begin_thread("afdg-tick");
      tick();
    });
    say_ready();
    return {};
  }

  Status stop() override {
    const std::lock_guard lock(stop_mutex_);
    if (stopped_) return stop_status_;
    stopped_ = true;
    serving_.store(false);
    if (router_) {
      router_->set_serving(false, "the server is stopping");
      const auto until = steady_clock::now() + std::chrono::seconds(config_.drain_seconds);
      while (admission_->calls.load() != 0 && steady_clock::now() < until)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    {
      const std::lock_guard tick_lock(tick_mutex_);
      ticking_ = false;
      tick_changed_.notify_all();
    }
    if (ticker_.joinable()) ticker_.join();
    if (tails_) tails_->stop();
    board_.watch({});
    if (kafka_) kafka_->stop();
    if (http_) http_->stop();
    if (cluster_) cluster_->stop();
    if (background_) background_->stop();
    if (rpc_) rpc_->stop();
    if (fanouts_) fanouts_->stop();  // by now nobody waits for a caller that does not read
    if (peers_) peers_->stop();
    if (host_) host_->stop();
    if (lanes_) lanes_->stop();
    board_.publish(std::make_shared<const Routes>());
    host_.reset();
    rpc_.reset();
    cluster_.reset();  // closes the catalog
    Status status;
    if (log_) {
      status = log_->close();
      log_.reset();
    }
    if (store_) {
      if (const Status flushed = store_->flush(); !flushed.ok() && status.ok()) status = flushed;
      store_.reset();
    }
    if (status.ok() && clean_start_) status = directory_->set_clean();
    directory_.reset();
    stop_status_ = status;
    return status;
  }

 private:
  /// Of the threads that an agent's request passes.
  [[nodiscard]] Scheduling of_requests() const noexcept {
    return config_.realtime_scheduling ? Scheduling::kRealtime : Scheduling::kOrdinary;
  }

  Status open_data() {
    if (config_.data.empty()) {  // --dev
      std::string pattern = (std::filesystem::temp_directory_path() / "afdgd-dev-XXXXXX").string();
      if (::mkdtemp(pattern.data()) == nullptr)
        return fail(Code::kUnwritable,
                    "cannot make a temporary directory like " + pattern + ": give --data DIR");
      config_.data = pattern;
      temporary_ = pattern;
    }
    AFDG_ASSIGN(directory_, DataDirectory::open(fs_, config_.data, random_));
    if (config_.node_id != 0 && directory_->node().value() != 0 &&
        directory_->node().value() != static_cast<std::int32_t>(config_.node_id)) {
      return fail(Code::kInvalidArgument, "--node-id " + std::to_string(config_.node_id) + ": " +
                                              config_.data + " belongs to node " +
                                              std::to_string(directory_->node().value()) +
                                              ": leave the flag out, or name another directory");
    }
    return {};
  }

  Status open_files() {
    types_ = std::make_unique<agents::AgentTypes>();
    for (auto& type : setup_.types) AFDG_TRY(types_->add(std::move(type)));
    if (types_->find("entity") == nullptr) AFDG_TRY(types_->add(agents::entity_agent_type()));
    if (config_.has_role("region")) {
      AFDG_ASSIGN(notes_, region::LaneNotes::open(directory_->running_path(), setup_.handle_signals));
      log::LogOptions options;
      options.directory = directory_->log_path();
      options.journal_bytes = config_.journal_bytes;
      options.cleaner_interval = std::chrono::milliseconds(config_.cleaner_interval_ms);
      options.bytes_in_flight_max = config_.in_flight_bytes_max;
      options.producers.producers_max = config_.partition_producers_max;
      options.producers_node_max = config_.node_producers_max;
      options.reserve_bytes = kStartBytes;
      options.journal_scheduling = of_requests();
      options.warn = [](const std::string& what) { log_warn("log", {{"what", what}}); };
      options.committed = [] { region::flush_replies_after_commit(); };
      AFDG_TRY(directory_->check_log());
      AFDG_ASSIGN(log_, log::Log::open(fs_, clock_, options));
      const auto& warnings = log_->recovery().warnings;
      for (std::size_t i = 0; i < std::min(warnings.size(), kWarningsMax); ++i)
        log_warn("log", {{"what", warnings[i]}});
      if (warnings.size() > kWarningsMax)
        log_warn("the start warns of more than is told here",
                 {{"warnings", std::to_string(warnings.size())}});
      for (const auto& faulty : log_->recovery().faulty)
        log_error("a partition is damaged and is not served", {{"what", faulty.sentence}});
      store::RocksOptions rocks;
      rocks.cache_bytes = config_.store_cache_bytes;
      rocks.group_size = region_store_group_size;
      if (fs_.exists(damaged_mark())) {
        log_warn("the store was found damaged and is rebuilt from the log",
                 {{"store", directory_->store_path()}});
        AFDG_TRY(store::destroy_rocks_store(directory_->store_path()));
        AFDG_TRY(fs_.remove_all(directory_->store_path()));
        AFDG_TRY(fs_.remove(damaged_mark()));
      }
      auto opened = store::open_rocks_store(directory_->store_path(), rocks);
      if (opened.code() == Code::kCorrupt) {
        log_warn("the store is damaged and is rebuilt from the log", {{"why", opened.error().text()}});
        AFDG_TRY(store::destroy_rocks_store(directory_->store_path()));
        opened = store::open_rocks_store(directory_->store_path(), rocks);
      }
      if (!opened.ok()) return opened.error();
      store_ = std::move(opened).value();
    }
    if (config_.has_role("catalog")) {
      if (directory_->used() && directory_->node().value() != 0 &&
          !fs_.exists(directory_->catalog_path() + "/CURRENT")) {
        return fail(
            Code::kCorrupt,
            directory_->catalog_path() +
                " is missing or damaged, and it says what the node's data is: restore it from a copy");
      }
      store::RocksOptions rocks;
      rocks.write_ahead_log = true;
      rocks.write_buffer_bytes = 1u << 20;
      rocks.write_buffers_bytes_max = 4u << 20;
      rocks.cache_bytes = 1u << 20;
      rocks.disk_reserve_bytes =
          1u << 20;  // its writes are small; a start on a nearly full disk must not fail
      AFDG_ASSIGN(auto opened, store::open_rocks_store(directory_->catalog_path(), rocks));
      AFDG_ASSIGN(catalog_, catalog::Catalog::open(catalog::make_catalog_store(std::move(opened)), random_,
                                                   {.topics_max = config_.topics_max,
                                                    .node_partitions_max = config_.node_partitions_max}));
      AFDG_TRY(catalog_fits(*catalog_, directory_->node(), log_.get(), directory_->catalog_path()));
    }
    return {};
  }

  void make_parts() {
    lanes_ = std::make_unique<region::Lanes>(config_.lanes, of_requests());
    admission_ = std::make_shared<region::Admission>();
    admission_->bytes_max = config_.in_flight_bytes_max;
    admission_->lane_calls_max = config_.lane_queue_max;
    admission_->agent_calls_max = config_.agent_queue_max;
    peers_ = std::make_unique<Peers>(of_requests());
    background_ = std::make_unique<Background>();
    fanouts_ = std::make_unique<Background>();
    router_ = std::make_unique<Router>(board_, *lanes_, admission_, *peers_);
    carrier_ = std::make_unique<NodeCarrier>(board_, *router_, *peers_, *lanes_);
    if (log_) {
      HostLimits limits;
      limits.region.message_bytes_max = config_.message_bytes_max;
      limits.region.turn_bytes_max = config_.turn_bytes_max;
      limits.region.plant_no_dedup = setup_.plant_no_dedup;
      limits.checkpoint_bytes = config_.checkpoint_bytes;
      limits.live_bytes_max = config_.live_bytes_max;
      host_ = std::make_unique<RegionHost>(
          RegionHost::Parts{log_.get(), store_.get(), types_.get(), &clock_, lanes_.get(), notes_.get(),
                            carrier_.get()},
          limits, [this] {
            store_damaged_.store(true);
            if (!fs_.exists(damaged_mark()))
              fs_.replace_file(damaged_mark(), "rebuild\n").ignore("found again at the next start");
          });
    }
    gather_ =
        std::make_unique<Gather>(Gather::Parts{&board_, peers_.get(), host_.get(), log_.get(), types_.get()});
    tails_ = std::make_unique<Tails>(log_.get());
  }

  Status listen() {
    Cluster::Setup cluster;
    cluster.catalog = std::move(catalog_);
    cluster.catalog_address = config_.catalog;
    cluster.clock = &clock_;
    cluster.board = &board_;
    cluster.peers = peers_.get();
    cluster.self.incarnation = directory_->incarnation();
    cluster.self.id = directory_->node().value() != 0 ? directory_->node()
                                                      : NodeId(static_cast<std::int32_t>(config_.node_id));
    for (const char* role : {"catalog", "region"}) {
      if (config_.has_role(role)) cluster.self.roles.emplace_back(role);
    }
    if (host_) cluster.self.types = types_->names();
    cluster.apply = [this](Routes& routes) {
      if (host_) host_->apply(routes);
    };
    cluster.named = [this](NodeId id) { return directory_->set_node(id); };

    // The address is known once the port is bound; methods find what they need by then.
    rpc_ = std::make_unique<RpcServer>(RpcServerOptions{.scheduling = of_requests()});
    const DataParts data{router_.get(),  &board_, gather_.get(),
                         fanouts_.get(), &clock_, config_.fanout_targets_max};
    rpc_->add("/afdg.v1.Data/Stream", stream_method(*router_, streams_));
    rpc_->add("/afdg.v1.Data/Request", request_method(data));
    rpc_->add("/afdg.v1.Data/Send", send_method(data));
    rpc_->add("/afdg.v1.Data/Fanout", fanout_method(data));
    rpc_->add("/afdg.v1.Data/Deliver", deliver_method(*router_));
    if (config_.http != "off") {
      AFDG_ASSIGN(http_,
                  HttpServer::start(config_.http, [this](const std::string& path) { return http(path); }));
      http_address_ = with_port(config_.http, http_->port());
    }
    if (config_.kafka != "off" && host_) {
      AFDG_ASSIGN(kafka_, KafkaListener::bind(config_.kafka));
      kafka_address_ = with_port(config_.kafka, kafka_->port());
      cluster.self.kafka_address = config_.kafka_advertise.empty() ? kafka_address_ : config_.kafka_advertise;
    }
    // Only the port is missing from what the cluster must know; port 0 is chosen here.
    AFDG_ASSIGN(const std::string listen, reserve_port());
    cluster.self.address = config_.advertise.empty() ? listen : config_.advertise;
    cluster.self.http_address = http_address_;
    cluster_ = std::make_unique<Cluster>(std::move(cluster));
    kafka_cluster_ = std::make_unique<KafkaCluster>(
        KafkaCluster::Parts{&board_, cluster_.get(), peers_.get(), background_.get()});
    rpc_->add("/afdg.v1.Data/Produce", produce_method({.board = &board_,
                                                       .cluster = kafka_cluster_.get(),
                                                       .log = log_.get(),
                                                       .peers = peers_.get(),
                                                       .background = background_.get(),
                                                       .clock = &clock_,
                                                       .counters = &produced_,
                                                       .serving = [this] { return serving_.load(); },
                                                       .bytes_max = config_.in_flight_bytes_max}));
    AdminParts admin;
    admin.board = &board_;
    admin.cluster = cluster_.get();
    admin.gather = gather_.get();
    admin.peers = peers_.get();
    admin.background = background_.get();
    admin.tails = tails_.get();
    groups_ = std::make_unique<GroupAdmin>(
        GroupAdmin::Parts{&board_, kafka_cluster_.get(), gather_.get(), peers_.get(),
                          [this](std::function<void(kafka::Broker&)> task) {
                            return kafka_ && kafka_->post(std::move(task));
                          }});
    admin.groups = groups_.get();
    admin.types = types_.get();
    admin.server_state = [this] { return state(); };
    admin.serving = [this] { return serving_.load(); };
    add_admin_service(*rpc_, admin);
    add_standard_services(*rpc_, admin);
    AFDG_TRY(rpc_->start(listen));
    address_ = listen;
    return {};
  }

  /// Tells the next start to make the store anew.
  [[nodiscard]] std::string damaged_mark() const { return directory_->path() + "/store-damaged"; }

  /// The address with its port; port 0 becomes a free one.
  Result<std::string> reserve_port() {
    AFDG_ASSIGN(const HostPort parsed, parse_host_port(config_.listen, "--listen"));
    if (parsed.port != 0) return config_.listen;
    AFDG_ASSIGN(const int port, free_port(parsed.host));
    return with_port(config_.listen, port);
  }

  Status join() {
    AFDG_TRY(cluster_->start([this] { return setup_.give_up && setup_.give_up(); }));
    if (host_ && cluster_->has_catalog()) host_->forget_unknown(*board_.get());
    clean_start_ = true;
    return {};
  }

  Status make_grids() {
    for (const Node::GridWish& wish : setup_.grids) {
      if (const auto routes = board_.get(); const GridRoutes* grid = routes->find(wish.name)) {
        if (grid->grid.regions != wish.options.regions) {
          return fail(Code::kInvalidArgument,
                      "grid '" + wish.name + "' has " + std::to_string(grid->grid.regions) +
                          " regions, the program says " + std::to_string(wish.options.regions) +
                          ": region counts never change, so correct the program");
        }
        continue;
      }
      if (!host_ && !cluster_->has_catalog()) continue;
      Status made;
      if (cluster_->has_catalog()) {
        made =
            cluster_->create_grid({.name = wish.name, .regions = wish.options.regions, .types = wish.types})
                .status();
      } else {
        v1::CreateGridCall call;
        call.set_name(wish.name);
        call.set_regions(static_cast<std::uint32_t>(wish.options.regions));
        call.mutable_types()->Assign(wish.types.begin(), wish.types.end());
        v1::GridInfo info;
        made = peers_->call_and_wait(config_.catalog, "/afdg.v1.Admin/CreateGrid", call, info,
                                     std::chrono::milliseconds(5000));
      }
      if (!made.ok() && made.code() != Code::kAlreadyExists) return made;
    }
    return {};
  }

  void serve_kafka() {
    if (!kafka_) return;
    KafkaListener::Setup setup;
    setup.connections_max = std::min(config_.kafka_connections_max, connections_for_files());
    if (setup.connections_max < config_.kafka_connections_max)
      log_warn(
          "fewer Kafka connections than kafka-connections-max: half of the open files are kept for the log "
          "and the store, raise LimitNOFILE (ulimit -n)",
          {{"connections", std::to_string(setup.connections_max)}});
    setup.bytes_max = config_.kafka_bytes_max;
    setup.requests_max = config_.kafka_requests_max;
    setup.broker.idle_max = std::chrono::milliseconds(config_.kafka_idle_ms);
    setup.half_request_max = std::chrono::milliseconds(config_.kafka_half_request_ms);
    setup.unread_max = std::chrono::milliseconds(config_.kafka_unread_ms);
    setup.send_buffer_bytes = config_.kafka_send_buffer_bytes;
    setup.broker.connection_requests_max = config_.kafka_connection_requests_max;
    setup.broker.connection_bytes_max = config_.kafka_connection_bytes_max;
    setup.broker.request_partitions_max = static_cast<std::int32_t>(config_.kafka_request_partitions_max);
    setup.broker.groups.groups_max = config_.kafka_groups_max;
    setup.broker.groups.members_max = config_.kafka_group_members_max;
    setup.broker.members_max = config_.kafka_members_max;
    setup.broker.request_bytes_max = config_.kafka_request_bytes_max;
    setup.broker.partitions_default = static_cast<std::int32_t>(config_.kafka_partitions_default);
    setup.broker.auto_create_topics = config_.kafka_auto_create != 0;
    setup.broker.log_directory = directory_ ? directory_->log_path() : config_.data;
    setup.disk_space = [path = setup.broker.log_directory] {
      std::error_code error;
      const auto space = std::filesystem::space(path, error);
      return error ? kafka::DiskSpace()
                   : kafka::DiskSpace{static_cast<std::int64_t>(space.capacity),
                                      static_cast<std::int64_t>(space.available)};
    };
    setup.log = log_.get();
    setup.cluster = kafka_cluster_.get();
    if (router_) {
      kafka_grids_ = std::make_unique<KafkaGrids>(*router_);
      setup.grids = kafka_grids_.get();
    }
    setup.clock = &clock_;
    setup.random = &random_;
    kafka_->serve(setup);
    const auto look = [this] {
      kafka_->post([](kafka::Broker& broker) { broker.groups().cluster_changed(); });
    };
    board_.watch(look);
    look();
  }

  void say_ready() {
    const auto routes = board_.get();
    const double seconds = std::chrono::duration<double>(steady_clock::now() - started_).count();
    const auto line = [this](const std::string& text) {
      if (setup_.say) setup_.say(text);
    };
    char took[32];
    std::snprintf(took, sizeof took, "%.2f", seconds);
    line(config_.program + " " + std::string(kVersion) + ", node " + std::to_string(routes->self.value()) +
         ", roles " + config_.roles);
    line("data       " + config_.data + (temporary_.empty() ? "" : " (temporary)"));
    line("listen     " + address_ + " (gRPC)");
    line("kafka      " + (kafka_address_.empty() ? std::string("off") : kafka_address_));
    line("http       " +
         (http_address_.empty() ? std::string("off") : http_address_ + " (/metrics, /healthz)"));
    if (!config_.catalog.empty()) line("catalog    " + config_.catalog);
    line("durability every answer waits for fdatasync");
    if (config_.realtime_scheduling) line("scheduling real-time for the threads that requests pass");
    line(std::string("security   no TLS, no access control: ") +
         (config_.insecure ? "open to whoever reaches these addresses (--insecure)" : "loopback only"));
    line("recovered " + std::to_string(log_ ? log_->recovery().topics : routes->topics.size()) + " topics, " +
         std::to_string(host_ ? host_->size() : 0) + " regions in " + took + " s, " +
         std::to_string(host_ ? host_->replayed() : 0) + " changes replayed");
    line("ready");
  }

  void tick() {
    std::unique_lock lock(tick_mutex_);
    while (ticking_) {
      tick_changed_.wait_for(lock, std::chrono::milliseconds(500), [this] { return !ticking_; });
      if (!ticking_) return;
      lock.unlock();
      if (host_) host_->tick();
      if (cluster_) cluster_->tick();
      if (host_ && cluster_ && host_->lacks_partitions() &&
          steady_clock::now() - applied_again_ > kApplyAgain) {
        cluster_->apply_again();
        applied_again_ = steady_clock::now();
      }
      lock.lock();
    }
  }

  v1::ServerState state() {
    v1::ServerState state;
    const auto routes = board_.get();
    state.set_version(std::string(kVersion));
    state.set_node(static_cast<std::uint32_t>(routes->self.value()));
    for (const char* role : {"catalog", "region"}) {
      if (config_.has_role(role)) state.add_roles(role);
    }
    state.set_uptime_seconds(std::chrono::duration<double>(steady_clock::now() - started_).count());
    state.set_memory_bytes(resident_bytes());
    if (log_) {
      const log::LogMetrics metrics = log_->metrics();
      state.set_commits(metrics.commits);
      state.set_journal_bytes(metrics.bytes_journaled);
      state.set_appended_bytes(metrics.bytes_appended);
      state.set_sync_p50_us(sync_percentile(metrics, 0.5));
      state.set_sync_p99_us(sync_percentile(metrics, 0.99));
    }
    state.set_calls_in_flight(admission_->calls.load());
    state.set_refused_overloaded(admission_->refused.load());
    state.set_grids(routes->grids.size());
    if (host_) {
      state.set_regions(host_->size());
      std::uint64_t turns = 0, reads = 0, live = 0;
      for (const auto& region : host_->states({})) {
        if (!region.info.ok()) continue;
        turns += region.info->turns;
        reads += region.info->reads;
        live += region.info->live_agents;
      }
      state.set_turns(turns);
      state.set_reads(reads);
      state.set_live_agents(live);
    }
    state.set_reply_writes(streams_.reply_writes.load());
    state.set_reply_messages(streams_.reply_messages.load());
    state.set_durability("synced");
    state.set_security(config_.insecure ? "none, any address" : "none, loopback only");
    state.set_data_directory(config_.data);
    return state;
  }

  HttpAnswer http(const std::string& path) {
    if (path == "/healthz") {
      const bool good = serving_.load();
      return {good ? 200 : 503, "text/plain; charset=utf-8", good ? "ok\n" : "not serving\n"};
    }
    if (path != "/metrics") return {404, "text/plain; charset=utf-8", "there are /metrics and /healthz\n"};
    if (!serving_.load()) return {503, "text/plain; charset=utf-8", "not serving\n"};
    return {200, "text/plain; version=0.0.4; charset=utf-8", metrics()};
  }

  std::string metrics() {
    return metrics_text(node_metrics({.state = state(),
                                      .config = &config_,
                                      .streams = &streams_,
                                      .produced = &produced_,
                                      .log = log_.get(),
                                      .store = store_.get(),
                                      .host = host_.get(),
                                      .cluster = cluster_.get(),
                                      .kafka_cluster = kafka_cluster_.get(),
                                      .kafka = kafka_.get()}));
  }

  RuntimeSetup setup_;
  Config config_;
  store::FileSystem& fs_ = store::posix_file_system();
  SystemClock clock_;
  SystemRandom random_;
  steady_clock::time_point started_{};
  std::string temporary_, address_, http_address_, kafka_address_;
  std::atomic<bool> serving_{false};
  bool clean_start_ = false;
  std::atomic<bool> store_damaged_{false};

  std::unique_ptr<DataDirectory> directory_;
  std::unique_ptr<agents::AgentTypes> types_;
  std::unique_ptr<region::LaneNotes> notes_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<store::KeyValueStore> store_;
  std::unique_ptr<catalog::Catalog> catalog_;
  RouteBoard board_;
  StreamCounters streams_;
  ProduceCounters produced_;
  std::unique_ptr<region::Lanes> lanes_;
  std::shared_ptr<region::Admission> admission_;
  std::unique_ptr<Peers> peers_;
  std::unique_ptr<Background> background_;
  std::unique_ptr<Background> fanouts_;  ///< each may wait for its caller as long as that takes
  std::unique_ptr<Router> router_;
  std::unique_ptr<NodeCarrier> carrier_;
  std::unique_ptr<RegionHost> host_;
  std::unique_ptr<Gather> gather_;
  std::unique_ptr<Tails> tails_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<RpcServer> rpc_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<KafkaCluster> kafka_cluster_;
  std::unique_ptr<KafkaGrids> kafka_grids_;
  std::unique_ptr<KafkaListener> kafka_;
  std::unique_ptr<GroupAdmin> groups_;
  std::mutex tick_mutex_;
  std::condition_variable tick_changed_;
  bool ticking_ = true;
  steady_clock::time_point applied_again_{};
  std::thread ticker_;
  std::mutex stop_mutex_;
  bool stopped_ = false;
  Status stop_status_;
};

}  // namespace

Result<std::unique_ptr<RunningNode>> start_node(RuntimeSetup setup) {
  set_log_level(setup.config.log_level);
  for (bool again = false;; again = true) {
    auto runtime = std::make_unique<Runtime>(setup);
    const Status started = runtime->start();
    if (started.ok()) return std::unique_ptr<RunningNode>(std::move(runtime));
    // The damaged store goes with the next try: it is derived.
    if (started.code() != Code::kRebuild || again) return started.error();
  }
}

int exit_code(Code code) {
  switch (code) {
    case Code::kOk:
      return 0;
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kUnknownType:
    case Code::kPermissionDenied:
      return 2;
    case Code::kTaken:
      return 3;
    case Code::kCorrupt:
    case Code::kNewerFormat:
      return 4;
    case Code::kUnwritable:
    case Code::kDiskFull:
    case Code::kIo:
      return 5;
    default:
      return 1;
  }
}

}  // namespace afdg::server
