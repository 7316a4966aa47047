// Loads real flights into a grid, kills the server in the middle, starts it again, asks everything once more,
// and compares with awk.
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <regex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "airport.h"
#include "client/client.h"
#include "process.h"
#include "table.h"

namespace {

using namespace std::chrono_literals;
using flights::Airport;
using flights::grouped;

constexpr const char* kHelp = R"(flights_demo: real US flights through a grid, with a kill -9 in the middle

  --keep              leave the server running at the end, and its data
  --kill auto|manual  who kills the server: the demo (default), or you, with the pid it prints
  --inject no-dedup   plant a bug in the server: repeats of a request run again. The demo must then end with FAIL
  --flights FILE      another CSV of the same columns
  --data DIR          the server's data directory, empty or new (default: a temporary one)
  --help

Exit: 0 when nothing was lost and nothing counted twice, 1 when a check failed, 2 usage, 4 when the server could not be reached.
)";

struct Settings {
  bool keep = false;
  bool manual = false;
  bool no_dedup = false;
  std::string csv = FLIGHTS_DATA;
  std::string data;
};

void say(const char* what, const std::string& text) {
  std::printf("%-8s %s\n", what, text.c_str());
  std::fflush(stdout);
}

std::string seconds_text(std::chrono::steady_clock::duration time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", std::chrono::duration<double>(time).count());
  return text;
}

/// One outcome a flight.
enum class Fate : unsigned char { kUnknown, kAnswered, kRefused };

struct Pass {
  std::int64_t had_happened = 0;
  std::int64_t ran_now = 0;
  std::int64_t failed = 0;
  std::string first_error;
};

/// The window of requests under way; callbacks come on the client's threads.
class Load {
 public:
  Load(const std::vector<flights::Flight>& flights, std::size_t window)
      : flights_(flights), window_(window), fates_(flights.size()) {}

  /// Sends every flight under its line's id. `stop_after`: returns once so many are answered, with the rest
  /// under way or unsent.
  Pass run(const afdg::Grid& grid, std::chrono::milliseconds deadline, std::size_t stop_after) {
    {
      const std::lock_guard lock(mutex_);
      pass_ = {};
      answered_ = in_flight_ = 0;
      stopped_ = false;
      ++round_;
    }
    for (std::size_t i = 0; i < flights_.size(); ++i) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return in_flight_ < window_ || answered_ >= stop_after || stopped_; });
        if (answered_ >= stop_after || stopped_) break;
        ++in_flight_;
      }
      flights::Departed message;
      *message.mutable_flight() = flights_[i];
      const afdg::client::Target to{std::string(Airport::type), flights_[i].origin()};
      grid.request_async(
          to, {"Departed", message.SerializeAsString()},
          {.deadline = deadline, .request_id = "csv:" + std::to_string(i + 2)},
          [this, i, round = round_](afdg::Result<afdg::client::Reply> reply) { done(i, round, reply); });
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return in_flight_ == 0 || answered_ >= stop_after || stopped_; });
    return pass_;
  }
  /// Ends a run() from another thread, for a server that somebody else kills.
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] std::size_t in_flight() {
    const std::lock_guard lock(mutex_);
    return in_flight_;
  }
  [[nodiscard]] std::size_t answered() {
    const std::lock_guard lock(mutex_);
    return answered_;
  }
  [[nodiscard]] const std::vector<Fate>& fates() const { return fates_; }

 private:
  void done(std::size_t i, int round, const afdg::Result<afdg::client::Reply>& reply) {
    const std::lock_guard lock(mutex_);
    if (round != round_) return;  // an answer to a run that is over
    --in_flight_;
    if (reply.ok()) {
      ++answered_;
      fates_[i] = Fate::kAnswered;
      ++(reply->repeated ? pass_.had_happened : pass_.ran_now);
    } else {
      ++pass_.failed;
      if (pass_.first_error.empty()) pass_.first_error = reply.status().to_string();
    }
    changed_.notify_all();
  }

  const std::vector<flights::Flight>& flights_;
  const std::size_t window_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Fate> fates_;
  Pass pass_;
  std::size_t answered_ = 0;
  std::size_t in_flight_ = 0;
  bool stopped_ = false;
  int round_ = 0;
};

struct Difference {
  std::int64_t lost = 0;
  std::int64_t twice = 0;
  void add(std::int64_t expected, std::int64_t found) {
    if (found < expected) lost += expected - found;
    if (found > expected) twice += found - expected;
  }
};

class Demo {
 public:
  explicit Demo(const Settings& settings) : settings_(settings) {}
  ~Demo() {
    if (!settings_.keep && !scratch_.empty()) std::filesystem::remove_all(scratch_);
  }

  int run() {
    auto flights = flights::read_flights(settings_.csv);
    if (!flights) return broken(flights.status(), 2);
    flights_ = std::move(*flights);
    auto oracle = flights::ask_awk(settings_.csv);
    if (!oracle) return broken(oracle.status(), 2);
    if (!prepare()) return 2;
    if (afdg::Status started = start(); !started) return broken(started, 4);
    say("afdgd", "8 regions, fsync before every answer");

    Load load(flights_, 512);
    if (int code = load_and_kill(load); code != 0) return code;
    if (int code = restart(); code != 0) return code;

    auto client = afdg::Client::connect(address_, {.deadline = 20s});
    if (!client) return broken(client.status(), 4);
    const afdg::Grid grid = client->grid("flights");
    const auto answered_before = load.fates();
    const Pass again = load.run(grid, 30s, SIZE_MAX);
    say("retry", "same ids: " + grouped(again.had_happened) + " had happened (stored answer), " +
                     grouped(again.ran_now) + " ran now");
    if (again.failed > 0) {
      say("FAIL", grouped(again.failed) + " requests failed, the first with " + again.first_error);
      return 1;
    }
    const std::int64_t forgotten = std::max<std::int64_t>(
        0, std::count(answered_before.begin(), answered_before.end(), Fate::kAnswered) - again.had_happened);

    if (int code = ask(grid); code != 0) return code;
    Difference totals, days;
    std::int64_t delay_found = 0;
    if (int code = compare(grid, *oracle, totals, days, delay_found); code != 0) return code;
    if (int code = verify(); code != 0) return code;

    const bool equal = totals.lost == 0 && totals.twice == 0 && days.lost == 0 && days.twice == 0 &&
                       delay_found == oracle->delay_minutes;
    say("awk", "the CSV itself: " + grouped(oracle->flights) + " flights, " + grouped(oracle->delay_minutes) +
                   " min, " + (equal ? "equal" : "the agents hold " + grouped(delay_found) + " min"));
    say("", oracle->command);
    // An answered request that ran again was forgotten; the totals tell what that did.
    const std::int64_t lost = totals.lost + days.lost, twice = totals.twice + days.twice;
    say("RESULT", std::string("lost ") + grouped(lost) + ", counted twice " + grouped(twice));
    const bool good = equal && (forgotten == 0 || settings_.no_dedup);
    if (forgotten > 0) say("FAIL", grouped(forgotten) + " answered requests were not remembered");
    if (!good || !equal) say("FAIL", "the agents and the CSV differ");
    finish();
    return good && equal ? 0 : 1;
  }

 private:
  static int broken(const afdg::Status& status, int code) {
    std::fprintf(stderr, "flights_demo: %s\n", status.error().text().c_str());
    return code;
  }

  bool prepare() {
    std::string self(4096, '\0');
    const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
    self.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    bin_ = self.substr(0, self.rfind('/'));
    if (settings_.data.empty()) {
      std::string pattern = (std::filesystem::temp_directory_path() / "afdg-flights-XXXXXX").string();
      if (::mkdtemp(pattern.data()) == nullptr) {
        std::fprintf(stderr, "flights_demo: cannot make a directory like %s\n", pattern.c_str());
        return false;
      }
      scratch_ = pattern;
      data_ = scratch_ + "/data";
    } else {
      data_ = settings_.data;
      if (std::filesystem::exists(data_) && !std::filesystem::is_empty(data_)) {
        std::fprintf(stderr,
                     "flights_demo: --data %s is not empty: name a new directory, so that what is counted is "
                     "this run's\n",
                     data_.c_str());
        return false;
      }
    }
    port_ = flights::free_port();
    http_port_ = flights::free_port();
    address_ = "127.0.0.1:" + std::to_string(port_);
    return true;
  }

  afdg::Status start() {
    std::vector<std::string> command{bin_ + "/flights_server",
                                     "--data",
                                     data_,
                                     "--listen",
                                     address_,
                                     "--kafka",
                                     "off",
                                     "--http",
                                     "127.0.0.1:" + std::to_string(http_port_)};
    if (settings_.no_dedup) command.insert(command.end(), {"--inject", "no-dedup"});
    AFDG_TRY(server_.start(command, data_ + ".log"));
    return server_.wait_ready(60s);
  }

  int load_and_kill(Load& load) {
    auto client = afdg::Client::connect(address_, {.deadline = 30s});
    if (!client) return broken(client.status(), 4);
    const auto began = std::chrono::steady_clock::now();
    std::thread watcher;
    if (settings_.manual) {
      say("kill", "it is yours to do, now:  kill -9 " + std::to_string(server_.pid()));
      watcher = std::thread([this, &load] {
        while (server_.running()) std::this_thread::sleep_for(20ms);
        load.stop();
      });
    }
    const std::size_t half = flights_.size() * 3 / 5;
    Pass pass;
    do {  // with --kill manual the same flights go round, under the same ids, until somebody kills
      pass = load.run(client->grid("flights"), 30s, settings_.manual ? SIZE_MAX : half);
    } while (settings_.manual && pass.failed == 0 && server_.running());
    const pid_t pid = server_.pid();
    if (!settings_.manual) server_.end(SIGKILL);
    const std::size_t in_flight = load.in_flight();
    if (watcher.joinable()) watcher.join();
    const auto answered =
        static_cast<std::int64_t>(std::count(load.fates().begin(), load.fates().end(), Fate::kAnswered));
    std::map<std::string, bool> airports;
    for (const auto& flight : flights_) airports[flight.origin()] = true;
    if (pass.failed > 0 && !settings_.manual) {
      say("FAIL", "a request failed before the kill: " + pass.first_error);
      return 1;
    }
    say("load", grouped(static_cast<std::int64_t>(flights_.size())) + " flights -> " +
                    std::to_string(airports.size()) + " airports        " + grouped(answered) +
                    " answered in " + seconds_text(std::chrono::steady_clock::now() - began) + " s");
    say("kill -9", "pid " + std::to_string(pid) + ", " + grouped(static_cast<std::int64_t>(in_flight)) +
                       " requests in flight");
    return 0;
  }

  int restart() {
    const auto began = std::chrono::steady_clock::now();
    if (afdg::Status started = start(); !started) return broken(started, 1);
    const std::string output = server_.output();
    std::smatch found;
    const bool known = std::regex_search(output, found, std::regex("([0-9,]+) changes replayed"));
    say("restart", seconds_text(std::chrono::steady_clock::now() - began) + " s, " +
                       (known ? found[1].str() : "?") + " changes replayed");
    return 0;
  }

  static int ask(const afdg::Grid& grid) {
    auto totals = grid.agent<Airport>("PHX").read(flights::GetTotals());
    if (!totals) return broken(totals.status(), 1);
    // Arrivals are compared below, once the outboxes are empty; here they may still be on their way.
    for (int tries = 0; tries < 200; ++tries) {
      std::this_thread::sleep_for(20ms);
      auto next = grid.agent<Airport>("PHX").read(flights::GetTotals());
      if (!next) return broken(next.status(), 1);
      const bool settled = next->arrivals() == totals->arrivals();
      totals = std::move(next);
      if (settled) break;
    }
    say("ask", "airport/PHX  departures " + std::to_string(totals->departures()) + "  arrivals " +
                   std::to_string(totals->arrivals()) + "  delay " + std::to_string(totals->delay_minutes()) +
                   " min");
    return 0;
  }

  /// Every region's outbox is empty. Errors: kUnavailable when that takes longer than 30 s.
  afdg::Status wait_for_outboxes() {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (true) {
      const flights::Finished lags =
          flights::run({bin_ + "/afdg", "-s", address_, "-g", "flights", "-o", "json", "region", "lag"});
      if (lags.code != 0) return afdg::fail(afdg::Code::kUnavailable, "afdg region lag: " + lags.output);
      bool empty = true;
      const std::regex outbox("\"outbox\": *\"?([0-9]+)");
      std::size_t seen = 0;
      for (auto at = std::sregex_iterator(lags.output.begin(), lags.output.end(), outbox);
           at != std::sregex_iterator(); ++at, ++seen) {
        if ((*at)[1].str() != "0") empty = false;
      }
      if (seen == 0)
        return afdg::fail(afdg::Code::kInternal, "afdg region lag names no outbox: " + lags.output);
      if (empty) return {};
      if (std::chrono::steady_clock::now() > end)
        return afdg::fail(afdg::Code::kUnavailable, "the outboxes are not empty after 30 s");
      std::this_thread::sleep_for(50ms);
    }
  }

  int compare(const afdg::Grid& grid, const flights::Oracle& oracle, Difference& totals, Difference& days,
              std::int64_t& delay_found) {
    if (afdg::Status empty = wait_for_outboxes(); !empty) return broken(empty, 1);
    std::vector<std::string> keys;
    for (const auto& [airport, expected] : oracle.airports) keys.push_back(airport);
    const auto began = std::chrono::steady_clock::now();
    auto outcomes = grid.fanout<Airport>(keys, flights::GetTotals());
    if (!outcomes) return broken(outcomes.status(), 1);
    const auto took =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
    std::size_t ok = 0;
    std::string worst;
    std::int64_t worst_delay = INT64_MIN;
    for (const auto& outcome : *outcomes) {
      if (!outcome.result.ok()) continue;
      ++ok;
      const flights::Expected& expected = oracle.airports.at(outcome.key);
      totals.add(expected.departures, outcome.result->departures());
      totals.add(expected.arrivals, outcome.result->arrivals());
      if (outcome.result->delay_minutes() != expected.delay_minutes &&
          outcome.result->departures() == expected.departures)
        ++totals.lost;
      delay_found += outcome.result->delay_minutes();
      if (outcome.result->delay_minutes() > worst_delay) {
        worst_delay = outcome.result->delay_minutes();
        worst = outcome.key;
      }
    }
    char time[32];
    std::snprintf(time, sizeof time, "%.1f", took);
    say("fanout", std::to_string(keys.size()) + " airports asked at once: " + std::to_string(ok) + " ok in " +
                      time + " ms; most delay: " + worst + " " + grouped(worst_delay) + " min");
    if (ok != keys.size()) {
      say("FAIL", std::to_string(keys.size() - ok) + " airports did not answer");
      return 1;
    }
    // The entities: flights by day, which the totals do not show.
    for (const auto& [airport, expected] : oracle.airports) {
      for (const auto& [day, count] : expected.by_day) {
        flights::GetDay message;
        message.set_day(day);
        auto found = grid.agent<Airport>(airport).read(message);
        if (!found) return broken(found.status(), 1);
        days.add(count, found->flights_size());
      }
    }
    return 0;
  }

  int verify() {
    if (const int code = server_.end(SIGTERM); code != 0) {
      say("FAIL", "the server ended with exit code " + std::to_string(code));
      return 1;
    }
    const flights::Finished verified = flights::run({bin_ + "/flights_server", "verify", "--data", data_});
    if (verified.code != 0) {
      say("FAIL", "verify, exit code " + std::to_string(verified.code) + ": " + verified.output);
      return 1;
    }
    std::smatch batches;
    const bool known = std::regex_search(verified.output, batches, std::regex("([0-9,]+) batches"));
    say("verify",
        std::string("files: ") +
            (known ? grouped(std::stoll(std::regex_replace(batches[1].str(), std::regex(","), ""))) : "?") +
            " batches, RocksDB = fold of flights.changes");
    return 0;
  }

  void finish() {
    const std::string tool = bin_ + "/afdg";
    if (!settings_.keep) {
      say("try", "afdg agent request airport/PHX GetTotals '{}'   (the server is left running with --keep)");
      return;
    }
    if (afdg::Status started = start(); !started) {
      say("FAIL", started.error().text());
      return;
    }
    say("try", tool + " -s " + address_ + " agent request airport/PHX GetTotals '{}'");
    say("stop", "kill " + std::to_string(server_.pid()) + "   (data: " + data_ + ")");
    server_.release();
  }

  const Settings settings_;
  std::vector<flights::Flight> flights_;
  std::string bin_, scratch_, data_, address_;
  int port_ = 0, http_port_ = 0;
  flights::Process server_;
};

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto value = [&]() -> std::string { return i + 1 < argc ? argv[++i] : ""; };
    if (word == "--help" || word == "-h") {
      std::fputs(kHelp, stdout);
      return 0;
    } else if (word == "--keep") {
      settings.keep = true;
    } else if (word == "--flights") {
      settings.csv = value();
    } else if (word == "--data") {
      settings.data = value();
    } else if (const std::string kind = word == "--kill" ? value() : ""; kind == "auto" || kind == "manual") {
      settings.manual = kind == "manual";
    } else if (word == "--inject" && value() == "no-dedup") {
      settings.no_dedup = true;
    } else {
      std::fprintf(stderr, "flights_demo: '%s' is not understood: see --help\n", argv[i]);
      return 2;
    }
  }
  return Demo(settings).run();
}
