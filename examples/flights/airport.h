#pragma once

#include "flights.pb.h"
#include "proto/protocol.h"

namespace flights {

/// What an airport understands. Agents and clients share this header.
using Airport = afdg::Protocol<"airport",                    //
                               afdg::Ask<Departed, Totals>,  // one flight left; the airport's totals after it
                               afdg::Tell<Arrived>,          // one flight came in
                               afdg::Read<GetTotals, Totals>,  //
                               afdg::Read<GetDay, Day>>;

}  // namespace flights
