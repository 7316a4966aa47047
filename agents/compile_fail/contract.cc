// Snippets that must not compile, each for the reason named in agents/CMakeLists.txt. CASE 0 must compile.
#include "afdg/v1/entity.pb.h"
#include "agents/agent.h"

using namespace afdg;
using namespace afdg::v1::entity;

using Counter = Protocol<"counter", Ask<Increment, IncrementAnswer>, Read<Get, GetAnswer>, Tell<Remove>>;

class CounterAgent : public Agent<Counter> {
#if CASE == 8
  Value<std::int64_t> total_{*this, "Total Count"};
#elif CASE == 9
  Value<int> total_{*this, "total"};
#else
  Value<std::int64_t> total_{*this, "total"};
#endif
  Entity<Get> log_{*this, "log"};

 public:
#if CASE == 2
  Result<GetAnswer> on(const Increment&, Turn&) { return GetAnswer(); }
#elif CASE != 1
  Result<IncrementAnswer> on(const Increment&, Turn& turn) {
    total_.edit() += 1;
    log_["k"].append(Get());
#if CASE == 6
    turn.send<Counter>("peer", Keys());
#elif CASE == 7
    turn.send<Counter>("peer", Get());
#else
    turn.send<Counter>("peer", Remove());
#endif
    return IncrementAnswer();
  }
#endif

#if CASE == 3
  Result<GetAnswer> on(const Get&, const ReadTurn&) { return GetAnswer(); }
#else
  Result<GetAnswer> on(const Get&, const ReadTurn&) const {
#if CASE == 4
    total_.edit() += 1;
#elif CASE == 5
    log_["k"].append(Get());
#endif
    return GetAnswer();
  }
#endif

#if CASE != 10
  Status on(const Remove&, Turn&) { return {}; }
#endif
};

const agents::AgentType kType = agents::describe<CounterAgent>();
