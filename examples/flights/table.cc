#include "table.h"

#include <charconv>
#include <fstream>
#include <sstream>

#include "process.h"

namespace flights {
namespace {

bool to_number(std::string_view text, std::int32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

afdg::Result<std::vector<Flight>> read_flights(const std::string& path) {
  std::ifstream file(path);
  if (!file)
    return afdg::fail(afdg::Code::kNotFound,
                      "cannot read '" + path + "': name the flights' CSV with --flights FILE");
  std::vector<Flight> flights;
  std::string line;
  std::getline(file, line);  // the names of the columns
  for (std::int64_t number = 2; std::getline(file, line); ++number) {
    std::vector<std::string> fields;
    std::istringstream stream(line);
    for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
    std::int32_t distance = 0, delay = 0;
    if (fields.size() != 5 || !to_number(fields[3], distance) || !to_number(fields[4], delay)) {
      return afdg::fail(afdg::Code::kInvalidArgument,
                        path + ", line " + std::to_string(number) + ": '" + line +
                            "' is not scheduled_departure,origin,destination,distance_miles,delay_minutes");
    }
    Flight& flight = flights.emplace_back();
    flight.set_scheduled_departure(fields[0]);
    flight.set_origin(fields[1]);
    flight.set_destination(fields[2]);
    flight.set_distance_miles(distance);
    flight.set_delay_minutes(delay);
  }
  return flights;
}

afdg::Result<Oracle> ask_awk(const std::string& path) {
  const std::string program =
      "NR>1{n++;t+=$5;d[$2]++;m[$2]+=$5;a[$3]++;y[$2\" \"substr($1,1,10)]++} "
      "END{print\"all\",n,t;for(k in d)print\"d\",k,d[k],m[k];for(k in a)print\"a\",k,a[k];for(k in "
      "y)print\"y\",k,y[k]}";
  Oracle oracle;
  oracle.command = "awk -F, '" + program + "' " + path;
  const Finished awk = run({"awk", "-F,", program, path});
  if (awk.code != 0)
    return afdg::fail(afdg::Code::kInternal,
                      "awk ended with exit code " + std::to_string(awk.code) + ": " + awk.output);
  std::istringstream lines(awk.output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind, airport, day;
    words >> kind;
    if (kind == "all") {
      words >> oracle.flights >> oracle.delay_minutes;
    } else if (kind == "d") {
      words >> airport;
      words >> oracle.airports[airport].departures >> oracle.airports[airport].delay_minutes;
    } else if (kind == "a") {
      words >> airport;
      words >> oracle.airports[airport].arrivals;
    } else {
      words >> airport >> day;
      words >> oracle.airports[airport].by_day[day];
    }
  }
  return oracle;
}

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > (number < 0 ? 4U : 3U);) text.insert(at -= 3, ",");
  return text;
}

}  // namespace flights
