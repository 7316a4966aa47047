#pragma once

#include <chrono>
#include <string>

#include "agents/agent.h"
#include "airport.h"

namespace flights {

/// One airport. It owns the flights that left it, by day, and its totals.
class AirportAgent : public afdg::Agent<Airport> {
 public:
  afdg::Result<Totals> on(const Departed& message, afdg::Turn& turn) {
    const Flight& flight = message.flight();
    if (flight.scheduled_departure().size() < kDaySize) {
      return afdg::fail(afdg::Code::kInvalidArgument,
                        "a flight without a departure time: give scheduled_departure as YYYY-MM-DDTHH:MM");
    }
    if (flight.origin() != turn.key()) {
      return afdg::fail(afdg::Code::kInvalidArgument,
                        "a flight from '" + flight.origin() + "' was sent to airport '" +
                            std::string(turn.key()) + "': send it to its origin");
    }
    if (flight.destination() == turn.key()) {
      return afdg::fail(afdg::Code::kInvalidArgument,
                        "a flight from '" + flight.origin() + "' to itself: correct its destination");
    }
    legs_[flight.scheduled_departure().substr(0, kDaySize)].append(flight);
    totals_.edit().set_departures(totals_->departures() + 1);
    totals_.edit().set_delay_minutes(totals_->delay_minutes() + flight.delay_minutes());
    Arrived arrived;
    *arrived.mutable_flight() = flight;
    if (auto sent = turn.send<Airport>(flight.destination(), arrived); !sent)
      return sent.error();  // part of this turn's commit
    return *totals_;
  }

  afdg::Status on(const Arrived&, afdg::Turn&) {
    totals_.edit().set_arrivals(totals_->arrivals() + 1);
    return {};
  }

  afdg::Result<Totals> on(const GetTotals&, const afdg::ReadTurn&) const { return *totals_; }

  afdg::Result<Day> on(const GetDay& message, const afdg::ReadTurn&) const {
    Day day;
    day.set_day(message.day());
    for (const Flight& flight : legs_[message.day()]) *day.add_flights() = flight;
    return day;
  }

 private:
  static constexpr std::size_t kDaySize = sizeof("YYYY-MM-DD") - 1;

  afdg::Value<Totals> totals_{*this, "totals"};
  afdg::Entity<Flight> legs_{*this, "legs", {.items_max = 500, .age_max = std::chrono::hours(24 * 90)}};
};

}  // namespace flights
