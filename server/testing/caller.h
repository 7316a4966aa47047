#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "afdg/v1/admin.pb.h"
#include "afdg/v1/data.pb.h"
#include "base/result.h"

namespace afdg::server::testing {

/// A directory that is removed with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  [[nodiscard]] std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// A gRPC client as any language's would be: the generated stubs, nothing of client/. Thread-safety: safe,
/// but for a Stream.
class Caller {
 public:
  explicit Caller(const std::string& address);
  ~Caller();

  Result<std::string> request(const std::string& grid, const std::string& agent, const std::string& message,
                              const std::string& json, const std::string& id = {});
  Result<v1::SendReceipt> send(const std::string& grid, const std::string& agent, const std::string& message,
                               const std::string& json);
  std::vector<v1::FanoutOutcome> fanout(const v1::FanoutCall& call, Status* status = nullptr);
  Result<v1::GridInfo> create_grid(const std::string& name, std::uint32_t regions,
                                   const std::vector<std::string>& types = {});
  Result<v1::GridInfo> grid(const std::string& name);
  Status delete_grid(const std::string& name);
  Result<v1::RouteTable> routes(const std::string& grid);
  Result<v1::RegionList> regions(const std::string& grid);
  Result<v1::NodeList> nodes();
  Result<v1::ServerState> server();
  Result<v1::AgentKeys> list(const std::string& grid, const std::string& type);
  /// What is there; with a count, that many, waited for.
  Result<std::vector<v1::ConsumedRecord>> consume(const std::string& topic, std::uint64_t count = 0);
  Result<bool> healthy();

  /// One Data.Stream: writes frames, reads until `count` outcomes came or it ended.
  class Stream {
   public:
    explicit Stream(Caller& caller);
    ~Stream();
    void write(const v1::CallFrame& frame);
    std::vector<v1::Outcome> read(std::size_t count);
    std::vector<v1::Route> routes;  ///< learnt so far

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  friend class Stream;
  struct State;
  std::unique_ptr<State> state_;
};

/// A call of an Increment of "n" by one, in JSON.
v1::Call increment(std::uint64_t id, const std::string& key, std::int32_t regions, std::uint64_t sequence);

}  // namespace afdg::server::testing
