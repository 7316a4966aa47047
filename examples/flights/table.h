#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "flights.pb.h"

namespace flights {

/// The CSV's flights, in its order. Errors: kNotFound, kInvalidArgument naming the line.
afdg::Result<std::vector<Flight>> read_flights(const std::string& path);

struct Expected {
  std::int64_t departures = 0;
  std::int64_t arrivals = 0;
  std::int64_t delay_minutes = 0;
  std::map<std::string, std::int64_t> by_day;
};

/// What awk counts in the CSV: the oracle, which shares no code with what it judges.
struct Oracle {
  std::string command;  ///< as a reader would type it
  std::map<std::string, Expected> airports;
  std::int64_t flights = 0;
  std::int64_t delay_minutes = 0;
};
afdg::Result<Oracle> ask_awk(const std::string& path);

/// 20000 -> "20,000".
std::string grouped(std::int64_t number);

}  // namespace flights
