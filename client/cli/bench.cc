#include "client/cli/bench.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

namespace afdg::client::cli {

using namespace std::chrono_literals;

bool wait_for(const Meter& meter, std::chrono::milliseconds time, const char* what) {
  const bool show = is_terminal(2);
  const auto begin = Meter::Clock::now();
  std::uint64_t before = meter.operations();
  auto shown = begin;
  while (Meter::Clock::now() - begin < time && !interrupted() && !meter.stopping()) {
    const auto left = time - (Meter::Clock::now() - begin);
    std::this_thread::sleep_for(std::min<Meter::Clock::duration>(left, 100ms));
    const auto now = Meter::Clock::now();
    if (!show || now - shown < 1s) continue;
    const std::uint64_t done = meter.operations();
    std::fprintf(stderr, "\r%s %2.0f s, %.0f/s   ", what, std::chrono::duration<double>(now - begin).count(),
                 static_cast<double>(done - before) / std::chrono::duration<double>(now - shown).count());
    before = done;
    shown = now;
  }
  if (show) std::fprintf(stderr, "\r%40s\r", "");
  return !interrupted();
}

std::string fixed(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

Exit report(Context& context, const Meter& meter, double seconds, const nlohmann::json& more,
            const BenchColumn& column) {
  const Histogram& latencies = meter.latencies();
  const double per_second = static_cast<double>(meter.operations()) / seconds;
  nlohmann::json json = {{"operations", meter.operations()},
                         {"seconds", seconds},
                         {"per_second", per_second},
                         {"p50_us", latencies.quantile_us(0.5)},
                         {"p90_us", latencies.quantile_us(0.9)},
                         {"p99_us", latencies.quantile_us(0.99)},
                         {"p999_us", latencies.quantile_us(0.999)},
                         {"errors", meter.errors()}};
  json.update(more);
  context.print(json, Table{{"OPERATIONS", "SECONDS", "PER SECOND", "P50 us", "P90 us", "P99 us", "P99.9 us",
                             "ERRORS", column.heading},
                            {{std::to_string(meter.operations()), fixed(seconds, 1), fixed(per_second, 0),
                              fixed(latencies.quantile_us(0.5), 0), fixed(latencies.quantile_us(0.9), 0),
                              fixed(latencies.quantile_us(0.99), 0), fixed(latencies.quantile_us(0.999), 0),
                              std::to_string(meter.errors()), column.value}}});
  if (interrupted()) return Exit::kInterrupted;
  if (meter.errors() > 0) {
    std::cerr << "afdg: " << meter.errors() << " operations failed; the first: " << meter.first_error()
              << "\n";
    return Exit::kRefused;
  }
  return Exit::kOk;
}

}  // namespace afdg::client::cli
