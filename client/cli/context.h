#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "client/client.h"

namespace CLI {
class App;
}
namespace google::protobuf {
class Message;
}

// What all commands of `afdg` share.
namespace afdg::client::cli {

/// How the program ends; the numbers are the user's interface (docs/cli.md).
enum class Exit : int {
  kOk = 0,
  kRefused = 1,
  kUsage = 2,
  kNotFound = 3,
  kUnreachable = 4,
  kInDoubt = 5,
  kOverloaded = 6,
  kPartial = 7,
  kDenied = 8,
  kInterrupted = 130,
};
/// The one map from error codes to exit codes.
[[nodiscard]] Exit exit_of(Code code);

enum class Output : std::uint8_t { kTable, kJson, kRaw };

struct Globals {
  std::string server = "127.0.0.1:7400";
  std::string grid;
  std::string output = "table";
  std::string timeout = "5s";
  bool verbose = false;
};

/// Rows for people (aligned, with a heading) or for scripts (raw: tabs, no heading).
struct Table {
  std::vector<std::string> heading;
  std::vector<std::vector<std::string>> rows;
};

/// The connection and the user's taste. Made once, after the arguments were read.
class Context {
 public:
  explicit Context(const Globals& globals) : globals_(globals) {}

  /// Errors: kInvalidArgument when an option's value cannot be read.
  Status prepare();
  [[nodiscard]] Output output() const { return output_; }
  [[nodiscard]] bool verbose() const { return globals_.verbose; }
  [[nodiscard]] std::chrono::milliseconds timeout() const { return timeout_; }
  [[nodiscard]] const std::string& server() const { return globals_.server; }
  /// Connects at the first call.
  Result<Client*> client(const ClientOptions& options = {});
  Result<Admin> admin();
  /// The grid of -g, or the server's only one.
  Result<std::string> grid_name();
  Result<Grid> grid();

  /// Prints one result in the chosen form.
  void print(const nlohmann::json& json, const Table& table) const;
  void note(const std::string& text) const;  // standard error, only with -v
  /// On standard error: one sentence, or an object with -o json. Returns the exit code.
  Exit fail(const Error& error) const;

 private:
  const Globals& globals_;
  Output output_ = Output::kTable;
  std::chrono::milliseconds timeout_{5000};
  std::optional<Client> client_;
};

/// "TYPE/KEY". Errors: kInvalidArgument.
Result<Target> parse_target(const std::string& text);
/// JSON from the argument itself, @file or - (standard input), checked to be JSON. At most 16 MiB.
Result<std::string> read_json(const std::string& argument);
Result<std::string> read_file(const std::string& path);
/// "5s", "250ms", "2m", "1h"; a bare number is seconds.
Result<std::chrono::milliseconds> parse_duration(const std::string& text);
/// Milliseconds since 1970, "2026-01-31T12:00:00Z" or a duration ago such as "-5m".
Result<std::int64_t> parse_time(const std::string& text);
/// A random id that marks a fan-out, so that it can be repeated.
std::string random_id();
/// Fields by their names of the .proto file; bytes as text when they are UTF-8, else base64.
nlohmann::json to_json(const google::protobuf::Message& message);
/// The same for loose bytes.
nlohmann::json bytes_json(std::string_view bytes);
std::string time_text(std::int64_t unix_ms);
std::string bytes_text(std::uint64_t bytes);
bool is_terminal(int fd);

/// From now on an interrupt only sets a flag and writes `notice` to standard error; before, it ends the
/// program with 130, and so does a second one.
void catch_interrupt(const std::string& notice = {});
[[nodiscard]] bool interrupted();

}  // namespace afdg::client::cli
