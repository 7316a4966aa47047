#pragma once

#include "counter.pb.h"
#include "proto/protocol.h"

// The contract: what a counter understands. The server and its clients share it.
using Counter = afdg::Protocol<"counter",                                //
                               afdg::Ask<counter::Add, counter::Total>,  // may write; one answer
                               afdg::Read<counter::GetTotal, counter::Total>>;
