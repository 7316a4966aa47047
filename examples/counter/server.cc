#include "agents/agent.h"
#include "counter.h"
#include "server/node.h"

// One counter. It owns its total; nobody else can touch it.
class CounterAgent : public afdg::Agent<Counter> {
 public:
  afdg::Result<counter::Total> on(const counter::Add& message, afdg::Turn&) {
    if (message.by() < 0) {
      return afdg::fail(afdg::Code::kInvalidArgument,
                        "by is " + std::to_string(message.by()) + ": a counter only goes up");
    }
    total_.edit().set_value(total_->value() + message.by());
    total_.edit().set_times(total_->times() + 1);
    return *total_;
  }
  afdg::Result<counter::Total> on(const counter::GetTotal&, const afdg::ReadTurn&) const { return *total_; }

 private:
  afdg::Value<counter::Total> total_{*this, "total"};
};

int main(int argc, char** argv) {
  return afdg::Node{argc, argv}.grid("counters", {.regions = 4}).agent<CounterAgent>().run();
}
